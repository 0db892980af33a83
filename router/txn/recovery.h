/*
 * Finishing distributed transactions that nobody finishes any more: their router died, a shard was down, a connection
 * was lost.
 *
 * A thread looks at the prepared transactions of every shard: at start, when a commit has left something, and every few
 * seconds. For one that nobody is committing (no session of this process, no open transaction on the decider, which any
 * router can see by its lock) the decider's row says what to do; if there is none, an abort row is inserted under the
 * same key, so that a decider which is merely slow can no longer commit. So any number of routers may do this at once,
 * and while others commit: they agree by that row.
 *
 * What it does not do: presume. Where the truth may have been lost (an unknown decider, a gid older than
 * decision_retention or than the table of decisions) it raises an alarm and leaves the transaction for RESOLVE
 * TRANSACTION (rules X1, X2). Rows go after the retention, when every participant has been seen to be done and its
 * standbys, too.
 */
#ifndef ROUTER_TXN_RECOVERY_H
#define ROUTER_TXN_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

struct recovery;
struct router;

/* Start the thread; the router's directory and gtids must be there. */
struct recovery *recovery_new(struct router *r);
/* Look now. Any thread. */
void recovery_kick(struct recovery *v);

/* A shard that cannot prepare transactions (max_prepared_transactions = 0), as last seen. Any thread. */
void recovery_note_unprepared(struct recovery *v, uint32_t shard, bool unprepared);
bool recovery_is_unprepared(const struct recovery *v, uint32_t shard);

/* What it has done since the start, and found when it looked last. Any thread. */
struct recovery_stats {
    uint64_t looks, committed, aborted, forgotten; /* transactions' parts finished, rows removed */
    uint64_t waiting;                              /* abandoned, but a shard cannot be asked now */
    uint64_t alarmed;                              /* for RESOLVE TRANSACTION */
    uint64_t foreign;                              /* prepared by somebody else, too long ago: hold vacuum back */
    uint64_t unseen;                               /* shards that could not be looked at */
    uint64_t oldest_s;                             /* age of the oldest prepared transaction, whoever's */
};
void recovery_get_stats(struct recovery *v, struct recovery_stats *out);

/* Ends the thread at its next wait. NULL is fine. */
void recovery_free(struct recovery *v);

#endif
