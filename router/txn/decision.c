#include "router/txn/decision.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "net/pgconn.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/txn/gtid.h"
#include "shardmap/directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char sql_decision_look[];

void decision_sign(const struct router *r, const char *gtid, uint32_t decider, const char *participants,
                   char mac[HMAC_TEXT_LEN + 1])
{
    struct strbuf text = STRBUF_INIT;

    strbuf_printf(&text, "%s %u %s", gtid, decider, participants);
    hmac_text(directory_decision_key(r->directory), strbuf_span(&text), mac);
    strbuf_fini(&text);
}

struct pgconn *decision_open(const struct router *r, const struct map_shard *shard, struct err *e)
{
    struct pgconn_target t = { .conninfo = shard->conninfo,
                               .application_name = "pgbraid recovery",
                               .options = "-c lock_timeout=2s -c statement_timeout=10s -c search_path=pg_catalog -c "
                                          "default_transaction_read_only=off -c synchronous_commit=on",
                               .timeout_ms = (uint32_t)r->config->server_connect_timeout_ms };

    return pgconn_open_blocking(&t, e);
}

const struct map_shard *decision_shard(const struct map *m, uint32_t id)
{
    for (uint32_t d = 0; d < m->ndb; d++) {
        for (uint32_t i = 0; i < m->dbs[d].nshard; i++) {
            if (m->dbs[d].shards[i].id == id)
                return &m->dbs[d].shards[i];
        }
    }
    return NULL;
}

static const char *lock_text(const char *gtid, char out[24])
{
    snprintf(out, 24, "%llu", (unsigned long long)gtid_lock(span_str(gtid)));
    return out;
}

bool decision_look(const struct router *r, struct pgconn *c, uint32_t shard, const char *gtid, struct arena *a,
                   struct decision *out, struct err *e)
{
    char lock[24];
    const char *values[2] = { gtid, lock_text(gtid, lock) };
    struct pgresult *res = pgconn_query_params(c, sql_decision_look, 2, values, e);
    const char *committed, *since;
    char mac[HMAC_TEXT_LEN + 1];

    if (!res)
        return false;
    *out = (struct decision){ .since_us = UINT64_MAX };
    committed = pgresult_value(res, 0, 0);
    if (committed) {
        out->participants = arena_strdup(a, pgresult_value(res, 0, 1));
        out->state = committed[0] == 't' ? DECISION_COMMITTED : DECISION_ABORTED;
        decision_sign(r, gtid, shard, out->participants, mac);
        if (out->state == DECISION_COMMITTED && !hmac_equal(mac, span_str(pgresult_value(res, 0, 2)))) {
            out->forged = true;
            out->state = DECISION_ABORTED;
        }
    }
    out->running = pgresult_value(res, 0, 3)[0] == 't';
    out->prepared = pgresult_value(res, 0, 4)[0] == 't';
    since = pgresult_value(res, 0, 5);
    if (since)
        out->since_us = strtoull(since, NULL, 10);
    pgresult_free(res);
    return true;
}

bool decision_forbid(struct pgconn *c, const char *gtid, struct err *e)
{
    struct pgresult *res = pgconn_query_params(
        c, "INSERT INTO pgbraid.decisions (gtid, committed) VALUES ($1, false) ON CONFLICT (gtid) DO NOTHING", 1, &gtid,
        e);

    pgresult_free(res);
    return res != NULL;
}

void decision_end_running(struct pgconn *c, const char *gtid)
{
    struct err e = ERR_INIT;
    char lock[24];
    const char *value = lock_text(gtid, lock);
    struct pgresult *res = pgconn_query_params(
        c,
        "SELECT pg_catalog.pg_terminate_backend(l.pid) FROM pg_catalog.pg_locks l "
        "WHERE l.locktype = 'advisory' AND l.granted AND l.pid IS NOT NULL AND l.database = (SELECT "
        "d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AND "
        "l.objsubid = 1 AND l.classid = ($1::pg_catalog.int8 >> 32)::pg_catalog.oid AND l.objid = "
        "($1::pg_catalog.int8 & 4294967295)::pg_catalog.oid",
        1, &value, &e);

    if (!res)
        log_err(LOG_WARN, "recovery", "cannot end the backend of an abandoned transaction", &e);
    else if (pgresult_rows(res) > 0)
        log_line(LOG_WARN, "recovery", "the deciding transaction was still open: its backend is ended", "gtid=%s",
                 gtid);
    pgresult_free(res);
}

bool decision_lists(const char *participants, uint32_t shard)
{
    const char *p = participants;

    while (*p) {
        char *end;
        unsigned long id = strtoul(p, &end, 10);

        if (end != p && id == shard)
            return true;
        p = strchr(p, ',');
        if (!p)
            break;
        p++;
    }
    return false;
}
