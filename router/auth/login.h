/*
 * The start of a session: the start-up packets (encryption and cancel requests, protocol versions), who the client is,
 * and the wait for what a login needs of the home shard, up to the first ReadyForQuery.
 */
#ifndef ROUTER_AUTH_LOGIN_H
#define ROUTER_AUTH_LOGIN_H

#include <stddef.h>

struct session;

/* Input of a session in SESSION_STARTUP; returns how many bytes were consumed. */
size_t login_feed(struct session *s, const char *data, size_t len);
/* The client has proved who it is. */
void login_proved(struct session *s);
/* What a session in SESSION_LOGIN waited for (the pool set, the catalog, its settings) is there. */
void login_continue(struct session *s);

#endif
