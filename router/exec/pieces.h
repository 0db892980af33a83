/*
 * Portals over several shards that are fetched in pieces. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_PIECES_H
#define ROUTER_EXEC_PIECES_H

#include "router/exec/exec_int.h"

/* How the limit of the portal's Execute is kept, when it runs on several shards. False: not for this statement. */
MUSTCHECK bool exec_pieces_plan(struct exec *x, bool gather, struct err *e);
/* The name of the running portal on the shards; the limit of their Execute. */
struct span exec_portal_there(const struct exec *x);
uint32_t exec_limit_there(const struct exec *x);
/* A row comes when max_rows have gone: kept or dropped. */
enum exec_action exec_row_beyond(struct exec *x, struct span body);
/* All parts are bound: the first piece. */
void exec_pieces_begin(struct exec *x);
/* Execute of a portal that is fetched in pieces; false: it is none. */
bool exec_pieces_execute(struct exec *x, struct span name, uint32_t max_rows);
/* A part has sent its piece, or failed. */
void exec_pieces_ready(struct exec *x, struct part *p);
void exec_pieces_ended(struct exec *x, const struct part *p);
/* The statement has succeeded: what it leaves for the portal's next Execute. */
void exec_pieces_done(struct exec *x);
/* Close of such a portal; false: it is none. */
bool exec_pieces_close(struct exec *x, struct span name);

#endif
