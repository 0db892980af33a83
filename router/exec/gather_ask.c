/*
 * Gathering: what the shards are asked for, and when their snapshots are taken (gather.c).
 */
#include "router/exec/gather_int.h"

#include "router/exec/gate.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

/* --- asking the shards --- */

static void put_part_bind(struct exec *x, const uint16_t *map, uint32_t n, struct span more, struct strbuf *out)
{
    size_t at = exec_begin_bind(x, (struct span){ 0 }, map, n, 0, more.ptr != NULL, out);

    exec_put_values(x, map, n, out);
    if (more.ptr) {
        msg_u32(out, (uint32_t)more.len);
        strbuf_put(out, more.ptr, more.len);
    }
    msg_u16(out, 1);
    msg_u16(out, 1); /* all results in binary */
    msg_end(out, at);
}

/* With its columns, which have to be those of the temporary table. */
static void put_execute(struct strbuf *out)
{
    fe_put_describe(out, 'P', (struct span){ 0 });
    fe_put_execute(out, (struct span){ 0 }, 0);
}

/* Parse and Bind of a part, or of all parts of the shard. */
static bool put_part(struct exec *x, const struct part *p, uint32_t i, struct strbuf *out, struct err *e)
{
    const struct gather *g = x->gather;
    const struct gather_table *t = &g->tables[i];
    struct strbuf text = STRBUF_INIT, types = STRBUF_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0, nall = 0;
    uint32_t *all = ARENA_ARRAY(&x->arena, uint32_t, g->plan->npart);
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    bool ok;

    for (uint32_t k = i; k < g->plan->npart; k = gather_next(g, k + 1, p->shard))
        all[nall++] = k;
    ok = gather_joins(x, p->shard)
             ? plan_gather_joined_text(x->plan, all, nall, x->text, &x->lits_copy, &text, map, cap, &n, e)
             : plan_gather_part_text(x->plan, t->part, x->text, &x->lits_copy, g->wanted, &text, map, cap, &n, e);
    if (ok)
        exec_put_types(x, map, n, &types);
    if (ok && t->narrow) {
        strbuf_printf(&text, "%s %s OPERATOR(pg_catalog.=) ANY ($%u)",
                      t->part->nfilter || t->part->nlocal ? " AND" : " WHERE", t->narrow->name, n + 1);
        msg_u32(&types, t->narrow->array_type);
    }
    if (ok && !gather_joins(x, p->shard))
        strbuf_puts(&text, t->part->lock ? t->part->lock : "");
    if (ok) {
        backend_put_parse(p->backend, out, (struct span){ 0 }, strbuf_span(&text), strbuf_str(&types),
                          (uint16_t)(n + (t->narrow != NULL)));
        put_part_bind(x, map, n, t->values, out);
    }
    strbuf_fini(&text);
    strbuf_fini(&types);
    return ok;
}

/*
 * Tables of one shard are read from one snapshot, and that of a later round is taken with the others'; inside the
 * client's transaction they have it, or are one query.
 */
static bool gather_several(const struct exec *x, const struct part *p)
{
    return !exec_in_txn(x) && (gather_count(x->gather, p->shard) > 1 || x->gather->later[p - x->parts]);
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

static bool asks_now(const struct gather *g, uint32_t table, uint32_t round)
{
    return table < g->plan->npart && g->tables[table].round == round;
}

static void gather_bind(struct exec *x, struct part *p, struct strbuf *out)
{
    const struct gather *g = x->gather;
    uint32_t first = gather_next(g, 0, p->shard);
    struct err e = ERR_INIT;

    p->backend->wrote = p->backend->wrote || (g->plan->locks && txn_may_write(&x->s->txn));
    p->backend->dirty = p->backend->dirty || x->plan->opaque;
    if (asks_now(g, first, 0)) {
        BUG_ON(!put_part(x, p, first, out, &e)); /* its parameters are the statement's */
        return;
    }
    /* The shard has its turn later; its snapshot is to be of the same moment. */
    backend_put_parse(p->backend, out, (struct span){ 0 }, SPAN("SELECT"), "", 0);
    put_part_bind(x, NULL, 0, (struct span){ 0 }, out);
}

/* Tables of the round from `from` on. What follows is another round, or the end. */
static void gather_put_tables(struct exec *x, struct part *p, uint32_t from, uint32_t round, struct strbuf *out)
{
    struct gather *g = x->gather;
    struct err e = ERR_INIT;

    for (uint32_t i = from; asks_now(g, i, round) && !gather_joins(x, p->shard); i = gather_next(g, i + 1, p->shard)) {
        BUG_ON(!put_part(x, p, i, out, &e));
        put_execute(out);
    }
    g->waiting[p - x->parts] = gather_asks_later(g, round, p->shard);
    if (g->waiting[p - x->parts]) {
        msg_empty(out, FE_FLUSH);
        return;
    }
    if (gather_several(x, p))
        fe_put_statement(out, SPAN("COMMIT"), NULL, 0);
    fe_put_sync(out);
}

/* The first table's query is bound: execute it, and the others of the first round. */
static void gather_put_rest(struct exec *x, struct part *p, struct strbuf *out)
{
    const struct gather *g = x->gather;
    uint32_t first = gather_next(g, 0, p->shard);

    if (asks_now(g, first, 0)) {
        put_execute(out);
        first = gather_next(g, first + 1, p->shard);
    }
    gather_put_tables(x, p, first, 0, out);
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

/* --- later rounds --- */

/* What is known now narrows the table, and the shards that have to be asked. */
static void gather_narrow(struct exec *x, struct gather_table *t)
{
    struct strbuf values = STRBUF_INIT;

    t->narrow = gather_keys_best(x->gather, t);
    if (!t->narrow)
        return;
    gather_keys_put(x->gather, t->narrow, &values);
    t->values = exec_copy_span(x, strbuf_span(&values));
    strbuf_fini(&values);
    plan_semijoin_route(x->plan, t->narrow, x->s->db->map, t->values, &t->route.set);
    t->left = shardset_count(&t->route.set);
}

void gather_ask_round(struct exec *x)
{
    struct gather *g = x->gather;
    struct strbuf *out = &x->s->worker->out;

    g->round = g->tables[g->current].round;
    for (uint32_t i = g->current; asks_now(g, i, g->round); i++)
        gather_narrow(x, &g->tables[i]);
    for (uint32_t i = 0; i < g->nshard; i++) {
        struct part *p = &x->parts[i];

        if (!g->waiting[i])
            continue;
        g->at[i] = gather_next(g, g->current, p->shard);
        gather_put_tables(x, p, g->at[i], g->round, out);
        gather_write(p, out);
    }
}

void gather_let_go(struct exec *x)
{
    struct gather *g = x->gather;
    struct strbuf *out = &x->s->worker->out;

    for (uint32_t i = 0; i < g->nshard; i++) {
        struct part *p = &x->parts[i];

        if (!g->waiting[i])
            continue;
        g->waiting[i] = false;
        if (!p->backend)
            continue;
        if (gather_several(x, p))
            fe_put_statement(out, SPAN("ROLLBACK"), NULL, 0);
        fe_put_sync(out);
        gather_write(p, out);
    }
}
