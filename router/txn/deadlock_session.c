/*
 * The deadlock detector's view of this router's own sessions, and what happens to a victim.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/config/config.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/txn/deadlock_int.h"
#include "router/txn/txn.h"
#include "router/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A transaction that lasts for so long is announced where it is not known yet. */
#define ANNOUNCE_US 200000u

/* What makes a transaction fail on a server, so that it gives up its locks but can still go back to a savepoint. */
#define FAIL_SQL "SELECT 'this transaction was canceled: deadlock with transactions on other shards'::pg_catalog.int4"

uint64_t node_of_layout(const char *database)
{
    return NODE_LAYOUT | (hash_seeded(database, strlen(database), 0) & NODE_REST);
}

/* When it began: its distributed transaction, its transaction, or its statement. */
static uint64_t key_of(const struct session *s)
{
    uint64_t age_us = loop_now_us(s->worker->loop) - (s->txn.env ? s->txn.since_us : s->active_us);

    return s->txn.gtid ? gtid_key(span_str(s->txn.gtid)) : gtid_key_at(clock_wall_us() - age_us);
}

static bool is_committing(const struct session *s)
{
    return s->run_commit || (s->exec && exec_is_committing(s->exec));
}

/* Of what the session does: it does something else when this is another one. */
static uint64_t wait_of(const struct session *s)
{
    const uint64_t v[] = { s->id, s->active_us, s->queries, s->state == SESSION_WAITING ? s->wait_since_us : 0 };

    return hash_seeded(v, sizeof(v), (uint64_t)s->state);
}

static uint64_t node_of(const struct session *s)
{
    const uint64_t v[] = { s->worker->index, s->id, s->active_us, s->queries };

    if (s->txn.gtid)
        return NODE_GTID | gtid_key(span_str(s->txn.gtid));
    return NODE_SESSION | (hash_seeded(v, sizeof(v), 0) & NODE_REST);
}

/* --- telling the shards, and the detector --- */

static bool waited(uint64_t now_us, uint64_t since_us, uint64_t ms)
{
    return now_us > since_us && now_us - since_us >= ms * 1000u;
}

bool deadlock_waits_long(const struct session *s, uint64_t now_us)
{
    uint64_t ms = s->worker->config->deadlock_timeout_ms;

    switch (s->state) {
    case SESSION_RUNNING:
        return s->nheld > 1 && waited(now_us, s->active_us, ms);
    case SESSION_WAITING:
    case SESSION_HELD:
        return s->nheld > 0 && waited(now_us, s->wait_since_us, ms);
    case SESSION_STARTUP:
    case SESSION_AUTH:
    case SESSION_LOGIN:
    case SESSION_READY:
    case SESSION_CLOSING:
        break;
    }
    return false;
}

static void announced(struct backend *b, bool ok)
{
    (void)b;
    (void)ok; /* it failed with the transaction, or says what the next statement will say */
}

void deadlock_announce(struct session *s, uint64_t now_us)
{
    if (LIKELY(!s->txn.gtid || s->nheld < 2) || s->tx != 'T' || !waited(now_us, s->active_us, ANNOUNCE_US / 1000))
        return;
    for (struct backend *b = s->held; b; b = b->next_held) {
        char sql[TXN_ANNOUNCEMENT_MAX];

        if (!b->begun || b->announced || b->nexpect || b->suspect || b->tx != 'T')
            continue;
        txn_announcement(s, sql);
        b->announced = s->txn.savepoint ? ANNOUNCED_IN_SAVEPOINT : ANNOUNCED;
        backend_internal(b, sql, announced);
    }
}

/* --- a look at the sessions --- */

static void *grown(struct arena *a, void *v, uint32_t n, size_t size)
{
    char *more;

    if (n & (n - 1))
        return v;
    more = arena_alloc(a, (n ? 2 * (size_t)n : 1) * size);
    if (n)
        memcpy(more, v, n * size);
    return more;
}

static struct own_session *own_add(struct own *o, const struct session *s)
{
    struct own_session *v = ARENA_NEW(&o->arena, struct own_session);
    bool waits = s->state == SESSION_WAITING || s->state == SESSION_HELD;

    v->node = node_of(s);
    v->key = key_of(s);
    v->wait = wait_of(s);
    v->gtid = arena_strdup(&o->arena, s->txn.gtid ? s->txn.gtid : "");
    v->worker = s->worker->index;
    v->id = s->id;
    v->busy = waits || s->state == SESSION_RUNNING;
    v->candidate = v->busy && !s->in_job && !is_committing(s);
    v->several = v->busy && s->nheld + waits > 1;
    if (s->state == SESSION_HELD)
        v->database = arena_strdup(&o->arena, s->db->name);
    if (s->state == SESSION_WAITING && s->wait_pool && s->wait_front) {
        v->wants = s->wait_pool->budget;
        v->wants_shard = arena_strdup(&o->arena, s->wait_pool->shard_name);
        v->limit = pool_limit(s->wait_pool, true);
    }
    o->sessions = grown(&o->arena, o->sessions, o->nsession, sizeof(*o->sessions));
    o->sessions[o->nsession++] = v;
    return v;
}

static void own_fill(struct own *o, const struct worker *w)
{
    LIST_FOREACH(node, &w->sessions)
    {
        const struct session *s = LIST_ENTRY(node, struct session, node);
        const struct own_session *v;

        if (s->nheld == 0 || s->state == SESSION_CLOSING)
            continue;
        v = own_add(o, s);
        for (const struct backend *b = s->held; b; b = b->next_held) {
            o->leases = grown(&o->arena, o->leases, o->nlease, sizeof(*o->leases));
            o->leases[o->nlease++] = (struct own_lease){
                .session = v, .budget = b->pool->budget, .shard_id = b->pool->shard_id, .process = pgconn_pid(b->conn)
            };
        }
    }
}

struct own_ask {
    struct loop_message msg;
    struct own_round *round;
    struct worker *worker;
    struct own own;
};

/* Freed by who leaves last: a worker may answer late. */
struct own_round {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    uint32_t left, users, nworker;
    struct own_ask asks[];
};

static void own_round_leave(struct own_round *o)
{
    bool last;

    pthread_mutex_lock(&o->lock);
    last = --o->users == 0;
    pthread_mutex_unlock(&o->lock);
    if (!last)
        return;
    for (uint32_t i = 0; i < o->nworker; i++)
        arena_fini(&o->asks[i].own.arena);
    pthread_cond_destroy(&o->answered);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static void own_asked(struct loop_message *m)
{
    struct own_ask *a = CONTAINER_OF(m, struct own_ask, msg);
    struct own_round *o = a->round;

    if (!a->worker->ended)
        own_fill(&a->own, a->worker);
    pthread_mutex_lock(&o->lock);
    o->left--;
    pthread_cond_signal(&o->answered);
    pthread_mutex_unlock(&o->lock);
    own_round_leave(o);
}

struct own_round *own_look(struct router *r, uint64_t deadline_us)
{
    const struct timespec until = { .tv_sec = (time_t)(deadline_us / 1000000),
                                    .tv_nsec = (long)(deadline_us % 1000000) * 1000 };
    struct own_round *o = mem_zalloc(sizeof(*o) + r->nworker * sizeof(o->asks[0]));
    pthread_condattr_t attr;
    bool all;

    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->answered, &attr);
    pthread_condattr_destroy(&attr);
    o->nworker = o->left = r->nworker;
    o->users = r->nworker + 1;
    for (uint32_t i = 0; i < r->nworker; i++) {
        struct own_ask *a = &o->asks[i];

        a->round = o;
        a->worker = r->workers[i];
        a->msg.fn = own_asked;
        arena_init(&a->own.arena, 0);
    }
    for (uint32_t i = 0; i < r->nworker; i++)
        loop_post(r->workers[i]->loop, &o->asks[i].msg);
    pthread_mutex_lock(&o->lock);
    while (o->left && pthread_cond_timedwait(&o->answered, &o->lock, &until) == 0)
        ;
    all = o->left == 0;
    pthread_mutex_unlock(&o->lock);
    if (!all) {
        own_round_leave(o);
        return NULL;
    }
    return o;
}

const struct own *own_of_worker(const struct own_round *o, unsigned worker)
{
    return &o->asks[worker].own;
}

void own_round_end(struct own_round *o)
{
    if (o)
        own_round_leave(o);
}

/* --- a victim --- */

struct victim_message {
    struct loop_message msg;
    struct worker *worker;
    uint32_t id;
    uint64_t node, wait;
    bool connections;
    struct err error;
};

static void victim_log(const struct session *s, const struct err *e)
{
    log_line(LOG_WARN, "deadlock", "canceled a statement", "client=%u user=%s gtid=%s waited_ms=%llu detail=\"%s\"",
             s->id, s->user, s->txn.gtid ? s->txn.gtid : "",
             (unsigned long long)((loop_now_us(s->worker->loop) - s->active_us) / 1000), e->detail);
}

static void victim_deliver(struct loop_message *m)
{
    struct victim_message *v = CONTAINER_OF(m, struct victim_message, msg);
    struct session *s = v->worker->ended ? NULL : session_find(v->worker, v->id);

    if (s && node_of(s) == v->node && wait_of(s) == v->wait && !is_committing(s) && !s->deadlock) {
        s->deadlock = mem_alloc(sizeof(*s->deadlock));
        *s->deadlock = v->error;
        s->deadlock_dooms = v->connections;
        victim_log(s, &v->error);
        STAT_ADD(s->worker->stats.deadlocks, 1);
        session_cancel_as(s, &v->error);
    }
    free(v);
}

void deadlock_victim(struct router *r, const struct own_session *v, const struct err *e, bool connections)
{
    struct victim_message *m = mem_zalloc(sizeof(*m));

    m->worker = r->workers[v->worker];
    m->id = v->id;
    m->node = v->node;
    m->wait = v->wait;
    m->connections = connections;
    m->error = *e;
    m->msg.fn = victim_deliver;
    loop_post(m->worker->loop, &m->msg);
}

static void failed_too(struct backend *b, bool ok)
{
    (void)ok; /* an error is what was wanted */
    if (b->session)
        session_unquarantine(b->session);
}

void deadlock_settle(struct session *s)
{
    bool failed = s->txn.env && s->tx == 'E', doom = s->deadlock_dooms || !s->txn.savepoint;

    if (LIKELY(!s->deadlock))
        return;
    free(s->deadlock);
    s->deadlock = NULL;
    if (!failed || s->txn.doomed)
        return;
    if (doom) {
        s->txn.doomed = true;
        session_release(s);
        return;
    }
    for (struct backend *b = s->held; b; b = b->next_held) {
        if (!b->begun || b->nexpect || b->suspect || b->tx != 'T')
            continue;
        s->quarantine = true; /* nothing is sent before it is answered */
        backend_internal(b, FAIL_SQL, failed_too);
    }
}
