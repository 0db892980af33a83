#include "router/session/env.h"

#include "base/bug.h"
#include "base/hash.h"
#include "base/mem.h"
#include "wire/femsg.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Settings that change how a text is parsed or a literal is read (rule P12c). */
static const char *const parse_setting_names[] = { "datestyle", "intervalstyle", "timezone", "xmloption" };

struct env_table {
    struct hmap envs;
    uint32_t *next_plan_id; /* borrowed */
    char *role, *search_path, *parse_settings;
    struct txn_modes modes;
    struct env *base;
};

static struct env *env_intern(struct env_table *t, const struct env_setting *settings, uint32_t n);

struct env_table *env_table_new(const struct env_defaults *d, uint32_t *next_plan_id)
{
    struct env_table *t = mem_zalloc(sizeof(*t));

    t->next_plan_id = next_plan_id;
    t->role = mem_strdup(d->role);
    t->search_path = mem_strdup(d->search_path);
    t->parse_settings = mem_strdup(d->parse_settings);
    t->modes = d->modes;
    t->base = env_intern(t, NULL, 0);
    return t;
}

void env_table_free(struct env_table *t)
{
    if (!t)
        return;
    env_unref(t->base);
    BUG_ON(t->envs.count != 0);
    hmap_fini(&t->envs);
    free(t->role);
    free(t->search_path);
    free(t->parse_settings);
    free(t);
}

struct env *env_base(struct env_table *t)
{
    return env_ref(t->base);
}

struct env *env_ref(struct env *e)
{
    e->refs++;
    return e;
}

static void env_free(struct env *e)
{
    for (uint32_t i = 0; i < e->n; i++) {
        free((char *)(uintptr_t)e->settings[i].name);
        free((char *)(uintptr_t)e->settings[i].value);
    }
    free((void *)(uintptr_t)e->settings);
    free((char *)(uintptr_t)e->plan.parse_settings);
    free(e);
}

void env_unref(struct env *e)
{
    if (!e)
        return;
    BUG_ON(e->refs == 0);
    if (--e->refs == 0) {
        hmap_remove(&e->table->envs, &e->node);
        env_free(e);
    }
}

static uint64_t env_hash(const struct env_setting *settings, uint32_t n)
{
    uint64_t h = n;

    for (uint32_t i = 0; i < n; i++) {
        h = hash_seeded(settings[i].name, strlen(settings[i].name), h + settings[i].local);
        h = hash_seeded(settings[i].value, strlen(settings[i].value), h);
    }
    return h;
}

static bool env_same(const struct env *e, const struct env_setting *settings, uint32_t n)
{
    if (e->n != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(e->settings[i].name, settings[i].name) != 0 ||
            strcmp(e->settings[i].value, settings[i].value) != 0 || e->settings[i].local != settings[i].local)
            return false;
    }
    return true;
}

/* The effective value in a list: a local setting comes after the session's and hides it. */
static const char *settings_get(const struct env_setting *settings, uint32_t n, const char *name)
{
    const char *value = NULL;

    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(settings[i].name, name) == 0)
            value = settings[i].value;
    }
    return value;
}

static bool setting_is(const struct env *e, const char *name, const char *normal)
{
    const char *v = settings_get(e->settings, e->n, name);

    return !v || strcmp(v, normal) == 0;
}

/* A routing hint is part of what plans depend on. */
static const char *hint_setting(const struct env *e, const char *name, struct strbuf *out)
{
    const char *v = settings_get(e->settings, e->n, name);

    if (!v || !*v)
        return NULL;
    strbuf_printf(out, "%s=%s;", name, v);
    return v;
}

static void env_make_plan(struct env_table *t, struct env *e)
{
    struct strbuf sb = STRBUF_INIT;
    const char *path = settings_get(e->settings, e->n, "search_path");
    const char *role = settings_get(e->settings, e->n, "role");
    bool changed = false;

    for (size_t i = 0; i < ARRAY_LEN(parse_setting_names); i++) {
        const char *v = settings_get(e->settings, e->n, parse_setting_names[i]);

        if (v) {
            changed = true;
            strbuf_printf(&sb, "%s=%s;", parse_setting_names[i], v);
        }
    }
    if (!changed)
        strbuf_puts(&sb, t->parse_settings);
    e->idle_timeout = settings_get(e->settings, e->n, "idle_session_timeout") != NULL;
    e->plan.hint_key = hint_setting(e, "pgbraid.key", &sb);
    e->plan.hint_shard = hint_setting(e, "pgbraid.shard", &sb);
    e->plan.role = role && strcmp(role, "none") != 0 ? role : t->role;
    e->plan.search_path = path ? path : t->search_path;
    e->plan.nonstandard_strings = !setting_is(e, "standard_conforming_strings", "on");
    e->plan.odd_parse_settings =
        !setting_is(e, "transform_null_equals", "off") || !setting_is(e, "array_nulls", "on") ||
        !setting_is(e, "session_replication_role", "origin") || !setting_is(e, "row_security", "on");
    e->plan.parse_settings = strbuf_take(&sb);
}

static void env_take_modes(const struct env_table *t, struct env *e)
{
    e->defaults = t->modes;
    for (uint32_t i = 0; i < e->n; i++) {
        if (strncmp(e->settings[i].name, "default_transaction_", 20) == 0)
            (void)modes_take(&e->defaults, e->settings[i].name, e->settings[i].value);
    }
}

static bool plan_env_same(const struct plan_env *a, const struct plan_env *b)
{
    return strcmp(a->role, b->role) == 0 && strcmp(a->search_path, b->search_path) == 0 &&
           a->nonstandard_strings == b->nonstandard_strings && a->odd_parse_settings == b->odd_parse_settings &&
           strcmp(a->parse_settings, b->parse_settings) == 0;
}

struct plan_id_search {
    const struct plan_env *want;
    uint32_t id;
};

static void plan_id_visit(struct hmap_node *node, void *arg)
{
    struct plan_id_search *search = arg;
    const struct env *e = CONTAINER_OF(node, struct env, node);

    if (search->id == 0 && plan_env_same(&e->plan, search->want))
        search->id = e->plan.id;
}

/* Environments with equal views for parse analysis share a plan id: application_name and the like do not split the plan
 * cache. */
static struct env *env_intern(struct env_table *t, const struct env_setting *settings, uint32_t n)
{
    uint64_t hash = env_hash(settings, n);
    struct plan_id_search search = { 0 };
    struct env_setting *copy;
    struct env *e;

    for (struct hmap_node *node = hmap_first(&t->envs, hash); node; node = hmap_next(node)) {
        e = CONTAINER_OF(node, struct env, node);
        if (env_same(e, settings, n))
            return env_ref(e);
    }
    e = mem_zalloc(sizeof(*e));
    copy = mem_alloc(n * sizeof(*copy));
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = settings[i];
        copy[i].name = mem_strdup(settings[i].name);
        copy[i].value = mem_strdup(settings[i].value);
    }
    e->refs = 1;
    e->table = t;
    e->settings = copy;
    e->n = n;
    env_make_plan(t, e);
    env_take_modes(t, e);
    search.want = &e->plan;
    hmap_each(&t->envs, plan_id_visit, &search);
    e->plan.id = search.id ? search.id : ++*t->next_plan_id;
    hmap_insert(&t->envs, &e->node, hash);
    return e;
}

struct env *env_with(struct env *e, const char *name, const char *value, bool local)
{
    struct env_setting *list = mem_alloc((e->n + 1) * sizeof(*list));
    struct env *result;
    uint32_t n = 0;
    bool placed = value == NULL;

    for (uint32_t i = 0; i < e->n; i++) {
        const struct env_setting *old = &e->settings[i];
        int order = strcmp(old->name, name);

        /* A session-level SET ends a local one of the same name; a local SET keeps the session's for later. */
        if (order == 0 && (old->local == local || !local))
            continue;
        if (!placed && order > 0) {
            list[n++] = (struct env_setting){ .name = name, .value = value, .local = local };
            placed = true;
        }
        list[n++] = *old;
    }
    if (!placed)
        list[n++] = (struct env_setting){ .name = name, .value = value, .local = local };
    result = env_intern(e->table, list, n);
    free(list);
    return result;
}

struct env *env_without_local(struct env *e)
{
    struct env_setting *list = mem_alloc(e->n * sizeof(*list));
    struct env *result;
    uint32_t n = 0;

    for (uint32_t i = 0; i < e->n; i++) {
        if (!e->settings[i].local)
            list[n++] = e->settings[i];
    }
    result = n == e->n ? env_ref(e) : env_intern(e->table, list, n);
    free(list);
    return result;
}

struct env *env_reset_all(const struct env *e, struct env *to)
{
    struct env *result = env_ref(to);

    for (uint32_t i = 0; i < e->n; i++) {
        struct env *before = result;

        if (strcmp(e->settings[i].name, "role") != 0)
            continue;
        result = env_with(before, "role", e->settings[i].value, e->settings[i].local);
        env_unref(before);
    }
    return result;
}

const char *env_get(const struct env *e, const char *name)
{
    return settings_get(e->settings, e->n, name);
}

const char *env_reported(const struct env *env, const char *name, const char *value)
{
    char lower[64];
    size_t n = 0;
    const char *own;

    for (; name[n] && n < sizeof(lower) - 1; n++)
        lower[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    lower[n] = '\0';
    own = env_get(env, lower);
    return own ? own : value;
}

/* RESET of a setting; each part of a dotted (custom) name is quoted. */
static void put_reset(struct strbuf *out, const char *name)
{
    struct strbuf sql = STRBUF_INIT;

    strbuf_puts(&sql, "RESET ");
    for (const char *part = name; part;) {
        const char *dot = strchr(part, '.');

        strbuf_put_ident(&sql, dot ? span_make(part, (size_t)(dot - part)) : span_str(part));
        if (dot)
            strbuf_putc(&sql, '.');
        part = dot ? dot + 1 : NULL;
    }
    fe_put_statement(out, strbuf_span(&sql), NULL, 0);
    strbuf_fini(&sql);
}

/* The value an environment gives a setting for the session, or until the end of the transaction; NULL: none. */
static const char *level_get(const struct env *e, const char *name, bool local)
{
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->settings[i].local == local && strcmp(e->settings[i].name, name) == 0)
            return e->settings[i].value;
    }
    return NULL;
}

static bool same_value(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void put_set(struct strbuf *out, const char *name, const char *value, bool local)
{
    struct span params[2] = { span_str(name), span_str(value) };

    fe_put_statement(out,
                     local ? SPAN("SELECT pg_catalog.set_config($1, $2, true)")
                           : SPAN("SELECT pg_catalog.set_config($1, $2, false)"),
                     params, 2);
}

/* The session's value and that of the transaction are two: what is hidden by SET LOCAL now comes back at its end. */
static uint32_t put_change(struct strbuf *out, const struct env *from, const struct env *to, const char *name)
{
    const char *session = level_get(to, name, false), *local = level_get(to, name, true);
    const char *was_local = level_get(from, name, true);
    bool set_session = !same_value(level_get(from, name, false), session) || (was_local && !local);
    uint32_t n = 0;

    if (set_session) {
        if (session)
            put_set(out, name, session, false);
        else
            put_reset(out, name);
        n++;
    }
    if (local && (set_session || !same_value(was_local, local))) {
        put_set(out, name, local, true);
        n++;
    }
    return n;
}

static bool first_of_name(const struct env *e, uint32_t i)
{
    return i == 0 || strcmp(e->settings[i - 1].name, e->settings[i].name) != 0;
}

bool env_is_own(const char *name)
{
    return strncasecmp(name, "pgbraid.", 8) == 0;
}

uint32_t env_put_changes(struct strbuf *out, const struct env *from, const struct env *to)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < from->n; i++) {
        if (first_of_name(from, i) && !env_is_own(from->settings[i].name) && !env_get(to, from->settings[i].name))
            n += put_change(out, from, to, from->settings[i].name);
    }
    for (uint32_t i = 0; i < to->n; i++) {
        if (first_of_name(to, i) && !env_is_own(to->settings[i].name))
            n += put_change(out, from, to, to->settings[i].name);
    }
    return n;
}
