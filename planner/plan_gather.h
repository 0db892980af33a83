/*
 * Of a plan: a statement whose rows are gathered (plan.h).
 */
#ifndef PLANNER_PLAN_GATHER_H
#define PLANNER_PLAN_GATHER_H

#include "planner/plan_key.h"
#include "planner/plan_text.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * A gathered statement whose work the shards have done in part: they run `shard`, their rows go to one temporary table
 * with columns c1, c2 ..., and `rest`, a statement over that table, gives the answer. `shape` has `shard`'s columns,
 * and neither parameters nor conditions.
 */
struct plan_push {
    uint32_t ncolumn;
    struct plan_text shard, shape, rest;
    bool limited; /* shards need send no more rows than the statement's bounds say */
    bool ties;    /* ... and those that ORDER BY does not tell from the last of them */
};

struct gather_type {
    uint32_t oid;
    int32_t typmod;
    const char *name; /* quoted; of a part that is a table */
};

/* Where the statement finds the rows of a part. */
struct gather_source {
    const char *table; /* in this temporary table; NULL: in array parameters, one a column (arrays.h) */
    uint32_t ncolumn;  /* ... of these types; without columns there is one parameter for the number of rows */
    const struct gather_type *types;
};

/* Rows of a part are needed only where part `from` has a row with the same sharding key: both are on one shard. */
struct gather_local {
    uint32_t from;
    const char *from_key, *key; /* quoted, with the tables' aliases */
};

/*
 * A mention of a table in a gathered statement, and the query for its rows: columns FROM table AS alias WHERE filters.
 * Offsets are bytes of the plan's text.
 */
struct gather_part {
    const char *table;   /* quoted, with its schema */
    const char *alias;   /* quoted: the name that the statement knows it by */
    const char *columns; /* quoted, separated by commas; may be empty */
    uint32_t ncolumn;
    const struct gather_type *types; /* of the columns, as the catalog has them; NULL: a query of its own */
    bool collated;                   /* a column has a collation, and not the database's */
    const char *primary_key;         /* quoted columns; NULL: not wanted */
    uint32_t start, end;             /* the table's name in the text */
    bool put_alias;                  /* the text gives it none */
    bool plain;                      /* a query in brackets may stand there, too */
    enum plan_scope scope;           /* KEYED, HOME or ANY */
    struct key_class keys;           /* SCOPE_KEYED */
    uint32_t nfilter;
    const struct plan_row *filters; /* slices of the text */
    uint32_t nlocal;
    const struct gather_local *locals;
    const char *lock; /* " FOR UPDATE" or its kin, of these rows; NULL: they are only read (locks.h) */
};

/* Rows of part `to` are needed only if their column has a value that some row of part `from` has (semijoin.h). */
struct plan_semijoin {
    uint32_t from, to;
    uint32_t column;              /* of `from`: which of the part's columns */
    const char *name;             /* of `to`: quoted, with the table's alias */
    uint32_t type, array_type;    /* of the values */
    const struct key_class *keys; /* the column is the sharding key, the values are parameter 1; NULL: it is not */
};

#define GATHER_PARTS_MAX 256u /* mentions of tables in a statement whose rows are gathered */

struct plan_gather {
    uint32_t npart;
    const struct gather_part *parts;
    uint32_t ndropped; /* filters of the parts, in the text's order: the statement does without them */
    const struct plan_row *dropped;
    uint32_t nsemijoin;
    const struct plan_semijoin *semijoins;
    _Atomic uint64_t *seen; /* by part: 1 + rows that it had when last asked without a semi-join; 0: never */
    bool always; /* tables of the home shard take part: a PLAN_GATHER. Else only when the keys name several shards */
    bool locks;  /* rows of some part */
    bool moment; /* reads the clock: the transaction's, which the gathering server does not know */
    bool arrays; /* few rows may come as array parameters */
    const struct plan_push *push; /* the one part is a query of its own; NULL: parts are tables */
};

#endif
