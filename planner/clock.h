/*
 * The transaction's clock in a statement's text (rule X22): now(), CURRENT_DATE and their kin, and column defaults that
 * read it. Several shards would answer by clocks of their own, so the text gets the time as a literal before it is
 * planned for them.
 */
#ifndef PLANNER_CLOCK_H
#define PLANNER_CLOCK_H

#include "base/bug.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>

struct catalog;
struct plan_env;

/*
 * Write a statement to `out` with the time in the place of the clock. `now`: a timestamp with its zone that any
 * DateStyle and TimeZone read alike. False, and `out` as it was: something reads the clock in a way that cannot be
 * replaced, or nothing does. What is left after true (a function that reads the clock inside, say) is for the planner
 * to find. Pure; costs a parse.
 */
MUSTCHECK bool clock_text(const struct catalog *cat, const struct plan_env *env, struct span sql, const char *now,
                          struct strbuf *out);

#endif
