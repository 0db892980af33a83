/*
 * One thread's event loop (libevent's raw events; no bufferevents: they cost 30% more CPU, see docs/design). Everything
 * here belongs to the loop's thread except loop_post().
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/bug.h"
#include "base/err.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOOP_SCRATCH_CAP (64u * 1024u)

struct loop;
struct event_base;

/* A message to a loop: embedded in the sender's struct; ownership passes to fn on the loop's thread. */
struct loop_message {
    struct list node;
    void (*fn)(struct loop_message *m);
};

struct loop *loop_new(void);
/* After loop_run has returned, on the same thread or after joining it. Pending messages are run first. */
void loop_free(struct loop *l);
/* Runs until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Queue a message; may be called from any thread; wakes the loop once (eventfd). */
void loop_post(struct loop *l, struct loop_message *m);

/* Run what has been posted and deferred: at the end, when no thread runs the loop any more. */
void loop_drain(struct loop *l);

/* Run fn(arg) at the end of this loop turn: where objects are freed (nothing is freed under a callback's feet). */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);

/* 64 KiB that a read callback may fill; shared by all streams of the loop, valid until the callback returns. */
char *loop_scratch(struct loop *l);
/* Microseconds, monotonic, read once per loop turn at most. */
uint64_t loop_now_us(struct loop *l);
struct event_base *loop_base(struct loop *l); /* for the modules of lib/net only */

/* Timers: a millisecond count from now; fires once. Zero-initialised is valid and stopped. */
struct loop_timer {
    struct event *event; /* owned */
    void (*fn)(struct loop_timer *t);
};
void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(struct loop_timer *t));
void loop_timer_start(struct loop_timer *t, uint64_t after_ms); /* restarts when running */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_fini(struct loop_timer *t);

#endif
