#include "router/txn/recovery.h"

#include "base/fault.h"
#include "base/hash.h"
#include "base/hmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "net/pgconn.h"
#include "planner/catalog.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/txn/fate.h"
#include "router/txn/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOTED_SHARDS   8192u /* of shards with higher ids it is found out by PREPARE */
#define MAX_REMEMBERED 10000u
#define LOOK_AGAIN_S   1 /* something is left */

/* A prepared transaction that was seen lately: what is said about it is said once. */
struct remembered {
    struct hmap_node node;
    uint64_t look;   /* when last */
    uint32_t warned; /* BIT(enum fate) of what has been said */
    char *gtid;      /* owned; NULL: none of ours */
    char gid[];
};

/* Where a shard's log was at the last look. */
struct position {
    struct hmap_node node; /* by shard id */
    char lsn[32];
};

struct recovery {
    struct router *router;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, kicked;
    _Atomic uint64_t unprepared[NOTED_SHARDS / 64]; /* by shard id */
    /* the thread's own */
    struct hmap remembered, positions;
    uint64_t look;
    struct recovery_stats now;
    struct recovery_stats stats; /* what others may see; under lock */
};

/* One look at everything. */
struct look {
    struct recovery *v;
    struct ask ask;
    bool *done_standbys; /* by index into ask.shards: seen, and its standbys have replayed the last look's position */
    uint64_t since;      /* the gate's time when the present shard was asked */
    bool left;           /* something will have to be looked at again soon */
};

/* --- what has been said --- */

static uint64_t gid_hash(const char *gid)
{
    return hash_seeded(gid, strlen(gid), 0);
}

static struct remembered *remember(struct recovery *v, const struct prepared_xact *x)
{
    struct remembered *m;

    for (struct hmap_node *node = hmap_first(&v->remembered, gid_hash(x->gid)); node; node = hmap_next(node)) {
        m = CONTAINER_OF(node, struct remembered, node);
        if (strcmp(m->gid, x->gid) == 0) {
            m->look = v->look;
            return m;
        }
    }
    if (v->remembered.count >= MAX_REMEMBERED)
        return NULL;
    m = mem_zalloc(sizeof(*m) + strlen(x->gid) + 1);
    memcpy(m->gid, x->gid, strlen(x->gid));
    m->gtid = x->gtid ? mem_strdup(x->gtid) : NULL;
    m->look = v->look;
    hmap_insert(&v->remembered, &m->node, gid_hash(m->gid));
    return m;
}

static void forget(struct recovery *v, struct remembered *m)
{
    hmap_remove(&v->remembered, &m->node);
    free(m->gtid);
    free(m);
}

struct stale {
    struct recovery *v;
    struct remembered *found;
};

static void find_stale(struct hmap_node *node, void *arg)
{
    struct remembered *m = CONTAINER_OF(node, struct remembered, node);
    struct stale *st = arg;

    if (m->look + 2 <= st->v->look)
        st->found = m;
}

/* What has not been seen in two looks at all shards is over. */
static void forget_stale(struct recovery *v)
{
    struct stale st = { .v = v };

    do {
        st.found = NULL;
        hmap_each(&v->remembered, find_stale, &st);
        if (st.found)
            forget(v, st.found);
    } while (st.found);
}

static bool first_time(struct remembered *m, enum fate fate)
{
    if (!m || m->warned & BIT(fate))
        return false;
    m->warned |= BIT(fate);
    return true;
}

static const char *position_of(struct recovery *v, uint32_t shard)
{
    for (struct hmap_node *node = hmap_first(&v->positions, shard); node; node = hmap_next(node))
        return CONTAINER_OF(node, struct position, node)->lsn;
    return "0/0";
}

static void note_position(struct recovery *v, uint32_t shard, const char *lsn)
{
    struct hmap_node *node = hmap_first(&v->positions, shard);
    struct position *p = node ? CONTAINER_OF(node, struct position, node) : mem_zalloc(sizeof(*p));

    memcpy(p->lsn, lsn, sizeof(p->lsn));
    if (!node)
        hmap_insert(&v->positions, &p->node, shard);
}

/* --- one prepared transaction --- */

static void finish(struct look *l, struct asked_shard *on, const struct prepared_xact *x, bool commit)
{
    struct err e = ERR_INIT;

    FAULT("recovery.before_finish");
    if (!fate_finish(on->conn, x, commit, &e)) {
        l->left = true;
        l->v->now.waiting++;
        log_err(LOG_WARN, "recovery", "cannot finish a prepared transaction", &e);
        gate_doubt_again(l->v->router->gate, span_str(x->gtid));
        return;
    }
    FAULT("recovery.after_finish");
    if (commit)
        l->v->now.committed++;
    else
        l->v->now.aborted++;
    log_line(LOG_WARN, "recovery", commit ? "committed a prepared transaction" : "rolled back a prepared transaction",
             "gid=%s shard=%s", x->gid, on->shard->name);
}

static void warn_foreign(struct look *l, const struct asked_shard *on, const struct prepared_xact *x)
{
    uint64_t limit_ms = l->v->router->config->prepared_transaction_warning_ms;

    if (!limit_ms || x->age_ms < limit_ms)
        return;
    l->v->now.foreign++;
    if (first_time(remember(l->v, x), FATE_FOREIGN))
        log_line(LOG_WARN, "recovery",
                 "a prepared transaction that is not pgbraid's holds back vacuum and replication slots",
                 "shard=%s age_s=%llu hint=\"SHOW PREPARED on the console; COMMIT PREPARED or ROLLBACK PREPARED "
                 "on the shard\"",
                 on->shard->name, (unsigned long long)(x->age_ms / 1000));
}

static void settle(struct look *l, struct asked_shard *on, const struct prepared_xact *x)
{
    struct recovery *v = l->v;
    struct remembered *m = x->ours ? remember(v, x) : NULL;
    const char *why;
    enum fate fate;

    FAULT("recovery.before_decide");
    fate = fate_of(&l->ask, on, x, &why);
    if (fate == FATE_UNDECIDED) {
        fate = fate_forbid(&l->ask, on, x, &why);
        FAULT("recovery.after_abort_row");
    }
    FAULT("recovery.after_decide");
    /* Scattered reads wait until no shard has a half of it (rule X18). */
    if (fate == FATE_COMMIT || fate == FATE_UNREACHED || fate == FATE_LOST)
        gate_doubt_found(v->router->gate, on->db, span_str(x->gtid), l->since);
    if (fate != FATE_COMMIT && fate != FATE_ABORT && x->ours)
        gate_doubt_again(v->router->gate, span_str(x->gtid));
    switch (fate) {
    case FATE_COMMIT:
    case FATE_ABORT:
        finish(l, on, x, fate == FATE_COMMIT);
        break;
    case FATE_RUNNING:
        l->left = l->left || x->age_ms > 2000;
        break;
    case FATE_UNDECIDED:
    case FATE_UNREACHED:
        l->left = true;
        v->now.waiting++;
        if (first_time(m, fate))
            log_line(LOG_WARN, "recovery", "a prepared transaction waits for its decision",
                     "gid=%s shard=%s why=\"%s\"", x->gid, on->shard->name, why);
        break;
    case FATE_LOST:
        v->now.alarmed++;
        if (first_time(m, fate))
            log_line(
                LOG_ERROR, "recovery", "a prepared transaction whose decision may be lost: nothing is presumed",
                "gid=%s shard=%s age_s=%llu why=\"%s\" hint=\"it holds locks, and back vacuum: RESOLVE TRANSACTION "
                "'%s' COMMIT or ABORT on the console\"",
                x->gid, on->shard->name, (unsigned long long)(x->age_ms / 1000), why, x->gtid);
        break;
    case FATE_FOREIGN:
        warn_foreign(l, on, x);
        break;
    }
}

/* --- one shard --- */

/* Somebody has dropped or changed what decides: commits are refused until it is there again. */
static void repair(struct asked_shard *on)
{
    struct err e = ERR_INIT;
    struct pgresult *r = pgconn_query(on->conn, catalog_bootstrap_sql(), &e);

    if (r)
        log_line(LOG_ERROR, "recovery", "pgbraid's table of decisions was dropped or changed: it has been made again",
                 "shard=%s", on->shard->name);
    else
        log_err(LOG_ERROR, "recovery", "pgbraid's table of decisions was dropped or changed and cannot be made again",
                &e);
    pgresult_free(r);
}

static void look_at_shard(struct look *l, uint32_t i)
{
    struct recovery *v = l->v;
    struct asked_shard *on = &l->ask.shards[i];
    struct prepared_scan scan;
    struct err e = ERR_INIT;

    l->since = gate_now(v->router->gate);
    if (!ask_conn(&l->ask, on, &e) ||
        !prepared_scan(on->conn, position_of(v, on->shard->id), &l->ask.arena, &scan, &e)) {
        /* Nothing is concluded from a shard that says nothing. */
        v->now.unseen++;
        l->left = true;
        return;
    }
    recovery_note_unprepared(v, on->shard->id, scan.unprepared);
    if (!scan.intact)
        repair(on);
    for (size_t k = 0; k < scan.n; k++) {
        if (scan.v[k].age_ms / 1000 > v->now.oldest_s)
            v->now.oldest_s = scan.v[k].age_ms / 1000;
        settle(l, on, &scan.v[k]);
    }
    gate_shard_clean(v->router->gate, on->shard->id, l->since);
    l->done_standbys[i] = scan.caught_up;
    note_position(v, on->shard->id, scan.lsn);
}

/* --- rows that nobody can ask for any more --- */

struct seen_lately {
    const char *gtid;
    bool found;
};

static void find_gtid(struct hmap_node *node, void *arg)
{
    const struct remembered *m = CONTAINER_OF(node, struct remembered, node);
    struct seen_lately *seen = arg;

    seen->found = seen->found || (m->gtid && strcmp(m->gtid, seen->gtid) == 0);
}

/* Every participant was looked at, twice, and has nothing of it prepared; so have its standbys (rule X2). */
static bool is_acknowledged(struct look *l, const char *gtid, const char *participants)
{
    struct seen_lately seen = { .gtid = gtid };

    for (const char *p = participants; *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : "") {
        const struct asked_shard *s = ask_shard(&l->ask, (uint32_t)strtoul(p, NULL, 10));

        if (!s || !l->done_standbys[s - l->ask.shards])
            return false;
    }
    hmap_each(&l->v->remembered, find_gtid, &seen);
    return !seen.found;
}

extern const char sql_recovery_old[];

static void forget_decisions(struct look *l, struct asked_shard *on)
{
    /* An eighth later than what is alarmed: clocks of shards differ. */
    const char *after =
        arena_printf(&l->ask.arena, "%.3f", (double)l->v->router->config->decision_retention_ms * 1.125 / 1000.0);
    struct strbuf list = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct pgresult *r = pgconn_query_params(on->conn, sql_recovery_old, 1, &after, &e);
    const char *gone;

    for (int i = 0; r && i < pgresult_rows(r); i++) {
        const char *gtid = pgresult_value(r, i, 0);

        if (is_acknowledged(l, gtid, pgresult_value(r, i, 1)) && strpbrk(gtid, "{},\"\\ ") == NULL)
            strbuf_printf(&list, "%s%s", list.len ? "," : "{", gtid);
    }
    pgresult_free(r);
    if (list.len) {
        strbuf_putc(&list, '}');
        gone = list.ptr;
        r = pgconn_query_params(on->conn, "DELETE FROM pgbraid.decisions WHERE gtid = ANY ($1::pg_catalog.text[])", 1,
                                &gone, &e);
        if (r && strncmp(pgresult_tag(r), "DELETE ", 7) == 0)
            l->v->now.forgotten += strtoull(pgresult_tag(r) + 7, NULL, 10);
        pgresult_free(r);
    }
    strbuf_fini(&list);
}

/* Idempotency keys are kept as long as they can be of use. A thousand at a look: what is left is for the next. */
static void forget_keys(struct look *l, struct asked_shard *on)
{
    const char *after =
        arena_printf(&l->ask.arena, "%.3f", (double)l->v->router->config->idempotency_retention_ms / 1000.0);
    struct err e = ERR_INIT;
    struct pgresult *r =
        pgconn_query_params(on->conn,
                            "DELETE FROM pgbraid.idempotency_keys WHERE key IN (SELECT k.key FROM "
                            "pgbraid.idempotency_keys k WHERE k.used_at < pg_catalog.now() - $1::pg_catalog.float8 * "
                            "INTERVAL '1 second' ORDER BY k.used_at LIMIT 1000)",
                            1, &after, &e);

    pgresult_free(r);
}

/* --- the thread --- */

static void publish(struct recovery *v)
{
    pthread_mutex_lock(&v->lock);
    v->stats = v->now;
    pthread_mutex_unlock(&v->lock);
}

static bool is_stopping(struct recovery *v)
{
    bool stop;

    pthread_mutex_lock(&v->lock);
    stop = v->stop;
    pthread_mutex_unlock(&v->lock);
    return stop;
}

/* Seconds until the next look. */
static time_t look(struct recovery *v)
{
    struct look l = { .v = v };
    time_t pause;

    v->look++;
    v->now.looks++;
    v->now.waiting = v->now.alarmed = v->now.foreign = v->now.unseen = v->now.oldest_s = 0;
    ask_init(&l.ask, v->router);
    l.done_standbys = ARENA_ARRAY(&l.ask.arena, bool, l.ask.n ? l.ask.n : 1);
    for (uint32_t i = 0; i < l.ask.n; i++) {
        if (is_stopping(v)) /* servers that do not answer are waited for one after another */
            v->now.unseen++;
        else
            look_at_shard(&l, i);
    }
    for (uint32_t i = 0; i < l.ask.n; i++) {
        if (l.ask.shards[i].broken)
            repair(&l.ask.shards[i]);
    }
    if (v->now.unseen == 0)
        forget_stale(v);
    for (uint32_t i = 0; i < l.ask.n; i++) {
        if (!l.ask.shards[i].conn || is_stopping(v))
            continue;
        forget_decisions(&l, &l.ask.shards[i]);
        forget_keys(&l, &l.ask.shards[i]);
    }
    publish(v);
    pause = l.left ? LOOK_AGAIN_S : 10 + (time_t)l.ask.n / 8;
    ask_fini(&l.ask);
    return pause;
}

static void *recovery_main(void *arg)
{
    struct recovery *v = arg;

    pthread_mutex_lock(&v->lock);
    while (!v->stop) {
        struct timespec until;
        time_t pause;

        v->kicked = false;
        pthread_mutex_unlock(&v->lock);
        pause = look(v);
        /* What was settled on one shard may have been looked for too early on another. */
        if (pause > LOOK_AGAIN_S && gate_in_doubt(v->router->gate))
            pause = look(v);
        if (gate_in_doubt(v->router->gate))
            pause = LOOK_AGAIN_S;
        pthread_mutex_lock(&v->lock);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += pause;
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

void recovery_get_stats(struct recovery *v, struct recovery_stats *out)
{
    pthread_mutex_lock(&v->lock);
    *out = v->stats;
    pthread_mutex_unlock(&v->lock);
}

void recovery_free(struct recovery *v)
{
    struct hmap_node *node;

    if (!v)
        return;
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_signal(&v->wake);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    while ((node = hmap_any(&v->remembered)))
        forget(v, CONTAINER_OF(node, struct remembered, node));
    hmap_fini(&v->remembered);
    while ((node = hmap_any(&v->positions))) {
        hmap_remove(&v->positions, node);
        free(CONTAINER_OF(node, struct position, node));
    }
    hmap_fini(&v->positions);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->lock);
    free(v);
}
