/*
 * Transaction control over the shards of a transaction.
 *
 * A transaction on one shard commits there. One that wrote on several commits in two phases (exec_commit.c), or, with
 * commit = best_effort, on each by itself: then the client is warned. A transaction that failed, or lost a participant,
 * is rolled back everywhere.
 */
#include "router/exec/txn.h"

#include "router/config/config.h"
#include "router/exec/answer.h"
#include "router/exec/commit.h"
#include "router/exec/cursor.h"
#include "router/exec/ddl.h"
#include "router/exec/exec_int.h"
#include "router/exec/listen.h"
#include "router/exec/part.h"
#include "router/exec/pass.h"
#include "router/exec/prepare.h"
#include "router/exec/setting.h"
#include "router/exec/signal.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/isolation.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <string.h>

/* --- commands on all leases of the transaction --- */

static void exec_run_on_leases(struct exec *x, struct span sql)
{
    exec_parts_of_leases(x);
    x->next_part = x->npart;
    for (uint32_t i = 0; i < x->npart; i++)
        exec_send_query(x, &x->parts[i], sql);
}

void exec_warn(struct exec *x, const char *sqlstate, const char *message)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0311, "%s", message);
    e.id = ERR_NONE;
    err_state(&e, sqlstate);
    be_put_notice(&x->out, "WARNING", &e);
}

static void exec_warn_not_atomic(struct exec *x)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0311, "the transaction wrote on %u shards and commits on each of them separately", x->nwriter);
    err_detail(&e, "If a shard fails in between, some may have committed and others not.");
    be_put_notice(&x->out, "WARNING", &e);
}

/* Must its shards commit in some order? A writer's decision comes before the readers are released (rule X6). */
static bool exec_commits_in_phases(const struct exec *x, uint32_t nshard)
{
    /* Whose outcome can be asked for has one, whatever pgbraid.commit says. */
    if (x->nwriter > 0 && x->s->txn.recorded)
        return true;
    return nshard > 1 && x->nwriter > 0 && setting_commit(x->s) != COMMIT_BEST_EFFORT;
}

static void exec_end_txn_now(struct exec *x)
{
    struct session *s = x->s;
    uint32_t nshard = 0;

    x->committed = x->verb == SESSION_COMMIT && s->tx != 'E' && !s->txn.doomed;
    x->failed = false;
    x->ndone = 0;
    x->nwriter = 0;
    for (struct backend *b = s->held; b; b = b->next_held) {
        x->nwriter += b->begun && b->wrote;
        nshard += b->begun;
        b->announced = ANNOUNCED; /* or too late to be of use */
    }
    x->atomic = false;
    if (x->committed && exec_commits_in_phases(x, nshard)) {
        exec_commit(x);
        return;
    }
    exec_run_on_leases(x, x->committed ? SPAN("COMMIT") : SPAN("ROLLBACK"));
    if (x->npart == 0)
        exec_txn_done(x);
}

static void exec_end_heard(struct exec *x)
{
    exec_end_txn(x, true);
}

void exec_end_txn(struct exec *x, bool commit)
{
    struct session *s = x->s;
    uint32_t *shards = ARENA_ARRAY(&x->arena, uint32_t, s->nheld ? s->nheld : 1), nshard = 0, nwriter = 0;

    x->verb = commit ? SESSION_COMMIT : SESSION_ROLLBACK;
    x->task = TASK_TXN;
    x->parts = NULL;
    x->npart = x->next_part = 0;
    if (commit && s->tx != 'E' && !s->txn.doomed && !exec_hear_before(x, exec_end_heard))
        return;
    for (const struct backend *b = s->held; b; b = b->next_held) {
        nshard += b->begun;
        if (b->begun && b->wrote)
            shards[nwriter++] = b->pool->shard_id;
    }
    x->nwriter = nwriter;
    /* In phases it passes the gate when everybody is prepared. */
    if (commit && s->tx != 'E' && !s->txn.doomed && !exec_commits_in_phases(x, nshard) &&
        !exec_gate_commit(x, shards, nwriter, exec_end_txn_now))
        return;
    exec_end_txn_now(x);
}

enum exec_action exec_txn_frame(struct exec *x, struct part *p, char type, struct span body)
{
    switch (type) {
    case BE_ERROR:
        p->failed = true;
        if (!x->failed && !x->own_error.message[0] && x->error.len == 0) {
            strbuf_put(&x->error, body.ptr, body.len);
            x->error_part = (uint32_t)(p - x->parts);
        }
        x->failed = true;
        break;
    case BE_COMMAND_COMPLETE:
        /* Only the exact tag counts: a failed transaction answers COMMIT with ROLLBACK and no error (rule X9). */
        if (x->verb == SESSION_COMMIT && x->committed && !span_eq(body, span_make("COMMIT", 7))) {
            p->failed = true;
            if (!x->failed)
                err_set(&x->own_error, PB0310, "shard \"%s\" rolled back instead of committing",
                        p->backend->pool->shard_name);
            x->failed = true;
        }
        break;
    case BE_NOTICE:
        if (p == x->parts) {
            size_t at = msg_begin(&x->out, type);

            strbuf_put(&x->out, body.ptr, body.len);
            msg_end(&x->out, at);
        }
        break;
    default:
        break;
    }
    return EXEC_SWALLOW;
}

/* How the end of a commit over several shards is told when some failed. */
static void exec_commit_error(struct exec *x)
{
    uint32_t failed = 0;

    for (uint32_t i = 0; i < x->npart; i++)
        failed += x->parts[i].failed;
    if (x->atomic || (failed == x->npart && x->npart == 1)) {
        exec_emit_error(x);
        return;
    }
    if (!x->own_error.message[0])
        be_error_to_err(strbuf_span(&x->error), &x->own_error);
    if (x->npart > 1) {
        char detail[sizeof(x->own_error.detail)];

        snprintf(detail, sizeof(detail), "%u of %u shards did not commit; the others did. %.300s", failed, x->npart,
                 x->own_error.detail);
        err_detail(&x->own_error, "%s", detail);
    }
    exec_emit_error(x);
}

/* A COMMIT or ROLLBACK of the client's, done everywhere. */
static void exec_client_txn_done(struct exec *x)
{
    struct session *s = x->s;
    bool commit = x->committed && !x->failed, chain = x->plan && x->plan->session->chain;
    bool ddl = s->txn.ddl && x->committed;
    struct txn_modes modes = txn_handed_on(s);

    if (x->failed && x->verb == SESSION_COMMIT) {
        exec_commit_error(x);
    } else {
        if (x->nwriter > 1 && commit)
            exec_warn_not_atomic(x);
        exec_answer(x, commit ? "COMMIT" : "ROLLBACK");
    }
    s->tx = 'I';
    session_end_transaction(s, commit);
    if (chain && !x->failed) {
        txn_begin_chained(s, &modes);
        s->tx = 'T';
    }
    if (x->failed && x->verb == SESSION_COMMIT && !ddl)
        exec_after_error(x);
    else if (ddl)
        exec_reload_schema(x, x->failed);
    else
        exec_step_done(x);
}

static void exec_rolled_back_to(struct exec *x, struct savepoint *sp)
{
    struct session *s = x->s;
    uint32_t depth = 0;

    for (const struct savepoint *o = sp->outer; o; o = o->outer)
        depth++;
    txn_rollback_to(s, sp);
    portal_rollback_to(s, depth);
    exec_cursor_tidy(s);
    env_unref(s->env);
    s->env = env_ref(sp->env);
    for (struct backend *b = s->held; b; b = b->next_held) {
        if (!b->begun)
            continue;
        if (b->announced == ANNOUNCED_IN_SAVEPOINT)
            b->announced = ANNOUNCED_NOT;
        env_unref(b->env_next);
        b->env_next = env_ref(s->env);
    }
    s->tx = 'T';
    exec_answer(x, "ROLLBACK");
    if (s->txn.catalog)
        exec_load_catalog(x);
    else
        exec_step_done(x);
}

static void exec_savepoint_done(struct exec *x)
{
    struct session *s = x->s;
    const char *name = x->plan->session->name;
    struct savepoint *sp;
    uint32_t depth = 0;

    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    if (x->verb == SESSION_SAVEPOINT) {
        txn_savepoint(s, name);
        exec_answer(x, "SAVEPOINT");
        exec_step_done(x);
        return;
    }
    sp = txn_find_savepoint(s, name);
    BUG_ON(!sp);
    if (x->verb == SESSION_ROLLBACK_TO) {
        exec_rolled_back_to(x, sp);
        return;
    }
    for (const struct savepoint *o = sp->outer; o; o = o->outer)
        depth++;
    portal_release(s, depth);
    txn_release(s, sp);
    exec_answer(x, "RELEASE");
    exec_step_done(x);
}

/* --- what is said of the transaction: BEGIN, SET TRANSACTION, SET CONSTRAINTS --- */

static void exec_said_answer(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;

    exec_answer(x, ps->verb == SESSION_SET_CONSTRAINTS ? "SET CONSTRAINTS"
                   : ps->verb != SESSION_BEGIN         ? "SET"
                   : ps->start                         ? "START TRANSACTION"
                                                       : "BEGIN");
    exec_step_done(x);
}

/* It is right: shards that join later will hear it, too. */
static void exec_said(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;

    if (ps->verb == SESSION_BEGIN) {
        s->txn.implicit = false;
        s->tx = 'T';
    }
    if (s->txn.env && ps->verb == SESSION_SET_CONSTRAINTS)
        txn_note_constraints(&s->txn, x->text);
    else if (s->txn.env)
        modes_merge(&s->txn.modes, &ps->modes);
    exec_said_answer(x);
}

static void exec_said_done(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;

    exec_aside_end(x);
    if (!x->failed && ps->judged && ps->verb == SESSION_SET_TRANSACTION) {
        err_set(&x->own_error, PB0313, "the value of \"%s\" is not understood", ps->name);
        err_hint(&x->own_error, "Use SET TRANSACTION.");
        x->failed = true;
    }
    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    exec_said(x);
}

/*
 * PostgreSQL lets a transaction that has written become read-only. The row that decides a commit over several shards is
 * written at its end, which it then could not be (rule X8).
 */
static bool exec_may_say(const struct exec *x, struct err *e)
{
    const struct session *s = x->s;
    uint32_t nwriter = 0;

    if (x->plan->session->modes.read_only != MODE_ON || s->txn.modes.read_only == MODE_ON)
        return true;
    for (const struct backend *b = s->held; b; b = b->next_held)
        nwriter += b->begun && b->wrote;
    if (nwriter < 2)
        return true;
    err_set(e, PB0313, "a transaction that has written on %u shards cannot become READ ONLY", nwriter);
    err_detail(e, "Its commit has to write the decision.");
    return err_hint(e, "Leave it READ WRITE until its end.");
}

/*
 * Tell the shards that are in the transaction, whose answer says whether it is right. While there are none it mostly
 * is: else (`ask`, within a savepoint, after a query beside the transaction) a server is asked beside it.
 */
static void exec_say(struct exec *x, bool ask)
{
    const struct plan_session *ps = x->plan->session;
    const struct session *s = x->s;
    struct err e = ERR_INIT;

    if (!exec_may_say(x, &e)) {
        exec_fail(x, &e);
        return;
    }
    x->verb = ps->verb;
    x->task = TASK_TXN;
    if (ask && s->txn.env)
        exec_run_on_leases(x, x->text);
    if (x->npart)
        return;
    if (ask && (ps->judged || (ps->verb != SESSION_SET_CONSTRAINTS && (s->txn.savepoint || s->txn.queried))))
        exec_aside(x);
    else
        exec_said(x);
}

/* --- ends --- */

void exec_txn_done(struct exec *x)
{
    struct session *s = x->s;

    exec_gate_committed(x, NULL);
    if (x->committed && !x->failed && !exec_hear_after(x, exec_txn_done))
        return;
    if (x->after_own_txn || x->implicit_end || x->implicit_rollback) {
        bool own = x->after_own_txn, rollback = x->implicit_rollback;
        bool committed = x->committed && !x->failed, wanted = x->verb == SESSION_COMMIT;
        bool ddl = s->txn.ddl && x->committed;

        if (wanted && !committed) {
            strbuf_reset(&x->last_tag);
            exec_commit_error(x);
        } else if (wanted && x->nwriter > 1) {
            exec_warn_not_atomic(x);
        }
        s->tx = 'I';
        session_end_transaction(s, committed);
        x->after_own_txn = x->implicit_end = x->implicit_rollback = false;
        if (own) {
            exec_own_txn_done(x, committed);
        } else if (rollback) {
            exec_advance(x);
        } else {
            /* The end of the string: once more, now without a transaction. */
            x->cur--;
            if (ddl)
                exec_reload_schema(x, false);
            else
                exec_step_done(x);
        }
        return;
    }
    if (x->verb == SESSION_COMMIT || x->verb == SESSION_ROLLBACK) {
        exec_client_txn_done(x);
    } else if (x->verb == SESSION_SAVEPOINT || x->verb == SESSION_RELEASE || x->verb == SESSION_ROLLBACK_TO) {
        exec_savepoint_done(x);
    } else {
        exec_said_done(x);
    }
}

/* --- transaction verbs --- */

static void exec_begin(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;

    if (!s->txn.env) {
        txn_begin(s, &ps->modes, false);
        s->tx = 'T';
        exec_said_answer(x);
        return;
    }
    if (!s->txn.implicit)
        exec_warn(x, "25001", "there is already a transaction in progress");
    /* What was implicit so far becomes the client's transaction; its modes are those of the one that runs. */
    x->text = SPAN("SET TRANSACTION");
    if (modes_say_something(&ps->modes)) {
        struct strbuf sql = STRBUF_INIT;

        strbuf_puts(&sql, "SET TRANSACTION");
        modes_put(&ps->modes, &sql);
        x->text = exec_copy_span(x, strbuf_span(&sql));
        strbuf_fini(&sql);
    }
    exec_say(x, modes_say_something(&ps->modes));
}

static void exec_end(struct exec *x, bool commit)
{
    struct session *s = x->s;
    bool implicit = s->txn.env && s->txn.implicit;

    if (!s->txn.env || implicit) {
        if (x->plan->session->chain) {
            struct err e = ERR_INIT;

            err_set(&e, PB0204, "%s AND CHAIN can only be used in transaction blocks", commit ? "COMMIT" : "ROLLBACK");
            err_state(&e, "25P01");
            exec_fail(x, &e);
            return;
        }
        exec_warn(x, "25P01", "there is no transaction in progress");
    }
    if (!s->txn.env) {
        exec_answer(x, commit ? "COMMIT" : "ROLLBACK");
        exec_step_done(x);
        return;
    }
    exec_end_txn(x, commit);
}

static void exec_savepoint(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct err e = ERR_INIT;

    if (!s->txn.env || s->txn.implicit) {
        err_set(&e, PB0204, "%s can only be used in transaction blocks",
                ps->verb == SESSION_SAVEPOINT ? "SAVEPOINT"
                : ps->verb == SESSION_RELEASE ? "RELEASE SAVEPOINT"
                                              : "ROLLBACK TO SAVEPOINT");
        err_state(&e, "25P01");
        exec_fail(x, &e);
        return;
    }
    if (ps->verb != SESSION_SAVEPOINT && !txn_find_savepoint(s, ps->name)) {
        err_set(&e, PB0204, "savepoint \"%s\" does not exist", ps->name);
        err_state(&e, "3B001");
        exec_fail(x, &e);
        return;
    }
    if (s->txn.doomed) {
        query_failed_transaction(&e);
        err_detail(&e, "A shard that took part in the transaction was lost; only ROLLBACK is possible.");
        exec_fail(x, &e);
        return;
    }
    x->verb = ps->verb;
    x->task = TASK_TXN;
    exec_run_on_leases(x, x->text);
    if (x->npart == 0)
        exec_txn_done(x);
}

/* SET TRANSACTION and SET CONSTRAINTS. */
static void exec_txn_mode(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    const struct session *s = x->s;
    bool constraints = ps->verb == SESSION_SET_CONSTRAINTS;

    /* What is implicit in a pipeline is no block for PostgreSQL 15, but what is said counts until its end. */
    if ((s->txn.env ? s->txn.implicit && x->extended : !ps->judged) && (!ps->setting || ps->local))
        exec_warn(x, "25P01",
                  constraints   ? "SET CONSTRAINTS can only be used in transaction blocks"
                  : ps->setting ? "SET LOCAL can only be used in transaction blocks"
                                : "SET TRANSACTION can only be used in transaction blocks");
    exec_say(x, s->txn.env || ps->judged);
}

/* --- the rest --- */

static void exec_deallocate(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct err e = ERR_INIT;

    if (ps->verb == SESSION_DEALLOCATE_ALL) {
        session_drop_statements(x->s);
        exec_answer(x, "DEALLOCATE ALL");
    } else if (session_drop_statement(x->s, span_str(ps->name))) {
        exec_answer(x, "DEALLOCATE");
    } else {
        err_set(&e, PB0304, "prepared statement \"%s\" does not exist", ps->name);
        exec_fail(x, &e);
        return;
    }
    exec_step_done(x);
}

static void exec_discard_held(struct exec *x);

static void exec_discarded(struct backend *b, bool ok)
{
    struct session *s = b->session;

    (void)ok; /* pool_release() cleans it once more */
    if (!s)
        return;
    pool_release(b);
    if (s->exec)
        exec_discard_held(s->exec);
}

/* Others may look for a lock that was kept as soon as the client is answered: by then it must be free. */
static void exec_discard_held(struct exec *x)
{
    while (x->s->held) {
        struct backend *b = x->s->held;

        if (b->pins && !b->nexpect) {
            backend_internal(b, "DISCARD ALL", exec_discarded);
            return;
        }
        pool_release(b);
    }
    exec_answer(x, "DISCARD ALL");
    exec_step_done(x);
}

static void exec_discard(struct exec *x)
{
    struct session *s = x->s;
    struct err e = ERR_INIT;

    if (x->plan->session->verb == SESSION_DISCARD_OTHER) {
        exec_answer(x, x->plan->session->name ? x->plan->session->name : "DISCARD PLANS");
        exec_step_done(x);
        return;
    }
    if (s->txn.env) {
        err_set(&e, PB0204, "DISCARD ALL cannot run inside a transaction block");
        err_state(&e, "25001");
        exec_fail(x, &e);
        return;
    }
    env_unref(s->env);
    s->env = env_ref(s->login_env);
    session_drop_statements(s);
    portal_drop_all(s);
    channels_drop(s);
    exec_discard_held(x);
}

void exec_session_verb(struct exec *x)
{
    const char *column;

    if (setting_is_own(x->plan, &column)) {
        exec_own_setting(x);
        return;
    }
    switch (x->plan->session->verb) {
    case SESSION_BEGIN:
        exec_bind_answer(x);
        exec_begin(x);
        break;
    case SESSION_COMMIT:
    case SESSION_ROLLBACK:
        exec_bind_answer(x);
        exec_end(x, x->plan->session->verb == SESSION_COMMIT);
        break;
    case SESSION_SAVEPOINT:
    case SESSION_RELEASE:
    case SESSION_ROLLBACK_TO:
        exec_bind_answer(x);
        exec_savepoint(x);
        break;
    case SESSION_SET_TRANSACTION:
        exec_bind_answer(x);
        exec_txn_mode(x);
        break;
    case SESSION_SET_CONSTRAINTS:
        exec_bind_answer(x);
        exec_txn_mode(x);
        break;
    case SESSION_SET:
    case SESSION_RESET:
    case SESSION_RESET_ALL:
    case SESSION_SHOW:
    case SESSION_SET_CONFIG:
        exec_setting(x);
        break;
    case SESSION_DISCARD_ALL:
    case SESSION_DISCARD_OTHER:
        exec_bind_answer(x);
        exec_discard(x);
        break;
    case SESSION_DEALLOCATE:
    case SESSION_DEALLOCATE_ALL:
        exec_bind_answer(x);
        exec_deallocate(x);
        break;
    case SESSION_CANCEL:
    case SESSION_TERMINATE:
        exec_signal(x);
        break;
    case SESSION_DECLARE:
        exec_declare(x);
        break;
    case SESSION_FETCH:
        exec_fetch(x);
        break;
    case SESSION_CLOSE:
        exec_close_cursor(x);
        break;
    case SESSION_LISTEN:
    case SESSION_UNLISTEN:
        exec_bind_answer(x);
        exec_listen(x);
        break;
    case SESSION_CHANNELS:
        exec_channels(x);
        break;
    case SESSION_PREPARE:
        exec_bind_answer(x);
        exec_sql_prepare(x);
        break;
    case SESSION_EXECUTE:
        exec_sql_execute(x);
        break;
    }
}
