/*
 * LISTEN, UNLISTEN, NOTIFY. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_LISTEN_H
#define ROUTER_EXEC_LISTEN_H

#include "router/exec/exec_int.h"

void exec_listen(struct exec *x);
void exec_channels(struct exec *x);
/* The running statement has its parts: what it does when it has their leases (x->acquired). */
void exec_hear_statement(struct exec *x);
/* Before the transaction of a session that listens commits, and after that. False: then(x) is called when it may go
 * on. */
MUSTCHECK bool exec_hear_before(struct exec *x, void (*then)(struct exec *x));
MUSTCHECK bool exec_hear_after(struct exec *x, void (*then)(struct exec *x));

#endif
