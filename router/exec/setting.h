/*
 * SET, RESET, SHOW, set_config(). For router/exec/ only.
 */
#ifndef ROUTER_EXEC_SETTING_H
#define ROUTER_EXEC_SETTING_H

#include "router/exec/exec_int.h"

void exec_setting(struct exec *x);
enum exec_action exec_setting_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_setting_done(struct exec *x);
/* Run the text on the home shard, beside the transaction that is on no shard yet (or without one). */
void exec_aside(struct exec *x);
/* That is done: its connection goes back, rolled back. */
void exec_aside_end(struct exec *x);

#endif
