#include "bin/verbs.h"

#include "base/cmd.h"
#include "migrate/place.h"
#include "router/config/config.h"
#include "router/placement.h"
#include "router/serve.h"

#include <stdio.h>

struct serve_args {
    struct cmd_args args; /* first */
    const char *config;
};

static const struct cmd_option options[] = {
    { .name = "config",
      .letter = 'c',
      .value = "FILE",
      .offset = offsetof(struct serve_args, config),
      .help = "configuration file [pgbraid.conf]" },
};

static const struct cmd serve_cmd = {
    .name = "pgbraid serve",
    .synopsis = "[--config FILE]",
    .about =
        "Run the router in the foreground until it is told to stop.\n\n"
        "  pgbraid config --print-defaults > pgbraid.conf\n"
        "  pgbraid shard add west --database shop --range -80 --conninfo 'host=10.0.0.1 dbname=shop'\n"
        "  pgbraid shard add east --database shop --range 80- --conninfo 'host=10.0.0.2 dbname=shop'\n"
        "  pgbraid serve -c pgbraid.conf\n\n"
        "SIGTERM and SIGINT let transactions end first (shutdown_timeout), a second one or SIGQUIT stops at once;\n"
        "SIGHUP reads the configuration again. The log goes to standard error, one line an event.",
    .options = options,
    .noption = ARRAY_LEN(options),
};

/* --- what the router needs of migrate/, which it may not see --- */

static bool hold(void *arg, uint32_t wait_ms)
{
    struct placement_request *r = arg;

    return r->hold(r, wait_ms);
}

static void release(void *arg)
{
    struct placement_request *r = arg;

    r->release(r);
}

static bool publish(void *arg, struct err *e)
{
    struct placement_request *r = arg;

    return r->publish(r, e);
}

static bool stopping(void *arg)
{
    struct placement_request *r = arg;

    return r->stopping(r);
}

static bool place(struct placement_request *r, struct err *e)
{
    static const enum place_verb verbs[] = { [CONTROL_SHARD_TABLE] = PLACE_SHARD,
                                             [CONTROL_REFERENCE_TABLE] = PLACE_REFERENCE,
                                             [CONTROL_UNSHARD_TABLE] = PLACE_UNSHARD };
    struct place_request p = { .verb = verbs[r->verb],
                               .db = r->db,
                               .user = r->user,
                               .table = r->table,
                               .search_path = r->search_path,
                               .ncolumn = r->ncolumn,
                               .timeout_ms = r->timeout_ms,
                               .hold = hold,
                               .release = release,
                               .publish = publish,
                               .stopping = stopping,
                               .arg = r };
    bool ok;

    for (uint32_t i = 0; i < r->ncolumn && i < PLACE_MAX_COLUMNS; i++)
        p.columns[i] = r->columns[i];
    ok = place_table(&p, e);
    snprintf(r->message, sizeof(r->message), "%s", p.message);
    snprintf(r->notice, sizeof(r->notice), "%s", p.notice);
    return ok;
}

int verb_serve(int argc, char **argv)
{
    static const struct placement_hooks hooks = { .place = place };
    struct serve_args a = { .config = "pgbraid.conf" };
    struct strbuf report = STRBUF_INIT;
    struct err e = ERR_INIT;
    enum cmd_result result = cmd_parse(&serve_cmd, argc, argv, &a.args, &e);
    struct config *cfg;
    int status;

    if (result != CMD_RUN)
        return cmd_usage(&serve_cmd, result, &e);
    cfg = config_load(a.config, &report, &e);
    if (!cfg) {
        fputs(report.len ? strbuf_str(&report) : e.message, stderr);
        strbuf_fini(&report);
        return CMD_EXIT_FAILED;
    }
    strbuf_fini(&report);
    status = router_serve(cfg, a.config, &hooks);
    config_unref(cfg);
    return status;
}
