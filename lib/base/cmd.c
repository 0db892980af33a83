#include "base/cmd.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

/* ---- parsing ---- */

static const struct cmd_option *find_option(const struct cmd *c, struct span name)
{
    for (size_t i = 0; i < c->noption; i++) {
        if (span_eq_str(name, c->options[i].name))
            return &c->options[i];
    }
    return NULL;
}

static const struct cmd_option *find_letter(const struct cmd *c, char letter)
{
    for (size_t i = 0; i < c->noption; i++) {
        if (letter && c->options[i].letter == letter)
            return &c->options[i];
    }
    return NULL;
}

static bool bad_option(const struct cmd *c, const char *arg, size_t len, struct err *e)
{
    char typed[64];
    struct nearest near;

    snprintf(typed, sizeof(typed), "%.*s", (int)(len < sizeof(typed) ? len : sizeof(typed) - 1), arg);
    near = nearest_make(typed + strspn(typed, "-"));
    for (size_t i = 0; i < c->noption; i++)
        nearest_offer(&near, c->options[i].name);
    err_set(e, PB0502, "%s: unknown option \"%s\"", c->name, typed);
    if (nearest_get(&near))
        return err_hint(e, "Did you mean --%s?", nearest_get(&near));
    return err_hint(e, "\"%s --help\" lists the options.", c->name);
}

static bool set_field(const struct cmd *c, const struct cmd_option *o, struct cmd_args *into, const char *value,
                      struct err *e)
{
    char *field = (char *)into + o->offset;
    bool on = true;

    if (!o->value && value)
        return err_set(e, PB0502, "%s: option --%s takes no value", c->name, o->name);
    if (!o->value)
        memcpy(field, &on, sizeof(on));
    else
        memcpy(field, &value, sizeof(value));
    return true;
}

/* Take the option at argv[*i], and its value. */
static bool take_option(const struct cmd *c, int argc, char **argv, int *i, struct cmd_args *into, unsigned *seen,
                        struct err *e)
{
    const char *arg = argv[*i], *value = NULL;
    const struct cmd_option *o;
    size_t len = strlen(arg);

    if (arg[1] == '-') {
        const char *equals = strchr(arg, '=');

        len = equals ? (size_t)(equals - arg) : len;
        value = equals ? equals + 1 : NULL;
        o = find_option(c, span_make(arg + 2, len - 2));
    } else {
        value = arg[2] ? arg + 2 : NULL;
        o = find_letter(c, arg[1]);
    }
    if (!o)
        return bad_option(c, arg, len, e);
    if (o->value && !value) {
        if (*i + 1 >= argc) {
            err_set(e, PB0502, "%s: option --%s needs a value", c->name, o->name);
            return err_hint(e, "Write --%s %s.", o->name, o->value);
        }
        value = argv[++*i];
    }
    if (*seen & BIT(o - c->options))
        return err_set(e, PB0502, "%s: option --%s is given twice", c->name, o->name);
    *seen |= BIT(o - c->options);
    return set_field(c, o, into, value, e);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static bool check_complete(const struct cmd *c, const struct cmd_args *into, unsigned seen, struct err *e)
{
    for (size_t i = 0; i < c->noption; i++) {
        if (c->options[i].required && !(seen & BIT(i))) {
            err_set(e, PB0502, "%s: option --%s is missing", c->name, c->options[i].name);
            return err_hint(e, "Usage: %s %s", c->name, c->synopsis);
        }
    }
    if (into->narg < c->min_args) {
        err_set(e, PB0502, "%s: too few arguments", c->name);
        return err_hint(e, "Usage: %s %s", c->name, c->synopsis);
    }
    return true;
}

enum cmd_result cmd_parse(const struct cmd *c, int argc, char **argv, struct cmd_args *into, struct err *e)
{
    bool options = true;
    unsigned seen = 0;

    BUG_ON(c->noption > 32 || c->max_args > CMD_MAX_ARGS);
    if (wants_help(argc, argv))
        return CMD_HELP;
    into->narg = 0;
    for (int i = 0; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            if (!take_option(c, argc, argv, &i, into, &seen, e))
                return CMD_BAD;
        } else if (into->narg == c->max_args) {
            err_set(e, PB0502, "%s: too many arguments: \"%s\"", c->name, argv[i]);
            err_hint(e, "Usage: %s %s", c->name, c->synopsis);
            return CMD_BAD;
        } else {
            into->args[into->narg++] = argv[i];
        }
    }
    return check_complete(c, into, seen, e) ? CMD_RUN : CMD_BAD;
}

/* ---- help ---- */

void cmd_print_help(const struct cmd *c, struct strbuf *out)
{
    int width = (int)strlen("-h, --help");

    strbuf_printf(out, "Usage: %s%s%s\n\n%s\n\nOptions:\n", c->name, c->synopsis[0] ? " " : "", c->synopsis, c->about);
    for (size_t i = 0; i < c->noption; i++) {
        const struct cmd_option *o = &c->options[i];
        int w = (int)(6 + strlen(o->name) + (o->value ? 1 + strlen(o->value) : 0));

        width = w > width ? w : width;
    }
    for (size_t i = 0; i < c->noption; i++) {
        const struct cmd_option *o = &c->options[i];
        char left[128];

        snprintf(left, sizeof(left), "%c%c%c --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                 o->letter ? ',' : ' ', o->name, o->value ? " " : "", o->value ? o->value : "");
        strbuf_printf(out, "  %-*s  %s\n", width, left, o->help);
    }
    strbuf_printf(out, "  %-*s  %s\n", width, "-h, --help", "print this");
}

int cmd_fail(const struct err *e)
{
    fprintf(stderr, "pgbraid: error: %s\n", e->message);
    if (e->detail[0])
        fprintf(stderr, "pgbraid: detail: %s\n", e->detail);
    if (e->hint[0])
        fprintf(stderr, "pgbraid: hint: %s\n", e->hint);
    return CMD_EXIT_FAILED;
}

int cmd_usage(const struct cmd *c, enum cmd_result result, const struct err *e)
{
    struct strbuf help = STRBUF_INIT;

    if (result == CMD_BAD) {
        cmd_fail(e);
        return CMD_EXIT_USAGE;
    }
    cmd_print_help(c, &help);
    fputs(strbuf_str(&help), stdout);
    strbuf_fini(&help);
    return CMD_EXIT_OK;
}

static void print_verbs(FILE *out, const char *program, const char *about, const struct cmd_verb *verbs, size_t nverb)
{
    size_t width = 0;

    for (size_t i = 0; i < nverb; i++)
        width = strlen(verbs[i].name) > width ? strlen(verbs[i].name) : width;
    fprintf(out, "Usage: %s COMMAND ...\n\n%s\n\nCommands:\n", program, about);
    for (size_t i = 0; i < nverb; i++)
        fprintf(out, "  %-*s  %s\n", (int)width, verbs[i].name, verbs[i].summary);
    fprintf(out, "\n\"%s COMMAND --help\" tells more.\n", program);
}

int cmd_dispatch(const char *program, const char *about, const struct cmd_verb *verbs, size_t nverb, int argc,
                 char **argv)
{
    struct nearest near;
    struct err e;

    if (argc < 1) {
        print_verbs(stderr, program, about, verbs, nverb);
        return CMD_EXIT_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "help") == 0) {
        print_verbs(stdout, program, about, verbs, nverb);
        return CMD_EXIT_OK;
    }
    near = nearest_make(argv[0]);
    for (size_t i = 0; i < nverb; i++) {
        if (strcmp(verbs[i].name, argv[0]) == 0)
            return verbs[i].run(argc - 1, argv + 1);
        nearest_offer(&near, verbs[i].name);
    }
    err_set(&e, PB0502, "%s: unknown command \"%s\"", program, argv[0]);
    if (nearest_get(&near))
        err_hint(&e, "Did you mean \"%s %s\"?", program, nearest_get(&near));
    else
        err_hint(&e, "\"%s --help\" lists the commands.", program);
    cmd_fail(&e);
    return CMD_EXIT_USAGE;
}
