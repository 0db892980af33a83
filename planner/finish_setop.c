/*
 * A set operation as the whole statement: what each shard makes of it is a part of the answer, or one with duplicates
 * (setop.h). Shards run it as it stands, below a SELECT that gives its columns names of our own:
 *
 *   SELECT c2 AS pgbraid_1, c1 AS "id", c2 AS "name" FROM (SELECT ... UNION ALL SELECT ...) AS pgbraid_rows (c1, c2)
 */
#include "planner/finish_int.h"

#include "planner/figure.h"
#include "planner/op_merge.h"
#include "planner/setop.h"
#include "planner/typing.h"

#include <string.h>

/* The first arm names the columns. */
static bool find_names(struct finish *f)
{
    const PgQuery__SelectStmt *first = f->an->setop->arms[0].query;
    bool plain = !first->n_values_lists && first->op == PG_QUERY__SET_OPERATION__SETOP_NONE &&
                 !tree_has_star(first->n_target_list, first->target_list);
    f->names = ARENA_ARRAY(f->an->a, const char *, f->out->n + 1);
    if (f->out->open || f->out->n == 0 || (plain && first->n_target_list != f->out->n))
        return false;
    for (uint32_t i = 0; i < f->out->n; i++) {
        const char *known = f->out->cols[i].name;
        f->names[i] = plain ? figure_name(first->target_list[i]->res_target) : *known ? known : NULL;
        if (!f->names[i])
            return false;
    }
    return true;
}

/* The column of the answer that ORDER BY names, or counts; out->n: none, or not one. */
static uint32_t sort_column(struct finish *f, const PgQuery__Node *n)
{
    uint32_t column = f->out->n, hits = 0;
    struct tokrange unused;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        (void)finish_ordinal(f, n->a_const, &unused, &column);
        return column;
    }
    if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || n->column_ref->n_fields != 1)
        return column;
    for (uint32_t i = 0; i < f->out->n; i++) {
        if (strcmp(f->names[i], tree_string(n->column_ref->fields[0])) != 0)
            continue;
        column = i;
        hits++;
    }
    return hits == 1 ? column : f->out->n;
}

/* Only columns of the answer can be sorted by. */
static bool find_sorts(struct finish *f)
{
    f->nsort = (uint32_t)f->q->n_sort_clause;
    f->sorts = ARENA_ARRAY(f->an->a, struct sort_item, f->nsort + 1);
    for (uint32_t i = 0; i < f->nsort; i++) {
        struct sort_item *s = &f->sorts[i];
        finish_read_direction(f->q->sort_clause[i]->sort_by, s);
        s->output = true;
        s->column = sort_column(f, f->q->sort_clause[i]->sort_by->node);
        if (s->column >= f->out->n)
            return false;
    }
    return true;
}

void finish_find_gaps(struct finish *f)
{
    const struct setop *u = f->an->setop;
    if (!u || u->kind == SETOP_NOTHING)
        return;
    f->gaps = ARENA_ARRAY(f->an->a, struct tokrange, u->narm + 1);
    for (uint32_t i = 0; i < u->narm; i++) {
        const PgQuery__Node *where = u->arms[i].query->where_clause;
        struct tokrange *gap = &f->gaps[f->ngap];
        if (where && clauses_where(&f->c, where, gap) && (f->ngap == 0 || gap[-1].end <= gap->first))
            f->ngap++;
    }
}

/* The next piece of a shape from *at on, before `end`. */
static struct tokrange shape_piece(const struct finish *f, uint32_t *at, uint32_t end)
{
    struct tokrange r = { *at, end };
    *at = end;
    for (uint32_t i = 0; i < f->ngap; i++)
        if (f->gaps[i].first >= r.first && f->gaps[i].end <= r.end) {
            *at = f->gaps[i].end;
            r.end = f->gaps[i].first;
            break;
        }
    return r;
}

void finish_put_shape(const struct finish *f, struct text_builder *t, struct tokrange r)
{
    for (uint32_t at = r.first; at < r.end;) {
        struct tokrange piece = shape_piece(f, &at, r.end);
        if (piece.first < piece.end)
            text_slice(t, clause_start(&f->c, piece), clause_end(&f->c, piece));
        text_fixed(t, " ");
    }
}

bool finish_shape_has_param(const struct finish *f, struct tokrange r)
{
    bool has = false;
    for (uint32_t at = r.first; at < r.end;)
        has |= finish_has_param(f, shape_piece(f, &at, r.end));
    return has;
}

static void put_select(const struct finish *f, struct text_builder *t, bool where)
{
    struct strbuf sb = STRBUF_INIT;
    text_fixed(t, "SELECT ");
    for (uint32_t i = 0; i < f->nsort; i++)
        text_printf(t, "c%u AS pgbraid_%u, ", f->sorts[i].column + 1, i + 1);
    for (uint32_t i = 0; i < f->out->n; i++) {
        strbuf_printf(&sb, "%sc%u AS ", i ? ", " : "", i + 1);
        strbuf_put_ident(&sb, span_str(f->names[i]));
    }
    strbuf_puts(&sb, " FROM (");
    text_fixed(t, strbuf_str(&sb));
    strbuf_reset(&sb);
    if (where)
        text_slice(t, clause_start(&f->c, f->c.body), clause_end(&f->c, f->c.body));
    else
        finish_put_shape(f, t, f->c.body);
    strbuf_puts(&sb, ") AS " PARTIAL_ROWS " (");
    for (uint32_t i = 0; i < f->out->n; i++)
        strbuf_printf(&sb, "%sc%u", i ? ", " : "", i + 1);
    strbuf_puts(&sb, ")");
    text_fixed(t, strbuf_str(&sb));
    strbuf_fini(&sb);
}

static bool try_merge(struct finish *f)
{
    struct plan *p = f->an->plan;
    struct arena *a = plan_arena(p);
    struct merge_key *keys = ARENA_ARRAY(a, struct merge_key, f->nsort + 1);
    bool *by_bytes = ARENA_ARRAY(a, bool, f->nsort + 1);
    if (!p->bounds.known || finish_with_ties(f))
        return false;
    for (uint32_t i = 0; i < f->nsort; i++) {
        struct typing t = setop_typing(f->an, f->an->setop, f->sorts[i].column);
        if (!finish_merge_key(&f->sorts[i], t, &keys[i]))
            return false;
        by_bytes[i] = t.by_bytes;
    }
    struct text_builder t = { .a = a };
    put_select(f, &t, true);
    finish_put_order(f, &t);
    struct plan_merge *m = ARENA_NEW(a, struct plan_merge);
    *m = (struct plan_merge){
        .nkey = f->nsort, .keys = keys, .by_bytes = by_bytes, .ncolumn = f->out->n, .text = text_done(&t)
    };
    p->merge = m;
    return true;
}

/* The rest of the statement runs over what the shards send. */
static bool push(struct finish *f, bool distinct, const char *how)
{
    struct arena *a = plan_arena(f->an->plan);
    struct text_builder shard = { .a = a }, shape = { .a = a }, rest = { .a = a };
    uint32_t nsort = f->nsort;
    if (!finish_params_stand_alone(f->an) || finish_shape_has_param(f, f->c.body))
        return false;
    f->nsort = distinct ? 0 : nsort; /* sorted by what is put behind SELECT DISTINCT, or by columns of its own */
    put_select(f, &shard, true);
    finish_put_order(f, &shard);
    put_select(f, &shape, false);
    text_fixed(&rest, distinct ? "SELECT DISTINCT " : "SELECT ");
    finish_put_columns(f, &rest, f->nsort);
    for (uint32_t i = 0; i < nsort; i++) {
        text_fixed(&rest, i ? ", " : " ORDER BY ");
        if (distinct)
            text_printf(&rest, "%u", f->sorts[i].column + 1);
        else
            text_printf(&rest, PARTIAL_ROWS ".c%u", i + 1);
        text_fixed(&rest, finish_direction(&f->sorts[i]));
    }
    finish_put_limit(f, &rest);
    uint32_t ncolumn = f->nsort + f->out->n;
    f->nsort = nsort;
    return finish_push(f,
                       (struct plan_push){ .ncolumn = ncolumn,
                                           .shard = text_done(&shard),
                                           .shape = text_done(&shape),
                                           .rest = text_done(&rest),
                                           .limited = !distinct,
                                           .ties = finish_with_ties(f) },
                       how);
}

bool finish_setop(struct an *an)
{
    struct finish f = { .an = an, .q = an->top.query, .s = an->top.scope, .out = an->top.columns };
    if (!clauses_find_setop(an, f.q, &f.c) || !find_names(&f) || !find_sorts(&f))
        return false;
    finish_find_bounds(&f);
    finish_find_gaps(&f);
    if (an->setop->kind == SETOP_DISTINCT)
        return push(&f, true, "each shard drops duplicates, the rest of the statement runs over what remains");
    if (f.nsort == 0 && !f.q->limit_count && !f.q->limit_offset) {
        an->plan->combine = COMBINE_CONCAT;
        an->plan->finish = "equal rows are on one shard or are all wanted, the shards' answers concatenated";
        return true;
    }
    if (try_merge(&f)) {
        (void)push(&f, false, NULL); /* for bounds that only a server can judge */
        finish_merge_plan(&f);
        return true;
    }
    return push(&f, false, finish_how_ordered(&f));
}
