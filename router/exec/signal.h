/*
 * pg_cancel_backend() and pg_terminate_backend() of sessions of the router. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_SIGNAL_H
#define ROUTER_EXEC_SIGNAL_H

#include "router/exec/exec_int.h"

void exec_signal(struct exec *x);

#endif
