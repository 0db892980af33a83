/*
 * Distributed tables that are not the same on every shard: somebody has changed one on a shard directly, or a shard was
 * restored from another time. Each shard says what its tables are made of (sql/tables.sql); the first thing in which a
 * table is not as on the home shard is noted. Statements about such a table are refused (catalog_set_differences()).
 *
 * Asking is for control threads: no hot path knows of it.
 */
#ifndef ROUTER_SERVER_DIFFER_H
#define ROUTER_SERVER_DIFFER_H

#include "base/arena.h"
#include "base/bug.h"
#include "planner/catalog.h"

#include <stdbool.h>
#include <stdint.h>

struct map_db;

struct differ_said;

/* Differences, by shard and table. */
struct differ {
    struct arena arena;
    struct catalog_difference *v; /* texts are in the arena, too */
    uint32_t n, cap;
    struct differ_said *home; /* owned: what the home shard has said, while others are asked; NULL: nothing */
};

void differ_init(struct differ *d);
void differ_fini(struct differ *d);
/* Ask all shards. One that does not answer differs in what it did in `before`. Blocking. */
void differ_load(struct differ *d, const struct map_db *db, uint32_t timeout_ms, const struct differ *before);
/* Leave only those that another list has, too. */
void differ_keep(struct differ *d, const struct differ *other);
/* What was last found, of each database: any thread. */
struct differ_notes;
struct differ_notes *differ_notes_new(void);
void differ_notes_free(struct differ_notes *notes); /* NULL is fine */
void differ_notes_put(struct differ_notes *notes, const char *database, const struct differ *d);
/* Into an empty list. */
void differ_notes_get(struct differ_notes *notes, const char *database, struct differ *d);
/* Are they the catalog's? */
MUSTCHECK bool differ_as_in(const struct differ *d, const struct catalog *c);

#endif
