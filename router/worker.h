/*
 * A worker: one thread with its event loop, listener, sessions, pools, plan cache and prepared statements. Workers
 * share nothing that is written on the hot path; they talk by messages to each other's loops.
 */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include "base/arena.h"
#include "base/hmap.h"
#include "base/list.h"
#include "net/listener.h"
#include "net/loop.h"
#include "planner/planner.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct access;
struct config;
struct router;
struct session;

/* Counters: written by the worker only, read by anybody (relaxed). */
struct worker_stats {
    _Atomic uint64_t queries, transactions, scattered, errors, bytes_in, bytes_out, logins, wait_us, deadlocks;
};
#define STAT_ADD(field, n)                                                                                             \
    atomic_store_explicit(&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (uint64_t)(n),              \
                          memory_order_relaxed)

/* Whether statements of a database wait. */
enum hold {
    HOLD_NONE,
    HOLD_NEW, /* PAUSE: those outside a transaction */
    HOLD_ALL  /* the layout changes: all but the end of transactions */
};

/* What this worker knows of a database. */
struct worker_db {
    struct hmap_node node;
    char *name;               /* owned */
    const struct map_db *map; /* borrowed from worker.map */
    struct catalog *catalog;  /* owned reference; NULL until loaded */
    struct oid_maps *oids;    /* the same, made together with it */
    bool catalog_asked, oids_asked;
    enum hold hold;
    struct list held_sessions; /* sessions that wait for the catalog or the end of a hold (session.wait) */
};

struct worker {
    struct router *router; /* borrowed */
    unsigned index;
    pthread_t thread;
    struct loop *loop;
    struct listener *listener, *unix_listener;
    struct planner *planner;
    const struct config *config;  /* owned reference */
    struct access *access;        /* owned reference */
    uint32_t config_max_prepared; /* config's max_prepared_statements, at hand */
    struct map *map;              /* owned reference */
    struct hmap dbs;              /* worker_db by name */
    struct hmap poolsets;
    struct hmap session_ids;
    struct list sessions;
    uint32_t nsession, next_session, next_plan_id;
    struct hmap prepared; /* interned prepared statements */
    struct list prepared_lru;
    uint32_t nprepared, next_serial;
    struct hmap logins;   /* verified start-up settings */
    struct strbuf out;    /* composed messages; empty between callbacks */
    struct arena scratch; /* reset at the end of each callback that used it */
    struct loop_timer tick;
    uint64_t schema_checked_us;
    struct worker_stats stats;
    size_t held; /* bytes of rows that gathered statements hold (router/exec/gather_hold.c) */
    uint64_t hash_seed;
    bool ended;    /* being freed: what still comes by message is dropped */
    bool draining; /* shutting down: no new statements outside transactions */
};

/* NULL and the error if the listener cannot be opened. */
struct worker *worker_new(struct router *r, unsigned index, struct err *e);
void worker_start(struct worker *w);
/* Take over a new configuration and what decides on logins (references are taken). Loop thread. */
void worker_set_config(struct worker *w, const struct config *c, struct access *a);
/* After the thread has ended. */
void worker_free(struct worker *w);

/* The database's record, or NULL if the map does not have it. Loop thread. */
struct worker_db *worker_find_db(struct worker *w, struct span name);
/* Take over a new map (a reference is taken). Loop thread. */
void worker_set_map(struct worker *w, struct map *m);
/* Take over a new catalog of a database and its object ids (references are taken); sessions that wait for it go on.
 * Loop thread. */
void worker_set_catalog(struct worker *w, const char *db, struct catalog *c, struct oid_maps *oids);
/* Hold or release a database's statements. Loop thread. */
void worker_hold(struct worker *w, const char *db, enum hold hold);
/* Statements of this database that are running now (for a drain). Loop thread. */
uint32_t worker_busy(struct worker *w, const char *db, bool transactions);

#endif
