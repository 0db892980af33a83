/*
 * Bounds what the parser may be given, from tokens alone: libpg_query builds, packs and unpacks the tree by recursion,
 * and packing costs time in proportion to the depth of every node. Pure, one pass, no allocation.
 */
#ifndef PLANNER_GUARD_H
#define PLANNER_GUARD_H

#include "base/err.h"
#include "base/span.h"

#include <stdint.h>

/* Upper bounds for the parse tree of a text: its depth, the cost of packing it. */
struct guard_bounds {
    uint64_t depth, cost, tokens;
};

/* False if brackets nest deeper than any statement that guard_check lets pass. */
MUSTCHECK bool guard_measure(struct span sql, struct guard_bounds *out);

/* False with PB0203 if a tree of this text could need more stack than PLANNER_STACK_BYTES, or too much time. */
MUSTCHECK bool guard_check(struct span sql, struct err *e);

#endif
