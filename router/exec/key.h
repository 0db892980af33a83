/*
 * SET pgbraid.idempotency_key. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_KEY_H
#define ROUTER_EXEC_KEY_H

#include "router/exec/exec_int.h"

/* SET pgbraid.idempotency_key. */
void exec_key(struct exec *x, const char *key);
enum exec_action exec_key_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_key_done(struct exec *x);

#endif
