/*
 * Query levels: a SELECT's tables, conditions and sub-queries, each level with its own names.
 */
#include "planner/analyse_int.h"
#include "planner/gather.h"
#include "planner/setop.h"
#include "planner/whole.h"

#include <string.h>

/* Aggregates and window functions of this level, sub-queries left out. */
struct own {
    const struct an *an;
    const char *aggregate, *window;
};

static bool is_aggregate(const struct an *an, const PgQuery__FuncCall *f)
{
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    const struct cat_func *b = catalog_builtin_function(an->in->cat, name);
    const struct cat_func *u = catalog_user_function(an->in->cat, schema, name);
    return f->agg_star || f->agg_distinct || f->agg_within_group || f->n_agg_order || f->agg_filter ||
           (b && b->aggregate) || (u && u->aggregate);
}

static void find_own(const ProtobufCMessage *m, void *arg)
{
    struct own *own = arg;
    if (m->descriptor == &pg_query__sub_link__descriptor) {
        const PgQuery__Node *test = ((const PgQuery__SubLink *)(const void *)m)->testexpr;
        if (test)
            find_own(tree_message(test), arg);
        return;
    }
    if (m->descriptor == &pg_query__func_call__descriptor) {
        const PgQuery__FuncCall *f = (const PgQuery__FuncCall *)(const void *)m;
        const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
        if (f->over)
            own->window = name;
        else if (is_aggregate(own->an, f))
            own->aggregate = name;
    }
    if (m->descriptor == &pg_query__grouping_func__descriptor)
        own->aggregate = "grouping";
    tree_children(m, find_own, arg);
}

static void find_own_in(struct own *own, size_t n, PgQuery__Node *const *nodes)
{
    for (size_t i = 0; i < n; i++) {
        const ProtobufCMessage *m = tree_message(nodes[i]);
        if (m)
            find_own(m, own);
    }
}

/* Visiting an expression for its sub-queries. */
struct visit {
    struct an *an;
    const struct scope *s;
};

struct locals {
    const struct scope *s;
    bool any, local;
};

/* Is there a column, and is one of this level among them? */
static void find_locals(const ProtobufCMessage *m, void *arg)
{
    struct locals *l = arg;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        struct scope alone = *l->s;
        bool found;
        alone.parent = NULL;
        (void)scope_resolve(&alone, (const PgQuery__ColumnRef *)(const void *)m, &found);
        l->any = true;
        l->local |= found;
    }
    tree_children(m, find_locals, arg);
}

/* An aggregate whose arguments are all columns of outer levels is an aggregate of that outer level. */
static void check_aggregate(struct visit *v, const PgQuery__FuncCall *f)
{
    struct locals l = { .s = v->s };
    if (!v->s->parent || f->over || !is_aggregate(v->an, f))
        return;
    tree_children(&f->base, find_locals, &l);
    if (l.any && !l.local)
        cut_blocked(v->an, "an aggregate of an outer query level");
}

/* t.f may be a call of a user's function f(t). */
static void check_attribute(struct visit *v, const PgQuery__ColumnRef *ref)
{
    bool found;
    if (ref->n_fields < 2)
        return;
    const char *name = tree_string(ref->fields[ref->n_fields - 1]);
    const struct cat_func *f = *name ? catalog_user_function(v->an->in->cat, NULL, name) : NULL;
    if (!f || f->harmless || v->an->inv.opaque)
        return;
    (void)scope_resolve(v->s, ref, &found);
    if (!found)
        v->an->inv.opaque = arena_printf(v->an->a, "function %s.%s()", f->schema, f->name);
}

static void visit_message(const ProtobufCMessage *m, void *arg)
{
    struct visit *v = arg;
    if (m->descriptor == &pg_query__sub_link__descriptor) {
        const PgQuery__SubLink *link = (const PgQuery__SubLink *)(const void *)m;
        struct sublink_query *q = ARENA_NEW(v->an->a, struct sublink_query);
        query_expression(v->an, v->s, link->testexpr);
        query_statement(v->an, v->s, link->subselect, false, false, &q->query);
        q->link = link;
        q->next = v->an->sublinks;
        v->an->sublinks = q;
        return;
    }
    if (m->descriptor == &pg_query__func_call__descriptor)
        check_aggregate(v, (const PgQuery__FuncCall *)(const void *)m);
    if (m->descriptor == &pg_query__column_ref__descriptor)
        check_attribute(v, (const PgQuery__ColumnRef *)(const void *)m);
    tree_children(m, visit_message, arg);
}

void query_expression(struct an *an, const struct scope *s, const PgQuery__Node *expr)
{
    struct visit v = { .an = an, .s = s };
    const ProtobufCMessage *m = tree_message(expr);
    if (m)
        visit_message(m, &v);
}

void query_expressions(struct an *an, const struct scope *s, size_t n, PgQuery__Node *const *exprs)
{
    for (size_t i = 0; i < n; i++)
        query_expression(an, s, exprs[i]);
}

const struct collist *query_of_sublink(const struct an *an, const PgQuery__SubLink *link)
{
    for (const struct sublink_query *q = an->sublinks; q; q = q->next)
        if (q->link == link)
            return &q->query;
    return NULL;
}

struct mentions {
    const char *name;
    uint32_t n;
};

static void count_mentions(const ProtobufCMessage *m, void *arg)
{
    struct mentions *c = arg;
    if (m->descriptor == &pg_query__range_var__descriptor) {
        const PgQuery__RangeVar *rv = (const PgQuery__RangeVar *)(const void *)m;
        c->n += !*tree_str(rv->schemaname) && strcmp(rv->relname, c->name) == 0;
    }
    tree_children(m, count_mentions, arg);
}

static void with_query(struct an *an, struct scope *s, const PgQuery__CommonTableExpr *x, struct cte *cte, bool linear)
{
    struct scope *inside = scope_new(an, s->parent);
    struct collist *q = ARENA_NEW(an->a, struct collist);
    inside->ctes = s->ctes;
    cte->first_occ = an->nocc;
    query_statement(an, inside, x->ctequery, linear && !cte->recursive, false, q);
    cte->end_occ = an->nocc;
    if (x->n_aliascolnames && q->open)
        *q = (struct collist){ .open = true }; /* which column gets which name cannot be told */
    for (size_t i = 0; i < x->n_aliascolnames; i++)
        if (i < q->n)
            q->cols[i].name = tree_string(x->aliascolnames[i]);
    if (x->search_clause || x->cycle_clause)
        q->open = true;
    cte->query = q;
}

void query_with(struct an *an, struct scope *s, const PgQuery__WithClause *with, bool linear)
{
    struct cte **ctes = with ? ARENA_ARRAY(an->a, struct cte *, with->n_ctes) : NULL;
    for (size_t i = 0; with && i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *x = with->ctes[i]->common_table_expr;
        struct mentions m = { .name = x->ctename };
        struct cte *cte = ctes[i] = ARENA_NEW(an->a, struct cte);
        tree_children(an->stmt, count_mentions, &m);
        cte->name = x->ctename;
        cte->recursive = with->recursive;
        cte->single = m.n == 1;
        if (x->ctequery && x->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
            cut_blocked(an, "a data-modifying WITH query");
        if (with->recursive) { /* names are known to each other */
            cut_blocked(an, "WITH RECURSIVE");
            cte->next = s->ctes;
            s->ctes = cte;
        }
    }
    for (size_t i = 0; with && i < with->n_ctes; i++) {
        struct cte *cte = ctes[i];
        with_query(an, s, with->ctes[i]->common_table_expr, cte, linear && cte->single);
        if (!with->recursive) {
            cte->next = s->ctes;
            s->ctes = cte;
        }
        cte->following = an->ctes;
        an->ctes = cte;
    }
}

static void add_column(struct collist *l, const char *name, int variable)
{
    l->unnamed |= !*name;
    l->cols[l->n++] = (struct outcol){ .name = name, .variable = variable, .pushable = false };
}

static bool is_star(const PgQuery__Node *n)
{
    return tree_is_star(n) && n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF;
}

/* The columns that "*" or "t.*" stands for, or NULL if it cannot be told. */
static const struct collist *star_list(const struct scope *s, const PgQuery__ColumnRef *ref, uint32_t item)
{
    if (ref->n_fields == 1)
        return item < s->nitem ? &s->items[item] : NULL;
    if (item > 0)
        return NULL;
    const char *table = tree_string(ref->fields[ref->n_fields - 2]);
    const char *schema = ref->n_fields == 3 ? tree_string(ref->fields[0]) : "";
    const struct collist *hit = NULL;
    for (uint32_t i = 0; i < s->nentry && ref->n_fields <= 3; i++) {
        const struct entry *e = s->entries[i];
        if (e->hidden || strcmp(e->name, table) != 0 || (*schema && strcmp(e->schema, schema) != 0))
            continue;
        if (hit)
            return NULL;
        hit = &e->list;
    }
    return hit;
}

uint32_t query_star_width(const struct scope *s, const PgQuery__ColumnRef *ref)
{
    const struct collist *l;
    uint32_t n = 0;
    for (uint32_t k = 0; (l = star_list(s, ref, k)); k++)
        n += l->n;
    return n;
}

static uint32_t count_columns(const struct scope *s, size_t n, PgQuery__Node *const *targets)
{
    uint32_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *t = targets[i]->res_target;
        if (!is_star(t->val)) {
            total++;
            continue;
        }
        total += query_star_width(s, t->val->column_ref);
    }
    return total;
}

/* The name PostgreSQL gives an output column, "" where the rule is not redone here. */
static const char *target_name(const PgQuery__ResTarget *t)
{
    const char *schema;
    if (*tree_str(t->name))
        return t->name;
    if (t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF)
        return tree_string(t->val->column_ref->fields[t->val->column_ref->n_fields - 1]);
    if (t->val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL)
        return tree_name(t->val->func_call->n_funcname, t->val->func_call->funcname, &schema);
    return "";
}

void query_targets(struct an *an, const struct scope *s, size_t n, PgQuery__Node *const *targets, struct collist *out)
{
    query_expressions(an, s, n, targets);
    out->cols = ARENA_ARRAY(an->a, struct outcol, count_columns(s, n, targets));
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *t = targets[i]->res_target;
        if (is_star(t->val)) {
            const struct collist *l = star_list(s, t->val->column_ref, 0);
            out->open |= !l && t->val->column_ref->n_fields > 1;
            for (uint32_t k = 0; (l = star_list(s, t->val->column_ref, k)); k++) {
                out->open |= l->open;
                for (uint32_t c = 0; c < l->n; c++)
                    add_column(out, l->cols[c].name, l->cols[c].variable);
            }
            continue;
        }
        if (tree_is_star(t->val)) { /* (expr).* */
            out->open = true;
            continue;
        }
        bool found;
        int v = t->val && t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF
                    ? scope_resolve(s, t->val->column_ref, &found)
                    : NO_COLUMN;
        add_column(out, t->val ? target_name(t) : "", v);
    }
}

static void query_values(struct an *an, const struct scope *s, const PgQuery__SelectStmt *v, struct collist *out)
{
    query_expressions(an, s, v->n_values_lists, v->values_lists);
    size_t n = v->values_lists[0]->list->n_items;
    if (tree_has_star(n, v->values_lists[0]->list->items)) {
        out->open = true;
        return;
    }
    out->cols = ARENA_ARRAY(an->a, struct outcol, n);
    for (size_t i = 0; i < n; i++)
        add_column(out, arena_printf(an->a, "column%zu", i + 1), NO_COLUMN);
}

static void query_set_operation(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, struct collist *out)
{
    struct collist left = { 0 }, right = { 0 };
    if (an->setop && an->setop->query == q) {
        setop_arms(an, s, out);
        return;
    }
    query_select(an, s, q->larg, false, false, &left);
    query_select(an, s, q->rarg, false, false, &right);
    *out = left;
    for (uint32_t i = 0; i < out->n; i++) {
        out->cols[i].variable = NO_COLUMN;
        out->cols[i].pushable = false;
    }
}

/* Why the rows of a level are not the sum over the rows it reads; NULL if they are. */
static const char *level_blocker(const struct an *an, const PgQuery__SelectStmt *q, struct own *own)
{
    *own = (struct own){ .an = an };
    find_own_in(own, q->n_target_list, q->target_list);
    find_own_in(own, q->n_sort_clause, q->sort_clause);
    find_own_in(own, q->n_distinct_clause, q->distinct_clause);
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        return q->op == PG_QUERY__SET_OPERATION__SETOP_UNION       ? "UNION"
               : q->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT ? "INTERSECT"
                                                                   : "EXCEPT";
    if (q->n_locking_clause && (q->limit_count || q->limit_offset))
        return "LIMIT or OFFSET beside a row locking clause";
    if (own->window || q->n_window_clause)
        return "a window function";
    if (q->n_group_clause)
        return "GROUP BY";
    if (q->having_clause)
        return "HAVING";
    if (own->aggregate)
        return arena_printf(an->a, "the aggregate function %s()", own->aggregate);
    if (q->n_distinct_clause)
        return "DISTINCT";
    if (q->n_sort_clause)
        return "ORDER BY";
    if (q->limit_count || q->limit_offset)
        return "LIMIT or OFFSET";
    if (q->n_locking_clause)
        return "a row locking clause such as FOR UPDATE";
    return q->n_values_lists ? "VALUES" : NULL;
}

static bool grouped_by(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, int variable)
{
    bool hit = false;
    for (size_t i = 0; i < q->n_group_clause; i++) {
        bool found;
        if (q->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
            return false;
        const PgQuery__Node *item = whole_group_item(an, s, q, q->group_clause[i]);
        hit |= item && item->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && variable != NO_COLUMN &&
               scope_resolve(s, item->column_ref, &found) == variable;
    }
    return hit;
}

/*
 * Are all rows locked that the level gives? With a LIMIT each shard would lock as many as are wanted of all together,
 * and others would skip (SKIP LOCKED) or fail on (NOWAIT) rows that nobody has taken (rule P28).
 */
static bool locks_plainly(const PgQuery__SelectStmt *q, const struct own *own)
{
    return !q->limit_count && !q->limit_offset && !own->window && !own->aggregate && !q->n_group_clause &&
           !q->having_clause && !q->n_distinct_clause;
}

/* A SELECT whose clauses the router can finish, where nothing else is in the way. */
static bool selectable(const struct an *an, const PgQuery__SelectStmt *q, const struct own *own)
{
    /* A cursor's rows are one shard's after another's, or gathered. */
    if (an->in->tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT)
        return false;
    return an->whole && q->op == PG_QUERY__SET_OPERATION__SETOP_NONE && !q->n_window_clause && !q->n_values_lists &&
           q->n_from_clause > 0 && (!q->n_locking_clause || locks_plainly(q, own));
}

/*
 * Can the router finish what the statement's own level does over rows that are a sum (finish.h)? FROM and WHERE are
 * then looked at as if nothing stood above them.
 */
static bool finishable(struct an *an, const PgQuery__SelectStmt *q, const struct own *own)
{
    if (an->in->tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT)
        return false;
    return q->op == PG_QUERY__SET_OPERATION__SETOP_NONE ? selectable(an, q, own) : an->whole && setop_note(an, q);
}

static struct top_level level_of(const PgQuery__SelectStmt *q, const struct scope *s, const struct own *own,
                                 const struct collist *out, const char *blocker)
{
    return (struct top_level){ .query = q,
                               .scope = s,
                               .columns = out,
                               .blocker = blocker,
                               .grouped = q->n_group_clause || q->having_clause || own->aggregate,
                               .windows = own->window != NULL };
}

/*
 * A condition on an output column is one on the input where filtering before or after makes no difference: not with
 * LIMIT, windows or locks; with groups if the column is a group's. Not if the column is one of an outer level, which is
 * no input of this one: `first` is this level's first variable.
 */
static void mark_pushable(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, const struct own *own,
                          int first, struct collist *out)
{
    bool whole = !q->limit_count && !q->limit_offset && !own->window && !q->n_window_clause && !q->n_locking_clause &&
                 !tree_is_distinct_on(q);
    bool grouped = q->n_group_clause || q->having_clause || own->aggregate;
    for (uint32_t i = 0; i < out->n; i++)
        out->cols[i].pushable =
            whole && out->cols[i].variable >= first && (!grouped || grouped_by(an, s, q, out->cols[i].variable));
}

static void query_plain(struct an *an, struct scope *s, const PgQuery__SelectStmt *q, bool linear, int first,
                        struct collist *out)
{
    for (size_t i = 0; i < q->n_from_clause; i++)
        scope_push_item(an, s, from_item(an, s, q->from_clause[i], linear));
    const struct region level = { first, (int)an->nvar };
    query_expression(an, s, q->where_clause);
    condition_add(an, s, level, q->where_clause);
    gather_note(an, s, level, q);
    query_targets(an, s, q->n_target_list, q->target_list, out);
    query_expressions(an, s, q->n_group_clause, q->group_clause);
    query_expression(an, s, q->having_clause);
    query_expressions(an, s, q->n_window_clause, q->window_clause);
    query_expressions(an, s, q->n_distinct_clause, q->distinct_clause);
}

static void note_inner(struct an *an, const PgQuery__SelectStmt *q, const struct own *own, const struct collist *out,
                       const struct whole *w, const char *blocker)
{
    struct inner_level *n = &an->inner;
    struct collist *columns = ARENA_NEW(an->a, struct collist);
    *columns = *out; /* WITH may give them other names */
    columns->cols = ARENA_ARRAY(an->a, struct outcol, out->n + 1);
    if (out->n)
        memcpy(columns->cols, out->cols, out->n * sizeof *out->cols);
    n->level = level_of(q, w->s, own, columns, blocker);
    n->first_occ = w->first;
    n->end_occ = w->end;
    n->linear = ARENA_ARRAY(an->a, bool, an->nocc + 1);
    for (uint32_t i = w->first; i < w->end; i++)
        n->linear[i] = an->occs[i]->linear;
}

/* A level that is no sum over the rows it reads: then none of the occurrences below it supplies rows one by one. */
static void level_check(struct an *an, const PgQuery__SelectStmt *q, const struct own *own, const struct collist *out,
                        const struct whole *w, bool top, bool linear, const char *blocker)
{
    bool grouped = q->n_group_clause || q->having_clause || own->aggregate;
    if (linear && whole_level(an, w, q, out, grouped))
        return;
    if (linear && !top && !an->inner.level.query && !an->in_lateral && selectable(an, q, own))
        note_inner(an, q, own, out, w, blocker);
    for (uint32_t i = w->first; i < w->end; i++)
        an->occs[i]->linear = false;
    if (top)
        an->top_blocker = blocker;
    else if (linear && !an->inner_blocked)
        an->inner_blocked = blocker;
}

/* A set operation of which rows come one by one (setop.h). */
static bool is_summed(struct an *an, const PgQuery__SelectStmt *q)
{
    return q->op != PG_QUERY__SET_OPERATION__SETOP_NONE && !q->n_sort_clause && !q->limit_count && !q->limit_offset &&
           setop_note(an, q);
}

void query_select(struct an *an, const struct scope *parent, const PgQuery__SelectStmt *q, bool linear, bool top,
                  struct collist *out)
{
    struct scope *s = scope_new(an, parent);
    struct own own;
    uint32_t first_occ = an->nocc;
    const char *blocker = level_blocker(an, q, &own);
    setop_arm_begins(an, s, q, !blocker);
    if (blocker && top && finishable(an, q, &own)) {
        an->top = level_of(q, s, &own, out, blocker);
        blocker = NULL;
    }
    if (blocker && !top && linear && is_summed(an, q)) {
        an->inner_blocked = an->inner_blocked ? an->inner_blocked : blocker; /* if it comes to nothing */
        blocker = NULL;
    }
    an->locks_top |= top && q->n_locking_clause && an->top.query == q;
    an->locks_below |= !top && q->n_locking_clause;
    if (!top && (q->limit_count || q->limit_offset || tree_is_distinct_on(q)))
        an->sub_limit = true;
    query_with(an, s, q->with_clause, linear);
    int first = (int)an->nvar;
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        query_set_operation(an, s, q, out);
    else if (q->n_values_lists)
        query_values(an, s, q, out);
    else
        query_plain(an, s, q, linear, first, out);
    query_expressions(an, s, q->n_sort_clause, q->sort_clause);
    query_expression(an, s, q->limit_count);
    query_expression(an, s, q->limit_offset);
    if (q->op == PG_QUERY__SET_OPERATION__SETOP_NONE)
        mark_pushable(an, s, q, &own, first, out);
    if (blocker)
        level_check(an, q, &own, out, &(struct whole){ an, s, first_occ, an->nocc }, top, linear, blocker);
}

void query_statement(struct an *an, const struct scope *parent, const PgQuery__Node *stmt, bool linear, bool top,
                     struct collist *out)
{
    *out = (struct collist){ .open = true };
    if (stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        out->open = false;
        query_select(an, parent, stmt->select_stmt, linear, top, out);
    } else if (stmt->node_case == PG_QUERY__NODE__NODE_INSERT_STMT) {
        insert_statement(an, parent, stmt->insert_stmt, top, out);
    } else if (stmt->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT) {
        dml_update(an, parent, stmt->update_stmt, linear, out);
    } else if (stmt->node_case == PG_QUERY__NODE__NODE_DELETE_STMT) {
        dml_delete(an, parent, stmt->delete_stmt, linear, out);
    } else if (stmt->node_case == PG_QUERY__NODE__NODE_MERGE_STMT) {
        dml_merge(an, parent, stmt->merge_stmt);
    }
}
