/*
 * Cancel requests: by the id and key that the client was given at login, on any worker's listener, passed on to the
 * worker that has the session.
 */
#ifndef ROUTER_CANCEL_H
#define ROUTER_CANCEL_H

#include "base/span.h"

#include <stdint.h>

struct session;

/* Unpredictable. */
uint32_t cancel_new_key(void);
/*
 * A CancelRequest came in on the connection `asker`, which is closed when the request has been passed on: the client
 * waits for that, and what it sends afterwards must not be hit. A wrong id or key is ignored, as PostgreSQL does.
 */
void cancel_request(struct session *asker, uint32_t id, struct span key);

#endif
