/*
 * The CHECK constraint that makes a misplaced row impossible (rule P19), as SQL text. Pure.
 */
#ifndef SHARDMAP_PLACEMENT_H
#define SHARDMAP_PLACEMENT_H

#include "base/bug.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "shardmap/keyrange.h"
#include "shardmap/vhash.h"

#include <stdint.h>

#define PLACEMENT_CONSTRAINT "pgbraid_placement"

struct placement_key {
    bool identity; /* the bigint key is the hash itself */
    uint32_t ncolumn;
    const char *columns[4];
    enum key_type types[4];
};

/* The SQL expression of a row's hash: "hashint8extended("a", 0)"; the same under every search_path. */
MUSTCHECK bool placement_hash_sql(const struct placement_key *key, struct strbuf *out, struct err *e);
/* The condition that a row lies in the range; "true" for the whole space. */
MUSTCHECK bool placement_condition_sql(const struct placement_key *key, const struct keyrange *range,
                                       struct strbuf *out, struct err *e);

#endif
