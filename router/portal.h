/*
 * Portals of a session's transaction that outlive the batch that bound them: which pool's lease they live on.
 */
#ifndef ROUTER_PORTAL_H
#define ROUTER_PORTAL_H

#include "base/hmap.h"
#include "base/span.h"

struct pool;
struct session;

/* Remember (or replace) a portal; the unnamed one has an empty name. */
void portal_put(struct session *s, struct span name, struct pool *pool);
/* Where it lives, or NULL. */
struct pool *portal_find(const struct session *s, struct span name);
void portal_drop(struct session *s, struct span name);
void portal_drop_all(struct session *s);

#endif
