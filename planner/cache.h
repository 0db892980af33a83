/*
 * Plans by the statement they were made for. Bounded by entries and bytes, least recently used go first. A lookup does
 * not allocate. One thread.
 *
 * A plan is right for every text of its shape that agrees with the text it was made from in
 *   - what the key holds: shape, number of literals, environment, database, catalog epoch, declared parameter types;
 *   - the text of the literals the plan depends on (plan_result.fixed: ORDER BY 1, typmods ...);
 *   - which of the literal pairs it compared are equal (plan_result.pairs, rule P12).
 * A pair of which the text does not tell whether the values are equal (1 and 01, 'a' and E'a') is never cached.
 */
#ifndef PLANNER_CACHE_H
#define PLANNER_CACHE_H

#include "base/span.h"
#include "planner/analyse.h"
#include "planner/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

/* Everything but the text that a plan is found by. Zeros at the end of `types` mean nothing and are to be cut off. */
struct cache_scope {
    uint64_t epoch;
    uint32_t env_id;
    uint32_t db_id;
    const uint32_t *types;
    uint32_t ntype;
};

/* seed: random, so that nobody can send texts that collide. */
struct cache *cache_new(size_t max_entries, size_t max_bytes, uint64_t seed);
void cache_free(struct cache *c);

/*
 * By the very text, for texts that were put with `exact`: cheaper than lexing. Fills *lits (borrowed until the cache
 * changes). The plan is borrowed; NULL if unknown.
 */
struct plan *cache_find_text(struct cache *c, const struct cache_scope *scope, struct span sql, struct literals *lits);
/* By shape. `sql` and `lits` are the text the shape was read from. */
struct plan *cache_find_shape(struct cache *c, const struct cache_scope *scope, struct span shape, struct span sql,
                              const struct literals *lits);
/*
 * Keep a plan (takes a reference of its own) that the find above did not find. `exact`: find it by text too, for texts
 * that come again as they are. Does nothing when the plan cannot or should not be kept.
 */
void cache_put(struct cache *c, const struct cache_scope *scope, struct span shape, struct span sql,
               const struct literals *lits, bool exact, const struct plan_result *r);

struct cache_stats {
    uint64_t evicted;
    size_t entries, bytes;
};
void cache_get_stats(const struct cache *c, struct cache_stats *out);

#endif
