/*
 * The transaction's time, for statements that read it on several shards. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_CLOCK_H
#define ROUTER_EXEC_CLOCK_H

#include "router/exec/exec_int.h"

/*
 * Give the statement the transaction's time if it reads the clock on several shards, or on another one than before.
 * routed: x->route holds; else the plan was refused. True: nothing to do, or nothing can be done. False: then(x)
 * follows with another text and plan, or the statement fails.
 */
MUSTCHECK bool exec_clock(struct exec *x, bool routed, void (*then)(struct exec *x));
enum exec_action exec_clock_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_clock_done(struct exec *x);

#endif
