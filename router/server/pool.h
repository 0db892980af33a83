/*
 * Pools of server connections: one per worker, database, user and shard. The limit (pool_size) holds for all workers
 * together (budget.h). A pool that has waiting sessions and may not open a connection is hungry: a pool of another
 * worker that has one to spare hands it over, cleaned by DISCARD ALL, since what was prepared and set on it means
 * nothing to another worker.
 *
 * A session that finds no free connection waits in a first-come queue with a deadline (query_wait_timeout). Sessions
 * that hold leases elsewhere stand before all others, first come first among themselves, and may use the reserve; a
 * connection of the reserve is closed when no such session waits. One that could wait for ever is found by the deadlock
 * detector (rule P50).
 */
#ifndef ROUTER_SERVER_POOL_H
#define ROUTER_SERVER_POOL_H

#include "base/bug.h"
#include "base/err.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/span.h"
#include "router/server/budget.h"
#include "router/session/env.h"
#include "router/session/setting.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct backend;
struct poolset;
struct session;
struct config_user;
struct worker;
struct map_db;
struct oid_map;
struct oid_maps;
struct hub;

struct pool {
    struct worker *worker; /* borrowed */
    struct poolset *set;   /* borrowed */
    struct budget *budget; /* borrowed; process-wide */
    uint32_t shard_id;
    char *shard_name, *conninfo; /* owned */
    struct oid_maps *oid_maps;   /* owned reference; NULL: not known */
    const struct oid_map *oids;  /* borrowed from it; NULL: the home shard, whose ids are the clients' (rule P37) */
    struct list all;             /* backends, connecting ones not included */
    struct list idle;            /* most recently used first */
    struct list waiting;         /* sessions, first come first */
    struct budget_demand demand; /* what other workers see */
    uint32_t nopen, nidle, nconnecting, nwaiting;
    uint32_t nfront;      /* of the waiting: sessions that hold leases elsewhere, at the head */
    bool draining;        /* the shard is gone from the map: close on release */
    bool hungry;          /* counted in the budget */
    uint64_t retry_at_us; /* after a failed connect: not before */
    struct err last_error;
    /* statistics */
    uint64_t served, wait_us, max_wait_us;
};

/*
 * Pools of one (database, role) on this worker, one per shard in the map's order, and what all its sessions share. The
 * role is the user's own, or a service role of several users (server_user), each of whom has its own role in its
 * sessions' environments.
 */
struct poolset {
    struct hmap_node node;
    struct worker *worker;
    char *database;
    char *user;                       /* owned, as database: role that its connections log in as */
    const struct config_user *limits; /* of that user; borrowed from the worker's configuration */
    struct pool **pools;              /* owned; [shard index of the worker's current map] */
    struct pool *gather;              /* owned; further connections to the home shard, for gathered statements */
    struct hub *hub;                  /* owned; hears notifications (router/server/notify.h); NULL: nobody listens */
    uint32_t npool;
    uint64_t map_epoch;     /* the map that pools follows */
    bool ready;             /* canonical environment known */
    bool loading;           /* being asked for */
    struct list logins;     /* sessions that wait for it (session.wait) */
    uint32_t home;          /* index of the home shard's pool */
    struct env_table *envs; /* owned; NULL until ready */
    /* owned: the router's own settings as the home shard has them for role and database; NULL: it says nothing */
    char *own_settings[OWN_SETTINGS];
    char *canonical_options; /* "-c TimeZone=..." for every further connection */
    struct {
        char *name, *value;
    } parameters[16]; /* ParameterStatus for a new client */
    uint32_t nparameter;
    uint32_t nsession;
};

/* The pool set of a (database, login role); made when new. NULL if the database is not in the map. */
struct poolset *poolset_get(struct worker *w, struct span database, struct span user);
/* Follow the worker's map: new shards get pools, pools of shards that are gone drain. */
void poolset_follow(struct poolset *ps, const struct map_db *db, uint64_t epoch);
/* Take over new maps of object ids (references are taken; NULL: not known). */
void poolset_set_oids(struct poolset *ps, struct oid_maps *m);
void poolset_free(struct poolset *ps);

/*
 * A connection for the session: leased at once, or NULL and the session waits: session_granted() or session_refused()
 * is called later. `front`: holds leases already.
 */
struct backend *pool_acquire(struct pool *p, struct session *s, bool front);
/* How many connections may be open, all workers together; `front`: with the reserve. */
uint32_t pool_limit(const struct pool *p, bool front);
/* Take a session out of the queue (it went away or was cancelled). */
void pool_cancel_wait(struct session *s);
/* A leased connection comes back: cleaned if it must be, then given to the next in the queue. */
void pool_release(struct backend *b);
/*
 * A pool to the set's home shard whose connections no session leases, and one more connection of it: fn gets it, in
 * BACKEND_LEASED, or the error; on the loop, not before this returns.
 */
struct pool *pool_new_apart(struct poolset *ps);
void pool_open_apart(struct pool *p, void (*fn)(void *arg, struct pool *p, struct backend *b, const struct err *e),
                     void *arg);
void pool_free(struct pool *p);
/* Bookkeeping for backend_close. */
void pool_forget(struct backend *b);
/* Once a second: connections that are idle or old, waits that are over. */
void pool_tick(struct pool *p, uint64_t now_us);
/* A connection is free (cleaned, connected or handed over): next waiter or idle list. */
void pool_put(struct backend *b);

#endif
