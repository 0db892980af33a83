/*
 * The directory: databases, their shards and key ranges, and a cache of how tables are distributed, in one SQLite file
 * with one owner process (see store/db.h). Every change is one transaction that makes a new epoch and a new shard map.
 *
 * A database is served, that is, in the map, only while the ranges of its shards cover the keyspace. From then on its
 * shards cannot be removed one by one (their rows would be lost from sight) nor others added (nothing is left to own).
 *
 * Any thread may call; calls that read or write the file block on it and on each other, directory_snapshot does not.
 * Errors: PB0401 the file, PB0402 an invalid layout, PB0403 unknown object, PB0404 object exists. A change that failed
 * changed nothing.
 */
#ifndef SHARDMAP_DIRECTORY_H
#define SHARDMAP_DIRECTORY_H

#include "base/arena.h"
#include "base/bug.h"
#include "base/err.h"
#include "shardmap/distribution.h"
#include "shardmap/keyrange.h"
#include "shardmap/map.h"
#include "shardmap/vhash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct directory;

/* ---- life cycle ---- */

struct directory_options {
    bool create; /* make a missing file */
    bool shared; /* other routers of this machine may have it open, too */
    /* Does libpq take it? This layer may not ask (pgconn_check_conninfo). NULL: anything goes. */
    bool (*check_conninfo)(const char *conninfo, struct err *e);
};

/* Options are copied. NULL and PB0401 when the file cannot be used or another process owns it. */
MUSTCHECK struct directory *directory_open(const char *path, const struct directory_options *o, struct err *e);
void directory_close(struct directory *d); /* NULL is fine. Maps handed out stay valid */

/* Proves that a decision about a distributed transaction is one of a router of this directory. Borrowed, text. Any
 * thread. */
struct span directory_decision_key(const struct directory *d);

/*
 * Shared by several routers: has another one changed it? Then the new map is published as after a change of our own.
 * Blocks on the file.
 */
MUSTCHECK bool directory_refresh(struct directory *d, bool *changed, struct err *e);
/* Tell the others that something has changed that only looks at the shards can show: a new epoch. Nothing
 * when it is not shared. */
MUSTCHECK bool directory_touch(struct directory *d, struct err *e);
/* False and PB0601: another router has it open now. Any thread; does not block. */
MUSTCHECK bool directory_alone(const struct directory *d, struct err *e);

/* ---- what routers work on ---- */

/* The newest map: a reference for the caller. */
struct map *directory_snapshot(struct directory *d);
/*
 * fn is called after each change, on the thread that made it, in the order of epochs, with the new map (borrowed). It
 * may not change the directory. One subscriber; NULL ends it.
 */
typedef void directory_notify_fn(void *arg, struct map *m);
void directory_subscribe(struct directory *d, directory_notify_fn *fn, void *arg);

/* ---- changes ---- */

MUSTCHECK bool directory_add_database(struct directory *d, const char *name, struct err *e);

struct directory_shard_def {
    const char *database;
    const char *name;     /* NULL: the printed range */
    const char *range;    /* "-80" */
    const char *conninfo; /* without a password; no other shard has it */
    bool create_database; /* add the database too if it is not there */
};
MUSTCHECK bool directory_add_shard(struct directory *d, const struct directory_shard_def *def, struct err *e);
/* Only while the database is not served. */
MUSTCHECK bool directory_remove_shard(struct directory *d, const char *database, const char *shard, struct err *e);
/* The same PostgreSQL database is reached by another conninfo from now on. */
MUSTCHECK bool directory_set_conninfo(struct directory *d, const char *database, const char *shard,
                                      const char *conninfo, struct err *e);
/*
 * The shard that holds the unsharded tables. Only while the database is not served: afterwards they would be lost from
 * sight. Without it the shard with the lowest range becomes the home when the ranges first cover.
 */
MUSTCHECK bool directory_set_home(struct directory *d, const char *database, const char *shard, struct err *e);

struct directory_table {
    const char *schema, *name;
    enum distribution dist;
    enum vindex_type vindex; /* when sharded, as the key */
    uint32_t nkey;
    const char *key_columns[DIST_MAX_KEYS];
    enum key_type key_types[DIST_MAX_KEYS];
    int32_t key_typmods[DIST_MAX_KEYS];
    bool has_identity; /* a usable replica identity that contains the key */
};
/* Replace what is cached of a database's tables. Equal to what is there: no new epoch. */
MUSTCHECK bool directory_replace_tables(struct directory *d, const char *database, const struct directory_table *tables,
                                        size_t n, struct err *e);

/* ---- listing, in the caller's arena ---- */

struct directory_database {
    const char *name;
    const char *home;         /* shard's name, or NULL while undecided */
    struct map_shard *shards; /* by range; may be NULL when there are none */
    size_t nshard;
    bool served;
    const char *why_not; /* when not served: what is missing */
};
/* By name. */
MUSTCHECK bool directory_list(struct directory *d, struct arena *a, struct directory_database **out, size_t *n,
                              struct err *e);
/* By schema and name. PB0403 if there is no such database. */
MUSTCHECK bool directory_list_tables(struct directory *d, const char *database, struct arena *a,
                                     struct directory_table **out, size_t *n, struct err *e);

#endif
