/*
 * Gathered statements: rows of the parts go to one server, which answers. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_GATHER_H
#define ROUTER_EXEC_GATHER_H

#include "router/exec/exec_int.h"

void exec_gather(struct exec *x);
enum exec_action exec_gather_frame(struct exec *x, struct part *p, char type, struct span body);
/* A row that is longer than a read. */
enum exec_action exec_gather_long_row(struct exec *x, uint64_t frame);
/* Is it the gathering server's? Its ReadyForQuery goes to exec_gather_ready(). */
bool exec_gather_is_own(const struct exec *x, const struct part *p);
void exec_gather_shard_lost(struct exec *x);
/* Give the gathering server's connection back. */
void exec_gather_fini(struct exec *x);
void exec_gather_ready(struct exec *x);
void exec_gather_parts_done(struct exec *x);
void exec_gather_own_lost(struct exec *x, struct backend *b);

#endif
