/* Inside the deadlock detector: what it looks at. For router/deadlock*.c only. */
#ifndef ROUTER_TXN_DEADLOCK_INT_H
#define ROUTER_TXN_DEADLOCK_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "router/txn/deadlock.h"
#include "router/txn/gtid.h"
#include "router/txn/locks.h"

#include <stdbool.h>
#include <stdint.h>

struct budget;
struct map_shard;

/* Ids of nodes: what it is in the upper two bits, which one below. */
#define NODE_GTID    (UINT64_C(0) << 62) /* a gtid_key */
#define NODE_SESSION (UINT64_C(1) << 62) /* of this router, without a gtid: a hash */
#define NODE_PROCESS (UINT64_C(2) << 62) /* shard id and process id */
#define NODE_LAYOUT  (UINT64_C(3) << 62) /* a layout change: hash of the database's name */
#define NODE_REST    ((UINT64_C(1) << 62) - 1)

uint64_t node_of_layout(const char *database);

/* --- our own sessions (deadlock_session.c) --- */

struct own_session {
    uint64_t node;
    uint64_t key;               /* age, as a gtid_key */
    uint64_t wait;              /* of what it does: changes when it does something else */
    const char *gtid;           /* "": none */
    const char *database;       /* where it waits for a layout change; else NULL */
    const struct budget *wants; /* connections that it waits for one of, holding some elsewhere; else NULL */
    const char *wants_shard;
    uint32_t limit;  /* of those connections */
    uint32_t worker; /* index */
    uint32_t id;
    bool busy;      /* it runs or waits for something */
    bool candidate; /* it may be canceled */
    bool several;   /* it holds leases on several shards, or waits while holding one */
};

struct own_lease {
    const struct own_session *session;
    const struct budget *budget;
    uint32_t shard_id, process;
};

/* Sessions of one worker that hold leases. */
struct own {
    struct arena arena;
    struct own_session **sessions;
    struct own_lease *leases;
    uint32_t nsession, nlease;
};

struct own_round;
/* Ask all workers; own_round_end gives it back. NULL if they have not answered until the deadline. */
struct own_round *own_look(struct router *r, uint64_t deadline_us);
const struct own *own_of_worker(const struct own_round *o, unsigned worker);
void own_round_end(struct own_round *o);

/* Have a session canceled, if it still does what was seen. connections: what others wait for are its leases. */
void deadlock_victim(struct router *r, const struct own_session *v, const struct err *e, bool connections);

/* --- shards (deadlock_ask.c) --- */

struct asker;

struct asker *asker_new(void);
void asker_free(struct asker *a);
/*
 * Ask the given shards, all at once, and wait for their answers until the deadline. min_age_ms: waits that are younger
 * do not matter. Returns how many have answered.
 */
uint32_t asker_ask(struct asker *a, const struct map_shard *const *shards, uint32_t n, uint32_t min_age_ms,
                   uint64_t deadline_us);
/* The ith shard's answer to the last asker_ask, or NULL. Borrowed until the next one. */
const struct shard_locks *asker_answer(const struct asker *a, uint32_t i);
/* Close what has not been used for a while, or everything. */
void asker_forget(struct asker *a, bool all);

#endif
