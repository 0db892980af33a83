/*
 * SQL text to PostgreSQL's own parse tree (libpg_query's protobuf form), guarded: nothing a client sends may overflow
 * the stack or keep the parser busy for long. Pure; any thread with a stack of PLANNER_STACK_BYTES.
 */
#ifndef PLANNER_PARSE_H
#define PLANNER_PARSE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

/*
 * Parse all statements of `sql` into `a`, which the tree then lives in. Errors: PB0202 with PostgreSQL's own message
 * and position (in characters, 1-based) for what does not parse; PB0203 for what is too deep or too long to parse
 * safely. The text may hold any bytes; it need not end in NUL.
 */
MUSTCHECK bool parse_sql(struct span sql, struct arena *a, const PgQuery__ParseResult **out, struct err *e);

#endif
