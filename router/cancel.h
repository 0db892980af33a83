/*
 * Cancel requests: by the id and key that the client was given at login, on any worker's listener, passed on to the
 * worker that has the session.
 */
#ifndef ROUTER_CANCEL_H
#define ROUTER_CANCEL_H

#include "base/span.h"

#include <stdint.h>

struct worker;

/* Unpredictable. */
uint32_t cancel_new_key(void);
/* A CancelRequest came in; a wrong id or key is ignored, as PostgreSQL does. */
void cancel_request(struct worker *w, uint32_t id, struct span key);

#endif
