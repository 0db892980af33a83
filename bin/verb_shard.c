#include "bin/verbs.h"

#include "base/cmd.h"
#include "bin/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- shard add ---- */

struct add_args {
    struct cmd_args args; /* first; the name */
    struct client_args client;
    const char *database, *range, *conninfo;
};

static const struct cmd_option add_options[] = {
    { .name = "database",
      .letter = 'd',
      .value = "NAME",
      .offset = offsetof(struct add_args, database),
      .required = true,
      .help = "database that the shard belongs to; made when new" },
    { .name = "range",
      .letter = 'r',
      .value = "RANGE",
      .offset = offsetof(struct add_args, range),
      .required = true,
      .help = "key range that it owns" },
    { .name = "conninfo",
      .value = "CONNINFO",
      .offset = offsetof(struct add_args, conninfo),
      .required = true,
      .help = "how to reach its PostgreSQL database, without a password" },
    CLIENT_OPTIONS(struct add_args, client),
};

static const struct cmd add_cmd = {
    .name = "pgbraid shard add",
    .synopsis = "[NAME] --database NAME --range RANGE --conninfo CONNINFO",
    .about =
        "Add a shard: a PostgreSQL database that owns a key range. NAME defaults to the range.\n\n"
        "A key range is written with the hexadecimal prefixes of its bounds: \"-\" is everything, \"-80\" the lower\n"
        "half, \"80-\" the upper, \"40-80\" a quarter. The database is served as soon as the ranges of its shards "
        "cover\n"
        "everything. Two shards:\n\n"
        "  pgbraid shard add --database shop --range -80 --conninfo 'host=10.0.0.1 dbname=shop'\n"
        "  pgbraid shard add --database shop --range 80- --conninfo 'host=10.0.0.2 dbname=shop'\n\n"
        "Goes through the console of the running router, or to its directory file when it does not run.",
    .options = add_options,
    .noption = ARRAY_LEN(add_options),
    .max_args = 1,
};

static bool add_by_console(struct client *c, const struct add_args *a, const char *name, struct err *e)
{
    struct strbuf command = STRBUF_INIT;
    bool ok;

    strbuf_puts(&command, "ADD SHARD ");
    client_put_argument(&command, span_str(name));
    strbuf_puts(&command, " DATABASE ");
    client_put_argument(&command, span_str(a->database));
    strbuf_puts(&command, " RANGE ");
    client_put_argument(&command, span_str(a->range));
    strbuf_puts(&command, " CONNINFO ");
    client_put_argument(&command, span_str(a->conninfo));
    ok = client_run(c, strbuf_str(&command), NULL, e);
    strbuf_fini(&command);
    return ok;
}

static bool add_by_file(struct client *c, const struct add_args *a, const char *name, struct err *e)
{
    struct directory_shard_def def = {
        .database = a->database, .name = name, .range = a->range, .conninfo = a->conninfo, .create_database = true
    };
    struct directory *d = client_directory(c, true, e);
    const struct map_db *db;
    struct map *m;
    bool ok;

    if (!d)
        return false;
    ok = directory_add_shard(d, &def, e);
    if (ok) {
        m = directory_snapshot(d);
        db = map_find_db(m, span_str(a->database));
        if (db)
            printf("shard \"%s\" added: database \"%s\" is complete with %u shard%s\n", name, a->database, db->nshard,
                   db->nshard == 1 ? "" : "s");
        else
            printf("shard \"%s\" added: database \"%s\" is served once its ranges cover everything\n", name,
                   a->database);
        map_unref(m);
    }
    directory_close(d);
    return ok;
}

static int shard_add(int argc, char **argv)
{
    struct add_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&add_cmd, argc, argv, &a.args, &e);
    char printed[KEYRANGE_TEXT_MAX];
    struct keyrange range;
    struct client c;
    const char *name;
    bool ok;

    if (result != CMD_RUN)
        return cmd_usage(&add_cmd, result, &e);
    if (!keyrange_parse(&range, span_str(a.range), &e) || !pgconn_check_conninfo(a.conninfo, &e) ||
        !client_open(&c, &a.client, &e))
        return cmd_fail(&e);
    name = a.args.narg ? a.args.args[0] : keyrange_print(&range, printed);
    ok = c.console ? add_by_console(&c, &a, name, &e) : add_by_file(&c, &a, name, &e);
    client_close(&c);
    return ok ? CMD_EXIT_OK : cmd_fail(&e);
}

/* ---- shard list ---- */

struct list_args {
    struct cmd_args args; /* first */
    struct client_args client;
};

static const struct cmd_option list_options[] = { CLIENT_OPTIONS(struct list_args, client) };

static const struct cmd list_cmd = {
    .name = "pgbraid shard list",
    .synopsis = "",
    .about = "List databases and their shards. Asks the running router, or reads its directory file when it does not "
             "run.",
    .options = list_options,
    .noption = ARRAY_LEN(list_options),
};

static void list_database(struct table_print *t, const struct directory_database *db)
{
    for (size_t i = 0; i < db->nshard; i++) {
        const struct map_shard *s = &db->shards[i];
        char printed[KEYRANGE_TEXT_MAX];

        table_print_row(t, (const char *[]){ db->name, s->name, keyrange_print(&s->range, printed),
                                             db->home && strcmp(db->home, s->name) == 0 ? "yes" : "no", s->conninfo });
    }
}

static bool list_by_file(struct client *c, struct err *e)
{
    static const char *const titles[] = { "database", "shard", "key_range", "home", "conninfo" };
    struct directory *d = client_directory(c, false, e);
    struct directory_database *all;
    struct table_print *t;
    struct arena a;
    size_t n;
    bool ok;

    if (!d)
        return false;
    arena_init(&a, 0);
    ok = directory_list(d, &a, &all, &n, e);
    if (ok) {
        t = table_print_new(ARRAY_LEN(titles), titles);
        for (size_t i = 0; i < n; i++)
            list_database(t, &all[i]);
        table_print_end(t);
        for (size_t i = 0; i < n; i++) {
            if (!all[i].served)
                printf("Database \"%s\" is not served: %s.\n", all[i].name, all[i].why_not);
        }
    }
    arena_fini(&a);
    directory_close(d);
    return ok;
}

static int shard_list(int argc, char **argv)
{
    struct list_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&list_cmd, argc, argv, &a.args, &e);
    struct client c;
    bool ok;

    if (result != CMD_RUN)
        return cmd_usage(&list_cmd, result, &e);
    if (!client_open(&c, &a.client, &e))
        return cmd_fail(&e);
    ok = c.console ? client_run(&c, "SHOW SHARDS", NULL, &e) : list_by_file(&c, &e);
    client_close(&c);
    return ok ? CMD_EXIT_OK : cmd_fail(&e);
}

int verb_shard(int argc, char **argv)
{
    static const struct cmd_verb verbs[] = {
        { "add", "add a shard with its key range", shard_add },
        { "list", "list databases and shards", shard_list },
    };

    return cmd_dispatch("pgbraid shard", "Shards: PostgreSQL databases that own key ranges.", verbs, ARRAY_LEN(verbs),
                        argc, argv);
}
