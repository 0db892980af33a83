/*
 * Plans for DDL and maintenance: a const table says for each kind of statement where it runs and how (rule P41).
 */
#ifndef PLANNER_UTILITY_DDL_H
#define PLANNER_UTILITY_DDL_H

#include "planner/analyse.h"

/*
 * A PLAN_DDL for a statement that is neither a query nor the session's own business; PB0204 for kinds that are not
 * known or have no meaning here. Never cached.
 */
MUSTCHECK bool utility_ddl_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out,
                                struct err *e);

#endif
