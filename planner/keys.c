/*
 * Conditions to facts and edges.
 *
 * A condition that a row must satisfy restricts a column of an occurrence wherever that occurrence stands below it: the
 * rows of the occurrence that do not satisfy it appear only in joined rows that the condition drops, and replacing them
 * by NULLs (an outer join in between) gives rows that it drops as well, since "=" is strict. So an occurrence may be
 * replaced by its rows with the key values of the fact, and the answer stays the same.
 */
#include "planner/analyse_int.h"

#include <string.h>

/* A constant condition found in an expression. */
struct found {
    struct found *next;
    int variable;
    enum key_type type;
    uint32_t nvalue;
    struct key_value *values;
    uint32_t tuple;
};

struct context {
    struct an *an;
    const struct scope *s;
    struct region dropped;
    bool edges; /* equalities of columns count: not inside OR */
};

static bool in_region(struct region r, int v)
{
    return v >= r.first && v < r.end;
}

/* The type of a variable that a key comparison can be proved for. */
static bool key_variable(const struct an *an, int v, enum key_type *type)
{
    return v != NO_COLUMN && !an->vars[v].nondeterministic && key_type_of_oid(an->vars[v].type, type);
}

void equality_add(struct an *an, struct region dropped, int a, int b)
{
    enum key_type ta, tb;
    if (!key_variable(an, a, &ta) || !key_variable(an, b, &tb) || key_family(ta) != key_family(tb) ||
        !equality_builtin(an->in, ta, tb))
        return;
    if (in_region(dropped, b))
        edge_add(an, a, b);
    if (in_region(dropped, a))
        edge_add(an, b, a);
}

static int column_of(const struct context *c, const PgQuery__Node *n)
{
    bool found;
    if (!n || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NO_COLUMN;
    return scope_resolve(c->s, n->column_ref, &found);
}

/* A column that a constant condition can restrict here. */
static bool restricted_column(const struct context *c, const PgQuery__Node *n, int *variable, enum key_type *type)
{
    *variable = column_of(c, n);
    return key_variable(c->an, *variable, type) && in_region(c->dropped, *variable);
}

static struct found *found_add(const struct context *c, struct found ***end, int variable, enum key_type type,
                               uint32_t nvalue)
{
    struct found *f = ARENA_NEW(c->an->a, struct found);
    f->variable = variable;
    f->type = type;
    f->nvalue = nvalue;
    f->values = ARENA_ARRAY(c->an->a, struct key_value, nvalue);
    **end = f;
    *end = &f->next;
    return f;
}

static bool read_value(const struct context *c, const PgQuery__Node *n, enum key_type type, struct key_value *out)
{
    struct constant k;
    return constant_read(c->an->in, n, &k) && constant_compare(c->an->in, &k, type, out) &&
           equality_builtin(c->an->in, type, out->type);
}

/*
 * A parameter in it gets its type from this comparison. Not to be told of a list before all of its items are known to
 * be fit: another item may give the whole list another type.
 */
static void value_used(const struct context *c, const PgQuery__Node *n, enum key_type type)
{
    struct constant k;
    if (constant_read(c->an->in, n, &k))
        param_key_use(c->an, &k, type);
}

static void compare(const struct context *c, const PgQuery__Node *l, const PgQuery__Node *r, struct found ***end)
{
    int v;
    enum key_type type;
    struct key_value value;
    if (!l || !r)
        return;
    int a = column_of(c, l), b = column_of(c, r);
    if (a != NO_COLUMN && b != NO_COLUMN) {
        if (c->edges)
            equality_add(c->an, c->dropped, a, b);
        return;
    }
    if (restricted_column(c, r, &v, &type)) {
        const PgQuery__Node *swap = l;
        l = r;
        r = swap;
    }
    if (!restricted_column(c, l, &v, &type) || !read_value(c, r, type, &value))
        return;
    value_used(c, r, type);
    found_add(c, end, v, type, 1)->values[0] = value;
}

/*
 * (a, b) = (c, d) is a = c AND b = d, but for rows inside rows: those are compared whole, and there NULL equals NULL.
 */
static void compare_operands(const struct context *c, const PgQuery__Node *l, const PgQuery__Node *r,
                             struct found ***end)
{
    if (!l || !r || l->node_case != PG_QUERY__NODE__NODE_ROW_EXPR || r->node_case != PG_QUERY__NODE__NODE_ROW_EXPR) {
        compare(c, l, r, end);
        return;
    }
    const PgQuery__RowExpr *a = l->row_expr, *b = r->row_expr;
    if (a->n_args != b->n_args || tree_has_star(a->n_args, a->args) || tree_has_star(b->n_args, b->args))
        return;
    for (size_t i = 0; i < a->n_args; i++)
        compare(c, a->args[i], b->args[i], end);
}

/* k IN (a, b, c): PostgreSQL gives the list one common type; when every item alone is fit, so is the common type. */
static void in_list(const struct context *c, const PgQuery__Node *l, const PgQuery__List *list, struct found ***end)
{
    int v;
    enum key_type type;
    if (!restricted_column(c, l, &v, &type))
        return;
    struct key_value *values = ARENA_ARRAY(c->an->a, struct key_value, list->n_items);
    for (size_t i = 0; i < list->n_items; i++)
        if (!read_value(c, list->items[i], type, &values[i]))
            return;
    for (size_t i = 0; i < list->n_items; i++)
        value_used(c, list->items[i], type);
    found_add(c, end, v, type, (uint32_t)list->n_items)->values = values;
}

/* (a, b) IN ((1, 2), (3, 4)) */
static void in_rows(const struct context *c, const PgQuery__RowExpr *l, const PgQuery__List *list, struct found ***end)
{
    uint32_t tuple = ++c->an->tuples;
    if (tree_has_star(l->n_args, l->args))
        return;
    for (size_t i = 0; i < list->n_items; i++) {
        const PgQuery__Node *row = list->items[i];
        if (row->node_case != PG_QUERY__NODE__NODE_ROW_EXPR || row->row_expr->n_args != l->n_args ||
            tree_has_star(l->n_args, row->row_expr->args))
            return;
    }
    for (size_t col = 0; col < l->n_args; col++) {
        int v;
        enum key_type type;
        size_t i = 0;
        if (!restricted_column(c, l->args[col], &v, &type))
            continue;
        struct key_value *values = ARENA_ARRAY(c->an->a, struct key_value, list->n_items);
        while (i < list->n_items && read_value(c, list->items[i]->row_expr->args[col], type, &values[i]))
            i++;
        if (i < list->n_items)
            continue;
        for (i = 0; i < list->n_items; i++)
            value_used(c, list->items[i]->row_expr->args[col], type);
        struct found *f = found_add(c, end, v, type, (uint32_t)list->n_items);
        f->values = values;
        f->tuple = tuple;
    }
}

static bool element_read(const struct context *c, const PgQuery__Node *n, const struct constant *whole,
                         struct constant *k)
{
    if (!constant_read(c->an->in, n, k))
        return false;
    if (whole && !k->cast) {
        k->cast = true;
        k->cast_type = whole->cast_type;
    }
    return true;
}

/*
 * k = ANY (ARRAY[...]): the array's type comes from its elements alone, so untyped ones are text; a cast of the whole
 * is a cast of each element.
 */
static void any_array(const struct context *c, int v, enum key_type type, const PgQuery__AArrayExpr *array,
                      const PgQuery__TypeCast *cast, struct found ***end)
{
    struct constant whole;
    const PgQuery__Node null_of_type = { .node_case = PG_QUERY__NODE__NODE_TYPE_CAST,
                                         .type_cast = &(PgQuery__TypeCast){
                                             .arg = &(PgQuery__Node){ .node_case = PG_QUERY__NODE__NODE_A_CONST,
                                                                      .a_const = &(PgQuery__AConst){ .isnull = true } },
                                             .type_name = cast ? cast->type_name : NULL } };
    if (cast && (!constant_read(c->an->in, &null_of_type, &whole) || !whole.cast_array))
        return;
    struct key_value *values = ARENA_ARRAY(c->an->a, struct key_value, array->n_elements);
    for (size_t i = 0; i < array->n_elements; i++) {
        struct constant k;
        if (!element_read(c, array->elements[i], cast ? &whole : NULL, &k))
            return;
        bool untyped = !k.cast && (k.kind == CONSTANT_STRING || constant_untyped(c->an->in, &k));
        if (untyped && key_family(type) != FAMILY_STRING)
            return;
        if (!constant_compare(c->an->in, &k, type, &values[i]) || !equality_builtin(c->an->in, type, values[i].type))
            return;
    }
    for (size_t i = 0; i < array->n_elements; i++) {
        struct constant k;
        if (element_read(c, array->elements[i], cast ? &whole : NULL, &k))
            param_key_use(c->an, &k, type);
    }
    found_add(c, end, v, type, (uint32_t)array->n_elements)->values = values;
}

static void any(const struct context *c, const PgQuery__Node *l, const PgQuery__Node *r, struct found ***end)
{
    int v;
    enum key_type type;
    struct constant k;
    struct key_value value;
    if (!r || !restricted_column(c, l, &v, &type))
        return;
    if (r->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        any_array(c, v, type, r->a_array_expr, NULL, end);
        return;
    }
    if (r->node_case == PG_QUERY__NODE__NODE_TYPE_CAST && r->type_cast->arg &&
        r->type_cast->arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        any_array(c, v, type, r->type_cast->arg->a_array_expr, r->type_cast, end);
        return;
    }
    if (!constant_read(c->an->in, r, &k) || !constant_compare_array(c->an->in, &k, type, &value) ||
        !equality_builtin(c->an->in, type, value.type))
        return;
    param_key_use(c->an, &k, type);
    found_add(c, end, v, type, 1)->values[0] = value;
}

/*
 * k IN (SELECT x ...): rows are kept where k equals some x, so k has x's values; and of the sub-query's rows only those
 * with x = k matter. (Only as a condition: elsewhere, as in NOT IN, a NULL among the other rows would count.)
 */
static void any_sublink(const struct context *c, const PgQuery__SubLink *link)
{
    const struct collist *q = query_of_sublink(c->an, link);
    const PgQuery__Node *test = link->testexpr;
    if (!q || !test || q->open || (link->n_oper_name && !tree_name_is(link->n_oper_name, link->oper_name, "=")))
        return;
    bool row = test->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    if (row && tree_has_star(test->row_expr->n_args, test->row_expr->args))
        return;
    size_t n = row ? test->row_expr->n_args : 1;
    for (size_t i = 0; i < n && n == q->n; i++) {
        int a = column_of(c, row ? test->row_expr->args[i] : test), inner = q->cols[i].variable;
        if (a == NO_COLUMN || inner == NO_COLUMN)
            continue;
        int x = variable_derived(c->an, inner);
        edge_add(c->an, inner, x);
        if (q->cols[i].pushable)
            edge_add(c->an, x, inner);
        equality_add(c->an, (struct region){ x, x + 1 }, a, x);
        if (in_region(c->dropped, a))
            equality_add(c->an, (struct region){ a, a + 1 }, x, a);
    }
}

static void collect(const struct context *c, const PgQuery__Node *n, struct found ***end);

/* a OR b: a column restricted by both has either's values. */
static void collect_or(const struct context *c, const PgQuery__BoolExpr *b, struct found ***end)
{
    struct context arm = *c;
    struct found **arms = ARENA_ARRAY(c->an->a, struct found *, b->n_args);
    arm.edges = false;
    for (size_t i = 0; i < b->n_args; i++) {
        struct found **arm_end = &arms[i];
        collect(&arm, b->args[i], &arm_end);
    }
    for (struct found *f = b->n_args ? arms[0] : NULL; f; f = f->next) {
        uint32_t total = 0;
        const struct found **same = ARENA_ARRAY(c->an->a, const struct found *, b->n_args);
        size_t i = 0;
        for (; i < b->n_args; i++) {
            const struct found *g = arms[i];
            while (g && g->variable != f->variable)
                g = g->next;
            if (!g)
                break;
            same[i] = g;
            total += g->nvalue;
        }
        if (i < b->n_args)
            continue;
        struct found *both = found_add(c, end, f->variable, f->type, total);
        uint32_t at = 0;
        for (i = 0; i < b->n_args; i++) {
            memcpy(both->values + at, same[i]->values, same[i]->nvalue * sizeof *both->values);
            at += same[i]->nvalue;
        }
    }
}

static void collect(const struct context *c, const PgQuery__Node *n, struct found ***end)
{
    if (!n)
        return;
    if (n->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR) {
        if (n->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
            for (size_t i = 0; i < n->bool_expr->n_args; i++)
                collect(c, n->bool_expr->args[i], end);
        else if (n->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR)
            collect_or(c, n->bool_expr, end);
        return;
    }
    if (n->node_case == PG_QUERY__NODE__NODE_SUB_LINK) {
        if (n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK && c->edges)
            any_sublink(c, n->sub_link);
        return;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_A_EXPR || !tree_name_is(n->a_expr->n_name, n->a_expr->name, "="))
        return;
    const PgQuery__AExpr *x = n->a_expr;
    if (x->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP)
        compare_operands(c, x->lexpr, x->rexpr, end);
    else if (x->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY)
        any(c, x->lexpr, x->rexpr, end);
    else if (x->kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN && x->lexpr && x->rexpr &&
             x->rexpr->node_case == PG_QUERY__NODE__NODE_LIST) {
        if (x->lexpr->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
            in_rows(c, x->lexpr->row_expr, x->rexpr->list, end);
        else
            in_list(c, x->lexpr, x->rexpr->list, end);
    }
}

void condition_add(struct an *an, const struct scope *s, struct region dropped, const PgQuery__Node *cond)
{
    const struct context c = { .an = an, .s = s, .dropped = dropped, .edges = true };
    struct found *list = NULL, **end = &list;
    collect(&c, cond, &end);
    for (const struct found *f = list; f; f = f->next) {
        struct fact *fact = fact_new(an, f->variable, f->type, f->nvalue);
        fact->values = f->values;
        fact->tuple = f->tuple;
    }
}

bool key_assign(struct an *an, const PgQuery__Node *expr, enum key_type type, struct key_value *out)
{
    struct constant k;
    if (!constant_read(an->in, expr, &k) || !constant_assign(an->in, &k, type, out))
        return false;
    param_key_use(an, &k, type);
    return true;
}
