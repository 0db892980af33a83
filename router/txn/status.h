/*
 * pgbraid.transaction_status(gtid): what has become of a distributed transaction, as txid_status() tells, on any
 * router.
 *
 *   a commit's valid row on some shard                              committed
 *   a session of this router has it, or it is open, or a part of
 *   it prepared, on some shard                                      in progress
 *   nothing anywhere                                                it is forbidden on every shard: aborted, for good
 *   older than decision_retention, or than a table of decisions     unknown
 *
 * "aborted" is true by construction: the abort rows keep a commit that is still under way somewhere from happening.
 */
#ifndef ROUTER_TXN_STATUS_H
#define ROUTER_TXN_STATUS_H

#include "base/bug.h"
#include "base/err.h"

struct router;

/* On a control thread. *status: "committed", "aborted", "in progress", or NULL for unknown. False: it cannot be told
 * now. */
MUSTCHECK bool txn_status_blocking(struct router *r, const char *gtid, const char **status, struct err *e);

#endif
