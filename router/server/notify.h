/*
 * Notifications: who listens keeps its connection to the home shard, where all channels are (router/server/pin.h), and
 * what the server says there is told to the client as PostgreSQL would: between transactions, in order.
 */
#ifndef ROUTER_SERVER_NOTIFY_H
#define ROUTER_SERVER_NOTIFY_H

#include "base/span.h"
#include "base/strbuf.h"

struct backend;
struct session;

/* A NotificationResponse came on the session's connection: told now, or when the client's transaction is over. */
void notify_take(struct session *s, struct backend *b, struct span body);
/* Those that have waited: appended to `out`, which is sent before ReadyForQuery; or sent now. */
void notify_put(struct session *s, struct strbuf *out);
void notify_send(struct session *s);

#endif
