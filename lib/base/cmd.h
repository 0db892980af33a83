/*
 * Command lines: verbs with options, and help that teaches. A verb is one const table; the same table parses and prints
 * --help. "--name value", "--name=value" and "-n value" are one; options and arguments may be mixed; "--" ends options.
 *
 * Pure but for cmd_dispatch and cmd_usage, which write to standard output and standard error.
 */
#ifndef BASE_CMD_H
#define BASE_CMD_H

#include "base/bug.h"
#include "base/err.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses. */
enum { CMD_EXIT_OK = 0, CMD_EXIT_FAILED = 1, CMD_EXIT_USAGE = 2 };

#define CMD_MAX_ARGS 8u

/* The first member of every struct that options are parsed into. */
struct cmd_args {
    const char *args[CMD_MAX_ARGS]; /* what is not an option; borrowed from argv */
    size_t narg;
};

struct cmd_option {
    const char *name;  /* without the hyphens */
    char letter;       /* 0: none */
    const char *value; /* "NAME": takes a value, the field is a const char *; NULL: a flag, the field is a bool */
    size_t offset;     /* of the field */
    bool required;
    const char *help;
};

struct cmd {
    const char *name;     /* "pgbraid shard add" */
    const char *synopsis; /* arguments and required options, after the name */
    const char *about;    /* what it does, then examples: lines, without a newline at the end */
    const struct cmd_option *options;
    size_t noption;
    size_t min_args, max_args;
};

enum cmd_result { CMD_RUN, CMD_HELP, CMD_BAD };

/*
 * Parse argv (without the verb) into `into`, whose fields hold their defaults. CMD_HELP on -h or --help anywhere;
 * CMD_BAD with PB0502.
 */
MUSTCHECK enum cmd_result cmd_parse(const struct cmd *c, int argc, char **argv, struct cmd_args *into, struct err *e);
/* The text of --help. */
void cmd_print_help(const struct cmd *c, struct strbuf *out);
/* What a verb does with a result other than CMD_RUN: print help or the error. Returns the exit status. */
int cmd_usage(const struct cmd *c, enum cmd_result result, const struct err *e);
/* Print an error with detail and hint to standard error, as psql does. Returns CMD_EXIT_FAILED. */
int cmd_fail(const struct err *e);

/* One line per verb; `run` gets what follows the verb and returns the exit status. */
struct cmd_verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

/* Run the verb that argv[0] names; print help for --help, -h, "help" or nothing, the error for an unknown one. */
int cmd_dispatch(const char *program, const char *about, const struct cmd_verb *verbs, size_t nverb, int argc,
                 char **argv);

#endif
