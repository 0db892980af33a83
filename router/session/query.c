#include "router/session/query.h"

#include "base/log.h"
#include "base/mem.h"
#include "router/config/config.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/portal.h"
#include "router/session/prepared.h"
#include "router/session/session.h"
#include "router/txn/deadlock.h"
#include "router/txn/gate.h"
#include "router/txn/isolation.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

/* --- shared pieces --- */

void query_failed_transaction(struct err *e)
{
    err_set(e, PB0303, "current transaction is aborted, commands ignored until end of transaction block");
}

/* Does it send anything to a shard that its transaction's end does not? */
static bool query_reaches_shards(const struct plan *plan)
{
    const struct plan_session *ps = plan->session;

    if (plan->kind != PLAN_SESSION)
        return plan->kind != PLAN_EMPTY;
    return ps->verb == SESSION_EXECUTE || ps->verb == SESSION_DECLARE || ps->verb == SESSION_LISTEN ||
           (ps->name && strcmp(ps->name, "pgbraid.idempotency_key") == 0); /* written as a row (exec_key.c) */
}

bool query_hold(struct session *s, const struct plan *plan)
{
    struct worker_db *db = s->db;

    if (LIKELY(db->hold == HOLD_NONE) || (plan && !query_reaches_shards(plan)))
        return false;
    if (db->hold == HOLD_NEW && s->txn.env)
        return false;
    session_set_state(s, SESSION_HELD);
    s->wait_since_us = loop_now_us(s->worker->loop);
    list_push_back(&db->held_sessions, &s->wait);
    return true;
}

static void query_commit_held(void *arg, bool expired)
{
    struct session *s = arg;
    struct gate_ticket *t = s->commit_hold;

    (void)expired;
    BUG_ON(!gate_commit_begin(t)); /* it has waited */
    gate_ticket_free(t);
    s->commit_hold = NULL;
    s->commit_held = true;
    session_released(s);
}

bool query_hold_commit(struct session *s, uint32_t shard_id)
{
    struct worker *w = s->worker;
    struct gate_ticket *t;

    if (LIKELY(gate_quiet(w->router->gate)) || s->commit_held)
        return false;
    t = gate_ticket_new(w->router->gate, w->loop, &shard_id, 1, query_commit_held, s);
    if (gate_commit_begin(t)) {
        gate_ticket_free(t);
        return false;
    }
    s->commit_hold = t;
    session_set_state(s, SESSION_HELD);
    s->wait_since_us = loop_now_us(w->loop);
    return true;
}

uint32_t query_any_shard(const struct session *s)
{
    if (s->txn.clocked)
        return s->txn.clock;
    if (s->held) {
        for (uint32_t i = 0; i < s->set->npool; i++) {
            if (s->set->pools[i] == s->held->pool)
                return i;
        }
    }
    BUG_ON(s->worker->router->nworker == 0 || s->set->npool == 0);
    return s->id / s->worker->router->nworker % s->set->npool;
}

/* An error for the statement at hand, with ReadyForQuery. */
void query_fail(struct session *s, const struct err *e)
{
    session_error(s, e);
    session_ready(s);
    s->active_us = loop_now_us(s->worker->loop);
}

/* A lease on the shard, or NULL and the session waits with its input kept. */
struct backend *query_lease(struct session *s, uint32_t shard)
{
    struct pool *pool = s->set->pools[shard];
    struct backend *b = session_lease_of(s, pool);

    if (b)
        return b;
    session_set_state(s, SESSION_WAITING);
    s->resume = NULL;
    b = pool_acquire(pool, s, s->nheld > 0);
    if (b)
        session_set_state(s, SESSION_READY);
    return b;
}

/* Send the client's bytes (or what replaces them, standing in worker.out behind the prefix) and relay the answer. */
void query_start(struct session *s, struct backend *b, struct plan *plan, bool extended)
{
    s->run_plan = plan;
    s->run_extended = extended;
    s->run_commit = false;
    s->own_cancel = false;
    s->commit_held = false;
    b->wrote = b->wrote || (plan && plan->writes && txn_may_write(&s->txn));
    b->unpreparable = b->unpreparable || (plan && plan->unpreparable);
    b->nparsed = 0;
    s->queries++;
    STAT_ADD(s->worker->stats.queries, 1);
    s->active_us = loop_now_us(s->worker->loop);
    session_set_state(s, SESSION_RUNNING);
}

/* The plan's reference moves to the session. */
static size_t query_forward(struct session *s, struct plan *plan, uint32_t shard, const char *data, size_t len)
{
    struct strbuf *out = &s->worker->out;
    struct backend *b;

    if ((plan->writes || plan->opaque) && !s->txn.env &&
        UNLIKELY(query_hold_commit(s, s->set->pools[shard]->shard_id))) {
        plan_unref(plan);
        return 0;
    }
    b = query_lease(s, shard);
    if (!b) {
        plan_unref(plan);
        return 0;
    }
    if (UNLIKELY((s->txn.env && !b->begun) || b->env_next != s->env || txn_announces(s, b))) {
        uint32_t n = txn_put_prefix(s, b, out);

        if (n) {
            struct expect *e = backend_expect(b, EXPECT_PREFIX);

            e->count = n;
            e->send_sync = true;
        }
    }
    backend_expect(b, EXPECT_RELAY);
    query_start(s, b, plan, false);
    if (LIKELY(out->len == 0)) {
        stream_write(&b->st, data, len);
    } else {
        stream_write2(&b->st, out->ptr, out->len, data, len);
        strbuf_reset(out);
    }
    return len;
}

/* --- simple protocol --- */

static void answer(struct session *s, const char *tag)
{
    struct strbuf *out = &s->worker->out;

    if (tag)
        be_put_command_complete(out, tag);
    else
        strbuf_put(out, "I\0\0\0\4", 5);
    session_put_ready(s, out);
    session_send(s, out->ptr, out->len);
    strbuf_reset(out);
}

/* BEGIN, COMMIT and ROLLBACK where no or one shard is concerned; false: the long way. */
static bool query_transaction(struct session *s, struct plan *plan, const char *data, size_t frame, size_t *used)
{
    enum session_verb verb = plan->session->verb;

    if (verb == SESSION_BEGIN && s->tx == 'I') {
        txn_begin(s, &plan->session->modes, false);
        s->tx = 'T';
        answer(s, plan->session->start ? "START TRANSACTION" : "BEGIN");
        plan_unref(plan);
        *used = frame;
        return true;
    }
    /* The long way tells the client of settings that change back, and rolls back what failed without the server's
     * knowledge. */
    if ((verb != SESSION_COMMIT && verb != SESSION_ROLLBACK) || s->tx == 'I' || s->txn.doomed || plan->session->chain ||
        s->txn.ddl || s->txn.recorded || s->txn.env != s->env || (s->held && s->held->tx != s->tx) ||
        (s->channels && (s->channels->nsaid || s->channels->may_notify)))
        return false;
    if (s->nheld == 0) {
        bool commit = verb == SESSION_COMMIT && s->tx == 'T';

        s->tx = 'I';
        session_end_transaction(s, commit);
        answer(s, commit ? "COMMIT" : "ROLLBACK");
        plan_unref(plan);
        *used = frame;
        return true;
    }
    BUG_ON(!s->held);
    /* Failed here, perhaps by our own word: the server does not know, and would commit. Settings that change are told.
     */
    if (s->nheld > 1 || !s->held->begun || (verb == SESSION_COMMIT && s->tx == 'E') || s->env != s->txn.env)
        return false;
    if (verb == SESSION_COMMIT && s->held->wrote && UNLIKELY(query_hold_commit(s, s->held->pool->shard_id))) {
        plan_unref(plan);
        *used = 0;
        return true;
    }
    backend_expect(s->held, EXPECT_RELAY);
    query_start(s, s->held, plan, false);
    s->run_commit = verb == SESSION_COMMIT;
    stream_write(&s->held->st, data, frame);
    *used = frame;
    return true;
}

bool query_ends_transaction(const struct plan *plan)
{
    return plan->kind == PLAN_SESSION &&
           (plan->session->verb == SESSION_COMMIT || plan->session->verb == SESSION_ROLLBACK ||
            plan->session->verb == SESSION_ROLLBACK_TO);
}

/* No plan: an error, or a string of several statements. */
static size_t query_unplanned(struct session *s, struct span sql, size_t frame, struct err *e)
{
    struct literal slices[2];
    bool syntax = e->id == PB0202 || e->id == PB0203;
    struct err ignored = ERR_INIT;

    /* Several statements are no syntax error in a Query message, if they are none by themselves. */
    if (e->id != PB0203 && planner_split(sql, &s->env->plan, slices, 2) > 1 &&
        (!syntax || planner_check(sql, &ignored))) {
        if (s->tx != 'E' && UNLIKELY(query_hold(s, NULL)))
            return 0;
        exec_start_string(s, sql);
        return frame;
    }
    if (s->tx == 'E' && !syntax)
        query_failed_transaction(e);
    query_fail(s, e);
    return frame;
}

size_t query_simple(struct session *s, const char *data, size_t frame)
{
    struct span sql = span_make(data + PROTO_HEADER, frame - PROTO_HEADER);
    struct worker *w = s->worker;
    struct literals lits;
    struct route route;
    struct plan *plan;
    struct err e;
    size_t used;

    err_clear(&e);
    if (UNLIKELY(sql.len == 0 || sql.ptr[sql.len - 1] != '\0')) {
        err_set(&e, PB0101, "invalid string in message");
        session_fatal(s, &e);
        return frame;
    }
    sql.len--;
    if (UNLIKELY(s->unnamed)) { /* as in PostgreSQL */
        prepared_unref(w, s->unnamed);
        s->unnamed = NULL;
    }
    if (UNLIKELY(s->portals.nbucket)) /* ... which takes the unnamed portal for it */
        portal_drop(s, (struct span){ 0 });
    plan = planner_plan(w->planner, session_catalog(s), s->db->map, &s->env->plan, sql, NULL, 0, &lits, &e);
    if (UNLIKELY(!plan))
        return query_unplanned(s, sql, frame, &e);
    if (UNLIKELY(s->tx == 'E') && !query_ends_transaction(plan) && plan->kind != PLAN_EMPTY) {
        plan_unref(plan);
        query_failed_transaction(&e);
        query_fail(s, &e);
        return frame;
    }
    if (UNLIKELY(query_hold(s, plan))) {
        plan_unref(plan);
        return 0;
    }
    if (LIKELY(plan->kind == PLAN_QUERY || plan->kind == PLAN_INSERT)) {
        if (UNLIKELY(!plan_route(plan, s->db->map, sql, &lits, NULL, &w->scratch, &route, &e))) {
            if (plan->moment) { /* the long way may stop the clock */
                exec_start_statement(s, plan, sql);
                return frame;
            }
            plan_unref(plan);
            query_fail(s, &e);
            return frame;
        }
        if (LIKELY((route.n == 1 || route.any) && !plan->long_way)) {
            uint32_t shard = route.any ? query_any_shard(s) : route.first;

            if (UNLIKELY(isolation_takes_all(s) ||
                         (plan->moment && s->txn.clocked && (s->txn.now[0] || s->txn.clock != shard)) ||
                         (s->channels && channels_plan_notifies(plan)))) {
                exec_start_statement(s, plan, sql);
                return frame;
            }
            if (UNLIKELY(txn_has_snapshot(&s->txn) || plan->moment) &&
                !isolation_allows(s, plan->moment, 1, shard, &e)) {
                plan_unref(plan);
                query_fail(s, &e);
                return frame;
            }
            return query_forward(s, plan, shard, data, frame);
        }
    } else if (plan->kind == PLAN_EMPTY) {
        answer(s, NULL);
        plan_unref(plan);
        return frame;
    } else if (plan->kind == PLAN_SESSION && query_transaction(s, plan, data, frame, &used)) {
        return used;
    }
    exec_start_statement(s, plan, sql);
    return frame;
}

/* --- function calls --- */

/* What libpq and JDBC call for large objects, by their numbers in pg_proc, which are PostgreSQL's own. */
static bool is_large_object_call(uint32_t function)
{
    static const uint32_t functions[] = {
        715 /* lo_create */,      952 /* lo_open */,      953 /* lo_close */,    954 /* loread */,
        955 /* lowrite */,        956 /* lo_lseek */,     957 /* lo_creat */,    958 /* lo_tell */,
        964 /* lo_unlink */,      1004 /* lo_truncate */, 3170 /* lo_lseek64 */, 3171 /* lo_tell64 */,
        3172 /* lo_truncate64 */,
    };

    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        if (functions[i] == function)
            return true;
    }
    return false;
}

size_t query_function_call(struct session *s, const char *data, size_t frame)
{
    struct span sql = SPAN("SELECT pg_catalog.lo_creat(-1)"); /* runs where these run, and may write as they may */
    uint32_t function = frame < PROTO_HEADER + 4 ? 0 : proto_get32(data + PROTO_HEADER);
    struct literals lits;
    struct plan *plan;
    struct err e = ERR_INIT;

    if (s->admin || !is_large_object_call(function)) {
        err_set(&e, PB0103, "function calls by the fastpath protocol are not supported");
        err_detail(&e, "Those for large objects are.");
        err_hint(&e, "Call the function with SELECT.");
        query_fail(s, &e);
        return frame;
    }
    if (s->tx == 'E') {
        query_failed_transaction(&e);
        query_fail(s, &e);
        return frame;
    }
    plan = planner_plan(s->worker->planner, session_catalog(s), s->db->map, &s->env->plan, sql, NULL, 0, &lits, &e);
    if (!plan) {
        query_fail(s, &e);
        return frame;
    }
    BUG_ON(plan->kind != PLAN_QUERY || plan->scope != SCOPE_HOME || plan->moment);
    if (UNLIKELY(query_hold(s, plan))) {
        plan_unref(plan);
        return 0;
    }
    if (isolation_takes_all(s)) {
        err_set(&e, PB0313, "the first statement of this transaction cannot be a function call");
        err_hint(&e, "Run a query first: it takes the transaction's snapshot.");
        plan_unref(plan);
        query_fail(s, &e);
        return frame;
    }
    if (txn_has_snapshot(&s->txn) && !isolation_allows(s, false, 1, s->set->home, &e)) {
        plan_unref(plan);
        query_fail(s, &e);
        return frame;
    }
    return query_forward(s, plan, s->set->home, data, frame);
}

/* The message at the head of the input ends here with an error. */
void query_refused(struct session *s, const struct err *e)
{
    struct span in = stream_peek(&s->st);
    size_t used = 0;

    if (in.len >= PROTO_HEADER && (in.ptr[0] == FE_QUERY || in.ptr[0] == FE_FUNCTION_CALL))
        used = (size_t)proto_get32(in.ptr + 1) + 1;
    else
        used = query_batch_length(s, in.ptr, in.len);
    if (used == 0 || used > in.len) { /* a pipeline without its Sync */
        stream_drop(&s->st, s->scanned);
        s->scanned = 0;
        s->skip_to_sync = true;
        session_error(s, e);
        return;
    }
    stream_drop(&s->st, used);
    query_fail(s, e);
    if (!s->txn.env)
        session_end_transaction(s, false);
}

void query_lost(struct session *s, const struct err *e, bool in_txn)
{
    session_error(s, e);
    query_forget_parses(s);
    s->run_aside = false;
    if (in_txn && !s->run_commit) {
        s->txn.doomed = true;
        s->tx = 'E';
        session_release(s);
    } else {
        s->tx = 'I';
        session_end_transaction(s, false);
    }
    deadlock_settle(s);
    session_ready(s);
    session_set_state(s, SESSION_READY);
    session_continue(s);
}
