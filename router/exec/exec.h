/*
 * The long way: statements over several shards, strings and pipelines of several statements, settings, transaction
 * control over several shards, COPY, DDL and calls of pgbraid's own functions.
 *
 * An exec is a list of steps made from one Query message or one run of extended-protocol messages, copied, so that the
 * input is consumed at once. Steps run one after another; a step that waits for servers returns to the loop and goes on
 * in exec_frame() or exec_resume().
 *
 * A statement has one part per shard. Invariants: (1) the session is RUNNING (or WAITING for a lease) as long as it has
 * an exec; (2) every part's connection has an EXPECT_EXEC while the part is not ready, and the statement ends when all
 * parts are ready, whatever failed; (3) the client sees one RowDescription, rows only after all parts have described
 * equal rows (rule P31), one CommandComplete, and that only after the distributed commit when the statement commits by
 * itself; (4) after an error nothing else of the statement reaches the client.
 */
#ifndef ROUTER_EXEC_EXEC_H
#define ROUTER_EXEC_EXEC_H

#include "base/err.h"
#include "base/span.h"
#include "planner/plan.h"

#include <stdbool.h>
#include <stddef.h>

struct backend;
struct exec;
struct session;

/* Start with the session READY. One planned statement of a Query message; takes the plan's reference. */
void exec_start_statement(struct session *s, struct plan *plan, struct span sql);
/* A Query message with several statements. */
void exec_start_string(struct session *s, struct span sql);
/* Extended-protocol messages, whole ones; with or without a Sync at the end. */
void exec_start_batch(struct session *s, struct span messages);

/* What is left of a portal that is fetched in pieces. */
struct pieces;
void pieces_free(struct pieces *p); /* NULL is fine */

enum exec_action { EXEC_SWALLOW, EXEC_RELAY, EXEC_WAIT };

/* Rows of a part's server at the front of `frames` that are taken at once; how many bytes, 0: exec_frame() for each. */
size_t exec_rows(struct exec *x, struct backend *b, struct span frames);
/* A frame of a part's server; body is behind its five header bytes in memory. */
enum exec_action exec_frame(struct exec *x, struct backend *b, char type, struct span body);
/*
 * A bulk frame of `size` bytes is too large for one read: relay it in pieces, its header first, or drop it, or keep it
 * until it is complete (EXEC_WAIT).
 */
enum exec_action exec_chunk_begin(struct exec *x, struct backend *b, uint64_t size);
void exec_chunk_end(struct exec *x, struct backend *b);

/* Is a two-phase commit running? It has a timeout of its own (commit_timeout). */
bool exec_in_two_phase(const struct exec *x);
/* Its step's name; NULL: none runs. */
const char *exec_commit_phase(const struct exec *x);
/* When its present step began, in the loop's time. */
uint64_t exec_commit_since(const struct exec *x);
/* commit_timeout has passed: who has not answered counts as lost. */
void exec_commit_expired(struct exec *x);
/* The server that rows are gathered on can take more. */
void exec_gather_drained(struct exec *x);
/* So can the client. */
void exec_merge_drained(struct exec *x);

/* COPY data from the client. */
bool exec_wants_input(const struct exec *x);
size_t exec_input(struct exec *x, const char *data, size_t len);

/* Cancel requests have been dealt with: what waits for session_quarantined() may look again. */
void exec_quiet(struct exec *x);
/* A lease could not be had. */
void exec_refused(struct exec *x, const struct err *e);
void exec_backend_lost(struct exec *x, struct backend *b, const struct err *e);
void exec_cancel(struct exec *x);
/* Is a transaction being ended on several shards? To cancel that could only tear it. */
bool exec_is_committing(const struct exec *x);
/* The client went away: free it, leases are dealt with by the session. */
void exec_abandon(struct exec *x);

#endif
