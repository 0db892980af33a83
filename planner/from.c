/*
 * FROM: which tables a level reads, under which names, and what its joins say about their columns.
 */
#include "planner/analyse_int.h"

#include <string.h>

/* alias(a, b): the first columns get new names. Columns that are not known cannot be counted. */
static void rename_columns(struct an *an, struct collist *l, const PgQuery__Alias *alias)
{
    if (!alias || alias->n_colnames == 0)
        return;
    if (l->open) {
        *l = (struct collist){ .open = true };
        return;
    }
    struct outcol *cols = ARENA_ARRAY(an->a, struct outcol, l->n);
    for (uint32_t i = 0; i < l->n; i++) {
        cols[i] = l->cols[i];
        if (i < alias->n_colnames)
            cols[i].name = tree_string(alias->colnames[i]);
    }
    l->cols = cols;
}

static struct collist columns_of(struct an *an, const struct occurrence *occ)
{
    struct collist l = { .n = occ->rel->ncolumn, .open = occ->rel->system };
    l.cols = ARENA_ARRAY(an->a, struct outcol, l.n);
    for (uint32_t i = 0; i < l.n; i++)
        l.cols[i] = (struct outcol){ .name = occ->rel->columns[i].name, .variable = occ->first_variable + (int)i };
    return l;
}

struct collist from_table(struct an *an, struct scope *s, const PgQuery__RangeVar *rv, enum use use, bool linear,
                          struct occurrence **out)
{
    const char *schema = tree_str(rv->schemaname);
    const char *alias = rv->alias ? rv->alias->aliasname : NULL;
    const struct cat_rel *rel = catalog_resolve_rel(an->in->cat, an->in->env, schema, rv->relname);
    struct entry *e = scope_add(an, s, alias ? alias : rv->relname);
    if (out)
        *out = NULL;
    if (!rel) {
        e->list.open = true;
        if (!an->unknown_relation)
            an->unknown_relation = *schema ? arena_printf(an->a, "%s.%s", schema, rv->relname) : rv->relname;
        return e->list;
    }
    struct occurrence *occ = occurrence_new(an, rel, e->name, use);
    occ->linear = linear;
    occ->mention = rv;
    if ((rel->view_sharded || (rel->view_reference && use != USE_READ)) && !an->sharded_view)
        an->sharded_view = rel;
    if (!alias)
        e->schema = rel->schema;
    e->list = columns_of(an, occ);
    rename_columns(an, &e->list, rv->alias);
    if (out)
        *out = occ;
    return e->list;
}

/*
 * A query used as a table: columns of its own that follow the query's, and are followed by them if a condition on an
 * output column may be applied inside.
 */
static struct collist derived(struct an *an, const struct collist *q, bool pushable, bool apart)
{
    struct collist l = { .n = q->n, .open = q->open, .unnamed = q->unnamed };
    l.cols = ARENA_ARRAY(an->a, struct outcol, l.n);
    for (uint32_t i = 0; i < l.n; i++) {
        int inner = q->cols[i].variable;
        l.cols[i] = (struct outcol){ .name = q->cols[i].name, .variable = NO_COLUMN };
        if (inner == NO_COLUMN)
            continue;
        l.cols[i].variable = variable_derived(an, inner);
        edge_add(an, inner, l.cols[i].variable);
        an->edges[an->nedge - 1].apart = apart;
        if (pushable && q->cols[i].pushable)
            edge_add(an, l.cols[i].variable, inner);
    }
    return l;
}

static struct collist from_cte(struct an *an, struct scope *s, const PgQuery__RangeVar *rv, struct cte *cte,
                               bool linear)
{
    struct entry *e = scope_add(an, s, rv->alias ? rv->alias->aliasname : rv->relname);
    cte->used = true;
    if (!cte->query) {
        e->list.open = true;
        return e->list;
    }
    /* One evaluation serves all mentions: no mention's condition may restrict it, none makes its rows linear; nor one
     * of an arm those of a query outside it. */
    if (!linear || !cte->single || cte->first_occ < an->arm_first)
        for (uint32_t i = cte->first_occ; i < cte->end_occ; i++)
            an->occs[i]->linear = false;
    e->list = derived(an, cte->query, cte->single && !cte->recursive, !cte->single);
    rename_columns(an, &e->list, rv->alias);
    return e->list;
}

static struct collist from_subselect(struct an *an, struct scope *s, const PgQuery__RangeSubselect *sub, bool linear)
{
    struct collist q = { 0 };
    const struct scope *parent = s;
    if (!sub->lateral) {
        struct scope *outside = scope_new(an, s->parent);
        outside->ctes = s->ctes;
        parent = outside;
    }
    an->in_lateral += sub->lateral ? 1 : 0;
    query_statement(an, parent, sub->subquery, linear, false, &q);
    an->in_lateral -= sub->lateral ? 1 : 0;
    struct collist l = derived(an, &q, true, false);
    rename_columns(an, &l, sub->alias);
    struct entry *e = scope_add(an, s, sub->alias ? sub->alias->aliasname : "");
    e->list = l;
    return l;
}

/* Functions, XMLTABLE: their columns are not known, their arguments may hold sub-queries. */
static struct collist from_other(struct an *an, struct scope *s, const char *name, const PgQuery__Node *item)
{
    query_expression(an, s, item);
    struct entry *e = scope_add(an, s, name);
    e->list.open = true;
    return e->list;
}

static const char *function_name(const PgQuery__RangeFunction *f)
{
    const char *schema;
    if (f->alias)
        return f->alias->aliasname;
    if (f->n_functions == 0 || f->functions[0]->node_case != PG_QUERY__NODE__NODE_LIST)
        return "";
    const PgQuery__List *l = f->functions[0]->list;
    if (l->n_items == 0 || l->items[0]->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return "";
    return tree_name(l->items[0]->func_call->n_funcname, l->items[0]->func_call->funcname, &schema);
}

/* The columns of a join: merged ones, then what is left of both sides. */
struct join {
    PgQuery__JoinType type;
    struct collist left, right;
    struct region left_vars, right_vars, dropped;
    uint32_t nmerged;
    struct outcol *merged;
};

/* The merged column has the type that both become; by its name alone it cannot be told from the one it came from. */
static void mark_mixed(struct an *an, int a, int b)
{
    if (a == NO_COLUMN && b == NO_COLUMN)
        return;
    bool same = a != NO_COLUMN && b != NO_COLUMN && an->vars[a].type == an->vars[b].type &&
                an->vars[a].by_bytes == an->vars[b].by_bytes && !an->vars[a].mixed && !an->vars[b].mixed;
    if (a != NO_COLUMN)
        an->vars[a].mixed |= !same;
    if (b != NO_COLUMN)
        an->vars[b].mixed |= !same;
}

static void merge_column(struct an *an, struct join *j, const char *name)
{
    uint32_t nl, nr;
    const struct outcol *l = collist_find(&j->left, name, &nl), *r = collist_find(&j->right, name, &nr);
    struct outcol *m = &j->merged[j->nmerged++];
    *m = (struct outcol){ .name = name, .variable = NO_COLUMN };
    if (nl != 1 || nr != 1)
        return;
    if (j->type == PG_QUERY__JOIN_TYPE__JOIN_RIGHT)
        m->variable = r->variable;
    else if (j->type != PG_QUERY__JOIN_TYPE__JOIN_FULL)
        m->variable = l->variable;
    mark_mixed(an, l->variable, r->variable);
    equality_add(an, j->dropped, l->variable, r->variable);
}

static bool is_merged(const struct join *j, const char *name)
{
    for (uint32_t i = 0; i < j->nmerged; i++)
        if (strcmp(j->merged[i].name, name) == 0)
            return true;
    return false;
}

static struct collist join_columns(struct an *an, const struct join *j)
{
    struct collist l = { .open = j->left.open || j->right.open, .unnamed = j->left.unnamed || j->right.unnamed };
    l.cols = ARENA_ARRAY(an->a, struct outcol, j->nmerged + j->left.n + j->right.n);
    for (uint32_t i = 0; i < j->nmerged; i++)
        l.cols[l.n++] = j->merged[i];
    for (uint32_t i = 0; i < j->left.n; i++)
        if (!is_merged(j, j->left.cols[i].name))
            l.cols[l.n++] = j->left.cols[i];
    for (uint32_t i = 0; i < j->right.n; i++)
        if (!is_merged(j, j->right.cols[i].name))
            l.cols[l.n++] = j->right.cols[i];
    return l;
}

static struct collist join_using(struct an *an, struct join *j, const PgQuery__JoinExpr *x)
{
    j->merged = ARENA_ARRAY(an->a, struct outcol, x->n_using_clause + j->left.n);
    if (x->is_natural) {
        if (j->left.open || j->right.open || j->left.unnamed || j->right.unnamed)
            return (struct collist){ .open = true };
        for (uint32_t i = 0; i < j->left.n; i++) {
            uint32_t n;
            collist_find(&j->right, j->left.cols[i].name, &n);
            if (n > 0)
                merge_column(an, j, j->left.cols[i].name);
        }
    }
    for (size_t i = 0; i < x->n_using_clause; i++)
        merge_column(an, j, tree_string(x->using_clause[i]));
    return join_columns(an, j);
}

static void join_condition(struct an *an, const struct scope *s, uint32_t first_entry, const struct join *j,
                           const PgQuery__Node *quals)
{
    struct scope *on = scope_new(an, s->parent);
    on->ctes = s->ctes;
    on->entries = s->entries + first_entry;
    on->nentry = on->entry_cap = s->nentry - first_entry;
    scope_push_item(an, on, j->left);
    scope_push_item(an, on, j->right);
    query_expression(an, on, quals);
    condition_add(an, on, j->dropped, quals);
}

static struct collist from_join(struct an *an, struct scope *s, const PgQuery__JoinExpr *x, bool linear)
{
    struct join j = { .type = x->jointype };
    bool keeps_left = j.type == PG_QUERY__JOIN_TYPE__JOIN_INNER || j.type == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    bool keeps_right = j.type == PG_QUERY__JOIN_TYPE__JOIN_INNER || j.type == PG_QUERY__JOIN_TYPE__JOIN_RIGHT;
    uint32_t first_entry = s->nentry;
    j.left_vars.first = (int)an->nvar;
    j.left = from_item(an, s, x->larg, linear && keeps_left);
    j.left_vars.end = j.right_vars.first = (int)an->nvar;
    scope_push_item(an, s, j.left); /* seen by LATERAL on the right */
    j.right = from_item(an, s, x->rarg, linear && keeps_right);
    s->nitem--;
    j.right_vars.end = (int)an->nvar;
    if (keeps_left && keeps_right)
        j.dropped = (struct region){ j.left_vars.first, j.right_vars.end };
    else if (keeps_left)
        j.dropped = j.right_vars;
    else if (keeps_right)
        j.dropped = j.left_vars; /* and FULL drops nothing */
    struct collist l = join_using(an, &j, x);
    if (x->quals)
        join_condition(an, s, first_entry, &j, x->quals);
    if (x->join_using_alias)
        scope_add(an, s, x->join_using_alias->aliasname)->list.open = true;
    if (x->alias) {
        for (uint32_t i = first_entry; i < s->nentry; i++)
            s->entries[i]->hidden = true;
        rename_columns(an, &l, x->alias);
        scope_add(an, s, x->alias->aliasname)->list = l;
    }
    return l;
}

struct collist from_item(struct an *an, struct scope *s, const PgQuery__Node *item, bool linear)
{
    struct cte *cte;
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR) {
        cte = scope_cte(s, item->range_var);
        return cte ? from_cte(an, s, item->range_var, cte, linear)
                   : from_table(an, s, item->range_var, USE_READ, linear, NULL);
    }
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT)
        return from_subselect(an, s, item->range_subselect, linear);
    if (item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR)
        return from_join(an, s, item->join_expr, linear);
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE) {
        for (size_t i = 0; i < item->range_table_sample->n_args; i++)
            query_expression(an, s, item->range_table_sample->args[i]);
        query_expression(an, s, item->range_table_sample->repeatable);
        return from_item(an, s, item->range_table_sample->relation, false);
    }
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION)
        return from_other(an, s, function_name(item->range_function), item);
    const PgQuery__Alias *alias =
        item->node_case == PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC ? item->range_table_func->alias : NULL;
    return from_other(an, s, alias ? alias->aliasname : "", item);
}
