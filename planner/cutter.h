/*
 * Copying pieces of a statement's text into a shorter one, with parameters renumbered in the order of their first
 * mention there. For planner/ only.
 */
#ifndef PLANNER_CUTTER_H
#define PLANNER_CUTTER_H

#include "base/err.h"
#include "base/strbuf.h"

struct cutter {
    struct strbuf *out;
    uint16_t *map; /* new number - 1 to the client's */
    uint32_t cap, n;
    uint32_t reserved;
    uint16_t *renumbered; /* the client's to the new number, 0: not yet; nparam entries */
    uint16_t few[64];
    uint32_t nparam;
    bool full;
};

/* nparam: highest of the client's text. map has room for cap entries. */
void cutter_init(struct cutter *c, struct strbuf *out, uint32_t nparam, uint16_t *map, uint32_t cap);
/* Before anything is copied: the first n numbers are taken by parameters of our own. */
void cutter_reserve(struct cutter *c, uint32_t n);
/* Copy sql[from, to), which begins and ends between tokens. */
void cutter_copy(struct cutter *c, struct span sql, uint32_t from, uint32_t to);
/* How many parameters the new text has; false and PB0203 if they did not fit. */
MUSTCHECK bool cutter_fini(struct cutter *c, uint32_t *n, struct err *e);

#endif
