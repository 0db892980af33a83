/*
 * DISTINCT ON (a, b): of rows that agree in a and b the first in the order of ORDER BY, which has to begin with them,
 * in any order. Each shard keeps its own first rows, and of those the first is the answer's. What ORDER BY does not
 * have of them becomes a sort key behind it: which order rows come in that ORDER BY does not tell apart is PostgreSQL's
 * to choose.
 */
#include "planner/finish_int.h"
#include "planner/same.h"

#include <string.h>

/* PostgreSQL takes an expression for the first output column that is the same. */
static void find_output(struct finish *f, struct sort_item *item)
{
    bool found = false;
    int v = !item->output && item->expr->node_case == PG_QUERY__NODE__NODE_COLUMN_REF
                ? scope_resolve(f->s, item->expr->column_ref, &found)
                : NO_COLUMN;
    for (size_t i = 0; i < f->q->n_target_list && !item->output; i++) {
        const PgQuery__Node *val = f->q->target_list[i]->res_target->val;
        uint32_t end = i + 1 < f->q->n_target_list ? f->column[i + 1] : f->out->n;
        if (!tree_is_star(val)) {
            item->output = same_expression(f->an, f->s, val, item->expr);
            item->column = f->column[i];
        }
        for (uint32_t k = f->column[i]; tree_is_star(val) && k < end && found && v != NO_COLUMN && !item->output; k++) {
            item->output = f->out->cols[k].variable == v;
            item->column = k;
        }
    }
}

static bool same_item(const struct finish *f, const struct sort_item *a, const struct sort_item *b)
{
    if (a->output || b->output)
        return a->output && b->output && a->column == b->column;
    return same_expression(f->an, f->s, a->expr, b->expr);
}

bool finish_find_ons(struct finish *f)
{
    uint32_t nsort = f->nsort, covered = 0;
    struct sort_item *sorts = ARENA_ARRAY(f->an->a, struct sort_item, nsort + f->q->n_distinct_clause + 1);
    bool *done = ARENA_ARRAY(f->an->a, bool, f->q->n_distinct_clause + 1);
    f->non = (uint32_t)f->q->n_distinct_clause;
    f->ons = ARENA_ARRAY(f->an->a, struct sort_item, f->non + 1);
    if (nsort)
        memcpy(sorts, f->sorts, nsort * sizeof *sorts);
    f->sorts = sorts;
    for (uint32_t i = 0; i < nsort; i++)
        find_output(f, &sorts[i]);
    for (uint32_t i = 0; i < f->non; i++) {
        PgQuery__SortBy by = PG_QUERY__SORT_BY__INIT;
        by.node = f->q->distinct_clause[i];
        f->ons[i].range = f->c.ons[i];
        if (!finish_find_sort(f, &by, &f->ons[i]))
            return false;
        find_output(f, &f->ons[i]);
    }
    for (f->nkey = 0; covered < f->non && f->nkey < nsort; f->nkey++) {
        bool hit = false;
        for (uint32_t k = 0; k < f->non; k++) {
            if (!same_item(f, &f->ons[k], &sorts[f->nkey]))
                continue;
            covered += !done[k];
            hit = done[k] = true;
        }
        if (!hit)
            return false; /* PostgreSQL's error, or not known to be the same */
    }
    for (uint32_t k = 0; k < f->non; k++)
        if (!done[k])
            sorts[f->nsort++] = f->ons[k];
    f->nkey += f->nsort - nsort;
    return true;
}

bool finish_ons_whole(const struct finish *f, const struct whole *w)
{
    const PgQuery__Node **exprs = ARENA_ARRAY(f->an->a, const PgQuery__Node *, f->non + 1);
    for (uint32_t i = 0; i < f->non; i++)
        exprs[i] = f->ons[i].expr;
    return whole_by(w, f->non, exprs);
}
