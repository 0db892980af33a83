/*
 * Pinned connections: a session keeps its connection to a shard after the transaction as long as something lives on it
 * that belongs to the session: advisory locks, cursors WITH HOLD. How many connections of a pool may be kept in this
 * way is bounded (max_pinned_connections).
 *
 * What the router cannot see (which lock was given back) it asks: after a statement that may have ended the need, and
 * outside of transactions, one query tells whether locks are left. When none is, the connection is reset and goes back
 * to its pool.
 */
#ifndef ROUTER_SERVER_PIN_H
#define ROUTER_SERVER_PIN_H

#include "base/bug.h"
#include "base/err.h"
#include "planner/plan.h"

#include <stdbool.h>

struct backend;
struct session;

/* Keep the connection for plan->pins, if that many may be kept. False with the error. Before the statement is sent. */
MUSTCHECK bool pin_take(struct backend *b, const struct plan *plan, struct err *e);
/* One reason less; outside of transactions the connection goes back by itself (session_end_transaction). */
void pin_drop(struct backend *b, unsigned why);
/* The transaction (or statement) is over: the connection goes back to its pool, unless the session keeps it, or will,
 * once it has said what is left on it. */
void pin_give_back(struct backend *b);
/* The connection goes back or is closed: it counts no more. True: it has to be reset. */
bool pin_forget(struct backend *b);

#endif
