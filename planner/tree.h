/*
 * Small helpers over libpg_query's protobuf tree. Children are found by protobuf reflection, so a walk never misses a
 * node kind that somebody forgot to list.
 */
#ifndef PLANNER_TREE_H
#define PLANNER_TREE_H

#include "base/span.h"

#include <pg_query/pg_query.pb-c.h>
#include <stdbool.h>
#include <stdint.h>

/* Call fn for each message directly below `m` (Node wrappers are seen through). */
void tree_children(const ProtobufCMessage *m, void (*fn)(const ProtobufCMessage *child, void *arg), void *arg);

/* The message inside a Node; NULL for NULL. */
const ProtobufCMessage *tree_message(const PgQuery__Node *n);

/* "" for an empty one; protobuf never gives NULL, but absent messages are. */
static inline const char *tree_str(const char *s)
{
    return s ? s : "";
}

/* "*", "t.*" or "(expr).*": stands for any number of columns, so what is behind it in a list cannot be counted. */
bool tree_is_star(const PgQuery__Node *n);
bool tree_has_star(size_t n, PgQuery__Node *const *list);

/* DISTINCT ON (...), not DISTINCT alone. */
static inline bool tree_is_distinct_on(const PgQuery__SelectStmt *q)
{
    return q->n_distinct_clause && q->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
}

/* What SET gives a column: of (a, b) = (x, y) its own one. NULL: nothing, as in an INSERT's list. */
const PgQuery__Node *tree_assigned(const PgQuery__ResTarget *t);

/* String of a String node, or "". */
const char *tree_string(const PgQuery__Node *n);
/* A name list's last part, and the one before it ("" if there is none). */
const char *tree_name(size_t n, PgQuery__Node *const *names, const char **schema);
/* The list is exactly this unqualified or pg_catalog-qualified name. */
bool tree_name_is(size_t n, PgQuery__Node *const *names, const char *name);

#endif
