#include "router/session/setting.h"

#include "base/mem.h"
#include "router/exec/exec_int.h"
#include "router/exec/key.h"
#include "router/exec/setting.h"
#include "router/exec/txn.h"
#include "router/server/pool.h"
#include "router/session/env.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *const own_setting_names[OWN_SETTINGS] = { "pgbraid.commit", "pgbraid.consistent_reads",
                                                      "pgbraid.snapshot_shards" };

/* What the session says, or its role or database; NULL: nothing. */
static const char *own_value(const struct session *s, enum own_setting which)
{
    const char *own = env_get(s->env, own_setting_names[which]);

    return own ? own : s->set->own_settings[which];
}

/* --- choices --- */

static const char *const commit_modes[] = {
    [COMMIT_ATOMIC] = "atomic", [COMMIT_BEST_EFFORT] = "best_effort", [COMMIT_SINGLE_SHARD] = "single_shard", NULL
};
static const char *const snapshot_shards[] = {
    [SNAPSHOT_ONE] = "one", [SNAPSHOT_ALL] = "all", [SNAPSHOT_ALL_SERIALIZABLE] = "all_serializable", NULL
};

/* The choice's number, or -1. */
static int choice_of(const char *const *choices, const char *text)
{
    for (int i = 0; choices[i]; i++) {
        if (strcasecmp(text, choices[i]) == 0)
            return i;
    }
    return -1;
}

static bool check_choice(enum own_setting which, const char *const *choices, const char *value, struct err *e)
{
    struct strbuf sb = STRBUF_INIT;

    if (choice_of(choices, value) >= 0)
        return true;
    err_set(e, PB0501, "invalid value for parameter \"%s\": \"%s\"", own_setting_names[which], value);
    err_state(e, "22023");
    for (int i = 0; choices[i]; i++)
        strbuf_printf(&sb, "%s%s", i ? ", " : "", choices[i]);
    err_hint(e, "Available values: %s.", sb.ptr);
    strbuf_fini(&sb);
    return false;
}

static int choice(const struct session *s, enum own_setting which, const char *const *choices, int otherwise)
{
    const char *value = own_value(s, which);
    int chosen = value ? choice_of(choices, value) : -1;

    return chosen >= 0 ? chosen : otherwise;
}

static bool check_commit(const char *value, struct err *e)
{
    return check_choice(OWN_COMMIT, commit_modes, value, e);
}

enum commit_mode setting_commit(const struct session *s)
{
    return (enum commit_mode)choice(s, OWN_COMMIT, commit_modes, (int)s->worker->config->commit);
}

static const char *show_commit(const struct session *s)
{
    return commit_modes[setting_commit(s)];
}

static bool check_snapshot_shards(const char *value, struct err *e)
{
    return check_choice(OWN_SNAPSHOT_SHARDS, snapshot_shards, value, e);
}

enum snapshot_shards setting_snapshot_shards(const struct session *s)
{
    return (enum snapshot_shards)choice(s, OWN_SNAPSHOT_SHARDS, snapshot_shards,
                                        (int)s->worker->config->snapshot_shards);
}

static const char *show_snapshot_shards(const struct session *s)
{
    return snapshot_shards[setting_snapshot_shards(s)];
}

/* --- Booleans --- */

/* 1, 0, or -1: neither. */
static int boolean_of(const char *text)
{
    static const char *const names[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcasecmp(text, names[i]) == 0)
            return (int)(i % 2);
    }
    return -1;
}

static bool check_allow_scatter(const char *value, struct err *e)
{
    if (boolean_of(value) >= 0)
        return true;
    err_set(e, PB0501, "parameter \"pgbraid.allow_scatter\" requires a Boolean value");
    return err_state(e, "22023");
}

static bool check_consistent_reads(const char *value, struct err *e)
{
    if (boolean_of(value) >= 0)
        return true;
    err_set(e, PB0501, "parameter \"pgbraid.consistent_reads\" requires a Boolean value");
    return err_state(e, "22023");
}

bool setting_consistent_reads(const struct session *s)
{
    const char *own = own_value(s, OWN_CONSISTENT_READS);
    int on = own ? boolean_of(own) : -1;

    return on >= 0 ? on == 1 : s->worker->config->consistent_reads == SETTING_ON;
}

static const char *show_consistent_reads(const struct session *s)
{
    return setting_consistent_reads(s) ? "on" : "off";
}

static bool check_text(const char *value, struct err *e)
{
    (void)value;
    (void)e;
    return true;
}

const char *setting_idempotency_key(const struct session *s)
{
    const char *key = env_get(s->env, "pgbraid.idempotency_key");

    return key ? key : "";
}

/* As current_setting() shows it: a number and its unit. */
uint64_t setting_timeout_ms(const struct session *s, const char *name)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = { { "", 1 }, { "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    const char *v = s->env ? env_get(s->env, name) : NULL;
    char *end;
    uint64_t n;

    if (LIKELY(!v))
        return 0;
    n = strtoull(v, &end, 10);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (strcmp(end, units[i].unit) == 0)
            return n * units[i].ms;
    }
    return 0;
}

/* --- routing (planner/hint.h) --- */

static const char *show_key(const struct session *s)
{
    const char *key = env_get(s->env, "pgbraid.key");

    return key ? key : "";
}

static const char *show_shard(const struct session *s)
{
    const char *shard = env_get(s->env, "pgbraid.shard");

    return shard ? shard : "";
}

bool setting_names_shard(const struct session *s)
{
    return *show_key(s) || *show_shard(s);
}

bool setting_allows_scatter(const struct session *s)
{
    const char *v = env_get(s->env, "pgbraid.allow_scatter");

    return !v || boolean_of(v) != 0;
}

static const char *show_allow_scatter(const struct session *s)
{
    return setting_allows_scatter(s) ? "on" : "off";
}

static const struct {
    const char *name;
    bool (*check)(const char *value, struct err *e);
    const char *(*show)(const struct session *s); /* never NULL */
} settings[] = {
    { "pgbraid.commit", check_commit, show_commit },
    { "pgbraid.consistent_reads", check_consistent_reads, show_consistent_reads },
    { "pgbraid.snapshot_shards", check_snapshot_shards, show_snapshot_shards },
    { "pgbraid.key", check_text, show_key },
    { "pgbraid.shard", check_text, show_shard },
    { "pgbraid.allow_scatter", check_allow_scatter, show_allow_scatter },
    { "pgbraid.idempotency_key", check_text, setting_idempotency_key }, /* of the transaction: exec_key.c */
};

static bool unknown_setting(const char *name, struct err *e)
{
    err_set(e, PB0501, "unrecognized configuration parameter \"%s\"", name);
    return err_state(e, "42704");
}

bool setting_check(const char *name, const char *value, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcasecmp(settings[i].name, name) == 0)
            return !value || settings[i].check(value, e);
    }
    return unknown_setting(name, e);
}

bool setting_check_startup(const char *name, const char *value, struct err *e)
{
    if (strcasecmp(name, "pgbraid.idempotency_key") != 0)
        return setting_check(name, value, e);
    err_set(e, PB0501, "parameter \"%s\" cannot be set when a session begins", name);
    err_state(e, "55000");
    return err_hint(e, "It is of one transaction: SET it after BEGIN.");
}

bool setting_is_own(const struct plan *p, const char **column)
{
    const struct plan_session *ps = p->session;

    if (p->kind != PLAN_SESSION || !ps->name || !env_is_own(ps->name))
        return false;
    switch ((int)ps->verb) {
    case SESSION_SHOW:
        *column = ps->name;
        return true;
    case SESSION_SET_CONFIG:
        *column = ps->column;
        return true;
    case SESSION_SET:
    case SESSION_RESET:
        *column = NULL;
        return true;
    default:
        return false;
    }
}

/* The value to set; NULL: back to the default. In the arena. */
static bool setting_value(struct exec *x, const char **value, struct err *e)
{
    const struct plan_session *ps = x->plan->session;

    *value = ps->value;
    if (ps->verb == SESSION_RESET)
        return true;
    if (ps->verb == SESSION_SET_CONFIG && ps->param) {
        if (!x->extended || ps->param > x->binds.n)
            return err_set(e, PB0204, "there is no parameter $%u", ps->param) || err_state(e, "42P02");
        if (x->binds.values[ps->param - 1].ptr)
            *value = arena_spandup(&x->arena, x->binds.values[ps->param - 1]);
        return true;
    }
    if (!*value && ps->verb == SESSION_SET) {
        err_set(e, PB0501, "parameter \"%s\" takes one text", ps->name);
        return err_state(e, "22023");
    }
    return true;
}

static void setting_put(struct session *s, const char *name, const char *value, bool local)
{
    struct env *now = env_with(s->env, name, value, local);

    env_unref(s->env);
    s->env = now;
}

/* SET LOCAL ... TO DEFAULT hides the session's value until the end of the transaction. */
static const char *setting_default(const struct session *s, const char *name, bool local, const char *now)
{
    const char *login = env_get(s->login_env, name);

    return login ? login : local ? now : NULL;
}

static const char *setting_show(const struct session *s, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcmp(settings[i].name, name) == 0)
            return settings[i].show(s);
    }
    BUG_ON(true);
}

static void setting_answer(struct exec *x, const char *column, const char *value)
{
    struct be_column col = { .name = column, .type = OID_TEXT };
    struct span v = span_str(value);

    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
    }
    if (!x->extended || x->describe)
        be_put_row_description(&x->out, &col, 1);
    be_put_data_row(&x->out, &v, 1);
}

void exec_own_setting_done(struct exec *x, const char *value, bool local)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    const char *column;
    char *name = arena_strdup(&x->arena, ps->name);

    BUG_ON(!setting_is_own(x->plan, &column));
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!local || s->txn.env)
        setting_put(s, name, value, local);
    else
        exec_warn(x, "25P01", "SET LOCAL can only be used in transaction blocks");
    if (column) {
        setting_answer(x, column, setting_show(s, name));
        exec_answer(x, "SELECT 1");
    } else {
        exec_bind_answer(x);
        exec_answer(x, ps->verb == SESSION_RESET ? "RESET" : "SET");
    }
    exec_step_done(x);
}

void exec_own_setting(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    char *name = arena_strdup(&x->arena, ps->name);
    const char *value = NULL, *column;
    struct err e = ERR_INIT;

    BUG_ON(!setting_is_own(x->plan, &column));
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if ((ps->verb != SESSION_SHOW && !setting_value(x, &value, &e)) || !setting_check(name, value, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (ps->verb == SESSION_SHOW) {
        setting_answer(x, column, setting_show(s, name));
        exec_answer(x, "SHOW");
        exec_step_done(x);
        return;
    }
    if (strcmp(name, "pgbraid.idempotency_key") == 0 && (ps->verb != SESSION_RESET || s->txn.env)) {
        exec_key(x, value ? value : "");
        return;
    }
    exec_own_setting_done(x, value ? value : setting_default(s, name, ps->local, setting_show(s, name)), ps->local);
}
