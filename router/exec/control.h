/*
 * SELECT pgbraid.function(...). For router/exec/ only.
 */
#ifndef ROUTER_EXEC_CONTROL_H
#define ROUTER_EXEC_CONTROL_H

#include "router/exec/exec_int.h"

void control_abandon(struct exec *x);
void exec_control(struct exec *x);
/* Describe of a statement that the router itself answers; false: a server must. */
bool exec_describe_local(struct exec *x, struct prepared *p);

#endif
