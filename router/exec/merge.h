/*
 * Rows of several shards, merged by the router. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_MERGE_H
#define ROUTER_EXEC_MERGE_H

#include "router/exec/exec_int.h"

/* The statement's rows are to be merged; false: they cannot be, this time. */
MUSTCHECK bool exec_merge_begin(struct exec *x);
/* Parse and Bind of a part, and Describe unless it has described its rows. */
void exec_merge_bind(struct exec *x, const struct part *p, struct strbuf *out);
/* The first RowDescription tells how keys are compared; the statement fails if they cannot be. */
void exec_merge_described(struct exec *x, struct span row_desc);
/* It without the keys; in the arena. */
struct span exec_merge_own_columns(struct exec *x, struct span row_desc);
enum exec_action exec_merge_row(struct exec *x, struct part *p, struct span body);
/* The rows at the front of `frames`, as many as there is room for; how many bytes, 0: they go one by one. */
size_t exec_merge_rows(struct exec *x, struct part *p, struct span frames);
/* A row that is longer than a read. */
enum exec_action exec_merge_long_row(struct exec *x, uint64_t frame);
void exec_merge_ended(struct exec *x, const struct part *p);
/* All parts have ended well: what is left. */
void exec_merge_done(struct exec *x);
/* For a portal that is fetched in pieces: rows wait for exec_merge_piece(), which sends up to n. False: it needs more
 * rows of the parts for which exec_merge_needs() is true. */
bool exec_merge_piece(struct exec *x, uint64_t *n);
bool exec_merge_needs(const struct exec *x, uint32_t part);
/* Rows that are enough of each shard for n more. */
uint64_t exec_merge_wants(const struct exec *x, uint64_t n);
/* Of no shard many bytes wait. */
bool exec_merge_is_small(const struct exec *x);
/* No more than n rows are wanted at all. */
void exec_merge_limit(struct exec *x, uint32_t n);
/* The merge outlives the statement: the caller's, and back. */
struct exec_merge *exec_merge_take(struct exec *x);
void exec_merge_give(struct exec *x, struct exec_merge *m);
void exec_merge_free(struct exec_merge *m); /* NULL is fine */
void exec_merge_fini(struct exec *x);

#endif
