/*
 * What a session listens to. LISTEN and UNLISTEN are noted, and count when their transaction commits; the connection
 * that hears of the channels is the hub's (router/server/notify.h), which all sessions share.
 *
 * Before a commit that makes it listen, the hub's connection must listen (channels_prepare, then hub_wait): who is told
 * that its LISTEN is done misses nothing that is committed afterwards, its own notifications included. What comes for
 * the session waits (session.notices) until it is between two transactions, and is told if it listens by then.
 *
 * The process id in a notification is that of a server connection, which the client does not know. Of its own ones it
 * has to know that they are: they come between two fences, one before and one after the commit, while it holds the
 * connection, and bear the number that the client got at login.
 */
#ifndef ROUTER_SESSION_CHANNELS_H
#define ROUTER_SESSION_CHANNELS_H

#include "base/bug.h"
#include "base/err.h"
#include "base/list.h"
#include "base/span.h"
#include "base/strbuf.h"
#include "router/server/notify.h"

#include <stdbool.h>
#include <stdint.h>

struct plan;
struct session;

struct channels {
    struct session *s;  /* borrowed */
    struct hub *hub;    /* borrowed */
    struct list in_hub; /* hub.sessions */
    struct list subs;   /* subscription.own */
    uint32_t non;       /* of them: on */
    struct said *said;  /* LISTEN and UNLISTEN of the transaction, in order; owned */
    uint32_t nsaid, cap;
    bool may_notify; /* the transaction may have notified somebody */
    bool fenced;     /* what came before its commit has been heard */
    struct hub_wait wait;
};

/* LISTEN, or UNLISTEN (name NULL: of all): when the transaction commits. */
void channels_say(struct session *s, bool listen, const char *name);
/* How much the transaction has said; forget what came after that. */
uint32_t channels_said(const struct session *s);
void channels_unsay(struct session *s, uint32_t n);
/* Have the hub listen to what the transaction's commit makes the session listen to. */
void channels_prepare(struct channels *c);
/* The transaction, or the statement, is over. */
void channels_end(struct session *s, bool committed);
/* Listens to nothing any more, at once. */
void channels_drop(struct session *s);

/* May the statement notify somebody? */
bool channels_plan_notifies(const struct plan *p);

/* A notification of a channel in subs. May close the session. */
void channels_tell(struct channels *c, uint32_t pid, struct span channel, struct span payload);
/* Notifications may have been lost: a session that listens ends. `node`: in_hub. */
void channels_lost(struct list *node, const struct err *e);
/* What has waited (session.notices) and is listened to, appended to `out`, which is sent before ReadyForQuery; or sent
 * now. */
void channels_put(struct session *s, struct strbuf *out);
void channels_send(struct session *s);

#endif
