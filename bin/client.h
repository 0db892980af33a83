/*
 * How the verbs reach the layout: through the console of a running router, or, when none runs, by opening the directory
 * file themselves. Which of the two is found out by connecting; that nobody else owns the file is checked by the file's
 * lock.
 */
#ifndef BIN_CLIENT_H
#define BIN_CLIENT_H

#include "base/err.h"
#include "base/strbuf.h"
#include "net/pgconn.h"
#include "router/config/config.h"
#include "shardmap/directory.h"

/* Options that all such verbs have. */
struct client_args {
    const char *config;  /* NULL: pgbraid.conf in the current folder if there is one, else defaults */
    const char *console; /* conninfo of the console; NULL: from the configuration */
    const char *user;    /* on the console; NULL: postgres */
};

#define CLIENT_OPTIONS(type, member)                                                                                   \
    { .name = "config",                                                                                                \
      .letter = 'c',                                                                                                   \
      .value = "FILE",                                                                                                 \
      .offset = offsetof(type, member.config),                                                                         \
      .help = "configuration file of the router [pgbraid.conf]" },                                                     \
        { .name = "console",                                                                                           \
          .value = "CONNINFO",                                                                                         \
          .offset = offsetof(type, member.console),                                                                    \
          .help = "console of the router [from the configuration]" },                                                  \
    {                                                                                                                  \
        .name = "user", .letter = 'U', .value = "NAME", .offset = offsetof(type, member.user),                         \
        .help = "user on the console [postgres]"                                                                       \
    }

struct client {
    struct config *config;  /* owned reference */
    struct pgconn *console; /* owned; NULL when no router runs */
};

/* Load the configuration and look for a running router. A router that is there but refuses is an error. */
MUSTCHECK bool client_open(struct client *c, const struct client_args *args, struct err *e);
void client_close(struct client *c);
/* The directory file, when no router runs. NULL and the error. */
MUSTCHECK struct directory *client_directory(struct client *c, bool create, struct err *e);
/*
 * Run a console command and print its rows or its tag. `database`: only rows whose column of that name has this value;
 * NULL: all.
 */
MUSTCHECK bool client_run(struct client *c, const char *command, const char *database, struct err *e);
/* The same for a verb that only a running router can carry out. */
MUSTCHECK bool client_command(const char *command, const struct client_args *args, struct err *e);
/* An argument for the console: 'text', quotes doubled. Its quoting knows no backslashes. */
void client_put_argument(struct strbuf *command, struct span text);

/* ---- printing ---- */

/* A table of text with aligned columns, as psql prints one. */
struct table_print;
struct table_print *table_print_new(size_t ncol, const char *const *titles);
void table_print_row(struct table_print *t, const char *const *values); /* copied; NULL prints empty */
/* Print to standard output, and free. */
void table_print_end(struct table_print *t);

#endif
