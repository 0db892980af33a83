/*
 * The texts of an execution over several shards: each part's query, the shape of its temporary table, and the statement
 * over those.
 */
#include "base/bug.h"
#include "base/mem.h"
#include "planner/arrays.h"
#include "planner/cutter.h"
#include "planner/plan_int.h"

#include <stdlib.h>

static void put_head(const struct gather_part *part, struct strbuf *out)
{
    strbuf_printf(out, "SELECT %s FROM %s AS %s", part->columns, part->table, part->alias);
}

static void put_filters(struct cutter *c, const struct plan *p, const struct gather_part *part, struct span sql,
                        const struct literals *lits, const char *before)
{
    for (uint32_t i = 0; i < part->nfilter; i++) {
        strbuf_printf(c->out, "%s(", before);
        cutter_copy(c, sql, plan_offset(p, lits, part->filters[i].start), plan_offset(p, lits, part->filters[i].end));
        strbuf_putc(c->out, ')');
        before = " AND ";
    }
}

static void put_table_query(struct cutter *c, const struct plan *p, const struct gather_part *part, struct span sql,
                            const struct literals *lits)
{
    put_head(part, c->out);
    put_filters(c, p, part, sql, lits, " WHERE ");
    for (uint32_t i = 0; i < part->nlocal; i++) {
        const struct gather_local *l = &part->locals[i];
        const struct gather_part *from = &p->gather->parts[l->from];
        strbuf_printf(c->out, "%s EXISTS (SELECT FROM %s AS %s WHERE %s OPERATOR(pg_catalog.=) %s",
                      i || part->nfilter ? " AND" : " WHERE", from->table, from->alias, l->from_key, l->key);
        put_filters(c, p, from, sql, lits, " AND ");
        strbuf_putc(c->out, ')');
    }
}

static void put_lock(const struct gather_part *part, struct strbuf *out)
{
    strbuf_puts(out, part->lock ? part->lock : "");
}

/* A source, the names of its columns if they are a table's, and its first parameter. */
struct source {
    const struct gather_source *rows;
    const struct gather_type *named; /* NULL: c1, c2 ... */
    uint32_t param;
};

/* The parameters that they need together. */
static uint32_t number_sources(const struct plan_gather *g, const struct gather_source *sources, struct source *from)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->npart; i++) {
        from[i] = (struct source){ &sources[i], g->parts[i].types, n + 1 };
        if (!sources[i].table)
            n += sources[i].ncolumn ? sources[i].ncolumn : 1;
    }
    return n;
}

/*
 * Functions in the select list give one row after the other; those in FROM put down all their rows first. But a row
 * lock on what has functions in its select list is an error.
 */
static void put_arrays(const struct source *from, bool locks, struct strbuf *out)
{
    const struct gather_source *rows = from->rows;
    const bool in_from = locks || rows->ncolumn == 0;
    const uint32_t n = rows->ncolumn ? rows->ncolumn : 1;
    strbuf_puts(out, "(SELECT ");
    for (uint32_t i = 0; i < rows->ncolumn; i++) {
        strbuf_puts(out, i ? ", " : "");
        if (in_from)
            strbuf_printf(out, "r.c%u", i + 1);
        else
            strbuf_printf(out, "pg_catalog.unnest($%u)", from->param + i);
        arrays_put_cast(out, rows->types[i].oid, rows->types[i].typmod);
        if (from->named)
            strbuf_printf(out, " AS %s", from->named[i].name);
        else
            strbuf_printf(out, " AS c%u", i + 1);
    }
    strbuf_puts(out, in_from ? " FROM ROWS FROM (" : ")");
    if (!in_from)
        return;
    for (uint32_t i = 0; i < n; i++)
        strbuf_printf(out, "%spg_catalog.unnest($%u)", i ? ", " : "", from->param + i);
    strbuf_puts(out, ") AS r(");
    for (uint32_t i = 0; i < n; i++)
        strbuf_printf(out, "%sc%u", i ? ", " : "", i + 1);
    strbuf_puts(out, "))");
}

static void put_source(const struct source *from, bool locks, struct strbuf *out)
{
    if (!from->rows->table) {
        put_arrays(from, locks, out);
        return;
    }
    strbuf_puts(out, "pg_temp.");
    strbuf_put_ident(out, span_str(from->rows->table));
}

static void put_pieces(struct cutter *c, const struct plan *p, const struct plan_text *text, struct span sql,
                       const struct literals *lits, const struct source *from)
{
    for (uint32_t i = 0; i < text->n; i++) {
        const struct text_piece *piece = &text->v[i];
        switch (piece->kind) {
        case PIECE_FIXED:
            strbuf_puts(c->out, piece->fixed);
            break;
        case PIECE_SLICE:
            cutter_copy(c, sql, plan_offset(p, lits, piece->start), plan_offset(p, lits, piece->end));
            break;
        case PIECE_TABLE:
            BUG_ON(!from); /* only in what runs where the rows are */
            put_source(from, p->gather->locks, c->out);
            break;
        }
    }
}

static void put_limit(uint64_t rows, struct strbuf *out)
{
    if (rows != UINT64_MAX)
        strbuf_printf(out, " LIMIT %llu", (unsigned long long)rows);
}

/* The first rows of each shard: what comes before a row of the answer there comes before it in the answer, too. */
static void put_first(const struct plan_push *push, uint64_t rows, struct strbuf *out)
{
    if (push->limited && !push->ties)
        put_limit(rows, out);
    else if (push->limited && rows != UINT64_MAX)
        strbuf_printf(out, " FETCH FIRST %llu ROWS WITH TIES", (unsigned long long)rows);
}

bool plan_gather_part_text(const struct plan *p, const struct gather_part *part, struct span sql,
                           const struct literals *lits, uint64_t rows, struct strbuf *out, uint16_t *param_map,
                           uint32_t cap, uint32_t *nparam_map, struct err *e)
{
    struct cutter c;
    cutter_init(&c, out, p->nparam, param_map, cap);
    if (p->gather->push) {
        put_pieces(&c, p, &p->gather->push->shard, sql, lits, NULL);
        put_first(p->gather->push, rows, out);
        return cutter_fini(&c, nparam_map, e);
    }
    put_table_query(&c, p, part, sql, lits);
    return cutter_fini(&c, nparam_map, e);
}

bool plan_gather_joined_text(const struct plan *p, const uint32_t *parts, uint32_t n, struct span sql,
                             const struct literals *lits, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                             uint32_t *nparam_map, struct err *e)
{
    struct cutter c;
    cutter_init(&c, out, p->nparam, param_map, cap);
    strbuf_puts(out, "SELECT * FROM (VALUES ");
    for (uint32_t i = 0; i < n; i++)
        strbuf_printf(out, "%s(%u)", i ? ", " : "", parts[i]);
    strbuf_puts(out, ") AS pgbraid_part(pgbraid_n)");
    /* OFFSET 0: the condition on the number is one for the whole subquery, not one of a join, which would be looked at
     * for every pair of rows. */
    for (uint32_t i = 0; i < n; i++) {
        strbuf_puts(out, " LEFT JOIN LATERAL (SELECT true, * FROM (");
        put_table_query(&c, p, &p->gather->parts[parts[i]], sql, lits);
        put_lock(&p->gather->parts[parts[i]], out);
        strbuf_printf(out, ") AS r WHERE pgbraid_part.pgbraid_n = %u OFFSET 0) AS r%u ON true", parts[i], i);
    }
    return cutter_fini(&c, nparam_map, e);
}

void plan_gather_shape(const struct plan *p, const struct gather_part *part, struct span sql,
                       const struct literals *lits, struct strbuf *out)
{
    struct cutter c;
    struct err e = ERR_INIT;
    uint32_t n;
    if (!p->gather->push) {
        put_head(part, out);
        return;
    }
    cutter_init(&c, out, p->nparam, NULL, 0);
    put_pieces(&c, p, &p->gather->push->shape, sql, lits, NULL);
    BUG_ON(!cutter_fini(&c, &n, &e)); /* a shape has no parameters */
}

static void put_mention(const struct gather_part *part, const struct source *from, bool locks, struct strbuf *out)
{
    put_source(from, locks, out);
    if (part->put_alias)
        strbuf_printf(out, " AS %s", part->alias);
}

/* The statement, with other tables in the place of the mentions, and without what the parts have seen to. */
static void put_statement(struct cutter *c, const struct plan *p, struct span sql, const struct literals *lits,
                          const struct source *from)
{
    const struct plan_gather *g = p->gather;
    uint32_t done = 0, i = 0, k = 0;
    while (i < g->npart || k < g->ndropped) {
        bool mention = k == g->ndropped || (i < g->npart && g->parts[i].start < g->dropped[k].start);
        uint32_t start = mention ? g->parts[i].start : g->dropped[k].start;
        cutter_copy(c, sql, done, plan_offset(p, lits, start));
        if (mention)
            put_mention(&g->parts[i], &from[i], g->locks, c->out);
        else
            strbuf_puts(c->out, " true ");
        done = plan_offset(p, lits, mention ? g->parts[i].end : g->dropped[k].end);
        i += mention;
        k += !mention;
    }
    cutter_copy(c, sql, done, (uint32_t)sql.len);
}

static void put_rest(struct cutter *c, const struct plan *p, struct span sql, const struct literals *lits,
                     const struct source *from)
{
    uint32_t start = p->copy ? p->copy->start : 0, end = p->copy ? p->copy->end : (uint32_t)sql.len;
    if (!p->gather->push) {
        put_statement(c, p, sql, lits, from);
        return;
    }
    strbuf_put(c->out, sql.ptr, start);
    put_pieces(c, p, &p->gather->push->rest, sql, lits, from);
    strbuf_put(c->out, sql.ptr + end, sql.len - end);
}

bool plan_gather_text(const struct plan *p, struct span sql, const struct literals *lits,
                      const struct gather_source *sources, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                      uint32_t *nparam_map, struct err *e)
{
    struct cutter c;
    struct source *from = mem_zalloc(p->gather->npart * sizeof *from);
    cutter_init(&c, out, p->nparam, param_map, cap);
    cutter_reserve(&c, number_sources(p->gather, sources, from));
    put_rest(&c, p, sql, lits, from);
    free(from);
    return cutter_fini(&c, nparam_map, e);
}

bool plan_merge_text(const struct plan *p, struct span sql, const struct literals *lits, uint64_t rows,
                     struct strbuf *out, uint16_t *param_map, uint32_t cap, uint32_t *nparam_map, struct err *e)
{
    struct cutter c;
    cutter_init(&c, out, p->nparam, param_map, cap);
    put_pieces(&c, p, &p->merge->text, sql, lits, NULL);
    put_limit(rows, out);
    return cutter_fini(&c, nparam_map, e);
}

/* --- LIMIT and OFFSET --- */

/* *null: no bound. */
static bool read_bound(const struct key_value *v, struct span sql, const struct literals *lits,
                       const struct bind_values *binds, int64_t *out, bool *null)
{
    *null = v->source == VALUE_NULL;
    if (*null)
        return true;
    if (v->source == VALUE_LITERAL)
        return !v->negate && v->index < lits->n &&
               vhash_integer(KEY_INT8, false, span_make(sql.ptr + lits->v[v->index].off, lits->v[v->index].len), out);
    if (!binds || v->index == 0 || v->index > binds->n)
        return false;
    const struct span value = binds->values[v->index - 1];
    *null = value.ptr == NULL;
    if (*null)
        return true;
    return vhash_integer(v->type, binds->binary[v->index - 1], value, out);
}

bool plan_bounds_read(const struct plan *p, struct span sql, const struct literals *lits,
                      const struct bind_values *binds, uint64_t *offset, uint64_t *limit)
{
    const struct plan_bounds *b = &p->bounds;
    int64_t n = 0;
    bool null;
    *offset = 0;
    *limit = UINT64_MAX;
    if (!b->known)
        return false;
    if (b->has_limit) {
        if (!read_bound(&b->limit, sql, lits, binds, &n, &null) || (!null && n < 0))
            return false;
        *limit = null ? UINT64_MAX : (uint64_t)n;
    }
    if (b->has_offset) {
        if (!read_bound(&b->offset, sql, lits, binds, &n, &null) || (!null && n < 0))
            return false;
        *offset = null ? 0 : (uint64_t)n;
    }
    return true;
}

uint64_t plan_bounds_wanted(const struct plan *p, struct span sql, const struct literals *lits,
                            const struct bind_values *binds)
{
    uint64_t offset, limit;
    if (!plan_bounds_read(p, sql, lits, binds, &offset, &limit) || limit > INT64_MAX - offset)
        return UINT64_MAX;
    return limit + offset;
}
