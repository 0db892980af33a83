#include "router/txn/fate.h"

#include "base/strbuf.h"
#include "net/pgconn.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/txn/gtid.h"
#include "shardmap/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char sql_recovery_scan[];

/* --- all shards --- */

void ask_init(struct ask *k, const struct router *r)
{
    uint32_t n = 0;

    *k = (struct ask){ .router = r, .map = directory_snapshot(r->directory) };
    arena_init(&k->arena, 0);
    for (uint32_t d = 0; d < k->map->ndb; d++)
        n += k->map->dbs[d].nshard;
    k->shards = ARENA_ARRAY(&k->arena, struct asked_shard, n ? n : 1);
    for (uint32_t d = 0; d < k->map->ndb; d++) {
        for (uint32_t i = 0; i < k->map->dbs[d].nshard; i++)
            k->shards[k->n++] =
                (struct asked_shard){ .db = &k->map->dbs[d], .shard = &k->map->dbs[d].shards[i], .error = ERR_INIT };
    }
}

void ask_fini(struct ask *k)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->shards[i].conn)
            pgconn_close_blocking(k->shards[i].conn);
    }
    map_unref(k->map);
    arena_fini(&k->arena);
}

struct pgconn *ask_conn(struct ask *k, struct asked_shard *s, struct err *e)
{
    if (!s->tried) {
        s->tried = true;
        s->conn = decision_open(k->router, s->shard, &s->error);
    }
    if (!s->conn)
        *e = s->error;
    return s->conn;
}

struct asked_shard *ask_shard(struct ask *k, uint32_t id)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->shards[i].shard->id == id)
            return &k->shards[i];
    }
    return NULL;
}

/* --- prepared transactions --- */

static void read_xact(const struct pgresult *r, int row, struct arena *a, struct prepared_xact *x)
{
    struct span gtid;

    *x = (struct prepared_xact){ .gid = arena_strdup(a, pgresult_value(r, row, 0)),
                                 .owner = arena_strdup(a, pgresult_value(r, row, 1)),
                                 .age_ms = strtoull(pgresult_value(r, row, 2), NULL, 10),
                                 .prepared_us = strtoull(pgresult_value(r, row, 3), NULL, 10) };
    if (pgresult_value(r, row, 2)[0] == '-') /* the clock was set back */
        x->age_ms = 0;
    x->ours = gid_parse(span_str(x->gid), &gtid, &x->decider, &x->shard);
    if (x->ours)
        x->gtid = arena_spandup(a, gtid);
}

bool prepared_scan(struct pgconn *c, const char *lsn, struct arena *a, struct prepared_scan *out, struct err *e)
{
    struct pgresult *r = pgconn_query_params(c, sql_recovery_scan, 1, &lsn, e);
    const char *now;
    int n;

    if (!r)
        return false;
    n = pgresult_rows(r);
    *out = (struct prepared_scan){ .v = ARENA_ARRAY(a, struct prepared_xact, n) };
    for (int i = 0; i < n; i++) {
        if (pgresult_value(r, i, 0))
            read_xact(r, i, a, &out->v[out->n++]);
    }
    out->unprepared = strcmp(pgresult_value(r, 0, 4), "0") == 0;
    out->intact = pgresult_value(r, 0, 5)[0] == 't';
    out->caught_up = pgresult_value(r, 0, 6)[0] == 't';
    now = pgresult_value(r, 0, 7);
    snprintf(out->lsn, sizeof(out->lsn), "%s", now ? now : "0/0");
    pgresult_free(r);
    return true;
}

/* --- fate --- */

const char *fate_name(enum fate fate)
{
    static const char *const names[] = {
#define X(id, name) [id] = (name),
        FATES(X)
#undef X
    };

    return names[fate];
}

/* No row: was there one that is gone? By the age of the gid and of the table (rule X2). */
static enum fate fate_without_row(const struct router *r, const struct prepared_xact *x, const struct decision *d,
                                  const char **why)
{
    if (x->age_ms > r->config->decision_retention_ms) {
        *why = "it is older than decision_retention";
        return FATE_LOST;
    }
    if (d->since_us == UINT64_MAX || x->prepared_us < d->since_us) {
        *why = "the table of decisions of the shard that decides is newer than it, or was emptied";
        return FATE_LOST;
    }
    /* A router that is gone leaves no open transaction behind; one that hangs is not waited for much longer than its
     * own limit. */
    if (d->running && x->age_ms < r->config->commit_timeout_ms + 5000)
        return FATE_RUNNING;
    return FATE_UNDECIDED;
}

static enum fate fate_by_row(const struct ask *k, const struct asked_shard *on, const struct prepared_xact *x,
                             const struct decision *d, const char **why)
{
    switch (d->state) {
    case DECISION_COMMITTED:
        /* Whoever may prepare transactions may give one a name that he has read. */
        return decision_lists(d->participants, on->shard->id) ? FATE_COMMIT : FATE_ABORT;
    case DECISION_ABORTED:
        return FATE_ABORT;
    case DECISION_NONE:
        break;
    }
    return fate_without_row(k->router, x, d, why);
}

static struct pgconn *decider_conn(struct ask *k, const struct prepared_xact *x, enum fate *fate, const char **why)
{
    struct asked_shard *decider = ask_shard(k, x->decider);
    struct err e = ERR_INIT;
    struct pgconn *c = decider ? ask_conn(k, decider, &e) : NULL;

    if (!decider) {
        *why = "the shard that decides is not in the directory";
        *fate = FATE_LOST;
    } else if (!c) {
        *why = arena_printf(&k->arena, "shard \"%s\", which decides, cannot be reached: %s", decider->shard->name,
                            e.message);
        *fate = FATE_UNREACHED;
    }
    return c;
}

enum fate fate_of(struct ask *k, const struct asked_shard *on, const struct prepared_xact *x, const char **why)
{
    enum fate fate = FATE_FOREIGN;
    struct err e = ERR_INIT;
    struct decision d;
    struct pgconn *c;

    *why = "";
    if (!x->ours)
        return FATE_FOREIGN;
    if (x->shard != on->shard->id) {
        *why = "it was prepared on another shard, or by another installation";
        return FATE_LOST;
    }
    if (gtid_is_live(k->router->gtids, span_str(x->gtid)))
        return FATE_RUNNING;
    c = decider_conn(k, x, &fate, why);
    if (!c)
        return fate;
    if (!decision_look(k->router, c, x->decider, x->gtid, &k->arena, &d, &e)) {
        if (strcmp(e.sqlstate, "42P01") == 0 || strcmp(e.sqlstate, "3F000") == 0)
            ask_shard(k, x->decider)->broken = true;
        *why = arena_printf(&k->arena, "the decision cannot be read: %s", e.message);
        return FATE_UNREACHED;
    }
    return fate_by_row(k, on, x, &d, why);
}

enum fate fate_forbid(struct ask *k, const struct asked_shard *on, const struct prepared_xact *x, const char **why)
{
    enum fate fate = FATE_FOREIGN;
    struct pgconn *c = decider_conn(k, x, &fate, why);
    struct err e = ERR_INIT;

    if (!c)
        return fate;
    /* Who holds the row's key for so long has lost its router (rule X10); its row is not there next time. */
    if (!decision_forbid(c, x->gtid, &e)) {
        *why = arena_printf(&k->arena, "the decision cannot be written: %s", e.message);
        if (strcmp(e.sqlstate, "55P03") == 0)
            decision_end_running(c, x->gtid);
        return FATE_UNREACHED;
    }
    fate = fate_of(k, on, x, why);
    if (fate == FATE_ABORT)
        decision_end_running(c, x->gtid);
    return fate;
}

static bool run(struct pgconn *c, const char *sql, struct err *e)
{
    struct pgresult *r = pgconn_query(c, sql, e);

    pgresult_free(r);
    return r != NULL;
}

/* Only a superuser may finish what another role has prepared; a member of that role may become it (rule X7). */
static bool finish_as_owner(struct pgconn *c, const struct prepared_xact *x, const char *sql, struct err *e)
{
    struct strbuf role = STRBUF_INIT;
    struct err ignored = ERR_INIT;
    bool ok;

    strbuf_puts(&role, "SET ROLE ");
    strbuf_put_ident(&role, span_str(x->owner));
    ok = run(c, role.ptr, e) && run(c, sql, e);
    strbuf_fini(&role);
    (void)!run(c, "RESET ROLE", &ignored);
    return ok;
}

bool fate_finish(struct pgconn *c, const struct prepared_xact *x, bool commit, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    bool ok;

    strbuf_puts(&sql, commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ");
    strbuf_put_literal(&sql, span_str(x->gid));
    ok = run(c, sql.ptr, e);
    if (!ok && strcmp(e->sqlstate, "42501") == 0)
        ok = finish_as_owner(c, x, sql.ptr, e);
    strbuf_fini(&sql);
    return ok || strcmp(e->sqlstate, "42704") == 0;
}
