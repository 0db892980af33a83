#include "router/schema.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "router/call.h"
#include "router/config/config.h"
#include "router/control.h"
#include "router/router.h"
#include "router/server/differ.h"
#include "router/server/oids.h"
#include "router/session/session.h"
#include "router/txn/recovery.h"
#include "router/worker.h"
#include "shardmap/directory.h"
#include "shardmap/placement.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct catalog *session_catalog(const struct session *s)
{
    return UNLIKELY(s->txn.catalog) ? s->txn.catalog : s->db->catalog;
}

#define DIFFERENCE_SETTLES_MS 100u

/* --- told to every worker --- */

struct told {
    const char *database;
    struct catalog *catalog;
    struct oid_maps *oids;
    int hold;
    uint32_t busy;
    bool transactions;
};

static void tell_catalog(struct worker *w, void *arg)
{
    const struct told *t = arg;

    worker_set_catalog(w, t->database, t->catalog, t->oids);
}

static void tell_hold(struct worker *w, void *arg)
{
    const struct told *t = arg;

    worker_hold(w, t->database, (enum hold)t->hold);
}

static void ask_busy(struct worker *w, void *arg)
{
    struct told *t = arg;

    t->busy += worker_busy(w, t->database, t->transactions);
}

void schema_hold_blocking(struct router *r, const char *database, int hold)
{
    struct told t = { .database = database, .hold = hold };

    router_call_all(r, tell_hold, &t);
}

uint32_t schema_busy_blocking(struct router *r, const char *database, bool transactions)
{
    struct told t = { .database = database, .transactions = transactions };

    router_call_all(r, ask_busy, &t);
    return t.busy;
}

/* --- loading --- */

static struct catalog *schema_read(struct pgconn *conn, uint64_t epoch, struct err *e)
{
    struct pgresult *r = pgconn_query(conn, catalog_sql(), e);
    struct catalog_builder *b;
    struct span cols[64];
    int ncol;
    bool ok = true;

    if (!r)
        return NULL;
    b = catalog_builder_new(epoch);
    ncol = pgresult_columns(r);
    if (ncol > (int)ARRAY_LEN(cols))
        ncol = (int)ARRAY_LEN(cols);
    for (int i = 0; ok && i < pgresult_rows(r); i++) {
        for (int c = 0; c < ncol; c++)
            cols[c] = span_make(pgresult_value(r, i, c), pgresult_length(r, i, c));
        ok = catalog_builder_row(b, (uint32_t)ncol, cols, e);
    }
    pgresult_free(r);
    if (!ok) {
        catalog_builder_free(b);
        return NULL;
    }
    return catalog_builder_finish(b, e);
}

/* PostgreSQL's default forbids two-phase commit: said once, before a transaction over several shards is refused for it.
 */
static void warn_unprepared(struct router *router, const struct map_shard *shard, struct pgconn *conn)
{
    struct err e = ERR_INIT;
    struct pgresult *r = pgconn_query(conn, "SELECT pg_catalog.current_setting('max_prepared_transactions')", &e);

    if (r)
        recovery_note_unprepared(router->recovery, shard->id, strcmp(pgresult_value(r, 0, 0), "0") == 0);
    if (recovery_is_unprepared(router->recovery, shard->id))
        log_line(LOG_WARN, "schema", "a shard has no prepared transactions: what writes on it and on others fails",
                 "shard=%s hint=\"set max_prepared_transactions there, at least to the number of its connections, or "
                 "commit = "
                 "best_effort here\"",
                 shard->name);
    pgresult_free(r);
}

/* Keys of another shard's range cannot be written here (rule P19): the table is pgbraid's, so nobody shards it. */
static bool place_keys(const struct map_shard *shard, struct pgconn *conn, struct err *e)
{
    static const struct placement_key key = { .ncolumn = 1, .columns = { "key" }, .types = { KEY_TEXT } };
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r = NULL;

    strbuf_puts(&sql, "DO $place$ BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
                      "'pgbraid.idempotency_keys'::pg_catalog.regclass AND conname = '" PLACEMENT_CONSTRAINT
                      "') THEN ALTER TABLE pgbraid.idempotency_keys ADD CONSTRAINT " PLACEMENT_CONSTRAINT " CHECK (");
    if (placement_condition_sql(&key, &shard->range, &sql, e)) {
        strbuf_puts(&sql, "); END IF; END $place$");
        r = pgconn_query(conn, sql.ptr, e);
    }
    strbuf_fini(&sql);
    pgresult_free(r);
    return r != NULL;
}

/* What pgbraid needs on each shard; a shard that is down gets it when it is first seen again, by the next load. */
static bool schema_bootstrap(struct router *router, const struct map_shard *shard, uint32_t timeout_ms, bool must,
                             struct err *e)
{
    struct pgconn_target t = { .conninfo = shard->conninfo,
                               .options = "-c default_transaction_read_only=off",
                               .application_name = "pgbraid",
                               .timeout_ms = timeout_ms };
    struct pgconn *conn = pgconn_open_blocking(&t, e);
    struct pgresult *r = conn ? pgconn_query(conn, catalog_bootstrap_sql(), e) : NULL;
    bool ok = r != NULL && place_keys(shard, conn, e);

    pgresult_free(r);
    if (ok)
        warn_unprepared(router, shard, conn);
    if (conn)
        pgconn_close_blocking(conn);
    if (!ok && !must)
        log_err(LOG_WARN, "schema", "cannot prepare a shard", e);
    return ok;
}

struct table_list {
    struct directory_table *v;
    size_t n, cap;
};

static void table_list_add(const struct catalog_table *t, void *arg)
{
    struct table_list *l = arg;
    struct directory_table *d;

    if (t->dist == DIST_UNSHARDED)
        return;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = mem_realloc(l->v, l->cap * sizeof(*l->v));
    }
    d = &l->v[l->n++];
    *d = (struct directory_table){ .schema = t->schema,
                                   .name = t->name,
                                   .dist = t->dist,
                                   .vindex = t->identity_vindex ? VINDEX_IDENTITY : VINDEX_HASH,
                                   .nkey = t->nkey,
                                   .has_identity = t->has_identity };
    for (uint32_t i = 0; i < t->nkey && i < ARRAY_LEN(d->key_columns); i++) {
        d->key_columns[i] = t->key_columns[i];
        d->key_types[i] = t->key_types[i];
        d->key_typmods[i] = t->key_typmods[i];
    }
}

/* The directory caches what the shards say (rule P39). */
static void schema_cache(struct router *r, const char *database, const struct catalog *c)
{
    struct table_list l = { 0 };
    struct err e = ERR_INIT;

    catalog_each_table(c, table_list_add, &l);
    if (!directory_replace_tables(r->directory, database, l.v, l.n, &e))
        log_err(LOG_WARN, "schema", "cannot note the tables in the directory", &e);
    free(l.v);
}

/*
 * Shards do not commit a DDL statement at the same moment: what they differ in has to be there for longer than that.
 * Somebody who commits after us loads the catalog again.
 */
static void settle_differences(struct differ *d, const struct map_db *db, uint32_t timeout_ms)
{
    struct differ again;

    if (d->n == 0)
        return;
    usleep(DIFFERENCE_SETTLES_MS * 1000);
    differ_init(&again);
    differ_load(&again, db, timeout_ms, d);
    differ_keep(d, &again);
    differ_fini(&again);
}

static void log_differences(const struct differ *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        log_line(LOG_WARN, "schema", "a table is not the same on a shard as on the home shard",
                 "table=%s.%s shard=%s difference=\"%s\"", d->v[i].schema, d->v[i].table, d->v[i].shard, d->v[i].what);
}

/* What shards differ in now. */
static void ask_differences(struct router *r, const struct map_db *db, struct differ *d)
{
    uint32_t timeout_ms = (uint32_t)r->config->server_connect_timeout_ms;
    struct differ before;

    differ_init(&before);
    differ_notes_get(r->differ_notes, db->name, &before);
    differ_load(d, db, timeout_ms, &before);
    settle_differences(d, db, timeout_ms);
    differ_fini(&before);
}

/* Ask the shards, and remember what they say; else what they have said. */
static void note_differences(struct router *r, const struct map_db *db, bool ask, struct catalog *c)
{
    struct differ d;

    differ_init(&d);
    if (ask) {
        ask_differences(r, db, &d);
        log_differences(&d);
        differ_notes_put(r->differ_notes, db->name, &d);
    } else {
        differ_notes_get(r->differ_notes, db->name, &d);
    }
    catalog_set_differences(c, d.v, d.n);
    differ_fini(&d);
}

static bool all_answered(const struct map_db *db, const struct oid_maps *oids)
{
    bool all = true;

    for (uint32_t i = 0; i < db->nshard; i++)
        all = all && (i == db->home || oid_map_known(oid_maps_find(oids, db->shards[i].id, false)));
    return all;
}

/* The catalog and, in *oids, the object ids that go with it; the caller's references. NULL: the error. */
static struct catalog *schema_load(struct router *r, const char *database, bool bootstrap, struct oid_maps **oids,
                                   struct err *e)
{
    struct map *m = directory_snapshot(r->directory);
    const struct map_db *db = map_find_db(m, span_str(database));
    struct catalog *c = NULL;
    struct pgconn *conn;
    uint32_t timeout_ms = (uint32_t)r->config->server_connect_timeout_ms;

    if (!db) {
        err_set(e, PB0306, "database \"%s\" does not exist", database);
        map_unref(m);
        return NULL;
    }
    if (bootstrap) {
        struct err other = ERR_INIT;

        for (uint32_t i = 0; i < db->nshard; i++) {
            if (i != db->home)
                (void)schema_bootstrap(r, &db->shards[i], timeout_ms, false, &other);
        }
    }
    if (!bootstrap || schema_bootstrap(r, &db->shards[db->home], timeout_ms, true, e)) {
        struct pgconn_target t = { .conninfo = db->shards[db->home].conninfo,
                                   .options = "-c search_path=pg_catalog",
                                   .application_name = "pgbraid",
                                   .timeout_ms = timeout_ms };

        conn = pgconn_open_blocking(&t, e);
        if (conn) {
            c = schema_read(conn, atomic_fetch_add(&r->catalog_epoch, 1) + 1, e);
            pgconn_close_blocking(conn);
        }
    }
    if (c) {
        *oids = oid_maps_load(db, timeout_ms);
        /* The first time nobody knows. But nobody is to wait longer for a shard that is away. */
        bool ask = bootstrap && !catalog_all_home(c);

        if (ask && !all_answered(db, *oids)) {
            ask = false;
            atomic_store(&r->check_schema, true);
        }
        note_differences(r, db, ask, c);
        schema_cache(r, database, c);
    }
    map_unref(m);
    return c;
}

bool schema_reload_blocking(struct router *r, const char *database, struct err *e)
{
    struct told t = { .database = database };

    t.catalog = schema_load(r, database, false, &t.oids, e);
    if (!t.catalog)
        return false;
    router_call_all(r, tell_catalog, &t);
    catalog_unref(t.catalog);
    oid_maps_unref(t.oids);
    return true;
}

/* --- asked for by workers --- */

struct schema_job {
    struct control_job job;
    struct worker *worker;
    char *database;
    bool first, ok;
    struct catalog
        *known; /* a reference; load it again only if shards differ in something else now. NULL: in any case */
    struct err error;
    void (*done)(void *arg, const struct err *e);
    void *arg;
};

/* Do shards differ in something else than the catalog knows of? */
static bool schema_differs(struct router *r, const char *database, const struct catalog *known)
{
    struct map *m = directory_snapshot(r->directory);
    const struct map_db *db = map_find_db(m, span_str(database));
    struct differ d;
    bool differs;

    differ_init(&d);
    if (db)
        ask_differences(r, db, &d);
    differs = db && !differ_as_in(&d, known);
    if (differs) {
        log_differences(&d);
        differ_notes_put(r->differ_notes, database, &d);
    }
    differ_fini(&d);
    map_unref(m);
    return differs;
}

static void schema_run(struct control_job *job)
{
    struct schema_job *j = CONTAINER_OF(job, struct schema_job, job);
    struct router *r = j->worker->router;
    struct told t = { .database = j->database };
    struct err e = ERR_INIT;

    if (j->known && !schema_differs(r, j->database, j->known)) {
        j->ok = true;
        return;
    }
    t.catalog = schema_load(r, j->database, j->first, &t.oids, &j->error);
    if (!t.catalog)
        return;
    router_call_all(r, tell_catalog, &t);
    catalog_unref(t.catalog);
    oid_maps_unref(t.oids);
    j->ok = true;
    /* A router that has just started may have loaded what was there before. */
    if (!j->first && !j->known && !directory_touch(r->directory, &e))
        log_err(LOG_WARN, "schema", "other routers cannot be told of a changed schema", &e);
}

static void schema_first_done(struct schema_job *j)
{
    struct worker_db *db = worker_find_db(j->worker, span_str(j->database));

    if (!db)
        return;
    db->catalog_asked = false;
    if (j->ok)
        return; /* worker_set_catalog has let the logins go on */
    log_err(LOG_WARN, "schema", "cannot load the catalog", &j->error);
    while (!list_empty(&db->held_sessions)) {
        struct session *s = LIST_ENTRY(list_first(&db->held_sessions), struct session, wait);

        list_remove(&s->wait);
        session_fatal(s, &j->error);
    }
}

static void schema_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct schema_job *j = CONTAINER_OF(job, struct schema_job, job);

    if (j->first)
        schema_first_done(j);
    else
        j->done(j->arg, j->ok ? NULL : &j->error);
    catalog_unref(j->known);
    free(j->database);
    free(j);
}

static void schema_submit(struct schema_job *j)
{
    j->job.loop = j->worker->loop;
    j->job.run = schema_run;
    j->job.done.fn = schema_done;
    if (!control_submit(j->worker->router->control, &j->job)) {
        err_set(&j->error, PB0302, "too many jobs wait for the control threads");
        schema_done(&j->job.done);
    }
}

void schema_ask(struct worker *w, struct worker_db *db)
{
    struct schema_job *j;

    if (db->catalog_asked)
        return;
    db->catalog_asked = true;
    j = mem_zalloc(sizeof(*j));
    j->worker = w;
    j->database = mem_strdup(db->name);
    j->first = true;
    schema_submit(j);
}

void schema_reload(struct worker *w, const char *database, void (*done)(void *arg, const struct err *e), void *arg)
{
    const struct worker_db *db = worker_find_db(w, span_str(database));
    const struct catalog_difference *v;
    struct schema_job *j = mem_zalloc(sizeof(*j));

    j->worker = w;
    j->database = mem_strdup(database);
    j->done = done;
    j->arg = arg;
    if (db && db->catalog && catalog_differences(db->catalog, &v)) /* DDL may have mended it */
        atomic_store(&w->router->check_schema, true);
    schema_submit(j);
}

struct oids_ask {
    struct worker *worker;
    char *database;
};

static void oids_asked(void *arg, const struct err *e)
{
    struct oids_ask *ask = arg;
    struct worker_db *db = worker_find_db(ask->worker, span_str(ask->database));

    if (e)
        log_err(LOG_WARN, "schema", "cannot load the catalog", e);
    if (db)
        db->oids_asked = false;
    free(ask->database);
    free(ask);
}

void schema_ask_oids(struct worker *w, const char *database)
{
    struct worker_db *db = worker_find_db(w, span_str(database));
    struct oids_ask *ask;

    if (!db || !db->catalog || db->oids_asked) /* without a catalog one is on its way */
        return;
    atomic_store(&w->router->check_schema, true);
    db->oids_asked = true;
    ask = mem_zalloc(sizeof(*ask));
    ask->worker = w;
    ask->database = mem_strdup(database);
    schema_reload(w, database, oids_asked, ask);
}

static void check_one(struct hmap_node *node, void *arg)
{
    struct worker_db *db = CONTAINER_OF(node, struct worker_db, node);
    struct worker *w = arg;
    struct schema_job *j;
    struct oids_ask *ask;

    if (!db->catalog || catalog_all_home(db->catalog))
        return;
    if (db->oids_asked) { /* later */
        atomic_store(&w->router->check_schema, true);
        return;
    }
    db->oids_asked = true;
    ask = mem_zalloc(sizeof(*ask));
    ask->worker = w;
    ask->database = mem_strdup(db->name);
    j = mem_zalloc(sizeof(*j));
    j->worker = w;
    j->database = mem_strdup(db->name);
    j->known = catalog_ref(db->catalog);
    j->done = oids_asked;
    j->arg = ask;
    schema_submit(j);
}

void schema_check(struct worker *w)
{
    hmap_each(&w->dbs, check_one, w);
}
