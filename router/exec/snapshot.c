/*
 * The snapshots of all shards, taken together before the first statement of a transaction that has one (isolation.h):
 * BEGIN, all that it has said, and a first query on every shard, in one window of the gate (exec_gate.c). The
 * statement begins after that as if nothing had happened.
 */
#include "router/exec/snapshot.h"

#include "router/exec/exec_int.h"
#include "router/exec/gate.h"
#include "router/exec/part.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/txn/isolation.h"

static void snapshot_taken(struct exec *x)
{
    void (*then)(struct exec * x) = x->snapshot_then;

    exec_gate_fini(x);
    x->parts = NULL;
    x->npart = x->ndone = x->next_part = 0;
    x->task = TASK_NONE;
    x->snapshot_then = NULL;
    isolation_taken(x->s);
    then(x);
}

static void snapshot_take(struct exec *x)
{
    exec_gate_snapshot(x, snapshot_taken);
}

static bool refuse(struct exec *x)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0313, "this statement cannot be the first of a transaction with one snapshot");
    err_detail(&e, "It takes no snapshot itself, but puts the transaction on a shard before the others.");
    err_hint(&e, "Run a query first, or use READ COMMITTED.");
    exec_fail(x, &e);
    return false;
}

bool exec_snapshot(struct exec *x, void (*then)(struct exec *x))
{
    const struct session *s = x->s;
    uint32_t n = 0;

    if (LIKELY(!isolation_takes_all(s)))
        return true;
    if (x->plan && x->plan->no_snapshot)
        return refuse(x);
    x->parts = ARENA_ARRAY(&x->arena, struct part, s->set->npool);
    x->npart = s->set->npool;
    x->parts[n++].shard = s->set->home;
    for (uint32_t i = 0; i < s->set->npool; i++) {
        if (i != s->set->home)
            x->parts[n++].shard = i;
    }
    x->task = TASK_STATEMENT;
    x->snapshot_then = then;
    x->acquired = snapshot_take;
    exec_acquire(x);
    return false;
}
