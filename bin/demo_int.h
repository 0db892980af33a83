/*
 * What the parts of the demo share. The folder of a demo holds:
 *
 *   demo.state     how many shards, their ports, whether the set-up was completed (this program's own)
 *   demo.lock      locked while a demo command starts or stops something
 *   pgbraid.conf   the router's configuration; the user may edit it
 *   directory.db   the router's directory
 *   router.pid     written by the router
 *   shard-1 ...    data directories of the shards, or links to them (see demo.base)
 *   log/           what the servers print
 *
 * A set-up that was not completed is thrown away by the next start, so whatever is complete has been made in one go.
 * Who runs is never remembered: it is asked of pid files and /proc each time.
 */
#ifndef BIN_DEMO_INT_H
#define BIN_DEMO_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "net/pgconn.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DEMO_DATABASE       "shop"
#define DEMO_USER           "postgres"
#define DEMO_MAX_SHARDS     16u
#define DEMO_DEFAULT_SHARDS 3u
#define DEMO_DEFAULT_PORT   6432u

struct demo {
    struct arena arena;   /* dir and base */
    struct arena scratch; /* names and paths of the moment; reset while the demo only watches */
    const char *dir;      /* real path */
    const char *base;     /* where the data directories are: dir, or a folder that PostgreSQL's user can enter */
    uint32_t nshard;
    uint32_t shard_port[DEMO_MAX_SHARDS];             /* on 127.0.0.1 */
    bool complete, sample;                            /* the set-up has been completed; the sample was loaded */
    uint32_t port;                                    /* the router's; its truth is pgbraid.conf */
    pid_t shard_child[DEMO_MAX_SHARDS], router_child; /* started by this process and not seen to end; 0: none */
};

/* "DIR/tail" in the scratch arena, as all strings that follow. */
char *demo_path(struct demo *d, const char *tail);

/* demo.state. read: *found false when there is none. write: atomic. */
MUSTCHECK bool demo_state_read(struct demo *d, bool *found, struct err *e);
MUSTCHECK bool demo_state_write(struct demo *d, struct err *e);

/* ---- servers; shards count from 0 here, from 1 in names ---- */

/* "shard-1". */
char *demo_shard_name(struct demo *d, uint32_t shard);
/* Connection string of a shard's database. */
char *demo_shard_conninfo(struct demo *d, uint32_t shard, const char *database);
/* Connection string of a database of the router. */
char *demo_router_conninfo(struct demo *d, const char *database);

/* Make the data directory of a shard that has none. */
MUSTCHECK bool demo_shard_init(struct demo *d, uint32_t shard, struct err *e);
/* Start it, unless it runs, and make its database, unless it is there. */
MUSTCHECK bool demo_shard_start(struct demo *d, uint32_t shard, struct err *e);
MUSTCHECK bool demo_router_start(struct demo *d, struct err *e);
/* Process id, or 0 when it does not run, whoever started it. */
pid_t demo_shard_pid(struct demo *d, uint32_t shard);
pid_t demo_router_pid(struct demo *d);
/* Stop the router, then the shards: all, or only what this process started. */
MUSTCHECK bool demo_stop(struct demo *d, bool only_started, struct err *e);

/* ---- sample ---- */

/* Connect, blocking; NULL and the error. */
MUSTCHECK struct pgconn *demo_connect(const char *conninfo, struct err *e);
/* Run a statement for its effect. */
MUSTCHECK bool demo_run(struct pgconn *c, const char *sql, struct err *e);
/* Make and load the sample shop through the router. */
MUSTCHECK bool demo_load(struct demo *d, struct err *e);
/* Print queries worth trying with the route of each. */
MUSTCHECK bool demo_print_queries(struct demo *d, struct err *e);

#endif
