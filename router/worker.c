#include "router/worker.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/auth/access.h"
#include "router/config/config.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/notify.h"
#include "router/server/oids.h"
#include "router/server/pool.h"
#include "router/server/template.h"
#include "router/session/prepared.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/deadlock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TICK_MS 250u

static void worker_accept(void *arg, int fd, const struct listener_peer *peer)
{
    session_accept(arg, fd, peer);
}

static struct planner *worker_planner(const struct config *c)
{
    struct planner_options o = {
        .cache_entries = c->plan_cache_entries,
        .cache_bytes = c->plan_cache_size,
        .sharding_keys = c->sharding_key,
        .safe_functions = c->safe_functions,
    };

    return planner_new(&o);
}

/* --- timeouts --- */

static bool past(uint64_t now_us, uint64_t since_us, uint64_t limit_ms)
{
    return limit_ms && now_us > since_us && now_us - since_us > limit_ms * 1000u;
}

static void tick_session(struct session *s, uint64_t now_us)
{
    const struct config *c = s->worker->config;
    const struct config_user *u = s->limits ? s->limits : &c->everybody;
    struct err e = ERR_INIT;

    switch (s->state) {
    case SESSION_STARTUP:
    case SESSION_AUTH:
    case SESSION_LOGIN:
        if (past(now_us, s->since_us, c->client_login_timeout_ms)) {
            err_set(&e, PB0312, "login took too long (client_login_timeout)");
            session_fatal(s, &e);
        }
        break;
    case SESSION_READY:
        if (s->txn.env && past(now_us, s->active_us, setting_timeout_ms(s, "idle_in_transaction_session_timeout"))) {
            err_set(&e, PB0309, "terminating connection due to idle-in-transaction timeout");
            err_state(&e, "25P03");
            session_fatal(s, &e);
        } else if (!s->txn.env && past(now_us, s->active_us, setting_timeout_ms(s, "idle_session_timeout"))) {
            err_set(&e, PB0307, "terminating connection due to idle-session timeout");
            err_state(&e, "57P05");
            session_fatal(s, &e);
        } else if (s->txn.env && past(now_us, s->active_us, u->idle_transaction_timeout_ms)) {
            err_set(&e, PB0309, "terminating connection due to idle-in-transaction timeout (idle_transaction_timeout)");
            err_state(&e, "25P03");
            session_fatal(s, &e);
        } else if (!s->txn.env && past(now_us, s->active_us, u->client_idle_timeout_ms)) {
            err_set(&e, PB0307, "terminating connection due to idle timeout (client_idle_timeout)");
            err_state(&e, "57P05");
            session_fatal(s, &e);
        }
        break;
    case SESSION_RUNNING:
        if (s->exec && exec_in_two_phase(s->exec)) {
            if (past(now_us, exec_commit_since(s->exec), c->commit_timeout_ms))
                exec_commit_expired(s->exec);
        } else if (past(now_us, s->active_us, u->query_timeout_ms)) {
            s->active_us = now_us;
            s->own_cancel = true;
            session_cancel(s);
        }
        break;
    case SESSION_HELD:
        if (past(now_us, s->wait_since_us, u->query_wait_timeout_ms)) {
            err_set(&e, PB0309, "canceling statement: the database was paused for too long (query_wait_timeout)");
            err_hint(&e, "RESUME on the console lets statements run again.");
            session_refuse_held(s, &e);
        }
        break;
    case SESSION_WAITING:
    case SESSION_CLOSING:
        break;
    }
}

static void tick_poolset(struct hmap_node *node, void *arg)
{
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);

    for (uint32_t i = 0; i < ps->npool; i++)
        pool_tick(ps->pools[i], *(uint64_t *)arg);
    pool_tick(ps->gather, *(uint64_t *)arg);
    hub_tick(ps->hub, *(uint64_t *)arg);
}

/* Shutting down: idle clients are told to go; when all have gone the loop ends. */
static void worker_drain(struct worker *w)
{
    struct err e = ERR_INIT;
    int stop = atomic_load(&w->router->stop);

    w->draining = true;
    if (w->listener)
        listener_stop(w->listener);
    if (w->unix_listener)
        listener_stop(w->unix_listener);
    err_set(&e, PB0307, "terminating connection: the router is shutting down");
    LIST_FOREACH(node, &w->sessions)
    {
        struct session *s = LIST_ENTRY(node, struct session, node);

        if (stop > 1 || s->state == SESSION_STARTUP || s->state == SESSION_AUTH || s->state == SESSION_LOGIN ||
            (s->state == SESSION_READY && !s->txn.env))
            session_fatal(s, &e);
    }
    if (w->nsession == 0)
        loop_stop(w->loop);
}

/* One worker does it for all. */
static void worker_check_schema(struct worker *w, uint64_t now_us)
{
    uint64_t every_us = w->config->schema_check_interval_ms * 1000;

    if (w->index != 0 ||
        (!atomic_exchange(&w->router->check_schema, false) && (!every_us || now_us < w->schema_checked_us + every_us)))
        return;
    w->schema_checked_us = now_us;
    schema_check(w);
}

static void worker_tick(struct loop_timer *t)
{
    struct worker *w = CONTAINER_OF(t, struct worker, tick);
    uint64_t now_us = loop_now_us(w->loop);
    bool waits = false;

    worker_check_schema(w, now_us);

    hmap_each(&w->poolsets, tick_poolset, &now_us);
    LIST_FOREACH(node, &w->sessions)
    {
        struct session *s = LIST_ENTRY(node, struct session, node);

        waits = waits || deadlock_waits_long(s, now_us);
        deadlock_announce(s, now_us);
        tick_session(s, now_us);
    }
    if (waits)
        deadlock_wake(w->router->deadlock);
    if (atomic_load(&w->router->stop))
        worker_drain(w);
    loop_timer_start(&w->tick, TICK_MS);
}

/* --- life --- */

/* At least one, but for 0. */
static uint32_t seconds_of(uint64_t ms)
{
    return (uint32_t)((ms + 999) / 1000);
}

struct worker *worker_new(struct router *r, unsigned index, struct err *e)
{
    const struct listener_keepalive keepalive = {
        .idle_s = seconds_of(r->config->tcp_keepidle_ms),
        .interval_s = seconds_of(r->config->tcp_keepintvl_ms),
        .count = r->config->tcp_keepcnt,
        .user_timeout_ms = (uint32_t)r->config->tcp_user_timeout_ms,
    };
    struct worker *w = mem_zalloc(sizeof(*w));

    w->router = r;
    w->index = index;
    w->next_session = 1;
    BUG_ON(getrandom(&w->hash_seed, sizeof(w->hash_seed), 0) != sizeof(w->hash_seed));
    list_init(&w->sessions);
    list_init(&w->prepared_lru);
    arena_init(&w->scratch, 0);
    w->config = config_ref(r->config);
    w->access = access_ref(r->access);
    w->config_max_prepared = w->config->max_prepared_statements;
    w->planner = worker_planner(w->config);
    w->loop = loop_new();
    loop_timer_init(&w->tick, w->loop, worker_tick);
    w->listener = listener_new(w->loop, w->config->listen_addr, r->port ? r->port : (int)w->config->port, true,
                               worker_accept, w, e);
    if (!w->listener) {
        worker_free(w);
        return NULL;
    }
    listener_set_keepalive(w->listener, &keepalive);
    if (r->port == 0)
        r->port = listener_port(w->listener);
    if (index == 0 && w->config->unix_socket_dir[0]) {
        w->unix_listener = listener_new(w->loop, w->config->unix_socket_dir, r->port, false, worker_accept, w, e);
        if (!w->unix_listener) {
            worker_free(w);
            return NULL;
        }
    }
    return w;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    loop_timer_start(&w->tick, TICK_MS);
    loop_run(w->loop);
    return NULL;
}

void worker_start(struct worker *w)
{
    pthread_attr_t attr;

    BUG_ON(pthread_attr_init(&attr) != 0);
    BUG_ON(pthread_attr_setstacksize(&attr, PLANNER_STACK_BYTES + (1u << 20)) != 0);
    BUG_ON(pthread_create(&w->thread, &attr, worker_main, w) != 0);
    pthread_attr_destroy(&attr);
}

static void worker_db_free(struct worker_db *db)
{
    catalog_unref(db->catalog);
    oid_maps_unref(db->oids);
    free(db->name);
    free(db);
}

void worker_free(struct worker *w)
{
    struct hmap_node *node;

    w->ended = true;
    while (!list_empty(&w->sessions))
        session_close(LIST_ENTRY(list_first(&w->sessions), struct session, node));
    /* Answers of the connector are about pools and server connections. */
    loop_drain(w->loop);
    template_forget_logins(w);
    prepared_trim(w, 0);
    while ((node = hmap_any(&w->poolsets))) {
        hmap_remove(&w->poolsets, node);
        poolset_free(CONTAINER_OF(node, struct poolset, node));
    }
    while ((node = hmap_any(&w->dbs))) {
        hmap_remove(&w->dbs, node);
        worker_db_free(CONTAINER_OF(node, struct worker_db, node));
    }
    hmap_fini(&w->poolsets);
    hmap_fini(&w->dbs);
    hmap_fini(&w->session_ids);
    hmap_fini(&w->prepared);
    listener_free(w->listener);
    listener_free(w->unix_listener);
    loop_timer_fini(&w->tick);
    planner_free(w->planner);
    config_unref(w->config);
    access_unref(w->access);
    map_unref(w->map);
    strbuf_fini(&w->out);
    loop_free(w->loop);
    arena_fini(&w->scratch);
    free(w);
}

static void poolset_limits_visit(struct hmap_node *node, void *arg)
{
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);

    ps->limits = config_user(arg, ps->user);
}

void worker_set_config(struct worker *w, const struct config *c, struct access *a)
{
    const struct config *old = w->config;

    w->config = config_ref(c);
    hmap_each(&w->poolsets, poolset_limits_visit, (void *)(uintptr_t)c);
    LIST_FOREACH(node, &w->sessions)
    {
        struct session *s = LIST_ENTRY(node, struct session, node);

        if (s->limits)
            s->limits = config_user(c, s->user);
    }
    config_unref(old);
    access_unref(w->access);
    w->access = access_ref(a);
    w->config_max_prepared = c->max_prepared_statements;
    planner_free(w->planner);
    w->planner = worker_planner(c);
}

/* --- maps and catalogs --- */

static uint64_t name_hash(const struct worker *w, struct span name)
{
    return hash_seeded(name.ptr, name.len, w->hash_seed);
}

struct worker_db *worker_find_db(struct worker *w, struct span name)
{
    for (struct hmap_node *node = hmap_first(&w->dbs, name_hash(w, name)); node; node = hmap_next(node)) {
        struct worker_db *db = CONTAINER_OF(node, struct worker_db, node);

        if (span_eq_str(name, db->name))
            return db->map ? db : NULL;
    }
    return NULL;
}

static void db_follow(struct hmap_node *node, void *arg)
{
    struct worker *w = arg;
    struct worker_db *db = CONTAINER_OF(node, struct worker_db, node);

    db->map = map_find_db(w->map, span_str(db->name));
}

static void poolset_follow_visit(struct hmap_node *node, void *arg)
{
    struct worker *w = arg;
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);
    const struct map_db *db = map_find_db(w->map, span_str(ps->database));

    if (db)
        poolset_follow(ps, db, w->map->epoch);
}

void worker_set_map(struct worker *w, struct map *m)
{
    struct map *old = w->map;

    if (old && old->epoch >= m->epoch)
        return;
    w->map = map_ref(m);
    hmap_each(&w->dbs, db_follow, w);
    for (uint32_t i = 0; i < m->ndb; i++) {
        struct worker_db *db = worker_find_db(w, span_str(m->dbs[i].name));

        if (db)
            continue;
        db = mem_zalloc(sizeof(*db));
        db->name = mem_strdup(m->dbs[i].name);
        db->map = &m->dbs[i];
        list_init(&db->held_sessions);
        hmap_insert(&w->dbs, &db->node, name_hash(w, span_str(db->name)));
    }
    hmap_each(&w->poolsets, poolset_follow_visit, w);
    map_unref(old);
}

/* Sessions that waited; each may queue itself again. */
static void db_wake(struct worker_db *db)
{
    struct list waiting;

    list_init(&waiting);
    while (!list_empty(&db->held_sessions)) {
        struct list *node = list_first(&db->held_sessions);

        list_remove(node);
        list_push_back(&waiting, node);
    }
    while (!list_empty(&waiting)) {
        struct session *s = LIST_ENTRY(list_first(&waiting), struct session, wait);

        list_remove(&s->wait);
        session_released(s);
    }
}

static void poolset_oids_visit(struct hmap_node *node, void *arg)
{
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);
    const struct worker_db *db = arg;

    if (strcmp(ps->database, db->name) == 0)
        poolset_set_oids(ps, db->oids);
}

void worker_set_catalog(struct worker *w, const char *name, struct catalog *c, struct oid_maps *oids)
{
    struct worker_db *db = worker_find_db(w, span_str(name));

    if (!db || (db->catalog && catalog_epoch(db->catalog) >= catalog_epoch(c)))
        return;
    catalog_unref(db->catalog);
    db->catalog = catalog_ref(c);
    oid_maps_unref(db->oids);
    db->oids = oid_maps_ref(oids);
    hmap_each(&w->poolsets, poolset_oids_visit, db);
    if (db->hold == HOLD_NONE)
        db_wake(db);
}

void worker_hold(struct worker *w, const char *name, enum hold hold)
{
    struct worker_db *db = worker_find_db(w, span_str(name));

    if (!db)
        return;
    db->hold = hold;
    if (hold == HOLD_NONE)
        db_wake(db);
}

uint32_t worker_busy(struct worker *w, const char *name, bool transactions)
{
    uint32_t n = 0;

    LIST_FOREACH(node, &w->sessions)
    {
        const struct session *s = LIST_ENTRY(node, struct session, node);

        /* An exec has its plan already, also while it waits for a connection. */
        n += s->db && strcmp(s->db->name, name) == 0 && !s->in_job &&
             (s->state == SESSION_RUNNING || s->exec || (transactions && s->txn.env));
    }
    return n;
}
