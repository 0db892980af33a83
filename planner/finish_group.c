/*
 * Partial aggregates. Shards run SELECT groups, partials FROM ... WHERE ... GROUP BY groups; over their rows, in
 * columns c1, c2 ..., the remainder has the statement's own select list, HAVING and ORDER BY, in which a group's
 * expression is its column and an aggregate is what puts its partials together:
 *
 *   count(x)                    sum of counts, as bigint
 *   sum(x)                      sum of sums, in the type that sum(x) has
 *   min, max, bool_and ...      itself
 *   avg(x)                      sum of sums / sum of counts: PostgreSQL divides the same two numbers
 *   stddev, variance ...        of exact numbers: from counts, sums and sums of squares, see rewrite_deviation(); of
 *                               floats, see rewrite_float_deviation()
 *   f(DISTINCT x)               x is one more group on the shards; f(DISTINCT column)
 *
 * With grouping sets the shards' GROUPING() of all groups is one more column, c(n+1): partial rows of one set meet.
 *
 * Sums of floats depend on the order of rows in PostgreSQL, too (rule P24). Whatever else names a column of a table
 * cannot be put over partial rows: then nothing is pushed.
 */
#include "planner/finish_int.h"

#include "planner/figure.h"
#include "planner/same.h"
#include "planner/typing.h"

#include <stdlib.h>
#include <string.h>

struct replacement {
    uint32_t start, end;
    const char *text;
};

struct rewrite {
    struct finish *f;
    struct text_builder partials; /* each with a comma in front */
    struct text_builder distinct; /* numbers of columns to group by besides the groups, likewise */
    uint32_t ncolumn;
    struct replacement *v;
    uint32_t n, cap;
    bool no;
};

/* --- GROUP BY --- */

static const PgQuery__Node *group_by_alias(const struct finish *f, const char *name, struct tokrange *range)
{
    const PgQuery__Node *hit = NULL;
    for (size_t i = 0; i < f->q->n_target_list; i++) {
        const PgQuery__ResTarget *t = f->q->target_list[i]->res_target;
        if (tree_is_star(t->val) || strcmp(tree_str(figure_name(t)), name) != 0)
            continue;
        if (hit)
            return NULL;
        hit = t->val;
        *range = f->c.targets[i];
    }
    return hit;
}

/* A bare name is an input column's before it is an output column's. */
const PgQuery__Node *finish_group_item(struct finish *f, const PgQuery__Node *n, struct tokrange *range,
                                       uint32_t *column)
{
    bool found;
    if (n->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return finish_ordinal(f, n->a_const, range, column);
    if (n->node_case == PG_QUERY__NODE__NODE_GROUPING_SET || n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return NULL;
    if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return n;
    (void)scope_resolve(f->s, n->column_ref, &found);
    if (found)
        return n;
    return n->column_ref->n_fields == 1 ? group_by_alias(f, tree_string(n->column_ref->fields[0]), range) : NULL;
}

bool finish_group_items(struct finish *f)
{
    size_t n = f->q->n_group_clause;
    if (finish_has_sets(f->q))
        return finish_find_sets(f);
    f->ngroup = (uint32_t)n;
    f->groups = ARENA_ARRAY(f->an->a, const PgQuery__Node *, n + 1);
    f->group_ranges = ARENA_ARRAY(f->an->a, struct tokrange, n + 1);
    f->group_columns = ARENA_ARRAY(f->an->a, uint32_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        f->group_ranges[i] = f->c.groups[i];
        f->groups[i] = finish_group_item(f, f->q->group_clause[i], &f->group_ranges[i], &f->group_columns[i]);
        if (!f->groups[i])
            return false;
    }
    return true;
}

/* --- where expressions are in the text --- */

static bool is_word(const struct tokens *ts, uint32_t i)
{
    return i < ts->n && (ts->v[i].kind == LEX_WORD || ts->v[i].kind == LEX_QUOTED);
}

/* name [. name]... that begins at a byte. */
static bool name_range(const struct tokens *ts, int location, struct tokrange *r)
{
    uint32_t i = location < 0 ? ts->n : token_at(ts, (uint32_t)location);
    if (!is_word(ts, i) || ts->v[i].start != (uint32_t)location)
        return false;
    r->first = i;
    while (is_word(ts, i + 2) && token_is(ts, i + 1, "."))
        i += 2;
    r->end = i + 1;
    return true;
}

struct call_range {
    struct tokrange name, args; /* args: with brackets */
    struct tokrange filter;     /* FILTER (...), or empty */
    uint32_t end;
};

static bool call_range(const struct tokens *ts, const PgQuery__FuncCall *call, struct call_range *r)
{
    *r = (struct call_range){ 0 };
    if (!name_range(ts, call->location, &r->name) || !token_is(ts, r->name.end, "("))
        return false;
    r->args = (struct tokrange){ r->name.end, token_closing(ts, r->name.end) + 1 };
    if (r->args.end > ts->n)
        return false;
    r->end = r->args.end;
    bool filtered = keyword_is(ts, r->end, "filter") && token_is(ts, r->end + 1, "(");
    if (filtered != (call->agg_filter != NULL))
        return false;
    if (filtered) {
        r->filter = (struct tokrange){ r->end, token_closing(ts, r->end + 1) + 1 };
        r->end = r->filter.end;
    }
    return r->end <= ts->n;
}

/* --- rewriting --- */

static void replace(struct rewrite *w, struct tokrange r, const char *text)
{
    const struct clauses *c = &w->f->c;
    if (w->n == w->cap) {
        struct replacement *v = ARENA_ARRAY(w->f->an->a, struct replacement, w->cap ? w->cap * 2 : 8);
        if (w->n)
            memcpy(v, w->v, w->n * sizeof *v);
        w->v = v;
        w->cap = w->cap ? w->cap * 2 : 8;
    }
    w->v[w->n++] = (struct replacement){ clause_start(c, r), clause_end(c, r), text };
}

static void put_range(const struct rewrite *w, struct text_builder *t, struct tokrange r)
{
    if (r.first < r.end)
        text_slice(t, clause_start(&w->f->c, r), clause_end(&w->f->c, r));
}

/* A column of the shards' answer: `function` of the call's arguments, or the call itself. */
static uint32_t partial(struct rewrite *w, const struct call_range *r, const char *function)
{
    text_fixed(&w->partials, ", ");
    if (function)
        text_printf(&w->partials, "pg_catalog.%s", function);
    else
        put_range(w, &w->partials, r->name);
    put_range(w, &w->partials, r->args);
    text_fixed(&w->partials, " ");
    put_range(w, &w->partials, r->filter);
    return ++w->ncolumn;
}

static const char *put_together(struct rewrite *w, const char *fmt, uint32_t a, uint32_t b)
{
    struct strbuf sb = STRBUF_INIT;
    for (; *fmt; fmt++) {
        if (*fmt == '1')
            strbuf_printf(&sb, "c%u", a);
        else if (*fmt == '2')
            strbuf_printf(&sb, "c%u", b);
        else
            strbuf_putc(&sb, *fmt);
    }
    const char *copy = arena_strdup(w->f->an->a, strbuf_str(&sb));
    strbuf_fini(&sb);
    return copy;
}

#define SUM "pg_catalog.sum"
/* Digits stand for columns: int8 is spelt bigint. */
#define AS_BIGINT "::bigint"

static void rewrite_sum(struct rewrite *w, const PgQuery__FuncCall *call, const struct call_range *r, bool avg)
{
    uint32_t type = call->n_args == 1 ? typing_of(w->f->an, w->f->s, call->args[0]).type : 0;
    bool exact = type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8 || type == TYPE_NUMERIC;
    uint32_t a, b;
    if (!exact && type != TYPE_FLOAT8 && type != TYPE_INTERVAL &&
        (avg || (type != TYPE_FLOAT4 && type != TYPE_MONEY))) {
        w->no = true;
        return;
    }
    if (avg) {
        a = partial(w, r, "sum");
        b = partial(w, r, "count");
        replace(w, (struct tokrange){ r->name.first, r->end },
                put_together(w,
                             exact ? "(" SUM "(1) OPERATOR(pg_catalog./) " SUM "(2))"
                                   : "(" SUM "(1) OPERATOR(pg_catalog./) " SUM "(2)::double precision)",
                             a, b));
        return;
    }
    a = partial(w, r, NULL);
    replace(w, (struct tokrange){ r->name.first, r->end },
            put_together(w, type == TYPE_INT2 || type == TYPE_INT4 ? "(" SUM "(1)" AS_BIGINT ")" : SUM "(1)", a, 0));
}

/* A column of the shards' answer: the sum of the argument, or of its square, as numbers that lose nothing. */
static uint32_t partial_power(struct rewrite *w, const struct call_range *r, bool square, bool small)
{
    const char *cast = small ? "::bigint" : "::numeric"; /* a bigint's square is a numeric, an integer's is none */
    text_fixed(&w->partials, ", " SUM "(");
    put_range(w, &w->partials, r->args);
    text_fixed(&w->partials, cast);
    if (square) {
        text_fixed(&w->partials, " OPERATOR(pg_catalog.*) ");
        put_range(w, &w->partials, r->args);
        text_fixed(&w->partials, cast);
    }
    text_fixed(&w->partials, ") ");
    put_range(w, &w->partials, r->filter);
    return ++w->ncolumn;
}

/* numeric(p, s) of at most a hundred digits: what the scale of a square root is computed for below. */
static bool has_few_digits(const struct rewrite *w, const PgQuery__Node *n)
{
    bool found;
    int v = n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? scope_resolve(w->f->s, n->column_ref, &found) : NO_COLUMN;
    int32_t typmod = v == NO_COLUMN || w->f->an->vars[v].mixed ? -1 : w->f->an->vars[v].typmod - 4;
    return typmod >= 0 && (typmod >> 16) <= 100 && (typmod & 0x7ff) <= 100;
}

/*
 * Of floats: from N, the sum, and the sum of squared differences from the mean, which is what float8_accum() keeps
 * (rule P24). They are put together by the differences of the parts' means from that of all, as float8_combine() does
 * it for the workers of a parallel plan: a difference of large squares would lose digits.
 */
static void rewrite_float_deviation(struct rewrite *w, const struct call_range *r, bool root, bool pop)
{
    uint32_t n = partial(w, r, "count"), s = partial(w, r, "sum"), q = ++w->ncolumn;
    text_fixed(&w->partials, ", pg_catalog.regr_sxx(");
    put_range(w, &w->partials, r->args);
    text_fixed(&w->partials, ", ");
    put_range(w, &w->partials, r->args);
    text_fixed(&w->partials, ") ");
    put_range(w, &w->partials, r->filter);
    struct arena *a = w->f->an->a;
    /* Operators with a schema are all of one precedence. */
    const char *apart = arena_printf(a,
                                     "((p.s OPERATOR(pg_catalog./) p.n) OPERATOR(pg_catalog.-) (" SUM
                                     "(c%u) OPERATOR(pg_catalog./) " SUM "(c%u)::double precision))",
                                     s, n);
    replace(w, (struct tokrange){ r->name.first, r->end },
            arena_printf(a,
                         "(SELECT CASE WHEN " SUM "(c%u) OPERATOR(pg_catalog.>) %d THEN %s(" SUM
                         "(p.q OPERATOR(pg_catalog.+) (p.n OPERATOR(pg_catalog.*) (%s OPERATOR(pg_catalog.*) %s))) "
                         "OPERATOR(pg_catalog./) (" SUM "(c%u) OPERATOR(pg_catalog.-) %d)::double precision) END "
                         "FROM ROWS FROM (pg_catalog.unnest(pg_catalog.array_agg(c%u::double precision)), "
                         "pg_catalog.unnest(pg_catalog.array_agg(c%u)), pg_catalog.unnest(pg_catalog.array_agg(c%u))) "
                         "AS p(n, s, q) WHERE p.n OPERATOR(pg_catalog.>) 0)",
                         n, pop ? 0 : 1, root ? "pg_catalog.sqrt" : "", apart, apart, n, pop ? 0 : 1, n, s, q));
}

/*
 * From N, the sum and the sum of squares, as numeric_stddev_internal() does it: (N * squares - sum * sum) / (N * (N -
 * 1)), or / (N * N). Division chooses its scale by its operands, which are the same. A root has the scale r of what it
 * is taken of, rounded once: it is computed to more than 2 r digits, so far that none of the numbers with r digits has
 * a root that near to the middle between two others, and rounded then.
 */
static void rewrite_deviation(struct rewrite *w, const PgQuery__FuncCall *call, const struct call_range *r,
                              const char *name)
{
    bool root = *name == 's', pop = strstr(name, "_pop") != NULL;
    uint32_t type = call->n_args == 1 ? typing_of(w->f->an, w->f->s, call->args[0]).type : 0;
    bool small = type == TYPE_INT2 || type == TYPE_INT4;
    if (type == TYPE_FLOAT8 && !keyword_is(&w->f->c.ts, r->args.first + 1, "all")) {
        rewrite_float_deviation(w, r, root, pop);
        return;
    }
    if ((!small && type != TYPE_INT8 && type != TYPE_NUMERIC) || keyword_is(&w->f->c.ts, r->args.first + 1, "all") ||
        (root && type == TYPE_NUMERIC && !has_few_digits(w, call->args[0]))) {
        w->no = true;
        return;
    }
    uint32_t n = partial(w, r, "count"), s = partial_power(w, r, false, small), q = partial_power(w, r, true, small);
    (void)partial(w, r, "min"); /* tells of a shard where the type is another one, which the casts would hide */
    struct arena *a = w->f->an->a;
    const char *over = arena_printf(a,
                                    "((" SUM "(c%u) OPERATOR(pg_catalog.*) " SUM "(c%u)) OPERATOR(pg_catalog.-) (" SUM
                                    "(c%u) OPERATOR(pg_catalog.*) " SUM "(c%u)))",
                                    n, q, s, s);
    const char *variance = arena_printf(
        a, "(%s OPERATOR(pg_catalog./) (" SUM "(c%u) OPERATOR(pg_catalog.*) (" SUM "(c%u) OPERATOR(pg_catalog.-) %d)))",
        over, n, n, pop ? 0 : 1);
    const char *value =
        root ? arena_printf(a,
                            "pg_catalog.round(pg_catalog.sqrt(pg_catalog.round(%s, COALESCE(pg_catalog.scale(%s), 0) "
                            "OPERATOR(pg_catalog.*) 2 OPERATOR(pg_catalog.+) 120)), COALESCE(pg_catalog.scale(%s), 0))",
                            variance, variance, variance)
             : variance;
    replace(w, (struct tokrange){ r->name.first, r->end },
            arena_printf(a,
                         "(CASE WHEN " SUM
                         "(c%u) OPERATOR(pg_catalog.>) %d THEN CASE WHEN %s OPERATOR(pg_catalog.<=) 0 THEN "
                         "0::numeric ELSE %s END END)",
                         n, pop ? 0 : 1, over, value));
}

/* One more group on the shards. */
static void rewrite_distinct(struct rewrite *w, const PgQuery__FuncCall *call, const struct call_range *r,
                             const char *name)
{
    uint32_t first = r->args.first + 1;
    if (call->agg_filter || call->n_agg_order || call->n_args != 1 || call->agg_star ||
        !keyword_is(&w->f->c.ts, first, "distinct") || !finish_can_be_column(w->f, call->args[0]) ||
        call->args[0]->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        w->no = true;
        return;
    }
    text_fixed(&w->partials, ", ");
    put_range(w, &w->partials, (struct tokrange){ first + 1, r->args.end - 1 });
    w->ncolumn++;
    text_printf(&w->distinct, ", %u", w->ncolumn);
    replace(w, (struct tokrange){ r->name.first, r->end },
            arena_printf(w->f->an->a, "pg_catalog.%s(DISTINCT c%u)", name, w->ncolumn));
}

static void rewrite_aggregate(struct rewrite *w, const PgQuery__FuncCall *call, const char *name)
{
    static const char *const same[] = { "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor" };
    static const char *const others[] = { "count", "sum", "avg", "array_agg" };
    static const char *const deviations[] = {
        "stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"
    };
    struct call_range r;
    bool itself = false, known = false, deviation = false;
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        itself |= strcmp(same[i], name) == 0;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        known |= strcmp(others[i], name) == 0;
    for (size_t i = 0; i < ARRAY_LEN(deviations); i++)
        deviation |= strcmp(deviations[i], name) == 0;
    if ((!itself && !known && !deviation) || call->agg_within_group || call->n_agg_order || call->func_variadic ||
        !call_range(&w->f->c.ts, call, &r) || finish_has_param(w->f, (struct tokrange){ r.name.first, r.end })) {
        w->no = true;
        return;
    }
    const struct tokrange all = { r.name.first, r.end };
    if (call->agg_distinct)
        rewrite_distinct(w, call, &r, name);
    else if (deviation)
        rewrite_deviation(w, call, &r, name);
    else if (itself && call->n_args == 1)
        replace(w, all, arena_printf(w->f->an->a, "pg_catalog.%s(c%u)", name, partial(w, &r, NULL)));
    else if (strcmp(name, "count") == 0 && call->n_args <= 1)
        replace(w, all,
                put_together(w, "COALESCE(" SUM "(1)" AS_BIGINT ", '0'" AS_BIGINT ")", partial(w, &r, NULL), 0));
    else if (*name == 's' || strcmp(name, "avg") == 0)
        rewrite_sum(w, call, &r, *name == 'a');
    else
        w->no = true;
}

/* Which group it is; ngroup: none. */
static uint32_t group_index(const struct rewrite *w, const PgQuery__Node *n)
{
    uint32_t i = 0;
    while (i < w->f->ngroup && n != w->f->groups[i] && !same_expression(w->f->an, w->f->s, n, w->f->groups[i]))
        i++;
    return i;
}

static const char *group_column(struct rewrite *w, const PgQuery__Node *n)
{
    uint32_t i = group_index(w, n);
    return i < w->f->ngroup ? arena_printf(w->f->an->a, "c%u", i + 1) : NULL;
}

/* GROUPING(a, b): its bits from those that the shards have sent of all groups. */
static void rewrite_grouping(struct rewrite *w, const PgQuery__GroupingFunc *g)
{
    const struct tokens *ts = &w->f->c.ts;
    uint32_t i = g->location < 0 ? ts->n : token_at(ts, (uint32_t)g->location);
    struct strbuf sb = STRBUF_INIT;
    strbuf_putc(&sb, '(');
    if (i + 1 >= ts->n || !keyword_is(ts, i, "grouping") || !token_is(ts, i + 1, "(") || w->f->nset == 0)
        w->no = true;
    for (size_t k = 0; k < g->n_args && !w->no; k++) {
        uint32_t at = group_index(w, g->args[k]);
        w->no = at == w->f->ngroup;
        strbuf_printf(&sb, "%s((c%u OPERATOR(pg_catalog.>>) %u OPERATOR(pg_catalog.&) 1) OPERATOR(pg_catalog.<<) %zu)",
                      k ? " OPERATOR(pg_catalog.|) " : "", w->f->ngroup + 1, w->f->ngroup - 1 - at, g->n_args - 1 - k);
    }
    strbuf_putc(&sb, ')');
    if (!w->no)
        replace(w, (struct tokrange){ i, token_closing(ts, i + 1) + 1 }, arena_strdup(w->f->an->a, strbuf_str(&sb)));
    strbuf_fini(&sb);
}

static void rewrite_node(struct rewrite *w, const PgQuery__Node *n);

static bool is_aggregate(const struct rewrite *w, const PgQuery__FuncCall *call, const char *name)
{
    const struct cat_func *b = catalog_builtin_function(w->f->an->in->cat, name);
    return call->agg_star || call->agg_distinct || call->agg_within_group || call->n_agg_order || call->agg_filter ||
           (b && b->aggregate);
}

static void rewrite_call(struct rewrite *w, const PgQuery__Node *n)
{
    const PgQuery__FuncCall *call = n->func_call;
    const char *name;
    struct call_range r;
    const char *column = w->f->ngroup ? group_column(w, n) : NULL;
    if (!is_catalog_function(w->f->an, call, &name) || call->over) {
        w->no = true;
        return;
    }
    if (column && call_range(&w->f->c.ts, call, &r)) {
        replace(w, (struct tokrange){ r.name.first, r.end }, column);
        return;
    }
    if (is_aggregate(w, call, name)) {
        rewrite_aggregate(w, call, name);
        return;
    }
    for (size_t i = 0; i < call->n_args; i++)
        rewrite_node(w, call->args[i]);
}

static void rewrite_column(struct rewrite *w, const PgQuery__Node *n)
{
    struct tokrange r;
    const char *column = group_column(w, n);
    if (!column || !name_range(&w->f->c.ts, n->column_ref->location, &r))
        w->no = true;
    else
        replace(w, r, column);
}

/* Nodes come wrapped or bare: those that matter here are looked at by what they are. */
static void rewrite_child(const ProtobufCMessage *m, void *arg)
{
    struct rewrite *w = arg;
    PgQuery__Node n = PG_QUERY__NODE__INIT;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        n.node_case = PG_QUERY__NODE__NODE_COLUMN_REF;
        n.column_ref = (PgQuery__ColumnRef *)(uintptr_t)(const void *)m;
        rewrite_column(w, &n);
    } else if (m->descriptor == &pg_query__func_call__descriptor) {
        n.node_case = PG_QUERY__NODE__NODE_FUNC_CALL;
        n.func_call = (PgQuery__FuncCall *)(uintptr_t)(const void *)m;
        rewrite_call(w, &n);
    } else if (m->descriptor == &pg_query__grouping_func__descriptor) {
        rewrite_grouping(w, (const PgQuery__GroupingFunc *)(const void *)m);
    } else if (m->descriptor == &pg_query__sub_link__descriptor ||
               m->descriptor == &pg_query__select_stmt__descriptor) {
        w->no = true;
    } else {
        tree_children(m, rewrite_child, w);
    }
}

static void rewrite_node(struct rewrite *w, const PgQuery__Node *n)
{
    const ProtobufCMessage *m = tree_message(n);
    if (m)
        rewrite_child(m, w);
}

static int by_start(const void *a, const void *b)
{
    const struct replacement *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* An expression over the partial rows. */
static void rewrite_item(struct rewrite *w, const PgQuery__Node *n, struct tokrange r, struct text_builder *t)
{
    uint32_t at = clause_start(&w->f->c, r), end = clause_end(&w->f->c, r);
    const char *column = group_column(w, n);
    if (column) {
        text_fixed(t, column);
        return;
    }
    w->n = 0;
    rewrite_node(w, n);
    if (w->no)
        return;
    if (w->n)
        qsort(w->v, w->n, sizeof *w->v, by_start);
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->v[i].start < at || w->v[i].end > end) {
            w->no = true;
            return;
        }
        text_slice(t, at, w->v[i].start);
        text_fixed(t, w->v[i].text);
        at = w->v[i].end;
    }
    text_slice(t, at, end);
}

/* --- the texts --- */

static void put_sort(struct rewrite *w, const struct sort_item *s, struct text_builder *t)
{
    if (s->output) {
        text_printf(t, "%u", s->column + 1);
        return;
    }
    if (group_column(w, s->expr))
        text_fixed(t, PARTIAL_ROWS ".");
    rewrite_item(w, s->expr, s->range, t);
}

/* The sort keys, each with its partial aggregates once: PostgreSQL compares DISTINCT ON's with ORDER BY's. */
static struct plan_text *make_sorts(struct rewrite *w)
{
    struct arena *a = plan_arena(w->f->an->plan);
    struct plan_text *sorts = ARENA_ARRAY(a, struct plan_text, w->f->nsort + 1);
    for (uint32_t i = 0; i < w->f->nsort && !w->no; i++) {
        struct text_builder t = { .a = a };
        put_sort(w, &w->f->sorts[i], &t);
        sorts[i] = text_done(&t);
    }
    return sorts;
}

static void put_rest(struct rewrite *w, struct text_builder *t)
{
    struct finish *f = w->f;
    const struct plan_text *sorts = make_sorts(w);
    text_fixed(t, f->q->n_distinct_clause ? "SELECT DISTINCT " : "SELECT ");
    for (uint32_t i = 0; i < f->nkey; i++) {
        text_fixed(t, i ? ", " : "ON (");
        text_all(t, &sorts[i]);
        text_fixed(t, i + 1 == f->nkey ? ") " : "");
    }
    for (size_t i = 0; i < f->q->n_target_list && !w->no; i++) {
        struct strbuf sb = STRBUF_INIT;
        const PgQuery__Node *val = f->q->target_list[i]->res_target->val;
        if (i)
            text_fixed(t, ", ");
        if (tree_is_star(val) || !f->names[f->column[i]]) {
            w->no = true;
            return;
        }
        rewrite_item(w, val, f->c.targets[i], t);
        strbuf_puts(&sb, " AS ");
        strbuf_put_ident(&sb, span_str(f->names[f->column[i]]));
        text_fixed(t, strbuf_str(&sb));
        strbuf_fini(&sb);
    }
    finish_put_from(t);
    for (size_t i = 0; i < f->ngroup; i++)
        text_printf(t, "%sc%zu", i ? ", " : " GROUP BY ", i + 1);
    if (f->nset)
        text_printf(t, ", c%u", f->ngroup + 1);
    if (f->q->having_clause && !w->no) {
        text_fixed(t, " HAVING ");
        rewrite_item(w, f->q->having_clause, f->c.having_expr, t);
    }
    for (uint32_t i = 0; i < f->nsort; i++) {
        text_fixed(t, i ? ", " : " ORDER BY ");
        text_all(t, &sorts[i]);
        text_fixed(t, finish_direction(&f->sorts[i]));
    }
    finish_put_limit(f, t);
}

/* GROUP BY numbers of columns: the groups, and arguments of DISTINCT aggregates. */
static void put_grouping(const struct rewrite *w, struct text_builder *t)
{
    size_t n = w->f->ngroup;
    if (w->f->nset) {
        finish_put_sets(w->f, t);
        return;
    }
    for (size_t i = 0; i < n; i++)
        text_printf(t, "%s%zu", i ? ", " : " GROUP BY ", i + 1);
    for (uint32_t i = 0; i < w->distinct.n; i++) {
        const char *number = w->distinct.v[i].fixed;
        if (n == 0 && i == 0)
            text_printf(t, " GROUP BY %s", number + 2);
        else
            text_fixed(t, number);
    }
}

static void put_partials(const struct rewrite *w, struct text_builder *t, bool where)
{
    const struct clauses *c = &w->f->c;
    text_slice(t, finish_start(w->f), clause_end(c, c->head));
    for (size_t i = 0; i < w->f->ngroup; i++) {
        text_fixed(t, i ? ", " : " ");
        put_range(w, t, w->f->group_ranges[i]);
    }
    for (size_t i = 0; w->f->nset && i < w->f->ngroup; i++) {
        text_fixed(t, i ? ", " : ", GROUPING(");
        put_range(w, t, w->f->group_ranges[i]);
        text_fixed(t, i + 1 == w->f->ngroup ? ")" : "");
    }
    if (w->f->ngroup == 0) /* the partials begin with a comma */
        text_fixed(t, " pg_catalog.count(*)");
    const struct plan_text partials = text_done(&w->partials);
    text_all(t, &partials);
    text_fixed(t, " ");
    if (where) {
        put_range(w, t, c->from);
        text_fixed(t, " ");
        put_range(w, t, c->where);
    } else {
        finish_put_shape(w->f, t, c->from);
    }
    put_grouping(w, t);
}

static bool shape_allowed(const struct finish *f)
{
    if (!finish_params_stand_alone(f->an) || finish_has_param(f, f->c.head) || finish_shape_has_param(f, f->c.from))
        return false;
    for (size_t i = 0; i < f->ngroup; i++)
        if (!finish_can_be_column(f, f->groups[i]) || finish_has_param(f, f->group_ranges[i]))
            return false;
    return true;
}

bool finish_groups(struct finish *f)
{
    struct arena *a = plan_arena(f->an->plan);
    struct rewrite w = { .f = f, .partials = { .a = a }, .distinct = { .a = a } };
    struct text_builder shard = { .a = a }, shape = { .a = a }, rest = { .a = a };
    w.ncolumn = f->nset ? f->ngroup + 1 : f->ngroup ? f->ngroup : 1;
    if (!shape_allowed(f))
        return false;
    put_rest(&w, &rest);
    if (w.no || (f->nset && w.distinct.n)) /* one more group, and () would have no row of no rows */
        return false;
    put_partials(&w, &shard, true);
    put_partials(&w, &shape, false);
    return finish_push(
        f,
        (struct plan_push){
            .ncolumn = w.ncolumn, .shard = text_done(&shard), .shape = text_done(&shape), .rest = text_done(&rest) },
        "each shard aggregates, the rest of the statement runs over the partial rows");
}
