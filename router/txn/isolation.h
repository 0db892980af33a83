/*
 * Transactions with one snapshot (REPEATABLE READ, SERIALIZABLE) on a database of several shards (rules P7, X21).
 *
 * REPEATABLE READ takes the snapshots of all shards together, before its first statement (exec_snapshot.c): whichever
 * shard it comes to later is as it was then. SERIALIZABLE stays on the shard of its first statement, because what
 * several shards allow, each by itself, one server would not: write skew. So does REPEATABLE READ that a session
 * binds to a shard (pgbraid.key, pgbraid.shard) or that is configured so (pgbraid.snapshot_shards). A table that is
 * distributed differently since its BEGIN ends the transaction: its snapshots show the rows where they were.
 *
 * now() is one moment in a transaction, but each shard's is its own: what reads it, and could not be given that moment
 * as a literal (exec_clock.c), stays on the first shard that did (rule X22).
 */
#ifndef ROUTER_TXN_ISOLATION_H
#define ROUTER_TXN_ISOLATION_H

#include "base/bug.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

/* Is the session's next query the first of a transaction that takes the snapshots of all shards? */
bool isolation_takes_all(const struct session *s);
/* They have been taken. */
void isolation_taken(struct session *s);

/*
 * May the session's next statement run on `npart` shards, the first of which is `shard`? moment: it reads the
 * transaction's clock. Notes the shard. False and PB0313 with SQLSTATE 0A000, or 40001 when the layout has changed.
 * Called for each statement before its leases are used, and after isolation_takes_all() has said no.
 */
MUSTCHECK bool isolation_allows(struct session *s, bool moment, uint32_t npart, uint32_t shard, struct err *e);

#endif
