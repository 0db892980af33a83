/*
 * Notifications. Channels are on the home shard. No session keeps a connection to hear of them: each set of pools
 * (worker, database, login role) has one connection, the hub's, that listens to all channels that any of its sessions
 * listens to, and tells each session what concerns it (router/session/channels.h). It is opened with the first LISTEN,
 * and counts in no pool_size.
 *
 *   hub_subscribe, hub_unsubscribe    LISTEN and UNLISTEN are collected ...
 *   hub_flush                         ... and sent at the end of the loop's turn, when the last ones are answered
 *   hub_wait                          told of the first answer to what is sent from now on
 *
 * Invariants: (1) a channel is in the hub's map if and only if the server listens to it once what is collected has been
 * answered; (2) what was committed before a message was sent to the hub's connection comes before the answer to it:
 * PostgreSQL signals listeners before it acknowledges a commit, and tells of what they have before ReadyForQuery. So an
 * answer is a fence.
 *
 * A connection that is lost, or does not answer, may have lost notifications: the sessions that listened end (57P01),
 * as PostgreSQL would end them. Loop thread.
 */
#ifndef ROUTER_SERVER_NOTIFY_H
#define ROUTER_SERVER_NOTIFY_H

#include "base/err.h"
#include "base/list.h"
#include "base/span.h"

#include <stdint.h>

struct backend;
struct channels;
struct hub;
struct hub_channel;
struct map_shard;
struct pool;
struct poolset;

/* A session's interest in a channel. */
struct subscription {
    struct list node;          /* the channel's */
    struct list own;           /* the session's, in the order of its LISTENs */
    struct hub_channel *to;    /* borrowed; NULL: none */
    struct channels *channels; /* whose it is */
    bool on;                   /* its LISTEN has been committed */
};

/* Somebody waits for an answer. */
struct hub_wait {
    struct list node;
    void (*fn)(struct hub_wait *w, const struct err *e); /* e: NULL, or why there is none */
};

/* The set's hub, made when new. Never NULL; lives as long as the set. */
struct hub *hub_get(struct poolset *ps);
/* A session that listens, or is about to: it is ended if notifications are lost. Its node is removed by the session. */
void hub_enter(struct hub *h, struct list *node);

void hub_subscribe(struct hub *h, struct subscription *sub, const char *channel);
void hub_unsubscribe(struct hub *h, struct subscription *sub);
const char *hub_channel_name(const struct subscription *sub);
/* fn hears once, from the loop, unless the wait is removed before. */
void hub_wait(struct hub *h, struct hub_wait *w, void (*fn)(struct hub_wait *w, const struct err *e));

/* For the hub's connection: a notification came; it was lost. */
void hub_heard(struct hub *h, struct span body);
void hub_lost(struct hub *h, const struct err *e);
/* For the set. The home shard is this one now; a tick; the end. h may be NULL. */
void hub_follow(struct hub *h, const struct map_shard *home);
void hub_tick(struct hub *h, uint64_t now_us);
void hub_free(struct hub *h);
/* The pool that its connection counts in; NULL: there is no hub. */
const struct pool *hub_pool(const struct hub *h);

#endif
