/*
 * Finishing distributed transactions that nobody finishes any more: their router died, a shard was down, a connection
 * was lost.
 *
 * A thread looks at the prepared transactions of every shard: at start, when a commit has left something, and now and
 * then. For one that no session of this process is committing, the decider's row says what to do; if there is none, an
 * abort row is inserted under the same key, so that a decider which is merely slow can no longer commit. Rows go only
 * after a long retention, when nothing names them any more (rules X1, X2).
 */
#ifndef ROUTER_RECOVERY_H
#define ROUTER_RECOVERY_H

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
/* Ends the thread at its next wait. NULL is fine. */
void recovery_free(struct recovery *v);

#endif
