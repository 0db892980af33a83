/*
 * Distributed tables that are not the same on every shard: somebody has changed one on a shard directly, or a shard was
 * restored from another time. Each shard says what its tables are made of (sql/tables.sql); the first thing in which a
 * table is not as on the home shard is noted. Statements about such a table are refused (catalog_set_differences()).
 *
 * Control threads only, together with the object ids (oids.h), since both ask all shards: no hot path knows of it.
 */
#ifndef ROUTER_SERVER_DIFFER_H
#define ROUTER_SERVER_DIFFER_H

#include "base/arena.h"
#include "base/bug.h"
#include "planner/catalog.h"

#include <stdbool.h>
#include <stdint.h>

struct map_db;
struct pgconn;

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
/* Ask one shard; the home shard has to be the first. False: it did not answer. Blocking. */
bool differ_ask(struct differ *d, struct pgconn *conn, const char *shard, bool home);
/* Ask them all, over connections of their own. False: not every one has answered. Blocking. */
MUSTCHECK bool differ_load(struct differ *d, const struct map_db *db, uint32_t timeout_ms);
/* Leave only those that another list has, too. */
void differ_keep(struct differ *d, const struct differ *other);
/* Are they the catalog's? */
MUSTCHECK bool differ_as_in(const struct differ *d, const struct catalog *c);

#endif
