/*
 * Commits pass the gate. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_PASS_H
#define ROUTER_EXEC_PASS_H

#include "router/exec/exec_int.h"

/* The session's transaction is about to commit on the shards (ids) that it wrote on. False: then(x) is called when it
 * may. */
MUSTCHECK bool exec_gate_commit(struct exec *x, const uint32_t *shards, uint32_t n, void (*then)(struct exec *x));
/* The same for a statement that commits by itself on the shard of its only part. */
MUSTCHECK bool exec_gate_hold(struct exec *x, void (*then)(struct exec *x));
/* It has, or has not; in_doubt: the name of one that is not known to be finished everywhere, else NULL. */
void exec_gate_committed(struct exec *x, const char *in_doubt);

#endif
