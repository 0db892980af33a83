/*
 * What pgbraid keeps on the shards for itself is no business of the client's tools: psql's \d and pg_dump must not show
 * the placement constraints.
 */
#ifndef PLANNER_CATALOG_HIDE_H
#define PLANNER_CATALOG_HIDE_H

struct an;

/* For a statement that goes to the home shard and reads pg_constraint: plan->rewritten with the constraints left out.
 */
void catalog_hide(struct an *an);

#endif
