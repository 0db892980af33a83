/*
 * The placement constraints (rule P19) and the schema pgbraid are the router's own business: what a client's tools read
 * of the catalog is shown without them. So pg_dump dumps the client's database only.
 */
#ifndef PLANNER_CATALOG_HIDE_H
#define PLANNER_CATALOG_HIDE_H

struct an;

/*
 * For a statement that goes to the home shard and reads such a catalog, or pg_class.relchecks: sets plan->rewritten, if
 * the statement is one that can be rewritten. One that cannot shows everything.
 */
void catalog_hide(struct an *an);

#endif
