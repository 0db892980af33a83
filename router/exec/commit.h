/*
 * Two-phase commit. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_COMMIT_H
#define ROUTER_EXEC_COMMIT_H

#include "router/exec/exec_int.h"

/* Commit the transaction of several writers in two phases; then exec_txn_done(). */
void exec_commit(struct exec *x);
enum exec_action exec_commit_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_commit_ready(struct exec *x, struct part *p);
void exec_commit_lost(struct exec *x, struct backend *b, const struct err *cause);
void exec_commit_fini(struct exec *x);

#endif
