/*
 * COPY. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_COPY_H
#define ROUTER_EXEC_COPY_H

#include "router/exec/exec_int.h"

bool exec_is_copy(const struct exec *x);
bool exec_is_copy_out(const struct exec *x);
enum exec_action exec_copy_response(struct exec *x, struct part *p, char type, struct span body);
enum exec_action exec_copy_out(struct exec *x, struct part *p, struct span body);
/* A frame that is longer than a read. */
enum exec_action exec_copy_long_frame(struct exec *x, struct part *p, uint64_t frame);
/* All parts of a COPY TO are done: trailer and CopyDone. */
void exec_copy_out_end(struct exec *x);
/* COPY FROM STDIN: a part failed with this ErrorResponse, or was lost; the others are told that no data comes. */
void exec_copy_error(struct exec *x, struct part *p, struct span body);
void exec_copy_failed(struct exec *x);
void exec_copy_fini(struct exec *x);

#endif
