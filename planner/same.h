/*
 * Are two expressions of one query level the same, as PostgreSQL's equal() says of them once names are resolved?
 */
#ifndef PLANNER_SAME_H
#define PLANNER_SAME_H

#include "planner/analyse_int.h"

/* A false may be wrong, a true never is. Literals that were compared become part of the plan's key (rule P12). */
bool same_expression(struct an *an, const struct scope *s, const PgQuery__Node *a, const PgQuery__Node *b);

#endif
