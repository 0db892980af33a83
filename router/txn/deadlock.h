/*
 * Deadlocks that no server sees: transactions that wait for each other on several shards, for each other's server
 * connections (rules P50, X17), or for a layout change that waits for them.
 *
 * A thread, which sleeps while nobody waits for long. Woken, it looks: at the sessions of this process and their
 * leases, and, at the same time on all shards concerned, at who waits for whose locks there (sql/waits.sql). From that
 * it makes a wait-for graph (waitgraph.h) whose nodes are
 *
 *   a session of this router             by its leases' process ids, and by its gtid once it has one
 *   a distributed transaction elsewhere  by its gtid: from the advisory lock that it holds on each of its shards (rule
 *                                        X25), and from the names of prepared transactions
 *   any other process                    waits of its own count, but it is never a victim
 *   a layout change of a database        held sessions wait for it
 *
 * Invariants: (1) an edge counts when two looks in a row have seen it, as the same wait (process, virtual transaction,
 * its beginning): then all edges of a cycle were there together between the two (rule X26); (2) the victim is the
 * youngest that is neither committing nor prepared, by age of gtid: the same for every router, and only its own router
 * cancels it; one that is still there after DEADLOCK_STUBBORN_US (its router has died) is passed over; (3) it is
 * canceled by its worker, while the session still does what it did (deadlock_victim); (4) a shard that does not answer
 * in time has no edges in this look, and holds nobody up.
 */
#ifndef ROUTER_TXN_DEADLOCK_H
#define ROUTER_TXN_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct deadlock;
struct router;
struct session;

#define DEADLOCK_STUBBORN_US 1000000u

/* Start the thread. */
struct deadlock *deadlock_new(struct router *r);
/* End it; before the workers are freed. Waits for a server at most some seconds. NULL is fine. */
void deadlock_free(struct deadlock *d);

/* Somebody has waited for longer than deadlock_timeout: look. Any thread; cheap. */
void deadlock_wake(struct deadlock *d);

/* --- the sessions' side (deadlock_session.c); loop thread of the session's worker --- */

/* Is this a session whose wait has become long enough to be looked into? */
bool deadlock_waits_long(const struct session *s, uint64_t now_us);
/*
 * Once in a while: a transaction of several shards that lasts is made known on those where no message of it went out
 * since the second one joined.
 */
void deadlock_announce(struct session *s, uint64_t now_us);
/*
 * The statement of a session that may have been a victim has ended, and the client has been told. If it has failed, its
 * transaction is failed on all shards, so that its locks there are released as PostgreSQL would do.
 */
void deadlock_settle(struct session *s);

#endif
