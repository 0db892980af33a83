/*
 * Commit of a transaction on several shards: two-phase commit over PREPARE TRANSACTION, decided by a row that one of
 * the writers inserts in its own transaction.
 *
 *   BEGIN    who may have written: has it an xid (X5)?     the lock on the gtid tells recovery that somebody is at it
 *   PREPARE  writers but the decider: PREPARE TRANSACTION 'gid'
 *            decider: SET CONSTRAINTS ALL IMMEDIATE        its deferred checks run now (X11)
 *   DECIDE   decider: pgbraid.decide(gtid, participants, mac); COMMIT     one message (X10): the commit point
 *   FINISH   prepared: COMMIT PREPARED 'gid'; readers: COMMIT             readers keep their locks until now (X6)
 *   UNDO     prepared: ROLLBACK PREPARED; all others: ROLLBACK            whatever failed before the decision
 *
 * Between PREPARE and DECIDE it passes the gate (gate.h): from there to the end of FINISH it is partly visible.
 *
 * With one writer nothing is prepared and no row is needed: DECIDE is its COMMIT. But if the client knows the
 * transaction's name (txn.recorded), a row tells it the outcome later.
 *
 * Invariants: (1) nothing is decided before every other writer has answered exactly PREPARE TRANSACTION (X9); (2) after
 * the decision only forward: what cannot be told is left to recovery (recovery.c), and the client hears COMMIT; (3)
 * when the decider's answer is lost nobody knows: the client hears 08007, recovery finds out; (4) no cancel request is
 * sent on from here (X9); (5) the decider has an xid before the first PREPARE is sent (X1).
 *
 * A participant is a reader if no statement that may write was sent to it (backend.wrote), or if it has no xid (X5).
 * The decider is the one that cannot be prepared, or may not be (X12), else any writer.
 */
#include "router/exec/commit.h"

#include "base/fault.h"
#include "base/log.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/exec/pass.h"
#include "router/exec/txn.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/decision.h"
#include "router/txn/gtid.h"
#include "router/txn/recovery.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <stdio.h>
#include <string.h>

enum commit_phase { COMMIT_BEGIN, COMMIT_PREPARE, COMMIT_GATE, COMMIT_DECIDE, COMMIT_FINISH, COMMIT_UNDO };

/* What is known of one participant; by index into the exec's parts. */
struct participant {
    bool writer, prepared, waiting;
    bool exact;  /* the last tag was the one asked for */
    bool failed; /* an error, a wrong tag or a lost connection in this phase */
};

struct dist_commit {
    enum commit_phase phase;
    uint32_t decider, npending;
    uint32_t decider_id; /* of the shard */
    uint64_t since_us;   /* begin of the phase */
    struct participant *of;
    uint32_t nwriter;
    const char *gtid; /* in the arena; NULL: nothing is prepared and no row written */
    bool unsettled;   /* something is left to recovery */
    bool record;      /* a row is written */
    bool unknown;     /* the decider's answer was lost */
};

static void commit_next(struct exec *x);
static void commit_undo(struct exec *x);

/* --- asking --- */

static void commit_ask(struct exec *x, uint32_t i, const char *sql)
{
    struct participant *of = &x->commit->of[i];
    struct strbuf *out = &x->s->worker->out;

    x->parts[i].done = false;
    of->exact = of->failed = false;
    of->waiting = true;
    x->commit->npending++;
    x->commit->since_us = loop_now_us(x->s->worker->loop);
    /* Nothing before it: settings in front would open a transaction, in which COMMIT PREPARED cannot run. */
    backend_expect(x->parts[i].backend, EXPECT_EXEC);
    fe_put_query(out, span_str(sql));
    x->parts[i].started = true;
    stream_write(&x->parts[i].backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

static const char *commit_gid(struct exec *x, uint32_t i)
{
    char gid[GID_MAX];

    gtid_gid(x->commit->gtid, x->commit->decider_id, x->parts[i].backend->pool->shard_id, gid);
    return arena_strdup(&x->arena, gid);
}

static void commit_ask_prepared(struct exec *x, uint32_t i, const char *what)
{
    commit_ask(x, i, arena_printf(&x->arena, "%s '%s'", what, commit_gid(x, i)));
}

/*
 * Has it written? What NOTIFY sends is written at COMMIT only: a shard where it may have been gets its transaction id
 * now, so that it takes part, and is the first choice to decide.
 */
static const char *commit_begin_sql(struct exec *x, uint32_t i)
{
    return arena_printf(&x->arena, "SELECT pg_catalog.%s(), pg_catalog.pg_advisory_xact_lock_shared(%llu)",
                        x->parts[i].backend->unpreparable ? "pg_current_xact_id" : "pg_current_xact_id_if_assigned",
                        (unsigned long long)gtid_lock(span_str(x->commit->gtid)));
}

void exec_commit(struct exec *x)
{
    struct session *s = x->s;
    struct dist_commit *c = ARENA_NEW(&x->arena, struct dist_commit);

    x->commit = c;
    x->task = TASK_COMMIT;
    x->atomic = true;
    exec_parts_of_leases(x);
    x->next_part = x->npart;
    c->of = ARENA_ARRAY(&x->arena, struct participant, x->npart);
    for (uint32_t i = 0; i < x->npart; i++) {
        c->of[i].writer = x->parts[i].backend->wrote;
        c->nwriter += c->of[i].writer;
    }
    c->phase = COMMIT_BEGIN;
    if (c->nwriter > 1) {
        c->gtid = arena_strdup(&x->arena, txn_gtid(s));
        for (uint32_t i = 0; i < x->npart; i++) {
            if (c->of[i].writer)
                commit_ask(x, i, commit_begin_sql(x, i));
        }
        return;
    }
    commit_next(x);
}

/* Nobody has written: there is nothing to decide. */
static void commit_readers(struct exec *x)
{
    x->commit = NULL;
    x->task = TASK_TXN;
    x->atomic = false;
    x->nwriter = 0;
    x->ndone = 0;
    for (uint32_t i = 0; i < x->npart; i++) {
        x->parts[i].done = false;
        exec_send_query(x, &x->parts[i], SPAN("COMMIT"));
    }
}

/* The commit is not to be: the router's own word for it. */
static void commit_refuse(struct exec *x, const struct err *e)
{
    x->own_error = *e;
    commit_undo(x);
}

/* Who decides: the one that cannot be prepared, else one that might not be, else the first. False: there are two. */
static bool commit_choose(struct exec *x, struct err *e)
{
    struct dist_commit *c = x->commit;
    const char *other = NULL;
    int best = -1;

    for (uint32_t i = 0; i < x->npart; i++) {
        const struct backend *b = x->parts[i].backend;
        bool unprepared = recovery_is_unprepared(x->s->worker->router->recovery, b->pool->shard_id);
        int rank = unprepared ? 2 : b->unpreparable ? 1 : 0;

        if (!c->of[i].writer)
            continue;
        if (unprepared && best == 2) {
            err_set(e, PB0317, "shards \"%s\" and \"%s\" have no prepared transactions", other, b->pool->shard_name);
            err_state(e, "55000");
            err_detail(e, "A transaction that wrote on both cannot commit atomically: it has been rolled back.");
            return err_hint(e, "Set max_prepared_transactions to a nonzero value on them and restart them, or set "
                               "pgbraid.commit = best_effort.");
        }
        if (rank > best) {
            best = rank;
            c->decider = i;
            other = b->pool->shard_name;
        }
    }
    return true;
}

static void commit_pass_gate(struct exec *x);

static void commit_prepare(struct exec *x)
{
    struct dist_commit *c = x->commit;
    struct err e = ERR_INIT;

    c->nwriter = 0;
    for (uint32_t i = 0; i < x->npart; i++)
        c->nwriter += c->of[i].writer;
    if (c->nwriter == 0) {
        commit_readers(x);
        return;
    }
    if (c->nwriter > 1 && setting_commit(x->s) == COMMIT_SINGLE_SHARD) {
        err_set(&e, PB0317, "the transaction wrote on %u shards", c->nwriter);
        err_detail(&e, "The setting commit is single_shard: it has been rolled back.");
        err_hint(&e, "Write rows of one sharding key a transaction, or set pgbraid.commit = atomic.");
        commit_refuse(x, &e);
        return;
    }
    if (!commit_choose(x, &e)) {
        commit_refuse(x, &e);
        return;
    }
    c->decider_id = x->parts[c->decider].backend->pool->shard_id;
    c->record = c->nwriter > 1 || x->s->txn.recorded;
    if (c->nwriter == 1) {
        c->gtid = c->record ? arena_strdup(&x->arena, txn_gtid(x->s)) : NULL;
        commit_pass_gate(x);
        return;
    }
    gtid_begin(x->s->worker->router->gtids, c->gtid);
    c->phase = COMMIT_PREPARE;
    commit_ask(x, c->decider, "SET CONSTRAINTS ALL IMMEDIATE");
    for (uint32_t i = 0; i < x->npart; i++) {
        if (c->of[i].writer && i != c->decider) {
            FAULT("commit.before_prepare");
            commit_ask_prepared(x, i, "PREPARE TRANSACTION");
            FAULT("commit.prepare_sent");
        }
    }
}

/* The decision and the commit are one message: a router that dies leaves either both or neither (rule X10). */
static void commit_decide(struct exec *x)
{
    struct dist_commit *c = x->commit;
    struct strbuf sql = STRBUF_INIT, participants = STRBUF_INIT;
    char mac[HMAC_TEXT_LEN + 1];

    if (c->record) {
        for (uint32_t i = 0; i < x->npart; i++) {
            if (c->of[i].prepared)
                strbuf_printf(&participants, "%s%u", participants.len ? "," : "", x->parts[i].backend->pool->shard_id);
        }
        decision_sign(x->s->worker->router, c->gtid, c->decider_id, strbuf_str(&participants), mac);
        if (c->nwriter == 1) /* else it has it since BEGIN */
            strbuf_printf(&sql, "SELECT pg_catalog.pg_advisory_xact_lock_shared(%llu);",
                          (unsigned long long)gtid_lock(span_str(c->gtid)));
        /* At least flushed here before anybody else commits, whatever the session has set (rule X4). */
        strbuf_printf(&sql,
                      "SELECT pg_catalog.set_config('synchronous_commit', 'on', true) "
                      "WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');"
                      "SELECT pgbraid.decide('%s', '{%s}', '%s');",
                      c->gtid, strbuf_str(&participants), mac);
    }
    strbuf_puts(&sql, "COMMIT");
    c->phase = COMMIT_DECIDE;
    FAULT("commit.before_decide");
    commit_ask(x, c->decider, sql.ptr);
    FAULT("commit.decide_sent");
    strbuf_fini(&sql);
    strbuf_fini(&participants);
}

/* From the decision on the transaction is partly visible (rules X13, X16): reads may ask to wait, a moment. */
static void commit_pass_gate(struct exec *x)
{
    struct dist_commit *c = x->commit;
    uint32_t *shards = ARENA_ARRAY(&x->arena, uint32_t, c->nwriter), n = 0;

    c->phase = COMMIT_GATE;
    c->since_us = loop_now_us(x->s->worker->loop);
    for (uint32_t i = 0; i < x->npart; i++) {
        if (c->of[i].writer)
            shards[n++] = x->parts[i].backend->pool->shard_id;
    }
    if (exec_gate_commit(x, shards, n, commit_next))
        commit_decide(x);
}

static void commit_finish(struct exec *x)
{
    struct dist_commit *c = x->commit;

    c->phase = COMMIT_FINISH;
    FAULT("commit.after_decide");
    for (uint32_t i = 0; i < x->npart; i++) {
        if (!x->parts[i].backend) {
            c->unsettled |= c->of[i].prepared;
            continue;
        }
        if (c->of[i].prepared) {
            FAULT("commit.before_commit_prepared");
            commit_ask_prepared(x, i, "COMMIT PREPARED");
            FAULT("commit.commit_prepared_sent");
        } else if (i != c->decider) {
            commit_ask(x, i, "COMMIT");
        }
    }
}

static void commit_undo(struct exec *x)
{
    struct dist_commit *c = x->commit;

    c->phase = COMMIT_UNDO;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (!b)
            c->unsettled = true; /* prepared, perhaps */
        else if (c->of[i].prepared) {
            FAULT("commit.before_rollback_prepared");
            commit_ask_prepared(x, i, "ROLLBACK PREPARED");
            FAULT("commit.rollback_prepared_sent");
        } else if (b->tx != 'I')
            commit_ask(x, i, "ROLLBACK");
    }
}

/* --- answers --- */

static bool commit_tag_is(struct span body, const char *tag)
{
    return span_eq(body, span_make(tag, strlen(tag) + 1));
}

static void commit_note_tag(struct exec *x, uint32_t i, struct span body)
{
    struct dist_commit *c = x->commit;
    struct participant *of = &c->of[i];

    switch (c->phase) {
    case COMMIT_BEGIN:
    case COMMIT_GATE:
        of->exact = true;
        break;
    case COMMIT_PREPARE:
        if (i == c->decider) {
            of->exact = commit_tag_is(body, "SET CONSTRAINTS");
            break;
        }
        of->exact = of->prepared = commit_tag_is(body, "PREPARE TRANSACTION");
        FAULT("commit.after_prepare");
        break;
    case COMMIT_DECIDE:
        of->exact = commit_tag_is(body, "COMMIT");
        break;
    case COMMIT_FINISH:
        of->exact = commit_tag_is(body, of->prepared ? "COMMIT PREPARED" : "COMMIT");
        FAULT("commit.after_commit_prepared");
        break;
    case COMMIT_UNDO:
        of->exact = true;
        break;
    }
}

/* WARNING 01000 of a PREPARE: the wait for a standby was cut short, so it may not survive a failover (rule X9). */
static void commit_note_notice(struct exec *x, uint32_t i, struct span body)
{
    struct be_error fields;

    if (x->commit->phase == COMMIT_PREPARE && be_decode_error(body, &fields) && span_eq_str(fields.sqlstate, "01000"))
        x->commit->of[i].failed = true;
}

/* No such prepared transaction: recovery has finished it, which follows the same decision. */
static bool commit_is_gone(const struct dist_commit *c, struct span body)
{
    struct be_error fields;

    return (c->phase == COMMIT_FINISH || c->phase == COMMIT_UNDO) && be_decode_error(body, &fields) &&
           span_eq_str(fields.sqlstate, "42704");
}

enum exec_action exec_commit_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct dist_commit *c = x->commit;
    uint32_t i = (uint32_t)(p - x->parts);

    if (type == BE_ERROR && c->of[i].prepared && commit_is_gone(c, body)) {
        c->of[i].exact = true;
    } else if (type == BE_DATA_ROW && c->phase == COMMIT_BEGIN) {
        struct span values[2];

        c->of[i].writer = be_decode_data_row(body, values, 2) == 2 && values[0].ptr;
    } else if (type == BE_ERROR) {
        c->of[i].failed = true;
        if (c->phase < COMMIT_FINISH && x->error.len == 0 && !x->own_error.message[0]) {
            strbuf_put(&x->error, body.ptr, body.len);
            x->error_part = i;
        }
    } else if (type == BE_COMMAND_COMPLETE) {
        commit_note_tag(x, i, body);
    } else if (type == BE_NOTICE) {
        commit_note_notice(x, i, body);
    }
    return EXEC_SWALLOW;
}

static void commit_answered(struct exec *x, uint32_t i)
{
    struct dist_commit *c = x->commit;

    c->of[i].waiting = false;
    if (!c->of[i].exact)
        c->of[i].failed = true;
    if (--c->npending == 0)
        commit_next(x);
}

/* ReadyForQuery of a part. */
void exec_commit_ready(struct exec *x, struct part *p)
{
    p->done = true;
    commit_answered(x, (uint32_t)(p - x->parts));
}

void exec_commit_lost(struct exec *x, struct backend *b, const struct err *cause)
{
    struct dist_commit *c = x->commit;
    uint32_t i = b->part;

    BUG_ON(i >= x->npart || x->parts[i].backend != b);
    if (c->phase < COMMIT_FINISH && x->error.len == 0 && !x->own_error.message[0]) {
        x->own_error = *cause;
        err_state(&x->own_error, "40000");
    }
    c->unknown |= c->phase == COMMIT_DECIDE && i == c->decider;
    c->of[i].failed = true;
    c->of[i].exact = false;
    x->parts[i].backend = NULL;
    backend_close(b);
    if (c->of[i].waiting)
        commit_answered(x, i);
}

/* --- phases --- */

static bool commit_phase_failed(const struct exec *x)
{
    const struct dist_commit *c = x->commit;

    /* Who has prepared may lose its connection: only the decider's answer counts now. */
    if (c->phase == COMMIT_DECIDE)
        return c->of[c->decider].failed;
    for (uint32_t i = 0; i < x->npart; i++) {
        if (c->of[i].failed || (!x->parts[i].backend && c->phase < COMMIT_DECIDE))
            return true;
    }
    return false;
}

static void commit_done(struct exec *x, bool committed)
{
    struct dist_commit *c = x->commit;
    struct router *r = x->s->worker->router;

    if (!committed && !x->own_error.message[0] && x->error.len == 0) {
        err_set(&x->own_error, PB0317, "the transaction could not be committed on every shard");
        err_hint(&x->own_error, "It has been rolled back everywhere: run it again.");
    }
    FAULT("commit.before_answer");
    exec_gate_committed(x, c->unsettled && (committed || c->unknown) ? c->gtid : NULL);
    if (c->gtid)
        gtid_end(r->gtids, c->gtid);
    if (c->unsettled)
        recovery_kick(r->recovery);
    x->nwriter = 0; /* no warning: it was atomic */
    x->failed = !committed;
    x->commit = NULL;
    exec_txn_done(x);
}

static void commit_unknown(struct exec *x)
{
    const struct dist_commit *c = x->commit;

    err_set(&x->own_error, PB0318, "it is not known whether the transaction has committed");
    if (c->record) {
        err_detail(&x->own_error, "The connection to the shard that decides was lost at COMMIT. Transaction %s.",
                   c->gtid);
        err_hint(&x->own_error, "Ask with SELECT pgbraid.transaction_status('%s') before you repeat it.", c->gtid);
    } else {
        err_detail(&x->own_error, "The connection to the shard that it wrote on was lost at COMMIT.");
        err_hint(&x->own_error, "Look before you repeat it.");
    }
    strbuf_reset(&x->error);
    x->commit->unsettled = c->nwriter > 1;
    commit_done(x, false);
}

/* After the decision: what recovery has to do, and readers that failed, which changes nothing any more (rule X6). */
static void commit_note_unfinished(struct exec *x)
{
    struct dist_commit *c = x->commit;

    for (uint32_t i = 0; i < x->npart; i++) {
        if (!c->of[i].failed || i == c->decider)
            continue;
        c->unsettled |= c->of[i].prepared;
        log_line(LOG_WARN, "commit",
                 c->of[i].prepared ? "a participant has not finished yet"
                                   : "a shard that was only read from failed at COMMIT",
                 "gtid=%s", c->gtid ? c->gtid : "-");
    }
}

/* Everybody asked in this phase has answered. */
static void commit_next(struct exec *x)
{
    struct dist_commit *c = x->commit;
    bool failed = commit_phase_failed(x);

    switch (c->phase) {
    case COMMIT_BEGIN:
    case COMMIT_PREPARE:
    case COMMIT_GATE:
    case COMMIT_DECIDE:
        if (c->unknown) {
            commit_unknown(x);
            return;
        }
        if (failed) {
            for (uint32_t i = 0; i < x->npart; i++)
                c->of[i].failed = false;
            commit_undo(x);
            if (c->npending == 0)
                commit_done(x, false);
            return;
        }
        if (c->phase == COMMIT_BEGIN)
            commit_prepare(x);
        else if (c->phase == COMMIT_PREPARE)
            commit_pass_gate(x);
        else if (c->phase == COMMIT_GATE)
            commit_decide(x);
        else
            commit_finish(x);
        if (x->commit == c && c->npending == 0 && c->phase != COMMIT_GATE) /* nobody was left to ask */
            commit_next(x);
        return;
    case COMMIT_FINISH:
        commit_note_unfinished(x);
        commit_done(x, true);
        return;
    case COMMIT_UNDO:
        c->unsettled |= failed;
        commit_done(x, false);
        return;
    }
}

bool exec_in_two_phase(const struct exec *x)
{
    return x->task == TASK_COMMIT && x->commit;
}

const char *exec_commit_phase(const struct exec *x)
{
    static const char *const names[] = {
        [COMMIT_BEGIN] = "commit: begin",   [COMMIT_PREPARE] = "commit: prepare", [COMMIT_GATE] = "commit: gate",
        [COMMIT_DECIDE] = "commit: decide", [COMMIT_FINISH] = "commit: finish",   [COMMIT_UNDO] = "commit: undo"
    };

    return exec_in_two_phase(x) ? names[x->commit->phase] : NULL;
}

uint64_t exec_commit_since(const struct exec *x)
{
    return x->commit->since_us;
}

void exec_commit_expired(struct exec *x)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0317, "a shard did not answer in time during COMMIT (commit_timeout)");
    for (uint32_t i = 0; i < x->npart && x->commit && x->task == TASK_COMMIT; i++) {
        if (x->commit->of[i].waiting && x->parts[i].backend)
            exec_commit_lost(x, x->parts[i].backend, &e);
    }
}

void exec_commit_fini(struct exec *x)
{
    struct router *r = x->s->worker->router;

    if (!x->commit)
        return;
    /* The client has gone in the middle: what is prepared is recovery's. */
    exec_gate_committed(x, x->commit->phase < COMMIT_DECIDE || x->commit->nwriter < 2 ? NULL : x->commit->gtid);
    if (x->commit->gtid) {
        gtid_end(r->gtids, x->commit->gtid);
        recovery_kick(r->recovery);
    }
    x->commit = NULL;
}
