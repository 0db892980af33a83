/*
 * pg_backend_pid() is the number that the client was told at login, not that of a server process: its calls are
 * replaced by a constant, under the name that the column would have had. Which number is the session's to say: the plan
 * holds where it belongs.
 */
#ifndef PLANNER_BACKEND_PID_H
#define PLANNER_BACKEND_PID_H

#include "base/bug.h"

#include <stdbool.h>

struct an;

/* After the plan is made: sets plan->rewritten and plan->pids. False: the calls cannot be replaced. */
MUSTCHECK bool backend_pid_replace(struct an *an);

#endif
