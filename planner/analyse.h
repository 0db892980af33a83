/*
 * From one parsed statement to a plan: what the front end (planner.c) hands to the analyser and gets back. Pure: no
 * I/O, no clock; reads only what is in plan_input.
 *
 * A protobuf A_Const's location is the offset of its literal in the text, which is how the analyser finds a literal's
 * index in `lits`.
 */
#ifndef PLANNER_ANALYSE_H
#define PLANNER_ANALYSE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "planner/catalog.h"
#include "planner/env.h"
#include "planner/plan.h"
#include "planner/planner.h"

#include <stdbool.h>
#include <stdint.h>

struct PgQuery__ParseResult;

/* All borrowed for the length of the call. */
struct plan_input {
    const struct catalog *cat;
    const struct map_db *db;
    const struct plan_env *env;
    struct span sql;
    uint32_t start;        /* of the query in it; before it are blanks, where the statement has EXPLAIN */
    const uint32_t *types; /* declared parameter types, 0: unspecified */
    uint32_t ntype;
    const struct literals *lits;
    const struct planner_options *options;
    const struct plan_hint *hint;            /* NULL: none */
    const struct PgQuery__ParseResult *tree; /* exactly one statement */
};

struct plan_result {
    struct plan *plan; /* one reference, the caller's */
    bool cacheable;
    uint32_t nfixed;
    const uint32_t
        *fixed; /* literals whose VALUE is part of the cache key because the plan depends on it; in scratch */
    uint32_t npair;
    const uint32_t (*pairs)[2]; /* pairs of literals the plan compared for equality: the equality pattern is part of the
                                   key (rule P12); in scratch */
};

/* False with the error: a refusal, an unknown name ... `scratch` lives until the caller has read the result. */
MUSTCHECK bool analyse(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e);

#endif
