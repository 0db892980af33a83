/*
 * Plans for statements that change the schema, and for the maintenance and locking statements that go the same way:
 * whatever utility.c does not plan itself.
 */
#ifndef PLANNER_UTILITY_DDL_H
#define PLANNER_UTILITY_DDL_H

#include "planner/analyse.h"

MUSTCHECK bool utility_ddl_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out,
                                struct err *e);

#endif
