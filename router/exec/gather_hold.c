/*
 * Gathered statements with few rows: no temporary table is made or filled for them (rule P5). The rows are held here
 * until all have come, then the statement runs with them as array parameters (planner/arrays.h), in one round trip.
 *
 *   shards:    part, part ...                      as in gather.c
 *   gatherer:  [settings] Parse, Bind, Execute     when every shard is ready
 *
 * Where there are more rows, or they have columns that no array takes, the temporary tables are made after all, and
 * what has been held goes into them first.
 *
 * Of an array the server's planner knows the length, of its values nothing: it takes any column to have 200 of them. A
 * join of two inputs it plans well enough by that; of three and more, errors multiply, and tables that can be looked at
 * (ANALYZE) are worth their making from HOLD_FEW rows on. What it guesses for joins of many rows is far too much
 * rather than too little, so it would compile them (JIT), for longer than they run.
 */
#include "router/exec/gather_int.h"

#include "planner/arrays.h"
#include "router/config/config.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/gather_row.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/reader.h"

#include <stdatomic.h>
#include <string.h>

enum {
    HOLD_BYTES = 4 << 20,         /* of one statement */
    HOLD_WORKER_BYTES = 64 << 20, /* of all of a worker's statements */
    HOLD_FEW = 1000,              /* rows that are held in any case */
    HOLD_NO_JIT = 1000,           /* rows */
    HOLD_OUT = 256 << 10          /* what the worker's buffer for messages may grow to for good */
};

#define FIELDS_AT 7u /* of a row's message: behind its type, its length and the number of columns */
#define BOOL_OID  16u

static uint32_t ncolumn(const struct gather *g, const struct gather_table *t)
{
    return g->plan->push ? g->plan->push->ncolumn : t->part->ncolumn;
}

/* How many rows may be held: it is known what there is no point in trying. */
static uint32_t rows_allowed(const struct exec *x)
{
    const struct plan_gather *plan = x->plan->gather;
    uint32_t most = x->s->worker->config->gather_array_rows;
    uint64_t rows = 0;

    for (uint32_t i = 0; i < plan->npart; i++) {
        uint64_t seen = atomic_load_explicit(&plan->seen[i], memory_order_relaxed);

        rows += seen ? seen - 1 : 0;
    }
    return most > HOLD_FEW && (rows > most || plan->npart > 2) ? HOLD_FEW : most;
}

bool gather_hold_allowed(const struct exec *x)
{
    return x->plan->gather->arrays && x->s->worker->config->gather_array_rows && !x->gather_keep && !x->portal.len &&
           !x->max_rows && !exec_is_copy(x) && !exec_is_declare(x->plan);
}

void gather_hold_begin(struct exec *x)
{
    struct gather *g = x->gather;

    g->phase = GATHER_HOLD;
    g->holds = true;
    g->hold_rows = rows_allowed(x);
    for (uint32_t i = 0; i < g->plan->npart; i++)
        g->tables[i].sizes = ARENA_ARRAY(&x->arena, size_t, ncolumn(g, &g->tables[i]) + 1);
    gather_hold_check(x);
    if (x->npart == 0) /* nobody will be ready */
        gather_hold_run(x);
}

void gather_hold_described(struct exec *x, struct gather_table *t)
{
    struct gather *g = x->gather;
    uint32_t n = ncolumn(g, t);

    if (!g->holds)
        return;
    if (!t->types)
        t->types = ARENA_ARRAY(&x->arena, struct gather_type, n + 1);
    gather_columns_read(t->columns, t->types, n);
    for (uint32_t i = 0; i < n; i++) {
        if (!arrays_type(t->types[i].oid, t->types[i].typmod)) {
            gather_load(x);
            return;
        }
    }
}

/* Is that a row of as many columns? Their sizes are added up. */
static bool is_whole(struct span fields, uint32_t n, size_t *sizes)
{
    struct reader r = rd_make(fields);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = rd_u32(&r);

        sizes[i] += 4;
        if (len == UINT32_MAX)
            continue;
        (void)rd_bytes(&r, len);
        sizes[i] += len;
    }
    return rd_finish(&r);
}

bool gather_hold_row(struct exec *x, struct gather_table *t, uint16_t nfield, struct span fields)
{
    struct gather *g = x->gather;
    size_t size = FIELDS_AT + fields.len;
    char *to = strbuf_reserve(&t->held, size);

    if (nfield != ncolumn(g, t) || !is_whole(fields, nfield, t->sizes))
        return false;
    to[0] = FE_COPY_DATA; /* each for itself, as next_row() reads them */
    proto_put32(to + 1, (uint32_t)size - 1);
    proto_put16(to + 5, nfield);
    memcpy(to + FIELDS_AT, fields.ptr, fields.len);
    t->held.len += size;
    g->held += size;
    x->s->worker->held += size;
    if (g->held > HOLD_BYTES || x->s->worker->held > HOLD_WORKER_BYTES || ++g->nheld > g->hold_rows)
        gather_load(x);
    return true;
}

void gather_hold_let_go(struct exec *x, struct gather_table *t)
{
    x->gather->held -= t->held.len;
    x->s->worker->held -= t->held.len;
    strbuf_fini(&t->held);
}

void gather_hold_check(struct exec *x)
{
    struct gather *g = x->gather;

    while (!x->failed && g->phase == GATHER_HOLD && g->tables[g->current].left == 0) {
        if (++g->current == g->plan->npart) {
            g->phase = GATHER_LOADED;
            gather_keys_seen(g);
        } else if (g->tables[g->current].round > g->round) {
            gather_ask_round(x);
        }
    }
}

/* --- the statement --- */

/* The next row's message is cut off: its fields. */
static const char *next_row(struct span *held)
{
    const char *fields = held->ptr + FIELDS_AT;
    size_t len = 1 + proto_get32(held->ptr + 1);

    *held = span_make(held->ptr + len, held->len - len);
    return fields;
}

/* An array's binary form up to its elements, which take `size` bytes. */
static void put_array_head(const struct gather_table *t, uint32_t type, size_t size, struct strbuf *out)
{
    msg_u32(out, (uint32_t)(size + (t->rows ? 20 : 12)));
    msg_u32(out, t->rows ? 1 : 0);
    msg_u32(out, 1); /* there may be NULLs */
    msg_u32(out, type);
    if (t->rows) {
        msg_u32(out, (uint32_t)t->rows);
        msg_u32(out, 1);
    }
}

/* Without columns, there are as many NULLs as rows. */
static void put_nulls(const struct gather_table *t, struct strbuf *out)
{
    put_array_head(t, BOOL_OID, 4 * t->rows, out);
    for (uint64_t i = 0; i < t->rows; i++)
        msg_u32(out, UINT32_MAX);
}

/* The table's columns, each an array: first all heads, with room for the elements, then one walk over the rows. */
static void put_columns(const struct gather_table *t, const struct gather_type *types, uint32_t n, size_t *at,
                        struct strbuf *out)
{
    struct span held = strbuf_span(&t->held);

    for (uint32_t i = 0; i < n; i++) {
        put_array_head(t, types[i].oid, t->sizes[i], out);
        (void)strbuf_reserve(out, t->sizes[i]);
        at[i] = out->len;
        out->len += t->sizes[i];
    }
    while (held.len) {
        const char *field = next_row(&held);

        for (uint32_t i = 0; i < n; i++) {
            uint32_t len = proto_get32(field);
            size_t size = len == UINT32_MAX ? 4 : 4 + (size_t)len; /* gather_hold_row() has looked at them */

            memcpy(out->ptr + at[i], field, size);
            at[i] += size;
            field += size;
        }
    }
}

struct arrays {
    struct gather_source *sources; /* by part of the plan */
    const struct gather_table **tables;
    uint32_t n; /* parameters */
};

static void arrays_make(struct exec *x, struct arrays *a)
{
    const struct gather *g = x->gather;
    uint32_t npart = g->plan->npart;

    *a = (struct arrays){ .sources = ARENA_ARRAY(&x->arena, struct gather_source, npart),
                          .tables = ARENA_ARRAY(&x->arena, const struct gather_table *, npart) };
    for (uint32_t i = 0; i < npart; i++) {
        const struct gather_table *t = &g->tables[i];
        uint32_t n = ncolumn(g, t);

        a->tables[t->number] = t;
        a->sources[t->number] = (struct gather_source){ .ncolumn = n, .types = t->types ? t->types : t->part->types };
        a->n += n ? n : 1;
    }
}

static void put_parse(struct exec *x, const struct arrays *a, struct span text, const uint16_t *map, uint32_t n,
                      struct strbuf *out)
{
    struct strbuf types = STRBUF_INIT;

    for (uint32_t i = 0; i < x->gather->plan->npart; i++) {
        const struct gather_source *s = &a->sources[i];

        for (uint32_t c = 0; c < s->ncolumn; c++)
            msg_u32(&types, arrays_type(s->types[c].oid, -1));
        if (s->ncolumn == 0)
            msg_u32(&types, arrays_type(BOOL_OID, -1));
    }
    exec_put_types(x, map, n, &types);
    backend_put_parse(gather_own(x)->backend, out, (struct span){ 0 }, text, strbuf_str(&types), (uint16_t)(a->n + n));
    strbuf_fini(&types);
}

static void put_bind(struct exec *x, const struct arrays *a, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    size_t begin = exec_begin_bind(x, x->portal, map, n, a->n, 0, out);
    size_t *at = ARENA_ARRAY(&x->arena, size_t, a->n);

    for (uint32_t i = 0; i < x->gather->plan->npart; i++) {
        if (a->sources[i].ncolumn)
            put_columns(a->tables[i], a->sources[i].types, a->sources[i].ncolumn, at, out);
        else
            put_nulls(a->tables[i], out);
    }
    exec_put_values(x, map, n, out);
    exec_end_bind(x, begin, out);
}

/* For this statement only: until the Sync behind it. */
static void put_no_jit(struct exec *x, struct strbuf *out)
{
    fe_put_statement(out, SPAN("SELECT pg_catalog.set_config('jit', 'off', true)"), NULL, 0);
    backend_expect(gather_own(x)->backend, EXPECT_PREFIX)->count = 1;
}

void gather_hold_run(struct exec *x)
{
    struct strbuf text = STRBUF_INIT, *out = &x->s->worker->out;
    struct err e = ERR_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0;
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    struct arrays a;

    arrays_make(x, &a);
    if (!plan_gather_text(x->plan, x->text, &x->lits_copy, a.sources, &text, map, cap, &n, &e)) {
        strbuf_fini(&text);
        gather_load(x); /* too many parameters together */
        return;
    }
    gather_put_settings(x, false, false);
    if (x->gather->nheld >= HOLD_NO_JIT)
        put_no_jit(x, out);
    put_parse(x, &a, strbuf_span(&text), map, n, out);
    put_bind(x, &a, map, n, out);
    if (x->describe || !x->bound)
        fe_put_describe(out, 'P', x->portal);
    fe_put_execute(out, x->portal, 0);
    fe_put_sync(out);
    strbuf_fini(&text);
    for (uint32_t i = 0; i < x->gather->plan->npart; i++)
        gather_hold_let_go(x, &x->gather->tables[i]);
    gather_became_statement(x);
    if (out->cap > HOLD_OUT)
        strbuf_fini(out);
}
