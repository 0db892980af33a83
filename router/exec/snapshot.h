/*
 * The snapshot of a transaction that has one for all of its statements. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_SNAPSHOT_H
#define ROUTER_EXEC_SNAPSHOT_H

#include "router/exec/exec_int.h"

/*
 * Take the snapshots of all shards if the statement is the first of a transaction that does so. True: nothing to do.
 * False: then(x) follows, or the statement fails.
 */
MUSTCHECK bool exec_snapshot(struct exec *x, void (*then)(struct exec *x));

#endif
