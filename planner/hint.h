/*
 * Routing hints: which shard a statement is for, said by the client in a comment of the statement, as pgbraid:key=VALUE
 * or pgbraid:shard=NAME_OR_RANGE between slash-star and star-slash, or with SET pgbraid.key and SET pgbraid.shard. A
 * comment's goes before a setting's, a shard before a key.
 *
 * A hint never makes a wrong answer by accident: what the planner can place by itself is compared with it, and refused
 * if it contradicts. It gives a place to what has none (functions that are not known to be harmless run there), and
 * for a statement that would go to several shards it is the explicit choice of one.
 */
#ifndef PLANNER_HINT_H
#define PLANNER_HINT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "planner/env.h"
#include "planner/plan.h"

#define HINT_MARK "pgbraid:" /* a comment with it is a hint */

/* The statement's hint, in `a`; NULL: it has none. False: it has one that cannot be read. */
MUSTCHECK bool hint_read(struct span sql, const struct plan_env *env, struct arena *a, const struct plan_hint **out,
                         struct err *e);

#endif
