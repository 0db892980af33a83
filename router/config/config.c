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
};

static void *field_of(struct config_box *box, const struct setting *s)
{
    return (char *)&box->config + s->offset;
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

static void unknown_setting(struct config_parse *cp, int line, const char *name)
{
    struct nearest near = nearest_make(name);
    struct err p = ERR_INIT;

    err_set(&p, PB0501, "unknown setting \"%s\"", name);
    err_hint(&p, "\"pgbraid config --print-defaults\" lists all settings.");
    for (size_t i = 0; i < config_nsetting; i++)
        nearest_offer(&near, config_settings[i].name);
    if (nearest_get(&near))
        err_hint(&p, "Did you mean \"%s\"?", nearest_get(&near));
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];

        if (s->pgbouncer && strcmp(s->pgbouncer, name) == 0)
            err_hint(&p, "PgBouncer's %s is called %s here.", name, s->name);
    }
    add_problem(cp, line, &p);
}

static void on_setting(void *arg, int line, const char *section, const char *name, const char *value)
{
    struct config_parse *cp = arg;
    struct err p = ERR_INIT;
    const struct setting *s;
    struct err why = ERR_INIT;
    size_t i;

    if (strcmp(section, CONFIG_SECTION) != 0) {
        if (section[0])
            err_set(&p, PB0501, "setting \"%s\" is in the unknown section [%s]", name, section);
        else
            err_set(&p, PB0501, "setting \"%s\" stands before any section", name);
        err_hint(&p, "All settings belong under [" CONFIG_SECTION "].");
        add_problem(cp, line, &p);
        return;
    }
    for (i = 0; i < config_nsetting && strcmp(config_settings[i].name, name) != 0; i++)
        ;
    if (i == config_nsetting) {
        unknown_setting(cp, line, name);
        return;
    }
    s = &config_settings[i];
    if (cp->seen[i]) {
        err_set(&p, PB0501, "%s is set twice", name);
        err_hint(&p, "It is first set in line %d.", cp->seen[i]);
        add_problem(cp, line, &p);
        return;
    }
    cp->seen[i] = line;
    if (!setting_parse(s, value, cp->folder, &cp->box->arena, field_of(cp->box, s), &why)) {
        err_set(&p, PB0501, "%s: %s", name, why.message);
        err_hint(&p, "%s", why.hint);
        add_problem(cp, line, &p);
    }
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
    static const struct ini_callbacks callbacks = { .setting = on_setting, .problem = on_problem };
    const char *slash = strrchr(path, '/');
    struct config_parse cp = { .box = box_new(), .path = path, .problems = { .report = report, .e = e } };

    if (slash)
        cp.folder = slash == path ? "" : arena_spandup(&cp.box->arena, span_make(path, (size_t)(slash - path)));
    cp.seen = mem_zalloc(config_nsetting * sizeof(*cp.seen));
    ini_read(text, &callbacks, &cp);
    resolve_default_files(&cp);
    free(cp.seen);
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

void config_each(const struct config *c, void (*fn)(const struct config_row *row, void *arg), void *arg)
{
    struct arena a;

    arena_init(&a, 0);
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];
        struct config_row row = {
            .name = s->name,
            .value = setting_print(s, (const char *)c + s->offset, &a),
            .def = s->def,
            .type = setting_type_name(s->type),
            .reloadable = !s->restart,
            .doc = s->doc,
        };

        fn(&row, arg);
    }
    arena_fini(&a);
}

void config_print_defaults(struct strbuf *out)
{
    strbuf_puts(out, "# pgbraid.conf: every setting at its default.\n[" CONFIG_SECTION "]\n");
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];

        strbuf_printf(out, "\n# %s%s\n#%s =%s%s\n", s->doc, s->restart ? " Needs a restart." : "", s->name,
                      s->def[0] ? " " : "", s->def);
    }
}

void config_print_markdown(struct strbuf *out)
{
    strbuf_puts(out, "| setting | default | type | reload | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < config_nsetting; i++) {
        const struct setting *s = &config_settings[i];

        strbuf_printf(out, "| `%s` | %s%s%s | %s | %s | %s |\n", s->name, s->def[0] ? "`" : "", s->def,
                      s->def[0] ? "`" : "", setting_type_name(s->type), s->restart ? "restart" : "yes", s->doc);
    }
}
