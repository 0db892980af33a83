/*
 * Statements that are not queries: dispatch, transactions, prepared names, and the functions that the router carries
 * out itself. What this file does not know is utility_ddl.c's.
 */
#include "planner/utility.h"

#include "planner/analyse_int.h"
#include "planner/plan_int.h"
#include "planner/utility_ddl.h"
#include "planner/utility_int.h"

#include <string.h>
#include <strings.h>

const char *def_string(const PgQuery__DefElem *d, struct arena *scratch)
{
    if (!d->arg)
        return "";
    switch ((int)d->arg->node_case) {
    case PG_QUERY__NODE__NODE_STRING:
        return tree_string(d->arg);
    case PG_QUERY__NODE__NODE_INTEGER:
        return arena_printf(scratch, "%d", d->arg->integer->ival);
    case PG_QUERY__NODE__NODE_BOOLEAN:
        return d->arg->boolean->boolval ? "true" : "false";
    case PG_QUERY__NODE__NODE_A_STAR:
        return "*";
    default:
        return "";
    }
}

bool def_boolean(const PgQuery__DefElem *d, struct arena *scratch)
{
    static const char *const yes[] = { "", "1", "true", "on" };
    const char *value = def_string(d, scratch);
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

/* --- sessions --- */

struct plan_session *session_plan(struct plan_result *out, enum session_verb verb, const char *name)
{
    struct plan *p = plan_new();
    struct plan_session *s = ARENA_NEW(plan_arena(p), struct plan_session);
    p->kind = PLAN_SESSION;
    p->session = s;
    plan_reason(p, "carried out by the router");
    s->verb = verb;
    s->name = name && *name ? arena_strdup(plan_arena(p), name) : NULL;
    *out = (struct plan_result){ .plan = p, .cacheable = true };
    return s;
}

static bool refuse_two_phase(const char *what, struct err *e)
{
    err_set(e, PB0313, "%s is not supported", what);
    err_detail(e, "A transaction may be on several shards, and the router keeps two-phase commit for itself.");
    return err_hint(e, "Use COMMIT.");
}

static bool begin_plan(const PgQuery__TransactionStmt *t, struct plan_result *out, struct err *e)
{
    struct txn_modes modes = { 0 };
    struct plan_session *s;

    if (!utility_take_modes(t->n_options, t->options, &modes, e))
        return false;
    s = session_plan(out, SESSION_BEGIN, NULL);
    s->start = t->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START;
    s->modes = modes;
    return true;
}

static bool transaction_plan(const PgQuery__TransactionStmt *t, struct plan_result *out, struct err *e)
{
    switch (t->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        return begin_plan(t, out, e);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        session_plan(out, SESSION_COMMIT, NULL)->chain = t->chain;
        return true;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        session_plan(out, SESSION_ROLLBACK, NULL)->chain = t->chain;
        return true;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        session_plan(out, SESSION_SAVEPOINT, t->savepoint_name);
        return true;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        session_plan(out, SESSION_RELEASE, t->savepoint_name);
        return true;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        session_plan(out, SESSION_ROLLBACK_TO, t->savepoint_name);
        return true;
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
        return refuse_two_phase("PREPARE TRANSACTION", e);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED:
        return refuse_two_phase("COMMIT PREPARED", e);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED:
        return refuse_two_phase("ROLLBACK PREPARED", e);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANSACTION_STMT_KIND_UNDEFINED:
    case _PG_QUERY__TRANSACTION_STMT_KIND_IS_INT_SIZE:
        break;
    }
    BUG_ON(true);
}

static bool discard_plan(const PgQuery__DiscardStmt *d, struct plan_result *out)
{
    const char *tag = d->target == PG_QUERY__DISCARD_MODE__DISCARD_PLANS       ? "DISCARD PLANS"
                      : d->target == PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES ? "DISCARD SEQUENCES"
                                                                               : "DISCARD TEMP";
    if (d->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL)
        session_plan(out, SESSION_DISCARD_ALL, NULL);
    else
        session_plan(out, SESSION_DISCARD_OTHER, tag);
    return true;
}

static bool deallocate_plan(const PgQuery__DeallocateStmt *d, struct plan_result *out)
{
    if (*tree_str(d->name))
        session_plan(out, SESSION_DEALLOCATE, d->name);
    else
        session_plan(out, SESSION_DEALLOCATE_ALL, NULL);
    return true;
}

/* NOTIFY: the home shard's. Who listens is told by the router. */
static bool notify_plan(struct plan_result *out)
{
    struct plan *p = plan_new();
    p->scope = SCOPE_HOME;
    p->writes = p->unpreparable = p->no_snapshot = true;
    plan_reason(p, "home shard: channels are there");
    *out = (struct plan_result){ .plan = p, .cacheable = true };
    return true;
}

/* --- functions that the router carries out --- */

static const struct {
    const char *name;
    enum control_verb verb;
    uint32_t min_args, max_args;
    const char *use;
} controls[] = {
    { "shard_table", CONTROL_SHARD_TABLE, 2, 1 + CAT_MAX_KEY, "SELECT pgbraid.shard_table('table', 'column' [, ...])" },
    { "reference_table", CONTROL_REFERENCE_TABLE, 1, 1, "SELECT pgbraid.reference_table('table')" },
    { "unshard_table", CONTROL_UNSHARD_TABLE, 1, 1, "SELECT pgbraid.unshard_table('table')" },
    { "current_gtid", CONTROL_CURRENT_GTID, 0, 0, "SELECT pgbraid.current_gtid()" },
    { "transaction_status", CONTROL_TRANSACTION_STATUS, 1, 1, "SELECT pgbraid.transaction_status('gtid')" },
};

/* A text argument: string constant, parameter or NULL, perhaps with a cast to a type that leaves it as it is. */
static bool control_arg(const struct plan_input *in, const PgQuery__Node *n, struct key_value *v, uint32_t *nparam)
{
    if (n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        const PgQuery__TypeName *t = n->type_cast->type_name;
        if (t->n_array_bounds || t->n_typmods ||
            !(tree_name_is(t->n_names, t->names, "text") || tree_name_is(t->n_names, t->names, "varchar") ||
              tree_name_is(t->n_names, t->names, "name")))
            return false;
        n = n->type_cast->arg;
    }
    *v = (struct key_value){ .source = VALUE_LITERAL, .type = KEY_TEXT };
    if (n->node_case == PG_QUERY__NODE__NODE_PARAM_REF && n->param_ref->number > 0) {
        v->source = VALUE_PARAM;
        v->index = (uint32_t)n->param_ref->number;
        *nparam = v->index > *nparam ? v->index : *nparam;
        return true;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_A_CONST)
        return false;
    if (n->a_const->isnull) {
        v->source = VALUE_NULL;
        return true;
    }
    /* Only '...': the router reads the literal by itself. */
    return n->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
           literal_at(in->lits, n->a_const->location, &v->index) && in->sql.ptr[in->lits->v[v->index].off] == '\'';
}

static bool control_plan(const struct plan_input *in, const PgQuery__ResTarget *target, size_t which,
                         struct plan_result *out, struct err *e)
{
    const PgQuery__FuncCall *f = target->val->func_call;
    struct plan *p = plan_new();
    struct plan_control *c = ARENA_NEW(plan_arena(p), struct plan_control);
    bool fine = f->n_args >= controls[which].min_args && f->n_args <= controls[which].max_args && !f->func_variadic &&
                !f->agg_distinct && !f->agg_star && !f->n_agg_order && !f->agg_filter && !f->over;
    for (size_t i = 0; fine && i < f->n_args; i++)
        fine = control_arg(in, f->args[i], &c->args[i], &p->nparam);
    if (!fine) {
        plan_unref(p);
        err_set(e, PB0204, "pgbraid.%s() does not take these arguments", controls[which].name);
        err_detail(e, "They have to be text constants or parameters, since no server evaluates them.");
        return err_hint(e, "%s", controls[which].use);
    }
    c->verb = controls[which].verb;
    c->narg = (uint32_t)f->n_args;
    c->column = arena_strdup(plan_arena(p), *tree_str(target->name) ? target->name : controls[which].name);
    p->kind = PLAN_CONTROL;
    p->control = c;
    plan_reason(p, "carried out by the router");
    *out = (struct plan_result){ .plan = p, .cacheable = true };
    return true;
}

/* pg_cancel_backend() and pg_terminate_backend() of a constant, a parameter or pg_backend_pid(). */
static bool signal_plan(const PgQuery__ResTarget *target, const char *name, struct plan_result *out)
{
    const PgQuery__FuncCall *f = target->val->func_call;
    bool terminate = strcmp(name, "pg_terminate_backend") == 0;
    if ((!terminate && strcmp(name, "pg_cancel_backend") != 0) || f->n_args != 1 || f->agg_star || f->agg_distinct ||
        f->func_variadic || f->over || f->agg_filter || f->n_agg_order)
        return false;
    const PgQuery__Node *arg = f->args[0];
    bool constant = arg->node_case == PG_QUERY__NODE__NODE_A_CONST && !arg->a_const->isnull &&
                    arg->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL && arg->a_const->ival->ival > 0;
    bool param = arg->node_case == PG_QUERY__NODE__NODE_PARAM_REF && arg->param_ref->number > 0;
    if (!constant && !param &&
        (arg->node_case != PG_QUERY__NODE__NODE_FUNC_CALL ||
         !tree_name_is(arg->func_call->n_funcname, arg->func_call->funcname, "pg_backend_pid")))
        return false;
    struct plan_session *s = session_plan(out, terminate ? SESSION_TERMINATE : SESSION_CANCEL, NULL);
    struct arena *a = plan_arena(out->plan);
    s->value = constant ? arena_printf(a, "%d", arg->a_const->ival->ival) : NULL;
    s->param = param ? (uint32_t)arg->param_ref->number : 0;
    s->column = arena_strdup(a, *tree_str(target->name) ? target->name : name);
    out->plan->nparam = s->param;
    out->plan->scope = SCOPE_HOME;
    out->plan->returns_rows = true;
    out->cacheable = false;
    return true;
}

/* pg_listening_channels(): what no server knows of the session. */
static bool channels_plan(const PgQuery__ResTarget *target, const char *name, struct plan_result *out)
{
    const PgQuery__FuncCall *f = target->val->func_call;
    if (strcmp(name, "pg_listening_channels") != 0 || f->n_args || f->agg_star || f->over || f->agg_filter)
        return false;
    struct plan_session *s = session_plan(out, SESSION_CHANNELS, NULL);
    s->column = arena_strdup(plan_arena(out->plan), *tree_str(target->name) ? target->name : name);
    out->plan->returns_rows = true;
    return true;
}

/* SELECT f(...): analyse() has seen that there is nothing else, or other calls of set_config(). */
static bool call_plan(const struct plan_input *in, const PgQuery__Node *stmt, struct arena *scratch,
                      struct plan_result *out, struct err *e)
{
    const PgQuery__ResTarget *target = stmt->select_stmt->target_list[0]->res_target;
    const PgQuery__FuncCall *f = target->val->func_call;
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (strcmp(schema, "pgbraid") == 0) {
        for (size_t i = 0; i < ARRAY_LEN(controls); i++)
            if (strcmp(name, controls[i].name) == 0)
                return control_plan(in, target, i, out, e);
        return analyse_query(in, stmt, scratch, out, e);
    }
    if (signal_plan(target, name, out) || channels_plan(target, name, out))
        return true;
    bool declined;
    if (utility_set_config_plan(in, stmt->select_stmt, scratch, out, &declined, e))
        return true;
    return declined && analyse_query(in, stmt, scratch, out, e);
}

/* --- dispatch --- */

struct plan_input utility_query_alone(const struct plan_input *in, uint32_t start, uint32_t end, struct arena *scratch)
{
    struct plan_input alone = *in;
    char *text = arena_spandup(scratch, in->sql);
    memset(text, ' ', start);
    memset(text + end, ' ', in->sql.len - end);
    alone.sql = span_make(text, in->sql.len);
    alone.start = start;
    return alone;
}

void utility_query_frame(struct plan *p, struct span sql, uint32_t start, uint32_t end)
{
    size_t tail = sql.len - end;
    char *text;
    if (!p->rewritten)
        return;
    text = arena_strdup(plan_arena(p), p->rewritten);
    memcpy(text, sql.ptr, start);
    memcpy(text + strlen(text) - tail, sql.ptr + end, tail);
    p->rewritten = text;
}

bool utility_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    const PgQuery__Node *stmt = in->tree->stmts[0]->stmt;
    switch ((int)stmt->node_case) {
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        return transaction_plan(stmt->transaction_stmt, out, e);
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        return utility_set_plan(stmt->variable_set_stmt, out, e);
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        return utility_show_plan(stmt->variable_show_stmt, out);
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
        session_plan(out, SESSION_SET_CONSTRAINTS, NULL)->judged = stmt->constraints_set_stmt->n_constraints > 0;
        return true;
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        return discard_plan(stmt->discard_stmt, out);
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
        return deallocate_plan(stmt->deallocate_stmt, out);
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
        return utility_prepare_plan(in, stmt->prepare_stmt, out, e);
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
        return utility_execute_plan(in, stmt->execute_stmt, out, e);
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        return utility_declare_plan(in, stmt->declare_cursor_stmt, scratch, out, e);
    case PG_QUERY__NODE__NODE_FETCH_STMT:
        return utility_fetch_plan(stmt->fetch_stmt, out);
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
        return utility_close_plan(stmt->close_portal_stmt, out);
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
        return notify_plan(out);
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
        session_plan(out, SESSION_UNLISTEN, stmt->unlisten_stmt->conditionname);
        return true;
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
        session_plan(out, SESSION_LISTEN, stmt->listen_stmt->conditionname);
        return true;
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return utility_explain_plan(in, stmt->explain_stmt, scratch, out, e);
    case PG_QUERY__NODE__NODE_COPY_STMT:
        return utility_copy_plan(in, stmt->copy_stmt, scratch, out, e);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        if (statement_is_query(stmt))
            return call_plan(in, stmt, scratch, out, e);
        return utility_ddl_plan(in, scratch, out, e);
    default:
        return utility_ddl_plan(in, scratch, out, e);
    }
}
