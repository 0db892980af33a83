/*
 * Semi-joins of a gathered statement: once the rows of one part are known, their values in a column tell which rows of
 * another part can be needed at all.
 *
 * The proof is the graph's (analyse_int.h): an edge from a column to another says that if the rows of the first table
 * are restricted to some values, so can be those of the second. Here the values are those that the rows have. Every way
 * in the graph from one table to another goes through an equality, which NULLs do not satisfy.
 */
#ifndef PLANNER_SEMIJOIN_H
#define PLANNER_SEMIJOIN_H

#include "planner/analyse_int.h"

/*
 * Fill g->semijoins. occs[i] is the table of part i; places[i][c] is 1 + where its column c is among the part's
 * columns, 0: it is not.
 */
void semijoin_find(struct an *an, struct plan_gather *g, const struct occurrence *const *occs, uint16_t *const *places);

/*
 * Fill the locals of the parts, which are g->npart: where such a way leads from a table's sharding key to that of a
 * colocated one, the shard itself can leave out rows that go with none that the first one's conditions let through.
 */
void semijoin_find_local(struct an *an, struct gather_part *parts, uint32_t npart,
                         const struct occurrence *const *occs);

#endif
