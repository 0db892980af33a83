/*
 * SQL cursors. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_CURSOR_H
#define ROUTER_EXEC_CURSOR_H

#include "router/exec/exec_int.h"

void exec_declare(struct exec *x);
void exec_fetch(struct exec *x);
void exec_close_cursor(struct exec *x);
bool exec_is_fetch(const struct plan *plan);
bool exec_is_declare(const struct plan *plan);
/* A FETCH of what is left, for the next shard. */
void exec_fetch_text(struct exec *x);
bool exec_fetch_is_done(const struct exec *x);
/* The connection with the cursor that a FETCH is about; NULL: there is none. */
struct backend *exec_fetch_backend(const struct session *s, const struct plan *plan);
/* Cursors have gone: give back what was kept for them. */
void exec_cursor_tidy(struct session *s);

#endif
