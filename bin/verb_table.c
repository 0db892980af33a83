#include "bin/verbs.h"

#include "base/cmd.h"
#include "bin/client.h"

#include <stdio.h>
#include <string.h>

struct table_args {
    struct cmd_args args; /* first; the table */
    struct client_args client;
    const char *database, *by;
};

/* clang-format off */
#define DATABASE_OPTION \
    { .name = "database", .letter = 'd', .value = "NAME", .offset = offsetof(struct table_args, database), \
      .help = "database of the table [the only one]" }
/* clang-format on */

static const struct cmd_option shard_options[] = {
    { .name = "by",
      .letter = 'k',
      .value = "COLUMN[,COLUMN]",
      .offset = offsetof(struct table_args, by),
      .required = true,
      .help = "sharding key" },
    DATABASE_OPTION,
    CLIENT_OPTIONS(struct table_args, client),
};

static const struct cmd_option table_options[] = {
    DATABASE_OPTION,
    CLIENT_OPTIONS(struct table_args, client),
};

static const struct cmd_option list_options[] = {
    { .name = "database",
      .letter = 'd',
      .value = "NAME",
      .offset = offsetof(struct table_args, database),
      .help = "only the tables of this database" },
    CLIENT_OPTIONS(struct table_args, client),
};

static const struct cmd shard_cmd = {
    .name = "pgbraid table shard",
    .synopsis = "TABLE --by COLUMN[,COLUMN]",
    .about = "Spread the rows of a table over the shards by the hash of its sharding key; rows that are there move.\n"
             "Tables sharded by equal keys lie together: join them on the key and each shard joins its own part.\n\n"
             "  pgbraid table shard orders --by customer_id\n"
             "  pgbraid table shard app.events --by tenant_id,device_id --database shop\n\n"
             "TABLE is a name as in SQL, with its schema if it is not on the search path.\n"
             "The same from SQL: SELECT pgbraid.shard_table('orders', 'customer_id').",
    .options = shard_options,
    .noption = ARRAY_LEN(shard_options),
    .min_args = 1,
    .max_args = 1,
};

static const struct cmd reference_cmd = {
    .name = "pgbraid table reference",
    .synopsis = "TABLE",
    .about =
        "Keep the same rows of a table on every shard, so that each shard can join with it. For small tables that\n"
        "change rarely: countries, products.\n\n"
        "The same from SQL: SELECT pgbraid.reference_table('countries').",
    .options = table_options,
    .noption = ARRAY_LEN(table_options),
    .min_args = 1,
    .max_args = 1,
};

static const struct cmd unshard_cmd = {
    .name = "pgbraid table unshard",
    .synopsis = "TABLE",
    .about = "Bring all rows of a table to the home shard of its database.\n\n"
             "The same from SQL: SELECT pgbraid.unshard_table('orders').",
    .options = table_options,
    .noption = ARRAY_LEN(table_options),
    .min_args = 1,
    .max_args = 1,
};

static const struct cmd list_cmd = {
    .name = "pgbraid table list",
    .synopsis = "",
    .about = "List tables and how they are spread. Asks the running router, or reads its directory file, as of the\n"
             "router's last run, when it does not run.",
    .options = list_options,
    .noption = ARRAY_LEN(list_options),
};

/* ---- commands for the console ---- */

/* " BY a, b" */
static bool put_columns(struct strbuf *out, const char *columns, struct err *e)
{
    const char *before = " BY ";

    for (const char *p = columns; p; before = ", ") {
        size_t len = strcspn(p, ",");

        if (len == 0) {
            err_set(e, PB0502, "\"%s\" is not a list of columns", columns);
            return err_hint(e, "Write COLUMN or COLUMN,COLUMN without blanks.");
        }
        strbuf_puts(out, before);
        client_put_argument(out, span_make(p, len));
        p = p[len] ? p + len + 1 : NULL;
    }
    return true;
}

static bool put_command(struct strbuf *out, const char *verb, const struct table_args *a, struct err *e)
{
    strbuf_printf(out, "%s TABLE ", verb);
    client_put_argument(out, span_str(a->args.args[0]));
    if (!put_columns(out, a->by, e))
        return false;
    if (a->database) {
        strbuf_puts(out, " IN DATABASE ");
        client_put_argument(out, span_str(a->database));
    }
    return true;
}

static int run_verb(const struct cmd *cmd, const char *verb, int argc, char **argv)
{
    struct strbuf command = STRBUF_INIT;
    struct table_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(cmd, argc, argv, &a.args, &e);
    int status = CMD_EXIT_OK;

    if (result == CMD_RUN && !put_command(&command, verb, &a, &e))
        result = CMD_BAD;
    if (result != CMD_RUN)
        status = cmd_usage(cmd, result, &e);
    else if (!client_command(strbuf_str(&command), &a.client, &e))
        status = cmd_fail(&e);
    strbuf_fini(&command);
    return status;
}

static int table_shard(int argc, char **argv)
{
    return run_verb(&shard_cmd, "SHARD", argc, argv);
}

static int table_reference(int argc, char **argv)
{
    return run_verb(&reference_cmd, "REFERENCE", argc, argv);
}

static int table_unshard(int argc, char **argv)
{
    return run_verb(&unshard_cmd, "UNSHARD", argc, argv);
}

/* ---- table list ---- */

static void list_table(struct table_print *out, const char *database, const struct directory_table *t)
{
    struct strbuf key = STRBUF_INIT;

    for (uint32_t i = 0; i < t->nkey; i++)
        strbuf_printf(&key, "%s%s", i ? ", " : "", t->key_columns[i]);
    table_print_row(out, (const char *[]){ database, t->schema, t->name, distribution_name(t->dist), strbuf_str(&key),
                                           t->nkey ? vindex_type_name(t->vindex) : "" });
    strbuf_fini(&key);
}

static bool list_databases(struct directory *d, const char *only, struct arena *a, struct err *e)
{
    static const char *const titles[] = { "database", "schema", "table", "distribution", "key", "vindex" };
    struct directory_database *all;
    struct directory_table *tables;
    struct table_print *out;
    bool ok = true;
    size_t n, ntable;

    if (!directory_list(d, a, &all, &n, e) || (only && !directory_list_tables(d, only, a, &tables, &ntable, e)))
        return false;
    out = table_print_new(ARRAY_LEN(titles), titles);
    for (size_t i = 0; i < n && ok; i++) {
        if (only && strcmp(only, all[i].name) != 0)
            continue;
        ok = directory_list_tables(d, all[i].name, a, &tables, &ntable, e);
        for (size_t k = 0; k < ntable && ok; k++)
            list_table(out, all[i].name, &tables[k]);
    }
    table_print_end(out);
    return ok;
}

static bool list_by_file(struct client *c, const char *only, struct err *e)
{
    struct directory *d = client_directory(c, false, e);
    struct arena a;
    bool ok;

    if (!d)
        return false;
    arena_init(&a, 0);
    ok = list_databases(d, only, &a, e);
    arena_fini(&a);
    directory_close(d);
    return ok;
}

static int table_list(int argc, char **argv)
{
    struct table_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&list_cmd, argc, argv, &a.args, &e);
    struct client c;
    bool ok;

    if (result != CMD_RUN)
        return cmd_usage(&list_cmd, result, &e);
    if (!client_open(&c, &a.client, &e))
        return cmd_fail(&e);
    ok = c.console ? client_run(&c, "SHOW TABLES", a.database, &e) : list_by_file(&c, a.database, &e);
    client_close(&c);
    return ok ? CMD_EXIT_OK : cmd_fail(&e);
}

int verb_table(int argc, char **argv)
{
    static const struct cmd_verb verbs[] = {
        { "shard", "spread a table's rows by its sharding key", table_shard },
        { "reference", "keep a table's rows on every shard", table_reference },
        { "unshard", "keep a table's rows on the home shard", table_unshard },
        { "list", "list tables and how they are spread", table_list },
    };

    return cmd_dispatch("pgbraid table", "Tables: how their rows are spread over the shards.", verbs, ARRAY_LEN(verbs),
                        argc, argv);
}
