/*
 * Grouping sets. GROUP BY is multiplied out to a list of sets of groups, as PostgreSQL does it: each item is a list of
 * sets, and of several items each combination is one. A set that comes twice gives its rows twice; partial rows of both
 * could not be told apart, so that is left alone.
 */
#include "planner/finish_int.h"
#include "planner/same.h"
#include "planner/typing.h"

#include <string.h>

enum { MAX_GROUPS = 31 /* arguments of GROUPING() */, MAX_SETS = 64 };

struct sets {
    uint32_t n, v[MAX_SETS];
};

struct expansion {
    struct finish *f;
    bool no;
};

bool finish_has_sets(const PgQuery__SelectStmt *q)
{
    bool has = false;
    for (size_t i = 0; i < q->n_group_clause; i++)
        has |= q->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET ||
               q->group_clause[i]->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
    return has;
}

static void add_set(struct expansion *x, struct sets *s, uint32_t set)
{
    if (s->n == MAX_SETS)
        x->no = true;
    else
        s->v[s->n++] = set;
}

/* --- which groups are different ones --- */

struct columns {
    const struct finish *f;
    bool *hit;    /* by variable */
    bool unknown; /* there are others */
    bool any;
};

static void columns_visit(const ProtobufCMessage *m, void *arg)
{
    struct columns *c = arg;
    bool found;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        int v = scope_resolve(c->f->s, (const PgQuery__ColumnRef *)(const void *)m, &found);
        c->any = true;
        if (!found || v == NO_COLUMN || c->f->an->vars[v].mixed)
            c->unknown = true;
        else
            c->hit[v] = true;
        return;
    }
    tree_children(m, columns_visit, arg);
}

static struct columns columns_of(const struct finish *f, const PgQuery__Node *n)
{
    struct columns c = { .f = f, .hit = ARENA_ARRAY(f->an->a, bool, f->an->nvar + 1) };
    if (tree_message(n))
        columns_visit(tree_message(n), &c);
    return c;
}

/* Calls of two functions, or of one of these with another word: extract(year FROM at), extract(month FROM at). */
static bool calls_differ(const struct an *an, const PgQuery__FuncCall *a, const PgQuery__FuncCall *b)
{
    static const char *const names[] = { "extract", "date_part", "date_trunc", "to_char" };
    const char *name_a, *name_b;
    bool word = false;
    if (!is_catalog_function(an, a, &name_a) || !is_catalog_function(an, b, &name_b))
        return false;
    if (strcmp(name_a, name_b) != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        word |= strcmp(names[i], name_a) == 0;
    for (size_t i = 0; word && i < a->n_args && i < b->n_args; i++) {
        const PgQuery__Node *x = a->args[i], *y = b->args[i];
        if (x->node_case == PG_QUERY__NODE__NODE_A_CONST && y->node_case == PG_QUERY__NODE__NODE_A_CONST &&
            x->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
            y->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
            strcmp(tree_str(x->a_const->sval->sval), tree_str(y->a_const->sval->sval)) != 0)
            return true;
    }
    return false;
}

/*
 * Are they two expressions for PostgreSQL, too? That same_expression() says no is not enough: 1 and 01, a and a::text,
 * lower and pg_catalog.lower may be one. But what is about other columns is another one.
 */
static bool surely_differ(const struct finish *f, const PgQuery__Node *a, const PgQuery__Node *b)
{
    if (a->node_case == PG_QUERY__NODE__NODE_FUNC_CALL && b->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
        calls_differ(f->an, a->func_call, b->func_call))
        return true;
    struct columns ca = columns_of(f, a), cb = columns_of(f, b);
    if (ca.unknown || cb.unknown) /* then by name */
        return a->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && b->node_case == PG_QUERY__NODE__NODE_COLUMN_REF &&
               strcmp(tree_string(a->column_ref->fields[a->column_ref->n_fields - 1]),
                      tree_string(b->column_ref->fields[b->column_ref->n_fields - 1])) != 0;
    return memcmp(ca.hit, cb.hit, f->an->nvar * sizeof *ca.hit) != 0;
}

/* --- multiplying out --- */

static uint32_t group_bit(struct expansion *x, const PgQuery__Node *n, struct tokrange range)
{
    struct finish *f = x->f;
    uint32_t column = 0, i = 0;
    n = finish_group_item(f, n, &range, &column);
    if (!n || !columns_of(f, n).any) { /* a constant alone has another type in GROUPING() */
        x->no = true;
        return 0;
    }
    while (i < f->ngroup && f->groups[i] != n && !same_expression(f->an, f->s, f->groups[i], n)) {
        x->no |= !surely_differ(f, f->groups[i], n);
        i++;
    }
    if (i == MAX_GROUPS) {
        x->no = true;
        return 0;
    }
    if (i == f->ngroup) {
        f->groups[i] = n;
        f->group_ranges[i] = range;
        f->ngroup++;
    }
    return 1u << i;
}

/* The items in a pair of brackets that begins at token `open` and ends the range. */
static const struct tokrange *bracketed(struct expansion *x, struct tokrange r, uint32_t open, size_t n,
                                        PgQuery__Node *const *nodes)
{
    const struct clauses *c = &x->f->c;
    const struct tokrange inner = { open + 1, r.end - 1 };
    const struct tokrange *items = NULL;
    if (open < r.end && token_is(&c->ts, open, "(") && token_closing(&c->ts, open) == r.end - 1 &&
        inner.first < inner.end)
        items = clauses_items(x->f->an, c, inner, c->ts.v[open].depth + 1, n, nodes);
    x->no |= !items;
    return items;
}

/* An expression, or several in brackets that count as one. */
static uint32_t item_bits(struct expansion *x, const PgQuery__Node *n, struct tokrange r)
{
    uint32_t bits = 0;
    if (n->node_case != PG_QUERY__NODE__NODE_ROW_EXPR)
        return group_bit(x, n, r);
    const PgQuery__RowExpr *row = n->row_expr;
    const struct tokrange *items = bracketed(x, r, r.first, row->n_args, row->args);
    for (size_t i = 0; i < row->n_args && !x->no; i++)
        bits |= item_bits(x, row->args[i], items[i]);
    return bits;
}

static void rollup(struct expansion *x, size_t n, const uint32_t *items, struct sets *out)
{
    for (size_t len = n + 1; len-- > 0;) {
        uint32_t set = 0;
        for (size_t i = 0; i < len; i++)
            set |= items[i];
        add_set(x, out, set);
    }
}

static void cube(struct expansion *x, size_t n, const uint32_t *items, struct sets *out)
{
    for (uint32_t chosen = 0; chosen < 1u << n && !x->no; chosen++) {
        uint32_t set = 0;
        for (size_t i = 0; i < n; i++)
            set |= chosen & 1u << i ? items[i] : 0;
        add_set(x, out, set);
    }
}

static void expand(struct expansion *x, const PgQuery__Node *n, struct tokrange r, struct sets *out)
{
    uint32_t bits[MAX_GROUPS];
    if (n->node_case != PG_QUERY__NODE__NODE_GROUPING_SET) {
        add_set(x, out, item_bits(x, n, r));
        return;
    }
    const PgQuery__GroupingSet *g = n->grouping_set;
    if (g->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY) {
        add_set(x, out, 0);
        return;
    }
    bool sets = g->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_SETS;
    const struct tokrange *items = bracketed(x, r, r.first + (sets ? 2 : 1), g->n_content, g->content);
    x->no |= !sets && g->n_content > (g->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE ? 6 : MAX_GROUPS);
    for (size_t i = 0; i < g->n_content && !x->no; i++) {
        if (sets)
            expand(x, g->content[i], items[i], out);
        else
            bits[i] = item_bits(x, g->content[i], items[i]);
    }
    if (x->no || sets)
        return;
    if (g->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP)
        rollup(x, g->n_content, bits, out);
    else if (g->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE)
        cube(x, g->n_content, bits, out);
    else
        x->no = true;
}

static void multiply(struct expansion *x, struct sets *all, const struct sets *by)
{
    const struct sets old = *all;
    all->n = 0;
    for (uint32_t i = 0; i < old.n; i++)
        for (uint32_t k = 0; k < by->n; k++)
            add_set(x, all, old.v[i] | by->v[k]);
}

static bool any_twice(const struct sets *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (s->v[i] == s->v[k])
                return true;
    return false;
}

bool finish_find_sets(struct finish *f)
{
    struct expansion x = { .f = f };
    struct sets all = { .n = 1 };
    f->groups = ARENA_ARRAY(f->an->a, const PgQuery__Node *, MAX_GROUPS);
    f->group_ranges = ARENA_ARRAY(f->an->a, struct tokrange, MAX_GROUPS);
    for (size_t i = 0; i < f->q->n_group_clause && !x.no; i++) {
        struct sets one = { 0 };
        expand(&x, f->q->group_clause[i], f->c.groups[i], &one);
        multiply(&x, &all, &one);
    }
    if (x.no || any_twice(&all) || f->ngroup == 0)
        return false;
    f->nset = all.n;
    f->sets = ARENA_ARRAY(f->an->a, uint32_t, all.n);
    for (uint32_t i = 0; i < all.n; i++)
        f->sets[i] = all.v[i];
    return true;
}

void finish_put_sets(const struct finish *f, struct text_builder *t)
{
    text_fixed(t, " GROUP BY GROUPING SETS (");
    for (uint32_t i = 0; i < f->nset; i++) {
        bool first = true;
        text_fixed(t, i ? ", (" : "(");
        for (uint32_t k = 0; k < f->ngroup; k++) {
            if (!(f->sets[i] & 1u << k))
                continue;
            text_printf(t, "%s%u", first ? "" : ", ", k + 1);
            first = false;
        }
        text_fixed(t, ")");
    }
    text_fixed(t, ")");
}
