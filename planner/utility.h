/*
 * Plans for everything that is not SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES, and for SELECT ... INTO and the
 * function calls that the router carries out itself.
 */
#ifndef PLANNER_UTILITY_H
#define PLANNER_UTILITY_H

#include "planner/analyse.h"

MUSTCHECK bool utility_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e);

#endif
