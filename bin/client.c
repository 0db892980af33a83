#include "bin/client.h"

#include "base/arena.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENT_TIMEOUT_MS 10000u

/* ---- finding the router ---- */

static struct config *load_config(const char *path, struct err *e)
{
    struct strbuf report = STRBUF_INIT;
    struct config *c;

    if (!path && access("pgbraid.conf", F_OK) != 0)
        return config_new_default();
    c = config_load(path ? path : "pgbraid.conf", &report, e);
    if (!c)
        fputs(strbuf_str(&report), stderr);
    strbuf_fini(&report);
    return c;
}

/* A value inside a conninfo: quoted, quotes and backslashes escaped. */
static void put_conninfo_value(struct strbuf *out, const char *value)
{
    strbuf_putc(out, '\'');
    for (; *value; value++) {
        if (*value == '\'' || *value == '\\')
            strbuf_putc(out, '\\');
        strbuf_putc(out, *value);
    }
    strbuf_putc(out, '\'');
}

/* Where a client on this machine finds a router that listens there. */
static const char *reachable(const struct config *c)
{
    if (c->unix_socket_dir[0])
        return c->unix_socket_dir;
    if (strcmp(c->listen_addr, "*") == 0 || strcmp(c->listen_addr, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(c->listen_addr, "::") == 0 ? "::1" : c->listen_addr;
}

static void print_notice(void *arg, const char *message)
{
    (void)arg;
    fprintf(stderr, "pgbraid: notice: %s\n", message);
}

bool client_open(struct client *c, const struct client_args *args, struct err *e)
{
    struct strbuf conninfo = STRBUF_INIT;
    struct pgconn_target target = { .application_name = "pgbraid", .timeout_ms = CLIENT_TIMEOUT_MS };
    bool ok;

    *c = (struct client){ .config = load_config(args->config, e) };
    if (!c->config)
        return false;
    strbuf_puts(&conninfo, "host=");
    put_conninfo_value(&conninfo, reachable(c->config));
    strbuf_printf(&conninfo, " port=%u dbname=pgbraid sslmode=disable user=", c->config->port);
    put_conninfo_value(&conninfo, args->user ? args->user : "postgres");
    target.conninfo = args->console ? args->console : strbuf_str(&conninfo);
    c->console = pgconn_open_blocking(&target, e);
    /* Nobody listens: no router runs, unless one was asked for by name. Whoever answers with an error is there. */
    ok = c->console || (e->id == PB0301 && !args->console);
    strbuf_fini(&conninfo);
    if (c->console)
        pgconn_on_notice(c->console, print_notice, NULL);
    if (!ok)
        client_close(c);
    return ok;
}

void client_close(struct client *c)
{
    if (c->console)
        pgconn_close_blocking(c->console);
    config_unref(c->config);
    *c = (struct client){ 0 };
}

struct directory *client_directory(struct client *c, bool create, struct err *e)
{
    struct directory_options o = { .create = create, .check_conninfo = pgconn_check_conninfo };

    return directory_open(c->config->directory, &o, e);
}

/* ---- printing ---- */

struct table_print {
    struct arena arena;
    size_t ncol;
    size_t nrow, cap;
    const char **cells; /* owned; the titles are row 0 */
};

struct table_print *table_print_new(size_t ncol, const char *const *titles)
{
    struct table_print *t = mem_zalloc(sizeof(*t));

    arena_init(&t->arena, 0);
    t->ncol = ncol;
    table_print_row(t, titles);
    return t;
}

void table_print_row(struct table_print *t, const char *const *values)
{
    if (t->nrow == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        t->cells = mem_realloc(t->cells, t->cap * t->ncol * sizeof(*t->cells));
    }
    for (size_t i = 0; i < t->ncol; i++)
        t->cells[t->nrow * t->ncol + i] = arena_strdup(&t->arena, values[i] ? values[i] : "");
    t->nrow++;
}

/* Columns of a terminal that UTF-8 text takes, near enough for names: continuation bytes take none. */
static size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_row(const struct table_print *t, size_t row, const size_t *widths)
{
    for (size_t i = 0; i < t->ncol; i++) {
        const char *cell = t->cells[row * t->ncol + i];
        int pad = (int)(widths[i] - text_width(cell));

        if (i + 1 < t->ncol)
            printf(" %s%*s |", cell, pad, "");
        else
            printf(" %s\n", cell);
    }
}

void table_print_end(struct table_print *t)
{
    size_t *widths = ARENA_ARRAY(&t->arena, size_t, t->ncol);

    for (size_t i = 0; i < t->nrow * t->ncol; i++) {
        size_t width = text_width(t->cells[i]);

        if (width > widths[i % t->ncol])
            widths[i % t->ncol] = width;
    }
    print_row(t, 0, widths);
    for (size_t i = 0; i < t->ncol; i++) {
        for (size_t k = 0; k < widths[i] + 2; k++)
            putchar('-');
        putchar(i + 1 < t->ncol ? '+' : '\n');
    }
    for (size_t row = 1; row < t->nrow; row++)
        print_row(t, row, widths);
    printf("(%zu row%s)\n", t->nrow - 1, t->nrow == 2 ? "" : "s");
    arena_fini(&t->arena);
    free(t->cells);
    free(t);
}

/* Whether a row belongs to the database; without a column that says so it does. */
static bool row_wanted(const struct pgresult *r, int row, const char *database)
{
    for (int i = 0; database && i < pgresult_columns(r); i++) {
        const char *value = pgresult_value(r, row, i);

        if (strcmp(pgresult_column_name(r, i), "database") == 0)
            return value && strcmp(value, database) == 0;
    }
    return true;
}

static void print_result(const struct pgresult *r, const char *database)
{
    int ncol = pgresult_columns(r);
    const char **cells;
    struct table_print *t;

    if (ncol == 0) {
        puts(pgresult_tag(r));
        return;
    }
    cells = mem_zalloc((size_t)ncol * sizeof(*cells));
    for (int i = 0; i < ncol; i++)
        cells[i] = pgresult_column_name(r, i);
    t = table_print_new((size_t)ncol, cells);
    for (int row = 0; row < pgresult_rows(r); row++) {
        if (!row_wanted(r, row, database))
            continue;
        for (int i = 0; i < ncol; i++)
            cells[i] = pgresult_value(r, row, i);
        table_print_row(t, cells);
    }
    table_print_end(t);
    free(cells);
}

bool client_run(struct client *c, const char *command, const char *database, struct err *e)
{
    struct pgresult *r = pgconn_query(c->console, command, e);

    if (!r)
        return false;
    print_result(r, database);
    pgresult_free(r);
    return true;
}

void client_put_argument(struct strbuf *command, struct span text)
{
    strbuf_putc(command, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            strbuf_putc(command, '\'');
        strbuf_putc(command, text.ptr[i]);
    }
    strbuf_putc(command, '\'');
}

bool client_command(const char *command, const struct client_args *args, struct err *e)
{
    struct client c;
    bool ok;

    if (!client_open(&c, args, e))
        return false;
    if (c.console) {
        ok = client_run(&c, command, NULL, e);
    } else { /* *e says who did not answer */
        char reason[sizeof(e->message)];

        snprintf(reason, sizeof(reason), "%s", e->message);
        err_set(e, PB0301, "no router is running, and this needs one");
        err_detail(e, "%s", reason);
        ok = err_hint(e, "Start it with \"pgbraid serve\", or name its configuration file with --config.");
    }
    client_close(&c);
    return ok;
}
