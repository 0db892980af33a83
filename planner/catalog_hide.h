/*
 * The placement constraints are pgbraid's own business (rule P19): what a client's tools read of the catalog is shown
 * without them.
 */
#ifndef PLANNER_CATALOG_HIDE_H
#define PLANNER_CATALOG_HIDE_H

struct an;

/*
 * For a statement that goes to the home shard and reads pg_constraint or pg_class.relchecks: sets plan->rewritten, if
 * the statement is one that can be rewritten. One that cannot shows the constraints.
 */
void catalog_hide(struct an *an);

#endif
