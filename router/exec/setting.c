/*
 * Settings: SET, RESET, SHOW and set_config() run on every lease of the transaction, and the values are read back from
 * the first; of set_config() there may be several in one statement, which succeed or fail together. A transaction that
 * is on no shard yet is not put on one by that: the statement runs beside it on the home shard (`aside`), in a
 * transaction that says what the client's has said and is rolled back, and the values are replayed where the
 * transaction goes.
 */
#include "router/exec/setting.h"

#include "base/mem.h"
#include "planner/planner.h"
#include "planner/typing.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/ext.h"
#include "router/exec/part.h"
#include "router/exec/txn.h"
#include "router/server/backend.h"
#include "router/server/oids.h"
#include "router/server/pin.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <ctype.h>
#include <string.h>

/*
 * The prefix of a SET or RESET leaves out what is being set anyway: its present value may be one that can no longer be
 * replayed (a role that was dropped), and this is the way out. Not so of SET LOCAL: when it is over, the connection has
 * the session's value again. Nor of DateStyle: SET changes its style or its order, and leaves the other as it is.
 */
static uint32_t exec_setting_prefix(struct exec *x, struct backend *b, struct strbuf *out)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct env *own = s->env, *now;
    uint32_t n;

    if (x->verb == SESSION_SHOW || b->env_next == own)
        return txn_put_prefix(s, b, out);
    now = env_ref(own);
    for (uint32_t i = 0; i < x->nsetting; i++) {
        struct env *before = now;

        if ((ps->nset ? ps->sets[i].local : ps->local) || strcmp(x->sets[i].name, "datestyle") == 0)
            continue;
        now = env_with(before, x->sets[i].name, NULL, false);
        env_unref(before);
    }
    s->env = now;
    n = txn_put_prefix(s, b, out);
    s->env = own;
    env_unref(now);
    return n;
}

/* Is it sent as the client has sent it: with its parameters, and the formats it wants? */
static bool setting_is_bound(const struct exec *x)
{
    return x->bound && x->verb == SESSION_SET_CONFIG && !x->retold;
}

static void setting_put_command(struct exec *x, const struct backend *b, struct strbuf *out)
{
    static const struct span unnamed = { 0 };

    if (!setting_is_bound(x)) {
        fe_put_query(out, x->text);
        return;
    }
    backend_put_parse(b, out, unnamed, x->text, x->prepared->types, x->prepared->ntype);
    fe_put_bind(out, unnamed, unnamed, x->bind_rest);
    if (x->describe)
        fe_put_describe(out, 'P', unnamed);
    fe_put_execute(out, unnamed, 0);
    fe_put_sync(out);
}

static void setting_put_read_back(struct exec *x, struct strbuf *out)
{
    struct span *names = ARENA_ARRAY(&x->arena, struct span, x->nsetting);
    struct strbuf sql = STRBUF_INIT;

    for (uint32_t i = 0; i < x->nsetting; i++) {
        names[i] = span_str(x->sets[i].name);
        strbuf_printf(&sql, "%s pg_catalog.current_setting($%u)", i ? "," : "SELECT", i + 1);
    }
    fe_put_statement(out, strbuf_span(&sql), names, (uint16_t)x->nsetting);
    fe_put_sync(out);
    strbuf_fini(&sql);
}

static void exec_setting_start(struct exec *x)
{
    struct session *s = x->s;
    struct strbuf *out = &s->worker->out;

    x->next_part = x->npart;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *p = &x->parts[i];
        uint32_t n = exec_setting_prefix(x, p->backend, out);

        if (n) {
            struct expect *e = backend_expect(p->backend, EXPECT_PREFIX);

            e->count = n;
            e->send_sync = !setting_is_bound(x); /* that has a Sync of its own */
        }
        backend_expect(p->backend, EXPECT_EXEC);
        setting_put_command(x, p->backend, out);
        if (i == 0 && x->nsetting) {
            backend_expect(p->backend, EXPECT_EXEC);
            setting_put_read_back(x, out);
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

/* Is the parameter's value the text that set_config() sees? A server would have to convert others. */
static bool setting_is_text(const struct exec *x, uint32_t param)
{
    uint32_t type = param <= x->binds.n ? x->binds.types[param - 1] : 0;

    return type == 0 || type == OID_TEXT || type == TYPE_VARCHAR || type == OID_UNKNOWN;
}

/* The value of a call, as text; false: only a server can tell. NULL is NULL. */
static bool set_value(struct exec *x, const struct plan_setting *set, const char **value)
{
    *value = set->value;
    if (!set->param)
        return true;
    if (!x->bound || set->param > x->binds.n || !setting_is_text(x, set->param))
        return false;
    if (x->binds.values[set->param - 1].ptr)
        *value = arena_spandup(&x->arena, x->binds.values[set->param - 1]);
    return true;
}

static bool set_is_null(const struct exec *x, const struct plan_setting *set)
{
    if (set->param)
        return x->bound && set->param <= x->binds.n && !x->binds.values[set->param - 1].ptr;
    return set->literal == UINT32_MAX;
}

/* The text of the statement with other values for some of its calls: values[i], NULL: what the client has said. */
static bool exec_retell(struct exec *x, const char *const *values, struct err *e)
{
    const struct plan_session *ps = x->plan->session;
    struct strbuf sb = STRBUF_INIT;

    for (uint32_t i = 0; i < ps->nset; i++) {
        const struct plan_setting *set = &ps->sets[i];

        if (!values[i] && set->param && !setting_is_text(x, set->param)) {
            strbuf_fini(&sb);
            err_set(e, PB0313, "set_config() of a parameter of this type is not supported here");
            return err_hint(e, "Give the parameter as text, or set \"%s\" in a statement of its own.", x->sets[i].name);
        }
        strbuf_puts(&sb, i ? ", pg_catalog.set_config(" : "SELECT pg_catalog.set_config(");
        strbuf_put_literal(&sb, span_str(x->sets[i].name));
        strbuf_puts(&sb, ", ");
        if (values[i])
            strbuf_put_literal(&sb, span_str(values[i]));
        else if (set_is_null(x, set))
            strbuf_puts(&sb, "NULL");
        else if (set->param)
            strbuf_put_literal(&sb, x->binds.values[set->param - 1]);
        else
            strbuf_put(&sb, x->text.ptr + x->lits_copy.v[set->literal].off, x->lits_copy.v[set->literal].len);
        strbuf_puts(&sb, set->local ? ", true) AS " : ", false) AS ");
        strbuf_put_ident(&sb, span_str(set->column));
    }
    x->retold = true;
    x->text = span_make(arena_spandup(&x->arena, strbuf_span(&sb)), sb.len);
    strbuf_fini(&sb);
    return true;
}

/* A SET ROLE that sets the role that the session began with, in place of the one that the client sent. */
static void exec_own_role(struct exec *x)
{
    struct strbuf sb = STRBUF_INIT;

    strbuf_puts(&sb, x->plan->session->local ? "SET LOCAL ROLE " : "SET ROLE ");
    strbuf_put_ident(&sb, span_str(env_get(x->s->login_env, "role")));
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
    x->setting = x->sets[0].name = arena_strdup(&x->arena, "role");
    if (says_reset(x->text))
        x->text = SPAN("RESET ROLE");
    else
        x->text = x->plan->session->local ? SPAN("SET LOCAL role TO DEFAULT") : SPAN("SET role TO DEFAULT");
}

static bool is_role(const char *name)
{
    return strcmp(name, "session_authorization") == 0 || strcmp(name, "role") == 0;
}

/*
 * Where the login role is a service role (rule P48): its members are not the client's. The client has one role, its
 * own, which is also what NONE means: *own.
 */
static bool exec_service_role(struct exec *x, const char *name, const char *value, bool *own, struct err *e)
{
    *own = false;
    if (!is_role(name))
        return true;
    if (value && strcmp(value, x->s->user) == 0 && strcmp(name, "role") == 0)
        return true;
    if (!value || strcmp(value, "none") != 0) {
        err_set(e, PB0312, "permission denied to set %s \"%s\"", name, value ? value : "");
        err_state(e, "42501");
        return err_detail(e,
                          "User \"%s\" is on the shards through the role \"%s\" (server_user), and keeps its own role.",
                          x->s->user, x->s->set->user);
    }
    *own = true;
    return true;
}

/* The value that the router sets in place of the client's; NULL: none. */
static bool set_other_value(struct exec *x, const struct plan_setting *set, const char *name, const char **other,
                            struct err *e)
{
    struct session *s = x->s;
    const char *value = NULL;
    bool own = false;

    *other = NULL;
    if (UNLIKELY(s->service) && is_role(name)) {
        if (!set_value(x, set, &value))
            value = ""; /* it is nobody's name */
        if (!exec_service_role(x, name, value, &own, e))
            return false;
        if (own)
            *other = env_get(s->login_env, "role");
    } else if (set_is_null(x, set)) { /* back to what the client asked for at login: the connections do not know it */
        *other = env_get(s->login_env, name);
    }
    return true;
}

static bool exec_set_config(struct exec *x, struct err *e)
{
    const struct plan_session *ps = x->plan->session;
    const char **others = ARENA_ARRAY(&x->arena, const char *, ps->nset);
    bool retell = false;

    for (uint32_t i = 0; i < ps->nset; i++) {
        if (!set_other_value(x, &ps->sets[i], x->sets[i].name, &others[i], e))
            return false;
        retell = retell || others[i];
    }
    return !retell || exec_retell(x, others, e);
}

static char *lower_name(struct exec *x, const char *name)
{
    char *lower = arena_strdup(&x->arena, name);

    for (char *c = lower; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return lower;
}

/*
 * A name that is a parameter's value. There is none without parameters, and NULL is none: the server says so, and the
 * name that is read back does not matter then.
 */
static bool set_name_of_param(struct exec *x, uint32_t param, char **name, struct err *e)
{
    struct span value = x->bound && param <= x->binds.n ? x->binds.values[param - 1] : (struct span){ 0 };

    *name = arena_strdup(&x->arena, "");
    if (!value.ptr)
        return true;
    *name = lower_name(x, arena_spandup(&x->arena, value));
    if (!setting_is_text(x, param)) {
        err_set(e, PB0313, "set_config() with a name of this type is not supported");
        return err_hint(e, "Give the name as text.");
    }
    if (!planner_sets_by_param(*name)) {
        err_set(e, PB0313, "set_config() of \"%s\" is not supported where the name is a parameter", *name);
        return err_hint(e, "Write the name as a constant.");
    }
    return true;
}

/* The names of a list that the planner has not seen. */
static bool set_names_of_params(struct exec *x, struct err *e)
{
    const struct plan_session *ps = x->plan->session;

    for (uint32_t i = 0; i < ps->nset; i++) {
        if (ps->sets[i].name_param && !set_name_of_param(x, ps->sets[i].name_param, &x->sets[i].name, e))
            return false;
    }
    for (uint32_t i = 0; i < ps->nset; i++) {
        for (uint32_t k = 0; ps->sets[i].name_param && k < ps->nset; k++) {
            if (k == i || !*x->sets[i].name || strcmp(x->sets[k].name, x->sets[i].name) != 0)
                continue;
            err_set(e, PB0313, "set_config() of \"%s\" twice in one statement is not supported", x->sets[i].name);
            return err_hint(e, "Set it once.");
        }
    }
    return true;
}

static void exec_setting_names(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;

    x->setting = ps->name ? lower_name(x, ps->name) : NULL;
    x->setting_value = NULL;
    x->nsetting = ps->nset;
    if (!ps->nset && ps->name)
        x->nsetting = 1;
    x->sets = ARENA_ARRAY(&x->arena, struct exec_set, x->nsetting);
    for (uint32_t i = 0; i < x->nsetting; i++)
        x->sets[i].name = !ps->nset ? x->setting : ps->sets[i].name ? lower_name(x, ps->sets[i].name) : NULL;
}

void exec_setting(struct exec *x)
{
    struct session *s = x->s;
    const struct plan_session *ps = x->plan->session;
    struct err e = ERR_INIT;
    bool own = false, ok = true;

    x->verb = ps->verb;
    x->task = TASK_SETTING;
    x->retold = false;
    exec_setting_names(x);
    if (x->verb == SESSION_RESET && ps->name && strcmp(x->setting, "session_authorization") == 0)
        exec_authorization(x);
    if (x->verb == SESSION_SET_CONFIG)
        ok = set_names_of_params(x, &e) && exec_set_config(x, &e);
    else if (UNLIKELY(s->service) && ps->name && x->verb == SESSION_SET)
        ok = exec_service_role(x, x->setting, ps->value, &own, &e);
    if (!ok) {
        exec_fail(x, &e);
        return;
    }
    if (own)
        exec_own_role(x);
    if (x->extended && !x->bind_sent && !setting_is_bound(x)) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
        if (x->describe && x->verb != SESSION_SHOW && x->verb != SESSION_SET_CONFIG)
            strbuf_put(&x->out, "n\0\0\0\4", 5);
    }
    /* In a pipeline PostgreSQL 15 sees no block, but what is set counts until its end. */
    if (s->txn.env && s->txn.implicit && x->extended && ps->local &&
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

/* The values being read back. */
static void setting_take_values(struct exec *x, struct span row)
{
    struct span *values = ARENA_ARRAY(&x->arena, struct span, x->nsetting);

    if (be_decode_data_row(row, values, (int)x->nsetting) != (int)x->nsetting)
        return;
    for (uint32_t i = 0; i < x->nsetting; i++) {
        if (values[i].ptr)
            x->sets[i].value = arena_spandup(&x->arena, values[i]);
    }
    x->setting_value = x->sets[0].value;
}

/* Its server has taken the Bind of part p. */
static void setting_bound(struct exec *x, struct part *p)
{
    p->bind_done = true;
    if (p != x->parts || !x->extended || x->bind_sent)
        return;
    x->bind_sent = true;
    strbuf_put(&x->out, "2\0\0\0\4", 5);
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
    if (type == BE_BIND_COMPLETE && !p->described)
        setting_bound(x, p);
    if (type == BE_PARSE_COMPLETE || type == BE_BIND_COMPLETE)
        return EXEC_SWALLOW;
    if (p != x->parts || type == BE_PARAMETER_STATUS) /* before ReadyForQuery the client is told of what has changed */
        return EXEC_SWALLOW;
    if (p->described) { /* the values being read back */
        if (type == BE_DATA_ROW)
            setting_take_values(x, body);
        return EXEC_SWALLOW;
    }
    if (type == BE_ROW_DESCRIPTION && x->extended && !x->describe)
        return EXEC_SWALLOW;
    out = type == BE_COMMAND_COMPLETE ? exec_tag_out(x) : &x->out;
    at = msg_begin(out, type);
    strbuf_put(out, body.ptr, body.len);
    if (type == BE_ROW_DESCRIPTION && x->extended && !setting_is_bound(x))
        exec_put_formats(x, at);
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

/* What the statement has set, in the order of its text. */
static void exec_take_sets(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct env *now = env_ref(s->env);

    for (uint32_t i = 0; i < x->nsetting; i++) {
        struct env *before = now;
        bool local = ps->nset ? ps->sets[i].local : ps->local;

        if (!x->sets[i].value || (local && !s->txn.env))
            continue;
        now = env_with(before, x->sets[i].name, x->sets[i].value, local);
        env_unref(before);
    }
    exec_take_env(x, env_ref(now), now);
}

void exec_setting_done(struct exec *x)
{
    struct session *s = x->s;

    if (x->aside && s->txn.env)
        exec_aside_end(x);
    if (x->failed) {
        setting_unknown(x);
        exec_aside_end(x);
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    if (x->verb == SESSION_RESET || x->verb == SESSION_RESET_ALL)
        exec_take_reset(x);
    else if (x->verb != SESSION_SHOW)
        exec_take_sets(x);
    exec_aside_end(x);
    exec_step_done(x);
}
