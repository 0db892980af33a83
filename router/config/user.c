/*
 * Sections [user NAME]: what holds for one user's sessions. What a section leaves out is as the [pgbraid] section has
 * it, where that has a setting of the same name.
 */
#include "base/mem.h"
#include "planner/planner.h"
#include "router/config/config.h"
#include "router/config/config_int.h"
#include "router/session/env.h"
#include "router/session/setting.h"
#include "wire/femsg.h"

#include <stdlib.h>
#include <string.h>

#define USER_NAME_MAX 63u /* bytes, as in PostgreSQL */

static const char *const on_off[] = { [SETTING_OFF] = "off", [SETTING_ON] = "on", NULL };

#define FIELD(member) .offset = offsetof(struct config_user, member)
#define LIKE_ALL(nm, member)                                                                                           \
    .name = nm, .type = SETTING_DURATION, FIELD(member), .max = (uint64_t)INT32_MAX,                                   \
    .doc = "As in [pgbraid], for this user."

const struct setting config_user_settings[] = {
    { .name = "max_client_conn",
      .type = SETTING_INTEGER,
      FIELD(max_client_conn),
      .def = "0",
      .max = 1000000,
      .pgbouncer = "max_user_connections",
      .doc = "Sessions of this user at a time, besides those on the console; the next one gets an error (53300). "
             "0 is no limit but that of [pgbraid]." },
    { .name = "pool_size",
      .type = SETTING_INTEGER,
      FIELD(pool_size),
      .min = 1,
      .max = 100000,
      .doc = "Server connections per shard and database for this user." },
    { .name = "server_user",
      .type = SETTING_STRING,
      FIELD(server_user),
      .def = "",
      .doc =
          "Role to log in as on the shards, where the user's own is then taken with SET ROLE; users with the same one "
          "share its connections, and its pool_size. Empty is the user's own. No border between these users: see "
          "authentication.md." },
    { .name = "options",
      .type = SETTING_STRING,
      FIELD(options),
      .def = "",
      .doc = "Settings that its sessions begin with, as \"-c name=value -c name=value\"; a space in a value is written "
             "\"\\ \". What the client asks for at its start is stronger, and RESET comes back to them." },
    { LIKE_ALL("query_timeout", query_timeout_ms) },
    { LIKE_ALL("query_wait_timeout", query_wait_timeout_ms) },
    { LIKE_ALL("client_idle_timeout", client_idle_timeout_ms) },
    { LIKE_ALL("idle_transaction_timeout", idle_transaction_timeout_ms) },
    { .name = "admin",
      .type = SETTING_CHOICE,
      FIELD(admin),
      .def = "off",
      .choices = on_off,
      .doc = "Whether the user may give commands on the console, as those of admin_users may." },
    { .name = "stats",
      .type = SETTING_CHOICE,
      FIELD(stats),
      .def = "off",
      .choices = on_off,
      .doc = "Whether the user may look (SHOW) on the console, as those of stats_users may." },
};

const size_t config_nuser_setting = ARRAY_LEN(config_user_settings);
_Static_assert(ARRAY_LEN(config_user_settings) <= CONFIG_USER_SETTINGS, "struct user_section.seen has to be longer");

/* The setting of [pgbraid] that this one is as; NULL: it has a default of its own. */
static const struct setting *general_of(const struct setting *s)
{
    for (size_t i = 0; !s->def && i < config_nsetting; i++) {
        if (strcmp(config_settings[i].name, s->name) == 0)
            return &config_settings[i];
    }
    BUG_ON(!s->def);
    return NULL;
}

void user_section_fill(const struct config *c, struct user_section *us, struct arena *a)
{
    for (size_t i = 0; i < config_nuser_setting; i++) {
        const struct setting *s = &config_user_settings[i], *general = general_of(s);
        char *field = (char *)&us->user + s->offset;
        struct err e = ERR_INIT;

        if (us->seen[i])
            continue;
        if (general)
            memcpy(field, (const char *)c + general->offset,
                   s->type == SETTING_DURATION ? sizeof(uint64_t) : sizeof(uint32_t));
        else
            BUG_ON(!setting_parse(s, s->def, NULL, a, field, &e));
    }
}

/* The name in "user NAME"; NULL: another section. Empty: none is given. */
static const char *user_of(const char *section)
{
    if (strncmp(section, "user", 4) != 0 || (section[4] && section[4] != ' ' && section[4] != '\t'))
        return NULL;
    section += 4;
    while (*section == ' ' || *section == '\t')
        section++;
    return section;
}

static struct span trim_end(struct span s)
{
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool user_section_name(const char *section, struct arena *a, const char **name, struct err *e)
{
    const char *text = user_of(section);
    struct span user;

    *name = NULL;
    if (!text)
        return true;
    user = trim_end(span_str(text));
    if (user.len >= 2 && user.ptr[0] == '"' && user.ptr[user.len - 1] == '"')
        user = span_make(user.ptr + 1, user.len - 2);
    if (user.len == 0) {
        err_set(e, PB0501, "section [%.80s] names no user", section);
        return err_hint(e, "Write [user NAME].");
    }
    if (user.len > USER_NAME_MAX)
        return err_set(e, PB0501, "the user's name in section [%.80s] is longer than %u bytes", section, USER_NAME_MAX);
    *name = arena_spandup(a, user);
    return true;
}

/* Settings of the router's own are checked here; of the others the home shard says at a login whether they may be set.
 */
bool user_options_check(const char *options, struct err *e)
{
    struct strbuf pairs = STRBUF_INIT;
    struct span rest, name, value;
    bool ok = startup_put_options(&pairs, span_str(options));

    if (!ok) {
        err_set(e, PB0501, "options: \"%.200s\" is not a list of settings", options);
        err_hint(e, "Write \"-c name=value -c name=value\"; a space in a value is written \"\\ \".");
    }
    for (rest = strbuf_span(&pairs); ok && startup_next_param(&rest, &name, &value);) {
        struct err why = ERR_INIT;

        if (name.len == 0 || span_ieq(name, SPAN("session_authorization"))) {
            ok = err_set(e, PB0501, "options: \"%.*s\" cannot be set", (int)name.len, name.ptr);
        } else if (span_ieq(name, SPAN("client_encoding")) && !planner_reads_encoding(value)) {
            ok = err_set(e, PB0501, "options: client_encoding \"%.*s\" is not supported", (int)value.len, value.ptr);
        } else if (env_is_own(name.ptr) && !setting_check_startup(name.ptr, value.ptr, &why)) {
            err_set(e, PB0501, "options: %s", why.message);
            ok = err_hint(e, "%s", why.hint);
        }
    }
    strbuf_fini(&pairs);
    return ok;
}

/* --- reading --- */

static int compare_users(const void *a, const void *b)
{
    return strcmp(((const struct config_user *)a)->name, ((const struct config_user *)b)->name);
}

void users_sort(struct config_user *users, size_t n)
{
    if (n)
        qsort(users, n, sizeof(*users), compare_users);
}

const struct config_user *config_user(const struct config *c, const char *name)
{
    struct config_user key = { .name = name };
    const struct config_user *found = NULL;

    if (c->nuser)
        found = bsearch(&key, c->users, c->nuser, sizeof(key), compare_users);
    return found ? found : &c->everybody;
}

const char *config_server_user(const struct config *c, const char *name)
{
    const struct config_user *u = config_user(c, name);

    return u->server_user[0] ? u->server_user : name;
}

static bool is_listed(const char *const *names, const char *name)
{
    for (; *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

bool config_may_command(const struct config *c, const char *user)
{
    return config_user(c, user)->admin == SETTING_ON || is_listed(c->admin_users, user);
}

bool config_may_look(const struct config *c, const char *user)
{
    return config_may_command(c, user) || config_user(c, user)->stats == SETTING_ON || is_listed(c->stats_users, user);
}
