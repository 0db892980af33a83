#include "bin/verbs.h"

#include "base/cmd.h"
#include "router/config/config.h"

#include <stdio.h>
#include <string.h>

struct config_args {
    struct cmd_args args; /* first */
    const char *check;
    bool print_defaults;
    bool docs;
};

static const struct cmd_option options[] = {
    { .name = "print-defaults",
      .offset = offsetof(struct config_args, print_defaults),
      .help = "print a configuration file with every setting at its default, explained" },
    { .name = "docs", .offset = offsetof(struct config_args, docs), .help = "print the settings as a Markdown table" },
    { .name = "check",
      .value = "FILE",
      .offset = offsetof(struct config_args, check),
      .help = "read a file, say what is wrong with it and print what is in force" },
};

static const struct cmd config_cmd = {
    .name = "pgbraid config",
    .synopsis = "--print-defaults | --docs | --check FILE",
    .about = "Print and check configuration files.\n\n"
             "  pgbraid config --print-defaults > pgbraid.conf\n"
             "  pgbraid config --check pgbraid.conf",
    .options = options,
    .noption = ARRAY_LEN(options),
};

static void print_row(const struct config_row *row, void *arg)
{
    strbuf_printf(arg, "%s = %s\n", row->name, row->value);
}

static int check_file(const char *path, struct strbuf *out)
{
    struct err e = ERR_INIT;
    struct config *c = config_load(path, out, &e);

    if (!c) {
        fputs(strbuf_str(out), stderr);
        return CMD_EXIT_FAILED;
    }
    config_each(c, print_row, out);
    config_unref(c);
    fputs(strbuf_str(out), stdout);
    return CMD_EXIT_OK;
}

int verb_config(int argc, char **argv)
{
    struct config_args a = { 0 };
    struct strbuf out = STRBUF_INIT;
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&config_cmd, argc, argv, &a.args, &e);
    int status = CMD_EXIT_OK;

    if (result == CMD_RUN && a.print_defaults + a.docs + (a.check != NULL) != 1) {
        err_set(&e, PB0502, "pgbraid config: say what to do");
        err_hint(&e, "Usage: pgbraid config %s", config_cmd.synopsis);
        result = CMD_BAD;
    }
    if (result != CMD_RUN)
        return cmd_usage(&config_cmd, result, &e);
    if (a.check) {
        status = check_file(a.check, &out);
    } else {
        if (a.docs)
            config_print_markdown(&out);
        else
            config_print_defaults(&out);
        fputs(strbuf_str(&out), stdout);
    }
    strbuf_fini(&out);
    return status;
}
