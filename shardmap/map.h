/*
 * The shard map: an immutable, reference-counted snapshot of the directory that routers work on. Every change of the
 * directory makes a new map with a higher epoch. Any thread may hold and read one.
 */
#ifndef SHARDMAP_MAP_H
#define SHARDMAP_MAP_H

#include "base/err.h"
#include "shardmap/keyrange.h"

#include <stddef.h>
#include <stdint.h>

#define MAP_MAX_SHARDS 256u

struct map_shard {
    uint32_t id;          /* directory's id, never reused */
    const char *name;     /* unique in its database; default: the printed key range */
    const char *conninfo; /* libpq conninfo of the shard's database, without a password */
    struct keyrange range;
};

struct map_db {
    const char *name;
    uint32_t home;            /* index into shards: the shard with the unsharded tables */
    uint32_t nshard;          /* 1 .. MAP_MAX_SHARDS */
    struct map_shard *shards; /* sorted by range.start; ranges cover the space */
    const uint64_t *starts;   /* shards[i].range.start, packed for map_shard_of */
};

struct map {
    uint64_t epoch;
    uint32_t ndb;
    struct map_db *dbs;
    /* private: reference count and arena */
};

/* A set of shards, as indexes into map_db.shards. */
struct shardset {
    uint64_t w[MAP_MAX_SHARDS / 64];
};

static inline void shardset_add(struct shardset *s, uint32_t i)
{
    s->w[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline bool shardset_has(const struct shardset *s, uint32_t i)
{
    return (s->w[i / 64] >> (i % 64)) & 1;
}

static inline uint32_t shardset_count(const struct shardset *s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < MAP_MAX_SHARDS / 64; i++)
        n += (uint32_t)__builtin_popcountll(s->w[i]);
    return n;
}

/* Lowest member at or after `from`, or MAP_MAX_SHARDS. */
uint32_t shardset_next(const struct shardset *s, uint32_t from);
void shardset_all(struct shardset *s, uint32_t nshard);

/* What a map is built from: plain data, copied. Shards in any order. */
struct map_db_def {
    const char *name;
    const char *home; /* shard name, or NULL: the one with the lowest range */
    const struct map_shard *shards;
    size_t nshard;
};

/* A new map with one reference, or NULL and PB0402 if ranges do not cover, names clash or the home does not exist. */
MUSTCHECK struct map *map_new(uint64_t epoch, const struct map_db_def *dbs, size_t ndb, struct err *e);
struct map *map_ref(struct map *m);
void map_unref(struct map *m); /* NULL is fine */

/* Database by name, or NULL. Borrowed from the map. */
const struct map_db *map_find_db(const struct map *m, struct span name);

/*
 * Index of the shard that owns a keyspace id: binary search over at most 256, without a branch on the data. Never
 * fails: ranges cover. Only for a map_db made by map_new.
 */
static inline uint32_t map_shard_of(const struct map_db *db, uint64_t keyspace_id)
{
    const uint64_t *base = db->starts;

    for (uint32_t n = db->nshard; n > 1;) {
        uint32_t half = n / 2;

        base += base[half] <= keyspace_id ? half : 0;
        n -= half;
    }
    return (uint32_t)(base - db->starts);
}

#endif
