/*
 * Date and time constants that read the clock: 'now', 'today', 'tomorrow', 'yesterday' (rule P13). A string holding one
 * of these words may be one, depending on a type that is only known to the analyser, and not always to it.
 */
#ifndef PLANNER_MOMENT_H
#define PLANNER_MOMENT_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

/* The text of a string constant, with or without its quotes, may read the clock. Long texts are no dates. Pure. */
bool moment_in(struct span text);
/* A value of this type (a pg_type oid), given as text, may be a date: also inside arrays, ranges and what users have
 * made. */
bool moment_type(uint32_t type);

#endif
