/*
 * What the pools of all workers for one (database, user, shard) share: the number of open server connections, who waits
 * for one, and who waits while holding connections to other shards.
 *
 * Fairness: each pool publishes since when its first session has waited. A worker that gets a connection free gives it
 * to the pool that has waited longest, its own being preferred by BUDGET_FAIR_US, so that connections do not change
 * worker all the time and nobody waits for ever.
 *
 * Deadlock (rule P50): a session that holds leases and waits for another one is noted here, with what it holds. When
 * every connection of a shard is held by such sessions, and what they wait for is, again, only held by such sessions,
 * none of them can go on. No server sees that cycle.
 *
 * All functions: any thread.
 */
#ifndef ROUTER_BUDGET_H
#define ROUTER_BUDGET_H

#include "base/bug.h"
#include "base/hmap.h"
#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUDGET_FAIR_US     5000u
#define BUDGET_MAX_WORKERS 64u

struct pool;
struct router;

struct budget {
    struct hmap_node node;
    char *key; /* owned */
    _Atomic uint32_t open;
    _Atomic uint32_t hungry;                          /* pools that wait for a connection and may not open one */
    _Atomic(struct pool *) pools[BUDGET_MAX_WORKERS]; /* by worker; borrowed, live until all workers have stopped */
};

/* What a pool lets other workers see. */
struct budget_demand {
    _Atomic uint64_t since_us; /* its first waiting session's; 0: none waits */
    _Atomic bool front;        /* that session holds leases elsewhere */
    _Atomic uint32_t nwaiting;
    _Atomic uint32_t incoming; /* connections on their way from other workers */
    _Atomic uint32_t nidle;    /* connections that nobody uses */
};

/* The budget of a (database, user, shard), made when new. */
struct budget *budget_get(struct router *r, const char *database, const char *user, uint32_t shard_id);
void budget_free_all(struct router *r);

/* Count one more open connection, if there are fewer than `limit`. */
MUSTCHECK bool budget_take(struct budget *b, uint32_t limit);
void budget_give(struct budget *b);

/* The pool on another worker that `mine` should give a free connection to, or NULL. */
struct pool *budget_heir(struct budget *b, const struct pool *mine);
/* A pool on another worker with a connection that nobody uses, or NULL. */
struct pool *budget_idle_elsewhere(struct budget *b, const struct pool *mine);

/* A session that waits for a connection of `wants` and holds connections of `held`. */
struct lease_wait {
    struct list node;
    const struct budget *wants;
    uint32_t limit; /* of connections to it */
    uint32_t nheld;
    const struct budget *held[];
};

struct lease_wait *lease_wait_new(struct router *r, const struct budget *wants, uint32_t limit,
                                  const struct budget *const *held, uint32_t nheld);
void lease_wait_free(struct router *r, struct lease_wait *w); /* NULL is fine */
/* Can it never be granted, unless one of those that wait gives up? Then it counts no more: its owner gives up. */
bool lease_wait_is_deadlock(struct router *r, struct lease_wait *w);

#endif
