/*
 * Gathering: what the shards are asked for, and when their snapshots are taken (gather.c).
 */
#include "router/exec/gather_int.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

/* --- asking the shards --- */

static void put_part_bind(struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    size_t at = exec_begin_bind(x, (struct span){ 0 }, map, n, out);

    msg_u16(out, 1);
    msg_u16(out, 1); /* all results in binary */
    msg_end(out, at);
}

/* Parse and Bind of a part, or of all parts of the shard. */
static bool put_part(struct exec *x, const struct part *p, uint32_t i, struct strbuf *out, struct err *e)
{
    const struct gather *g = x->gather;
    struct strbuf text = STRBUF_INIT, types = STRBUF_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0, nall = 0;
    uint32_t *all = ARENA_ARRAY(&x->arena, uint32_t, g->plan->npart);
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    bool ok;

    for (uint32_t k = i; k < g->plan->npart; k = gather_next(g, k + 1, p->shard))
        all[nall++] = k;
    ok = gather_joins(x, p->shard)
             ? plan_gather_joined_text(x->plan, all, nall, x->text, &x->lits_copy, &text, map, cap, &n, e)
             : plan_gather_part_text(x->plan, g->tables[i].part, x->text, &x->lits_copy, g->wanted, &text, map, cap,
                                     &n, e);
    for (uint32_t k = 0; ok && k < n; k++)
        msg_u32(&types, map[k] < x->prepared->ntype ? proto_get32(x->prepared->types + 4 * (size_t)map[k]) : 0);
    if (ok) {
        backend_put_parse(p->backend, out, (struct span){ 0 }, strbuf_span(&text), types.ptr ? types.ptr : "",
                          (uint16_t)n);
        put_part_bind(x, map, n, out);
    }
    strbuf_fini(&text);
    strbuf_fini(&types);
    return ok;
}

/* Parts of one shard see one snapshot; inside the client's transaction they have it, or are one query. */
static bool gather_several(const struct exec *x, const struct part *p)
{
    return !exec_in_txn(x) && gather_count(x->gather, p->shard) > 1;
}

/* Before the settings: after a query it would be too late to choose an isolation level. */
static uint32_t gather_put_prefix(struct exec *x, struct part *p, struct strbuf *out)
{
    uint32_t n = gather_several(x, p);

    if (n)
        fe_put_statement(out, SPAN("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), NULL, 0);
    n += n ? txn_put_settings(x->s, p->backend, out) : txn_put_prefix(x->s, p->backend, out);
    if (n)
        backend_expect(p->backend, EXPECT_PREFIX)->count = n;
    return n;
}

static void gather_bind(struct exec *x, struct part *p, struct strbuf *out)
{
    const struct gather *g = x->gather;
    struct err e = ERR_INIT;

    p->backend->dirty = p->backend->dirty || x->plan->opaque;
    BUG_ON(!put_part(x, p, gather_next(g, 0, p->shard), out, &e)); /* its parameters are the statement's */
}

/* The first part is bound: execute it, and the others. */
static void gather_put_rest(struct exec *x, struct part *p, struct strbuf *out)
{
    const struct gather *g = x->gather;
    struct err e = ERR_INIT;

    fe_put_execute(out, (struct span){ 0 }, 0);
    for (uint32_t i = gather_next(g, gather_next(g, 0, p->shard) + 1, p->shard);
         i < g->plan->npart && !gather_joins(x, p->shard); i = gather_next(g, i + 1, p->shard)) {
        BUG_ON(!put_part(x, p, i, out, &e));
        fe_put_execute(out, (struct span){ 0 }, 0);
    }
    if (gather_several(x, p))
        fe_put_statement(out, SPAN("COMMIT"), NULL, 0);
    fe_put_sync(out);
}

static void gather_write(struct part *p, struct strbuf *out)
{
    p->started = true;
    stream_write(&p->backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

/* --- at the gate (exec_gate.c) --- */

static bool gather_settle(struct exec *x, struct part *p, struct strbuf *out)
{
    if (gather_several(x, p) || gather_put_prefix(x, p, out) == 0)
        return false;
    backend_expect(p->backend, EXPECT_EXEC);
    fe_put_sync(out);
    return true;
}

/* In REPEATABLE READ replaying a setting takes the snapshot already: it happens within the window. */
static void gather_gate_bind(struct exec *x, struct part *p, struct strbuf *out)
{
    if (gather_several(x, p))
        (void)gather_put_prefix(x, p, out);
    gather_bind(x, p, out);
}

static void gather_release(struct exec *x, struct part *p, struct strbuf *out)
{
    if (gather_several(x, p))
        fe_put_statement(out, SPAN("ROLLBACK"), NULL, 0);
}

static void gather_go(struct exec *x)
{
    struct strbuf *out = &x->s->worker->out;

    for (uint32_t i = 0; i < x->npart; i++) {
        gather_put_rest(x, &x->parts[i], out);
        gather_write(&x->parts[i], out);
    }
}

static void gather_gate_failed(struct exec *x)
{
    gather_failed(x);
    gather_check_end(x);
}

static const struct gate_ops gather_ops = {
    .settle = gather_settle,
    .bind = gather_gate_bind,
    .release = gather_release,
    .go = gather_go,
    .failed = gather_gate_failed,
};

/* Ask the shards for their rows. */
void gather_ask(struct exec *x)
{
    struct strbuf *out = &x->s->worker->out;

    if (x->npart > 1 && exec_gate_on(x) && !txn_has_snapshot(&x->s->txn)) {
        exec_gate_begin(x, &gather_ops);
        return;
    }
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];

        (void)gather_put_prefix(x, p, out);
        backend_expect(p->backend, EXPECT_EXEC);
        gather_bind(x, p, out);
        gather_put_rest(x, p, out);
        gather_write(p, out);
    }
    x->next_part = x->npart;
}

