/*
 * UPDATE, DELETE and MERGE: the target is one more item of FROM.
 */
#include "planner/analyse_int.h"

#include <string.h>

static const struct cat_column *column_named(const struct cat_rel *rel, const char *name)
{
    return catalog_column(rel, name);
}

static bool same_literal(const struct an *an, uint32_t a, uint32_t b)
{
    const struct literal *la = &an->in->lits->v[a], *lb = &an->in->lits->v[b];
    return span_eq(span_make(an->in->sql.ptr + la->off, la->len), span_make(an->in->sql.ptr + lb->off, lb->len));
}

static void pair_add(struct an *an, uint32_t a, uint32_t b)
{
    if (an->npair == an->pair_cap) {
        an->pair_cap = an->pair_cap ? an->pair_cap * 2 : 4;
        uint32_t(*v)[2] = arena_zalloc(an->a, an->pair_cap * sizeof *v);
        if (an->npair)
            memcpy(v, an->pairs, an->npair * sizeof *v);
        an->pairs = v;
    }
    an->pairs[an->npair][0] = a;
    an->pairs[an->npair++][1] = b;
}

/* The value that WHERE demands of the column already, so that the row stays where it is. */
static bool same_as_fact(struct an *an, int variable, const struct key_value *value)
{
    for (const struct fact_link *l = an->vars[variable].facts; l; l = l->next) {
        const struct key_value *bound = &l->fact->values[0];
        if (l->fact->nvalue != 1 || bound->source != value->source || bound->negate != value->negate)
            continue;
        if (value->source == VALUE_PARAM && bound->index == value->index)
            return true;
        if (value->source != VALUE_LITERAL)
            continue;
        pair_add(an, bound->index, value->index);
        if (same_literal(an, bound->index, value->index))
            return true;
    }
    return false;
}

static bool keeps_key(struct an *an, const struct scope *s, const struct occurrence *occ, const struct cat_column *col,
                      const PgQuery__Node *val)
{
    int variable = occ->first_variable + (int)(col - occ->rel->columns);
    bool found;
    struct key_value value;
    if (val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
        return scope_resolve(s, val->column_ref, &found) == variable;
    return key_assign(an, val, occ->rel->key_type[col->key], &value) && same_as_fact(an, variable, &value);
}

/* SET a = x: sub-queries, defaults, and no change of the sharding key (rule P44). */
static void set_clause(struct an *an, const struct scope *s, const struct occurrence *occ, size_t n,
                       PgQuery__Node *const *targets)
{
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *t = targets[i]->res_target;
        const struct cat_column *col = occ ? column_named(occ->rel, t->name) : NULL;
        if (!t->val)
            continue;
        if (t->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
            if (t->val->multi_assign_ref->colno == 1)
                query_expression(an, s, t->val->multi_assign_ref->source);
        } else {
            query_expression(an, s, t->val);
        }
        if (!col)
            continue;
        if (tree_assigned(t)->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT)
            default_fills(an, occ->rel, col);
        if (occ->rel->dist == DIST_UNSHARDED || col->key < 0 || keeps_key(an, s, occ, col, t->val) || an->failed)
            continue;
        an->failed = true;
        err_set(an->e, PB0201, "the sharding key \"%s\" of table \"%s\" cannot be updated", col->name, occ->rel->name);
        err_detail(an->e, "The new value may belong to another shard, and the row would have to move there.");
        err_hint(an->e, "Delete the row and insert it with the new key, in one transaction.");
    }
}

/* RETURNING shows new rows: what WHERE says about old ones holds for the sharding key only. */
static void returning(struct an *an, const struct scope *s, const struct occurrence *occ, size_t n,
                      PgQuery__Node *const *targets, struct collist *out)
{
    *out = (struct collist){ 0 };
    query_targets(an, s, n, targets, out);
    for (uint32_t i = 0; i < out->n; i++) {
        int v = out->cols[i].variable;
        if (!occ || v == NO_COLUMN || an->vars[v].occ != occ)
            continue;
        if (occ->rel->columns[v - occ->first_variable].key < 0)
            out->cols[i].variable = NO_COLUMN;
    }
}

void dml_update(struct an *an, const struct scope *parent, const PgQuery__UpdateStmt *u, bool linear,
                struct collist *out)
{
    struct scope *s = scope_new(an, parent);
    struct occurrence *occ;
    query_with(an, s, u->with_clause, false);
    struct region level = { .first = (int)an->nvar };
    scope_push_item(an, s, from_table(an, s, u->relation, USE_UPDATE, linear, &occ));
    for (size_t i = 0; i < u->n_from_clause; i++)
        scope_push_item(an, s, from_item(an, s, u->from_clause[i], false));
    level.end = (int)an->nvar;
    query_expression(an, s, u->where_clause);
    condition_add(an, s, level, u->where_clause);
    set_clause(an, s, occ, u->n_target_list, u->target_list);
    returning(an, s, occ, u->n_returning_list, u->returning_list, out);
}

void dml_delete(struct an *an, const struct scope *parent, const PgQuery__DeleteStmt *d, bool linear,
                struct collist *out)
{
    struct scope *s = scope_new(an, parent);
    query_with(an, s, d->with_clause, false);
    struct region level = { .first = (int)an->nvar };
    scope_push_item(an, s, from_table(an, s, d->relation, USE_DELETE, linear, NULL));
    for (size_t i = 0; i < d->n_using_clause; i++)
        scope_push_item(an, s, from_item(an, s, d->using_clause[i], false));
    level.end = (int)an->nvar;
    query_expression(an, s, d->where_clause);
    condition_add(an, s, level, d->where_clause);
    returning(an, s, NULL, d->n_returning_list, d->returning_list, out);
}

static void merge_insert(struct an *an, const struct scope *s, const struct cat_rel *rel,
                         const PgQuery__MergeWhenClause *w)
{
    size_t ncol = w->n_target_list ? w->n_target_list : rel->ncolumn;
    const struct cat_column **cols = ARENA_ARRAY(an->a, const struct cat_column *, ncol);
    for (size_t i = 0; i < ncol; i++)
        cols[i] = w->n_target_list ? column_named(rel, w->target_list[i]->res_target->name) : &rel->columns[i];
    PgQuery__Node *const *const rows[1] = { w->values };
    const size_t nexpr[1] = { w->n_values };
    assign_row(an, s, rel, ncol, cols, 1, rows, nexpr);
}

void dml_merge(struct an *an, const struct scope *parent, const PgQuery__MergeStmt *m)
{
    struct scope *s = scope_new(an, parent);
    struct occurrence *occ;
    cut_blocked(an, "MERGE");
    query_with(an, s, m->with_clause, false);
    struct region target = { .first = (int)an->nvar };
    scope_push_item(an, s, from_table(an, s, m->relation, USE_UPDATE, false, &occ));
    target.end = (int)an->nvar;
    scope_push_item(an, s, from_item(an, s, m->source_relation, false));
    query_expression(an, s, m->join_condition);
    /* The source is kept whole, as the left side of an outer join is: the condition says something of the target. */
    condition_add(an, s, target, m->join_condition);
    for (size_t i = 0; i < m->n_merge_when_clauses; i++) {
        const PgQuery__MergeWhenClause *w = m->merge_when_clauses[i]->merge_when_clause;
        query_expression(an, s, w->condition);
        query_expressions(an, s, w->n_values, w->values);
        if (w->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE)
            set_clause(an, s, occ, w->n_target_list, w->target_list);
        else if (w->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT && occ)
            merge_insert(an, s, occ->rel, w);
    }
}
