/*
 * One time for a statement or transaction on several shards (rule X22). now() is the moment when a transaction began,
 * and each shard's part of it begins at a moment of its own. So the shard whose clock the transaction has read first
 * (or, if it has read none, the first that the statement needs) is asked for it, and from then on every statement that
 * reads the clock has that time as a literal in its text (planner/clock.h), and is planned anew.
 *
 * What cannot be treated so (a function that reads the clock by itself, 'today') stays as it was planned: refused, or
 * on one shard. Triggers and functions on the shards read their own clocks (docs/transactions.md).
 */
#include "router/exec/clock.h"

#include "planner/clock.h"
#include "planner/planner.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <stdlib.h>
#include <string.h>

/* In UTC, in a form that no DateStyle reads otherwise; a year that has more or fewer digits is nobody's clock. */
#define CLOCK_SQL                                                                                                      \
    "SELECT pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.now()), 'YYYY-MM-DD HH24:MI:SS.US\"+00\"')"
#define CLOCK_SAMPLE "2000-01-01 00:00:00.000000+00"

_Static_assert(sizeof(CLOCK_SAMPLE) == TXN_NOW_MAX, "txn.now holds it");

/* The statement with the time in it, planned; false: that is not possible, or the clock is still read. */
static bool clock_plan(struct exec *x, const char *now, struct plan **plan, struct literals *lits, struct strbuf *text)
{
    struct session *s = x->s;
    struct planner *p = s->worker->planner;
    struct err ignored = ERR_INIT;
    uint32_t n = x->bound ? x->prepared->ntype : 0;
    uint32_t *types = ARENA_ARRAY(&x->arena, uint32_t, n + 1);

    for (uint32_t i = 0; i < n; i++)
        types[i] = proto_get32(x->prepared->types + 4 * (size_t)i);
    if (!clock_text(session_catalog(s), &s->env->plan, x->text, now, text))
        return false;
    *plan = planner_plan(p, session_catalog(s), s->db->map, &s->env->plan, strbuf_span(text), types, n, lits, &ignored);
    if (!*plan)
        return false;
    if (!(*plan)->moment && (*plan)->nparam == x->plan->nparam)
        return true;
    plan_unref(*plan);
    return false;
}

/* The running statement becomes the one with the time in it; false: it cannot. */
static bool clock_take(struct exec *x)
{
    struct strbuf text = STRBUF_INIT;
    struct literals lits;
    struct plan *plan;
    bool ok = clock_plan(x, x->s->txn.now, &plan, &lits, &text);

    if (ok) {
        plan_unref(x->plan);
        x->plan = plan;
        x->text = exec_copy_span(x, strbuf_span(&text));
        x->lits_copy.n = lits.n;
        x->lits_copy.v = ARENA_ARRAY(&x->arena, struct literal, lits.n + 1);
        if (lits.n)
            memcpy((void *)(uintptr_t)x->lits_copy.v, lits.v, lits.n * sizeof(*lits.v));
        x->timed = true;
    }
    strbuf_fini(&text);
    return ok;
}

static bool clock_can(struct exec *x)
{
    struct strbuf text = STRBUF_INIT;
    struct literals lits;
    struct plan *plan;
    bool ok = clock_plan(x, CLOCK_SAMPLE, &plan, &lits, &text);

    if (ok)
        plan_unref(plan);
    strbuf_fini(&text);
    return ok;
}

/* Must the statement have the transaction's time, instead of reading it? `routed`: x->route holds. */
static bool clock_needed(const struct exec *x, bool routed)
{
    const struct txn *t = &x->s->txn;

    if (!x->plan->moment || x->timed)
        return false;
    if (!routed || x->plan->kind == PLAN_GATHER || (!x->route.any && x->route.n > 1))
        return true;
    return t->now[0] || (t->clocked && !x->route.any && x->route.first != t->clock);
}

static void clock_ask(struct exec *x)
{
    x->task = TASK_CLOCK;
    x->next_part = 1;
    exec_send_query(x, &x->parts[0], SPAN(CLOCK_SQL));
}

bool exec_clock(struct exec *x, bool routed, void (*then)(struct exec *x))
{
    struct txn *t = &x->s->txn;

    if (LIKELY(!clock_needed(x, routed)))
        return true;
    if (t->now[0])
        return clock_take(x) ? then(x), false : true;
    if (!clock_can(x))
        return true;
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->npart = 1;
    x->parts[0].shard = t->clocked ? t->clock : !routed || x->route.any ? x->s->set->home : x->route.first;
    x->clock_then = then;
    x->acquired = clock_ask;
    exec_acquire(x);
    return false;
}

enum exec_action exec_clock_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct span value;

    if (type == BE_ERROR && !x->failed) {
        strbuf_put(&x->error, body.ptr, body.len);
        x->error_part = 0;
        x->failed = p->failed = true;
    }
    if (type == BE_DATA_ROW && be_decode_data_row(body, &value, 1) == 1 && value.len == TXN_NOW_MAX - 1)
        memcpy(x->s->txn.now, value.ptr, value.len);
    return EXEC_SWALLOW;
}

void exec_clock_done(struct exec *x)
{
    struct txn *t = &x->s->txn;
    uint32_t shard = x->parts[0].shard;

    if (!x->failed && !t->now[0]) {
        err_set(&x->own_error, PB0313, "the clock of shard \"%s\" cannot be read", x->s->set->pools[shard]->shard_name);
        x->failed = true;
    }
    if (!x->failed && !clock_take(x)) { /* it could with another time: the schema has changed under it */
        err_set(&x->own_error, PB0313, "the statement could not be planned with the time of its transaction");
        err_state(&x->own_error, "40001");
        x->failed = true;
    }
    if (!t->env)
        t->now[0] = '\0'; /* it was this statement's alone */
    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    if (t->env) {
        t->clocked = true;
        t->clock = shard;
    }
    x->parts = NULL;
    x->npart = x->ndone = x->next_part = 0;
    x->task = TASK_NONE;
    x->clock_then(x);
}
