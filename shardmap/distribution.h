/*
 * How the rows of a table are spread over the shards of its database. The truth is on the shards (pgbraid.tables,
 * written in the transaction that changes it: rule P39); the catalog reads it, the directory caches it.
 */
#ifndef SHARDMAP_DISTRIBUTION_H
#define SHARDMAP_DISTRIBUTION_H

enum distribution {
    DIST_UNSHARDED, /* all rows on the home shard */
    DIST_REFERENCE, /* the same rows on every shard */
    DIST_SHARDED    /* placed by the primary vindex */
};

enum vindex_type {
    VINDEX_HASH,    /* PostgreSQL's extended hash of the key columns, seeds chained */
    VINDEX_IDENTITY /* one bigint column: its value takes the place of the hash */
};

#define DIST_MAX_KEYS 4u /* columns of a sharding key */

/* "unsharded", "reference", "sharded": in pgbraid.tables, the directory and SHOW TABLES alike. */
static inline const char *distribution_name(enum distribution d)
{
    static const char *const names[] = { "unsharded", "reference", "sharded" };

    return names[d];
}

static inline const char *vindex_type_name(enum vindex_type t)
{
    static const char *const names[] = { "hash", "identity" };

    return names[t];
}

#endif
