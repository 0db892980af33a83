/*
 * Few rows of a gathered statement need no temporary tables (rule P5): each column of a part becomes a parameter, an
 * array, and the statement reads
 *
 *   (SELECT pg_catalog.unnest($1) AS "id", pg_catalog.unnest($2)::pg_catalog.varchar(9) AS "name")
 *
 * in the place of the table. That is the same to all that looks at it if the columns' types are PostgreSQL's own and
 * their collations the default one.
 */
#ifndef PLANNER_ARRAYS_H
#define PLANNER_ARRAYS_H

#include "planner/analyse_int.h"

/* May the parts of g come so, as far as the statement and the tables say? The types of a part that is a query of its
 * own the shards tell. */
bool arrays_decide(const struct an *an, const struct plan_gather *g);

/* The array type of a column's type; 0: such columns cannot come in arrays. */
uint32_t arrays_type(uint32_t oid, int32_t typmod);
/* "::type(modifier)" if the type has a modifier; arrays_type() is not 0. */
void arrays_put_cast(struct strbuf *out, uint32_t oid, int32_t typmod);

#endif
