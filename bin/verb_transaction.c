#include "bin/verbs.h"

#include "base/cmd.h"
#include "bin/client.h"

#include <strings.h>

struct transaction_args {
    struct cmd_args args; /* first */
    struct client_args client;
};

static const struct cmd_option options[] = { CLIENT_OPTIONS(struct transaction_args, client) };

static const struct cmd list_cmd = {
    .name = "pgbraid transaction list",
    .synopsis = "",
    .about = "List the transactions over several shards that run through the router now.",
    .options = options,
    .noption = ARRAY_LEN(options),
};

static const struct cmd prepared_cmd = {
    .name = "pgbraid transaction prepared",
    .synopsis = "",
    .about =
        "List the prepared transactions on all shards, and how each is decided: committed, aborted, in progress,\n"
        "undecided (recovery finishes these), unreachable, lost (an operator has to say), foreign (not pgbraid's).",
    .options = options,
    .noption = ARRAY_LEN(options),
};

static const struct cmd recovery_cmd = {
    .name = "pgbraid transaction recovery",
    .synopsis = "",
    .about = "Show what the router has finished for others, and what is left.",
    .options = options,
    .noption = ARRAY_LEN(options),
};

static const struct cmd resolve_cmd = {
    .name = "pgbraid transaction resolve",
    .synopsis = "GTID commit|abort",
    .about = "Decide about a transaction whose decision is lost (\"pgbraid transaction prepared\"). A decision that\n"
             "exists, or that recovery can find out, is not contradicted. The router logs who said so.",
    .options = options,
    .noption = ARRAY_LEN(options),
    .min_args = 2,
    .max_args = 2,
};

static int show(const struct cmd *cmd, const char *command, int argc, char **argv)
{
    struct transaction_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(cmd, argc, argv, &a.args, &e);

    if (result != CMD_RUN)
        return cmd_usage(cmd, result, &e);
    return client_command(command, &a.client, &e) ? CMD_EXIT_OK : cmd_fail(&e);
}

static int transaction_list(int argc, char **argv)
{
    return show(&list_cmd, "SHOW TRANSACTIONS", argc, argv);
}

static int transaction_prepared(int argc, char **argv)
{
    return show(&prepared_cmd, "SHOW PREPARED", argc, argv);
}

static int transaction_recovery(int argc, char **argv)
{
    return show(&recovery_cmd, "SHOW RECOVERY", argc, argv);
}

static int transaction_resolve(int argc, char **argv)
{
    struct transaction_args a = { 0 };
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&resolve_cmd, argc, argv, &a.args, &e);
    struct strbuf command = STRBUF_INIT;
    bool commit, ok;

    if (result != CMD_RUN)
        return cmd_usage(&resolve_cmd, result, &e);
    commit = strcasecmp(a.args.args[1], "commit") == 0;
    if (!commit && strcasecmp(a.args.args[1], "abort") != 0) {
        err_set(&e, PB0502, "\"%s\" is neither commit nor abort", a.args.args[1]);
        return cmd_usage(&resolve_cmd, CMD_BAD, &e);
    }
    strbuf_puts(&command, "RESOLVE TRANSACTION ");
    client_put_argument(&command, span_str(a.args.args[0]));
    strbuf_puts(&command, commit ? " COMMIT" : " ABORT");
    ok = client_command(command.ptr, &a.client, &e);
    strbuf_fini(&command);
    return ok ? CMD_EXIT_OK : cmd_fail(&e);
}

int verb_transaction(int argc, char **argv)
{
    static const struct cmd_verb verbs[] = {
        { "list", "transactions over several shards that run now", transaction_list },
        { "prepared", "prepared transactions, and how they are decided", transaction_prepared },
        { "recovery", "what was finished for others, and what is left", transaction_recovery },
        { "resolve", "decide about one whose decision is lost", transaction_resolve },
    };

    return cmd_dispatch("pgbraid transaction", "Transactions over several shards.", verbs, ARRAY_LEN(verbs), argc,
                        argv);
}
