/*
 * Asking shards about locks: a thread for each that is asked, for the time of the question, and a connection for each
 * that is kept from one question to the next. A shard whose thread has not come back is not asked again.
 */
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "router/txn/deadlock_int.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MS  3000u
#define ANSWER_MS   2000u
#define STACK_BYTES (512u * 1024u)
#define RETRY_US    5000000u  /* pause after a failure */
#define KEEP_US     60000000u /* an unused connection is closed */
#define OPTIONS     "-c search_path=pg_catalog -c statement_timeout=2s -c lock_timeout=1s -c log_min_duration_statement=-1"

extern const char sql_waits[];

struct shard_asked {
    struct list node;
    struct asker *asker;
    uint32_t id;
    char *name, *conninfo;
    uint64_t used_us;
    /* by the thread while busy, else under the lock */
    struct pgconn *conn;
    struct shard_locks locks;
    uint64_t round; /* the question that `locks` answers; 0: none */
    uint64_t asked; /* the last question */
    uint64_t retry_us;
    uint32_t min_age_ms;
    bool busy;
};

struct asker {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct list shards;
    struct shard_asked *last[MAP_MAX_SHARDS];          /* of the last question */
    const struct shard_locks *answers[MAP_MAX_SHARDS]; /* to it, in time; else NULL */
    uint64_t round;
    uint32_t nbusy;
};

struct asker *asker_new(void)
{
    struct asker *a = mem_zalloc(sizeof(*a));
    pthread_condattr_t attr;

    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->answered, &attr);
    pthread_condattr_destroy(&attr);
    list_init(&a->shards);
    return a;
}

/* --- a shard's thread --- */

static bool take_rows(const struct pgresult *r, struct shard_locks *l, struct err *e)
{
    const char *row[LOCKS_COLUMNS];

    if (pgresult_columns(r) != LOCKS_COLUMNS)
        return err_set(e, PB0602, "unexpected answer about locks: %d columns", pgresult_columns(r));
    for (int i = 0; i < pgresult_rows(r); i++) {
        for (int k = 0; k < LOCKS_COLUMNS; k++)
            row[k] = pgresult_value(r, i, k);
        if (!locks_add(l, row, e))
            return false;
    }
    locks_settle(l);
    return true;
}

static bool ask(struct shard_asked *s, struct err *e)
{
    struct pgconn_target t = { .conninfo = s->conninfo,
                               .application_name = "pgbraid deadlock detector",
                               .options = OPTIONS,
                               .timeout_ms = CONNECT_MS };
    char age[16];
    const char *values[] = { age };
    struct pgresult *r;
    bool ok;

    snprintf(age, sizeof(age), "%u", s->min_age_ms);
    if (!s->conn)
        s->conn = pgconn_open_blocking(&t, e);
    if (!s->conn)
        return false;
    r = pgconn_query_within(s->conn, sql_waits, 1, values, ANSWER_MS, e);
    ok = r && take_rows(r, &s->locks, e);
    pgresult_free(r);
    if (!ok) {
        pgconn_close_blocking(s->conn);
        s->conn = NULL;
    }
    return ok;
}

static void *ask_main(void *arg)
{
    struct shard_asked *s = arg;
    struct asker *a = s->asker;
    struct err e = ERR_INIT;
    bool ok;

    locks_fini(&s->locks);
    locks_init(&s->locks);
    ok = ask(s, &e);
    if (!ok) {
        char what[96];

        snprintf(what, sizeof(what), "shard %.60s cannot be asked about locks", s->name);
        log_err(LOG_WARN, "deadlock", what, &e);
    }
    pthread_mutex_lock(&a->lock);
    s->round = ok ? s->asked : 0;
    s->retry_us = ok ? 0 : clock_mono_us() + RETRY_US;
    s->busy = false;
    a->nbusy--;
    pthread_cond_signal(&a->answered);
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Under the lock. False: no thread could be had. */
static bool start(struct shard_asked *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    bool ok;

    BUG_ON(pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, STACK_BYTES) != 0 ||
           pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0);
    s->busy = true;
    s->asker->nbusy++;
    ok = pthread_create(&thread, &attr, ask_main, s) == 0;
    pthread_attr_destroy(&attr);
    if (!ok) {
        s->busy = false;
        s->asker->nbusy--;
    }
    return ok;
}

/* --- the detector's thread --- */

static void forget(struct shard_asked *s)
{
    list_remove(&s->node);
    if (s->conn)
        pgconn_close_blocking(s->conn);
    locks_fini(&s->locks);
    free(s->name);
    free(s->conninfo);
    free(s);
}

void asker_forget(struct asker *a, bool all)
{
    uint64_t now = clock_mono_us();

    pthread_mutex_lock(&a->lock);
    LIST_FOREACH(node, &a->shards)
    {
        struct shard_asked *s = LIST_ENTRY(node, struct shard_asked, node);

        if (!s->busy && (all || now > s->used_us + KEEP_US))
            forget(s);
    }
    pthread_mutex_unlock(&a->lock);
    memset(a->last, 0, sizeof(a->last));
    memset(a->answers, 0, sizeof(a->answers));
}

void asker_free(struct asker *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->nbusy) /* at most CONNECT_MS + ANSWER_MS */
        pthread_cond_wait(&a->answered, &a->lock);
    pthread_mutex_unlock(&a->lock);
    asker_forget(a, true);
    pthread_cond_destroy(&a->answered);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The record of a shard; a shard that has moved to another server gets a new one. */
static struct shard_asked *find(struct asker *a, const struct map_shard *shard)
{
    struct shard_asked *s;

    LIST_FOREACH(node, &a->shards)
    {
        s = LIST_ENTRY(node, struct shard_asked, node);
        if (s->id == shard->id && strcmp(s->conninfo, shard->conninfo) == 0)
            return s;
    }
    s = mem_zalloc(sizeof(*s));
    s->asker = a;
    s->id = shard->id;
    s->name = mem_strdup(shard->name);
    s->conninfo = mem_strdup(shard->conninfo);
    locks_init(&s->locks);
    list_push_back(&a->shards, &s->node);
    return s;
}

static uint32_t take_answers(struct asker *a, uint32_t n)
{
    uint32_t answers = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct shard_asked *s = a->last[i];

        a->answers[i] = !s->busy && s->round == a->round ? &s->locks : NULL;
        answers += a->answers[i] != NULL;
    }
    return answers;
}

static uint32_t count_busy(const struct asker *a, uint32_t n)
{
    uint32_t busy = 0;

    for (uint32_t i = 0; i < n; i++)
        busy += a->last[i]->busy && a->last[i]->asked == a->round;
    return busy;
}

uint32_t asker_ask(struct asker *a, const struct map_shard *const *shards, uint32_t n, uint32_t min_age_ms,
                   uint64_t deadline_us)
{
    const struct timespec until = { .tv_sec = (time_t)(deadline_us / 1000000),
                                    .tv_nsec = (long)(deadline_us % 1000000) * 1000 };
    uint64_t now = clock_mono_us();
    uint32_t answers;

    if (n > MAP_MAX_SHARDS)
        n = MAP_MAX_SHARDS;
    pthread_mutex_lock(&a->lock);
    memset(a->answers, 0, sizeof(a->answers));
    a->round++;
    for (uint32_t i = 0; i < n; i++) {
        struct shard_asked *s = a->last[i] = find(a, shards[i]);

        s->used_us = now;
        if (s->busy || now < s->retry_us)
            continue;
        s->asked = a->round;
        s->min_age_ms = min_age_ms;
        (void)start(s);
    }
    while (count_busy(a, n) && pthread_cond_timedwait(&a->answered, &a->lock, &until) == 0)
        ;
    answers = take_answers(a, n);
    pthread_mutex_unlock(&a->lock);
    return answers;
}

const struct shard_locks *asker_answer(const struct asker *a, uint32_t i)
{
    return i < MAP_MAX_SHARDS ? a->answers[i] : NULL;
}
