/*
 * Gather, the plan of a SELECT that needs rows of several shards put together: every mention of a table becomes a
 * *part*, a query for that table's rows, run where they are; the rows go into temporary tables on the home shard (few
 * of them: into array parameters, planner/arrays.h), where the statement runs as it was written, with those tables in
 * the place of the mentions. So all the rest is PostgreSQL's own.
 *
 * A condition of WHERE or ON that is about one table alone goes with the part, and the statement has "true" in its
 * place. A part has the columns whose names occur anywhere in what is left of the statement, in the table's order: then
 * names, USING and ambiguity mean the same (rules P32, P33). Behind another table's name a name is that table's only;
 * "*", NATURAL and whole rows need all columns.
 */
#ifndef PLANNER_GATHER_H
#define PLANNER_GATHER_H

#include "planner/analyse_int.h"

/*
 * After the names of a level are known: note which conditions of its WHERE, and of its joins, are about one table,
 * whose rows nothing fills with NULLs before they are looked at. `level` are the variables of its FROM.
 */
void gather_note(struct an *an, const struct scope *s, struct region level, const PgQuery__SelectStmt *q);

/* Make a gather of the statement if it can be one: fills plan->gather, kind and reason. False: why not, in
 * plan->refusal. */
bool gather_try(struct an *an, const PgQuery__Node *stmt);

/* Is the mention, which *found tells to be in FROM's item, on a side of a join that may be filled with NULLs? `filled`:
 * all of the item is. */
bool gather_is_filled(const PgQuery__Node *item, const PgQuery__RangeVar *rv, bool filled, bool *found);
/* Types that travel as numbers of one server's catalog (rule P34). */
bool gather_is_catalog_number(uint32_t type);
/* A type that is sent as text only: aclitem and its kin. */
bool gather_has_no_binary(uint32_t type);

#endif
