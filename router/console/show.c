/*
 * The console's SHOW commands.
 */
#include "base/mem.h"
#include "router/call.h"
#include "router/config/config.h"
#include "router/console/console_int.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/notify.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/txn/gate.h"
#include "router/version.h"
#include "router/worker.h"
#include "shardmap/directory.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool each_database(struct console *c, void (*fn)(struct console *c, const struct directory_database *db),
                          struct err *e)
{
    struct directory_database *dbs;
    size_t n;

    if (!directory_list(c->router->directory, &c->arena, &dbs, &n, e))
        return false;
    for (size_t i = 0; i < n; i++)
        fn(c, &dbs[i]);
    return true;
}

static void database_row(struct console *c, const struct directory_database *db)
{
    CONSOLE_ROW(c, db->name, console_number(c, db->nshard), db->home ? db->home : "", db->served ? "yes" : "no",
                db->why_not ? db->why_not : "");
}

bool console_databases(struct console *c, struct err *e)
{
    CONSOLE_COLUMNS(c, "database", "#shards", "home", "served", "why_not");
    return each_database(c, database_row, e);
}

static void shard_rows(struct console *c, const struct directory_database *db)
{
    for (size_t i = 0; i < db->nshard; i++) {
        char range[KEYRANGE_TEXT_MAX];

        CONSOLE_ROW(c, db->name, db->shards[i].name, keyrange_print(&db->shards[i].range, range),
                    db->home && strcmp(db->home, db->shards[i].name) == 0 ? "yes" : "no", db->shards[i].conninfo);
    }
}

bool console_shards(struct console *c, struct err *e)
{
    CONSOLE_COLUMNS(c, "database", "shard", "key_range", "home", "conninfo");
    return each_database(c, shard_rows, e);
}

static void key_range_rows(struct console *c, const struct directory_database *db)
{
    for (size_t i = 0; i < db->nshard; i++) {
        char range[KEYRANGE_TEXT_MAX];
        const struct keyrange *r = &db->shards[i].range;

        CONSOLE_ROW(c, db->name, keyrange_print(r, range), db->shards[i].name,
                    arena_printf(&c->arena, "%016" PRIx64, r->start),
                    r->unbounded ? "" : arena_printf(&c->arena, "%016" PRIx64, r->end));
    }
}

bool console_key_ranges(struct console *c, struct err *e)
{
    CONSOLE_COLUMNS(c, "database", "key_range", "shard", "first_id", "end_id");
    return each_database(c, key_range_rows, e);
}

struct tables_ask {
    struct console *c;
    const char *database;
};

static void table_row(const struct catalog_table *t, void *arg)
{
    struct tables_ask *a = arg;
    struct strbuf keys = STRBUF_INIT;

    for (uint32_t i = 0; i < t->nkey; i++)
        strbuf_printf(&keys, "%s%s", i ? ", " : "", t->key_columns[i]);
    CONSOLE_ROW(a->c, a->database, arena_strdup(&a->c->arena, t->schema), arena_strdup(&a->c->arena, t->name),
                distribution_name(t->dist), arena_strdup(&a->c->arena, strbuf_str(&keys)),
                t->dist != DIST_SHARDED ? ""
                : t->identity_vindex    ? "identity"
                                        : "hash",
                t->dist != DIST_SHARDED ? ""
                : t->has_identity       ? "yes"
                                        : "no");
    strbuf_fini(&keys);
}

static void tables_of_db(struct hmap_node *node, void *arg)
{
    struct worker_db *db = CONTAINER_OF(node, struct worker_db, node);
    struct tables_ask a = { .c = arg, .database = db->name };

    if (db->catalog)
        catalog_each_table(db->catalog, table_row, &a);
}

static void tables_on_worker(struct worker *w, void *arg)
{
    hmap_each(&w->dbs, tables_of_db, arg);
}

bool console_tables(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "database", "schema", "table", "distribution", "key", "vindex", "can_be_resharded");
    router_call(c->worker, tables_on_worker, c);
    return true;
}

static void differences_of_db(struct hmap_node *node, void *arg)
{
    struct worker_db *db = CONTAINER_OF(node, struct worker_db, node);
    struct console *c = arg;
    const struct catalog_difference *v;
    uint32_t n = db->catalog ? catalog_differences(db->catalog, &v) : 0;

    for (uint32_t i = 0; i < n; i++)
        CONSOLE_ROW(c, db->name, arena_strdup(&c->arena, v[i].schema), arena_strdup(&c->arena, v[i].table),
                    arena_strdup(&c->arena, v[i].shard), arena_strdup(&c->arena, v[i].what));
}

static void differences_on_worker(struct worker *w, void *arg)
{
    hmap_each(&w->dbs, differences_of_db, arg);
}

bool console_differences(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "database", "schema", "table", "shard", "difference");
    router_call(c->worker, differences_on_worker, c);
    return true;
}

/* --- what workers know --- */

/*
 * The pool at one place of a set: those of the shards, then the home shard's for gathering and for notifications. NULL:
 * there is none.
 */
static const struct pool *pool_at(struct console *c, const struct poolset *ps, uint32_t i, const char **name)
{
    const struct pool *p = i < ps->npool ? ps->pools[i] : i == ps->npool ? ps->gather : hub_pool(ps->hub);

    if (!p || (i >= ps->npool && p->nopen == 0 && p->served == 0))
        return NULL;
    *name = i < ps->npool ? p->shard_name
                          : arena_printf(&c->arena, i == ps->npool ? "%s (gather)" : "%s (notify)", p->shard_name);
    return p;
}

static uint64_t pinned_in(const struct pool *p)
{
    uint64_t n = 0;

    LIST_FOREACH(node, &p->all)
    {
        n += LIST_ENTRY(node, struct backend, node)->pins != 0;
    }
    return n;
}

static uint64_t pinned_by(const struct session *s)
{
    uint64_t n = 0;

    for (const struct backend *b = s->held; b; b = b->next_held)
        n += b->pins != 0;
    return n;
}

static void pool_rows(struct hmap_node *node, void *arg)
{
    struct console *c = arg;
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);

    for (uint32_t i = 0; i < ps->npool + 2; i++) {
        const char *name;
        const struct pool *p = pool_at(c, ps, i, &name);

        if (!p)
            continue;
        CONSOLE_ROW(c, ps->database, ps->user, name, console_number(c, ps->worker->index),
                    console_number(c, p->nopen - p->nidle - p->nconnecting), console_number(c, p->nidle),
                    console_number(c, p->nconnecting), console_number(c, p->nwaiting), console_number(c, pinned_in(p)),
                    console_number(c, p->served), console_number(c, p->wait_us), console_number(c, p->max_wait_us),
                    p->last_error.message);
    }
}

static void pools_on_worker(struct worker *w, void *arg)
{
    hmap_each(&w->poolsets, pool_rows, arg);
}

bool console_pools(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "database", "user", "shard", "#worker", "#active", "#idle", "#connecting", "#waiting", "#pinned",
                    "#served", "#wait_us", "#max_wait_us", "last_error");
    router_call_all(c->router, pools_on_worker, c);
    return true;
}

static void clients_on_worker(struct worker *w, void *arg)
{
    struct console *c = arg;
    uint64_t now = loop_now_us(w->loop);

    LIST_FOREACH(node, &w->sessions)
    {
        const struct session *s = LIST_ENTRY(node, struct session, node);
        const char txn[2] = { s->tx, '\0' };

        CONSOLE_ROW(c, console_number(c, s->id), console_number(c, w->index), s->user ? s->user : "",
                    s->database ? s->database : "", s->application ? s->application : "", session_state_name(s->state),
                    arena_strdup(&c->arena, txn), console_number(c, s->nheld), console_number(c, pinned_by(s)),
                    arena_printf(&c->arena, "%s:%d", s->peer.address, s->peer.port), console_number(c, s->queries),
                    console_number(c, (now - s->since_us) / 1000000),
                    console_number(c, (now - s->active_us) / 1000000));
    }
}

bool console_clients(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "#id", "#worker", "user", "database", "application", "state", "transaction", "#leases",
                    "#pinned", "address", "#queries", "#connected_s", "#since_s");
    router_call_all(c->router, clients_on_worker, c);
    return true;
}

static void server_rows(struct hmap_node *node, void *arg)
{
    struct console *c = arg;
    struct poolset *ps = CONTAINER_OF(node, struct poolset, node);
    uint64_t now = loop_now_us(ps->worker->loop);

    for (uint32_t i = 0; i < ps->npool + 2; i++) {
        const char *name;
        const struct pool *p = pool_at(c, ps, i, &name);

        if (!p)
            continue;
        LIST_FOREACH(n, &p->all)
        {
            const struct backend *b = LIST_ENTRY(n, struct backend, node);
            const char txn[2] = { b->tx, '\0' };

            CONSOLE_ROW(c, ps->database, ps->user, name, console_number(c, ps->worker->index),
                        console_number(c, pgconn_pid(b->conn)), backend_state_name(b->state),
                        arena_strdup(&c->arena, txn), b->session ? console_number(c, b->session->id) : NULL,
                        console_number(c, b->nstatement), console_number(c, b->queries),
                        console_number(c, (now - b->opened_us) / 1000000));
        }
    }
}

static void servers_on_worker(struct worker *w, void *arg)
{
    hmap_each(&w->poolsets, server_rows, arg);
}

bool console_servers(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "database", "user", "shard", "#worker", "#pid", "state", "transaction", "#client", "#prepared",
                    "#served", "#age_s");
    router_call_all(c->router, servers_on_worker, c);
    return true;
}

static void stats_on_worker(struct worker *w, void *arg)
{
    struct console *c = arg;
    struct planner_stats ps;

    planner_get_stats(w->planner, &ps);
    CONSOLE_ROW(c, console_number(c, w->index), console_number(c, w->nsession),
                console_number(c, atomic_load(&w->stats.logins)), console_number(c, atomic_load(&w->stats.queries)),
                console_number(c, atomic_load(&w->stats.transactions)),
                console_number(c, atomic_load(&w->stats.scattered)), console_number(c, atomic_load(&w->stats.errors)),
                console_number(c, atomic_load(&w->stats.wait_us)), console_number(c, atomic_load(&w->stats.deadlocks)),
                console_number(c, ps.hits), console_number(c, ps.misses), console_number(c, ps.refused),
                console_number(c, ps.entries), console_number(c, ps.bytes), console_number(c, w->nprepared));
}

bool console_stats(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "#worker", "#clients", "#logins", "#queries", "#transactions", "#scattered", "#errors",
                    "#wait_us", "#deadlocks", "#plan_hits", "#plan_misses", "#plan_refused", "#plans", "#plan_bytes",
                    "#prepared");
    router_call_all(c->router, stats_on_worker, c);
    return true;
}

static void config_row(const struct config_row *row, void *arg)
{
    struct console *c = arg;

    CONSOLE_ROW(c, row->name, row->value, row->def, row->reloadable ? "yes" : "no", row->doc);
}

bool console_gate(struct console *c, struct err *e)
{
    struct gate_stats g;

    (void)e;
    gate_stats(c->router->gate, &g);
    CONSOLE_COLUMNS(c, "open_windows", "partly_visible", "in_doubt", "reads", "retries", "waits", "refused", "accepted",
                    "commits", "held", "held_too_long");
    CONSOLE_ROW(c, console_number(c, g.open), console_number(c, g.partly), console_number(c, g.in_doubt),
                console_number(c, g.reads), console_number(c, g.retries), console_number(c, g.waits),
                console_number(c, g.refused), console_number(c, g.accepted), console_number(c, g.commits),
                console_number(c, g.held), console_number(c, g.expired));
    return true;
}

bool console_config(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "setting", "value", "default", "reloadable", "meaning");
    config_each(c->router->config, config_row, c);
    return true;
}

bool console_version(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "version");
    CONSOLE_ROW(c, "pgbraid " PGBRAID_VERSION_TEXT);
    return true;
}

/* --- SHOW ROUTE FOR --- */

struct route_ask {
    struct console *c;
    const char *database, *sql;
    struct strbuf text;
    bool ok;
    struct err error;
};

static const struct worker_db *only_database(struct worker *w, const char *name, struct err *e)
{
    struct worker_db *db = NULL;

    if (name) {
        db = worker_find_db(w, span_str(name));
        if (!db)
            err_set(e, PB0306, "database \"%s\" does not exist", name);
    } else if (w->map->ndb == 1) {
        db = worker_find_db(w, span_str(w->map->dbs[0].name));
    } else {
        err_set(e, PB0503, "say for which database");
        err_hint(e, "SHOW ROUTE FOR IN DATABASE name SELECT ...");
    }
    if (db && !db->catalog) {
        err_set(e, PB0301, "the catalog of database \"%s\" has not been loaded yet", db->name);
        err_hint(e, "It is loaded when the first client logs in.");
        return NULL;
    }
    return db;
}

static void route_on_worker(struct worker *w, void *arg)
{
    struct route_ask *a = arg;
    const struct plan_env env = {
        .id = UINT32_MAX, .role = a->c->user, .search_path = "\"$user\", public", .parse_settings = ""
    };
    const struct worker_db *db = only_database(w, a->database, &a->error);
    struct literals lits;
    struct route route;
    struct plan *p;

    if (!db)
        return;
    p = planner_plan(w->planner, db->catalog, db->map, &env, span_str(a->sql), NULL, 0, &lits, &a->error);
    while (p && p->expanded) {
        a->sql = arena_strdup(&a->c->arena, p->expanded);
        plan_unref(p);
        p = planner_plan(w->planner, db->catalog, db->map, &env, span_str(a->sql), NULL, 0, &lits, &a->error);
    }
    if (!p)
        return;
    if (p->nparam == 0 && p->kind != PLAN_SESSION && p->kind != PLAN_CONTROL && p->kind != PLAN_EMPTY) {
        a->ok = plan_route(p, db->map, span_str(a->sql), &lits, NULL, &a->c->arena, &route, &a->error);
        if (a->ok)
            plan_print(p, db->map, &route, &a->text);
    } else {
        a->ok = true;
        plan_print(p, db->map, NULL, &a->text);
    }
    plan_unref(p);
}

bool console_route(struct console *c, struct err *e)
{
    struct route_ask a = { .c = c, .sql = c->rest };
    const char *p = c->rest;
    char *word = console_word(c, &p), *line, *save = NULL;

    if (word && strcasecmp(word, "IN") == 0) {
        word = console_word(c, &p);
        if (!word || strcasecmp(word, "DATABASE") != 0)
            return err_set(e, PB0503, "expected IN DATABASE name");
        a.database = console_word(c, &p);
        a.sql = p;
    }
    p = a.sql;
    if (!console_word(c, &p)) {
        err_set(e, PB0503, "the statement is missing");
        return err_hint(e, "SHOW ROUTE FOR SELECT ...");
    }
    router_call(c->worker, route_on_worker, &a);
    CONSOLE_COLUMNS(c, "route");
    if (!a.ok) {
        *e = a.error;
        return false;
    }
    for (line = strtok_r(a.text.ptr, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        CONSOLE_ROW(c, line);
    strbuf_fini(&a.text);
    return true;
}
