/*
 * Transactions: verbs of the session, and their end. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_TXN_H
#define ROUTER_EXEC_TXN_H

#include "router/exec/exec_int.h"

/* A WARNING for the client. */
void exec_warn(struct exec *x, const char *sqlstate, const char *message);
void exec_session_verb(struct exec *x);
/* COMMIT or ROLLBACK the transaction on all its shards; then exec_txn_ended(). */
void exec_end_txn(struct exec *x, bool commit);
enum exec_action exec_txn_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_txn_done(struct exec *x);
void exec_warn(struct exec *x, const char *sqlstate, const char *message);

#endif
