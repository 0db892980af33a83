/*
 * Routing hints. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_HINT_H
#define ROUTER_EXEC_HINT_H

#include "router/exec/exec_int.h"

/* The route as the statement's hint wants it; false: they contradict each other. */
MUSTCHECK bool exec_hint(struct exec *x, struct err *e);
/* May it go to several shards (pgbraid.allow_scatter)? */
MUSTCHECK bool exec_check_scatter(const struct exec *x, struct err *e);

#endif
