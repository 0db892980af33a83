#include "planner/typing.h"

#include <string.h>

static const struct typing unknown = { 0, false };

bool is_catalog_function(const struct an *an, const PgQuery__FuncCall *f, const char **name)
{
    const char *schema;
    *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (*schema)
        return f->n_funcname == 2 && strcmp(schema, "pg_catalog") == 0;
    return !catalog_user_function(an->in->cat, NULL, *name);
}

bool is_catalog_operator(const struct an *an, size_t n, PgQuery__Node *const *names)
{
    const struct cat_operator *ops;
    const char *schema, *name = tree_name(n, names, &schema);
    uint32_t nop = catalog_operators(an->in->cat, &ops);
    for (uint32_t i = 0; i < nop; i++)
        if (strcmp(ops[i].name, name) == 0)
            return false;
    return true;
}

static uint32_t type_named(const struct an *an, const PgQuery__TypeName *t)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } names[] = {
        { "bool", TYPE_BOOL },         { "int2", TYPE_INT2 },     { "int4", TYPE_INT4 },
        { "int8", TYPE_INT8 },         { "float4", TYPE_FLOAT4 }, { "float8", TYPE_FLOAT8 },
        { "numeric", TYPE_NUMERIC },   { "text", TYPE_TEXT },     { "varchar", TYPE_VARCHAR },
        { "bpchar", TYPE_BPCHAR },     { "date", 1082 },          { "timestamp", 1114 },
        { "timestamptz", 1184 },       { "time", 1083 },          { "timetz", 1266 },
        { "interval", TYPE_INTERVAL }, { "uuid", 2950 },          { "bytea", 17 },
    };
    if (!t || t->setof || t->pct_type || t->n_array_bounds || !env_catalog_first(an->in->env))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (tree_name_is(t->n_names, t->names, names[i].name))
            return names[i].oid;
    return 0;
}

static bool is_string(uint32_t type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_BPCHAR;
}

static struct typing of_column(const struct an *an, const struct scope *s, const PgQuery__ColumnRef *ref)
{
    bool found;
    int v = scope_resolve(s, ref, &found);
    if (!found || v == NO_COLUMN || an->vars[v].mixed)
        return unknown;
    return (struct typing){ an->vars[v].type, an->vars[v].by_bytes };
}

/* int2, int4, int8, numeric and float8 become the wider of two; float4 becomes float8 beside another type. */
static int rank(uint32_t type)
{
    static const uint32_t types[] = { TYPE_INT2, TYPE_INT4, TYPE_INT8, TYPE_NUMERIC, TYPE_FLOAT8 };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i] == type)
            return (int)i;
    return -1;
}

/* A user's implicit cast may lead PostgreSQL to another operator than the one for the wider type. */
static bool implicit_casts(const struct an *an)
{
    const struct cat_cast *casts;
    for (uint32_t i = catalog_casts(an->in->cat, &casts); i-- > 0;)
        if (casts[i].implicit)
            return true;
    return false;
}

struct typing typing_common(const struct an *an, struct typing a, struct typing b)
{
    if (a.type && a.type == b.type && a.by_bytes == b.by_bytes)
        return a;
    if (rank(a.type) < 0 || rank(b.type) < 0 || implicit_casts(an))
        return unknown;
    return rank(a.type) > rank(b.type) ? a : b;
}

static struct typing of_operator(const struct an *an, const struct scope *s, const PgQuery__AExpr *x)
{
    static const char *const arithmetic[] = { "+", "-", "*", "/", "%" };
    const char *schema, *name = tree_name(x->n_name, x->name, &schema);
    bool known = false;
    if (x->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || *schema || !env_catalog_first(an->in->env) ||
        !is_catalog_operator(an, x->n_name, x->name))
        return unknown;
    for (size_t i = 0; i < ARRAY_LEN(arithmetic); i++)
        known |= strcmp(arithmetic[i], name) == 0;
    struct typing b = typing_of(an, s, x->rexpr);
    if (!known || rank(b.type) < 0)
        return unknown;
    if (!x->lexpr)
        return strcmp(name, "-") == 0 || strcmp(name, "+") == 0 ? b : unknown;
    struct typing a = typing_of(an, s, x->lexpr);
    if (rank(a.type) < 0 || (strcmp(name, "%") == 0 && (a.type == TYPE_FLOAT8 || b.type == TYPE_FLOAT8)))
        return unknown;
    if (a.type != b.type && implicit_casts(an))
        return unknown;
    return rank(a.type) >= rank(b.type) ? a : b;
}

/* A literal's value says which type it has; its shape says the same (normalise.h). */
static struct typing of_constant(const PgQuery__AConst *c)
{
    if (c->isnull)
        return unknown;
    if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL)
        return (struct typing){ TYPE_INT4, false };
    if (c->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
        const char *text = tree_str(c->fval->fval);
        bool point = strpbrk(text, ".eE") != NULL;
        return point ? (struct typing){ TYPE_NUMERIC, false } : unknown;
    }
    return unknown;
}

static struct typing of_sum(uint32_t type, bool avg)
{
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
        return (struct typing){ avg ? TYPE_NUMERIC : TYPE_INT8, false };
    case TYPE_INT8:
    case TYPE_NUMERIC:
        return (struct typing){ TYPE_NUMERIC, false };
    case TYPE_FLOAT4:
        return (struct typing){ avg ? TYPE_FLOAT8 : TYPE_FLOAT4, false };
    case TYPE_FLOAT8:
    case TYPE_INTERVAL:
        return (struct typing){ type, false };
    case TYPE_MONEY:
        return (struct typing){ avg ? 0 : TYPE_MONEY, false };
    default:
        return unknown;
    }
}

static struct typing of_call(const struct an *an, const struct scope *s, const PgQuery__FuncCall *f)
{
    const char *name;
    if (!is_catalog_function(an, f, &name) || f->over || f->agg_within_group || f->func_variadic)
        return unknown;
    if (strcmp(name, "count") == 0)
        return (struct typing){ TYPE_INT8, false };
    struct typing arg = f->n_args ? typing_of(an, s, f->args[0]) : unknown;
    if (!arg.type)
        return unknown;
    if (f->n_args == 1 && (strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0))
        return of_sum(arg.type, *name == 'a');
    if (f->n_args == 1 && (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)) {
        arg.type = arg.type == TYPE_VARCHAR ? TYPE_TEXT : arg.type;
        return arg;
    }
    if (f->n_args == 1 && (strcmp(name, "lower") == 0 || strcmp(name, "upper") == 0) && is_string(arg.type))
        return (struct typing){ TYPE_TEXT, arg.by_bytes };
    if (f->n_args == 1 && strcmp(name, "length") == 0 && is_string(arg.type))
        return (struct typing){ TYPE_INT4, false };
    if (f->n_args == 1 && strcmp(name, "abs") == 0 && rank(arg.type) >= 0)
        return arg;
    return unknown;
}

static bool is_bytes_collation(const struct an *an, const PgQuery__CollateClause *c)
{
    return env_catalog_first(an->in->env) &&
           (tree_name_is(c->n_collname, c->collname, "C") || tree_name_is(c->n_collname, c->collname, "POSIX"));
}

static struct typing of_coalesce(const struct an *an, const struct scope *s, const PgQuery__CoalesceExpr *x)
{
    struct typing all = unknown;
    for (size_t i = 0; i < x->n_args; i++) {
        struct typing one = typing_of(an, s, x->args[i]);
        if (!one.type || (i && (one.type != all.type || one.by_bytes != all.by_bytes)))
            return unknown;
        all = one;
    }
    return all;
}

static bool is_null(const PgQuery__Node *n)
{
    return !n || (n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->isnull);
}

/* Of exact numbers the widest; NULLs, and an ELSE that is not there, have no say. */
static struct typing of_case(const struct an *an, const struct scope *s, const PgQuery__CaseExpr *x)
{
    struct typing all = unknown;
    for (size_t i = 0; i <= x->n_args; i++) {
        const PgQuery__Node *result = i < x->n_args ? x->args[i]->case_when->result : x->defresult;
        if (is_null(result))
            continue;
        struct typing one = typing_of(an, s, result);
        if (rank(one.type) < 0 || one.type == TYPE_FLOAT8 || (all.type && one.type != all.type && implicit_casts(an)))
            return unknown;
        all = rank(one.type) > rank(all.type) ? one : all;
    }
    return all;
}

struct typing typing_of(const struct an *an, const struct scope *s, const PgQuery__Node *n)
{
    struct typing t;
    if (!n)
        return unknown;
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return of_column(an, s, n->column_ref);
    case PG_QUERY__NODE__NODE_A_CONST:
        return of_constant(n->a_const);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return of_operator(an, s, n->a_expr);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return of_call(an, s, n->func_call);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return of_coalesce(an, s, n->coalesce_expr);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return of_case(an, s, n->case_expr);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        t.type = type_named(an, n->type_cast->type_name);
        t.by_bytes = is_string(t.type) && typing_of(an, s, n->type_cast->arg).by_bytes;
        return t;
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        t = typing_of(an, s, n->collate_clause->arg);
        t.by_bytes = is_string(t.type) && is_bytes_collation(an, n->collate_clause);
        return t;
    default:
        return unknown;
    }
}
