/*
 * Gathered statements with few rows: no temporary table is made or filled for them (rule P5). The rows are held here
 * until all have come, then the statement runs with them as array parameters (planner/arrays.h), in one round trip.
 *
 *   shards:    part, part ...                      as in gather.c
 *   gatherer:  [settings] Parse, Bind, Execute     when every shard is ready
 *
 * Where there are more rows, or they have columns that no array takes, the temporary tables are made after all, and
 * what has been held goes into them first.
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

#define HOLD_BYTES (64u << 10)

static uint32_t ncolumn(const struct gather *g, const struct gather_table *t)
{
    return g->plan->push ? g->plan->push->ncolumn : t->part->ncolumn;
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

/* Is that a row of as many columns? */
static bool is_whole(struct span fields, uint32_t n)
{
    struct reader r = rd_make(fields);

    while (n-- > 0) {
        uint32_t len = rd_u32(&r);

        if (len != UINT32_MAX)
            (void)rd_bytes(&r, len);
    }
    return rd_finish(&r);
}

bool gather_hold_row(struct exec *x, struct gather_table *t, struct span fields)
{
    struct gather *g = x->gather;

    if (!is_whole(fields, ncolumn(g, t)))
        return false;
    g->held += fields.len;
    if (g->held > HOLD_BYTES || ++g->nheld > x->s->worker->config->gather_array_rows)
        gather_load(x);
    return true;
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
static struct span next_row(struct span *held)
{
    uint32_t len = proto_get32(held->ptr + 1);
    struct span fields = span_make(held->ptr + 7, len - 6);

    *held = span_make(held->ptr + 1 + len, held->len - 1 - len);
    return fields;
}

/* One column of the table as an array's binary form; without columns, as many NULLs as there are rows. */
static void put_array(const struct gather_table *t, uint32_t column, bool none, uint32_t type, struct strbuf *out)
{
    struct span held = strbuf_span(&t->held);
    size_t at = out->len;

    msg_u32(out, 0); /* the length */
    msg_u32(out, t->rows ? 1 : 0);
    msg_u32(out, 1); /* there may be NULLs */
    msg_u32(out, type);
    if (t->rows) {
        msg_u32(out, (uint32_t)t->rows);
        msg_u32(out, 1);
    }
    while (held.len) {
        struct reader r = rd_make(next_row(&held));
        uint32_t len = UINT32_MAX;
        struct span value = { 0 };

        for (uint32_t i = 0; i <= column && !none; i++) {
            len = rd_u32(&r);
            value = len == UINT32_MAX ? (struct span){ 0 } : rd_bytes(&r, len);
        }
        msg_u32(out, len);
        strbuf_put(out, value.ptr, value.len);
    }
    proto_put32(out->ptr + at, (uint32_t)(out->len - at - 4));
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

/* Each parameter: its part, and its column. */
#define ARRAYS_EACH(g, a, part, column)                                                                                \
    for (uint32_t part = 0; part < (g)->plan->npart; part++)                                                           \
        for (uint32_t column = 0; column < ((a)->sources[part].ncolumn ? (a)->sources[part].ncolumn : 1); column++)

static uint32_t element_type(const struct arrays *a, uint32_t part, uint32_t column)
{
    return a->sources[part].ncolumn ? a->sources[part].types[column].oid : 16; /* bool */
}

static void put_parse(struct exec *x, const struct arrays *a, struct span text, const uint16_t *map, uint32_t n,
                      struct strbuf *out)
{
    struct strbuf types = STRBUF_INIT;

    ARRAYS_EACH(x->gather, a, part, column)
    msg_u32(&types, arrays_type(element_type(a, part, column), -1));
    exec_put_types(x, map, n, &types);
    backend_put_parse(gather_own(x)->backend, out, (struct span){ 0 }, text, strbuf_str(&types), (uint16_t)(a->n + n));
    strbuf_fini(&types);
}

static void put_bind(struct exec *x, const struct arrays *a, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    size_t at = exec_begin_bind(x, x->portal, map, n, a->n, 0, out);

    ARRAYS_EACH(x->gather, a, part, column)
    put_array(a->tables[part], column, a->sources[part].ncolumn == 0, element_type(a, part, column), out);
    exec_put_values(x, map, n, out);
    exec_end_bind(x, at, out);
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
    put_parse(x, &a, strbuf_span(&text), map, n, out);
    put_bind(x, &a, map, n, out);
    if (x->describe || !x->bound)
        fe_put_describe(out, 'P', x->portal);
    fe_put_execute(out, x->portal, 0);
    fe_put_sync(out);
    strbuf_fini(&text);
    gather_became_statement(x);
}
