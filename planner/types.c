#include "planner/types.h"

#include "planner/analyse.h"
#include "planner/catalog_int.h"
#include "planner/plan_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum key_family key_family(enum key_type type)
{
    switch (type) {
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
        return FAMILY_INT;
    case KEY_TEXT:
    case KEY_VARCHAR:
        return FAMILY_STRING;
    case KEY_BPCHAR:
        return FAMILY_BPCHAR;
    case KEY_UUID:
        return FAMILY_UUID;
    case KEY_NUMERIC:
        return FAMILY_NUMERIC;
    case KEY_TIMESTAMP:
        return FAMILY_TIMESTAMP;
    case KEY_DATE:
        return FAMILY_DATE;
    case KEY_TYPE_COUNT:
        break;
    }
    BUG_ON(true);
}

static bool type_by_name(const PgQuery__TypeName *t, enum key_type *type)
{
    static const struct {
        const char *name;
        enum key_type type;
    } names[] = {
        { "int2", KEY_INT2 }, { "int4", KEY_INT4 },           { "int8", KEY_INT8 },     { "text", KEY_TEXT },
        { "uuid", KEY_UUID }, { "varchar", KEY_VARCHAR },     { "bpchar", KEY_BPCHAR }, { "numeric", KEY_NUMERIC },
        { "date", KEY_DATE }, { "timestamp", KEY_TIMESTAMP },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (tree_name_is(t->n_names, t->names, names[i].name)) {
            *type = names[i].type;
            return true;
        }
    }
    return false;
}

/* The type of an array type. */
static bool array_element(uint32_t oid, enum key_type *type)
{
    static const struct {
        uint32_t array;
        enum key_type element;
    } arrays[] = {
        { 1005, KEY_INT2 },   { 1007, KEY_INT4 }, { 1016, KEY_INT8 },    { 1009, KEY_TEXT }, { 1015, KEY_VARCHAR },
        { 1014, KEY_BPCHAR }, { 2951, KEY_UUID }, { 1231, KEY_NUMERIC }, { 1182, KEY_DATE }, { 1115, KEY_TIMESTAMP },
    };
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++) {
        if (arrays[i].array == oid) {
            *type = arrays[i].element;
            return true;
        }
    }
    return false;
}

/* A Float of digits only is an integer too big for int4. Without its sign, as the lexer types it (lex.h). */
static bool is_int8(const char *text)
{
    char *end;
    text += *text == '-';
    errno = 0;
    (void)strtoll(text, &end, 10);
    return errno == 0 && *end == 0 && end > text && strspn(text, "0123456789") == strlen(text);
}

static bool read_const(const struct plan_input *in, const PgQuery__AConst *c, struct constant *out)
{
    if (c->isnull) {
        out->kind = CONSTANT_NULL;
        return true;
    }
    switch (c->val_case) {
    case PG_QUERY__A__CONST__VAL_IVAL:
        out->kind = CONSTANT_INTEGER;
        return literal_number_at(in->sql, in->lits, c->location, &out->index, &out->negate);
    case PG_QUERY__A__CONST__VAL_FVAL:
        out->kind = is_int8(tree_str(c->fval->fval)) ? CONSTANT_INTEGER : CONSTANT_NUMERIC;
        return literal_number_at(in->sql, in->lits, c->location, &out->index, &out->negate);
    case PG_QUERY__A__CONST__VAL_SVAL:
        out->kind = CONSTANT_STRING;
        return literal_at(in->lits, c->location, &out->index);
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
    case PG_QUERY__A__CONST__VAL_BSVAL:
    case PG_QUERY__A__CONST__VAL__NOT_SET:
    case _PG_QUERY__A__CONST__VAL__CASE_IS_INT_SIZE:
        break;
    }
    return false;
}

bool constant_read(const struct plan_input *in, const PgQuery__Node *n, struct constant *out)
{
    *out = (struct constant){ .kind = CONSTANT_NULL };
    if (!n)
        return false;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return read_const(in, n->a_const, out);
    if (n->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
        out->kind = CONSTANT_PARAM;
        out->index = (uint32_t)n->param_ref->number;
        return n->param_ref->number > 0;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_TYPE_CAST)
        return false;
    const PgQuery__TypeName *t = n->type_cast->type_name;
    if (!constant_read(in, n->type_cast->arg, out) || out->cast || !t || t->setof || t->pct_type || t->n_typmods)
        return false;
    out->cast = true;
    out->cast_array = t->n_array_bounds > 0;
    return type_by_name(t, &out->cast_type);
}

static uint32_t declared_type(const struct plan_input *in, uint32_t number)
{
    return number <= in->ntype ? in->types[number - 1] : 0;
}

bool constant_untyped(const struct plan_input *in, const struct constant *c)
{
    return c->kind == CONSTANT_PARAM && declared_type(in, c->index) == 0;
}

/* A parameter's type: as declared, else as cast, else the column's. A declared one that is cast as well is converted
 * by the server in ways that are not redone here, unless both are of one family. */
static bool param_type(const struct plan_input *in, const struct constant *c, enum key_type column, bool array,
                       enum key_type *type)
{
    uint32_t oid = declared_type(in, c->index);
    *type = c->cast ? c->cast_type : column;
    if (oid == 0)
        return true;
    if (!(array ? array_element(oid, type) : key_type_of_oid(oid, type)))
        return false;
    return !c->cast || key_family(c->cast_type) == key_family(*type);
}

bool constant_compare(const struct plan_input *in, const struct constant *c, enum key_type column,
                      struct key_value *out)
{
    enum key_family family = key_family(column);
    enum key_type type = c->cast ? c->cast_type : column;
    if (c->cast && (c->cast_array || key_family(c->cast_type) != family))
        return false;
    *out = (struct key_value){ .source = VALUE_LITERAL, .type = type, .index = c->index, .negate = c->negate };
    switch (c->kind) {
    case CONSTANT_NULL:
        out->source = VALUE_NULL;
        out->index = 0;
        return true;
    case CONSTANT_STRING:
        return true;
    case CONSTANT_INTEGER:
        if (!c->cast && family == FAMILY_INT)
            out->type = KEY_INT8; /* int4 or int8 by its size: one hash */
        return family == FAMILY_INT || family == FAMILY_NUMERIC;
    case CONSTANT_NUMERIC:
        return family == FAMILY_NUMERIC;
    case CONSTANT_PARAM:
        out->source = VALUE_PARAM;
        return param_type(in, c, column, false, &out->type) && key_family(out->type) == family;
    }
    return false;
}

bool constant_compare_array(const struct plan_input *in, const struct constant *c, enum key_type column,
                            struct key_value *out)
{
    enum key_family family = key_family(column);
    if (c->cast && (!c->cast_array || key_family(c->cast_type) != family))
        return false;
    *out = (struct key_value){ .type = c->cast ? c->cast_type : column, .index = c->index };
    switch (c->kind) {
    case CONSTANT_NULL:
        out->source = VALUE_NULL;
        out->index = 0;
        return true;
    case CONSTANT_STRING:
        out->source = VALUE_LITERAL_ARRAY;
        return true;
    case CONSTANT_PARAM:
        out->source = VALUE_PARAM_ARRAY;
        return param_type(in, c, column, true, &out->type) && key_family(out->type) == family;
    case CONSTANT_INTEGER:
    case CONSTANT_NUMERIC:
        break;
    }
    return false;
}

static bool is_polymorphic(uint32_t oid)
{
    static const uint32_t oids[] = { 2276, 2277, 2283, 2776, 3500, 3831, 4537, 5077, 5078, 5079, 5080, 4538 };
    for (size_t i = 0; i < ARRAY_LEN(oids); i++)
        if (oids[i] == oid)
            return true;
    return false;
}

/* Types that an argument of the key's family might be taken for while operators are chosen. */
static bool is_near(enum key_family family, uint32_t oid)
{
    static const uint32_t strings[] = { 25, 1043, 1042, 19, 18, 705, 0 };
    static const uint32_t numbers[] = { 1700, 20, 21, 23, 700, 701, 705, 0 };
    const uint32_t *near = family == FAMILY_STRING ? strings : numbers;
    for (; *near; near++)
        if (*near == oid)
            return true;
    return is_polymorphic(oid);
}

bool constant_assign(const struct plan_input *in, const struct constant *c, enum key_type column, struct key_value *out)
{
    /* The assignment cast from the column's own family is the identity but for typmod and range, which the hash with
     * VHASH_ASSIGN knows; an integer becomes its digits in a string column. */
    if (c->kind == CONSTANT_INTEGER && !c->cast && key_family(column) == FAMILY_STRING) {
        const struct cat_cast *casts;
        for (uint32_t i = catalog_casts(in->cat, &casts); i-- > 0;)
            if (is_near(FAMILY_NUMERIC, casts[i].source) && is_near(FAMILY_STRING, casts[i].target))
                return false;
        *out = (struct key_value){ .source = VALUE_LITERAL, .type = KEY_INT8, .index = c->index, .negate = c->negate };
        return true;
    }
    if (c->cast && !env_catalog_first(in->env)) /* the type of that name may be another */
        return false;
    return constant_compare(in, c, column, out);
}

/*
 * An operator of pg_catalog that takes exactly the operand types is found first in the search path, with pg_catalog at
 * its head: nobody can be before it, and an untyped constant counts as the other side's type. There is one for two
 * equal types and among the integers. varchar has none of its own and numeric none with an integer: there PostgreSQL
 * compares candidates of all schemas, so any user operator or implicit cast near these types voids the proof.
 */
bool equality_builtin(const struct plan_input *in, enum key_type a, enum key_type b)
{
    const struct cat_operator *ops;
    const struct cat_cast *casts;
    enum key_family family = key_family(a);
    if (in->env->odd_parse_settings || !env_catalog_first(in->env))
        return false;
    bool exact = family == FAMILY_INT || (a == b && a != KEY_VARCHAR && a != KEY_NUMERIC);
    if (exact)
        return true;
    uint32_t n = catalog_operators(in->cat, &ops);
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(ops[i].name, "=") == 0 && (is_near(family, ops[i].left) || is_near(family, ops[i].right)))
            return false;
    n = catalog_casts(in->cat, &casts);
    for (uint32_t i = 0; i < n; i++)
        if (casts[i].implicit && is_near(family, casts[i].source))
            return false;
    return true;
}
