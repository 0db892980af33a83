#include "router/console/console.h"

#include "base/mem.h"
#include "router/config/config.h"
#include "router/config/reload.h"
#include "router/console/console_int.h"
#include "router/control.h"
#include "router/placement.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "shardmap/directory.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <ctype.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static bool run_help(struct console *c, struct err *e);

/* The grammar. A word in capitals is a keyword, the rest is an argument: name or quoted 'text'; "..." takes the rest of
 * the line. */
static const struct console_command commands[] = {
    { "SHOW HELP", run_help, "this list", NULL },
    { "SHOW DATABASES", console_databases, "databases and whether they are served", NULL },
    { "SHOW SHARDS", console_shards, "shards, their key ranges and where they are", NULL },
    { "SHOW KEY RANGES", console_key_ranges, "which shard owns which keyspace ids", NULL },
    { "SHOW TABLES", console_tables, "how tables are distributed", NULL },
    { "SHOW DIFFERENCES", console_differences, "tables that are not the same on a shard as on the home shard", NULL },
    { "SHOW POOLS", console_pools, "server connections and waits, per user and shard", NULL },
    { "SHOW CLIENTS", console_clients, "client connections", NULL },
    { "SHOW SERVERS", console_servers, "server connections", NULL },
    { "SHOW STATS", console_stats, "counters per worker", NULL },
    { "SHOW TRANSACTIONS", console_transactions, "transactions on several shards that run now", NULL },
    { "SHOW PREPARED", console_prepared, "prepared transactions on the shards, and how they are decided", NULL },
    { "SHOW RECOVERY", console_recovery, "what was finished for others, and what is left", NULL },
    { "SHOW GATE", console_gate, "how scattered reads and commits over several shards meet", NULL },
    { "SHOW CONFIG", console_config, "settings in force", NULL },
    { "SHOW VERSION", console_version, "version of pgbraid", NULL },
    { "SHOW ROUTE FOR ...", console_route, "how a statement would be run, without running it",
      "[IN DATABASE database] statement" },
    { "ADD SHARD name DATABASE database RANGE range CONNINFO conninfo", console_add_shard,
      "a new shard; served once the ranges cover", NULL },
    { "SHARD TABLE ...", console_shard_table, "rows go to shards by the hash of the key",
      "table BY column [, column] [IN DATABASE database]" },
    { "REFERENCE TABLE ...", console_reference_table, "the same rows on every shard", "table [IN DATABASE database]" },
    { "UNSHARD TABLE ...", console_unshard_table, "all rows to the home shard", "table [IN DATABASE database]" },
    { "RECOVER", console_recover, "look at the shards' prepared transactions now, not when it is time", NULL },
    { "RESOLVE TRANSACTION gtid COMMIT", console_resolve_commit,
      "decide about a transaction whose decision is lost (SHOW PREPARED)", NULL },
    { "RESOLVE TRANSACTION gtid ABORT", console_resolve_abort, "the same", NULL },
    { "RELOAD", console_reload, "read the configuration file again", NULL },
    { "PAUSE ...", console_pause, "new statements wait until RESUME; returns when all transactions have ended",
      "[database]" },
    { "RESUME ...", console_resume, "let them go on", "[database]" },
    { "SHUTDOWN", console_shutdown, "end the router; running transactions may end first", NULL },
};

/* --- rows --- */

void console_columns(struct console *c, const char *const *names, uint16_t n)
{
    struct be_column cols[CONSOLE_MAX_COLUMNS];

    BUG_ON(n > CONSOLE_MAX_COLUMNS);
    for (uint16_t i = 0; i < n; i++) {
        bool number = names[i][0] == '#';

        cols[i] = (struct be_column){ .name = names[i] + number, .type = number ? OID_INT8 : OID_TEXT };
    }
    be_put_row_description(&c->out, cols, n);
    c->ncolumn = n;
}

void console_row(struct console *c, const char *const *values)
{
    struct span spans[CONSOLE_MAX_COLUMNS];

    for (uint16_t i = 0; i < c->ncolumn; i++)
        spans[i] = span_str(values[i]);
    be_put_data_row(&c->out, spans, c->ncolumn);
    c->nrow++;
}

const char *console_number(struct console *c, uint64_t n)
{
    return arena_printf(&c->arena, "%" PRIu64, n);
}

static bool run_help(struct console *c, struct err *e)
{
    static const char *const names[] = { "command", "what it does" };

    (void)e;
    console_columns(c, names, 2);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const char *args = commands[i].args ? commands[i].args : "";
        const char *row[CONSOLE_MAX_COLUMNS] = { arena_printf(&c->arena, "%.*s%s",
                                                              (int)(strlen(commands[i].syntax) - (*args ? 3 : 0)),
                                                              commands[i].syntax, args),
                                                 commands[i].help };

        console_row(c, row);
    }
    return true;
}

/* --- reading a command --- */

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* The next word or quoted text, copied into the console's arena; NULL at the end. */
char *console_word(struct console *c, const char **p)
{
    struct strbuf sb = STRBUF_INIT;
    char quote;
    char *word;

    *p = skip_blanks(*p);
    if (!**p)
        return NULL;
    quote = **p == '\'' || **p == '"' ? *(*p)++ : '\0';
    while (**p) {
        if (quote && **p == quote && (*p)[1] == quote)
            (*p)++;
        else if (quote ? **p == quote : (isspace((unsigned char)**p) || **p == ','))
            break;
        strbuf_putc(&sb, *(*p)++);
    }
    if (quote && **p)
        (*p)++;
    word = arena_strdup(&c->arena, strbuf_str(&sb));
    strbuf_fini(&sb);
    return word;
}

static bool is_keyword(const char *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isupper((unsigned char)w[i]))
            return false;
    }
    return true;
}

/* Does the text follow the syntax? Arguments are put into c->args. *matched: keywords that fitted. */
static bool console_match(struct console *c, const char *syntax, const char *text, unsigned *matched)
{
    c->narg = 0;
    *matched = 0;
    while (*syntax) {
        size_t n = strcspn(syntax, " ");
        char *word;

        if (strncmp(syntax, "...", n) == 0) {
            c->rest = skip_blanks(text);
            return true;
        }
        word = console_word(c, &text);
        if (!word)
            return false;
        if (is_keyword(syntax, n)) {
            if (strlen(word) != n || strncasecmp(word, syntax, n) != 0)
                return false;
            (*matched)++;
        } else if (c->narg < ARRAY_LEN(c->args)) {
            c->args[c->narg++] = word;
        }
        syntax += n;
        while (*syntax == ' ')
            syntax++;
    }
    return *skip_blanks(text) == '\0';
}

static bool console_allowed(const struct console *c, const struct console_command *command, struct err *e)
{
    if (!c->stats_only || strncmp(command->syntax, "SHOW ", 5) == 0)
        return true;
    err_set(e, PB0312, "user \"%s\" may only look (SHOW)", c->user);
    err_state(e, "42501");
    return err_hint(e, "Add the user to admin_users in the configuration file.");
}

static bool console_dispatch(struct console *c, struct err *e)
{
    const struct console_command *near = NULL;
    unsigned best = 0;

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        unsigned matched;

        if (console_match(c, commands[i].syntax, c->text, &matched))
            return console_allowed(c, &commands[i], e) && commands[i].run(c, e);
        if (matched > best) {
            best = matched;
            near = &commands[i];
        }
    }
    err_set(e, PB0503, "unknown console command");
    if (near)
        err_detail(e, "Nearest: %s", near->syntax);
    return err_hint(e, "SHOW HELP lists the commands.");
}

/* --- running it --- */

static void console_run(struct control_job *job)
{
    struct console *c = CONTAINER_OF(job, struct console, job);
    struct err e = ERR_INIT;

    if (console_dispatch(c, &e)) {
        if (c->ncolumn)
            strbuf_printf(&c->tag, "SHOW %u", c->nrow);
        else if (c->tag.len == 0)
            strbuf_puts(&c->tag, "OK");
        be_put_command_complete(&c->out, c->tag.ptr);
    } else {
        strbuf_reset(&c->out);
        be_put_error(&c->out, "ERROR", &e);
    }
    be_put_ready(&c->out, 'I');
}

static void console_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct console *c = CONTAINER_OF(job, struct console, job);
    struct session *s = session_find(c->worker, c->session_id);

    if (s) {
        session_send(s, c->out.ptr, c->out.len);
        session_set_state(s, SESSION_READY);
        s->active_us = loop_now_us(s->worker->loop);
        session_continue(s);
    }
    strbuf_fini(&c->out);
    strbuf_fini(&c->tag);
    arena_fini(&c->arena);
    free(c);
}

void console_query(struct session *s, struct span body)
{
    struct console *c = mem_zalloc(sizeof(*c));
    size_t n = body.len;

    arena_init(&c->arena, 0);
    c->worker = s->worker;
    c->router = s->worker->router;
    c->session_id = s->id;
    c->user = arena_strdup(&c->arena, s->user);
    c->stats_only = s->stats_only;
    while (n && (body.ptr[n - 1] == '\0' || body.ptr[n - 1] == ';' || isspace((unsigned char)body.ptr[n - 1])))
        n--;
    c->text = arena_spandup(&c->arena, span_make(body.ptr, n));
    c->job.loop = s->worker->loop;
    c->job.run = console_run;
    c->job.done.fn = console_done;
    s->queries++;
    s->active_us = loop_now_us(s->worker->loop);
    session_set_state(s, SESSION_RUNNING);
    s->in_job = true;
    if (!*skip_blanks(c->text)) {
        strbuf_put(&c->out, "I\0\0\0\4", 5);
        be_put_ready(&c->out, 'I');
        loop_post(s->worker->loop, &c->job.done);
    } else if (!control_submit(c->router->control, &c->job)) {
        struct err e = ERR_INIT;

        err_set(&e, PB0302, "too many jobs wait for the control threads");
        be_put_error(&c->out, "ERROR", &e);
        be_put_ready(&c->out, 'I');
        loop_post(s->worker->loop, &c->job.done);
    }
}

void console_extended(struct session *s, char type)
{
    struct err e = ERR_INIT;

    if (type == FE_SYNC) {
        s->skip_to_sync = false;
        session_ready(s);
    } else if (!s->skip_to_sync) {
        s->skip_to_sync = true;
        err_set(&e, PB0103, "the console speaks the simple query protocol only");
        err_hint(&e, "Use psql, or PQexec.");
        session_error(s, &e);
    }
}
