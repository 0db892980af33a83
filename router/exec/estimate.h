/*
 * Sizes of the parts of a gathered statement. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_ESTIMATE_H
#define ROUTER_EXEC_ESTIMATE_H

#include "router/exec/exec_int.h"

/* Ask for the sizes of the gathered statement's tables if nothing is known of them. True: nothing to do. False:
 * exec_gather() follows, or the statement fails. */
MUSTCHECK bool exec_estimate(struct exec *x);
enum exec_action exec_estimate_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_estimate_done(struct exec *x);

#endif
