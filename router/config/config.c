#include "router/config/config.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/ini.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "router/config/config_int.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_SECTION  "pgbraid"
#define CONFIG_MAX_FILE (1024u * 1024u)

/* What the public struct is the head of. */
struct config_box {
    struct config config; /* first: config_unref casts back */
    _Atomic uint32_t refs;
    struct arena arena; /* all strings and lists */
};

/* A file being read. */
struct config_parse {
    struct config_box *box;
    const char *path;
    const char *folder; /* of the file; NULL when it has none */
    int *seen;          /* per setting: line that set it, 0: none */
    struct problems problems;
    struct user_section *users; /* owned */
    size_t nuser;
    struct user_section *user; /* the section being read; NULL: another one */
    bool skipped;              /* the section being read is not understood, which has been said */
};

static void *field_of(struct config_box *box, const struct setting *s)
{
    return (char *)&box->config + s->offset;
}

static void fill_everybody(struct config_box *box)
{
    struct user_section all = { 0 };

    user_section_fill(&box->config, &all, &box->arena);
    box->config.everybody = all.user;
}

static struct config_box *box_new(void)
{
    struct config_box *box = mem_zalloc(sizeof(*box));
    struct err e = ERR_INIT;

    arena_init(&box->arena, 0);
    atomic_init(&box->refs, 1);
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];

        BUG_ON(!setting_parse(s, s->def, NULL, &box->arena, field_of(box, s), &e));
    }
    fill_everybody(box);
    return box;
}

struct config *config_new_default(void)
{
    return &box_new()->config;
}

struct config *config_ref(const struct config *c)
{
    struct config_box *box = CONTAINER_OF(c, struct config_box, config);

    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    return &box->config;
}

void config_unref(const struct config *c)
{
    struct config_box *box;

    if (!c)
        return;
    box = CONTAINER_OF(c, struct config_box, config);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_fini(&box->arena);
    free(box);
}

/* Take a problem (message and hint in *p) down. */
static void add_problem(struct config_parse *cp, int line, const struct err *p)
{
    problems_add(&cp->problems, cp->path, line, p);
}

static void on_problem(void *arg, int line, const char *message)
{
    struct err p = ERR_INIT;

    err_set(&p, PB0501, "%s", message);
    add_problem(arg, line, &p);
}

/* A table of settings, and where what it reads goes. */
struct setting_place {
    const struct setting *settings;
    size_t n;
    int *seen;
    char *base; /* what the settings' offsets count from */
};

static const struct setting *setting_find(const struct setting *settings, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

static void unknown_setting(struct config_parse *cp, const struct setting_place *in, int line, const char *name)
{
    struct nearest near = nearest_make(name);
    struct err p = ERR_INIT;

    err_set(&p, PB0501, "unknown setting \"%s\"", name);
    err_hint(&p, "\"pgbraid config --print-defaults\" lists all settings.");
    if (cp->user)
        err_set(&p, PB0501, "unknown setting \"%s\" of a user", name);
    for (size_t i = 0; i < in->n; i++)
        nearest_offer(&near, in->settings[i].name);
    if (nearest_get(&near))
        err_hint(&p, "Did you mean \"%s\"?", nearest_get(&near));
    for (size_t i = 0; i < in->n; i++) {
        const struct setting *s = &in->settings[i];

        if (s->pgbouncer && strcmp(s->pgbouncer, name) == 0)
            err_hint(&p, "PgBouncer's %s is called %s here.", name, s->name);
    }
    if (cp->user && setting_find(config_settings, config_nsetting, name))
        err_hint(&p, "It is for all users together: write it under [" CONFIG_SECTION "].");
    else if (!cp->user && setting_find(config_user_settings, config_nuser_setting, name))
        err_hint(&p, "It is of one user: write it under [user NAME].");
    add_problem(cp, line, &p);
}

/* The section of a user begins; one user has one section. */
static void on_user(struct config_parse *cp, int line, const char *name)
{
    struct err p = ERR_INIT;

    for (size_t i = 0; i < cp->nuser; i++) {
        if (strcmp(cp->users[i].user.name, name) != 0)
            continue;
        err_set(&p, PB0501, "user \"%s\" has two sections", name);
        err_hint(&p, "The first one is in line %d.", cp->users[i].line);
        add_problem(cp, line, &p);
        cp->skipped = true;
        return;
    }
    cp->users = mem_realloc(cp->users, (cp->nuser + 1) * sizeof(*cp->users));
    cp->user = &cp->users[cp->nuser++];
    *cp->user = (struct user_section){ .user.name = name, .line = line };
}

static void on_heading(void *arg, int line, const char *section)
{
    struct config_parse *cp = arg;
    struct err p = ERR_INIT;
    const char *name = NULL;

    cp->user = NULL;
    cp->skipped = false;
    if (!user_section_name(section, &cp->box->arena, &name, &p)) {
        add_problem(cp, line, &p);
        cp->skipped = true;
    } else if (name) {
        on_user(cp, line, name);
    }
}

static void take_setting(struct config_parse *cp, const struct setting_place *in, int line, const char *name,
                         const char *value)
{
    const struct setting *s = setting_find(in->settings, in->n, name);
    struct err p = ERR_INIT, why = ERR_INIT;
    int *seen;

    if (!s) {
        unknown_setting(cp, in, line, name);
        return;
    }
    seen = &in->seen[s - in->settings];
    if (*seen) {
        err_set(&p, PB0501, "%s is set twice", name);
        err_hint(&p, "It is first set in line %d.", *seen);
        add_problem(cp, line, &p);
        return;
    }
    *seen = line;
    if (!setting_parse(s, value, cp->folder, &cp->box->arena, in->base + s->offset, &why)) {
        err_set(&p, PB0501, "%s: %s", name, why.message);
        err_hint(&p, "%s", why.hint);
        add_problem(cp, line, &p);
    }
}

static void on_setting(void *arg, int line, const char *section, const char *name, const char *value)
{
    struct config_parse *cp = arg;
    struct setting_place in = {
        .settings = config_settings, .n = config_nsetting, .seen = cp->seen, .base = (char *)&cp->box->config
    };
    struct err p = ERR_INIT;

    if (cp->skipped)
        return;
    if (cp->user) {
        in = (struct setting_place){ .settings = config_user_settings,
                                     .n = config_nuser_setting,
                                     .seen = cp->user->seen,
                                     .base = (char *)&cp->user->user };
        take_setting(cp, &in, line, name, value);
        if (strcmp(name, "options") == 0 && !user_options_check(value, &p))
            add_problem(cp, line, &p);
    } else if (strcmp(section, CONFIG_SECTION) == 0) {
        take_setting(cp, &in, line, name, value);
    } else {
        if (section[0])
            err_set(&p, PB0501, "setting \"%s\" is in the unknown section [%s]", name, section);
        else
            err_set(&p, PB0501, "setting \"%s\" stands before any section", name);
        err_hint(&p, "All settings belong under [" CONFIG_SECTION "], or those of one user under [user NAME].");
        add_problem(cp, line, &p);
    }
}

/* The users' sections, once all of the file is known. */
static void take_users(struct config_parse *cp)
{
    struct config *c = &cp->box->config;
    struct config_user *users = ARENA_ARRAY(&cp->box->arena, struct config_user, cp->nuser);

    for (size_t i = 0; i < cp->nuser; i++) {
        user_section_fill(c, &cp->users[i], &cp->box->arena);
        users[i] = cp->users[i].user;
    }
    users_sort(users, cp->nuser);
    c->users = users;
    c->nuser = cp->nuser;
    fill_everybody(cp->box);
}

/* Files that were left at their defaults are relative to the configuration file too. */
static void resolve_default_files(struct config_parse *cp)
{
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];
        struct err e = ERR_INIT;

        if (s->type == SETTING_FILE && !cp->seen[i])
            BUG_ON(!setting_parse(s, s->def, cp->folder, &cp->box->arena, field_of(cp->box, s), &e));
    }
}

struct config *config_parse(struct span text, const char *path, struct strbuf *report, struct err *e)
{
    static const struct ini_callbacks callbacks = { .heading = on_heading,
                                                    .setting = on_setting,
                                                    .problem = on_problem };
    const char *slash = strrchr(path, '/');
    struct config_parse cp = { .box = box_new(), .path = path, .problems = { .report = report, .e = e } };

    if (slash)
        cp.folder = slash == path ? "" : arena_spandup(&cp.box->arena, span_make(path, (size_t)(slash - path)));
    cp.seen = mem_zalloc(config_nsetting * sizeof(*cp.seen));
    ini_read(text, &callbacks, &cp);
    resolve_default_files(&cp);
    take_users(&cp);
    free(cp.seen);
    free(cp.users);
    if (cp.problems.n == 0)
        return &cp.box->config;
    if (cp.problems.n > 1)
        err_detail(e, "The file has %u problems.", cp.problems.n);
    config_unref(&cp.box->config);
    return NULL;
}

struct config *config_load(const char *path, struct strbuf *report, struct err *e)
{
    struct strbuf text = STRBUF_INIT;
    struct config *c = NULL;

    if (file_read("configuration file", path, CONFIG_MAX_FILE, &text, e))
        c = config_parse(strbuf_span(&text), path, report, e);
    else
        err_hint(e, "\"pgbraid config --print-defaults\" prints one to start from.");
    if (!c && report && report->len == 0)
        strbuf_printf(report, e->hint[0] ? "%s (%s)\n" : "%s%s\n", e->message, e->hint);
    strbuf_fini(&text);
    return c;
}

uint32_t config_worker_count(const struct config *c)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (c->workers)
        return c->workers;
    return cores > 2 ? (uint32_t)(cores / 2) : 1;
}

const char *config_restart_needed(const struct config *from, const struct config *to)
{
    const char *name = NULL;
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < config_nsetting && !name; i++) {
        const struct setting *s = &config_settings[i];

        if (s->restart && strcmp(setting_print(s, (const char *)from + s->offset, &a),
                                 setting_print(s, (const char *)to + s->offset, &a)) != 0)
            name = s->name;
    }
    arena_fini(&a);
    return name;
}

static struct config_row row_of(const struct setting *s, const char *base, struct arena *a)
{
    return (struct config_row){
        .name = s->name,
        .value = setting_print(s, base + s->offset, a),
        .def = s->def ? s->def : "",
        .type = setting_type_name(s->type),
        .reloadable = !s->restart,
        .doc = s->doc,
    };
}

void config_each(const struct config *c, void (*fn)(const struct config_row *row, void *arg), void *arg)
{
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < config_nsetting; i++) {
        struct config_row row = row_of(&config_settings[i], (const char *)c, &a);

        fn(&row, arg);
    }
    for (size_t u = 0; u < c->nuser; u++) {
        for (size_t i = 0; i < config_nuser_setting; i++) {
            struct config_row row = row_of(&config_user_settings[i], (const char *)&c->users[u], &a);

            row.name = arena_printf(&a, "[user %s] %s", c->users[u].name, row.name);
            fn(&row, arg);
        }
    }
    arena_fini(&a);
}

static void print_default(struct strbuf *out, const char *comment, const struct setting *s)
{
    const char *def = s->def ? s->def : "";

    strbuf_printf(out, "\n# %s%s\n%s%s =%s%s\n", s->doc, s->restart ? " Needs a restart." : "", comment, s->name,
                  def[0] ? " " : "", def);
}

void config_print_defaults(struct strbuf *out)
{
    strbuf_puts(out, "# pgbraid.conf: every setting at its default.\n[" CONFIG_SECTION "]\n");
    for (size_t i = 0; i < config_nsetting; i++)
        print_default(out, "#", &config_settings[i]);
    strbuf_puts(out, "\n# Of one user; a section for each.\n;[user NAME]\n");
    for (size_t i = 0; i < config_nuser_setting; i++)
        print_default(out, ";", &config_user_settings[i]);
}

static void print_line(struct strbuf *out, const struct setting *s)
{
    const char *def = s->def ? s->def : "as in [" CONFIG_SECTION "]", *tick = s->def && s->def[0] ? "`" : "";

    strbuf_printf(out, "| `%s` | %s%s%s | %s | %s | %s |\n", s->name, tick, def, tick, setting_type_name(s->type),
                  s->restart ? "restart" : "yes", s->doc);
}

void config_print_markdown(struct strbuf *out)
{
    static const char head[] = "| setting | default | type | reload | |\n|---|---|---|---|---|\n";

    strbuf_puts(out, head);
    for (size_t i = 0; i < config_nsetting; i++)
        print_line(out, &config_settings[i]);
    strbuf_printf(out,
                  "\nUnder `[user NAME]` (a name with blanks at its ends in double quotes), of this user's "
                  "sessions:\n\n%s",
                  head);
    for (size_t i = 0; i < config_nuser_setting; i++)
        print_line(out, &config_user_settings[i]);
}
