/*
 * EXPLAIN of what runs on several shards. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_EXPLAIN_H
#define ROUTER_EXEC_EXPLAIN_H

#include "router/exec/exec_int.h"

/* EXPLAIN of what runs on several shards. */
void exec_explain(struct exec *x, bool gather);
/* The messages for a shard, without Sync. */
void exec_explain_put(struct exec *x, struct part *p, struct strbuf *out);
enum exec_action exec_explain_row(struct exec *x, struct part *p, struct span body);
enum exec_action exec_explain_long_row(struct exec *x, uint64_t frame);
/* A shard has explained one part. */
void exec_explain_ended(struct exec *x, const struct part *p);
/* Every shard has: rows for the client. */
void exec_explain_done(struct exec *x);
void exec_explain_fini(struct exec *x);
/* The rows that a plan in EXPLAIN's JSON expects; -1: it does not say. */
double exec_explain_rows(struct span said);

#endif
