/*
 * Settings: SET, RESET, SHOW and set_config() run on every lease of the transaction, and the value is read back from
 * the first. A transaction that is on no shard yet is not put on one by that: the statement runs beside it on the home
 * shard
 * (`aside`), in a transaction that says what the client's has said and is rolled back, and the value is replayed where
 * the transaction goes.
 */
#include "router/exec/setting.h"

#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/exec/txn.h"
#include "router/server/backend.h"
#include "router/server/pin.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <ctype.h>
#include <string.h>

/*
 * The prefix of a SET or RESET leaves out what is being set anyway: its present value may be one that can no longer be
 * replayed (a role that was dropped), and this is the way out. Not so of SET LOCAL: when it is over, the connection has
 * the session's value again.
 */
static uint32_t exec_setting_prefix(struct exec *x, struct backend *b, struct strbuf *out)
{
    struct session *s = x->s;
    struct env *own = s->env;
    uint32_t n;

    if (!x->setting || x->verb == SESSION_SHOW || x->plan->session->local || b->env_next == own)
        return txn_put_prefix(s, b, out);
    s->env = env_with(own, x->setting, NULL, false);
    n = txn_put_prefix(s, b, out);
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

/* A query has run before, which this connection does not know. */
static uint32_t exec_aside_prefix(struct exec *x, struct backend *b, struct strbuf *out)
{
    uint32_t n = txn_put_prefix(x->s, b, out);

    if (!x->s->txn.queried)
        return n;
    fe_put_statement(out, SPAN("SELECT 1"), NULL, 0);
    return n + 1;
}

static void exec_say_aside(struct exec *x)
{
    struct strbuf *out = &x->s->worker->out;
    struct part *p = x->parts;
    uint32_t n = exec_aside_prefix(x, p->backend, out);

    if (n) {
        struct expect *e = backend_expect(p->backend, EXPECT_PREFIX);

        e->count = n;
        e->send_sync = true;
    }
    backend_expect(p->backend, EXPECT_EXEC);
    fe_put_query(out, x->text);
    p->started = true;
    x->next_part = 1;
    stream_write(&p->backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

static void exec_aside_resume(struct session *s)
{
    struct exec *x = s->exec;
    struct pool *pool = s->set->pools[s->set->home];
    struct backend *b = session_lease_of(s, pool);

    if (!b) {
        session_set_state(s, SESSION_WAITING);
        s->resume = exec_aside_resume;
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
    x->aside = true;
    b->part = 0;
    if (x->task == TASK_SETTING)
        exec_setting_start(x);
    else
        exec_say_aside(x);
}

void exec_aside(struct exec *x)
{
    exec_aside_resume(x->s);
}

void exec_aside_end(struct exec *x)
{
    struct backend *b = x->aside ? x->parts[0].backend : NULL;

    x->aside = false;
    if (!b)
        return;
    x->parts[0].backend = NULL;
    pin_give_back(b);
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

/* A statement that sets the role that the session began with, in place of the one that the client sent. */
static void exec_own_role(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct span role = span_str(env_get(x->s->login_env, "role"));
    struct strbuf sb = STRBUF_INIT;

    if (x->verb == SESSION_SET_CONFIG) {
        strbuf_puts(&sb, "SELECT pg_catalog.set_config('role', ");
        strbuf_put_literal(&sb, role);
        strbuf_puts(&sb, ps->local ? ", true) AS " : ", false) AS ");
        strbuf_put_ident(&sb, span_str(ps->column));
    } else {
        strbuf_puts(&sb, ps->local ? "SET LOCAL ROLE " : "SET ROLE ");
        strbuf_put_ident(&sb, role);
    }
    x->text = span_make(arena_spandup(&x->arena, strbuf_span(&sb)), sb.len);
    strbuf_fini(&sb);
}

static bool says_reset(struct span text)
{
    while (text.len && isspace((unsigned char)*text.ptr))
        text = span_make(text.ptr + 1, text.len - 1);
    return text.len && tolower((unsigned char)*text.ptr) == 'r';
}

/*
 * SESSION AUTHORIZATION DEFAULT (the planner lets no other pass) resets the role, and that is all that it does to a
 * session that is nobody else. It is carried out as that: replayed by itself, to a shard that joins later, it would end
 * a SET ROLE that came after it; and the connections do not know of a role that the session began with.
 */
static void exec_authorization(struct exec *x)
{
    x->setting = arena_strdup(&x->arena, "role");
    if (says_reset(x->text))
        x->text = SPAN("RESET ROLE");
    else
        x->text = x->plan->session->local ? SPAN("SET LOCAL role TO DEFAULT") : SPAN("SET role TO DEFAULT");
}

/*
 * Where the login role is a service role (rule P48): its members are not the client's. The client has one role, its
 * own, which is also what NONE means.
 */
static bool exec_service_role(struct exec *x, struct err *e)
{
    const struct plan_session *ps = x->plan->session;
    const char *user = x->s->user, *value = ps->value;

    if (x->verb != SESSION_SET && x->verb != SESSION_SET_CONFIG)
        return true;
    if (strcmp(x->setting, "session_authorization") != 0 && strcmp(x->setting, "role") != 0)
        return true;
    if (ps->param && x->binds.values[ps->param - 1].ptr)
        value = arena_spandup(&x->arena, x->binds.values[ps->param - 1]);
    if (value && strcmp(value, user) == 0 && strcmp(x->setting, "role") == 0)
        return true;
    if (!value || strcmp(value, "none") != 0) {
        err_set(e, PB0312, "permission denied to set %s \"%s\"", x->setting, value ? value : "");
        err_state(e, "42501");
        return err_detail(e,
                          "User \"%s\" is on the shards through the role \"%s\" (server_user), and keeps its own role.",
                          user, x->s->set->user);
    }
    exec_own_role(x);
    return true;
}

void exec_setting(struct exec *x)
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
    if (x->verb == SESSION_RESET && name && strcmp(x->setting, "session_authorization") == 0)
        exec_authorization(x);
    if (UNLIKELY(s->service) && name && !exec_service_role(x, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
        if (x->describe && x->verb != SESSION_SHOW && x->verb != SESSION_SET_CONFIG)
            strbuf_put(&x->out, "n\0\0\0\4", 5);
    }
    /* In a pipeline PostgreSQL 15 sees no block, but what is set counts until its end. */
    if (s->txn.env && s->txn.implicit && x->extended && x->plan->session->local &&
        (x->verb == SESSION_SET || x->verb == SESSION_RESET))
        exec_warn(x, "25P01", "SET LOCAL can only be used in transaction blocks");
    if (s->txn.env) {
        exec_parts_of_leases(x);
        if (x->npart) {
            exec_setting_start(x);
            return;
        }
    }
    s->txn.queried = s->txn.queried || (s->txn.env && x->verb == SESSION_SET_CONFIG);
    exec_aside(x);
}

enum exec_action exec_setting_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct strbuf *out;
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
    out = type == BE_COMMAND_COMPLETE ? exec_tag_out(x) : &x->out;
    at = msg_begin(out, type);
    strbuf_put(out, body.ptr, body.len);
    msg_end(out, at);
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
    struct env *now, *own;

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
    own = value ? env_with(now, x->setting, value, false) : env_ref(now);
    exec_take_env(x, now, own);
}

/* The command may have succeeded, and its value was not read: what the connections have is not what is known of them.
 */
static void setting_unknown(struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (b && x->verb != SESSION_SHOW && (x->npart > 1 || x->parts[0].described))
            b->dirty = true;
    }
}

void exec_setting_done(struct exec *x)
{
    struct session *s = x->s;
    const struct plan_session *ps = x->plan->session;

    if (x->aside && s->txn.env)
        exec_aside_end(x);
    if (x->failed) {
        setting_unknown(x);
        exec_aside_end(x);
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
    exec_aside_end(x);
    exec_step_done(x);
}
