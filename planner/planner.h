/*
 * Statement text to plan: shape lexer, plan cache, parser, analyser. One `struct planner` per worker, used by that
 * worker only; no I/O, no clock, no logging.
 */
#ifndef PLANNER_PLANNER_H
#define PLANNER_PLANNER_H

#include "planner/catalog.h"
#include "planner/env.h"
#include "planner/plan.h"

struct planner;

struct planner_options {
    size_t cache_entries; /* plans kept; least recently used go first. 0: 4096 */
    size_t cache_bytes;   /* of plans and texts. 0: 64 MiB */
    const char *const
        *sharding_keys; /* rule `sharding_key`: columns in order of preference, NULL-terminated; may be NULL */
    const char *const *safe_functions; /* declared harmless: "schema.name", NULL-terminated; may be NULL */
};

/* Options are copied. The thread that plans must have a stack of at least PLANNER_STACK_BYTES. */
#define PLANNER_STACK_BYTES (64u * 1024u * 1024u)
struct planner *planner_new(const struct planner_options *o);
void planner_free(struct planner *p);

/*
 * Plan one statement (no `;`-separated string: see planner_split). Returns a plan with a reference for the caller and
 * the literals of `sql` (valid until the next call), or NULL with the error: PostgreSQL's own text and position for
 * what does not parse, a refusal with the reason otherwise. `types` are declared parameter types (0: unspecified),
 * ntype of them. A cache hit does no malloc. The catalog's epoch is part of the cache key: pass the session's current
 * one.
 */
MUSTCHECK struct plan *planner_plan(struct planner *p, const struct catalog *cat, const struct map_db *db,
                                    const struct plan_env *env, struct span sql, const uint32_t *types, uint32_t ntype,
                                    struct literals *lits, struct err *e);

/* The literals of a text that has a plan already (a prepared statement): relexes. False if it cannot be lexed. */
MUSTCHECK bool planner_literals(struct planner *p, const struct plan_env *env, struct span sql, struct literals *lits);

/*
 * Cut a query string into statements: the text between semicolons, blanks and comments around kept out, empty ones left
 * out (PostgreSQL ignores them). Fills at most cap slices (byte offsets) and returns how many there are in all; more
 * than cap: only count. 0: an empty query. -1: cannot be lexed (unterminated string ...): treat as one statement and
 * let the parser tell.
 */
int planner_split(struct span sql, const struct plan_env *env, struct literal *slices, int cap);

/*
 * Whether a whole query string parses. Call it when planner_plan fails with PB0202 on a slice of a query string, and
 * send this error instead: PostgreSQL parses the whole string before it runs any of it, sees the semicolons (`at or
 * near
 * ";"`) and counts positions from the string's start.
 */
MUSTCHECK bool planner_check(struct span sql, struct err *e);

/*
 * May a client use this client_encoding? Statements, parameters and COPY data are read as they come, and keys are
 * hashed from them: they have to be what the shards store, which is UTF8.
 */
bool planner_reads_encoding(struct span name);

/* May set_config() have this setting's name from a parameter? Others are looked at when the statement is planned. */
bool planner_sets_by_param(const char *name);

struct planner_stats {
    uint64_t hits, misses, refused, evicted;
    size_t entries, bytes;
};
void planner_get_stats(const struct planner *p, struct planner_stats *out);

#endif
