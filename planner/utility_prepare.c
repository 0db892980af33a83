/*
 * PREPARE, EXECUTE and EXPLAIN EXECUTE. The router keeps the statement as one of the protocol's, and an EXECUTE is a
 * Bind whose values are the arguments. So an argument must be a constant: as text it is given to the type's input
 * function, which PostgreSQL's own conversion must agree with (execute_value_fits).
 */
#include "planner/catalog_int.h"
#include "planner/lex.h"
#include "planner/plan_int.h"
#include "planner/utility_int.h"

#include <string.h>
#include <strings.h>

enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_NUMERIC = 1700
};

/* PostgreSQL's own types by the names that its grammar gives them: number and that of the array. */
static const struct {
    const char *name;
    uint32_t oid, array;
} types[] = {
    { "bit", 1560, 1561 },      { "bool", 16, 1000 },   { "bpchar", 1042, 1014 },    { "bytea", 17, 1001 },
    { "cidr", 650, 651 },       { "date", 1082, 1182 }, { "float4", 700, 1021 },     { "float8", 701, 1022 },
    { "inet", 869, 1041 },      { "int2", 21, 1005 },   { "int4", 23, 1007 },        { "int8", 20, 1016 },
    { "interval", 1186, 1187 }, { "json", 114, 199 },   { "jsonb", 3802, 3807 },     { "macaddr", 829, 1040 },
    { "money", 790, 791 },      { "name", 19, 1003 },   { "numeric", 1700, 1231 },   { "oid", 26, 1028 },
    { "text", 25, 1009 },       { "time", 1083, 1183 }, { "timestamp", 1114, 1115 }, { "timestamptz", 1184, 1185 },
    { "timetz", 1266, 1270 },   { "unknown", 0, 0 },    { "uuid", 2950, 2951 },      { "varbit", 1562, 1563 },
    { "varchar", 1043, 1015 },  { "xml", 142, 143 },
};

static bool type_number(const struct plan_input *in, const PgQuery__TypeName *t, uint32_t *oid)
{
    const char *schema, *name = tree_name(t->n_names, t->names, &schema);
    if (t->setof || t->pct_type || (!*schema && !env_catalog_first(in->env)) ||
        (*schema && strcmp(schema, "pg_catalog") != 0))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(types[i].name, name) == 0) {
            *oid = t->n_array_bounds ? types[i].array : types[i].oid;
            return true;
        }
    }
    return false;
}

/* Where the first word of this name stands outside of parentheses; the text's end if nowhere. */
static uint32_t find_word(const struct plan_input *in, const char *word, bool behind)
{
    struct lex lex;
    struct lex_token t;
    int depth = 0;
    lex_init(&lex, in->sql, in->env->nonstandard_strings);
    for (lex_next(&lex, &t); t.kind != LEX_END; lex_next(&lex, &t)) {
        if (t.kind == LEX_PUNCT)
            depth += (*t.start == '(') - (*t.start == ')');
        if (depth == 0 && t.kind == LEX_WORD && (size_t)(t.end - t.start) == strlen(word) &&
            strncasecmp((const char *)t.start, word, strlen(word)) == 0)
            break;
    }
    return (uint32_t)((const char *)(behind ? t.end : t.start) - in->sql.ptr);
}

bool utility_prepare_plan(const struct plan_input *in, const PgQuery__PrepareStmt *stmt, struct plan_result *out,
                          struct err *e)
{
    struct plan_session *s = session_plan(out, SESSION_PREPARE, stmt->name);
    uint32_t *oids = ARENA_ARRAY(plan_arena(out->plan), uint32_t, stmt->n_argtypes);
    for (size_t i = 0; i < stmt->n_argtypes; i++) {
        if (type_number(in, stmt->argtypes[i]->type_name, &oids[i]))
            continue;
        plan_unref(out->plan);
        out->plan = NULL;
        err_set(e, PB0313, "PREPARE with parameter %zu of this type is not supported", i + 1);
        err_detail(e, "The type is not one of PostgreSQL's own: it has another number on each shard.");
        return err_hint(e, "Leave the types out, and write the parameter with a cast in the statement: $1::type.");
    }
    s->ntype = (uint32_t)stmt->n_argtypes;
    s->types = oids;
    s->from = find_word(in, "as", true);
    out->cacheable = false; /* the statement's literals are in the text */
    return true;
}

/* A constant; false: it is something else. */
static bool read_constant(const PgQuery__AConst *c, struct arena *a, struct execute_arg *arg)
{
    if (c->isnull)
        return true;
    switch ((int)c->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        arg->kind = ARG_INTEGER;
        arg->text = arena_printf(a, "%d", c->ival->ival);
        return true;
    case PG_QUERY__A__CONST__VAL_FVAL:
        arg->text = arena_strdup(a, tree_str(c->fval->fval));
        arg->kind =
            strspn(arg->text, "-0123456789") == strlen(arg->text) && strlen(arg->text) < 19 ? ARG_INTEGER : ARG_NUMERIC;
        return true;
    case PG_QUERY__A__CONST__VAL_SVAL:
        arg->kind = ARG_STRING;
        arg->text = arena_strdup(a, tree_str(c->sval->sval));
        return true;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        arg->kind = ARG_BOOLEAN;
        arg->text = c->boolval->boolval ? "true" : "false";
        return true;
    default:
        return false;
    }
}

static bool is_string_type(uint32_t oid)
{
    return oid == TYPE_TEXT || oid == TYPE_VARCHAR;
}

static bool read_arg(const struct plan_input *in, const PgQuery__Node *n, struct arena *a, struct execute_arg *arg)
{
    *arg = (struct execute_arg){ .kind = ARG_NULL };
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return read_constant(n->a_const, a, arg);
    if (n->node_case != PG_QUERY__NODE__NODE_TYPE_CAST || !n->type_cast->arg ||
        n->type_cast->arg->node_case != PG_QUERY__NODE__NODE_A_CONST || n->type_cast->type_name->n_typmods ||
        !type_number(in, n->type_cast->type_name, &arg->cast) || arg->cast == 0 ||
        !read_constant(n->type_cast->arg->a_const, a, arg))
        return false;
    /* TRUE and FALSE are casts to bool in older grammars; a constant of another type must be one that its own cast
     * leaves as it is written. */
    return arg->kind == ARG_NULL || arg->kind == ARG_STRING || execute_value_fits(arg, arg->cast);
}

bool execute_value_fits(const struct execute_arg *arg, uint32_t type)
{
    if (arg->kind == ARG_NULL)
        return arg->cast == 0 || arg->cast == type;
    if (arg->cast && arg->cast != type && !(is_string_type(arg->cast) && is_string_type(type)))
        return false;
    switch (arg->kind) {
    case ARG_NULL:
    case ARG_STRING:
        return true;
    case ARG_INTEGER:
        return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_NUMERIC ||
               type == TYPE_FLOAT4 || type == TYPE_FLOAT8 || is_string_type(type) || type == TYPE_BPCHAR;
    case ARG_NUMERIC:
        return type == TYPE_NUMERIC || type == TYPE_FLOAT4 || type == TYPE_FLOAT8;
    case ARG_BOOLEAN:
        return type == TYPE_BOOL;
    }
    BUG_ON(true);
}

static struct plan_session *execute_plan(const struct plan_input *in, const PgQuery__ExecuteStmt *stmt,
                                         struct plan_result *out, struct err *e)
{
    struct plan_session *s = session_plan(out, SESSION_EXECUTE, stmt->name);
    struct arena *a = plan_arena(out->plan);
    struct execute_arg *args = ARENA_ARRAY(a, struct execute_arg, stmt->n_params);
    for (size_t i = 0; i < stmt->n_params; i++) {
        if (read_arg(in, stmt->params[i], a, &args[i]))
            continue;
        plan_unref(out->plan);
        out->plan = NULL;
        err_set(e, PB0313, "argument %zu of EXECUTE is not a constant", i + 1);
        err_detail(e, "The router gives the values to the shards without evaluating anything.");
        err_hint(e, "Give the value itself, or use prepared statements of the protocol.");
        return NULL;
    }
    s->narg = (uint32_t)stmt->n_params;
    s->args = args;
    out->cacheable = false;
    return s;
}

bool utility_execute_plan(const struct plan_input *in, const PgQuery__ExecuteStmt *stmt, struct plan_result *out,
                          struct err *e)
{
    return execute_plan(in, stmt, out, e);
}

bool utility_explain_execute_plan(const struct plan_input *in, const PgQuery__ExecuteStmt *stmt,
                                  struct plan_result *out, struct err *e)
{
    struct plan_session *s = execute_plan(in, stmt, out, e);
    if (!s)
        return false;
    /* EXPLAIN and its options stand before it. */
    s->explain = find_word(in, "execute", false);
    return true;
}
