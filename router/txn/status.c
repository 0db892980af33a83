#include "router/txn/status.h"

#include "base/clock.h"
#include "router/call.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/session/session.h"
#include "router/txn/fate.h"
#include "router/txn/gtid.h"
#include "router/worker.h"

#include <string.h>

struct running {
    const char *gtid;
    bool found;
};

static void find_on_worker(struct worker *w, void *arg)
{
    struct running *r = arg;

    LIST_FOREACH(node, &w->sessions)
    {
        const struct session *s = LIST_ENTRY(node, struct session, node);

        r->found = r->found || (s->txn.gtid && strcmp(s->txn.gtid, r->gtid) == 0);
    }
}

/* The answers of all shards, put together: a name does not tell of which database its transaction was. */
struct status {
    struct ask ask;
    const char *gtid;
    bool committed, running;
    bool aborted; /* on every shard: on one alone, which need not be the one that decides, it proves nothing */
    bool lost;    /* some table of decisions is younger than the transaction */
};

static bool status_look(struct status *s, struct err *e)
{
    bool ok = true;

    s->aborted = true;
    for (uint32_t i = 0; i < s->ask.n; i++) {
        struct asked_shard *on = &s->ask.shards[i];
        struct err why = ERR_INIT;
        struct decision d;
        struct pgconn *c;

        c = ask_conn(&s->ask, on, &why);
        if (!c || !decision_look(s->ask.router, c, on->shard->id, s->gtid, &s->ask.arena, &d, &why)) {
            *e = why; /* another shard may still know of the commit */
            ok = false;
            continue;
        }
        s->committed = s->committed || d.state == DECISION_COMMITTED;
        s->aborted = s->aborted && d.state == DECISION_ABORTED;
        s->running = s->running || d.running || d.prepared;
        s->lost = s->lost || d.since_us == UINT64_MAX || d.since_us > gtid_time_us(s->gtid);
    }
    return ok || s->committed;
}

static bool status_forbid(struct status *s, struct err *e)
{
    for (uint32_t i = 0; i < s->ask.n; i++) {
        struct asked_shard *on = &s->ask.shards[i];
        struct pgconn *c;

        c = ask_conn(&s->ask, on, e);
        if (!c || !decision_forbid(c, s->gtid, e))
            return false;
    }
    return true;
}

static const char *status_word(const struct status *s)
{
    if (s->committed)
        return "committed";
    if (s->running)
        return "in progress";
    return s->aborted ? "aborted" : NULL;
}

static bool status_find(struct status *s, const char **word, struct err *e)
{
    uint64_t now_us = clock_wall_us(), given_us = gtid_time_us(s->gtid);

    if (!status_look(s, e))
        return false;
    *word = status_word(s);
    if (*word)
        return true;
    /* Nobody knows of it. Whether somebody did is not known, either, when it is too old, or not even given yet. */
    if (s->lost || given_us > now_us || (now_us - given_us) / 1000 > s->ask.router->config->decision_retention_ms)
        return true;
    if (!status_forbid(s, e) || !status_look(s, e))
        return false;
    *word = status_word(s);
    return true;
}

bool txn_status_blocking(struct router *r, const char *gtid, const char **status, struct err *e)
{
    struct status s = { .gtid = gtid };
    struct running running = { .gtid = gtid };
    bool ok;

    *status = NULL;
    if (!gtid_ok(span_str(gtid))) {
        err_set(e, PB0204, "\"%.80s\" is not the name of a distributed transaction", gtid);
        err_state(e, "22023");
        return err_hint(e, "SELECT pgbraid.current_gtid() inside a transaction gives its name.");
    }
    router_call_all(r, find_on_worker, &running);
    s.running = running.found || gtid_is_live(r->gtids, span_str(gtid));
    ask_init(&s.ask, r);
    ok = status_find(&s, status, e);
    ask_fini(&s.ask);
    if (!ok)
        err_hint(e, "What has become of the transaction cannot be told before every shard can be asked.");
    return ok;
}
