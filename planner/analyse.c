/*
 * The analyser's top: what kind of statement it is, what it touches, and which plan that allows (DESIGN §5).
 */
#include "planner/analyse_int.h"
#include "planner/backend_pid.h"
#include "planner/catalog_hide.h"
#include "planner/gather.h"
#include "planner/moment.h"
#include "planner/utility.h"
#include "planner/view.h"

#include "planner/utility_int.h"

#include <string.h>

static bool names_schema(const PgQuery__FuncCall *f, const char *wanted)
{
    const char *schema;
    (void)tree_name(f->n_funcname, f->funcname, &schema);
    return strcmp(schema, wanted) == 0;
}

static bool is_set_config(const PgQuery__Node *val)
{
    return val && val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
           tree_name_is(val->func_call->n_funcname, val->func_call->funcname, "set_config");
}

/*
 * SELECT f(...) and nothing else, f being set_config or one of pgbraid's: the router carries it out. So it does
 * several calls of set_config(), and that of a row of pg_settings.
 */
static bool is_control_call(const PgQuery__SelectStmt *q)
{
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE || q->n_target_list == 0 || q->n_group_clause ||
        q->having_clause || q->n_window_clause || q->n_values_lists || q->n_sort_clause || q->limit_count ||
        q->limit_offset || q->n_locking_clause || q->with_clause || q->n_distinct_clause)
        return false;
    const PgQuery__Node *val = q->target_list[0]->res_target->val;
    if (!val || val->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    for (size_t i = 0; q->n_target_list > 1 && i < q->n_target_list; i++)
        if (q->n_from_clause || q->where_clause || !is_set_config(q->target_list[i]->res_target->val))
            return false;
    if (q->n_from_clause || q->where_clause)
        return is_set_config(val) && utility_setting_row(q);
    return names_schema(val->func_call, "pgbraid") ||
           tree_name_is(val->func_call->n_funcname, val->func_call->funcname, "pg_cancel_backend") ||
           tree_name_is(val->func_call->n_funcname, val->func_call->funcname, "pg_terminate_backend") ||
           tree_name_is(val->func_call->n_funcname, val->func_call->funcname, "pg_listening_channels") ||
           is_set_config(val);
}

/* SELECT ... INTO creates a table: the utility planner's. It may stand in the leftmost arm of a set operation. */
static bool has_into(const PgQuery__SelectStmt *q)
{
    while (q->larg)
        q = q->larg;
    return q->into_clause;
}

bool statement_is_query(const PgQuery__Node *stmt)
{
    switch ((int)stmt->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return !has_into(stmt->select_stmt);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
    case PG_QUERY__NODE__NODE_MERGE_STMT:
        return true;
    default:
        return false;
    }
}

/* What the statement's occurrences are. */
struct touched {
    uint32_t sharded, reference, home;
    const struct occurrence *reference_written, *home_first, *written;
    bool wrote_other; /* written tables of several kinds */
};

static struct touched touch(const struct an *an)
{
    struct touched t = { 0 };
    for (uint32_t i = 0; i < an->nocc; i++) {
        const struct occurrence *o = an->occs[i];
        switch (o->rel->dist) {
        case DIST_SHARDED:
            t.sharded++;
            break;
        case DIST_REFERENCE:
            t.reference++;
            if (o->use != USE_READ)
                t.reference_written = o;
            break;
        case DIST_UNSHARDED:
            t.home++;
            t.home_first = t.home_first ? t.home_first : o;
            break;
        }
        if (o->use != USE_READ) {
            t.wrote_other |= t.written && t.written->rel->dist != o->rel->dist;
            t.written = o;
        }
    }
    return t;
}

static bool refuse_opaque(struct an *an, const char *what)
{
    err_set(an->e, PB0205, "%s may read or write rows of other shards", what);
    err_detail(an->e, "It runs on one shard and would see that shard's rows only; nothing proves that it looks at its "
                      "arguments alone.");
    return err_hint(an->e, "If it touches no table, name it in safe_functions in the configuration.");
}

/* A statement on a table is one on its children's rows, too. */
static bool check_children(struct an *an, const struct cat_rel *rel)
{
    if (!rel->stray_child)
        return true;
    err_set(an->e, PB0207, "tables \"%s\" and \"%s\" are not distributed in the same way", rel->name, rel->stray_child);
    err_detail(an->e, "One is a partition of the other, or inherits from it, so statements would miss rows.");
    return err_hint(an->e, "Detach it (ALTER TABLE ... DETACH PARTITION, NO INHERIT), or unshard it: SELECT "
                           "pgbraid.unshard_table('...').");
}

bool check_code(struct an *an)
{
    if (an->in->hint && (an->inv.opaque || an->inv.table_reader)) {
        an->inv.declared = true; /* it sees what is on the shard that the client has chosen */
        an->inv.home_writes = true;
    } else if (an->inv.opaque) {
        return refuse_opaque(an, an->inv.opaque);
    } else if (an->inv.table_reader) {
        refuse_opaque(an, arena_printf(an->a, "function %s()", an->inv.table_reader));
        return err_hint(an->e, "Run the query that it would run as a statement of its own.");
    }
    for (uint32_t i = 0; i < an->nocc; i++)
        if (!check_children(an, an->occs[i]->rel) || !hooks_allow(an, an->occs[i]))
            return false;
    if (!an->sharded_view)
        return true;
    err_set(an->e, PB0201, "view \"%s\" stands for distributed tables", an->sharded_view->name);
    err_detail(an->e, "The view is expanded on a shard, where only that shard's rows are.");
    return err_hint(an->e, "Use the view's query, or its table, in the statement itself.");
}

static bool refuse_setting(struct an *an)
{
    err_set(an->e, PB0313, "set_config() is not supported inside a statement");
    err_detail(an->e, "The router has to know the setting, to give it to every connection of the session.");
    return err_hint(an->e, "Use SELECT set_config('name', value, true or false) as a statement of its own.");
}

static bool check_session(struct an *an)
{
    if (an->inv.nsetting > an->inv.nlocal) /* utility_set.c has not taken it */
        return refuse_setting(an);
    for (uint32_t i = 0; i < an->nocc; i++) {
        const struct cat_rel *rel = an->occs[i]->rel;
        if (rel->system && (strcmp(rel->name, "pg_prepared_statements") == 0 || strcmp(rel->name, "pg_cursors") == 0)) {
            err_set(an->e, PB0313, "the view %s is not supported", rel->name);
            return err_detail(an->e, "It would show what the router keeps on one server connection.");
        }
    }
    if (!an->inv.session)
        return true;
    err_set(an->e, PB0313, "function %s() is not supported", an->inv.session);
    err_detail(an->e, "It depends on state of one server connection, and statements of a session use many.");
    if (strcmp(an->inv.session, "currval") == 0 || strcmp(an->inv.session, "lastval") == 0)
        return err_hint(an->e, "Use INSERT ... RETURNING, or nextval() in a statement before.");
    if (strcmp(an->inv.session, "pg_listening_channels") == 0)
        return err_hint(an->e, "Use SELECT pg_listening_channels() as a statement of its own.");
    return false;
}

static void plan_home(struct an *an, const char *why)
{
    an->plan->scope = SCOPE_HOME;
    plan_reason(an->plan, "home shard: %s", why);
}

static bool unknown_relation(struct an *an)
{
    err_set(an->e, PB0208, "relation \"%s\" does not exist", an->unknown_relation);
    return false;
}

static bool refuse(struct an *an, const char *message, const char *detail, const char *hint)
{
    err_set(an->e, PB0201, "%s", message);
    err_detail(an->e, "%s", detail);
    return hint ? err_hint(an->e, "%s", hint) : false;
}

static bool locks_by_name(const struct an *an, const PgQuery__LockingClause *c)
{
    for (size_t i = 0; i < c->n_locked_rels; i++) {
        const char *name = c->locked_rels[i]->range_var->relname;
        bool sharded = false;
        for (uint32_t k = 0; k < an->nocc; k++) {
            if (strcmp(an->occs[k]->name, name) != 0)
                continue;
            if (an->occs[k]->rel->dist == DIST_REFERENCE)
                return true;
            sharded = true;
        }
        if (!sharded)
            return true; /* a sub-query: not looked into */
    }
    return c->n_locked_rels == 0;
}

/* May the statement's FOR UPDATE lock rows of a reference table? */
static bool locks_reference(const struct an *an, const PgQuery__Node *stmt)
{
    if (stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || stmt->select_stmt->n_locking_clause == 0)
        return true; /* it is in a sub-query: not looked into */
    for (size_t i = 0; i < stmt->select_stmt->n_locking_clause; i++)
        if (locks_by_name(an, stmt->select_stmt->locking_clause[i]->locking_clause))
            return true;
    return false;
}

bool check_known(struct an *an)
{
    for (uint32_t i = 0; i < an->nocc; i++) {
        const struct cat_rel *rel = an->occs[i]->rel;
        if (rel->dist != DIST_SHARDED || rel->nkey > 0)
            continue;
        err_set(an->e, PB0207, "it is not known how table \"%s\" is distributed", rel->name);
        err_detail(an->e, "It carries the constraint pgbraid_placement but is not in pgbraid.tables.");
        return err_hint(an->e,
                        "It may have been renamed past pgbraid; declare it again, or drop the constraint on every "
                        "shard.");
    }
    return true;
}

bool check_same(struct an *an, const struct cat_rel *rel)
{
    if (!rel->difference)
        return true;
    err_set(an->e, PB0310, "table \"%s\" is not the same on shard \"%s\" as on the home shard", rel->name,
            rel->difference->shard);
    err_detail(an->e, "Somebody has changed it there directly: %s.", rel->difference->what);
    return err_hint(an->e, "Make the definitions equal. The router looks again every schema_check_interval, and at "
                           "RELOAD in the console.");
}

static bool refuse_home(struct an *an, const struct occurrence *occ)
{
    err_set(an->e, PB0201, "table \"%s\" is on the home shard and cannot be used together with sharded tables",
            occ->name);
    err_detail(an->e, "Its rows are on the home shard only, those of the sharded tables may be elsewhere.");
    return err_hint(an->e, occ->rel->system ? "Query the catalog in a statement of its own."
                                            : "Make it a reference table: SELECT pgbraid.reference_table('...').");
}

static bool check_sharded(struct an *an, const struct touched *t, const PgQuery__Node *stmt)
{
    if (an->unknown_relation)
        return unknown_relation(an);
    if (!check_known(an))
        return false;
    if (t->home_first && (t->home_first->rel->system || stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT))
        return refuse_home(an, t->home_first);
    if (t->reference_written)
        return refuse(an, "a statement cannot write a reference table and use sharded tables",
                      "The write has to happen on every shard, and each would see its own sharded rows.",
                      "Split the statement in two, in one transaction.");
    if (an->inv.home_function)
        return refuse(
            an, arena_printf(an->a, "function %s() cannot be used together with sharded tables", an->inv.home_function),
            "Its answer or effect belongs to one server; calls of their own go to the home shard.",
            "Call it in a statement of its own and pass the result.");
    if (an->inv.oid)
        return refuse(an, arena_printf(an->a, "%s cannot be used together with sharded tables", an->inv.oid),
                      "Objects have numbers of their own on each shard; clients are shown those of the home shard.",
                      "Ask the catalog in a statement of its own.");
    if (an->inv.cursor)
        return refuse(an, "WHERE CURRENT OF cannot be used on sharded tables",
                      "The cursor may be on another shard than the row.", "Use the primary key.");
    if (an->inv.locking && t->reference > 0 && locks_reference(an, stmt))
        return refuse(an, "rows of a reference table cannot be locked together with sharded ones",
                      "The lock would be taken on one shard's copy, where writers do not look first.",
                      "Name the sharded tables: FOR UPDATE OF ...");
    if (an->default_sequence) {
        err_set(an->e, PB0201, "column \"%s\" of a sharded table cannot be left to its sequence", an->default_sequence);
        err_detail(an->e, "Each shard has a sequence of its own, so values would repeat across shards.");
        return err_hint(an->e, "Give the value: SELECT nextval(...) in a statement of its own draws from the home "
                               "shard, or use a uuid.");
    }
    return true;
}

/* Rows of different lengths: an error of the whole that no part would show. */
static bool ragged(const PgQuery__InsertStmt *ins)
{
    const PgQuery__SelectStmt *q = ins->select_stmt ? ins->select_stmt->select_stmt : NULL;
    for (size_t i = 1; q && i < q->n_values_lists; i++)
        if (q->values_lists[i]->list->n_items != q->values_lists[0]->list->n_items)
            return true;
    return false;
}

/*
 * A parameter without a declared type gets its type where the statement uses it first. Cut into parts, a part's first
 * use may be another. False if that can make a difference: unless every use is as the whole value of one column.
 */
static bool params_split(struct an *an, const PgQuery__InsertStmt *ins)
{
    const struct cat_rel *rel =
        catalog_resolve_rel(an->in->cat, an->in->env, ins->relation->schemaname, ins->relation->relname);
    uint32_t *direct = ARENA_ARRAY(an->a, uint32_t, an->inv.nparam),
             *type = ARENA_ARRAY(an->a, uint32_t, an->inv.nparam);
    const PgQuery__SelectStmt *q = ins->select_stmt->select_stmt;
    for (size_t r = 0; r < q->n_values_lists; r++) {
        const PgQuery__List *row = q->values_lists[r]->list;
        for (size_t i = 0; i < row->n_items; i++) {
            const PgQuery__Node *n = row->items[i];
            if (n->node_case != PG_QUERY__NODE__NODE_PARAM_REF || n->param_ref->number <= 0)
                continue;
            const struct cat_column *col = NULL;
            if (ins->n_cols == 0 && i < rel->ncolumn)
                col = &rel->columns[i];
            else if (i < ins->n_cols && ins->cols[i]->res_target->n_indirection == 0)
                col = catalog_column(rel, ins->cols[i]->res_target->name);
            uint32_t p = (uint32_t)n->param_ref->number - 1;
            if (!col || (type[p] && type[p] != col->type))
                continue;
            type[p] = col->type;
            direct[p]++;
        }
    }
    for (uint32_t p = 0; p < an->inv.nparam; p++)
        if (!(p < an->in->ntype && an->in->types[p]) && an->inv.param_uses[p] > 1 && direct[p] != an->inv.param_uses[p])
            return false;
    return true;
}

/* Several rows in VALUES: each goes to its shard, whatever the others do. */
static void allow_split(struct an *an, const PgQuery__InsertStmt *ins)
{
    struct plan *p = an->plan;
    const char *why = an->inv.moment           ? "calls that read the clock"
                      : an->inv.moment_literal ? "date constants that read the clock"
                      : an->default_moment     ? "a column default that reads the clock"
                      : an->inv.system_column  ? "system columns"
                      : an->inv.each_server    ? "what each server tells of itself"
                      : an->sub_limit          ? "LIMIT in a sub-query"
                                               : NULL;
    bool hooked = false;
    if (ragged(ins)) {
        plan_home(an, "PostgreSQL says which row is too short");
        return;
    }
    for (uint32_t i = 0; i < an->nocc; i++)
        for (uint32_t k = 0; k < an->occs[i]->rel->nhook; k++)
            hooked |= an->occs[i]->rel->hooks[k].statement_level;
    why = hooked ? "a statement-level trigger" : why;
    if (p->classes[0].ngroup == 0 || !insert_split(an, ins))
        return;
    if (!why && p->insert->skips)
        why = "RETURNING and ON CONFLICT that may leave rows out";
    p->combine = why ? COMBINE_NONE : COMBINE_CONCAT;
    plan_reason(p, "by key: each of %u rows goes to the shard of its key", p->insert->nrow);
    if (!why && !params_split(an, ins)) {
        p->combine = COMBINE_NONE;
        why = "a parameter that is used several times and has no declared type";
    }
    if (!why)
        return;
    err_set(&p->refusal, PB0201, "INSERT of rows for several shards with %s is not supported", why);
    err_detail(&p->refusal, p->insert->skips ? "The rows have to come back in the order of VALUES."
                                             : "The shards' answers would differ within one statement.");
    err_hint(&p->refusal, "Insert the rows of one key at a time, in one transaction.");
}

/* A cursor that goes backwards, or outlives its transaction, is on one server. */
static bool wants_gathering(const struct an *an)
{
    const PgQuery__Node *stmt = an->in->tree->stmts[0]->stmt;
    return an->plan->combine == COMBINE_CONCAT && stmt->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT &&
           (stmt->declare_cursor_stmt->options & (CURSOR_SCROLL | CURSOR_HOLD));
}

static bool plan_sharded(struct an *an, const struct touched *t, const PgQuery__Node *stmt)
{
    if (!check_sharded(an, t, stmt))
        return false;
    prove(an);
    if (stmt->node_case == PG_QUERY__NODE__NODE_INSERT_STMT && an->plan->combine == COMBINE_NONE)
        allow_split(an, stmt->insert_stmt);
    if (an->whole && (t->home_first || an->plan->combine == COMBINE_NONE || wants_gathering(an)) &&
        gather_try(an, stmt)) {
        an->plan->combine = COMBINE_GATHER;
        if (an->plan->kind != PLAN_GATHER)
            an->plan->finish = "rows are gathered on the home shard, where the statement runs";
    }
    if (an->plan->combine == COMBINE_MERGE && !an->plan->gather)
        (void)gather_try(an, stmt);
    return !t->home_first || an->plan->combine == COMBINE_GATHER || refuse_home(an, t->home_first);
}

/* Why the shards' copies of a reference table could differ after the statement; NULL: they cannot (rule P42). */
static const char *diverges(struct an *an, const struct touched *t)
{
    const struct inventory *inv = &an->inv;
    for (uint32_t i = 0; i < an->nocc; i++)
        if (an->occs[i]->rel != t->reference_written->rel || (an->occs[i]->use == USE_READ))
            return "other tables or rows";
    if (an->unknown_relation || inv->sublink)
        return "sub-queries";
    if (inv->volatile_row)
        return arena_printf(an->a, "%s()", inv->volatile_row);
    if (inv->home_function)
        return arena_printf(an->a, "%s()", inv->home_function);
    if (inv->each_server)
        return arena_printf(an->a, "%s()", inv->each_server);
    if (inv->moment_literal)
        return "a date constant that reads the clock";
    if (an->default_sequence || an->default_volatile)
        return arena_printf(an->a, "the default of column \"%s\"",
                            an->default_sequence ? an->default_sequence : an->default_volatile);
    if (inv->system_column)
        return arena_printf(an->a, "the system column %s", inv->system_column);
    const struct cat_rel *rel = t->reference_written->rel;
    for (uint32_t i = 0; i < rel->nhook; i++) /* a declared function touches no table, but may tell the time */
        if (rel->hooks[i].kind == CAT_HOOK_TRIGGER && !rel->hooks[i].harmless)
            return arena_printf(an->a, "what trigger \"%s\" does", rel->hooks[i].name);
    return an->sub_limit || inv->tablesample || inv->cursor ? "a choice of rows that each shard makes by itself" : NULL;
}

/* The clock, which the router may stop (rule X22). */
static const char *diverges_by_clock(const struct an *an)
{
    if (an->inv.moment)
        return arena_printf(an->a, "%s()", an->inv.moment);
    return an->default_moment ? arena_printf(an->a, "the default of column \"%s\"", an->default_moment) : NULL;
}

static bool refuse_divergence(const struct touched *t, const char *why, struct err *e)
{
    err_set(e, PB0201, "a write to reference table \"%s\" cannot depend on %s", t->reference_written->rel->name, why);
    err_detail(e, "Every shard carries it out by itself, and the copies would differ.");
    return err_hint(e, "Read the value in a statement of its own and pass it as a constant.");
}

static bool plan_reference_write(struct an *an, const struct touched *t)
{
    const char *why = diverges(an, t);
    if (why)
        return refuse_divergence(t, why, an->e);
    why = diverges_by_clock(an);
    if (why) {
        an->plan->scope = SCOPE_ALL;
        an->plan->combine = COMBINE_NONE;
        plan_reason(an->plan, "all shards: reference table %s is written on every one",
                    t->reference_written->rel->name);
        (void)refuse_divergence(t, why, &an->plan->refusal);
        return true;
    }
    for (uint32_t i = 0; i < t->reference_written->rel->ncolumn; i++)
        an->plan->moment_params |= moment_type(t->reference_written->rel->columns[i].type);
    an->plan->scope = SCOPE_ALL;
    an->plan->combine = COMBINE_SAME;
    an->plan->sequential = true;
    plan_reason(an->plan, "all shards: reference table %s is written on every one", t->reference_written->rel->name);
    return true;
}

static bool decide(struct an *an, const PgQuery__Node *stmt)
{
    struct touched t = touch(an);
    struct plan *p = an->plan;
    if (!check_session(an))
        return false;
    if (an->inv.no_param) { /* no text that is made of this one could have that number */
        plan_home(an, "PostgreSQL says that there is no such parameter");
        return true;
    }
    if (catalog_all_home(an->in->cat)) {
        plan_home(an, "nothing is distributed");
        return true;
    }
    for (uint32_t i = 0; i < an->nocc; i++)
        if (!check_same(an, an->occs[i]->rel))
            return false;
    if (!check_code(an) || an->failed)
        return false;
    if (t.sharded)
        return plan_sharded(an, &t, stmt);
    if (t.reference_written)
        return plan_reference_write(an, &t);
    if (an->unknown_relation)
        plan_home(an, "PostgreSQL says which table does not exist");
    else if (t.home_first)
        plan_home(an, t.home_first->rel->system ? "system catalog" : "unsharded tables");
    else if (an->inv.home_function || an->inv.each_server || an->inv.reads_shard || an->inv.cursor)
        plan_home(an, "about one server");
    else if (t.reference && (an->inv.locking || an->inv.system_column))
        plan_home(an, "locks and row addresses of reference tables are taken there");
    else
        plan_reason(p, t.reference ? "any shard: reference tables only" : "any shard: no tables");
    return true;
}

static size_t returning_count(const PgQuery__Node *stmt)
{
    switch ((int)stmt->node_case) {
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return stmt->insert_stmt->n_returning_list;
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        return stmt->update_stmt->n_returning_list;
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return stmt->delete_stmt->n_returning_list;
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return 1;
    default:
        return 0;
    }
}

/* What holds for every plan. */
static void describe(struct an *an, const PgQuery__Node *stmt)
{
    struct plan *p = an->plan;
    p->returns_rows = returning_count(stmt) > 0;
    p->bind_snapshot = stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && an->whole;
    for (uint32_t i = 0; i < an->nocc; i++)
        p->bind_snapshot &= an->occs[i]->use == USE_READ;
    p->writes = an->inv.locking || an->inv.home_writes;
    for (uint32_t i = 0; i < an->nocc; i++)
        p->writes |= an->occs[i]->use != USE_READ;
    p->writes |= stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT;
    p->opaque = an->inv.declared || an->inv.nsetting;
    p->sets_locally = an->inv.nsetting;
    p->unpreparable = an->inv.declared || an->inv.home_writes || an->inv.opaque;
    p->no_share = an->inv.moment_literal;
    p->moment = an->inv.moment || an->inv.moment_literal || an->default_moment || an->clock;
    p->nparam = an->inv.nparam;
    p->pins = an->inv.locks ? PIN_LOCK : 0;
    p->pin_check = an->inv.locks || an->inv.unlocks;
}

/*
 * What set_config(name, value, true) sets ends with the transaction. A statement that is alone in one, on one server,
 * may set what it likes: nobody else sees it.
 */
static bool may_set_locally(struct an *an, const PgQuery__Node *stmt)
{
    if (an->plan->kind == PLAN_QUERY && an->plan->scope == SCOPE_HOME && an->in->tree->stmts[0]->stmt == stmt)
        return true;
    return refuse_setting(an);
}

/* A query that stands alone, or is a cursor's, COPY's or EXPLAIN's: then its rows can be gathered. */
static const PgQuery__Node *whole_query(const PgQuery__Node *stmt)
{
    if (stmt->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT)
        return stmt->explain_stmt->query;
    if (stmt->node_case == PG_QUERY__NODE__NODE_COPY_STMT)
        return stmt->copy_stmt->query;
    return stmt->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT ? stmt->declare_cursor_stmt->query : stmt;
}

bool analyse_query(const struct plan_input *in, const PgQuery__Node *stmt, struct arena *scratch,
                   struct plan_result *out, struct err *e)
{
    struct an an = { .in = in, .a = scratch, .e = e, .out = out };
    struct collist unused;
    an.plan = plan_new();
    an.whole = stmt == whole_query(in->tree->stmts[0]->stmt);
    an.stmt = tree_message(stmt);
    inventory_take(&an, an.stmt);
    query_statement(&an, scope_new(&an, NULL), stmt, true, true, &unused);
    if (!decide(&an, stmt) || (an.inv.nsetting && !may_set_locally(&an, stmt))) {
        plan_unref(an.plan);
        return false;
    }
    describe(&an, stmt);
    if (an.plan->merge || an.plan->gather)
        plan_keep_literals(an.plan, in->lits);
    catalog_hide(&an);
    if (an.inv.pid && !backend_pid_replace(&an)) {
        plan_unref(an.plan);
        return false;
    }
    an.plan->long_way = an.plan->rewritten || an.plan->pins || an.plan->pin_check || an.plan->sets_locally;
    *out = (struct plan_result){ .plan = an.plan,
                                 .cacheable = !an.inv.moment_literal && !an.plan->rewritten && !an.inv.nsetting,
                                 .nfixed = an.nfixed,
                                 .fixed = an.fixed,
                                 .npair = an.npair,
                                 .pairs = (const uint32_t(*)[2])an.pairs };
    return true;
}

/* Does its text stay what it is when a view's text takes the view's place? */
static bool is_expandable(const PgQuery__Node *stmt)
{
    const PgQuery__Node *query = whole_query(stmt);
    return query && statement_is_query(query);
}

/* The router plans the text anew, views in it too. Until then it is the home shard's, where views can be described. */
static void expanded_plan(const struct plan_input *in, const char *text, struct arena *scratch, struct plan_result *out)
{
    const PgQuery__Node *stmt = in->tree->stmts[0]->stmt;
    struct an an = { .in = in, .a = scratch, .out = out };
    inventory_take(&an, tree_message(stmt));
    struct plan *p = an.plan = plan_new();
    plan_home(&an, "views over distributed tables are expanded");
    p->expanded = arena_strdup(plan_arena(p), text);
    p->nparam = an.inv.nparam;
    p->returns_rows = returning_count(stmt) > 0 || stmt->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT;
    p->long_way = true;
    *out = (struct plan_result){ .plan = p };
}

bool analyse(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    const PgQuery__Node *stmt = in->tree->stmts[0]->stmt;
    const char *text = NULL;
    if (is_expandable(stmt) && !view_expand(in, scratch, &text, e))
        return false;
    if (text) {
        expanded_plan(in, text, scratch, out);
        return true;
    }
    if (!statement_is_query(stmt) ||
        (stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && is_control_call(stmt->select_stmt)))
        return utility_plan(in, scratch, out, e);
    return analyse_query(in, stmt, scratch, out, e);
}
