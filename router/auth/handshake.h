/*
 * TLS with a client: the answer to an SSLRequest, or a ClientHello that came unasked (direct TLS, PostgreSQL 17's
 * clients). Each step of the handshake is computed on a helper thread, since a signature takes up to milliseconds; the
 * loop only waits for the client's next bytes. A handshake that takes too long is ended with the login
 * (client_login_timeout). All functions: the worker's loop thread.
 */
#ifndef ROUTER_AUTH_HANDSHAKE_H
#define ROUTER_AUTH_HANDSHAKE_H

#include "base/span.h"

#include <stdbool.h>

struct session;

/* Begin; all bytes that the stream has shown so far must have been consumed, but `early`, which are the client's first
 * of the handshake (empty: it was asked). The worker has a TLS context. */
void handshake_start(struct session *s, struct span early);
/* The client has sent something. */
void handshake_readable(struct session *s);
/* The session closes. */
void handshake_drop(struct session *s);

#endif
