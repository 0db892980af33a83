/*
 * Of a plan: where it runs, as its keys say, and where their values come from (plan.h).
 */
#ifndef PLANNER_PLAN_KEY_H
#define PLANNER_PLAN_KEY_H

#include "shardmap/vhash.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a PLAN_QUERY, PLAN_INSERT, PLAN_COPY_* or PLAN_DDL runs. */
enum plan_scope {
    SCOPE_ANY,   /* any one shard gives the same answer: constants, reference tables */
    SCOPE_HOME,  /* the home shard: unsharded tables, catalogs */
    SCOPE_KEYED, /* where the keys say: plan->classes */
    SCOPE_ALL    /* every shard */
};

enum value_source {
    VALUE_LITERAL,       /* literal number `index` of the text (0-based, in text order) */
    VALUE_PARAM,         /* parameter $index (1-based) */
    VALUE_PARAM_ARRAY,   /* every element of the one-dimensional array parameter $index: k = ANY($1) */
    VALUE_LITERAL_ARRAY, /* every element of an array written as one string literal: k = ANY('{1,2}') */
    VALUE_NULL           /* known to be NULL: matches nothing / violates NOT NULL */
};

struct key_value {
    enum value_source source;
    enum key_type type; /* how the value's text or binary form is read: its own type, not the column's (rule P14) */
    bool negate;        /* a minus sign stands before the numeric literal */
    uint32_t index;
};

/* One column's values of a key group: `n` alternatives (IN list, VALUES rows), one for an equality. */
struct key_column {
    enum key_type type; /* the column's */
    int32_t typmod;     /* the column's */
    uint32_t nvalue;
    const struct key_value *values;
};

/*
 * One proven condition "the key is one of these". Composite keys have several columns; then value i of each column
 * makes tuple i, so all have the same nvalue.
 */
struct key_group {
    enum vhash_use use;
    bool identity; /* identity vindex: the integer is the keyspace id's hash already */
    uint32_t ncolumn;
    const struct key_column *columns;
};

/*
 * Sharded table occurrences proven to have equal keys. A row of the class must satisfy every group, so the shards are
 * the intersection over groups of the union over values. No shard left: the class has no rows anywhere and asks for no
 * shard. A class without groups (ngroup 0) asks for all shards.
 */
struct key_class {
    uint32_t ngroup;
    const struct key_group *groups;
};

#endif
