#include "net/loop.h"

#include "base/clock.h"
#include "base/mem.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct deferred {
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event *wake; /* eventfd readable */
    int wake_fd;
    bool stop;
    uint64_t now_us;           /* 0: not read in this turn */
    struct deferred *deferred; /* run at the end of the turn */
    size_t ndeferred, deferred_cap;
    pthread_mutex_t lock; /* messages, woken */
    struct list messages;
    bool woken;
    char scratch[LOOP_SCRATCH_CAP];
};

static void loop_run_messages(struct loop *l)
{
    struct list batch;

    list_init(&batch);
    pthread_mutex_lock(&l->lock);
    while (!list_empty(&l->messages)) {
        struct list *node = list_first(&l->messages);

        list_remove(node);
        list_push_back(&batch, node);
    }
    l->woken = false;
    pthread_mutex_unlock(&l->lock);
    while (!list_empty(&batch)) {
        struct loop_message *m = LIST_ENTRY(list_first(&batch), struct loop_message, node);

        list_remove(&m->node);
        m->fn(m);
    }
}

static void loop_woken(evutil_socket_t fd, short what, void *arg)
{
    uint64_t count;

    (void)what;
    if (read(fd, &count, sizeof(count)) < 0)
        return; /* nothing to read: somebody was faster */
    loop_run_messages(arg);
}

static void loop_run_deferred(struct loop *l)
{
    /* What is deferred meanwhile runs too: an object is freed only when nobody refers to it any more. */
    for (size_t i = 0; i < l->ndeferred; i++) {
        struct deferred d = l->deferred[i];

        d.fn(d.arg);
    }
    l->ndeferred = 0;
}

struct loop *loop_new(void)
{
    struct loop *l = mem_zalloc(sizeof(*l));
    struct event_config *config = event_config_new();

    BUG_ON(!config);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NO_CACHE_TIME);
    l->base = event_base_new_with_config(config);
    event_config_free(config);
    BUG_ON(!l->base);
    pthread_mutex_init(&l->lock, NULL);
    list_init(&l->messages);
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    BUG_ON(l->wake_fd < 0);
    l->wake = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, loop_woken, l);
    BUG_ON(!l->wake || event_add(l->wake, NULL) != 0);
    return l;
}

void loop_drain(struct loop *l)
{
    loop_run_messages(l);
    loop_run_deferred(l);
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    /* What a message posts or defers runs too: each of them owns something. */
    while (!list_empty(&l->messages) || l->ndeferred) {
        loop_run_messages(l);
        loop_run_deferred(l);
    }
    event_free(l->wake);
    event_base_free(l->base);
    close(l->wake_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->deferred);
    free(l);
}

void loop_run(struct loop *l)
{
    l->stop = false;
    loop_run_deferred(l); /* of the time before */
    while (!l->stop) {
        if (event_base_loop(l->base, EVLOOP_ONCE) < 0)
            break;
        if (l->ndeferred)
            loop_run_deferred(l);
        l->now_us = 0;
    }
}

void loop_stop(struct loop *l)
{
    l->stop = true;
    event_base_loopbreak(l->base);
}

void loop_post(struct loop *l, struct loop_message *m)
{
    bool wake;

    pthread_mutex_lock(&l->lock);
    list_push_back(&l->messages, &m->node);
    wake = !l->woken;
    l->woken = true;
    pthread_mutex_unlock(&l->lock);
    if (wake) {
        const uint64_t one = 1;

        BUG_ON(write(l->wake_fd, &one, sizeof(one)) != sizeof(one));
    }
}

void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
    if (l->ndeferred == l->deferred_cap) {
        l->deferred_cap = l->deferred_cap ? l->deferred_cap * 2 : 32;
        l->deferred = mem_realloc(l->deferred, l->deferred_cap * sizeof(*l->deferred));
    }
    l->deferred[l->ndeferred++] = (struct deferred){ .fn = fn, .arg = arg };
}

char *loop_scratch(struct loop *l)
{
    return l->scratch;
}

uint64_t loop_now_us(struct loop *l)
{
    if (l->now_us == 0)
        l->now_us = clock_mono_us();
    return l->now_us;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

static void loop_timer_fired(evutil_socket_t fd, short what, void *arg)
{
    struct loop_timer *t = arg;

    (void)fd;
    (void)what;
    t->fn(t);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, void (*fn)(struct loop_timer *t))
{
    t->fn = fn;
    t->event = event_new(l->base, -1, 0, loop_timer_fired, t);
    BUG_ON(!t->event);
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms)
{
    const struct timeval tv = { .tv_sec = (time_t)(after_ms / 1000), .tv_usec = (suseconds_t)(after_ms % 1000 * 1000) };

    BUG_ON(event_add(t->event, &tv) != 0);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->event)
        event_del(t->event);
}

void loop_timer_fini(struct loop_timer *t)
{
    if (t->event)
        event_free(t->event);
    t->event = NULL;
}
