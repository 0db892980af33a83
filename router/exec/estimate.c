/*
 * Sizes of a gathered statement's tables before any has been seen: the shards' planners are asked, with EXPLAIN of the
 * parts, the first time that the plan runs. One shard of each part is asked, and the others are taken to be like it. It
 * costs a round trip once; from then on the plan knows what its executions have seen (gather_keys.c).
 *
 * Not asked: where no semi-join could come of it, and where a bound key says enough. As in gather_keys.c, not in a READ
 * COMMITTED transaction.
 */
#include "router/exec/estimate.h"

#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/explain.h"
#include "router/exec/gather.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <stdatomic.h>

#define ROWS_MOST 1e15

struct exec_estimate {
    uint32_t *shard; /* by part of the plan: which is asked; MAP_MAX_SHARDS: none has rows of it */
    uint32_t *n;     /* ... for how many like it */
    uint32_t *at;    /* by part of the exec: whose EXPLAIN comes next; npart at the end */
};

static bool is_unknown(const struct plan_gather *g, uint32_t part)
{
    return atomic_load_explicit(&g->seen[part], memory_order_relaxed) == 0 && g->parts[part].keys.ngroup == 0;
}

static bool is_wanted(const struct exec *x)
{
    const struct plan_gather *g = x->plan->gather;
    bool wanted = false;

    if (exec_in_txn(x) && !txn_has_snapshot(&x->s->txn))
        return false;
    for (uint32_t i = 0; i < g->nsemijoin && !wanted; i++)
        wanted = is_unknown(g, g->semijoins[i].from) && is_unknown(g, g->semijoins[i].to);
    return wanted;
}

/* A shard for each part, and the parts of the exec for these. */
static void choose_shards(struct exec *x, struct exec_estimate *es)
{
    const struct plan_gather *g = x->plan->gather;
    struct shardset all = { 0 };

    for (uint32_t i = 0; i < g->npart; i++) {
        struct route r = { 0 };

        plan_gather_route(x->plan, &g->parts[i], x->s->db->map, x->text, &x->lits_copy, x->bound ? &x->binds : NULL,
                          &r);
        es->shard[i] = r.any ? x->s->set->home : shardset_next(&r.set, 0);
        es->n[i] = r.any ? 1 : shardset_count(&r.set);
        if (es->shard[i] != MAP_MAX_SHARDS)
            shardset_add(&all, es->shard[i]);
    }
    (void)exec_make_parts(x, &all, false);
}

static uint32_t next_part(const struct exec *x, uint32_t from, uint32_t shard)
{
    const struct exec_estimate *es = x->estimate;

    while (from < x->plan->gather->npart && es->shard[from] != shard)
        from++;
    return from;
}

static void put_explain(struct exec *x, const struct part *p, uint32_t i, struct strbuf *out)
{
    const struct plan_gather *g = x->plan->gather;
    struct strbuf text = STRBUF_INIT, types = STRBUF_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0;
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    struct err e = ERR_INIT;
    size_t at;

    strbuf_puts(&text, "EXPLAIN (FORMAT JSON) ");
    BUG_ON(!plan_gather_part_text(x->plan, &g->parts[i], x->text, &x->lits_copy, UINT64_MAX, &text, map, cap, &n, &e));
    exec_put_types(x, map, n, &types);
    backend_put_parse(p->backend, out, (struct span){ 0 }, strbuf_span(&text), strbuf_str(&types), (uint16_t)n);
    at = exec_begin_bind(x, (struct span){ 0 }, map, n, 0, 0, out);
    exec_put_values(x, map, n, out);
    msg_u16(out, 0); /* all results as text */
    msg_end(out, at);
    fe_put_execute(out, (struct span){ 0 }, 0);
    strbuf_fini(&text);
    strbuf_fini(&types);
}

static void estimate_ask(struct exec *x)
{
    struct strbuf *out = &x->s->worker->out;

    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];
        uint32_t n = txn_put_prefix(x->s, p->backend, out);

        if (n)
            backend_expect(p->backend, EXPECT_PREFIX)->count = n;
        backend_expect(p->backend, EXPECT_EXEC);
        for (uint32_t k = x->estimate->at[i]; k < x->plan->gather->npart; k = next_part(x, k + 1, p->shard))
            put_explain(x, p, k, out);
        fe_put_sync(out);
        exec_write(x, p);
    }
    x->next_part = x->npart;
}

bool exec_estimate(struct exec *x)
{
    uint32_t n = x->plan->gather->npart;
    struct exec_estimate *es;

    if (LIKELY(!is_wanted(x)))
        return true;
    x->estimate = es = ARENA_NEW(&x->arena, struct exec_estimate);
    es->shard = ARENA_ARRAY(&x->arena, uint32_t, n);
    es->n = ARENA_ARRAY(&x->arena, uint32_t, n);
    choose_shards(x, es);
    es->at = ARENA_ARRAY(&x->arena, uint32_t, x->npart + 1);
    for (uint32_t i = 0; i < x->npart; i++)
        es->at[i] = next_part(x, 0, x->parts[i].shard);
    x->task = TASK_ESTIMATE;
    x->acquired = estimate_ask;
    exec_acquire(x);
    return false;
}

static void take_rows(struct exec *x, uint32_t part, struct span body)
{
    struct span said;
    double rows;

    if (part == x->plan->gather->npart || be_decode_data_row(body, &said, 1) != 1)
        return;
    rows = exec_explain_rows(said) * x->estimate->n[part];
    atomic_store_explicit(&x->plan->gather->seen[part], rows > 0 && rows < ROWS_MOST ? (uint64_t)rows + 1 : 1,
                          memory_order_relaxed);
}

enum exec_action exec_estimate_frame(struct exec *x, struct part *p, char type, struct span body)
{
    uint32_t *at = &x->estimate->at[p - x->parts];

    switch (type) {
    case BE_DATA_ROW:
        take_rows(x, *at, body);
        break;
    case BE_COMMAND_COMPLETE:
        *at = next_part(x, *at + 1, p->shard);
        break;
    case BE_ERROR:
        exec_note_error(x, p, body);
        break;
    default:
        break;
    }
    return EXEC_SWALLOW;
}

void exec_estimate_done(struct exec *x)
{
    const struct plan_gather *g = x->plan->gather;

    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    /* Parts without rows, and what nobody can read: this is not asked again. */
    for (uint32_t i = 0; i < g->npart; i++) {
        uint64_t never = 0;

        (void)atomic_compare_exchange_strong(&g->seen[i], &never, 1);
    }
    x->parts = NULL;
    x->npart = x->ndone = x->next_part = 0;
    x->task = TASK_NONE;
    exec_gather(x);
}
