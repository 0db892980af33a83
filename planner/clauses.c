#include "planner/clauses.h"

#include <string.h>

uint32_t clause_start(const struct clauses *c, struct tokrange r)
{
    return c->ts.v[r.first].start;
}

uint32_t clause_end(const struct clauses *c, struct tokrange r)
{
    return c->ts.v[r.end - 1].end;
}

static bool is_empty(struct tokrange r)
{
    return r.first >= r.end;
}

/* A keyword at the top level that begins a clause: not a label behind AS, nor a part of another construct. */
static bool begins(const struct tokens *ts, uint32_t i, const char *word)
{
    if (ts->v[i].depth != 0 || !keyword_is(ts, i, word) || (i > 0 && keyword_is(ts, i - 1, "as")))
        return false;
    if (strcmp(word, "from") == 0)
        return i == 0 || !keyword_is(ts, i - 1, "distinct"); /* IS DISTINCT FROM */
    return strcmp(word, "group") != 0 || i == 0 || !keyword_is(ts, i - 1, "within");
}

enum clause { FROM, WHERE, GROUP, HAVING, ORDER, LIMIT, LOCK, OTHER, NONE };

static enum clause clause_at(const struct tokens *ts, uint32_t i)
{
    static const struct {
        const char *word;
        enum clause clause;
    } words[] = {
        { "from", FROM },   { "where", WHERE },  { "group", GROUP },     { "having", HAVING }, { "order", ORDER },
        { "limit", LIMIT }, { "offset", LIMIT }, { "fetch", LIMIT },     { "window", OTHER },  { "for", LOCK },
        { "union", OTHER }, { "except", OTHER }, { "intersect", OTHER }, { "into", OTHER },
    };
    if (ts->v[i].kind != LEX_WORD || ts->v[i].depth != 0)
        return NONE;
    for (size_t k = 0; k < ARRAY_LEN(words); k++)
        if (begins(ts, i, words[k].word))
            return words[k].clause;
    return NONE;
}

/* The SELECT of the statement's own level, behind WITH. */
static uint32_t select_token(const struct tokens *ts)
{
    uint32_t i = 0;
    if (keyword_is(ts, 0, "with"))
        while (i < ts->n && !begins(ts, i, "select"))
            i++;
    return i < ts->n && keyword_is(ts, i, "select") ? i : ts->n;
}

static bool find_clauses(struct clauses *c)
{
    struct tokrange *parts[] = { &c->from, &c->where, &c->group, &c->having, &c->order, &c->limit, &c->lock };
    int last = -1;
    for (uint32_t i = c->head.end; i < c->end; i++) {
        enum clause k = clause_at(&c->ts, i);
        if (k == OTHER || (k != NONE && (int)k < last) || (k != NONE && k != LIMIT && k != LOCK && (int)k == last))
            return false;
        if (k == NONE || (int)k == last)
            continue;
        if (last >= 0)
            parts[last]->end = i;
        *parts[k] = (struct tokrange){ i, c->end };
        last = (int)k;
    }
    return true;
}

/* Where the first of these clauses begins. */
static uint32_t first_of(const struct clauses *c, const struct tokrange *clauses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_empty(clauses[i]))
            return clauses[i].first;
    return c->end;
}

struct tokrange *clauses_items(struct an *an, const struct clauses *c, struct tokrange r, int depth, size_t n,
                               PgQuery__Node *const *nodes)
{
    struct tokrange *items = ARENA_ARRAY(an->a, struct tokrange, n + 1);
    size_t k = 0;
    uint32_t first = r.first;
    for (uint32_t i = r.first; i <= r.end; i++) {
        bool comma = i < r.end && c->ts.v[i].depth == depth && token_is(&c->ts, i, ",");
        if (!comma && i < r.end)
            continue;
        if (k == n || first >= i)
            return NULL;
        struct tokrange item = { first, i };
        struct extent x = extent_of(nodes[k]);
        if (x.low < 0 || (uint32_t)x.low < clause_start(c, item) || (uint32_t)x.high >= clause_end(c, item))
            return NULL;
        items[k++] = item;
        first = i + 1;
    }
    return k == n ? items : NULL;
}

/* Without the alias. */
static bool trim_target(const struct clauses *c, const PgQuery__Node *n, struct tokrange *r)
{
    const PgQuery__ResTarget *t = n->res_target;
    if (!t || t->n_indirection)
        return false;
    if (*tree_str(t->name)) {
        enum lex_kind kind = c->ts.v[r->end - 1].kind;
        if (r->end - r->first < 2 || (kind != LEX_WORD && kind != LEX_QUOTED))
            return false;
        r->end--;
        if (keyword_is(&c->ts, r->end - 1, "as"))
            r->end--;
    }
    return !is_empty(*r);
}

/* Without ASC, DESC, NULLS FIRST and NULLS LAST. */
static bool trim_sort(const struct clauses *c, const PgQuery__Node *n, struct tokrange *r)
{
    const PgQuery__SortBy *s = n->sort_by;
    if (!s || s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
        return false;
    if (s->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT) {
        if (r->end - r->first < 3 || !keyword_is(&c->ts, r->end - 2, "nulls"))
            return false;
        r->end -= 2;
    }
    if (s->sortby_dir != PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT) {
        if (!keyword_is(&c->ts, r->end - 1, s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC ? "desc" : "asc"))
            return false;
        r->end--;
    }
    return !is_empty(*r);
}

static bool find_sorts(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c)
{
    const struct tokrange sorts = { c->order.first + 2, c->order.end };
    if (q->n_sort_clause == 0)
        return true;
    c->sorts = clauses_items(an, c, sorts, 0, q->n_sort_clause, q->sort_clause);
    for (size_t i = 0; c->sorts && i < q->n_sort_clause; i++)
        if (!trim_sort(c, q->sort_clause[i], &c->sorts[i]))
            return false;
    return c->sorts;
}

static bool find_items(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c, struct tokrange targets)
{
    const struct tokrange groups = { c->group.first + 2, c->group.end };
    c->targets = clauses_items(an, c, targets, 0, q->n_target_list, q->target_list);
    if (!c->targets)
        return false;
    for (size_t i = 0; i < q->n_target_list; i++)
        if (!trim_target(c, q->target_list[i], &c->targets[i]))
            return false;
    if (q->n_group_clause) {
        if (groups.first >= groups.end || keyword_is(&c->ts, groups.first, "all") ||
            keyword_is(&c->ts, groups.first, "distinct"))
            return false;
        c->groups = clauses_items(an, c, groups, 0, q->n_group_clause, q->group_clause);
    }
    return (c->groups || !q->n_group_clause) && find_sorts(an, q, c);
}

/* ON (...) behind DISTINCT, which ends at *first. */
static bool find_ons(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c, uint32_t *first)
{
    if (!keyword_is(&c->ts, *first, "on") || !token_is(&c->ts, *first + 1, "("))
        return false;
    const struct tokrange ons = { *first + 2, token_closing(&c->ts, *first + 1) };
    if (ons.end >= c->ts.n || ons.first >= ons.end)
        return false;
    c->ons = clauses_items(an, c, ons, 1, q->n_distinct_clause, q->distinct_clause);
    *first = ons.end + 1;
    return c->ons;
}

/* Of the statement's tokens those of the query that it is finished by. */
static bool find_inner(struct an *an, const PgQuery__SelectStmt *q, struct tokens *ts)
{
    struct inner_level *n = &an->inner;
    PgQuery__Node node = PG_QUERY__NODE__INIT;
    node.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    node.select_stmt = (PgQuery__SelectStmt *)(uintptr_t)q;
    struct extent x = extent_of(&node);
    uint32_t open = x.low > 0 ? token_at(ts, (uint32_t)x.low) : ts->n, close = ts->n, last;
    if (ts->uneven || open >= ts->n)
        return false;
    last = token_at(ts, (uint32_t)x.high);
    for (open++; open-- > 0;) { /* the brackets around all of it */
        close = token_is(ts, open, "(") ? token_closing(ts, open) : ts->n;
        if (close < ts->n && close > last && (keyword_is(ts, open + 1, "select") || keyword_is(ts, open + 1, "with")))
            break;
    }
    if (open >= ts->n)
        return false;
    n->start = ts->v[0].start;
    n->end = ts->v[token_is(ts, ts->n - 1, ";") ? ts->n - 2 : ts->n - 1].end;
    n->first = ts->v[open].end;
    n->close = ts->v[close].start;
    int depth = ts->v[open].depth + 1;
    ts->v += open + 1;
    ts->n = close - open - 1;
    for (uint32_t i = 0; i < ts->n; i++)
        ts->v[i].depth -= depth;
    return true;
}

bool clauses_find(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c)
{
    *c = (struct clauses){ 0 };
    tokens_read(an, &c->ts);
    if (an->inner.used && !find_inner(an, q, &c->ts))
        return false;
    uint32_t select = select_token(&c->ts);
    if (c->ts.uneven || select >= c->ts.n)
        return false;
    c->end = c->ts.n;
    if (token_is(&c->ts, c->end - 1, ";"))
        c->end--;
    c->head = (struct tokrange){ 0, select + 1 };
    struct tokrange targets = { select + 1, 0 };
    if (keyword_is(&c->ts, targets.first, "all") || keyword_is(&c->ts, targets.first, "distinct"))
        targets.first++;
    if (tree_is_distinct_on(q) && !find_ons(an, q, c, &targets.first))
        return false;
    if (!find_clauses(c) || is_empty(c->from) != (q->n_from_clause == 0) || is_empty(c->where) != !q->where_clause ||
        is_empty(c->group) != (q->n_group_clause == 0) || is_empty(c->having) != !q->having_clause ||
        is_empty(c->order) != (q->n_sort_clause == 0) || is_empty(c->limit) != (!q->limit_count && !q->limit_offset) ||
        is_empty(c->lock) != (q->n_locking_clause == 0))
        return false;
    targets.end = first_of(
        c, (const struct tokrange[]){ c->from, c->where, c->group, c->having, c->order, c->limit, c->lock }, 7);
    c->body =
        (struct tokrange){ targets.first, first_of(c, (const struct tokrange[]){ c->order, c->limit, c->lock }, 3) };
    c->where_end = first_of(c, (const struct tokrange[]){ c->group, c->having, c->order, c->limit, c->lock }, 5);
    c->where_begin = is_empty(c->where) ? c->where_end : c->where.first;
    c->having_expr = (struct tokrange){ c->having.first + 1, c->having.end };
    return targets.first < targets.end && find_items(an, q, c, targets);
}

bool clauses_find_setop(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c)
{
    struct tokrange *last = &c->body;
    *c = (struct clauses){ 0 };
    tokens_read(an, &c->ts);
    if (c->ts.uneven || c->ts.n == 0)
        return false;
    c->end = c->ts.n;
    if (token_is(&c->ts, c->end - 1, ";"))
        c->end--;
    for (uint32_t i = 0; i < c->end; i++) {
        enum clause k = clause_at(&c->ts, i);
        struct tokrange *next = k == ORDER ? &c->order : k == LIMIT ? &c->limit : last;
        if (last != &c->body && k != NONE && k != LIMIT)
            return false;
        if (next != last)
            next->first = i;
        last = next;
        last->end = i + 1;
    }
    return is_empty(c->order) == (q->n_sort_clause == 0) &&
           is_empty(c->limit) == (!q->limit_count && !q->limit_offset) && !is_empty(c->body) && find_sorts(an, q, c);
}

/* Nothing in front of the first place in a condition is a WHERE but its own. */
bool clauses_where(const struct clauses *c, const PgQuery__Node *where, struct tokrange *r)
{
    static const char *const words[] = { "group", "having", "window", "order",     "limit", "offset",
                                         "fetch", "for",    "union",  "intersect", "except" };
    struct extent x = extent_of(where);
    uint32_t i = x.low > 0 ? token_at(&c->ts, (uint32_t)x.low) : 0;
    bool over = false;
    if (i >= c->end)
        return false;
    while (i > 0 && !keyword_is(&c->ts, i, "where"))
        i--;
    if (!keyword_is(&c->ts, i, "where"))
        return false;
    *r = (struct tokrange){ i, i + 1 };
    while (r->end < c->end && !over) {
        over = c->ts.v[r->end].depth < c->ts.v[i].depth;
        for (size_t k = 0; k < ARRAY_LEN(words); k++)
            over |= c->ts.v[r->end].depth == c->ts.v[i].depth && keyword_is(&c->ts, r->end, words[k]);
        r->end += !over;
    }
    return (uint32_t)x.high < clause_end(c, *r);
}
