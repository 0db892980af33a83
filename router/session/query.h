/*
 * The short way: statements that run on one shard as the client sent them. What does not is handed to exec.
 */
#ifndef ROUTER_SESSION_QUERY_H
#define ROUTER_SESSION_QUERY_H

#include "base/err.h"
#include "base/span.h"
#include "planner/plan.h"

#include <stddef.h>
#include <stdint.h>

struct backend;
struct session;
struct strbuf;

/* A whole Query message; returns the bytes consumed, 0 when the session has to wait and the message must be kept. */
size_t query_simple(struct session *s, const char *data, size_t frame);
/* A whole FunctionCall message (protocol chapter 55.2.6): those for large objects run on the home shard; the same. */
size_t query_function_call(struct session *s, const char *data, size_t frame);
/* Extended-protocol messages from the first unhandled one on; the same. */
size_t query_extended(struct session *s, const char *data, size_t len);

/* Bytes of the batch at the head of the input, Sync included; 0 while the Sync is not there. */
size_t query_batch_length(struct session *s, const char *data, size_t len);

/* The statement at the head of the kept input cannot run: answer the error and consume it. */
void query_refused(struct session *s, const struct err *e);
/* The connection of the running statement was lost. */
void query_lost(struct session *s, const struct err *e, bool in_txn);

/* After a batch with Parse messages: forget what was not prepared. */
void query_parses_done(struct session *s, struct backend *b);
/* COMMIT, ROLLBACK or ROLLBACK TO: what a failed transaction still takes. */
bool query_ends_transaction(const struct plan *plan);
/* RowDescription or NoData of the statement that the batch describes by name (rule P13). */
void query_note_shape(struct session *s, char type, struct span body);
void query_forget_parses(struct session *s);

/* A lease on the shard, or NULL: the session waits and its input must be kept. */
struct backend *query_lease(struct session *s, uint32_t shard);
/* The session now runs a statement the short way on `b`; takes the plan's reference (NULL: none). */
void query_start(struct session *s, struct backend *b, struct plan *plan, bool extended);
/* ErrorResponse and ReadyForQuery. */
void query_fail(struct session *s, const struct err *e);

/* "current transaction is aborted ..." */
void query_failed_transaction(struct err *e);
/* True if the session may not start this statement (NULL: several, not all looked at) now because its database is held;
 * the session is queued then. */
bool query_hold(struct session *s, const struct plan *plan);
/*
 * The message at the head of the input commits on this shard. True if it may not be sent now, because a scattered read
 * takes its snapshots (rule X20): the session is HELD, its input kept.
 */
bool query_hold_commit(struct session *s, uint32_t shard_id);
/* Index of the shard for a route with `any`: one that is held, else the session's own choice. */
uint32_t query_any_shard(const struct session *s);

#endif
