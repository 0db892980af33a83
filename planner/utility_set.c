/*
 * Settings: SET, RESET, SHOW and set_config(). The router runs the statement where the session is, reads the value back
 * and gives it to every connection the session uses later (rules P12, P46), so a setting must be one that means the
 * same whenever it is set again. One statement may change several only as SELECT set_config(...), set_config(...).
 */
#include "planner/plan_int.h"
#include "planner/utility_int.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum setting_kind {
    SETTING_PLAIN,
    SETTING_TRANSACTION, /* of the running transaction: carried out like SET TRANSACTION */
    SETTING_ENCODING,
    SETTING_SEED,
    SETTING_OWN,  /* the router's: no server knows it */
    SETTING_ROLE, /* the router looks at its value: a session may have to stay in its own */
    SETTING_AUTHORIZATION
};

static enum setting_kind setting_kind(const char *name)
{
    static const struct {
        const char *name;
        enum setting_kind kind;
    } special[] = {
        { "client_encoding", SETTING_ENCODING },
        { "transaction_isolation", SETTING_TRANSACTION },
        { "transaction_read_only", SETTING_TRANSACTION },
        { "transaction_deferrable", SETTING_TRANSACTION },
        { "seed", SETTING_SEED },
        { "session_authorization", SETTING_AUTHORIZATION },
        { "role", SETTING_ROLE },
    };
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (strcasecmp(name, special[i].name) == 0)
            return special[i].kind;
    return strncasecmp(name, "pgbraid.", 8) == 0 ? SETTING_OWN : SETTING_PLAIN;
}

/* Does the plan have to say the value? */
static bool needs_value(const char *name)
{
    enum setting_kind kind = setting_kind(name);

    return kind == SETTING_OWN || kind == SETTING_ROLE;
}

/* PostgreSQL ignores case, and everything but letters and digits, in the name. SQL_ASCII converts nothing. */
bool planner_reads_encoding(struct span name)
{
    static const char *const fine[] = { "utf8", "unicode", "sqlascii", "default" };
    char plain[32];
    size_t n = 0;
    for (size_t i = 0; i < name.len && n < sizeof plain - 1; i++) {
        char c = name.ptr[i];
        c = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            plain[n++] = c;
    }
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        if (span_eq_str(span_make(plain, n), fine[i]))
            return true;
    return false;
}

static bool check_encoding(const char *value, struct err *e)
{
    if (planner_reads_encoding(span_str(value)))
        return true;
    err_set(e, PB0313, "client_encoding \"%s\" is not supported", value);
    err_detail(e, "The router finds sharding keys in the bytes that the client sends, which must be those that the "
                  "shards store.");
    return err_hint(e, "Use UTF8 and convert in the client.");
}

/* May the setting be set to this value (NULL: not a constant, or reset)? */
static bool check_setting(const char *name, const char *value, struct err *e)
{
    switch (setting_kind(name)) {
    case SETTING_PLAIN:
    case SETTING_ROLE:
    case SETTING_TRANSACTION:
    case SETTING_OWN: /* the router checks its own */
        return true;
    case SETTING_ENCODING:
        return !value || check_encoding(value, e);
    case SETTING_SEED:
        if (!value)
            return true;
        err_set(e, PB0313, "the seed of random() cannot be set");
        return err_detail(e, "It belongs to one server connection, and statements of a session use many.");
    case SETTING_AUTHORIZATION:
        if (!value || strcasecmp(value, "default") == 0)
            return true;
        err_set(e, PB0313, "SET SESSION AUTHORIZATION is not supported");
        err_detail(e, "Connections to the shards are kept per user.");
        return err_hint(e, "Use SET ROLE, or log in as that user.");
    }
    BUG_ON(true);
}

static bool take_mode(const PgQuery__Node *option, struct txn_modes *m)
{
    const PgQuery__DefElem *d = option->node_case == PG_QUERY__NODE__NODE_DEF_ELEM ? option->def_elem : NULL;

    if (!d || !d->arg || d->arg->node_case != PG_QUERY__NODE__NODE_A_CONST)
        return false;
    if (d->arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        return modes_take(m, d->defname, d->arg->a_const->sval->sval);
    return d->arg->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL &&
           modes_take(m, d->defname, d->arg->a_const->ival->ival ? "on" : "off");
}

bool utility_take_modes(size_t n, PgQuery__Node *const *options, struct txn_modes *m, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct txn_modes one = { 0 };

        BUG_ON(!take_mode(options[i], &one)); /* the grammar takes nothing else */
        if (modes_contradict(m, &one)) {
            err_set(e, PB0313, "transaction modes that contradict each other are not supported");
            err_detail(e, "PostgreSQL takes one after the other, as statements of their own.");
            return err_hint(e, "Say each mode once.");
        }
        modes_merge(m, &one);
    }
    return true;
}

/* The value of SET name TO one constant; NULL: a list, or something else. */
static const char *set_value(const PgQuery__VariableSetStmt *set)
{
    if (set->n_args != 1 || set->args[0]->node_case != PG_QUERY__NODE__NODE_A_CONST)
        return NULL;
    const PgQuery__AConst *c = set->args[0]->a_const;
    return c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? c->sval->sval : "";
}

/* A setting whose value is needed: a text or a whole number; NULL: something else. */
static const char *own_value(const PgQuery__VariableSetStmt *set, const char *value, struct arena *a)
{
    if (!value)
        return NULL;
    const PgQuery__AConst *c = set->args[0]->a_const;
    if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        return arena_printf(a, "%d", c->ival->ival);
    if (c->val_case == PG_QUERY__A__CONST__VAL_FVAL)
        return arena_strdup(a, tree_str(c->fval->fval));
    return c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? arena_strdup(a, value) : NULL;
}

static bool set_multi(const PgQuery__VariableSetStmt *set, struct plan_result *out, struct err *e)
{
    if (strcmp(set->name, "TRANSACTION") == 0) {
        struct txn_modes modes = { 0 };

        if (!utility_take_modes(set->n_args, set->args, &modes, e))
            return false;
        session_plan(out, SESSION_SET_TRANSACTION, NULL)->modes = modes;
        return true;
    }
    if (strcmp(set->name, "SESSION CHARACTERISTICS") == 0) {
        if (set->n_args == 1 && set->args[0]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM) {
            char name[64];
            snprintf(name, sizeof name, "default_%s", set->args[0]->def_elem->defname);
            session_plan(out, SESSION_SET, name);
            return true;
        }
        err_set(e, PB0313, "SET SESSION CHARACTERISTICS with several modes is not supported");
        return err_hint(e, "Set one mode at a time.");
    }
    err_set(e, PB0313, "SET TRANSACTION SNAPSHOT is not supported");
    return err_detail(e, "A snapshot belongs to one server, and a transaction may use several.");
}

/* SET transaction_isolation = ... */
static void set_transaction_plan(const PgQuery__VariableSetStmt *set, struct plan_result *out)
{
    struct plan_session *s = session_plan(out, SESSION_SET_TRANSACTION, set->name);
    const PgQuery__AConst *c =
        set->n_args == 1 && set->args[0]->node_case == PG_QUERY__NODE__NODE_A_CONST ? set->args[0]->a_const : NULL;

    s->setting = true;
    s->local = set->is_local;
    if (c && c->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        s->judged = !modes_take(&s->modes, set->name, c->sval->sval);
    else if (c && c->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        s->judged = !modes_take(&s->modes, set->name, c->ival->ival == 0 ? "0" : c->ival->ival == 1 ? "1" : "");
    else
        s->judged = true;
}

bool utility_set_plan(const PgQuery__VariableSetStmt *set, struct plan_result *out, struct err *e)
{
    const char *name = tree_str(set->name);
    bool transaction = setting_kind(name) == SETTING_TRANSACTION;
    switch ((int)set->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        return set_multi(set, out, e);
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE: {
        const char *value = set_value(set);
        if (!check_setting(name, value ? value : "", e))
            return false;
        if (transaction) {
            set_transaction_plan(set, out);
        } else {
            struct plan_session *s = session_plan(out, SESSION_SET, name);
            s->local = set->is_local;
            if (needs_value(name))
                s->value = own_value(set, value, plan_arena(out->plan));
        }
        /* The plan depends on the value, which the shape does not have. */
        out->cacheable = setting_kind(name) == SETTING_PLAIN;
        return true;
    }
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
        if (transaction)
            return err_set(e, PB0313, "\"%s\" cannot be reset", name);
        session_plan(out, SESSION_RESET, name)->local = set->is_local;
        return true;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        session_plan(out, SESSION_RESET_ALL, NULL);
        return true;
    default:
        return err_set(e, PB0204, "this form of SET is not supported");
    }
}

bool utility_show_plan(const PgQuery__VariableShowStmt *show, struct plan_result *out)
{
    session_plan(out, SESSION_SHOW, strcmp(show->name, "all") == 0 ? NULL : show->name);
    out->plan->returns_rows = true;
    return true;
}

const char *utility_string(const struct plan_input *in, const PgQuery__Node *n, uint32_t *index)
{
    if (n->node_case != PG_QUERY__NODE__NODE_A_CONST || n->a_const->isnull ||
        n->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL || !literal_at(in->lits, n->a_const->location, index))
        return NULL;
    return n->a_const->sval->sval;
}

/* TRUE or FALSE, which PostgreSQL 15's grammar gives as 't'::bool in older and a boolean constant in newer versions. */
static bool boolean_constant(const PgQuery__Node *n, bool *value)
{
    if (n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        n = n->type_cast->arg;
    if (!n || n->node_case != PG_QUERY__NODE__NODE_A_CONST || n->a_const->isnull ||
        n->a_const->val_case != PG_QUERY__A__CONST__VAL_BOOLVAL)
        return false;
    *value = n->a_const->boolval->boolval;
    return true;
}

bool utility_sets_locally(const struct plan_input *in, const PgQuery__FuncCall *f)
{
    uint32_t unused;
    const char *name = f->n_args == 3 ? utility_string(in, f->args[0], &unused) : NULL;
    bool local = false;
    return name && setting_kind(name) == SETTING_PLAIN && boolean_constant(f->args[2], &local) && local;
}

/* What is cast to text, if it is. */
static const PgQuery__Node *without_text(const PgQuery__Node *n)
{
    return n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST &&
                   tree_name_is(n->type_cast->type_name->n_names, n->type_cast->type_name->names, "text") &&
                   !n->type_cast->type_name->n_array_bounds
               ? n->type_cast->arg
               : n;
}

/* A parameter's number; 0: it is none. */
static uint32_t text_param(const PgQuery__Node *n)
{
    n = without_text(n);
    return n->node_case == PG_QUERY__NODE__NODE_PARAM_REF && n->param_ref->number > 0 ? (uint32_t)n->param_ref->number
                                                                                      : 0;
}

/* The value that is set: a string, NULL or a parameter. */
static bool set_config_value(const struct plan_input *in, const PgQuery__Node *n, struct plan_setting *set)
{
    set->literal = UINT32_MAX;
    set->param = text_param(n);
    if (set->param)
        return true;
    n = without_text(n);
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->isnull)
        return true;
    set->value = utility_string(in, n, &set->literal);
    return set->value;
}

static bool is_name_column(const PgQuery__Node *n)
{
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || n->column_ref->n_fields != 1)
        return false;
    const char *name = tree_string(n->column_ref->fields[0]);
    return name && strcmp(name, "name") == 0;
}

/*
 * FROM pg_settings WHERE name = ..., as pg_dump writes it to set what older servers do not have. Should the server not
 * have it the read-back fails, and the statement with it. NULL if it is not that.
 */
static const PgQuery__Node *setting_row_name(const PgQuery__SelectStmt *q)
{
    if (q->n_from_clause != 1 || q->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR || !q->where_clause ||
        q->where_clause->node_case != PG_QUERY__NODE__NODE_A_EXPR)
        return NULL;
    const PgQuery__RangeVar *rel = q->from_clause[0]->range_var;
    const PgQuery__AExpr *equal = q->where_clause->a_expr;
    if (strcmp(rel->relname, "pg_settings") != 0 || rel->alias ||
        (*tree_str(rel->schemaname) && strcmp(rel->schemaname, "pg_catalog") != 0) ||
        equal->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || equal->n_name != 1 ||
        strcmp(tree_string(equal->name[0]), "=") != 0 || !is_name_column(equal->lexpr) ||
        equal->rexpr->node_case != PG_QUERY__NODE__NODE_A_CONST)
        return NULL;
    const PgQuery__FuncCall *f = q->target_list[0]->res_target->val->func_call;
    return f->n_args == 3 && is_name_column(f->args[0]) ? equal->rexpr : NULL;
}

bool utility_setting_row(const PgQuery__SelectStmt *q)
{
    return setting_row_name(q);
}

/* One call, with strings of the tree; *name_at: the literal that names the setting. */
static bool set_config_call(const struct plan_input *in, const PgQuery__ResTarget *target, const PgQuery__Node *row,
                            struct plan_setting *set, uint32_t *name_at)
{
    const PgQuery__FuncCall *f = target->val->func_call;

    if (f->n_args != 3 || f->agg_star || f->agg_distinct || f->func_variadic || f->over || f->agg_filter ||
        f->agg_within_group || f->n_agg_order || !boolean_constant(f->args[2], &set->local) ||
        !set_config_value(in, f->args[1], set))
        return false;
    set->name = utility_string(in, row ? row : f->args[0], name_at);
    set->name_param = set->name || row ? 0 : text_param(f->args[0]);
    set->column = *tree_str(target->name) ? target->name : "set_config";
    return set->name || set->name_param;
}

/* A name that is not known yet is looked at when it is (planner_sets_by_param). */
static enum setting_kind call_kind(const struct plan_setting *set)
{
    return set->name ? setting_kind(set->name) : SETTING_PLAIN;
}

bool planner_sets_by_param(const char *name)
{
    enum setting_kind kind = setting_kind(name);

    return kind == SETTING_PLAIN || kind == SETTING_ROLE;
}

/* Among others: one that a server carries out, and that has not been set in the same statement. */
static bool may_be_among_others(const struct plan_setting *sets, uint32_t i)
{
    enum setting_kind kind = call_kind(&sets[i]);

    for (uint32_t k = 0; sets[i].name && k < i; k++)
        if (sets[k].name && strcasecmp(sets[k].name, sets[i].name) == 0)
            return false;
    return kind == SETTING_PLAIN || kind == SETTING_ENCODING || kind == SETTING_ROLE;
}

static bool check_set_config(const struct plan_setting *set, struct err *e)
{
    if (!set->name)
        return true;
    if (setting_kind(set->name) == SETTING_TRANSACTION) {
        err_set(e, PB0313, "set_config() of \"%s\" is not supported", set->name);
        return err_hint(e, "Use SET TRANSACTION.");
    }
    /* "" is a value that no special setting takes: a parameter's is not known yet. */
    return check_setting(set->name, set->param ? "" : set->value, e);
}

static void take_param(struct plan *p, uint32_t param)
{
    p->nparam = param > p->nparam ? param : p->nparam;
}

bool utility_set_config_plan(const struct plan_input *in, const PgQuery__SelectStmt *q, struct arena *scratch,
                             struct plan_result *out, bool *declined, struct err *e)
{
    uint32_t n = (uint32_t)q->n_target_list;
    const PgQuery__Node *row = setting_row_name(q);
    struct plan_setting *sets = ARENA_ARRAY(scratch, struct plan_setting, n);
    uint32_t *names = ARENA_ARRAY(scratch, uint32_t, n);
    *declined = true;
    for (uint32_t i = 0; i < n; i++)
        if (!set_config_call(in, q->target_list[i]->res_target, row, &sets[i], &names[i]) ||
            (n > 1 && !may_be_among_others(sets, i)))
            return false;
    if (row && (!sets[0].name || sets[0].param || setting_kind(sets[0].name) != SETTING_PLAIN))
        return false;
    *declined = false;
    for (uint32_t i = 0; i < n; i++)
        if (!check_set_config(&sets[i], e))
            return false;
    struct plan_session *s = session_plan(out, SESSION_SET_CONFIG, n == 1 ? sets[0].name : NULL);
    struct arena *a = plan_arena(out->plan);
    struct plan_setting *own = ARENA_ARRAY(a, struct plan_setting, n);
    uint32_t *fixed = ARENA_ARRAY(a, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) {
        enum setting_kind kind = call_kind(&sets[i]);
        const char *name = sets[i].name;
        own[i] = sets[i];
        own[i].name = name ? arena_strdup(a, name) : NULL;
        own[i].column = arena_strdup(a, sets[i].column);
        own[i].value = name && needs_value(name) && sets[i].value ? arena_strdup(a, sets[i].value) : NULL;
        if (name)
            fixed[out->nfixed++] = names[i];
        /* Else the plan depends on the value, which the shape does not have. */
        out->cacheable = out->cacheable && (kind == SETTING_PLAIN || (kind == SETTING_ROLE && sets[i].param));
        take_param(out->plan, sets[i].param);
        take_param(out->plan, sets[i].name_param);
    }
    out->plan->returns_rows = true;
    s->nset = n;
    s->sets = own;
    if (n == 1) {
        s->local = own->local;
        s->param = own->param;
        s->value = own->value;
        s->column = own->column;
    }
    out->fixed = fixed;
    return true;
}
