#include "router/call.h"

#include "router/router.h"
#include "router/worker.h"

struct call {
    struct loop_message msg;
    struct worker *worker;
    void (*fn)(struct worker *w, void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void call_run(struct loop_message *m)
{
    struct call *c = CONTAINER_OF(m, struct call, msg);

    c->fn(c->worker, c->arg);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void router_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
    struct call c = { .msg.fn = call_run, .worker = w, .fn = fn, .arg = arg };

    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.wake, NULL);
    loop_post(w->loop, &c.msg);
    pthread_mutex_lock(&c.lock);
    while (!c.done)
        pthread_cond_wait(&c.wake, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_cond_destroy(&c.wake);
    pthread_mutex_destroy(&c.lock);
}

void router_call_all(struct router *r, void (*fn)(struct worker *w, void *arg), void *arg)
{
    for (unsigned i = 0; i < r->nworker; i++)
        router_call(r->workers[i], fn, arg);
}
