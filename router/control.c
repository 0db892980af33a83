#include "router/control.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>

#define CONTROL_QUEUE_MAX   1024u
#define CONTROL_MAX_THREADS 16u

struct control {
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake;
    struct list jobs;
    unsigned njob, nthread;
    bool stop;
    pthread_t threads[CONTROL_MAX_THREADS];
};

static void *control_main(void *arg)
{
    struct control *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct control_job *job;

        while (list_empty(&c->jobs) && !c->stop)
            pthread_cond_wait(&c->wake, &c->lock);
        if (list_empty(&c->jobs))
            break;
        job = LIST_ENTRY(list_first(&c->jobs), struct control_job, node);
        list_remove(&job->node);
        c->njob--;
        pthread_mutex_unlock(&c->lock);
        job->run(job);
        loop_post(job->loop, &job->done);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

struct control *control_new(unsigned nthread)
{
    struct control *c = mem_zalloc(sizeof(*c));

    BUG_ON(nthread == 0 || nthread > CONTROL_MAX_THREADS);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    list_init(&c->jobs);
    for (unsigned i = 0; i < nthread; i++) {
        BUG_ON(pthread_create(&c->threads[i], NULL, control_main, c) != 0);
        c->nthread++;
    }
    return c;
}

bool control_submit(struct control *c, struct control_job *job)
{
    bool room;

    pthread_mutex_lock(&c->lock);
    room = c->njob < CONTROL_QUEUE_MAX && !c->stop;
    if (room) {
        list_push_back(&c->jobs, &job->node);
        c->njob++;
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return room;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->nthread; i++)
        pthread_join(c->threads[i], NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
