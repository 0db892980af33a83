/*
 * Inside the console: a running command, and the commands. For router/console*.c only.
 */
#ifndef ROUTER_CONSOLE_CONSOLE_INT_H
#define ROUTER_CONSOLE_CONSOLE_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "router/control.h"

#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_MAX_COLUMNS 16

struct router;
struct worker;

struct console {
    struct control_job job;
    struct arena arena;
    struct worker *worker; /* borrowed: where the client is */
    struct router *router; /* borrowed */
    uint32_t session_id;
    bool stats_only;   /* the user may look, not touch */
    char *user, *text; /* in the arena */
    const char *rest;  /* what "..." matched */
    char *args[8];
    unsigned narg;
    struct strbuf out, tag; /* messages for the client; command tag */
    uint16_t ncolumn;
    uint32_t nrow;
};

/* On a control thread; false with the error. Rows by console_columns and console_row. */
struct console_command {
    const char *syntax;
    bool (*run)(struct console *c, struct err *e);
    const char *help;
    const char *args; /* what "..." stands for; NULL: nothing */
};

/* A name that begins with # is a number's: clients align it to the right. */
void console_columns(struct console *c, const char *const *names, uint16_t n);
/* One value per column; NULL is SQL NULL. */
void console_row(struct console *c, const char *const *values);
/* Next word or quoted text at *p, or NULL at the end. In the arena. */
char *console_word(struct console *c, const char **p);

#define CONSOLE_COLUMNS(c, ...)                                                                                        \
    do {                                                                                                               \
        static const char *const column_names_[] = { __VA_ARGS__ };                                                    \
        console_columns((c), column_names_, (uint16_t)ARRAY_LEN(column_names_));                                       \
    } while (0)
#define CONSOLE_ROW(c, ...)                                                                                            \
    do {                                                                                                               \
        const char *column_values_[] = { __VA_ARGS__ };                                                                \
        console_row((c), column_values_);                                                                              \
    } while (0)

/* As text, in the arena. */
const char *console_number(struct console *c, uint64_t n);

/* console_txn.c */
bool console_transactions(struct console *c, struct err *e);
bool console_prepared(struct console *c, struct err *e);
bool console_recovery(struct console *c, struct err *e);
bool console_recover(struct console *c, struct err *e);
bool console_resolve_commit(struct console *c, struct err *e);
bool console_resolve_abort(struct console *c, struct err *e);
/* console_show.c */
bool console_databases(struct console *c, struct err *e);
bool console_shards(struct console *c, struct err *e);
bool console_key_ranges(struct console *c, struct err *e);
bool console_differences(struct console *c, struct err *e);
bool console_tables(struct console *c, struct err *e);
bool console_pools(struct console *c, struct err *e);
bool console_clients(struct console *c, struct err *e);
bool console_servers(struct console *c, struct err *e);
bool console_stats(struct console *c, struct err *e);
bool console_gate(struct console *c, struct err *e);
bool console_config(struct console *c, struct err *e);
bool console_version(struct console *c, struct err *e);
bool console_route(struct console *c, struct err *e);
/* console_do.c */
bool console_add_shard(struct console *c, struct err *e);
bool console_shard_table(struct console *c, struct err *e);
bool console_reference_table(struct console *c, struct err *e);
bool console_unshard_table(struct console *c, struct err *e);
bool console_reload(struct console *c, struct err *e);
bool console_pause(struct console *c, struct err *e);
bool console_resume(struct console *c, struct err *e);
bool console_shutdown(struct console *c, struct err *e);

#endif
