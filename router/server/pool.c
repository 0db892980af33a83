#include "router/server/pool.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/notify.h"
#include "router/server/oids.h"
#include "router/server/pin.h"
#include "router/server/template.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POOL_RETRY_US   1000000u /* pause after a failed connect */
#define POOL_ENV_SEARCH 8u       /* idle connections looked at for one with the session's settings */

static void pool_open(struct pool *p);
static void pool_hand_over(struct backend *b, struct pool *to);

uint32_t pool_limit(const struct pool *p, bool front)
{
    return p->set->limits->pool_size + (front ? p->worker->config->reserve_pool_size : 0);
}

/* What other workers see of this pool follows its queue. */
static void pool_publish_demand(struct pool *p)
{
    const struct session *first = NULL;

    if (!list_empty(&p->waiting))
        first = LIST_ENTRY(list_first(&p->waiting), struct session, wait);
    atomic_store(&p->demand.nwaiting, p->nwaiting);
    atomic_store(&p->demand.front, p->nfront > 0);
    atomic_store(&p->demand.since_us, first ? first->wait_since_us : 0);
}

static void pool_count_idle(struct pool *p, int change)
{
    p->nidle = (uint32_t)((int)p->nidle + change);
    atomic_store_explicit(&p->demand.nidle, p->nidle, memory_order_relaxed);
}

/* A message from one worker's pool to another's: a connection that changes hands, or a request. */
struct pool_message {
    struct loop_message msg;
    struct worker *to_worker;
    struct pool *to, *from;
    struct pgconn *conn; /* owned */
    uint64_t opened_us;
};

static void pool_post(struct pool *to, struct pool *from, struct pgconn *conn, uint64_t opened_us,
                      void (*fn)(struct loop_message *m))
{
    struct pool_message *pm = mem_zalloc(sizeof(*pm));

    pm->to_worker = to->worker;
    pm->to = to;
    pm->from = from;
    pm->conn = conn;
    pm->opened_us = opened_us;
    pm->msg.fn = fn;
    loop_post(to->worker->loop, &pm->msg);
}

/* Another worker asks for a connection that nobody uses here. */
static void pool_asked(struct loop_message *m)
{
    struct pool_message *pm = CONTAINER_OF(m, struct pool_message, msg);
    struct pool *p = pm->to;

    if (!pm->to_worker->ended && p->nidle && list_empty(&p->waiting) && atomic_load(&pm->from->demand.since_us))
        pool_hand_over(LIST_ENTRY(p->idle.prev, struct backend, idle), pm->from);
    free(pm);
}

/* There is room for one more connection. */
static void pool_nudged(struct loop_message *m)
{
    struct pool_message *pm = CONTAINER_OF(m, struct pool_message, msg);

    if (!pm->to_worker->ended && !list_empty(&pm->to->waiting))
        pool_open(pm->to);
    free(pm);
}

/* A pool that waits for another worker to give a connection away. */
static void pool_set_hungry(struct pool *p, bool hungry)
{
    if (p->hungry != hungry) {
        p->hungry = hungry;
        if (hungry)
            atomic_fetch_add(&p->budget->hungry, 1);
        else
            atomic_fetch_sub(&p->budget->hungry, 1);
    }
}

/* Ask for a connection that lies idle elsewhere; one that comes free elsewhere is offered without being asked for. */
static void pool_beg(struct pool *p)
{
    struct pool *other = budget_idle_elsewhere(p->budget, p);

    if (other)
        pool_post(other, p, NULL, 0, pool_asked);
}

static void pool_fail_waiters(struct pool *p, const struct err *e)
{
    while (!list_empty(&p->waiting)) {
        struct session *s = LIST_ENTRY(list_first(&p->waiting), struct session, wait);

        pool_cancel_wait(s);
        session_refused(s, e);
    }
}

/* The reason why no connection can be opened, with the shard's name. */
static void pool_note_error(struct pool *p, const struct err *e)
{
    p->last_error = *e;
    snprintf(p->last_error.message, sizeof(p->last_error.message), "cannot connect to shard \"%s\": %.*s",
             p->shard_name, (int)(sizeof(e->message) / 2), e->message);
}

static void pool_opened(void *arg, struct pgconn *conn, const struct err *e)
{
    struct pool *p = arg;
    struct backend *b;

    p->nconnecting--;
    if (!conn) {
        p->nopen--;
        budget_give(p->budget);
        pool_note_error(p, e);
        p->retry_at_us = loop_now_us(p->worker->loop) + POOL_RETRY_US;
        log_err(LOG_WARN, "pool", "cannot connect to shard", e);
        if (p->nopen == p->nconnecting)
            pool_fail_waiters(p, &p->last_error);
        return;
    }
    b = backend_new(p, conn);
    if (p->retry_at_us) { /* the shard was away: it may be another one */
        p->retry_at_us = 0;
        atomic_store(&p->worker->router->check_schema, true);
    }
    if (p->oids && !oid_map_known(p->oids))
        schema_ask_oids(p->worker, p->set->database);
    if (p->draining)
        backend_close(b);
    else
        pool_put(b);
}

static void pool_connect(struct pool *p, pgconn_done_fn *fn, void *arg)
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
    connector_open(p->worker->router->connector, p->worker->loop, &t, fn, arg);
}

struct pool_apart {
    struct pool *p;
    void (*fn)(void *arg, struct pool *p, struct backend *b, const struct err *e);
    void *arg;
};

static void pool_opened_apart(void *arg, struct pgconn *conn, const struct err *e)
{
    struct pool_apart *a = arg;
    struct pool *p = a->p;
    struct backend *b = NULL;

    p->nconnecting--;
    if (conn) {
        b = backend_new(p, conn);
        backend_set_state(b, BACKEND_LEASED);
    } else {
        p->nopen--;
        budget_give(p->budget);
        pool_note_error(p, e);
    }
    a->fn(a->arg, p, b, &p->last_error);
    free(a);
}

void pool_open_apart(struct pool *p, void (*fn)(void *arg, struct pool *p, struct backend *b, const struct err *e),
                     void *arg)
{
    struct pool_apart *a = mem_zalloc(sizeof(*a));
    bool counted = budget_take(p->budget, UINT32_MAX);

    BUG_ON(!counted);
    *a = (struct pool_apart){ .p = p, .fn = fn, .arg = arg };
    pool_connect(p, pool_opened_apart, a);
}

/* Open connections for those who wait, as far as the budget goes. */
static void pool_open(struct pool *p)
{
    while (p->nconnecting < p->nwaiting && !p->draining) {
        if (!budget_take(p->budget, pool_limit(p, p->nconnecting < p->nfront))) {
            pool_set_hungry(p, true);
            pool_beg(p);
            return;
        }
        pool_connect(p, pool_opened, p);
    }
    pool_set_hungry(p, false);
}

static void pool_lease(struct pool *p, struct backend *b, struct session *s)
{
    list_remove(&b->idle);
    pool_count_idle(p, -1);
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
    pool_count_idle(p, -1);
    backend_set_state(b, BACKEND_CLEANING);
    backend_internal(b, p->worker->config->server_check_query, pool_checked);
}

/* The last of those who hold leases elsewhere, or the head of the queue. */
static struct list *pool_last_front(struct pool *p)
{
    struct list *at = &p->waiting;

    for (uint32_t i = 0; i < p->nfront; i++)
        at = at->next;
    return at;
}

static void pool_enqueue(struct pool *p, struct session *s, bool front)
{
    BUG_ON(s->wait_pool);
    s->wait_pool = p;
    s->wait_since_us = loop_now_us(p->worker->loop);
    s->wait_front = front;
    p->nwaiting++;
    if (front) {
        list_insert(pool_last_front(p), &s->wait);
        p->nfront++;
    } else {
        list_push_back(&p->waiting, &s->wait);
    }
    pool_publish_demand(p);
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
    pool_enqueue(p, s, front);
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
    if (s->wait_front)
        p->nfront--;
    s->wait_front = false;
    pool_publish_demand(p);
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

/* More connections are open than there may be: pool_size was made smaller, or this one is of the reserve. */
static bool pool_is_surplus(const struct pool *p, const struct pool *heir)
{
    bool front = p->nfront > 0 || (heir && atomic_load(&heir->demand.front));

    return atomic_load_explicit(&p->budget->open, memory_order_relaxed) > pool_limit(p, front);
}

void pool_put(struct backend *b)
{
    struct pool *p = b->pool, *heir = budget_heir(p->budget, p);

    if (p->draining || UNLIKELY(pool_is_surplus(p, heir))) {
        backend_close(b);
        return;
    }
    if (b->state != BACKEND_IDLE)
        backend_set_state(b, BACKEND_IDLE);
    list_push_front(&p->idle, &b->idle);
    pool_count_idle(p, 1);
    if (UNLIKELY(heir != NULL)) {
        pool_hand_over(b, heir);
    } else if (!list_empty(&p->waiting)) {
        struct session *s = LIST_ENTRY(list_first(&p->waiting), struct session, wait);

        pool_note_wait(p, s);
        pool_cancel_wait(s);
        pool_lease(p, b, s);
        session_granted(s);
    }
}

static void pool_cleaned(struct backend *b, bool ok)
{
    if (!ok) {
        backend_close(b);
        return;
    }
    pool_release(b);
}

/* DISCARD ALL also forgot what was prepared. */
static void pool_note_discarded(struct backend *b)
{
    backend_forget_statements(b);
    kept_clear(&b->kept);
    b->dirty = false;
    env_unref(b->env);
    env_unref(b->env_next);
    b->env = env_base(b->pool->set->envs);
    b->env_next = env_ref(b->env);
}

static void pool_discarded(struct backend *b, bool ok)
{
    pool_note_discarded(b);
    pool_cleaned(b, ok);
}

/* Temporary tables that have grown are emptied. */
static void pool_sweep(struct backend *b)
{
    struct strbuf sql = STRBUF_INIT;

    kept_sweep(&b->kept, &sql);
    backend_internal(b, strbuf_str(&sql), pool_cleaned);
    strbuf_fini(&sql);
}

/* --- handing a connection to another worker --- */

static void pool_received(struct loop_message *m)
{
    struct pool_message *pm = CONTAINER_OF(m, struct pool_message, msg);
    struct pool *p = pm->to;

    atomic_fetch_sub(&p->demand.incoming, 1);
    if (pm->to_worker->ended) {
        connector_close(pm->to_worker->router->connector, pm->conn);
    } else {
        struct backend *b = backend_new(p, pm->conn);

        b->opened_us = pm->opened_us;
        p->nopen++;
        pool_put(b);
    }
    free(pm);
}

static void pool_handed_over(struct backend *b, bool ok)
{
    struct pool *p = b->pool, *to = b->heir;
    uint64_t opened_us = b->opened_us;

    pool_note_discarded(b);
    if (!ok || b->tx != 'I' || p->draining) {
        backend_close(b);
        return;
    }
    b->heir = NULL;
    if (!atomic_load(&to->demand.since_us)) { /* nobody waits there any more */
        atomic_fetch_sub(&to->demand.incoming, 1);
        pool_put(b);
        return;
    }
    p->nopen--;
    pool_post(to, p, backend_detach(b), opened_us, pool_received);
    if (!list_empty(&p->waiting))
        pool_open(p);
}

/* An idle connection goes to another worker's pool. */
static void pool_hand_over(struct backend *b, struct pool *to)
{
    list_remove(&b->idle);
    pool_count_idle(b->pool, -1);
    backend_set_state(b, BACKEND_CLEANING);
    b->heir = to;
    atomic_fetch_add(&to->demand.incoming, 1);
    backend_internal(b, "DISCARD ALL", pool_handed_over);
}

void pool_release(struct backend *b)
{
    struct pool *p = b->pool;
    const struct config *c = p->worker->config;

    if (b->session)
        session_unhold(b->session, b);
    if (UNLIKELY(b->pins) && pin_forget(b))
        b->dirty = true;
    if (b->state == BACKEND_CLOSING)
        return;
    if (b->tx == 'I')
        kept_ended(&b->kept, b->lost);
    b->announced = ANNOUNCED_NOT;
    b->begun = b->wrote = b->unpreparable = false;
    b->used_us = loop_now_us(p->worker->loop);
    if (UNLIKELY(b->tx != 'I' || b->dirty || b->suspect || b->nexpect || b->env->idle_timeout || b->kept.full)) {
        if (b->state != BACKEND_CLEANING)
            backend_set_state(b, BACKEND_CLEANING);
        if (b->nexpect) /* something still runs: it cannot be waited for without a bound */
            backend_close(b);
        else if (b->cancels)
            return; /* backend_cancel_done comes back here (rule P49) */
        else if (b->suspect)
            backend_prove_quiet(b, pool_cleaned);
        else if (b->tx != 'I')
            backend_internal(b, "ROLLBACK", pool_cleaned);
        else if (b->dirty || b->env->idle_timeout)
            backend_internal(b, "DISCARD ALL", pool_discarded);
        else
            pool_sweep(b);
        return;
    }
    if (UNLIKELY(b->used_us - b->opened_us > (uint64_t)c->server_lifetime_ms * 1000u)) {
        backend_close(b);
        return;
    }
    pool_put(b);
}

void pool_forget(struct backend *b)
{
    struct pool *p = b->pool, *heir;

    (void)pin_forget(b);
    if (list_linked(&b->idle)) {
        list_remove(&b->idle);
        pool_count_idle(p, -1);
    }
    if (b->heir) /* lost while it was cleaned for another worker */
        atomic_fetch_sub(&b->heir->demand.incoming, 1);
    b->heir = NULL;
    p->nopen--;
    budget_give(p->budget);
    if (!list_empty(&p->waiting) && loop_now_us(p->worker->loop) >= p->retry_at_us)
        pool_open(p);
    heir = budget_heir(p->budget, p);
    if (UNLIKELY(heir != NULL))
        pool_post(heir, p, NULL, 0, pool_nudged);
}

/* Too old, or idle for too long? A lifetime of 0 is one use. */
static bool pool_is_stale(const struct pool *p, const struct backend *b, uint64_t now_us)
{
    const struct config *c = p->worker->config;

    if (now_us - b->opened_us > (uint64_t)c->server_lifetime_ms * 1000u && (c->server_lifetime_ms || b->queries))
        return true;
    return c->server_idle_timeout_ms && now_us - b->used_us > (uint64_t)c->server_idle_timeout_ms * 1000u;
}

static void pool_refuse_late(struct pool *p, struct session *s, uint64_t now_us)
{
    struct err e = ERR_INIT;

    pool_cancel_wait(s);
    if (p->last_error.message[0] && p->nopen == p->nconnecting) {
        e = p->last_error;
    } else {
        err_set(&e, PB0302, "no connection to shard \"%s\" became free in time", p->shard_name);
        err_detail(&e, "Waited %llu ms (query_wait_timeout); %u connections are open (pool_size %u).",
                   (unsigned long long)((now_us - s->wait_since_us) / 1000), atomic_load(&p->budget->open),
                   p->set->limits->pool_size);
        err_hint(&e, "Raise pool_size, or look for long transactions with SHOW CLIENTS on the console.");
    }
    session_refused(s, &e);
}

static void pool_tick_waiting(struct pool *p, uint64_t now_us)
{
    LIST_FOREACH(node, &p->waiting)
    {
        struct session *s = LIST_ENTRY(node, struct session, wait);
        uint64_t limit_us = s->limits->query_wait_timeout_ms * 1000u;
        uint64_t waited_us = now_us > s->wait_since_us ? now_us - s->wait_since_us : 0;

        if (limit_us && waited_us >= limit_us)
            pool_refuse_late(p, s, now_us);
    }
    if (!list_empty(&p->waiting) && now_us >= p->retry_at_us)
        pool_open(p);
}

void pool_tick(struct pool *p, uint64_t now_us)
{
    LIST_FOREACH(node, &p->idle)
    {
        struct backend *b = LIST_ENTRY(node, struct backend, idle);

        if (p->draining || pool_is_stale(p, b, now_us) || pool_is_surplus(p, NULL))
            backend_close(b);
    }
    LIST_FOREACH(node, &p->all)
    {
        backend_tick(LIST_ENTRY(node, struct backend, node), now_us);
    }
    pool_tick_waiting(p, now_us);
}

/* --- pool sets --- */

/* Budgets of their own: of the home shard's pool for gathering, and of the one for notifications. */
#define GATHER_BUDGET 0x80000000u
#define NOTIFY_BUDGET 0x40000000u

static struct pool *pool_new(struct poolset *ps, const struct map_shard *shard, uint32_t budget)
{
    struct pool *p = mem_zalloc(sizeof(*p));

    p->worker = ps->worker;
    p->set = ps;
    p->shard_id = shard->id;
    p->shard_name = mem_strdup(shard->name);
    p->conninfo = mem_strdup(shard->conninfo);
    p->budget = budget_get(ps->worker->router, ps->database, ps->user, shard->id | budget);
    atomic_store(&p->budget->pools[ps->worker->index], p);
    list_init(&p->all);
    list_init(&p->idle);
    list_init(&p->waiting);
    return p;
}

struct pool *pool_new_apart(struct poolset *ps)
{
    const struct map_db *db = worker_find_db(ps->worker, span_str(ps->database))->map;

    return pool_new(ps, &db->shards[db->home], NOTIFY_BUDGET);
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

void poolset_set_oids(struct poolset *ps, struct oid_maps *m)
{
    for (uint32_t i = 0; i < ps->npool; i++) {
        struct pool *p = ps->pools[i];

        oid_maps_unref(p->oid_maps);
        p->oid_maps = m ? oid_maps_ref(m) : NULL;
        p->oids = oid_maps_find(m, p->shard_id, i == ps->home);
    }
}

void poolset_follow(struct poolset *ps, const struct map_db *db, uint64_t epoch)
{
    struct pool **pools = mem_zalloc(db->nshard * sizeof(*pools));

    for (uint32_t i = 0; i < db->nshard; i++) {
        pools[i] = poolset_find(ps, db->shards[i].id);
        if (!pools[i] || strcmp(pools[i]->conninfo, db->shards[i].conninfo) != 0)
            pools[i] = pool_new(ps, &db->shards[i], 0);
    }
    for (uint32_t i = 0; i < ps->npool; i++) {
        bool kept = false;

        for (uint32_t j = 0; j < db->nshard; j++)
            kept = kept || pools[j] == ps->pools[i];
        if (!kept)
            pool_drain(ps->pools[i]);
    }
    if (!ps->gather || strcmp(ps->gather->conninfo, db->shards[db->home].conninfo) != 0) {
        if (ps->gather)
            pool_drain(ps->gather);
        ps->gather = pool_new(ps, &db->shards[db->home], GATHER_BUDGET);
    }
    hub_follow(ps->hub, &db->shards[db->home]);
    free(ps->pools);
    ps->pools = pools;
    ps->npool = db->nshard;
    ps->map_epoch = epoch;
    ps->home = db->home;
    poolset_set_oids(ps, worker_find_db(ps->worker, span_str(ps->database))->oids);
}

struct poolset *poolset_get(struct worker *w, struct span database, struct span user)
{
    struct worker_db *db = worker_find_db(w, database);
    uint64_t hash = hash_seeded(user.ptr, user.len, hash_seeded(database.ptr, database.len, w->hash_seed));
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
    ps->limits = config_user(w->config, ps->user);
    list_init(&ps->logins);
    hmap_insert(&w->poolsets, &ps->node, hash);
    poolset_follow(ps, db->map, w->map->epoch);
    return ps;
}

void pool_free(struct pool *p)
{
    while (!list_empty(&p->all))
        backend_close(LIST_ENTRY(list_first(&p->all), struct backend, node));
    pool_set_hungry(p, false);
    oid_maps_unref(p->oid_maps);
    free(p->shard_name);
    free(p->conninfo);
    free(p);
}

void poolset_free(struct poolset *ps)
{
    for (uint32_t i = 0; i < ps->npool; i++)
        pool_free(ps->pools[i]);
    pool_free(ps->gather);
    hub_free(ps->hub);
    env_table_free(ps->envs);
    template_free(ps);
    free(ps->pools);
    free(ps->database);
    free(ps->user);
    free(ps);
}
