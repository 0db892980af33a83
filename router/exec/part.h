/*
 * The parts of a statement: their leases, and what is sent to them. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_PART_H
#define ROUTER_EXEC_PART_H

#include "router/exec/exec_int.h"

/* Send what may be sent now: all parts, or the next one. */
void exec_start_parts(struct exec *x);
/* Parse (if need be) and Bind of a part, in the extended protocol. */
MUSTCHECK bool exec_put_bind(struct exec *x, struct part *p, struct strbuf *out, struct err *e);
/*
 * Bind of a statement that has some of the client's parameters, by the map, and others of our own, in binary, before
 * and behind those. What follows are the values in that order (exec_put_values() puts the client's), the result formats
 * (exec_end_bind(): the client's), and the end of the message that began at the returned offset.
 */
size_t exec_begin_bind(const struct exec *x, struct span portal, const uint16_t *map, uint32_t n, uint32_t before,
                       uint32_t behind, struct strbuf *out);
void exec_put_values(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
void exec_end_bind(const struct exec *x, size_t at, struct strbuf *out);
/* The same, whole, with the client's portal and result formats. */
void exec_put_bind_some(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
/* The types of these parameters, as Parse said them. */
void exec_put_types(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
/* What is sent to a shard as the statement's text. */
struct span exec_text(struct exec *x);
/* A split INSERT: each part has rows of its own. */
bool exec_split(const struct exec *x);
/* Single messages for a portal or statement that lives elsewhere than in the running group. */
void exec_run_portal(struct exec *x, struct backend *b, struct span name, bool execute, uint32_t max_rows);
void exec_close_portal(struct exec *x, struct backend *b, struct span name);
void exec_describe_statement(struct exec *x, struct prepared *p);
void exec_stop_acquiring(struct exec *x);
/* What is in the worker's `out`, to the part's shard. */
void exec_write(struct exec *x, struct part *p);
/* Write the first messages to a part: prefix, then `sql` as a simple Query (or what `raw` holds). */
void exec_send_query(struct exec *x, struct part *p, struct span sql);
/* Run plan/text (and bind) on the shards of `route`. */
void exec_run(struct exec *x);
void exec_acquire(struct exec *x);
void exec_reset_statement(struct exec *x);
bool exec_make_parts(struct exec *x, const struct shardset *set, bool any);
void exec_parts_of_leases(struct exec *x);
/* A simple query with parameters, which have no values: it goes to the home shard alone, whose error it is. */
bool exec_lacks_values(struct exec *x);

#endif
