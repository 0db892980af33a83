/*
 * The console's commands about distributed transactions: what runs, what is prepared, and an operator's last word.
 */
#include "base/clock.h"
#include "base/log.h"
#include "net/pgconn.h"
#include "router/call.h"
#include "router/config/config.h"
#include "router/console/console_int.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/txn/fate.h"
#include "router/txn/gtid.h"
#include "router/txn/recovery.h"
#include "router/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- SHOW TRANSACTIONS --- */

static void put_name(struct strbuf *sb, const char *name)
{
    strbuf_printf(sb, "%s%s", sb->len ? ", " : "", name);
}

static const char *transaction_phase(const struct session *s)
{
    const char *phase = s->exec ? exec_commit_phase(s->exec) : NULL;

    if (phase)
        return phase;
    if (s->tx == 'E')
        return "failed";
    return s->state == SESSION_READY ? "idle" : session_state_name(s->state);
}

static void transaction_row(struct console *c, const struct worker *w, const struct session *s)
{
    struct strbuf shards = STRBUF_INIT, waiting = STRBUF_INIT;
    uint64_t age_us = clock_wall_us() - gtid_time_us(s->txn.gtid);

    for (const struct backend *b = s->held; b; b = b->next_held) {
        if (b->begun)
            put_name(&shards, b->pool->shard_name);
        if (b->nexpect)
            put_name(&waiting, b->pool->shard_name);
    }
    if (s->state == SESSION_WAITING && s->wait_pool)
        strbuf_printf(&waiting, "a connection to %s", s->wait_pool->shard_name);
    CONSOLE_ROW(c, arena_strdup(&c->arena, s->txn.gtid), s->user, s->database, console_number(c, s->id),
                console_number(c, w->index), arena_strdup(&c->arena, strbuf_str(&shards)), transaction_phase(s),
                console_number(c, (int64_t)age_us > 0 ? age_us / 1000000 : 0),
                arena_strdup(&c->arena, strbuf_str(&waiting)));
    strbuf_fini(&shards);
    strbuf_fini(&waiting);
}

static void transactions_on_worker(struct worker *w, void *arg)
{
    LIST_FOREACH(node, &w->sessions)
    {
        const struct session *s = LIST_ENTRY(node, struct session, node);

        if (s->txn.gtid)
            transaction_row(arg, w, s);
    }
}

bool console_transactions(struct console *c, struct err *e)
{
    (void)e;
    CONSOLE_COLUMNS(c, "gtid", "user", "database", "#client", "#worker", "shards", "phase", "#age_s", "waiting_for");
    router_call_all(c->router, transactions_on_worker, c);
    return true;
}

/* --- SHOW PREPARED --- */

static void prepared_row(struct console *c, struct ask *k, struct asked_shard *on, const struct prepared_xact *x)
{
    const char *why, *fate = fate_name(fate_of(k, on, x, &why));

    CONSOLE_ROW(c, on->db->name, on->shard->name, x->gid, x->gtid, x->owner, fate, console_number(c, x->age_ms / 1000),
                why);
}

bool console_prepared(struct console *c, struct err *e)
{
    struct ask k;

    (void)e;
    CONSOLE_COLUMNS(c, "database", "shard", "gid", "gtid", "owner", "decision", "#age_s", "why");
    ask_init(&k, c->router);
    for (uint32_t i = 0; i < k.n; i++) {
        struct asked_shard *on = &k.shards[i];
        struct prepared_scan scan;
        struct err why = ERR_INIT;

        if (!ask_conn(&k, on, &why) || !prepared_scan(on->conn, "0/0", &k.arena, &scan, &why)) {
            CONSOLE_ROW(c, on->db->name, on->shard->name, NULL, NULL, NULL, "unreachable", NULL, why.message);
            continue;
        }
        for (size_t j = 0; j < scan.n; j++)
            prepared_row(c, &k, on, &scan.v[j]);
    }
    ask_fini(&k);
    return true;
}

/* --- SHOW RECOVERY --- */

bool console_recovery(struct console *c, struct err *e)
{
    struct recovery_stats s;

    (void)e;
    recovery_get_stats(c->router->recovery, &s);
    CONSOLE_COLUMNS(c, "#looks", "#committed", "#aborted", "#forgotten", "#waiting", "#alarmed", "#foreign", "#unseen",
                    "#oldest_s");
    CONSOLE_ROW(c, console_number(c, s.looks), console_number(c, s.committed), console_number(c, s.aborted),
                console_number(c, s.forgotten), console_number(c, s.waiting), console_number(c, s.alarmed),
                console_number(c, s.foreign), console_number(c, s.unseen), console_number(c, s.oldest_s));
    return true;
}

bool console_recover(struct console *c, struct err *e)
{
    (void)e;
    recovery_kick(c->router->recovery);
    strbuf_puts(&c->tag, "RECOVER");
    return true;
}

/* --- RESOLVE TRANSACTION --- */

struct resolve {
    struct console *c;
    struct ask ask;
    const char *gtid;
    bool commit;
    uint32_t npart, nunseen;
    struct resolve_part {
        struct asked_shard *on;
        const struct prepared_xact *x;
    } * parts;            /* in the ask's arena; one a shard at most */
    struct strbuf unseen; /* names of shards that cannot be looked at */
};

static void resolve_find(struct resolve *r)
{
    struct err e = ERR_INIT;

    r->parts = ARENA_ARRAY(&r->ask.arena, struct resolve_part, r->ask.n ? r->ask.n : 1);
    for (uint32_t i = 0; i < r->ask.n; i++) {
        struct asked_shard *on = &r->ask.shards[i];
        struct prepared_scan scan;

        if (!ask_conn(&r->ask, on, &e) || !prepared_scan(on->conn, "0/0", &r->ask.arena, &scan, &e)) {
            r->nunseen++;
            put_name(&r->unseen, on->shard->name);
            continue;
        }
        for (size_t j = 0; j < scan.n; j++) {
            if (scan.v[j].ours && strcmp(scan.v[j].gtid, r->gtid) == 0 && r->npart < r->ask.n)
                r->parts[r->npart++] = (struct resolve_part){ .on = on, .x = &scan.v[j] };
        }
    }
}

static bool resolve_refuse(const struct resolve *r, const char *why, const char *hint, struct err *e)
{
    err_set(e, PB0601, "transaction %s is not resolved: %s", r->gtid, why);
    return err_hint(e, "%s", hint);
}

/* May the operator decide about this part? What is known must not be contradicted. */
static bool resolve_allows(struct resolve *r, const struct resolve_part *p, struct err *e)
{
    const char *why;

    switch (fate_of(&r->ask, p->on, p->x, &why)) {
    case FATE_COMMIT:
        return r->commit || resolve_refuse(r, "it has been decided: committed", "RESOLVE TRANSACTION ... COMMIT.", e);
    case FATE_ABORT:
        return !r->commit || resolve_refuse(r, "it has been decided: aborted", "RESOLVE TRANSACTION ... ABORT.", e);
    case FATE_RUNNING:
        return resolve_refuse(r, "it is being committed now", "Wait for commit_timeout, and look at SHOW PREPARED.", e);
    case FATE_UNREACHED:
        return resolve_refuse(r, why, "Bring that shard back: recovery then finishes it by itself.", e);
    case FATE_UNDECIDED:
        return !r->commit || resolve_refuse(r, "the shard that decides has not committed it, and never will",
                                            "RESOLVE TRANSACTION ... ABORT, or leave it to recovery.", e);
    case FATE_LOST:
    case FATE_FOREIGN:
        break;
    }
    return true;
}

/* The decision, for whoever looks later. True when no other one exists there; a decider that is gone has none. */
static bool resolve_decide(struct resolve *r, const struct prepared_xact *x, struct err *e)
{
    struct asked_shard *decider = ask_shard(&r->ask, x->decider);
    struct pgconn *conn = decider ? ask_conn(&r->ask, decider, e) : NULL;
    struct strbuf participants = STRBUF_INIT;
    char mac[HMAC_TEXT_LEN + 1] = "";
    const char *values[3] = { r->gtid, NULL, mac };
    struct decision d;
    struct pgresult *res;
    bool ok;

    if (!decider)
        return true;
    if (!conn)
        return false;
    if (!r->commit) {
        ok = decision_forbid(conn, r->gtid, e);
    } else {
        for (uint32_t i = 0; i < r->npart; i++)
            strbuf_printf(&participants, "%s%u", i ? "," : "", r->parts[i].on->shard->id);
        decision_sign(r->c->router, r->gtid, x->decider, strbuf_str(&participants), mac);
        values[1] = arena_printf(&r->ask.arena, "{%s}", strbuf_str(&participants));
        res =
            pgconn_query_params(conn,
                                "INSERT INTO pgbraid.decisions (gtid, committed, participants, mac) VALUES ($1, true, "
                                "$2::pg_catalog.text[], $3) ON CONFLICT (gtid) DO NOTHING",
                                3, values, e);
        ok = res != NULL;
        pgresult_free(res);
        strbuf_fini(&participants);
    }
    if (!ok || !decision_look(r->c->router, conn, x->decider, r->gtid, &r->ask.arena, &d, e))
        return false;
    if (d.state == (r->commit ? DECISION_COMMITTED : DECISION_ABORTED))
        return true;
    return resolve_refuse(
        r, d.state == DECISION_COMMITTED ? "it has been decided: committed" : "it has been decided: aborted",
        "SHOW PREPARED shows what is left of it.", e);
}

static bool resolve_check(struct resolve *r, struct err *e)
{
    if (r->npart == 0) {
        err_set(e, PB0403, "nothing of transaction %s is prepared on any shard", r->gtid);
        if (r->nunseen)
            err_detail(e, "These shards could not be looked at: %s.", strbuf_str(&r->unseen));
        return err_hint(e, "SHOW PREPARED lists what is.");
    }
    for (uint32_t i = 0; i < r->npart; i++) {
        if (r->parts[i].x->decider != r->parts[0].x->decider)
            return resolve_refuse(r, "its parts name several shards that decide",
                                  "Somebody has prepared transactions under its name: finish them on the shards.", e);
        if (!resolve_allows(r, &r->parts[i], e))
            return false;
    }
    return true;
}

static void resolve_audit(const struct resolve *r, const char *what)
{
    log_line(LOG_WARN, "audit", what, "gtid=%s decision=%s parts=%u user=\"%s\" console_client=%u", r->gtid,
             r->commit ? "commit" : "abort", r->npart, r->c->user, r->c->session_id);
}

static bool resolve_run(struct resolve *r, struct err *e)
{
    resolve_find(r);
    if (!resolve_check(r, e) || !resolve_decide(r, r->parts[0].x, e)) {
        resolve_audit(r, "an operator's RESOLVE TRANSACTION was refused");
        return false;
    }
    resolve_audit(r, "AN OPERATOR DECIDES ABOUT A DISTRIBUTED TRANSACTION");
    CONSOLE_COLUMNS(r->c, "database", "shard", "gid", "result");
    for (uint32_t i = 0; i < r->npart; i++) {
        const struct resolve_part *p = &r->parts[i];
        struct err why = ERR_INIT;
        bool ok = fate_finish(p->on->conn, p->x, r->commit, &why);

        CONSOLE_ROW(r->c, p->on->db->name, p->on->shard->name, arena_strdup(&r->c->arena, p->x->gid),
                    !ok         ? arena_strdup(&r->c->arena, why.message)
                    : r->commit ? "committed"
                                : "aborted");
    }
    return true;
}

static bool console_resolve(struct console *c, bool commit, struct err *e)
{
    struct resolve r = { .c = c, .gtid = c->args[0], .commit = commit };
    bool ok;

    if (!gtid_ok(span_str(r.gtid))) {
        err_set(e, PB0503, "\"%s\" is not the name of a distributed transaction", r.gtid);
        return err_hint(e, "SHOW PREPARED and SHOW TRANSACTIONS list them.");
    }
    ask_init(&r.ask, c->router);
    ok = resolve_run(&r, e);
    strbuf_fini(&r.unseen);
    ask_fini(&r.ask);
    return ok;
}

bool console_resolve_commit(struct console *c, struct err *e)
{
    return console_resolve(c, true, e);
}

bool console_resolve_abort(struct console *c, struct err *e)
{
    return console_resolve(c, false, e);
}
