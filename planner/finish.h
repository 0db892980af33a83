/*
 * What the router finishes: a SELECT whose FROM and WHERE are a sum over one table's rows (prove.c), so that each shard
 * can do its share of what stands above them: groups, aggregates, DISTINCT, order, limits.
 *
 *   whole groups on one shard   GROUP BY (or DISTINCT) has the sharding key: shards' groups are the answer's
 *   merge                       rows come sorted from the shards and are merged (op_merge.h); LIMIT is counted
 *   partial aggregates          shards aggregate by group; their rows are gathered in one temporary table, over which
 * the statement's remainder runs in PostgreSQL: HAVING, expressions, order, limit are its own partial DISTINCT, order
 * shards drop duplicates, or send their first rows only; the remainder runs as above
 *
 * If the statement's own level cannot be finished, a query in FROM or WITH may that all of its tables are in: partial
 * rows are that query's, whose remainder takes its place in the statement (struct inner_level).
 *
 * The texts are made of pieces of the statement's own (clauses.h), never printed from the tree. Where anything is not
 * plain, nothing is pushed: rows are gathered as they are (gather.h).
 */
#ifndef PLANNER_FINISH_H
#define PLANNER_FINISH_H

#include "planner/analyse_int.h"

/*
 * The statement's top level, whose rows are cut by a table's or the arms' tables' (setop.h). True: plan->combine,
 * finish and what belongs to them are filled in.
 */
MUSTCHECK bool finish_try(struct an *an);

#endif
