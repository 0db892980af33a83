/*
 * The console's commands that change something.
 */
#include "base/mem.h"
#include "router/config/config.h"
#include "router/config/reload.h"
#include "router/console/console_int.h"
#include "router/placement.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/place.h"
#include "router/worker.h"
#include "shardmap/directory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

bool console_add_shard(struct console *c, struct err *e)
{
    struct directory_shard_def def = {
        .name = c->args[0], .database = c->args[1], .range = c->args[2], .conninfo = c->args[3], .create_database = true
    };

    if (!directory_add_shard(c->router->directory, &def, e))
        return false;
    strbuf_puts(&c->tag, "ADD SHARD");
    return true;
}

/* The database of a command that names none: the only one there is. */
static const char *default_database(struct console *c, struct err *e)
{
    struct directory_database *dbs;
    size_t n;

    if (!directory_list(c->router->directory, &c->arena, &dbs, &n, e))
        return NULL;
    if (n == 1)
        return dbs[0].name;
    err_set(e, PB0503, n ? "say which database is meant" : "there is no database");
    return NULL;
}

/* "table [BY column, ...] [IN DATABASE name]" */
static bool console_place(struct console *c, enum control_verb verb, const char *tag, struct err *e)
{
    struct placement_request r = { .verb = verb, .user = c->user, .search_path = "\"$user\", public" };
    const char *p = c->rest;
    char *word;

    r.table = console_word(c, &p);
    word = console_word(c, &p);
    if (word && strcasecmp(word, "BY") == 0 && verb == CONTROL_SHARD_TABLE) {
        while ((word = console_word(c, &p)) && strcasecmp(word, "IN") != 0 && r.ncolumn < ARRAY_LEN(r.columns)) {
            r.columns[r.ncolumn++] = word;
            if (*p == ',')
                p++;
        }
    }
    if (word && strcasecmp(word, "IN") == 0) {
        word = console_word(c, &p);
        if (!word || strcasecmp(word, "DATABASE") != 0)
            return err_set(e, PB0503, "expected IN DATABASE name");
        r.database = console_word(c, &p);
    } else if (word) {
        return err_set(e, PB0503, "unexpected \"%s\"", word);
    }
    if (!r.table || (verb == CONTROL_SHARD_TABLE && r.ncolumn == 0))
        return err_set(e, PB0503, "a table%s must be named", verb == CONTROL_SHARD_TABLE ? " and its key" : "");
    if (!r.database && !(r.database = default_database(c, e)))
        return false;
    if (!place_blocking(c->router, &r, e))
        return false;
    strbuf_puts(&c->tag, tag);
    return true;
}

bool console_shard_table(struct console *c, struct err *e)
{
    return console_place(c, CONTROL_SHARD_TABLE, "SHARD TABLE", e);
}

bool console_reference_table(struct console *c, struct err *e)
{
    return console_place(c, CONTROL_REFERENCE_TABLE, "REFERENCE TABLE", e);
}

bool console_unshard_table(struct console *c, struct err *e)
{
    return console_place(c, CONTROL_UNSHARD_TABLE, "UNSHARD TABLE", e);
}

bool console_reload(struct console *c, struct err *e)
{
    if (!router_reload(c->router, e))
        return false;
    strbuf_puts(&c->tag, "RELOAD");
    return true;
}

static const char *named_database(struct console *c, struct err *e)
{
    const char *p = c->rest;
    const char *name = console_word(c, &p);
    struct map *m;
    bool known;

    if (!name)
        return default_database(c, e);
    if (console_word(c, &p)) {
        err_set(e, PB0503, "one database may be named");
        err_hint(e, "SHOW HELP lists the commands.");
        return NULL;
    }
    m = directory_snapshot(c->router->directory);
    known = map_find_db(m, span_str(name)) != NULL;
    map_unref(m);
    if (!known)
        err_set(e, PB0306, "database \"%s\" does not exist or is not served", name);
    return known ? name : NULL;
}

bool console_pause(struct console *c, struct err *e)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    const char *name = named_database(c, e);
    uint64_t limit_ms = c->router->config->query_wait_timeout_ms, waited_ms = 0;

    if (!name)
        return false;
    schema_hold_blocking(c->router, name, HOLD_NEW);
    while (schema_busy_blocking(c->router, name, true) > 0) {
        if (limit_ms && waited_ms > limit_ms) {
            schema_hold_blocking(c->router, name, HOLD_NONE);
            err_set(e, PB0601, "statements or transactions were still running after %llu ms",
                    (unsigned long long)limit_ms);
            return err_hint(e, "The database goes on. SHOW CLIENTS tells who runs what.");
        }
        nanosleep(&pause, NULL);
        waited_ms += 5;
    }
    strbuf_puts(&c->tag, "PAUSE");
    return true;
}

bool console_resume(struct console *c, struct err *e)
{
    const char *name = named_database(c, e);

    if (!name)
        return false;
    schema_hold_blocking(c->router, name, HOLD_NONE);
    strbuf_puts(&c->tag, "RESUME");
    return true;
}

bool console_shutdown(struct console *c, struct err *e)
{
    (void)e;
    atomic_store(&c->router->stop, 1);
    strbuf_puts(&c->tag, "SHUTDOWN");
    return true;
}
