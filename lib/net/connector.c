/*
 * Helper threads that do what blocks: open connections, send cancel requests, close. One bounded queue; answers go back
 * to the asking loop as messages.
 */
#include "base/mem.h"
#include "net/pgconn_int.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTOR_QUEUE_MAX   4096u
#define CONNECTOR_MAX_THREADS 32u
#define CONNECTOR_STACK       (512u * 1024u)

enum job_kind { JOB_OPEN, JOB_CANCEL, JOB_CLOSE };

struct job {
    struct loop_message msg; /* the answer */
    struct list node;
    enum job_kind kind;
    struct loop *loop;
    struct pgconn_target target; /* strings owned */
    struct pgconn *conn;
    PGcancel *cancel;
    struct err error;
    pgconn_done_fn *opened;
    void (*done)(void *arg);
    void *arg;
};

struct connector {
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t wake;
    struct list jobs;
    unsigned njob, nthread;
    bool stop;
    pthread_t threads[CONNECTOR_MAX_THREADS];
};

static char *dup_or_null(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

static void job_free(struct job *j)
{
    free((char *)(uintptr_t)j->target.conninfo);
    free((char *)(uintptr_t)j->target.user);
    if (j->target.password) {
        explicit_bzero((char *)(uintptr_t)j->target.password, strlen(j->target.password));
        free((char *)(uintptr_t)j->target.password);
    }
    free((char *)(uintptr_t)j->target.options);
    free((char *)(uintptr_t)j->target.application_name);
    free(j);
}

static void job_answered(struct loop_message *m)
{
    struct job *j = CONTAINER_OF(m, struct job, msg);

    if (j->kind == JOB_OPEN)
        j->opened(j->arg, j->conn, j->conn ? NULL : &j->error);
    else
        j->done(j->arg);
    job_free(j);
}

static void job_open(struct job *j)
{
    struct pgconn *c = pgconn_login(&j->target, &j->error);

    if (c && !pgconn_take_over(c, j->target.timeout_ms, &j->error)) {
        pgconn_finish(c);
        c = NULL;
    }
    if (c)
        c->raw = true;
    j->conn = c;
}

static void job_run(struct job *j)
{
    char reason[256];

    switch (j->kind) {
    case JOB_OPEN:
        job_open(j);
        break;
    case JOB_CANCEL:
        /* Whether it arrives is not known anyway; what counts is that its connection has closed. */
        (void)PQcancel(j->cancel, reason, sizeof(reason));
        PQfreeCancel(j->cancel);
        break;
    case JOB_CLOSE:
        pgconn_finish(j->conn);
        job_free(j);
        return;
    }
    j->msg.fn = job_answered;
    loop_post(j->loop, &j->msg);
}

static void *connector_main(void *arg)
{
    struct connector *c = arg;

    pthread_mutex_lock(&c->lock);
    for (;;) {
        struct job *j;

        while (list_empty(&c->jobs) && !c->stop)
            pthread_cond_wait(&c->wake, &c->lock);
        if (list_empty(&c->jobs))
            break;
        j = LIST_ENTRY(list_first(&c->jobs), struct job, node);
        list_remove(&j->node);
        c->njob--;
        if (c->stop && j->kind == JOB_OPEN) {
            pthread_mutex_unlock(&c->lock);
            err_set(&j->error, PB0307, "the router is shutting down");
            j->msg.fn = job_answered;
            loop_post(j->loop, &j->msg);
        } else {
            pthread_mutex_unlock(&c->lock);
            job_run(j);
        }
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

struct connector *connector_new(unsigned nthread)
{
    struct connector *c = mem_zalloc(sizeof(*c));
    pthread_attr_t attr;

    BUG_ON(nthread == 0 || nthread > CONNECTOR_MAX_THREADS);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    list_init(&c->jobs);
    BUG_ON(pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, CONNECTOR_STACK) != 0);
    for (unsigned i = 0; i < nthread; i++) {
        BUG_ON(pthread_create(&c->threads[i], &attr, connector_main, c) != 0);
        c->nthread++;
    }
    pthread_attr_destroy(&attr);
    return c;
}

void connector_stop(struct connector *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->nthread; i++)
        pthread_join(c->threads[i], NULL);
    c->nthread = 0;
}

void connector_free(struct connector *c)
{
    if (!c)
        return;
    connector_stop(c);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Cancels and closes are always taken: they free what is scarce. */
static bool connector_submit(struct connector *c, struct job *j)
{
    bool room;

    if (c->nthread == 0 && j->kind != JOB_OPEN) {
        job_run(j);
        return true;
    }
    pthread_mutex_lock(&c->lock);
    room = j->kind != JOB_OPEN || (c->njob < CONNECTOR_QUEUE_MAX && !c->stop);
    if (room) {
        list_push_back(&c->jobs, &j->node);
        c->njob++;
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return room;
}

void connector_open(struct connector *c, struct loop *l, const struct pgconn_target *t, pgconn_done_fn *fn, void *arg)
{
    struct job *j = mem_zalloc(sizeof(*j));

    j->kind = JOB_OPEN;
    j->loop = l;
    j->opened = fn;
    j->arg = arg;
    j->target = (struct pgconn_target){ .conninfo = dup_or_null(t->conninfo),
                                        .user = dup_or_null(t->user),
                                        .password = dup_or_null(t->password),
                                        .options = dup_or_null(t->options),
                                        .application_name = dup_or_null(t->application_name),
                                        .timeout_ms = t->timeout_ms };
    if (connector_submit(c, j))
        return;
    err_set(&j->error, PB0301, "too many connections are being opened");
    j->msg.fn = job_answered;
    loop_post(l, &j->msg);
}

void connector_cancel(struct connector *c, struct loop *l, struct pgconn *conn, void (*done)(void *arg), void *arg)
{
    struct job *j = mem_zalloc(sizeof(*j));

    j->kind = JOB_CANCEL;
    j->loop = l;
    j->done = done;
    j->arg = arg;
    j->cancel = PQgetCancel(conn->pg);
    (void)connector_submit(c, j);
}

void connector_close(struct connector *c, struct pgconn *conn)
{
    struct job *j = mem_zalloc(sizeof(*j));

    j->kind = JOB_CLOSE;
    j->conn = conn;
    (void)connector_submit(c, j);
}
