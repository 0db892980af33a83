/*
 * Views in a statement that a shard cannot be sent as it is. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_VIEW_H
#define ROUTER_EXEC_VIEW_H

#include "router/exec/exec_int.h"

/* The running statement becomes the one with its views expanded; false: it has failed. */
MUSTCHECK bool exec_expand_views(struct exec *x);

#endif
