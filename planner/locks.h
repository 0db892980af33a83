/*
 * Row locks of a gathered SELECT (gather.h). Its parts fetch the rows of the tables that FOR UPDATE and its kin name
 * with that clause: locked are all rows that satisfy the conditions which go with the part, not only those of the
 * answer, and their values are the newest, which the part's own conditions are looked at for once more. The statement
 * keeps the clause: over the gathered rows it does nothing, but PostgreSQL says where it cannot stand.
 */
#ifndef PLANNER_LOCKS_H
#define PLANNER_LOCKS_H

#include "planner/analyse_int.h"

/* Why the statement's locks cannot be taken that way; NULL: they can, or there are none. */
const char *locks_why_not(const struct an *an, const PgQuery__Node *stmt);
/* The clause, with a blank before it, for the rows of a mention; NULL: they are not locked. */
const char *locks_of(struct an *an, const PgQuery__Node *stmt, const struct occurrence *occ);

#endif
