#include "base/cmd.h"
#include "bin/verbs.h"

#include <stdio.h>
#include <string.h>

static const struct cmd_verb verbs[] = {
    { "serve", "run the router", verb_serve },
    { "demo", "start shards and a router on this machine, with a sample to try", verb_demo },
    { "shard", "add and list shards", verb_shard },
    { "table", "shard, replicate and list tables", verb_table },
    { "transaction", "list and resolve transactions over several shards", verb_transaction },
    { "config", "print, check and explain the configuration", verb_config },
};

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        puts("pgbraid " PGBRAID_VERSION);
        return CMD_EXIT_OK;
    }
    return cmd_dispatch("pgbraid",
                        "One PostgreSQL database, braided from many PostgreSQL servers.\n"
                        "\"pgbraid --version\" prints the version.",
                        verbs, ARRAY_LEN(verbs), argc - 1, argv + 1);
}
