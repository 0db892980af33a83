/*
 * The name that PostgreSQL gives to an output column (FigureColname of parse_target.c).
 */
#ifndef PLANNER_FIGURE_H
#define PLANNER_FIGURE_H

#include "planner/tree.h"

/* Of an item of a select list, not a star. NULL: not known here. */
const char *figure_name(const PgQuery__ResTarget *t);

#endif
