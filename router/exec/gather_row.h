/*
 * Rows of several parts of a gather that one query gave side by side (plan_gather_joined_text): which part a row is of,
 * and its columns as a tuple of COPY BINARY. Bytes are a server's: hostile. No state, any thread.
 */
#ifndef ROUTER_EXEC_GATHER_ROW_H
#define ROUTER_EXEC_GATHER_ROW_H

#include "base/bug.h"
#include "base/span.h"
#include "base/strbuf.h"
#include "planner/plan.h"

#include <stdbool.h>
#include <stdint.h>

/* The body of a binary DataRow; false: malformed. */
MUSTCHECK bool gather_row_part(struct span body, uint32_t *part);
/*
 * Column `at` (0-based) says whether there is a row: *present. The ncolumn columns after it are *fields, a part of
 * body. False: malformed.
 */
MUSTCHECK bool gather_row_cut(struct span body, uint32_t at, uint32_t ncolumn, struct span *fields, bool *present);

/* Descriptions of ncolumn columns of a RowDescription, from `at` on; false: it has not so many, or is malformed. */
MUSTCHECK bool gather_columns_cut(struct span row_desc, uint32_t at, uint32_t ncolumn, struct span *columns);
/* Do two shards say the same of their columns? */
MUSTCHECK bool gather_columns_equal(struct span a, struct span b);
/* The types of n columns as gather_columns_cut() found them. */
void gather_columns_read(struct span columns, struct gather_type *types, uint32_t n);
/* Are they as the catalog has them? */
MUSTCHECK bool gather_columns_are(struct span columns, const struct gather_type *types);

#endif
