#include "router/recovery.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "router/config.h"
#include "router/decision.h"
#include "router/gtid.h"
#include "router/router.h"
#include "shardmap/directory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOTED_SHARDS 8192u /* of shards with higher ids it is found out by PREPARE */
#define LOOK_IDLE_S  60    /* nothing is known to be left */
#define LOOK_AGAIN_S 1     /* something is */

struct recovery {
    struct router *router;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, kicked;
    _Atomic uint64_t unprepared[NOTED_SHARDS / 64]; /* by shard id */
};

enum fate { FATE_COMMIT, FATE_ABORT, FATE_UNKNOWN };

static struct pgconn *open_shard(const struct recovery *v, const struct map_shard *shard, struct err *e)
{
    struct pgconn_target t = { .conninfo = shard->conninfo,
                               .application_name = "pgbraid recovery",
                               .options = "-c lock_timeout=2s -c statement_timeout=10s -c search_path=pg_catalog",
                               .timeout_ms = (uint32_t)v->router->config->server_connect_timeout_ms };

    return pgconn_open_blocking(&t, e);
}

static const struct map_shard *shard_by_id(const struct map *m, uint32_t id)
{
    for (uint32_t d = 0; d < m->ndb; d++) {
        for (uint32_t i = 0; i < m->dbs[d].nshard; i++) {
            if (m->dbs[d].shards[i].id == id)
                return &m->dbs[d].shards[i];
        }
    }
    return NULL;
}

/* --- the decision --- */

/* A row of ours says commit or abort; one without a valid code may only abort (rule X8). */
static enum fate read_row(const struct recovery *v, const struct pgresult *r, uint32_t decider, const char *gtid)
{
    char mac[HMAC_TEXT_LEN + 1];
    bool ours;

    if (pgresult_value(r, 0, 0)[0] != 't')
        return FATE_ABORT;
    decision_sign(v->router, gtid, decider, pgresult_value(r, 0, 1), mac);
    ours = hmac_equal(mac, span_str(pgresult_value(r, 0, 2)));
    if (!ours)
        log_line(LOG_ERROR, "recovery", "a decision was not written by a router of this directory: it counts as abort",
                 "gtid=%s", gtid);
    return ours ? FATE_COMMIT : FATE_ABORT;
}

/*
 * Who holds the row's key is the decider's transaction, whose router has gone without ending it (a half-open
 * connection, a stopped process): its backend is ended (rule X10).
 */
static void end_blocker(struct pgconn *c, const char *gtid)
{
    struct err e = ERR_INIT;
    struct pgresult *r = pgconn_query_params(c,
                                             "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l "
                                             "JOIN pg_catalog.pg_stat_activity a USING (pid) "
                                             "WHERE l.locktype = 'advisory' AND l.database = (SELECT d.oid FROM "
                                             "pg_catalog.pg_database d WHERE d.datname = "
                                             "pg_catalog.current_database()) AND l.classid = 1348821572 AND l.objid = "
                                             "pg_catalog.hashtext($1)::pg_catalog.oid AND l.granted",
                                             1, &gtid, &e);

    log_line(LOG_WARN, "recovery", "the deciding transaction was still open: its backend is ended", "gtid=%s", gtid);
    pgresult_free(r);
}

static enum fate decide(const struct recovery *v, const struct map_shard *shard, const char *gtid)
{
    struct err e = ERR_INIT;
    struct pgconn *c = open_shard(v, shard, &e);
    struct pgresult *r;
    enum fate fate = FATE_UNKNOWN;

    /* The insert waits for a decider in progress (for lock_timeout), finds the row of one that has committed, or
     * forbids it. */
    r = c ? pgconn_query_params(
                c, "INSERT INTO pgbraid.decisions (gtid, committed) VALUES ($1, false) ON CONFLICT (gtid) DO NOTHING",
                1, &gtid, &e)
          : NULL;
    if (c && !r && strcmp(e.sqlstate, "55P03") == 0)
        end_blocker(c, gtid);
    if (r) {
        pgresult_free(r);
        FAULT("recovery.after_abort_row");
        r = pgconn_query_params(c,
                                "SELECT committed, pg_catalog.array_to_string(participants, ','), mac FROM "
                                "pgbraid.decisions WHERE gtid = $1",
                                1, &gtid, &e);
        if (r && pgresult_rows(r) == 1)
            fate = read_row(v, r, shard->id, gtid);
    }
    if (!r)
        log_err(LOG_WARN, "recovery", "the decision about a distributed transaction cannot be read yet", &e);
    pgresult_free(r);
    if (c)
        pgconn_close_blocking(c);
    return fate;
}

/* --- prepared transactions --- */

static bool settle(const struct recovery *v, const struct map *m, struct pgconn *c, const char *gid)
{
    struct span gtid;
    uint32_t decider, shard;
    const struct map_shard *at;
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r;
    struct err e = ERR_INIT;
    char name[GTID_MAX];
    enum fate fate;

    if (!gid_parse(span_str(gid), &gtid, &decider, &shard) || gtid_is_live(v->router->gtids, gtid))
        return true;
    at = shard_by_id(m, decider);
    if (!at) {
        /* Never presumed aborted: somebody has to look (rule X2). */
        log_line(LOG_ERROR, "recovery", "a prepared transaction names a decider that is not in the directory", "gid=%s",
                 gid);
        return true;
    }
    snprintf(name, sizeof(name), "%.*s", (int)gtid.len, gtid.ptr);
    FAULT("recovery.before_decide");
    fate = decide(v, at, name);
    FAULT("recovery.after_decide");
    if (fate == FATE_UNKNOWN)
        return false;
    strbuf_puts(&sql, fate == FATE_COMMIT ? "COMMIT PREPARED " : "ROLLBACK PREPARED ");
    strbuf_put_literal(&sql, span_str(gid));
    FAULT("recovery.before_finish");
    r = pgconn_query(c, sql.ptr, &e);
    FAULT("recovery.after_finish");
    strbuf_fini(&sql);
    if (r)
        log_line(LOG_WARN, "recovery",
                 fate == FATE_COMMIT ? "committed a prepared transaction" : "rolled back a prepared transaction",
                 "gid=%s", gid);
    else if (strcmp(e.sqlstate, "42704") != 0) /* somebody else has finished it */
        log_err(LOG_WARN, "recovery", "cannot finish a prepared transaction", &e);
    pgresult_free(r);
    return r || strcmp(e.sqlstate, "42704") == 0;
}

/* False: something is left, or cannot be seen. */
static bool look_at_shard(const struct recovery *v, const struct map *m, const struct map_shard *shard)
{
    struct err e = ERR_INIT;
    struct pgconn *c = open_shard(v, shard, &e);
    struct pgresult *r;
    bool done = true;

    if (!c)
        return false;
    r = pgconn_query(c,
                     "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE gid LIKE 'pgbraid:%' AND database = "
                     "pg_catalog.current_database()",
                     &e);
    for (int i = 0; r && i < pgresult_rows(r); i++)
        done = settle(v, m, c, pgresult_value(r, i, 0)) && done;
    if (!r)
        done = false;
    pgresult_free(r);
    pgconn_close_blocking(c);
    return done;
}

/* Rows that nothing can ask for any more: old, and no transaction that was there when an abort row was written is left
 * (X1, X2). */
static void forget_decisions(const struct recovery *v, const struct map_shard *shard)
{
    struct err e = ERR_INIT;
    struct pgconn *c = open_shard(v, shard, &e);
    struct pgresult *r =
        c ? pgconn_query(c,
                         "DELETE FROM pgbraid.decisions d WHERE decided_at < pg_catalog.now() - interval '7 days' "
                         "AND d.xmin::pg_catalog.text::pg_catalog.int8 < "
                         "pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text::pg_catalog."
                         "int8 % 4294967296",
                         &e)
          : NULL;

    pgresult_free(r);
    if (c)
        pgconn_close_blocking(c);
}

/* True: nothing is left anywhere. */
static bool look(const struct recovery *v)
{
    struct map *m = directory_snapshot(v->router->directory);
    bool done = true;

    for (uint32_t d = 0; d < m->ndb; d++) {
        for (uint32_t i = 0; i < m->dbs[d].nshard; i++)
            done = look_at_shard(v, m, &m->dbs[d].shards[i]) && done;
    }
    for (uint32_t d = 0; done && d < m->ndb; d++) {
        for (uint32_t i = 0; i < m->dbs[d].nshard; i++)
            forget_decisions(v, &m->dbs[d].shards[i]);
    }
    map_unref(m);
    return done;
}

static void *recovery_main(void *arg)
{
    struct recovery *v = arg;

    pthread_mutex_lock(&v->lock);
    while (!v->stop) {
        struct timespec until;
        bool done;

        v->kicked = false;
        pthread_mutex_unlock(&v->lock);
        done = look(v);
        pthread_mutex_lock(&v->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += done ? LOOK_IDLE_S : LOOK_AGAIN_S;
        while (!v->stop && !v->kicked && pthread_cond_timedwait(&v->wake, &v->lock, &until) == 0)
            ;
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

struct recovery *recovery_new(struct router *r)
{
    struct recovery *v = mem_zalloc(sizeof(*v));
    pthread_condattr_t attr;

    v->router = r;
    pthread_mutex_init(&v->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->wake, &attr);
    pthread_condattr_destroy(&attr);
    BUG_ON(pthread_create(&v->thread, NULL, recovery_main, v) != 0);
    return v;
}

void recovery_note_unprepared(struct recovery *v, uint32_t shard, bool unprepared)
{
    uint64_t bit = UINT64_C(1) << (shard % 64);

    if (shard >= NOTED_SHARDS)
        return;
    if (unprepared)
        atomic_fetch_or(&v->unprepared[shard / 64], bit);
    else
        atomic_fetch_and(&v->unprepared[shard / 64], ~bit);
}

bool recovery_is_unprepared(const struct recovery *v, uint32_t shard)
{
    return shard < NOTED_SHARDS && (atomic_load(&v->unprepared[shard / 64]) >> (shard % 64) & 1);
}

void recovery_kick(struct recovery *v)
{
    pthread_mutex_lock(&v->lock);
    v->kicked = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

void recovery_free(struct recovery *v)
{
    if (!v)
        return;
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->lock);
    free(v);
}
