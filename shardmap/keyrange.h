/*
 * Key ranges: half-open intervals of keyspace ids, and their algebra. Pure.
 *
 * A keyspace id is an unsigned 64-bit number: the signed extended hash of the sharding key XOR 2^63. A range is written
 * as in Vitess, with the hexadecimal prefix of its bounds: "-" is everything, "-80" the lower half, "40-80" a quarter,
 * "80-" the upper half. Bounds are 2 to 16 hex digits, an even number of them, padded with zeros on the right.
 */
#ifndef SHARDMAP_KEYRANGE_H
#define SHARDMAP_KEYRANGE_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct keyrange {
    uint64_t start; /* first id inside */
    uint64_t end;   /* first id after the range; meaningless when unbounded */
    bool unbounded; /* reaches the top of the space */
};

#define KEYRANGE_TEXT_MAX 40 /* bytes a printed range needs, NUL included */

static inline bool keyrange_contains(const struct keyrange *r, uint64_t id)
{
    return id >= r->start && (r->unbounded || id < r->end);
}

/* Parse "40-80". PB0402 on anything else, an empty or inverted range included. */
MUSTCHECK bool keyrange_parse(struct keyrange *r, struct span text, struct err *e);
/* Print into out[KEYRANGE_TEXT_MAX] in the shortest even-digit form; returns out. */
char *keyrange_print(const struct keyrange *r, char out[KEYRANGE_TEXT_MAX]);
bool keyrange_overlap(const struct keyrange *a, const struct keyrange *b);
/* True if the ranges, in any order, cover the whole space once. PB0402 names the gap or the overlapping pair. */
MUSTCHECK bool keyrange_covers(const struct keyrange *ranges, size_t n, struct err *e);
/* n ranges that cover the space, of as equal a size as bounds of four digits allow: for new layouts. 1 <= n <= 256. */
void keyrange_split(struct keyrange *out, size_t n);
/*
 * The bounds as signed hashes, for SQL predicates on a shard: inside iff hash >= *low and (no high or hash < *high).
 * Returns whether there is an upper bound.
 */
bool keyrange_hash_bounds(const struct keyrange *r, int64_t *low, int64_t *high);

#endif
