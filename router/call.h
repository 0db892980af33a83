/*
 * Calling a function on a worker's loop from a control thread, and waiting for it.
 */
#ifndef ROUTER_CALL_H
#define ROUTER_CALL_H

struct router;
struct worker;

/* Run fn(w, arg) on w's loop thread; returns when it has run. Never from a loop thread. */
void router_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg);
/* The same on every worker, one after another. */
void router_call_all(struct router *r, void (*fn)(struct worker *w, void *arg), void *arg);

#endif
