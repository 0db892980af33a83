/*
 * What the parts of a statement answer, and what the client hears of it. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_ANSWER_H
#define ROUTER_EXEC_ANSWER_H

#include "router/exec/exec_int.h"

#define EXEC_ROW_MAX (64u << 20) /* bytes of a row that has to be in memory whole */

/* Characters of the Query string before the running statement: error positions are shifted by as many. */
int exec_characters_before(struct exec *x);
/* A part will say nothing more for this statement. */
void exec_part_ready(struct exec *x, struct part *p);
/* An ErrorResponse: the others work for nothing now. */
void exec_note_error(struct exec *x, struct part *p, struct span body);
/* The parts that still run, but for one (may be NULL), work for nothing now. */
void exec_cancel_parts(struct exec *x, const struct part *except);
/* A row that is longer than a read has to be in memory whole, for this purpose: is it too long for that? */
enum exec_action exec_whole_row(struct exec *x, uint64_t frame, const char *purpose);
/* RowDescription and what comes before it, once. */
void exec_send_row_desc(struct exec *x);
void exec_emit_error(struct exec *x);
void exec_put_tag(struct exec *x);
void exec_statement_done(struct exec *x);
void exec_own_txn_done(struct exec *x, bool committed);
/* CopyOutResponse, once. */
void exec_copy_out_begin(struct exec *x);

#endif
