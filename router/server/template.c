#include "router/server/template.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "planner/planner.h"
#include "router/auth/login.h"
#include "router/config/config.h"
#include "router/control.h"
#include "router/router.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/worker.h"
#include "wire/femsg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOGIN_CACHE_MAX 4096u

/*
 * Settings that change what a statement returns, and that any user may set in the start-up packet: made equal on all
 * shards (rule P30). Those that only a superuser may set are compared when a shard is added.
 */
static const char *const canonical_names[] = {
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "extra_float_digits",
    "bytea_output",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "default_text_search_config",
    "search_path",
    "standard_conforming_strings",
    "xmloption",
    "xmlbinary",
    "transform_null_equals",
    "array_nulls",
    "row_security",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "default_transaction_deferrable",
    "backslash_quote",
    "escape_string_warning",
    "client_min_messages",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "synchronous_commit",
    "gin_fuzzy_search_limit",
    "check_function_bodies",
    "default_table_access_method",
    "default_toast_compression",
    "quote_all_identifiers",
};

/* A server ends the transactions of a router that has gone without a word (rule X10). Without TCP they do nothing. */
static const char *const tcp_settings[][2] = {
    { "tcp_keepalives_idle", "30" },
    { "tcp_keepalives_interval", "10" },
    { "tcp_keepalives_count", "3" },
    { "tcp_user_timeout", "60000" },
};

struct template_job {
    struct control_job job;
    struct poolset *set;
    char *conninfo, *user;
    uint32_t timeout_ms;
    bool ok;
    struct err error;
    char *options, *search_path, *parse_settings;
    struct txn_modes modes;
    char *own_settings[OWN_SETTINGS]; /* owned */
    uint32_t nparameter;
    char *names[ARRAY_LEN(((struct poolset *)0)->parameters)], *values[ARRAY_LEN(((struct poolset *)0)->parameters)];
};

/* One "-c name=value" of the start-up packet's options: spaces and backslashes are escaped by a backslash. */
static void put_option(struct strbuf *sb, const char *name, const char *value)
{
    strbuf_printf(sb, "-c %s=", name);
    for (const char *p = value; *p; p++) {
        if (*p == ' ' || *p == '\\')
            strbuf_putc(sb, '\\');
        strbuf_putc(sb, *p);
    }
    strbuf_putc(sb, ' ');
}

/* Keys are hashed, and characters counted, in the bytes that are stored: those of UTF8 are what the router reads. */
static bool template_encoding(const struct pgconn *conn, struct err *e)
{
    const char *encoding = pgconn_parameter(conn, "server_encoding");

    if (encoding && strcmp(encoding, "UTF8") == 0)
        return true;
    err_set(e, PB0313, "the shard's database has the encoding \"%s\"", encoding ? encoding : "");
    return err_hint(e, "Use databases that were created with ENCODING 'UTF8'.");
}

static char *template_own_setting(const struct pgresult *r, int column, const char *name)
{
    const char *value = pgresult_value(r, 0, column);
    struct err why = ERR_INIT;

    if (!value || !*value)
        return NULL;
    if (setting_check(name, value, &why))
        return mem_strdup(value);
    log_err(LOG_WARN, "login", "a default of the home shard's is not used", &why);
    return NULL;
}

/* The router's own settings of the role and the database. */
static bool template_own_settings(struct template_job *t, struct pgconn *conn, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r;

    for (size_t i = 0; i < OWN_SETTINGS; i++)
        strbuf_printf(&sql, "%s pg_catalog.current_setting('%s', true)", i ? "," : "SELECT", own_setting_names[i]);
    r = pgconn_query(conn, sql.ptr, e);
    strbuf_fini(&sql);
    for (int i = 0; r && i < OWN_SETTINGS; i++)
        t->own_settings[i] = template_own_setting(r, i, own_setting_names[i]);
    pgresult_free(r);
    return r != NULL;
}

static bool template_read(struct template_job *t, struct pgconn *conn, struct err *e)
{
    struct strbuf options = STRBUF_INIT, parse = STRBUF_INIT;

    if (!template_encoding(conn, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(canonical_names); i++) {
        const char *name = canonical_names[i];
        struct pgresult *r = pgconn_query_params(conn, "SELECT pg_catalog.current_setting($1)", 1, &name, e);
        const char *value;

        if (!r) {
            strbuf_fini(&options);
            strbuf_fini(&parse);
            return false;
        }
        value = pgresult_value(r, 0, 0);
        put_option(&options, name, value);
        if (strcmp(name, "search_path") == 0)
            t->search_path = mem_strdup(value);
        if (strncmp(name, "default_transaction_", 20) == 0)
            (void)modes_take(&t->modes, name, value);
        if (strcasecmp(name, "DateStyle") == 0 || strcasecmp(name, "IntervalStyle") == 0 ||
            strcasecmp(name, "TimeZone") == 0)
            strbuf_printf(&parse, "%s=%s;", name, value);
        pgresult_free(r);
    }
    if (!template_own_settings(t, conn, e)) {
        strbuf_fini(&options);
        strbuf_fini(&parse);
        return false;
    }
    /* Whatever the role or the database has for a default: the router's bytes are those that are stored. */
    put_option(&options, "client_encoding", "UTF8");
    for (size_t i = 0; i < ARRAY_LEN(tcp_settings); i++)
        put_option(&options, tcp_settings[i][0], tcp_settings[i][1]);
    t->options = strbuf_take(&options);
    t->parse_settings = strbuf_take(&parse);
    for (const char *const *name = pgconn_parameter_names; *name && t->nparameter < ARRAY_LEN(t->names); name++) {
        const char *value = pgconn_parameter(conn, *name);

        if (!value)
            continue;
        if (strcmp(*name, "client_encoding") == 0)
            value = "UTF8";
        t->names[t->nparameter] = mem_strdup(*name);
        t->values[t->nparameter++] = mem_strdup(value);
    }
    return true;
}

static void template_run(struct control_job *job)
{
    struct template_job *t = CONTAINER_OF(job, struct template_job, job);
    struct pgconn_target target = {
        .conninfo = t->conninfo, .user = t->user, .application_name = "pgbraid", .timeout_ms = t->timeout_ms
    };
    struct pgconn *conn = pgconn_open_blocking(&target, &t->error);

    if (!conn)
        return;
    t->ok = template_read(t, conn, &t->error);
    pgconn_close_blocking(conn);
}

static void template_job_free(struct template_job *t)
{
    free(t->conninfo);
    free(t->user);
    free(t->options);
    free(t->search_path);
    free(t->parse_settings);
    for (size_t i = 0; i < OWN_SETTINGS; i++)
        free(t->own_settings[i]);
    free(t);
}

static void template_take(struct poolset *ps, struct template_job *t)
{
    struct env_defaults d = {
        .role = ps->user, .search_path = t->search_path, .parse_settings = t->parse_settings, .modes = t->modes
    };

    ps->envs = env_table_new(&d, &ps->worker->next_plan_id);
    ps->canonical_options = t->options;
    t->options = NULL;
    memcpy(ps->own_settings, t->own_settings, sizeof(ps->own_settings));
    memset(t->own_settings, 0, sizeof(t->own_settings));
    ps->nparameter = t->nparameter;
    for (uint32_t i = 0; i < t->nparameter; i++) {
        ps->parameters[i].name = t->names[i];
        ps->parameters[i].value = t->values[i];
    }
    ps->ready = true;
}

static void template_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct template_job *t = CONTAINER_OF(job, struct template_job, job);
    struct poolset *ps = t->set;

    ps->loading = false;
    if (t->ok)
        template_take(ps, t);
    else
        log_err(LOG_WARN, "login", "cannot reach the home shard for a login", &t->error);
    while (!list_empty(&ps->logins)) {
        struct session *s = LIST_ENTRY(list_first(&ps->logins), struct session, wait);

        list_remove(&s->wait);
        if (ps->ready)
            login_continue(s);
        else
            session_fatal(s, &t->error);
    }
    template_job_free(t);
}

void template_ask(struct poolset *ps)
{
    struct worker *w = ps->worker;
    struct template_job *t;

    if (ps->ready || ps->loading)
        return;
    t = mem_zalloc(sizeof(*t));
    t->set = ps;
    t->conninfo = mem_strdup(ps->pools[ps->home]->conninfo);
    t->user = mem_strdup(ps->user);
    t->timeout_ms = (uint32_t)w->config->server_connect_timeout_ms;
    t->job.loop = w->loop;
    t->job.run = template_run;
    t->job.done.fn = template_done;
    ps->loading = true;
    if (!control_submit(w->router->control, &t->job)) {
        err_set(&t->error, PB0302, "too many logins are waiting");
        template_done(&t->job.done);
    }
}

void template_free(struct poolset *ps)
{
    free(ps->canonical_options);
    for (size_t i = 0; i < OWN_SETTINGS; i++)
        free(ps->own_settings[i]);
    for (uint32_t i = 0; i < ps->nparameter; i++) {
        free(ps->parameters[i].name);
        free(ps->parameters[i].value);
    }
}

/* --- a client's start-up settings --- */

struct login_setting {
    char *name, *value; /* name in lower case; value as the server reports it once set */
};

/* Settings of one start-up packet that a server has accepted. */
struct login {
    struct hmap_node node;
    const struct poolset *set;
    char *key; /* owned */
    size_t key_len;
    uint32_t n;
    struct login_setting settings[];
};

struct login_job {
    struct control_job job;
    struct worker *worker;
    struct poolset *set;
    uint32_t session_id;
    char *conninfo, *user;
    uint32_t timeout_ms;
    char *key;
    size_t key_len;
    bool ok;
    struct err error;
    struct login *login;
};

static void login_free(struct login *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        free(l->settings[i].name);
        free(l->settings[i].value);
    }
    free(l->key);
    free(l);
}

static char *lower_dup(struct span s)
{
    char *copy = mem_strndup(s.ptr, s.len);

    for (char *p = copy; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return copy;
}

/* Next pair of "name\0value\0..." */
static bool next_pair(struct span *rest, struct span *name, struct span *value)
{
    return startup_next_param(rest, name, value);
}

static bool login_check(struct login_job *j, struct pgconn *conn)
{
    struct span rest = span_make(j->key, j->key_len), name, value;
    struct login *l;
    uint32_t n = 0;

    while (next_pair(&rest, &name, &value))
        n++;
    l = mem_zalloc(sizeof(*l) + n * sizeof(l->settings[0]));
    j->login = l;
    rest = span_make(j->key, j->key_len);
    while (next_pair(&rest, &name, &value)) {
        char *v = mem_strndup(value.ptr, value.len);
        const char *params[2];
        struct pgresult *r;

        l->settings[l->n].name = lower_dup(name);
        if (env_is_own(l->settings[l->n].name)) {
            l->settings[l->n].value = v;
            if (!setting_check_startup(l->settings[l->n++].name, v, &j->error))
                return false;
            continue;
        }
        params[0] = l->settings[l->n].name;
        params[1] = v;
        l->n++;
        r = pgconn_query_params(conn, "SELECT pg_catalog.set_config($1, $2, false)", 2, params, &j->error);
        free(v);
        if (!r)
            return false;
        l->settings[l->n - 1].value = mem_strdup(pgresult_value(r, 0, 0));
        pgresult_free(r);
    }
    return true;
}

static void login_run(struct control_job *job)
{
    struct login_job *j = CONTAINER_OF(job, struct login_job, job);
    struct pgconn_target target = {
        .conninfo = j->conninfo, .user = j->user, .application_name = "pgbraid", .timeout_ms = j->timeout_ms
    };
    struct pgconn *conn = pgconn_open_blocking(&target, &j->error);

    if (!conn)
        return;
    j->ok = login_check(j, conn);
    pgconn_close_blocking(conn);
}

static uint64_t login_hash(const struct worker *w, const struct poolset *ps, struct span key)
{
    return hash_seeded(key.ptr, key.len, w->hash_seed ^ (uintptr_t)ps);
}

static struct login *login_find(const struct worker *w, const struct poolset *ps, struct span key)
{
    for (struct hmap_node *node = hmap_first(&w->logins, login_hash(w, ps, key)); node; node = hmap_next(node)) {
        struct login *l = CONTAINER_OF(node, struct login, node);

        if (l->set == ps && span_eq(key, span_make(l->key, l->key_len)))
            return l;
    }
    return NULL;
}

void template_forget_logins(struct worker *w)
{
    struct hmap_node *node;

    while ((node = hmap_any(&w->logins))) {
        hmap_remove(&w->logins, node);
        login_free(CONTAINER_OF(node, struct login, node));
    }
    hmap_fini(&w->logins);
}

static void login_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct login_job *j = CONTAINER_OF(job, struct login_job, job);
    struct worker *w = j->worker;
    struct session *s = session_find(w, j->session_id);

    if (j->ok && !login_find(w, j->set, span_make(j->key, j->key_len))) {
        struct login *l = j->login;

        if (w->logins.count >= LOGIN_CACHE_MAX)
            template_forget_logins(w);
        l->set = j->set;
        l->key = j->key;
        l->key_len = j->key_len;
        hmap_insert(&w->logins, &l->node, login_hash(w, j->set, span_make(l->key, l->key_len)));
        j->login = NULL;
        j->key = NULL;
    }
    if (s && j->ok)
        login_continue(s);
    else if (s)
        session_fatal(s, &j->error);
    if (j->login)
        login_free(j->login);
    free(j->key);
    free(j->conninfo);
    free(j->user);
    free(j);
}

static bool login_ask(struct session *s, struct span key)
{
    struct worker *w = s->worker;
    struct login_job *j = mem_zalloc(sizeof(*j));

    j->worker = w;
    j->set = s->set;
    j->session_id = s->id;
    j->conninfo = mem_strdup(s->set->pools[s->set->home]->conninfo);
    j->user = mem_strdup(s->set->user);
    j->timeout_ms = (uint32_t)w->config->server_connect_timeout_ms;
    j->key = mem_strndup(key.ptr, key.len);
    j->key_len = key.len;
    j->job.loop = w->loop;
    j->job.run = login_run;
    j->job.done.fn = login_done;
    if (!control_submit(w->router->control, &j->job)) {
        err_set(&j->error, PB0302, "too many logins are waiting");
        login_done(&j->job.done);
    }
    return false;
}

const char *template_parameter(const struct poolset *ps, const char *name)
{
    for (uint32_t i = 0; i < ps->nparameter; i++) {
        if (strcasecmp(ps->parameters[i].name, name) == 0)
            return ps->parameters[i].value;
    }
    return NULL;
}

static bool login_refuse(struct session *s, const char *what, struct span value, const char *hint)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0313, "%s \"%.*s\" is not supported", what, (int)value.len, value.ptr);
    err_hint(&e, "%s", hint);
    session_fatal(s, &e);
    return false;
}

/* application_name as PostgreSQL takes it: printable ASCII, others become '?', at most 63 bytes. Always valid, so never
 * asked for. */
static struct env *with_application_name(struct env *e, const char *name)
{
    char clean[64];
    size_t n = 0;
    struct env *result;

    for (; name[n] && n < sizeof(clean) - 1; n++)
        clean[n] = name[n] >= 32 && name[n] <= 126 ? name[n] : '?';
    clean[n] = '\0';
    result = env_with(e, "application_name", clean, false);
    env_unref(e);
    return result;
}

static struct env *login_env(struct session *s, const struct login *l)
{
    struct env *e = env_base(s->set->envs);

    for (uint32_t i = 0; l && i < l->n; i++) {
        struct env *next = env_with(e, l->settings[i].name, l->settings[i].value, false);

        env_unref(e);
        e = next;
    }
    return s->application || !env_get(e, "application_name")
               ? with_application_name(e, s->application ? s->application : "")
               : e;
}

static void put_pair(struct strbuf *out, struct span name, struct span value)
{
    strbuf_put(out, name.ptr, name.len);
    strbuf_putc(out, '\0');
    strbuf_put(out, value.ptr, value.len);
    strbuf_putc(out, '\0');
}

/* May a session begin with it? What only a server can judge it is asked for later. */
static bool login_may_set(struct session *s, struct span name, struct span value)
{
    if (span_ieq(name, SPAN("client_encoding")) && !planner_reads_encoding(value))
        return login_refuse(s, "client_encoding", value, "Use UTF8 and convert in the client.");
    if (span_ieq(name, SPAN("session_authorization")))
        return login_refuse(s, "session_authorization", value, "Log in as that user.");
    if (s->service && span_ieq(name, SPAN("role")) && !span_eq_str(value, s->user))
        return login_refuse(s, "role", value, "The user has a server_user, and keeps its own role.");
    return true;
}

/* The settings that the session begins with, weakest first: the user's (as ALTER ROLE ... SET), the client's options,
 * then what the start-up packet names itself, as in PostgreSQL. */
bool template_login(struct session *s, struct span params)
{
    struct strbuf key = STRBUF_INIT, named = STRBUF_INIT;
    struct span name, value, rest = params;
    struct login *l = NULL;
    bool ok;

    if (s->service)
        put_pair(&key, SPAN("role"), span_str(s->user));
    ok = startup_put_options(&key, span_str(s->limits->options));
    BUG_ON(!ok); /* the configuration has been checked */
    while (ok && next_pair(&rest, &name, &value)) {
        const char *current;

        if (span_eq_str(name, "user") || span_eq_str(name, "database") || span_eq_str(name, "replication") ||
            (name.len > 5 && memcmp(name.ptr, "_pq_.", 5) == 0))
            continue;
        if (span_ieq(name, SPAN("application_name"))) {
            free(s->application);
            s->application = mem_strndup(value.ptr, value.len);
            continue;
        }
        if (span_eq_str(name, "options")) {
            if (!startup_put_options(&key, value))
                ok =
                    login_refuse(s, "start-up option", value, "Only \"-c name=value\" and \"--name=value\" are taken.");
            continue;
        }
        current = span_ieq(name, SPAN("client_encoding")) ? template_parameter(s->set, "client_encoding") : NULL;
        if (current && span_ieq(value, span_str(current)))
            continue;
        put_pair(&named, name, value);
    }
    strbuf_put(&key, named.ptr, named.len);
    strbuf_fini(&named);
    for (rest = strbuf_span(&key); ok && next_pair(&rest, &name, &value);)
        ok = login_may_set(s, name, value);
    if (ok && key.len) {
        l = login_find(s->worker, s->set, strbuf_span(&key));
        if (!l)
            ok = login_ask(s, strbuf_span(&key));
    }
    strbuf_fini(&key);
    if (!ok)
        return false;
    s->env = login_env(s, l);
    s->login_env = env_ref(s->env);
    s->told = env_ref(s->env);
    return true;
}
