/*
 * RETURNING of an INSERT that is split by shard. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_RETURNING_H
#define ROUTER_EXEC_RETURNING_H

#include "router/exec/exec_int.h"

/* Are the statement's rows those of a split INSERT? Then each goes to exec_returning_row(), and all are told in the
 * order of VALUES at its end, when x->failed may be set. */
bool exec_returns_split(const struct exec *x);
enum exec_action exec_returning_row(struct exec *x, const struct part *p, struct span body);
void exec_returning_done(struct exec *x);
void exec_returning_fini(struct exec *x);

#endif
