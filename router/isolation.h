/*
 * Transactions with one snapshot (REPEATABLE READ, SERIALIZABLE) on a database of several shards: each shard takes a
 * snapshot of its own at its own first statement, so such a transaction stays on the shard of its first one (rules P7,
 * X21). A table that is distributed differently since its BEGIN ends it, too: its snapshot shows the rows where they
 * were.
 *
 * now() is one moment in a transaction, but each shard's is its own: whatever reads it stays on the first shard that
 * did (rule X22).
 */
#ifndef ROUTER_ISOLATION_H
#define ROUTER_ISOLATION_H

#include "base/bug.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

/*
 * May the session's next statement run on `npart` shards, the first of which is `shard`? moment: it reads the
 * transaction's clock. Notes the shard. False and PB0313 with SQLSTATE 0A000, or 40001 when the layout has changed.
 * Called for each statement before its leases are used.
 */
MUSTCHECK bool isolation_allows(struct session *s, bool moment, uint32_t npart, uint32_t shard, struct err *e);

#endif
