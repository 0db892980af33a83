/*
 * A statement of several shards at the gate (gate.h): its snapshots are taken together, so that it sees each
 * transaction over several shards whole or not at all.
 *
 *   SETTLE   BEGIN, settings; the answers are waited for, so that no window is open meanwhile (rule X17). Not those of
 *            a REPEATABLE READ transaction: replaying a setting is its first query, which takes the snapshot
 *   WAIT     a commit is partly visible on these shards
 *   BIND     the window: Parse and Bind are on their way; PostgreSQL fixes a SELECT's snapshot at Bind
 *   RELEASE  the window was torn: portals (or transactions) are ended; then SETTLE, WAIT, BIND again
 *   QUIET    a change is to be done again, but the cancel requests of the try before may still hit (rule P49)
 *   PASSED   all snapshots are of one moment: the statement is executed
 *   LEAVE    the router's own savepoint is released; or: the transaction has its snapshot, its first statement may come
 *
 * Who goes through it, and how (rules X13, X15):
 *   SELECT        its own portals. A simple Query goes out as Parse, Bind, Execute with results in text (rule X14).
 *   gather        each shard's first part; further parts of a shard use its snapshot, by REPEATABLE READ.
 *   COPY TO       takes its snapshot when executed. By itself it runs in a REPEATABLE READ transaction whose snapshot
 *                 was taken here. In the client's READ COMMITTED transaction it is looked at afterwards: if a commit
 *                 has overlapped, it ends with 40001 instead of its CopyDone.
 *   changes       UPDATE, DELETE, INSERT ... SELECT, MERGE take it when executed, too. If a commit has overlapped, all
 *                 is undone (the statement's own transaction, or a savepoint that the router has set) and done again.
 *                 Until it is known nothing is told to the client. DECLARE of a cursor in the same way. One that takes
 *                 too long for committers to wait is done again in REPEATABLE READ on snapshots that were taken here
 * (by itself; in the client's transaction it is refused after consistent_reads_timeout). Who does not: what reads no
 * rows of others (INSERT ... VALUES, COPY FROM), what waits for all of them by its locks (TRUNCATE and other DDL), and
 * functions declared safe that are VOLATILE (each of their statements takes a snapshot of its own, as on one server).
 *
 * Invariants: (1) the parts' connections are exec's: each has an EXPECT_EXEC for what is outstanding; (2) a
 * ReadyForQuery that does not end a part is announced by part.settling; (3) nothing blocks: a wait is a ticket's, with
 * a bound.
 */
#include "router/exec/gate.h"

#include "base/mem.h"
#include "router/config/config.h"
#include "router/exec/answer.h"
#include "router/exec/cursor.h"
#include "router/exec/exec_int.h"
#include "router/exec/gather.h"
#include "router/exec/merge.h"
#include "router/exec/part.h"
#include "router/exec/pieces.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/gate.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <string.h>

#define GATE_SAVEPOINT "pgbraid_gate"

enum exec_gate_phase {
    EXEC_GATE_SETTLE,
    EXEC_GATE_WAIT,
    EXEC_GATE_BIND,
    EXEC_GATE_RELEASE,
    EXEC_GATE_QUIET,
    EXEC_GATE_PASSED,
    EXEC_GATE_LEAVE
};

struct exec_gate {
    const struct gate_ops *ops;
    enum exec_gate_phase phase;
    struct gate_ticket *ticket;   /* owned */
    void (*then)(struct exec *x); /* after LEAVE */
    uint32_t left;                /* parts whose answer the phase waits for */
    bool watching;                /* executed within the window, which is still open */
    bool withhold;                /* nothing reaches the client */
    bool frozen;                  /* a change that runs on one snapshot */
    uint32_t repeats;             /* of a change */
    uint64_t opened_us;           /* its window */
    bool savepoint;               /* inside the client's transaction: what is undone goes back to here */
    size_t out_len;               /* of exec.out before the statement */
    bool bind_sent;               /* likewise */
};

#define GATE_FROZEN_TRIES 8u

static const struct gate_ops change_ops, frozen_ops;
static void gate_settle(struct exec *x);

static uint32_t part_index(const struct exec *x, const struct part *p)
{
    return (uint32_t)(p - x->parts);
}

bool exec_gate_on(const struct exec *x)
{
    return setting_consistent_reads(x->s);
}

bool exec_gate_busy(const struct exec *x)
{
    return x->gate && x->gate->phase != EXEC_GATE_PASSED;
}

bool exec_gate_withholds(const struct exec *x)
{
    return x->gate && x->gate->withhold;
}

/* --- sending --- */

static void gate_write(struct exec *x, struct part *p)
{
    struct strbuf *out = &x->s->worker->out;

    stream_write(&p->backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

/* What has been put for the part ends with a ReadyForQuery that the phase waits for. */
static void gate_ask(struct exec *x, struct part *p)
{
    p->started = p->bound = false;
    p->settling = true;
    x->gate->left++;
    gate_write(x, p);
}

/* --- ends --- */

static void gate_close(struct exec *x)
{
    struct exec_gate *g = x->gate;

    gate_ticket_free(g->ticket);
    g->ticket = NULL;
    g->watching = g->withhold = false;
    g->phase = EXEC_GATE_PASSED;
}

/* Nothing of the statement is outstanding. */
static bool gate_idle(const struct exec_gate *g)
{
    return g->phase == EXEC_GATE_WAIT || g->phase == EXEC_GATE_QUIET;
}

/* It failed, and nothing is outstanding. */
static void gate_over(struct exec *x)
{
    bool leaving = x->gate->phase == EXEC_GATE_LEAVE;

    gate_close(x);
    if (leaving) {
        exec_statement_done(x);
        return;
    }
    x->ndone = x->next_part = 0;
    x->gate->ops->failed(x);
}

static void gate_refuse(struct exec *x)
{
    err_set(&x->own_error, PB0324, "could not get a consistent view of %u shards", x->npart);
    err_detail(&x->own_error, "A transaction over several of them is committed on some and not yet on others "
                              "(consistent_reads_timeout).");
    err_hint(&x->own_error, "Run it again; SHOW GATE on the console tells whether a commit is in doubt.");
    x->failed = true;
}

void exec_gate_failed(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    if (!g || g->phase == EXEC_GATE_PASSED)
        return;
    if (gate_idle(g)) {
        gate_close(x);
        x->ndone = x->next_part = 0;
        return;
    }
    if (g->phase != EXEC_GATE_BIND)
        return; /* what is outstanding is waited for */
    gate_close(x);
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];

        p->bound = false;
        if (!p->backend || !p->started || p->done)
            continue;
        fe_put_sync(out);
        gate_write(x, p);
    }
}

void exec_gate_fini(struct exec *x)
{
    if (!x->gate)
        return;
    exec_gate_failed(x); /* a client that has gone: the servers must not wait for Execute */
    gate_ticket_free(x->gate->ticket);
    x->gate = NULL;
}

void exec_gate_cancel(struct exec *x)
{
    if (!x->gate || !gate_idle(x->gate))
        return;
    if (!session_own_cancel(x->s, "57014", &x->own_error))
        err_set(&x->own_error, PB0309, "canceling statement due to user request");
    x->failed = true;
    gate_over(x);
}

/* --- the window --- */

static void gate_open(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    switch (gate_read_begin(g->ticket, g->ops->bind != NULL, x->s->worker->config->consistent_reads_timeout_ms)) {
    case GATE_WAIT:
        g->phase = EXEC_GATE_WAIT;
        return;
    case GATE_REFUSED:
        gate_refuse(x);
        gate_over(x);
        return;
    case GATE_OPEN:
        break;
    }
    if (!g->ops->bind) {
        g->phase = EXEC_GATE_PASSED;
        g->watching = true;
        g->opened_us = loop_now_us(x->s->worker->loop);
        g->ops->go(x);
        return;
    }
    g->phase = EXEC_GATE_BIND;
    g->left = x->next_part = x->npart;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];

        g->ops->bind(x, p, out);
        backend_expect(p->backend, EXPECT_EXEC);
        msg_empty(out, FE_FLUSH);
        p->started = true;
        gate_write(x, p);
    }
}

static void gate_continue(void *arg, bool expired)
{
    struct exec *x = arg;

    (void)expired; /* the next try is refused then */
    gate_open(x);
}

/* All that the phase waited for has come. */
static void gate_next(struct exec *x)
{
    struct exec_gate *g = x->gate;

    if (x->failed) {
        gate_over(x);
    } else if (g->phase == EXEC_GATE_RELEASE) {
        gate_settle(x);
    } else if (g->phase == EXEC_GATE_LEAVE) {
        gate_close(x);
        g->withhold = g->frozen;
        g->then(x);
    } else {
        gate_open(x);
    }
}

static void gate_settle(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    g->phase = EXEC_GATE_SETTLE;
    g->left = 0;
    for (uint32_t i = 0; i < x->npart; i++) {
        if (g->ops->settle(x, &x->parts[i], out))
            gate_ask(x, &x->parts[i]);
    }
    if (g->left == 0)
        gate_open(x);
}

static void gate_release(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    g->phase = EXEC_GATE_RELEASE;
    g->left = 0;
    x->next_part = 0;
    for (uint32_t i = 0; i < x->npart; i++) {
        g->ops->release(x, &x->parts[i], out);
        fe_put_sync(out);
        gate_ask(x, &x->parts[i]);
    }
}

static void gate_bound(struct exec *x, struct part *p)
{
    struct exec_gate *g = x->gate;

    if (p->bound)
        return;
    p->bound = p->bind_done = true;
    if (--g->left)
        return;
    if (gate_read_end(g->ticket) == GATE_TORN) {
        gate_release(x);
        return;
    }
    gate_close(x);
    g->ops->go(x);
}

static void gate_new_ticket(struct exec *x)
{
    uint32_t *shards = ARENA_ARRAY(&x->arena, uint32_t, x->npart);
    struct worker *w = x->s->worker;

    for (uint32_t i = 0; i < x->npart; i++)
        shards[i] = x->parts[i].backend->pool->shard_id;
    gate_ticket_free(x->gate->ticket);
    x->gate->ticket = gate_ticket_new(w->router->gate, w->loop, shards, x->npart, gate_continue, x);
}

void exec_gate_begin(struct exec *x, const struct gate_ops *ops)
{
    struct exec_gate *g = ARENA_NEW(&x->arena, struct exec_gate);

    g->ops = ops;
    g->out_len = x->out.len;
    g->bind_sent = x->bind_sent;
    x->gate = g;
    gate_new_ticket(x);
    g->withhold = ops == &change_ops;
    g->savepoint = g->withhold && !x->own_txn;
    g->then = x->gate_then;
    gate_settle(x);
}

/* --- answers --- */

static void gate_answered(struct exec *x, struct part *p)
{
    p->settling = false;
    if (x->gate->phase != EXEC_GATE_PASSED && --x->gate->left == 0)
        gate_next(x);
}

static void gate_note_error(struct exec *x, struct part *p, struct span body)
{
    p->failed = true;
    if (x->failed)
        return;
    x->failed = true;
    x->error_part = part_index(x, p);
    strbuf_put(&x->error, body.ptr, body.len);
}

bool exec_gate_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct exec_gate *g = x->gate;

    if (!g || part_index(x, p) >= x->npart)
        return false;
    if (type == BE_READY && p->settling) {
        backend_expect_done(p->backend);
        gate_answered(x, p);
        return true;
    }
    switch (g->phase) {
    case EXEC_GATE_BIND:
        if (type != BE_BIND_COMPLETE)
            return false;
        gate_bound(x, p);
        return true;
    case EXEC_GATE_SETTLE:
    case EXEC_GATE_RELEASE:
    case EXEC_GATE_LEAVE:
        if (type == BE_ERROR)
            gate_note_error(x, p, body);
        return type != BE_NOTICE && type != BE_PARAMETER_STATUS && type != BE_ROW_DESCRIPTION && type != BE_NO_DATA;
    case EXEC_GATE_WAIT:
    case EXEC_GATE_QUIET:
    case EXEC_GATE_PASSED:
        break;
    }
    return false;
}

bool exec_gate_lost(struct exec *x, struct part *p)
{
    struct exec_gate *g = x->gate;
    bool settling = p->settling;

    if (!g || g->phase == EXEC_GATE_PASSED)
        return false;
    p->settling = false;
    x->failed = p->failed = true;
    if (g->phase == EXEC_GATE_BIND) {
        for (uint32_t i = 0; i < x->npart; i++) {
            struct part *other = &x->parts[i];

            if (other->backend && other->started && !other->bound && !other->done)
                backend_cancel(other->backend);
        }
        exec_gate_failed(x);
        if (x->task == TASK_GATHER)
            exec_gather_shard_lost(x);
        exec_part_ready(x, p);
    } else if (gate_idle(g)) {
        gate_over(x);
    } else if (settling && --g->left == 0) {
        gate_next(x);
    }
    return true;
}

/* --- statements: how each kind goes through --- */

static void statement_failed(struct exec *x)
{
    exec_statement_done(x);
}

static bool settle_prefix(struct exec *x, struct part *p, struct strbuf *out)
{
    uint32_t n = txn_put_prefix(x->s, p->backend, out);

    if (n == 0)
        return false;
    backend_expect(p->backend, EXPECT_PREFIX)->count = n;
    backend_expect(p->backend, EXPECT_EXEC);
    fe_put_sync(out);
    return true;
}

static void put_bind_nothing(struct strbuf *out)
{
    static const char rest[6] = { 0 }; /* no parameters, all results in text */

    fe_put_bind(out, (struct span){ 0 }, (struct span){ 0 }, span_make(rest, sizeof(rest)));
}

static void select_bind(struct exec *x, struct part *p, struct strbuf *out)
{
    struct err e = ERR_INIT;

    if (x->piecewise)
        fe_put_close(out, 'P', x->piece_portal); /* of an unnamed one before it */
    p->backend->wrote = p->backend->wrote || x->plan->writes;
    p->backend->dirty = p->backend->dirty || x->plan->opaque;
    if (x->merge) {
        exec_merge_bind(x, p, out);
        return;
    }
    if (x->extended) {
        BUG_ON(!exec_put_bind(x, p, out, &e)); /* only rows of VALUES can fail */
    } else {
        backend_put_parse(p->backend, out, (struct span){ 0 }, exec_text(x), "", 0);
        put_bind_nothing(out);
    }
    if (!p->described)
        fe_put_describe(out, 'P', exec_portal_there(x));
}

static void select_release(struct exec *x, struct part *p, struct strbuf *out)
{
    (void)p;
    if (exec_in_txn(x)) /* else its transaction ends */
        fe_put_close(out, 'P', exec_portal_there(x));
}

static void select_go(struct exec *x)
{
    struct strbuf *out = &x->s->worker->out;

    for (uint32_t i = 0; i < x->npart; i++) {
        if (!x->piecewise)
            fe_put_execute(out, exec_portal_there(x), exec_limit_there(x));
        fe_put_sync(out);
        gate_write(x, &x->parts[i]);
    }
}

static const struct gate_ops select_ops = {
    .settle = settle_prefix,
    .bind = select_bind,
    .release = select_release,
    .go = select_go,
    .failed = statement_failed,
};

/*
 * A transaction with one snapshot, which its first query takes. That may be one that replays a setting (a SELECT of
 * set_config), so all of it happens within the window. BEGIN and settings wait for nobody (rule X17).
 */
static bool settle_nothing(struct exec *x, struct part *p, struct strbuf *out)
{
    (void)x;
    (void)p;
    (void)out;
    return false;
}

static void snapshot_bind(struct exec *x, struct part *p, struct strbuf *out)
{
    uint32_t n = txn_put_prefix(x->s, p->backend, out);

    if (n)
        backend_expect(p->backend, EXPECT_PREFIX)->count = n;
    fe_put_parse(out, (struct span){ 0 }, SPAN("SELECT 1"), "", 0);
    put_bind_nothing(out);
}

/* Its snapshot ends with it. */
static void snapshot_release(struct exec *x, struct part *p, struct strbuf *out)
{
    (void)x;
    fe_put_statement(out, SPAN("ROLLBACK"), NULL, 0);
    p->backend->begun = false;
}

static void snapshot_go(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    g->phase = EXEC_GATE_LEAVE;
    g->withhold = g->frozen;
    g->left = x->next_part = 0;
    for (uint32_t i = 0; i < x->npart; i++) {
        fe_put_sync(out);
        gate_ask(x, &x->parts[i]);
    }
}

static const struct gate_ops snapshot_ops = {
    .settle = settle_nothing,
    .bind = snapshot_bind,
    .release = snapshot_release,
    .go = snapshot_go,
    .failed = statement_failed,
};

void exec_gate_snapshot(struct exec *x, void (*then)(struct exec *x))
{
    x->gate_then = then;
    exec_gate_begin(x, &snapshot_ops);
}

/* Undo what a torn try has done. */
static bool change_settle(struct exec *x, struct part *p, struct strbuf *out)
{
    if (!p->started)
        return false; /* the first try */
    backend_expect(p->backend, EXPECT_EXEC);
    if (x->gate->savepoint) {
        fe_put_query(out, SPAN("ROLLBACK TO SAVEPOINT " GATE_SAVEPOINT));
    } else {
        fe_put_query(out, SPAN("ROLLBACK"));
        p->backend->begun = false;
    }
    return true;
}

static const struct gate_ops change_ops = {
    .settle = change_settle,
    .go = exec_start_parts,
    .failed = statement_failed,
};

static const struct gate_ops stream_ops = {
    .settle = settle_nothing,
    .go = exec_start_parts,
    .failed = statement_failed,
};

/* A change that is done again on a snapshot taken at the gate. */
static const struct gate_ops frozen_ops = {
    .settle = change_settle,
    .bind = snapshot_bind,
    .release = snapshot_release,
    .go = snapshot_go,
    .failed = statement_failed,
};

uint32_t exec_gate_put_savepoint(struct exec *x, struct part *p, struct strbuf *out)
{
    if (!x->gate || !x->gate->savepoint || p->saved)
        return 0;
    p->saved = true;
    fe_put_statement(out, SPAN("SAVEPOINT " GATE_SAVEPOINT), NULL, 0);
    return 1;
}

void exec_gate_statement(struct exec *x)
{
    const struct plan *plan = x->plan;

    if (x->npart < 2 || !exec_gate_on(x)) {
        exec_start_parts(x);
    } else if (plan->kind == PLAN_COPY_OUT && x->own_txn) {
        exec_gate_snapshot(x, exec_start_parts);
    } else if (txn_has_snapshot(&x->s->txn)) { /* taken together already */
        exec_start_parts(x);
    } else if (plan->kind == PLAN_COPY_OUT) {
        exec_gate_begin(x, &stream_ops);
    } else if (plan->kind == PLAN_QUERY && plan->bind_snapshot && (x->extended || x->merge || plan->nparam == 0)) {
        exec_gate_begin(x, &select_ops);
    } else if ((plan->kind == PLAN_QUERY && plan->writes) || exec_is_declare(plan)) {
        exec_gate_begin(x, &change_ops);
    } else {
        exec_start_parts(x);
    }
}

/* --- what took its snapshots when it was executed --- */

static void gate_leave(struct exec *x)
{
    struct exec_gate *g = x->gate;
    struct strbuf *out = &x->s->worker->out;

    g->phase = EXEC_GATE_LEAVE;
    g->then = exec_statement_done;
    g->left = 0;
    for (uint32_t i = 0; i < x->npart; i++) {
        backend_expect(x->parts[i].backend, EXPECT_EXEC);
        fe_put_query(out, SPAN("RELEASE SAVEPOINT " GATE_SAVEPOINT));
        gate_ask(x, &x->parts[i]);
    }
}

/* As if nothing had been run. */
static void gate_forget(struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];

        p->described = p->done = p->failed = false;
        p->ntag = 0;
    }
    x->ndone = x->next_part = x->ndescribed = 0;
    x->failed = x->counted = x->row_desc_sent = false;
    x->row_desc_type = '\0';
    x->rows = x->sent = 0;
    strbuf_reset(&x->hoarded);
    x->own_error = ERR_INIT;
    strbuf_reset(&x->error);
    strbuf_reset(&x->row_desc);
    strbuf_reset(&x->tag);
    x->out.len = x->gate->out_len;
    x->bind_sent = x->gate->bind_sent;
}

static bool gate_can_repeat(const struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        if (!x->parts[i].backend)
            return false;
    }
    return !x->cancelled && !x->s->own_cancel;
}

/*
 * A change by itself whose window is too long for committers to wait would be torn again and again. It runs on
 * snapshots that were taken together, in REPEATABLE READ, and is repeated when rows have changed since.
 */
static bool gate_freezes(const struct exec *x)
{
    const struct exec_gate *g = x->gate;

    return x->own_txn && (g->repeats > GATE_TRIES ||
                          loop_now_us(x->s->worker->loop) - g->opened_us > GATE_COMMIT_WAIT_MS * UINT64_C(1000));
}

static void gate_repeat(struct exec *x)
{
    struct exec_gate *g = x->gate;

    g->repeats++;
    if (!g->frozen && gate_freezes(x)) {
        g->frozen = true;
        g->repeats = 0;
        g->ops = &frozen_ops;
        g->then = exec_start_parts;
        x->s->txn.modes.isolation = ISOLATION_REPEATABLE_READ;
    }
    if (g->frozen)
        gate_new_ticket(x);
    gate_forget(x);
    g->phase = EXEC_GATE_QUIET;
    exec_quiet(x);
}

void exec_quiet(struct exec *x)
{
    if (x->gate && x->gate->phase == EXEC_GATE_QUIET && !session_quarantined(x->s))
        gate_settle(x);
}

static bool gate_not_serializable(const struct exec *x)
{
    struct be_error fields;

    return x->failed && !x->own_error.message[0] && be_decode_error(strbuf_span(&x->error), &fields) &&
           span_eq_str(fields.sqlstate, "40001");
}

bool exec_gate_repeats(struct exec *x)
{
    struct exec_gate *g = x->gate;
    bool torn;

    if (g && g->frozen) {
        if (g->withhold && gate_not_serializable(x) && g->repeats < GATE_FROZEN_TRIES && gate_can_repeat(x)) {
            gate_repeat(x);
            return true;
        }
        g->withhold = false;
        return false;
    }
    if (!g || !g->watching)
        return false;
    g->watching = false;
    torn = gate_read_end(g->ticket) == GATE_TORN;
    if (torn && g->withhold && gate_can_repeat(x)) {
        gate_repeat(x);
        return true;
    }
    if (torn && !x->failed) {
        gate_refuse(x);
        err_hint(&x->own_error, "Run it again, or by itself, outside a transaction block.");
    }
    g->withhold = false;
    if (g->savepoint && !x->failed) {
        gate_leave(x);
        return true;
    }
    return false;
}
