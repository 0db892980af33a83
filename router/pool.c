#include "router/pool.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/backend.h"
#include "router/config.h"
#include "router/router.h"
#include "router/session.h"
#include "router/template.h"
#include "router/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_RETRY_US   1000000u /* pause after a failed connect */
#define POOL_ENV_SEARCH 8u       /* idle connections looked at for one with the session's settings */

static void pool_open(struct pool *p);

static uint32_t pool_limit(const struct pool *p, bool front)
{
    const struct config *c = p->worker->config;

    return (uint32_t)(c->pool_size + (front ? c->reserve_pool_size : 0));
}

/* One more connection may be opened: counts it. */
static bool budget_take(struct pool *p, bool front)
{
    uint32_t limit = pool_limit(p, front), open = atomic_load(&p->budget->open);

    while (open < limit) {
        if (atomic_compare_exchange_weak(&p->budget->open, &open, open + 1))
            return true;
    }
    return false;
}

static void budget_give(struct pool *p)
{
    atomic_fetch_sub(&p->budget->open, 1);
}

/* A pool that waits for another worker to give a connection away. */
static void pool_set_hungry(struct pool *p, bool hungry)
{
    if (p->hungry == hungry)
        return;
    p->hungry = hungry;
    pthread_mutex_lock(&p->budget->lock);
    if (hungry)
        list_push_back(&p->budget->hungry_pools, &p->hungry_node);
    else
        list_remove(&p->hungry_node);
    pthread_mutex_unlock(&p->budget->lock);
    if (hungry)
        atomic_fetch_add(&p->budget->hungry, 1);
    else
        atomic_fetch_sub(&p->budget->hungry, 1);
}

/* A freed place in the budget, told to a pool on another worker. */
struct pool_nudge {
    struct loop_message msg;
    struct pool *pool;
};

static void pool_nudged(struct loop_message *m)
{
    struct pool_nudge *n = CONTAINER_OF(m, struct pool_nudge, msg);

    if (!list_empty(&n->pool->waiting))
        pool_open(n->pool);
    free(n);
}

/* Tell one hungry pool, if there is one, that a connection may be opened now. */
static void pool_nudge_hungry(struct pool *p)
{
    struct pool *other = NULL;

    if (LIKELY(atomic_load_explicit(&p->budget->hungry, memory_order_relaxed) == 0))
        return;
    pthread_mutex_lock(&p->budget->lock);
    if (!list_empty(&p->budget->hungry_pools)) {
        other = LIST_ENTRY(list_first(&p->budget->hungry_pools), struct pool, hungry_node);
        if (other != p) {
            /* To the end: the next nudge goes to the next one. */
            list_remove(&other->hungry_node);
            list_push_back(&p->budget->hungry_pools, &other->hungry_node);
        }
    }
    pthread_mutex_unlock(&p->budget->lock);
    if (other && other != p) {
        struct pool_nudge *n = mem_zalloc(sizeof(*n));

        n->pool = other;
        n->msg.fn = pool_nudged;
        loop_post(other->worker->loop, &n->msg);
    }
}

/* This worker has more than its share while another one waits. */
static bool pool_should_yield(const struct pool *p)
{
    uint32_t share;

    if (LIKELY(atomic_load_explicit(&p->budget->hungry, memory_order_relaxed) == 0) || p->hungry)
        return false;
    share = pool_limit(p, false) / p->worker->router->nworker;
    return p->nopen > (share ? share : 1) || list_empty(&p->waiting);
}

static void pool_fail_waiters(struct pool *p, const struct err *e)
{
    while (!list_empty(&p->waiting)) {
        struct session *s = LIST_ENTRY(list_first(&p->waiting), struct session, wait);

        pool_cancel_wait(s);
        session_refused(s, e);
    }
}

static void pool_opened(void *arg, struct pgconn *conn, const struct err *e)
{
    struct pool *p = arg;
    struct backend *b;

    p->nconnecting--;
    if (!conn) {
        p->nopen--;
        budget_give(p);
        p->last_error = *e;
        p->retry_at_us = loop_now_us(p->worker->loop) + POOL_RETRY_US;
        log_err(LOG_WARN, "pool", "cannot connect to shard", e);
        if (p->nopen == p->nconnecting)
            pool_fail_waiters(p, e);
        return;
    }
    b = backend_new(p, conn);
    if (p->draining)
        backend_close(b);
    else
        pool_put(b);
}

static void pool_connect(struct pool *p)
{
    const struct config *c = p->worker->config;
    struct pgconn_target t = {
        .conninfo = p->conninfo,
        .user = p->set->user,
        .options = p->set->canonical_options,
        .application_name = "pgbraid",
        .timeout_ms = (uint32_t)c->server_connect_timeout_ms,
    };

    p->nopen++;
    p->nconnecting++;
    connector_open(p->worker->router->connector, p->worker->loop, &t, pool_opened, p);
}

/* Open connections for those who wait, as far as the budget goes. */
static void pool_open(struct pool *p)
{
    while (p->nconnecting < p->nwaiting && !p->draining) {
        bool front = false;

        if (!list_empty(&p->waiting))
            front = LIST_ENTRY(list_first(&p->waiting), struct session, wait)->held != NULL;
        if (!budget_take(p, front)) {
            pool_set_hungry(p, true);
            return;
        }
        pool_connect(p);
    }
    pool_set_hungry(p, false);
}

static void pool_lease(struct pool *p, struct backend *b, struct session *s)
{
    list_remove(&b->idle);
    p->nidle--;
    backend_set_state(b, BACKEND_LEASED);
    b->queries++;
    p->served++;
    session_hold(s, b);
}

static void pool_checked(struct backend *b, bool ok)
{
    if (!ok) {
        backend_close(b);
        return;
    }
    b->used_us = loop_now_us(b->pool->worker->loop);
    pool_put(b);
}

/* The best idle connection: recently used, with the session's settings if one is near. NULL if none is ready at once.
 */
static struct backend *pool_pick(struct pool *p, const struct session *s)
{
    struct backend *first = NULL;
    unsigned looked = 0;

    LIST_FOREACH(node, &p->idle)
    {
        struct backend *b = LIST_ENTRY(node, struct backend, idle);

        if (!first)
            first = b;
        if (b->env == s->env)
            return b;
        if (++looked >= POOL_ENV_SEARCH)
            break;
    }
    return first;
}

/* Idle for long: ask whether the server is still there before it is given out. */
static bool pool_needs_check(const struct pool *p, const struct backend *b)
{
    const struct config *c = p->worker->config;

    return c->server_check_query[0] != '\0' &&
           loop_now_us(p->worker->loop) - b->used_us > (uint64_t)c->server_check_delay_ms * 1000u;
}

static void pool_check(struct pool *p, struct backend *b)
{
    list_remove(&b->idle);
    p->nidle--;
    backend_set_state(b, BACKEND_CLEANING);
    backend_internal(b, p->worker->config->server_check_query, pool_checked);
}

struct backend *pool_acquire(struct pool *p, struct session *s, bool front)
{
    struct backend *b;

    if (p->nidle && (front || list_empty(&p->waiting))) {
        b = pool_pick(p, s);
        if (!pool_needs_check(p, b)) {
            pool_lease(p, b, s);
            return b;
        }
        pool_check(p, b);
    }
    BUG_ON(s->wait_pool);
    s->wait_pool = p;
    s->wait_since_us = loop_now_us(p->worker->loop);
    if (front)
        list_push_front(&p->waiting, &s->wait);
    else
        list_push_back(&p->waiting, &s->wait);
    p->nwaiting++;
    /* While a server is down each waiter would otherwise start another attempt. */
    if (loop_now_us(p->worker->loop) >= p->retry_at_us)
        pool_open(p);
    return NULL;
}

void pool_cancel_wait(struct session *s)
{
    struct pool *p = s->wait_pool;

    if (!p)
        return;
    list_remove(&s->wait);
    s->wait_pool = NULL;
    p->nwaiting--;
    if (list_empty(&p->waiting))
        pool_set_hungry(p, false);
}

static void pool_note_wait(struct pool *p, const struct session *s)
{
    uint64_t us = loop_now_us(p->worker->loop) - s->wait_since_us;

    p->wait_us += us;
    if (us > p->max_wait_us)
        p->max_wait_us = us;
    STAT_ADD(p->worker->stats.wait_us, us);
}

void pool_put(struct backend *b)
{
    struct pool *p = b->pool;

    if (p->draining || pool_should_yield(p)) {
        backend_close(b);
        return;
    }
    if (b->state != BACKEND_IDLE)
        backend_set_state(b, BACKEND_IDLE);
    list_push_front(&p->idle, &b->idle);
    p->nidle++;
    if (!list_empty(&p->waiting)) {
        struct session *s = LIST_ENTRY(list_first(&p->waiting), struct session, wait);

        pool_note_wait(p, s);
        pool_cancel_wait(s);
        pool_lease(p, b, s);
        session_granted(s);
    }
}

static void pool_cleaned(struct backend *b, bool ok)
{
    if (!ok || b->tx != 'I') {
        backend_close(b);
        return;
    }
    pool_release(b);
}

/* DISCARD ALL also forgot what was prepared. */
static void pool_discarded(struct backend *b, bool ok)
{
    backend_forget_statements(b);
    b->dirty = false;
    env_unref(b->env);
    env_unref(b->env_next);
    b->env = env_base(b->pool->set->envs);
    b->env_next = env_ref(b->env);
    pool_cleaned(b, ok);
}

void pool_release(struct backend *b)
{
    struct pool *p = b->pool;
    const struct config *c = p->worker->config;

    if (b->session)
        session_unhold(b->session, b);
    if (b->state == BACKEND_CLOSING)
        return;
    b->begun = b->wrote = false;
    b->used_us = loop_now_us(p->worker->loop);
    if (UNLIKELY(b->tx != 'I' || b->dirty || b->cancels || b->nexpect)) {
        if (b->state != BACKEND_CLEANING)
            backend_set_state(b, BACKEND_CLEANING);
        if (b->nexpect) /* something still runs: it cannot be waited for without a bound */
            backend_close(b);
        else if (b->tx != 'I')
            backend_internal(b, "ROLLBACK", pool_cleaned);
        else if (b->cancels)
            b->dirty = true; /* backend_cancel_done comes back here; then one round trip proves it quiet (rule P49) */
        else
            backend_internal(b, "DISCARD ALL", pool_discarded);
        return;
    }
    if (UNLIKELY(b->used_us - b->opened_us > (uint64_t)c->server_lifetime_ms * 1000u && c->server_lifetime_ms)) {
        backend_close(b);
        return;
    }
    pool_put(b);
}

void pool_forget(struct backend *b)
{
    struct pool *p = b->pool;

    if (list_linked(&b->idle)) {
        list_remove(&b->idle);
        p->nidle--;
    }
    p->nopen--;
    budget_give(p);
    if (!list_empty(&p->waiting) && loop_now_us(p->worker->loop) >= p->retry_at_us && !pool_should_yield(p))
        pool_open(p);
    pool_nudge_hungry(p);
}

void pool_tick(struct pool *p, uint64_t now_us)
{
    const struct config *c = p->worker->config;

    LIST_FOREACH(node, &p->idle)
    {
        struct backend *b = LIST_ENTRY(node, struct backend, idle);
        bool old = c->server_lifetime_ms && now_us - b->opened_us > (uint64_t)c->server_lifetime_ms * 1000u;
        bool idle = c->server_idle_timeout_ms && now_us - b->used_us > (uint64_t)c->server_idle_timeout_ms * 1000u;

        if (old || idle || p->draining)
            backend_close(b);
    }
    LIST_FOREACH(node, &p->waiting)
    {
        struct session *s = LIST_ENTRY(node, struct session, wait);
        struct err e = ERR_INIT;

        if (!c->query_wait_timeout_ms || now_us - s->wait_since_us < (uint64_t)c->query_wait_timeout_ms * 1000u)
            continue;
        pool_cancel_wait(s);
        if (p->last_error.message[0] && p->nopen == p->nconnecting) {
            e = p->last_error;
        } else {
            err_set(&e, PB0302, "no connection to shard \"%s\" became free in time", p->shard_name);
            err_detail(&e, "Waited %llu ms (query_wait_timeout); %u connections are open (pool_size %u).",
                       (unsigned long long)((now_us - s->wait_since_us) / 1000), p->nopen, (unsigned)c->pool_size);
            err_hint(&e, "Raise pool_size, or look for long transactions with SHOW CLIENTS on the console.");
        }
        session_refused(s, &e);
    }
    if (!list_empty(&p->waiting) && now_us >= p->retry_at_us)
        pool_open(p);
}

/* --- pool sets --- */

static struct pool *pool_new(struct poolset *ps, const struct map_shard *shard)
{
    struct pool *p = mem_zalloc(sizeof(*p));

    p->worker = ps->worker;
    p->set = ps;
    p->shard_id = shard->id;
    p->shard_name = mem_strdup(shard->name);
    p->conninfo = mem_strdup(shard->conninfo);
    p->budget = router_budget(ps->worker->router, ps->database, ps->user, shard->id);
    list_init(&p->all);
    list_init(&p->idle);
    list_init(&p->waiting);
    list_init(&p->hungry_node);
    return p;
}

static struct pool *poolset_find(const struct poolset *ps, uint32_t shard_id)
{
    for (uint32_t i = 0; i < ps->npool; i++) {
        if (ps->pools[i] && ps->pools[i]->shard_id == shard_id)
            return ps->pools[i];
    }
    return NULL;
}

static void pool_drain(struct pool *p)
{
    p->draining = true;
    LIST_FOREACH(node, &p->idle)
    {
        backend_close(LIST_ENTRY(node, struct backend, idle));
    }
}

void poolset_follow(struct poolset *ps, const struct map_db *db, uint64_t epoch)
{
    struct pool **pools = mem_zalloc(db->nshard * sizeof(*pools));

    for (uint32_t i = 0; i < db->nshard; i++) {
        pools[i] = poolset_find(ps, db->shards[i].id);
        if (!pools[i] || strcmp(pools[i]->conninfo, db->shards[i].conninfo) != 0)
            pools[i] = pool_new(ps, &db->shards[i]);
    }
    for (uint32_t i = 0; i < ps->npool; i++) {
        bool kept = false;

        for (uint32_t j = 0; j < db->nshard; j++)
            kept = kept || pools[j] == ps->pools[i];
        if (!kept)
            pool_drain(ps->pools[i]);
    }
    free(ps->pools);
    ps->pools = pools;
    ps->npool = db->nshard;
    ps->map_epoch = epoch;
    ps->home = db->home;
}

struct poolset *poolset_get(struct worker *w, struct span database, struct span user)
{
    struct worker_db *db = worker_find_db(w, database);
    uint64_t hash = hash_bytes(user.ptr, user.len, hash_bytes(database.ptr, database.len, w->hash_seed));
    struct poolset *ps;

    if (!db)
        return NULL;
    for (struct hmap_node *node = hmap_first(&w->poolsets, hash); node; node = hmap_next(node)) {
        ps = CONTAINER_OF(node, struct poolset, node);
        if (span_eq_str(database, ps->database) && span_eq_str(user, ps->user))
            return ps;
    }
    ps = mem_zalloc(sizeof(*ps));
    ps->worker = w;
    ps->database = mem_strndup(database.ptr, database.len);
    ps->user = mem_strndup(user.ptr, user.len);
    list_init(&ps->logins);
    hmap_insert(&w->poolsets, &ps->node, hash);
    poolset_follow(ps, db->map, w->map->epoch);
    return ps;
}

static void pool_free(struct pool *p)
{
    while (!list_empty(&p->all))
        backend_close(LIST_ENTRY(list_first(&p->all), struct backend, node));
    pool_set_hungry(p, false);
    free(p->shard_name);
    free(p->conninfo);
    free(p);
}

void poolset_free(struct poolset *ps)
{
    for (uint32_t i = 0; i < ps->npool; i++)
        pool_free(ps->pools[i]);
    env_table_free(ps->envs);
    template_free(ps);
    free(ps->pools);
    free(ps->database);
    free(ps->user);
    free(ps);
}
