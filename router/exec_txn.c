/*
 * Session-level statements: transaction control over the shards of a transaction, and settings.
 *
 * A transaction on one shard commits there. One that wrote on several commits in two phases (exec_commit.c), or, with
 * commit = best_effort, on each by itself: then the client is warned. A transaction that failed, or lost a participant,
 * is rolled back everywhere.
 */
#include "base/mem.h"
#include "router/backend.h"
#include "router/config.h"
#include "router/exec_int.h"
#include "router/isolation.h"
#include "router/pool.h"
#include "router/portal.h"
#include "router/query.h"
#include "router/session.h"
#include "router/setting.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <ctype.h>
#include <stdlib.h>
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
    if (x->nwriter == 1 && x->s->txn.recorded)
        return true;
    return nshard > 1 && x->nwriter > 0 && setting_commit(x->s) != COMMIT_BEST_EFFORT;
}

void exec_end_txn(struct exec *x, bool commit)
{
    struct session *s = x->s;
    uint32_t nshard = 0;

    x->committed = commit && s->tx != 'E' && !s->txn.doomed;
    x->verb = commit ? SESSION_COMMIT : SESSION_ROLLBACK;
    x->task = TASK_TXN;
    x->failed = false;
    x->ndone = 0;
    x->nwriter = 0;
    for (struct backend *b = s->held; b; b = b->next_held) {
        x->nwriter += b->begun && b->wrote;
        nshard += b->begun;
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
    char *begin = NULL;

    if (x->failed && x->verb == SESSION_COMMIT) {
        exec_commit_error(x);
    } else {
        if (x->nwriter > 1 && commit)
            exec_warn_not_atomic(x);
        exec_answer(x, commit ? "COMMIT" : "ROLLBACK");
    }
    if (chain && s->txn.begin)
        begin = mem_strdup(s->txn.begin);
    s->tx = 'I';
    session_end_transaction(s, commit);
    if (chain && !x->failed) {
        query_begin(s, begin ? span_str(begin) : (struct span){ 0 }, false);
        s->tx = 'T';
    }
    free(begin);
    if (x->failed && x->verb == SESSION_COMMIT && !ddl)
        exec_after_error(x);
    else if (ddl)
        exec_reload_schema(x, x->failed);
    else
        exec_step_done(x);
}

static void exec_savepoint_done(struct exec *x)
{
    struct session *s = x->s;
    const char *name = x->plan->session->name;
    struct savepoint *sp = s->txn.savepoint;
    uint32_t depth = 0;

    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    if (x->verb == SESSION_SAVEPOINT) {
        sp = mem_zalloc(sizeof(*sp) + strlen(name) + 1);
        memcpy(sp->name, name, strlen(name));
        sp->env = env_ref(s->env);
        sp->outer = s->txn.savepoint;
        s->txn.savepoint = sp;
        exec_answer(x, "SAVEPOINT");
    } else {
        /* RELEASE drops the savepoint and those inside it; ROLLBACK TO keeps it and drops those inside. */
        while (sp && strcmp(sp->name, name) != 0) {
            s->txn.savepoint = sp->outer;
            env_unref(sp->env);
            free(sp);
            sp = s->txn.savepoint;
        }
        for (const struct savepoint *o = sp ? sp->outer : NULL; o; o = o->outer)
            depth++;
        if (sp && x->verb == SESSION_ROLLBACK_TO) {
            portal_rollback_to(s, depth);
            env_unref(s->env);
            s->env = env_ref(sp->env);
            for (struct backend *b = s->held; b; b = b->next_held) {
                if (!b->begun)
                    continue;
                env_unref(b->env_next);
                b->env_next = env_ref(s->env);
            }
            s->tx = 'T';
            exec_answer(x, "ROLLBACK");
            if (s->txn.catalog) {
                exec_load_catalog(x);
                return;
            }
        } else if (sp) {
            portal_release(s, depth);
            s->txn.savepoint = sp->outer;
            env_unref(sp->env);
            free(sp);
            exec_answer(x, "RELEASE");
        }
    }
    exec_step_done(x);
}

void exec_txn_done(struct exec *x)
{
    struct session *s = x->s;

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
    } else if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
    } else {
        exec_answer(x, x->verb == SESSION_SET_CONSTRAINTS ? "SET CONSTRAINTS" : "SET");
        exec_step_done(x);
    }
}

/* --- transaction verbs --- */

static void exec_begin(struct exec *x)
{
    struct session *s = x->s;

    if (s->txn.env && !s->txn.implicit) {
        exec_warn(x, "25001", "there is already a transaction in progress");
    } else if (s->txn.env) {
        /* BEGIN inside a string: what was implicit so far becomes the client's transaction. */
        s->txn.implicit = false;
        s->txn.snapshot = s->txn.snapshot || isolation_has_snapshot(x->text, s->env);
    } else {
        query_begin(s, x->text, false);
    }
    s->tx = 'T';
    exec_answer(x, x->plan->session->start ? "START TRANSACTION" : "BEGIN");
    exec_step_done(x);
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

static struct savepoint *find_savepoint(const struct session *s, const char *name)
{
    struct savepoint *sp = s->txn.savepoint;

    while (sp && strcmp(sp->name, name) != 0)
        sp = sp->outer;
    return sp;
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
    if (ps->verb != SESSION_SAVEPOINT && !find_savepoint(s, ps->name)) {
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

/* SET TRANSACTION and SET CONSTRAINTS: for shards in the transaction now, and for those that join later. */
static void exec_txn_mode(struct exec *x, const char *tag)
{
    struct session *s = x->s;
    bool constraints = x->plan->session->verb == SESSION_SET_CONSTRAINTS;
    size_t old;

    if (!s->txn.env || s->txn.implicit) {
        exec_warn(x, "25P01",
                  constraints ? "SET CONSTRAINTS can only be used in transaction blocks"
                              : "SET TRANSACTION can only be used in transaction blocks");
        exec_answer(x, tag);
        exec_step_done(x);
        return;
    }
    if (!constraints)
        s->txn.snapshot = s->txn.snapshot || isolation_has_snapshot(x->text, s->env);
    old = s->txn.modes_len;
    s->txn.modes = mem_realloc(s->txn.modes, old + x->text.len + 1);
    memcpy(s->txn.modes + old, x->text.ptr, x->text.len);
    s->txn.modes[old + x->text.len] = '\0';
    s->txn.modes_len = old + x->text.len + 1;
    x->verb = x->plan->session->verb;
    x->task = TASK_TXN;
    exec_run_on_leases(x, x->text);
    if (x->npart == 0) {
        exec_answer(x, tag);
        exec_step_done(x);
    }
}

/* --- settings --- */

/* SET on every lease of the transaction, or on a connection of the home shard; then the value is read back from the
 * first. */
/*
 * The prefix of a SET or RESET leaves out what is being set anyway: its present value may be one that can no longer be
 * replayed (a role that was dropped), and this is the way out.
 */
static uint32_t exec_setting_prefix(struct exec *x, struct backend *b, struct strbuf *out)
{
    struct session *s = x->s;
    struct env *own = s->env;
    uint32_t n;

    if (!x->setting || x->verb == SESSION_SHOW || b->env_next == own)
        return query_put_prefix(s, b, out);
    s->env = env_with(own, x->setting, NULL, false);
    n = query_put_prefix(s, b, out);
    env_unref(s->env);
    s->env = own;
    return n;
}

static void exec_setting_start(struct exec *x)
{
    struct session *s = x->s;
    struct strbuf *out = &s->worker->out;
    struct span name = span_str(x->setting);

    x->next_part = x->npart;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];
        uint32_t n = exec_setting_prefix(x, p->backend, out);

        if (n) {
            struct expect *e = backend_expect(p->backend, EXPECT_PREFIX);

            e->count = n;
            e->send_sync = true;
        }
        backend_expect(p->backend, EXPECT_EXEC);
        fe_put_query(out, x->text);
        if (i == 0 && x->setting) {
            backend_expect(p->backend, EXPECT_EXEC);
            fe_put_statement(out, SPAN("SELECT pg_catalog.current_setting($1)"), &name, 1);
            fe_put_sync(out);
        }
        p->started = true;
        stream_write(&p->backend->st, out->ptr, out->len);
        strbuf_reset(out);
    }
}

static void exec_setting_resume(struct session *s)
{
    struct exec *x = s->exec;
    struct pool *pool = s->set->pools[s->set->home];
    struct backend *b = session_lease_of(s, pool);

    if (!b) {
        session_set_state(s, SESSION_WAITING);
        s->resume = exec_setting_resume;
        b = pool_acquire(pool, s, s->nheld > 0);
        if (!b) {
            exec_flush(x);
            return;
        }
        s->resume = NULL;
        session_set_state(s, SESSION_RUNNING);
    }
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->parts[0].backend = b;
    x->npart = 1;
    b->part = 0;
    exec_setting_start(x);
}

/* set_config() of a parameter, with its value: the command is sent as a simple query. */
static bool exec_setting_text(struct exec *x, struct err *e)
{
    const struct plan_session *ps = x->plan->session;
    struct strbuf sb = STRBUF_INIT;

    if (!x->extended || ps->param > x->binds.n)
        return err_set(e, PB0204, "there is no parameter $%u", ps->param) || err_state(e, "42P02");
    strbuf_puts(&sb, "SELECT pg_catalog.set_config(");
    strbuf_put_literal(&sb, span_str(ps->name));
    strbuf_puts(&sb, ", ");
    if (x->binds.values[ps->param - 1].ptr)
        strbuf_put_literal(&sb, x->binds.values[ps->param - 1]);
    else
        strbuf_puts(&sb, "NULL");
    strbuf_puts(&sb, ps->local ? ", true) AS " : ", false) AS ");
    strbuf_put_ident(&sb, span_str(ps->column));
    x->text = span_make(arena_spandup(&x->arena, strbuf_span(&sb)), sb.len);
    strbuf_fini(&sb);
    return true;
}

static void exec_setting(struct exec *x)
{
    struct session *s = x->s;
    const char *name = x->plan->session->name;
    struct err e = ERR_INIT;

    if (x->plan->session->param && !exec_setting_text(x, &e)) {
        exec_fail(x, &e);
        return;
    }
    x->verb = x->plan->session->verb;
    x->task = TASK_SETTING;
    x->setting = NULL;
    x->setting_value = NULL;
    if (name) {
        x->setting = arena_strdup(&x->arena, name);
        for (char *c = x->setting; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
        if (x->describe && x->verb != SESSION_SHOW && x->verb != SESSION_SET_CONFIG)
            strbuf_put(&x->out, "n\0\0\0\4", 5);
    }
    if (s->txn.env) {
        exec_parts_of_leases(x);
        if (x->npart) {
            exec_setting_start(x);
            return;
        }
    }
    exec_setting_resume(s);
}

enum exec_action exec_setting_frame(struct exec *x, struct part *p, char type, struct span body)
{
    size_t at;

    if (type == BE_ERROR) {
        if (!x->failed) {
            strbuf_put(&x->error, body.ptr, body.len);
            x->error_part = (uint32_t)(p - x->parts);
        }
        x->failed = p->failed = true;
        return EXEC_SWALLOW;
    }
    if (p != x->parts || type == BE_PARAMETER_STATUS) /* before ReadyForQuery the client is told of what has changed */
        return EXEC_SWALLOW;
    if (p->described) { /* the value being read back */
        struct span value;

        if (type == BE_DATA_ROW && be_decode_data_row(body, &value, 1) == 1 && value.ptr)
            x->setting_value = arena_spandup(&x->arena, value);
        return EXEC_SWALLOW;
    }
    if (type == BE_ROW_DESCRIPTION && x->extended && !x->describe)
        return EXEC_SWALLOW;
    if (type == BE_PARAMETER_STATUS) /* the client is told when it has become the session's: session_put_ready */
        return EXEC_SWALLOW;
    at = msg_begin(&x->out, type);
    strbuf_put(&x->out, body.ptr, body.len);
    msg_end(&x->out, at);
    return EXEC_SWALLOW;
}

/* The session's environment is `own` now, that of every connection that ran the statement `e`; both are taken. */
static void exec_take_env(struct exec *x, struct env *e, struct env *own)
{
    struct session *s = x->s;

    env_unref(s->env);
    s->env = own;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (!b)
            continue;
        env_unref(b->env_next);
        b->env_next = env_ref(e);
        if (!b->begun) {
            env_unref(b->env);
            b->env = env_ref(e);
        }
    }
    env_unref(e);
}

/* RESET goes back to what the client asked for at login, which the connections do not know. */
static void exec_take_reset(struct exec *x)
{
    struct session *s = x->s;
    const char *value = x->setting ? env_get(s->login_env, x->setting) : NULL;
    struct env *now;

    if (!x->setting) {
        struct env *base = env_base(s->set->envs);

        exec_take_env(x, env_reset_all(s->env, base), env_reset_all(s->env, s->login_env));
        env_unref(base);
        return;
    }
    if (x->plan->session->local) { /* SET LOCAL ... TO DEFAULT: until the end of the transaction, if there is one */
        if (!s->txn.env || !x->setting_value)
            return;
        exec_take_env(x, env_with(s->env, x->setting, x->setting_value, true),
                      env_with(s->env, x->setting, value ? value : x->setting_value, true));
        return;
    }
    now = env_with(s->env, x->setting, NULL, false);
    if (strcmp(x->setting, "session_authorization") == 0) { /* it ends SET ROLE */
        struct env *with_role = now;

        now = env_with(with_role, "role", NULL, false);
        env_unref(with_role);
    }
    exec_take_env(x, env_ref(now), value ? env_with(now, x->setting, value, false) : env_ref(now));
    env_unref(now);
}

void exec_setting_done(struct exec *x)
{
    struct session *s = x->s;
    const struct plan_session *ps = x->plan->session;

    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    if (x->verb == SESSION_RESET || x->verb == SESSION_RESET_ALL) {
        exec_take_reset(x);
    } else if (x->verb != SESSION_SHOW && x->setting_value && (!ps->local || s->txn.env)) {
        struct env *now = env_with(s->env, x->setting, x->setting_value, ps->local);

        exec_take_env(x, env_ref(now), now);
    }
    if (!s->txn.env) {
        while (s->held)
            pool_release(s->held);
    }
    exec_step_done(x);
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
    exec_answer(x, "DISCARD ALL");
    exec_step_done(x);
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
        exec_txn_mode(x, "SET");
        break;
    case SESSION_SET_CONSTRAINTS:
        exec_bind_answer(x);
        exec_txn_mode(x, "SET CONSTRAINTS");
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
    case SESSION_PREPARE:
        exec_bind_answer(x);
        exec_sql_prepare(x);
        break;
    case SESSION_EXECUTE:
        exec_sql_execute(x);
        break;
    }
}
