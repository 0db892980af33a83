/*
 * What the pools of all workers for one (database, user, shard) share: the number of open server connections, and who
 * waits for one.
 *
 * Fairness: each pool publishes since when its first session has waited. A worker that gets a connection free gives it
 * to the pool that has waited longest, its own being preferred by BUDGET_FAIR_US, so that connections do not change
 * worker all the time and nobody waits for ever.
 *
 * All functions: any thread.
 */
#ifndef ROUTER_SERVER_BUDGET_H
#define ROUTER_SERVER_BUDGET_H

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
    _Atomic uint32_t pinned;                          /* of those: kept by sessions (router/server/pin.h) */
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

#endif
