/*
 * Commits on their way through the gate (gate.h): of transactions over several shards, and of one shard while a
 * scattered read takes its snapshots.
 */
#include "router/exec/pass.h"

#include "base/mem.h"
#include "router/exec/exec_int.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/txn/gate.h"
#include "router/worker.h"

static void pass_go(void *arg, bool expired)
{
    struct exec *x = arg;
    void (*then)(struct exec *) = x->pass_then;

    (void)expired;
    BUG_ON(!gate_commit_begin(x->pass)); /* it has waited */
    then(x);
}

bool exec_gate_commit(struct exec *x, const uint32_t *shards, uint32_t n, void (*then)(struct exec *x))
{
    struct worker *w = x->s->worker;

    BUG_ON(x->pass);
    if (n == 0 || (n == 1 && gate_quiet(w->router->gate)))
        return true;
    x->pass = gate_ticket_new(w->router->gate, w->loop, shards, n, pass_go, x);
    x->pass_then = then;
    return gate_commit_begin(x->pass);
}

bool exec_gate_hold(struct exec *x, void (*then)(struct exec *x))
{
    const struct session *s = x->s;

    if (x->npart != 1 || s->txn.env || !(x->plan->writes || x->plan->opaque))
        return true;
    exec_gate_committed(x, NULL);
    return exec_gate_commit(x, &s->set->pools[x->parts[0].shard]->shard_id, 1, then);
}

void exec_gate_committed(struct exec *x, const char *in_doubt)
{
    struct gate_ticket *t = x->pass;

    x->pass = NULL;
    if (t && in_doubt)
        gate_commit_doubt(t, in_doubt);
    else
        gate_ticket_free(t);
}
