/*
 * The shape of a statement: its text with every literal replaced by one byte that names the literal's type. Two texts
 * of one shape have the same parse tree but for the values of their literals, so they share a plan unless the plan
 * says that it depends on a value (cache.h). Pure, one pass, no allocation once its buffers have grown.
 *
 * Why equal shapes mean equal trees: the marker bytes 1 to 8 are refused where they could stand for a marker (outside
 * quotes and comments), so the shape can be read back without doubt; comments, blanks, letter case stay as they are.
 */
#ifndef PLANNER_NORMALISE_H
#define PLANNER_NORMALISE_H

#include "base/span.h"
#include "planner/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum shape_status {
    SHAPE_OK,
    SHAPE_UNCACHEABLE, /* literals are complete, but the shape must not be a cache key: U&'', continued strings, errors
                        */
    SHAPE_BACKSLASH    /* a backslash in '...' while standard_conforming_strings is off: not to be planned at all */
};

/* Owns its buffers; reused from statement to statement. Zero-initialised is valid. */
struct shape {
    char *bytes; /* shape_len of them */
    size_t shape_len;
    struct literal *literals;
    uint32_t nliteral;
    /* private */
    size_t bytes_cap, literals_cap;
};

void shape_fini(struct shape *s);

/* Fill `s` from `sql` (shorter than 2^30 bytes); what it held before is gone. */
enum shape_status shape_read(struct shape *s, struct span sql, bool nonstandard_strings);

#endif
