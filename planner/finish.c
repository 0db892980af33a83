#include "planner/finish_int.h"

#include "planner/arrays.h"
#include "planner/figure.h"
#include "planner/gather.h"
#include "planner/op_merge.h"
#include "planner/same.h"
#include "planner/typing.h"
#include "planner/whole.h"

#include <string.h>

/* --- the answer's columns --- */

static bool find_columns(struct finish *f)
{
    struct an *an = f->an;
    uint32_t n = 0;
    f->column = ARENA_ARRAY(an->a, uint32_t, f->q->n_target_list + 1);
    f->names = ARENA_ARRAY(an->a, const char *, f->out->n + 1);
    if (f->out->open || f->q->n_target_list == 0)
        return false;
    for (size_t i = 0; i < f->q->n_target_list; i++) {
        const PgQuery__ResTarget *t = f->q->target_list[i]->res_target;
        uint32_t width = tree_is_star(t->val) ? query_star_width(f->s, t->val->column_ref) : 1;
        f->column[i] = n;
        for (uint32_t k = 0; k < width && n < f->out->n; k++, n++) {
            const char *name = f->out->cols[n].name;
            f->names[n] = !tree_is_star(t->val) ? figure_name(t) : *name ? name : NULL;
        }
    }
    return n == f->out->n && n > 0;
}

static bool names_known(const struct finish *f)
{
    for (uint32_t i = 0; i < f->out->n; i++)
        if (!f->names[i])
            return false;
    return true;
}

/* The item of the select list that is this column, if it is no star. */
static const PgQuery__Node *target_of_column(const struct finish *f, uint32_t column, struct tokrange *range)
{
    for (size_t i = 0; i < f->q->n_target_list; i++) {
        const PgQuery__Node *val = f->q->target_list[i]->res_target->val;
        if (f->column[i] == column && !tree_is_star(val)) {
            *range = f->c.targets[i];
            return val;
        }
    }
    return NULL;
}

const PgQuery__Node *finish_ordinal(struct finish *f, const PgQuery__AConst *c, struct tokrange *range,
                                    uint32_t *column)
{
    uint32_t literal;
    *column = f->out->n;
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_IVAL || !literal_at(f->an->in->lits, c->location, &literal))
        return NULL;
    depend_on_value(f->an, literal);
    if (c->ival->ival < 1 || (uint32_t)c->ival->ival > f->out->n)
        return NULL;
    *column = (uint32_t)c->ival->ival - 1;
    return target_of_column(f, *column, range);
}

/* --- ORDER BY --- */

/* A bare name is an output column's before it is an input column's. */
static bool sort_by_name(struct finish *f, const PgQuery__ColumnRef *ref, struct sort_item *item)
{
    const char *name = tree_string(ref->fields[0]);
    uint32_t hits = 0, at = 0;
    bool found;
    for (uint32_t i = 0; i < f->out->n; i++) {
        if (!f->names[i])
            return false;
        if (strcmp(f->names[i], name) == 0) {
            at = i;
            hits++;
        }
    }
    if (hits != 1)
        return hits == 0;
    item->output = true;
    item->column = at;
    const PgQuery__Node *target = target_of_column(f, at, &item->range);
    if (target) {
        item->expr = target;
        return true;
    }
    /* One of a star's: its name alone has to mean the same column. */
    int v = scope_resolve(f->s, ref, &found);
    return found && v != NO_COLUMN && v == f->out->cols[at].variable;
}

void finish_read_direction(const PgQuery__SortBy *by, struct sort_item *item)
{
    item->desc = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    item->nulls_first = by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                            ? item->desc
                            : by->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
}

bool finish_find_sort(struct finish *f, const PgQuery__SortBy *by, struct sort_item *item)
{
    item->expr = by->node;
    finish_read_direction(by, item);
    if (by->node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        item->output = true;
        item->expr = finish_ordinal(f, by->node->a_const, &item->range, &item->column);
        return item->column < f->out->n;
    }
    if (by->node->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && by->node->column_ref->n_fields == 1 &&
        *tree_string(by->node->column_ref->fields[0]))
        return sort_by_name(f, by->node->column_ref, item);
    return by->node->node_case != PG_QUERY__NODE__NODE_ROW_EXPR;
}

static bool find_sorts(struct finish *f)
{
    f->nsort = (uint32_t)f->q->n_sort_clause;
    f->sorts = ARENA_ARRAY(f->an->a, struct sort_item, f->nsort + 1);
    for (uint32_t i = 0; i < f->nsort; i++) {
        f->sorts[i].range = f->c.sorts[i];
        if (!finish_find_sort(f, f->q->sort_clause[i]->sort_by, &f->sorts[i]))
            return false;
    }
    return true;
}

const char *finish_direction(const struct sort_item *s)
{
    if (s->desc)
        return s->nulls_first ? " DESC" : " DESC NULLS LAST";
    return s->nulls_first ? " ASC NULLS FIRST" : " ASC";
}

/* --- LIMIT and OFFSET --- */

static bool find_bound(const struct finish *f, const PgQuery__Node *n, bool *has, struct key_value *out)
{
    struct constant c;
    *has = n != NULL;
    *out = (struct key_value){ .source = VALUE_NULL };
    if (!n)
        return true;
    if (!constant_read(f->an->in, n, &c) || c.cast_array ||
        (c.kind != CONSTANT_NULL && c.kind != CONSTANT_INTEGER && c.kind != CONSTANT_PARAM))
        return false;
    if (c.kind == CONSTANT_NULL)
        return true;
    *out = (struct key_value){ .source = c.kind == CONSTANT_PARAM ? VALUE_PARAM : VALUE_LITERAL,
                               .type = KEY_INT8,
                               .negate = c.negate,
                               .index = c.index };
    if (c.kind == CONSTANT_PARAM && !constant_untyped(f->an->in, &c))
        return key_type_of_oid(f->an->in->types[c.index - 1], &out->type) && key_family(out->type) == FAMILY_INT &&
               !c.cast;
    if (c.cast)
        out->type = c.cast_type;
    return key_family(out->type) == FAMILY_INT;
}

bool finish_with_ties(const struct finish *f)
{
    return f->q->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
}

void finish_find_bounds(struct finish *f)
{
    struct plan_bounds *b = &f->an->plan->bounds;
    b->known = find_bound(f, f->q->limit_count, &b->has_limit, &b->limit) &&
               find_bound(f, f->q->limit_offset, &b->has_offset, &b->offset);
}

void finish_put_limit(const struct finish *f, struct text_builder *t)
{
    if (f->c.limit.first >= f->c.limit.end)
        return;
    text_fixed(t, " ");
    text_slice(t, clause_start(&f->c, f->c.limit), clause_end(&f->c, f->c.limit));
}

/* --- what may be pushed --- */

bool finish_has_param(const struct finish *f, struct tokrange r)
{
    for (uint32_t i = r.first; i < r.end; i++)
        if (f->c.ts.v[i].kind == LEX_PARAM)
            return true;
    return false;
}

/* In another text a parameter is first used elsewhere: its type has to come from one place anyway. */
bool finish_params_stand_alone(const struct an *an)
{
    for (uint32_t i = 0; i < an->inv.nparam; i++)
        if (!(i < an->in->ntype && an->in->types[i]) && an->inv.param_uses[i] > 1)
            return false;
    return true;
}

static void find_outside(const ProtobufCMessage *m, void *arg)
{
    bool *hit = arg;
    *hit |= m->descriptor == &pg_query__sub_link__descriptor || m->descriptor == &pg_query__column_ref__descriptor;
    if (!*hit)
        tree_children(m, find_outside, arg);
}

/* Does it name what is not there when it stands over a temporary table: other tables, columns? */
static bool looks_outside(const PgQuery__Node *n)
{
    bool hit = false;
    const ProtobufCMessage *m = tree_message(n);
    if (m)
        find_outside(m, &hit);
    return hit;
}

/* May an expression be a temporary table's column, as far as its type goes? */
bool finish_can_be_column(const struct finish *f, const PgQuery__Node *n)
{
    bool found;
    if (n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return false;
    if (n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
        (void)scope_resolve(f->s, n->column_ref, &found);
        return found;
    }
    if (n->node_case == PG_QUERY__NODE__NODE_FUNC_CALL) {
        const char *schema, *name = tree_name(n->func_call->n_funcname, n->func_call->funcname, &schema);
        const struct cat_func *b = catalog_builtin_function(f->an->in->cat, name);
        return !(b && b->retset);
    }
    return true;
}

/* Values without a type of their own: ROW(a, b), and the row of a sub-query in FROM. */
struct records {
    struct an *an;
    const char **names; /* of sub-queries */
    uint32_t n, cap;
    bool target, hit;
};

static void add_name(struct records *r, const char *name)
{
    if (r->n == r->cap) {
        const char **more = ARENA_ARRAY(r->an->a, const char *, r->cap ? r->cap * 2 : 8);
        if (r->n)
            memcpy(more, r->names, r->n * sizeof *more);
        r->names = more;
        r->cap = r->cap ? r->cap * 2 : 8;
    }
    r->names[r->n++] = name;
}

static bool has_name(const struct records *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (*name && strcmp(r->names[i], name) == 0)
            return true;
    return false;
}

static void find_names(const ProtobufCMessage *m, void *arg)
{
    if (m->descriptor == &pg_query__range_subselect__descriptor) {
        const PgQuery__Alias *alias = ((const PgQuery__RangeSubselect *)(const void *)m)->alias;
        add_name(arg, alias ? alias->aliasname : "");
    } else if (m->descriptor == &pg_query__common_table_expr__descriptor) {
        add_name(arg, ((const PgQuery__CommonTableExpr *)(const void *)m)->ctename);
    }
    tree_children(m, find_names, arg);
}

/* A WITH query may have another name where it is mentioned. */
static void find_mentions(const ProtobufCMessage *m, void *arg)
{
    if (m->descriptor == &pg_query__range_var__descriptor) {
        const PgQuery__RangeVar *rv = (const PgQuery__RangeVar *)(const void *)m;
        if (rv->alias && has_name(arg, rv->relname))
            add_name(arg, rv->alias->aliasname);
    }
    tree_children(m, find_mentions, arg);
}

static void find_record(const ProtobufCMessage *m, void *arg)
{
    struct records *r = arg;
    bool before = r->target;
    r->hit |= r->target && m->descriptor == &pg_query__row_expr__descriptor;
    if (r->target && m->descriptor == &pg_query__column_ref__descriptor) {
        const PgQuery__ColumnRef *ref = (const PgQuery__ColumnRef *)(const void *)m;
        r->hit |= ref->n_fields == 1 && has_name(r, tree_string(ref->fields[0]));
    }
    r->target |= m->descriptor == &pg_query__res_target__descriptor;
    tree_children(m, find_record, arg);
    r->target = before;
}

/* Is there one in a select list? No column of a temporary table can hold it. */
static bool has_record(struct an *an)
{
    struct records r = { .an = an };
    find_names(an->stmt, &r);
    if (r.n)
        find_mentions(an->stmt, &r);
    find_record(an->stmt, &r);
    return r.hit;
}

#define PUSH_COLUMNS_MAX 1600u /* of a temporary table */

static bool any_column(const struct an *an, bool (*is)(uint32_t type))
{
    for (uint32_t i = 0; i < an->nocc; i++)
        for (uint32_t k = 0; k < an->occs[i]->rel->ncolumn; k++)
            if (is(an->occs[i]->rel->columns[k].type))
                return true;
    return false;
}

/* The rest of the query that the statement is finished by takes its place in the statement. */
static struct plan_text rest_around(const struct finish *f, const struct plan_text *rest)
{
    const struct inner_level *n = &f->an->inner;
    struct text_builder t = { .a = plan_arena(f->an->plan) };
    text_slice(&t, n->start, n->first);
    text_all(&t, rest);
    text_slice(&t, n->close, n->end);
    return text_done(&t);
}

uint32_t finish_start(const struct finish *f)
{
    return f->an->inner.used ? f->c.ts.v[0].start : f->an->in->start;
}

bool finish_push(struct finish *f, struct plan_push push, const char *how)
{
    struct an *an = f->an;
    struct arena *a = plan_arena(an->plan);
    /* Numbers of one server's catalog do not travel in binary (rule P34). */
    if (an->inv.declared || an->inv.home_function || an->inv.home_writes || an->inv.reads_shard ||
        any_column(an, gather_is_catalog_number) || (how && any_column(an, gather_has_no_binary)) ||
        (how && push.ncolumn > PUSH_COLUMNS_MAX) || has_record(an) || looks_outside(f->q->limit_count) ||
        looks_outside(f->q->limit_offset))
        return false;
    struct plan_gather *g = ARENA_NEW(a, struct plan_gather);
    struct gather_part *part = ARENA_NEW(a, struct gather_part);
    struct plan_push *copy = ARENA_NEW(a, struct plan_push);
    *copy = push;
    if (an->inner.used)
        copy->rest = rest_around(f, &push.rest);
    *part = (struct gather_part){ .scope = SCOPE_KEYED };
    *g = (struct plan_gather){ .npart = 1, .parts = part, .push = copy };
    g->seen = ARENA_ARRAY(a, _Atomic uint64_t, g->npart);
    g->arrays = arrays_decide(an, g);
    an->plan->gather = g;
    if (how) {
        an->plan->combine = COMBINE_GATHER;
        an->plan->finish = how;
    }
    return true;
}

/* --- merge --- */

static void put_clause(const struct finish *f, struct text_builder *t, struct tokrange r)
{
    if (r.first >= r.end)
        return;
    text_fixed(t, " ");
    text_slice(t, clause_start(&f->c, r), clause_end(&f->c, r));
}

/* Numbers in GROUP BY count the columns that are put before the statement's own. */
static void put_group_by(const struct finish *f, struct text_builder *t)
{
    for (size_t i = 0; i < f->q->n_group_clause; i++) {
        text_fixed(t, i ? "," : " GROUP BY");
        if (f->q->group_clause[i]->node_case == PG_QUERY__NODE__NODE_A_CONST)
            text_printf(t, " %u", f->nsort + f->group_columns[i] + 1);
        else
            put_clause(f, t, f->c.groups[i]);
    }
}

/* The statement's text up to ORDER BY and LIMIT, with the sort keys as first columns. */
static void put_keyed(const struct finish *f, struct text_builder *t, bool where)
{
    const struct clauses *c = &f->c;
    text_slice(t, finish_start(f), clause_end(c, c->head));
    text_fixed(t, f->q->n_distinct_clause ? " DISTINCT " : " ");
    for (uint32_t i = 0; i < f->nkey; i++)
        text_printf(t, "%s%u%s", i ? ", " : "ON (", i + 1, i + 1 == f->nkey ? ") " : "");
    for (uint32_t i = 0; i < f->nsort; i++) {
        text_slice(t, clause_start(c, f->sorts[i].range), clause_end(c, f->sorts[i].range));
        text_printf(t, " AS pgbraid_%u, ", i + 1);
    }
    if (where) {
        text_slice(t, c->ts.v[c->body.first].start, c->ts.v[c->where_begin - 1].end);
        put_clause(f, t, c->where);
    } else {
        finish_put_shape(f, t, (struct tokrange){ c->body.first, c->where_begin });
    }
    put_group_by(f, t);
    put_clause(f, t, c->having);
}

void finish_put_order(const struct finish *f, struct text_builder *t)
{
    for (uint32_t i = 0; i < f->nsort; i++)
        text_printf(t, "%s%u%s", i ? ", " : " ORDER BY ", i + 1, finish_direction(&f->sorts[i]));
}

bool finish_merge_key(const struct sort_item *s, struct typing t, struct merge_key *key)
{
    bool text;
    key->desc = s->desc;
    key->nulls_first = s->nulls_first;
    return t.type && merge_type_of(t.type, &key->type, &text) && (!text || t.by_bytes);
}

/* cut: rows that DISTINCT ON takes for one may be on several shards. */
static bool try_merge(struct finish *f, bool cut)
{
    struct plan *p = f->an->plan;
    struct arena *a = plan_arena(p);
    struct merge_key *keys = ARENA_ARRAY(a, struct merge_key, f->nsort + 1);
    bool *by_bytes = ARENA_ARRAY(a, bool, f->nsort + 1);
    if (!p->bounds.known || finish_with_ties(f) || !finish_params_stand_alone(f->an))
        return false;
    for (uint32_t i = 0; i < f->nsort; i++) {
        struct typing t = f->sorts[i].expr ? typing_of(f->an, f->s, f->sorts[i].expr) : (struct typing){ 0 };
        if (!finish_merge_key(&f->sorts[i], t, &keys[i]))
            return false;
        by_bytes[i] = t.by_bytes;
    }
    struct text_builder t = { .a = a };
    put_keyed(f, &t, true);
    finish_put_order(f, &t);
    struct plan_merge *m = ARENA_NEW(a, struct plan_merge);
    *m = (struct plan_merge){ .nkey = f->nsort,
                              .keys = keys,
                              .by_bytes = by_bytes,
                              .nunique = cut ? f->nkey : 0,
                              .ncolumn = f->out->n,
                              .text = text_done(&t) };
    p->merge = m;
    return true;
}

/* --- partial order and DISTINCT --- */

/* In ORDER BY a bare name is an output column's, which may be called c1, too: input columns are named with
 * PARTIAL_ROWS. */
void finish_put_from(struct text_builder *t)
{
    text_fixed(t, " FROM ");
    text_table(t);
    text_fixed(t, " AS " PARTIAL_ROWS);
}

void finish_put_columns(const struct finish *f, struct text_builder *t, uint32_t first)
{
    struct strbuf sb = STRBUF_INIT;
    for (uint32_t i = 0; i < f->out->n; i++) {
        strbuf_printf(&sb, "%sc%u AS ", i ? ", " : "", first + i + 1);
        strbuf_put_ident(&sb, span_str(f->names[i]));
    }
    text_fixed(t, strbuf_str(&sb));
    finish_put_from(t);
    strbuf_fini(&sb);
}

/* Neither parameters nor what no column can hold in what a temporary table is made of. */
static bool shape_allowed(const struct finish *f)
{
    const struct clauses *c = &f->c;
    const struct tokrange before = { 0, c->where_begin }, behind = { c->where_end, c->body.end };
    if (!names_known(f) || !finish_params_stand_alone(f->an) || finish_shape_has_param(f, before) ||
        finish_has_param(f, behind))
        return false;
    for (size_t i = 0; i < f->q->n_target_list; i++)
        if (!tree_is_star(f->q->target_list[i]->res_target->val) &&
            !finish_can_be_column(f, f->q->target_list[i]->res_target->val))
            return false;
    return true;
}

static bool push_order(struct finish *f, const char *how)
{
    struct arena *a = plan_arena(f->an->plan);
    struct text_builder shard = { .a = a }, shape = { .a = a }, rest = { .a = a };
    if (!shape_allowed(f))
        return false;
    for (uint32_t i = 0; i < f->nsort; i++)
        if (!f->sorts[i].expr || !finish_can_be_column(f, f->sorts[i].expr) || finish_has_param(f, f->sorts[i].range))
            return false;
    put_keyed(f, &shard, true);
    finish_put_order(f, &shard);
    put_clause(f, &shard, f->c.lock); /* who waits for a row sees its new values: they are sorted once more */
    put_keyed(f, &shape, false);
    text_fixed(&rest, f->non ? "SELECT DISTINCT " : "SELECT ");
    for (uint32_t i = 0; i < f->nkey; i++)
        text_printf(&rest, "%s" PARTIAL_ROWS ".c%u%s", i ? ", " : "ON (", i + 1, i + 1 == f->nkey ? ") " : "");
    finish_put_columns(f, &rest, f->nsort);
    for (uint32_t i = 0; i < f->nsort; i++)
        text_printf(&rest, "%s" PARTIAL_ROWS ".c%u%s", i ? ", " : " ORDER BY ", i + 1, finish_direction(&f->sorts[i]));
    finish_put_limit(f, &rest);
    return finish_push(f,
                       (struct plan_push){ .ncolumn = f->nsort + f->out->n,
                                           .shard = text_done(&shard),
                                           .shape = text_done(&shape),
                                           .rest = text_done(&rest),
                                           .limited = true,
                                           .ties = finish_with_ties(f) },
                       how);
}

/* ORDER BY of a DISTINCT names output columns, or repeats their expressions. */
static bool find_distinct_columns(struct finish *f)
{
    for (uint32_t i = 0; i < f->nsort; i++) {
        struct sort_item *s = &f->sorts[i];
        for (size_t k = 0; k < f->q->n_target_list && !s->output; k++) {
            const PgQuery__Node *val = f->q->target_list[k]->res_target->val;
            if (!tree_is_star(val) && same_expression(f->an, f->s, val, s->expr)) {
                s->column = f->column[k];
                s->output = true;
            }
        }
        if (!s->output)
            return false;
    }
    return true;
}

static bool push_distinct(struct finish *f)
{
    struct arena *a = plan_arena(f->an->plan);
    struct text_builder shard = { .a = a }, shape = { .a = a }, rest = { .a = a };
    uint32_t nsort = f->nsort;
    if (!shape_allowed(f))
        return false;
    text_fixed(&rest, "SELECT DISTINCT ");
    finish_put_columns(f, &rest, 0);
    for (uint32_t i = 0; i < nsort; i++)
        text_printf(&rest, "%s%u%s", i ? ", " : " ORDER BY ", f->sorts[i].column + 1, finish_direction(&f->sorts[i]));
    finish_put_limit(f, &rest);
    f->nsort = 0;
    put_keyed(f, &shard, true);
    put_keyed(f, &shape, false);
    f->nsort = nsort;
    return finish_push(
        f,
        (struct plan_push){
            .ncolumn = f->out->n, .shard = text_done(&shard), .shape = text_done(&shape), .rest = text_done(&rest) },
        "each shard drops duplicates, the rest of the statement runs over what remains");
}

/* --- the way through --- */

void finish_merge_plan(struct finish *f)
{
    struct plan *p = f->an->plan;
    bool bounds = p->bounds.has_limit || p->bounds.has_offset;
    p->combine = COMBINE_MERGE;
    p->finish = p->merge->nunique
                    ? "each shard sorts and sends the first of each, the router merges and keeps the first"
                : !f->nsort ? "the shards' answers are concatenated and counted"
                : bounds    ? "each shard sorts, the router merges and counts"
                            : "each shard sorts, the router merges";
    err_set(&p->refusal, PB0201, "LIMIT or OFFSET of a statement over several shards is not a number of rows");
    err_detail(&p->refusal, "The router counts the rows that several shards send.");
    err_hint(&p->refusal, "Give it as a plain number that is not negative.");
}

static bool any_unsharded(const struct an *an)
{
    for (uint32_t i = 0; i < an->nocc; i++)
        if (an->occs[i]->rel->dist == DIST_UNSHARDED)
            return true;
    return false;
}

const char *finish_how_ordered(const struct finish *f)
{
    return finish_with_ties(f) ? "each shard sorts and sends its first rows and their ties, the rest of the statement "
                                 "runs over them"
                               : "each shard sorts and sends its first rows, the rest of the statement runs over them";
}

static bool finish_select(struct an *an)
{
    struct finish f = { .an = an, .q = an->top.query, .s = an->top.scope, .out = an->top.columns };
    const struct whole w = { an, f.s, 0, an->nocc };
    if (!clauses_find(an, f.q, &f.c) || !find_columns(&f) || !find_sorts(&f))
        return false;
    finish_find_bounds(&f);
    finish_find_gaps(&f);
    if (tree_is_distinct_on(f.q) ? !finish_find_ons(&f) : f.q->n_distinct_clause && !find_distinct_columns(&f))
        return false;
    if (f.non && finish_with_ties(&f) && f.nsort > f.q->n_sort_clause)
        return false; /* keys besides ORDER BY's break ties */
    if (an->top.grouped) {
        if (!finish_group_items(&f))
            return false;
        if (f.nset || !whole_by(&w, f.ngroup, f.groups))
            return finish_groups(&f);
    }
    if (an->top.windows && !whole_windows(&w, f.q))
        return false;
    if (f.q->n_distinct_clause && !f.non && !whole_answer(&w, f.out))
        return push_distinct(&f);
    bool cut = f.non && !finish_ons_whole(&f, &w);
    if (an->inner.used) /* what the shards give is no answer yet */
        return push_order(&f, finish_how_ordered(&f));
    if (!cut && f.q->n_sort_clause == 0 && !f.q->limit_count && !f.q->limit_offset) {
        an->plan->combine = COMBINE_CONCAT;
        an->plan->finish = f.q->n_locking_clause ? "each shard locks its rows, the shards' answers concatenated"
                                                 : "whole groups are on one shard, the shards' answers concatenated";
        return true;
    }
    if (!f.q->n_locking_clause && try_merge(&f, cut)) {
        (void)push_order(&f, NULL); /* for bounds that only a server can judge */
        finish_merge_plan(&f);
        return true;
    }
    return push_order(&f, finish_how_ordered(&f));
}

bool finish_try(struct an *an)
{
    if (any_unsharded(an))
        return false;
    return an->top.query->op == PG_QUERY__SET_OPERATION__SETOP_NONE ? finish_select(an) : finish_setop(an);
}
