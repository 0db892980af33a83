/*
 * Changing how a table is distributed: unsharded to sharded or reference, and back (rules P19, P39).
 *
 * The truth about a table is its row in pgbraid.tables on the home shard, written in the transaction that also moves
 * the home shard's rows; its commit is the one moment at which the change happens. What the other shards hold is
 * prepared before it and cleaned up after it: their copies count for nothing as long as the home shard does not say
 * otherwise, so a crash at any point leaves every row where the home shard says it is, and no two-phase commit is
 * needed. Leftover copies are recognised by their own row in pgbraid.tables and dropped by the next change of the same
 * table.
 *
 *   hold statements -> home: lock, check ------> others: create, copy, constrain, COMMIT -> home: COMMIT -> publish ->
 * release unshard:           home: lock, copy back --> home: COMMIT -> others: DROP, COMMIT -------------------->
 * publish -> release
 *
 * Statements of the whole database wait while rows move. Rows travel as COPY text between sessions with equal settings.
 * Not moved: partitioned and inherited tables, tables with rules (refused).
 */
#ifndef MIGRATE_PLACE_H
#define MIGRATE_PLACE_H

#include "base/bug.h"
#include "base/err.h"
#include "shardmap/map.h"

#include <stdbool.h>
#include <stdint.h>

#define PLACE_MAX_COLUMNS 4u

enum place_verb { PLACE_SHARD, PLACE_REFERENCE, PLACE_UNSHARD };

struct place_request {
    enum place_verb verb;
    const struct map_db *db; /* borrowed */
    const char *user;        /* must own the table */
    const char *table;       /* as written: name or schema.name, quoted or not */
    const char *search_path; /* how an unqualified name is looked up */
    uint32_t ncolumn;        /* PLACE_SHARD: the sharding key */
    const char *columns[PLACE_MAX_COLUMNS];
    uint32_t timeout_ms; /* for connecting */
    /* Hold every statement and wait until none runs, at most wait_ms; false: some still run, and nothing is held. */
    bool (*hold)(void *arg, uint32_t wait_ms);
    void (*release)(void *arg);
    /* With the hold on: everybody plans with what the home shard says now. */
    bool (*publish)(void *arg, struct err *e);
    /* True when the process ends: a change whose outcome cannot be learnt stays held until then. */
    bool (*stopping)(void *arg);
    void *arg;
    /* Filled in: the answer, and notices separated by newlines. */
    char message[512];
    char notice[512];
};

/* Blocking; any thread but a loop's. False and the error: nothing has changed. */
MUSTCHECK bool place_table(struct place_request *r, struct err *e);

#endif
