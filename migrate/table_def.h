/*
 * What a table is on the home shard, whether it can be distributed, and how another shard makes the same one: pg_dump's
 * definition, since only pg_dump knows all that a table can have. Blocking.
 */
#ifndef MIGRATE_TABLE_DEF_H
#define MIGRATE_TABLE_DEF_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "net/pgconn.h"
#include "shardmap/distribution.h"
#include "shardmap/placement.h"

#include <stdbool.h>
#include <stdint.h>

struct table_def {
    const char *oid, *schema, *name; /* in the arena, as everything here */
    const char *quoted;              /* "schema"."name" */
    const char *columns;             /* quoted, separated by commas: what COPY moves (generated ones are not) */
    enum distribution dist;          /* as it is now */
    struct placement_key key;        /* sharded: the present key; else what table_def_key found */
    bool has_identity;               /* a primary key or replica identity index that holds the key */
    bool key_was_nullable;
};

/*
 * Find the table as `user` would with this search_path, and read what is known of it. PB0208 if there is none, 42501 if
 * the user does not own it, PB0207 if it is no ordinary table.
 */
MUSTCHECK bool table_def_read(struct table_def *t, struct pgconn *home, struct arena *a, const char *user,
                              const char *search_path, const char *table, struct err *e);
/* Take the columns as the key that the table is to have: PB0209, or PB0207 with the reason why one cannot be. */
MUSTCHECK bool table_def_key(struct table_def *t, struct pgconn *home, struct arena *a, uint32_t ncolumn,
                             const char *const *columns, struct err *e);
/* Is there anything about it that forbids the distribution? PB0207 names it. Locks the unsharded tables that refer to
 * it. */
MUSTCHECK bool table_def_check(struct table_def *t, struct pgconn *home, enum distribution to, struct err *e);

enum dump_section { DUMP_PRE_DATA, DUMP_POST_DATA };

/*
 * The SQL that makes the table (pre-data) or its indexes, constraints and triggers (post-data), by running pg_dump
 * against conninfo. PB0504 if it cannot be run or fails.
 */
MUSTCHECK bool table_def_dump(const struct table_def *t, const char *conninfo, enum dump_section section,
                              struct strbuf *out, struct err *e);

#endif
