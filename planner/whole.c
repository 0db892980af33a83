#include "planner/whole.h"

#include "planner/figure.h"

#include <string.h>

static bool is_key(const struct occurrence *o, bool (*has)(const void *arg, int variable), const void *arg)
{
    if (!o->linear || o->rel->dist != DIST_SHARDED || o->rel->nkey == 0)
        return false;
    for (uint32_t k = 0; k < o->rel->nkey; k++)
        if (!has(arg, o->first_variable + (int)o->rel->key[k]))
            return false;
    return true;
}

static bool keyed(const struct whole *w, bool (*has)(const void *arg, int variable), const void *arg)
{
    for (uint32_t i = w->first; i < w->end; i++)
        if (is_key(w->an->occs[i], has, arg))
            return true;
    return false;
}

struct exprs {
    const struct whole *w;
    size_t n;
    const PgQuery__Node *const *v;
};

static bool exprs_have(const void *arg, int variable)
{
    const struct exprs *x = arg;
    for (size_t i = 0; i < x->n; i++) {
        bool found;
        if (!x->v[i] || x->v[i]->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
            continue;
        int v = scope_resolve(x->w->s, x->v[i]->column_ref, &found);
        if (found && v != NO_COLUMN && variable_root(x->w->an, v) == variable)
            return true;
    }
    return false;
}

bool whole_by(const struct whole *w, size_t n, const PgQuery__Node *const *exprs)
{
    struct exprs x = { w, n, exprs };
    return keyed(w, exprs_have, &x);
}

struct answer {
    const struct whole *w;
    const struct collist *out;
};

static bool answer_has(const void *arg, int variable)
{
    const struct answer *a = arg;
    for (uint32_t i = 0; i < a->out->n; i++) {
        int v = a->out->cols[i].variable;
        if (v != NO_COLUMN && variable_root(a->w->an, v) == variable)
            return true;
    }
    return false;
}

bool whole_answer(const struct whole *w, const struct collist *out)
{
    struct answer a = { w, out };
    return keyed(w, answer_has, &a);
}

/* --- windows --- */

struct windows {
    const struct whole *w;
    bool cut;
};

static void windows_visit(const ProtobufCMessage *m, void *arg)
{
    struct windows *x = arg;
    if (m->descriptor == &pg_query__sub_link__descriptor) {
        const PgQuery__Node *test = ((const PgQuery__SubLink *)(const void *)m)->testexpr;
        if (test)
            windows_visit(tree_message(test), arg);
        return;
    }
    if (m->descriptor == &pg_query__window_def__descriptor) {
        const PgQuery__WindowDef *d = (const PgQuery__WindowDef *)(const void *)m;
        x->cut |= *tree_str(d->name) || *tree_str(d->refname) ||
                  !whole_by(x->w, d->n_partition_clause, (const PgQuery__Node *const *)d->partition_clause);
    }
    tree_children(m, windows_visit, arg);
}

bool whole_windows(const struct whole *w, const PgQuery__SelectStmt *q)
{
    struct windows x = { .w = w, .cut = q->n_window_clause > 0 };
    for (size_t i = 0; i < q->n_target_list; i++)
        windows_visit(tree_message(q->target_list[i]), &x);
    for (size_t i = 0; i < q->n_sort_clause; i++)
        windows_visit(tree_message(q->sort_clause[i]), &x);
    for (size_t i = 0; tree_is_distinct_on(q) && i < q->n_distinct_clause; i++)
        windows_visit(tree_message(q->distinct_clause[i]), &x);
    return !x.cut;
}

/* --- levels below the top --- */

static bool has_star(const PgQuery__SelectStmt *q)
{
    for (size_t i = 0; i < q->n_target_list; i++)
        if (tree_is_star(q->target_list[i]->res_target->val))
            return true;
    return false;
}

const PgQuery__Node *whole_group_item(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q,
                                      const PgQuery__Node *n)
{
    const PgQuery__Node *hit = NULL;
    uint32_t literal;
    bool found;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        const PgQuery__AConst *c = n->a_const;
        if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_IVAL ||
            !literal_at(an->in->lits, c->location, &literal))
            return NULL;
        depend_on_value(an, literal);
        if (c->ival->ival < 1 || (size_t)c->ival->ival > q->n_target_list || has_star(q))
            return NULL;
        return q->target_list[c->ival->ival - 1]->res_target->val;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NULL;
    (void)scope_resolve(s, n->column_ref, &found);
    if (found || n->column_ref->n_fields != 1)
        return found ? n : NULL;
    for (size_t i = 0; i < q->n_target_list; i++) {
        const PgQuery__ResTarget *t = q->target_list[i]->res_target;
        if (tree_is_star(t->val) || strcmp(tree_str(figure_name(t)), tree_string(n->column_ref->fields[0])) != 0)
            continue;
        if (hit)
            return NULL;
        hit = t->val;
    }
    return hit;
}

static bool groups_whole(struct an *an, const struct whole *w, const PgQuery__SelectStmt *q)
{
    const PgQuery__Node **items = ARENA_ARRAY(an->a, const PgQuery__Node *, q->n_group_clause + 1);
    for (size_t i = 0; i < q->n_group_clause; i++) {
        if (q->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
            return false;
        items[i] = whole_group_item(an, w->s, q, q->group_clause[i]);
    }
    return whole_by(w, q->n_group_clause, items);
}

/* The column that an item of DISTINCT ON is: a number or a bare name is an output column's first. */
static int on_variable(struct an *an, const struct scope *s, const struct collist *out, const PgQuery__Node *n)
{
    uint32_t literal, matches = 0;
    const struct outcol *c = NULL;
    bool found;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        const PgQuery__AConst *k = n->a_const;
        if (out->open || k->isnull || k->val_case != PG_QUERY__A__CONST__VAL_IVAL ||
            !literal_at(an->in->lits, k->location, &literal))
            return NO_COLUMN;
        depend_on_value(an, literal);
        return k->ival->ival >= 1 && (uint32_t)k->ival->ival <= out->n ? out->cols[k->ival->ival - 1].variable
                                                                       : NO_COLUMN;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NO_COLUMN;
    if (n->column_ref->n_fields == 1) {
        if (out->open || out->unnamed)
            return NO_COLUMN;
        c = collist_find(out, tree_string(n->column_ref->fields[0]), &matches);
    }
    if (c)
        return matches == 1 ? c->variable : NO_COLUMN;
    int v = scope_resolve(s, n->column_ref, &found);
    return found ? v : NO_COLUMN;
}

struct ons {
    const struct an *an;
    size_t n;
    int *v;
};

static bool ons_have(const void *arg, int variable)
{
    const struct ons *x = arg;
    for (size_t i = 0; i < x->n; i++)
        if (x->v[i] != NO_COLUMN && variable_root(x->an, x->v[i]) == variable)
            return true;
    return false;
}

/* Have rows that DISTINCT ON takes for one the same key? */
static bool ons_whole(struct an *an, const struct whole *w, const PgQuery__SelectStmt *q, const struct collist *out)
{
    struct ons x = { an, q->n_distinct_clause, ARENA_ARRAY(an->a, int, q->n_distinct_clause) };
    for (size_t i = 0; i < x.n; i++)
        x.v[i] = on_variable(an, w->s, out, q->distinct_clause[i]);
    return keyed(w, ons_have, &x);
}

bool whole_level(struct an *an, const struct whole *w, const PgQuery__SelectStmt *q, const struct collist *out,
                 bool grouped)
{
    bool on = tree_is_distinct_on(q); /* the order says which row it keeps */
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE || (q->n_sort_clause && !on) || q->limit_count ||
        q->limit_offset || q->n_locking_clause || q->n_values_lists || q->group_distinct)
        return false;
    return (!grouped || groups_whole(an, w, q)) && whole_windows(w, q) &&
           (!q->n_distinct_clause || (on ? ons_whole(an, w, q, out) : whole_answer(w, out)));
}
