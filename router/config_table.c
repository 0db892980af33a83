#include "router/config_int.h"

#include "router/config.h"

#define SECOND          UINT64_C(1000)
#define MINUTE          (60 * SECOND)
#define HOUR            (60 * MINUTE)
#define KB              UINT64_C(1024)
#define MB              (1024 * KB)
#define GB              (1024 * MB)
#define MAX_DURATION_MS ((uint64_t)INT32_MAX) /* 24 days, PostgreSQL's limit */

static const char *const auth_types[] = { [AUTH_TRUST] = "trust", NULL };
static const char *const commit_modes[] = {
    [COMMIT_ATOMIC] = "atomic", [COMMIT_BEST_EFFORT] = "best_effort", [COMMIT_SINGLE_SHARD] = "single_shard", NULL
};
static const char *const snapshot_shards[] = {
    [SNAPSHOT_ONE] = "one", [SNAPSHOT_ALL] = "all", [SNAPSHOT_ALL_SERIALIZABLE] = "all_serializable", NULL
};
static const char *const on_off[] = { [SETTING_OFF] = "off", [SETTING_ON] = "on", NULL };
static const char *const log_levels[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug", NULL
};

static bool check_qualified(const char *item, struct err *e)
{
    const char *dot = strchr(item, '.');

    if (dot && dot != item && dot[1] && !strchr(dot + 1, '.'))
        return true;
    err_set(e, PB0501, "\"%s\" is not a qualified function name", item);
    return err_hint(e, "Write schema.name, for example public.f.");
}

#define FIELD(member) .offset = offsetof(struct config, member)
#define INTEGER(nm, member, d, lo, hi)                                                                                 \
    .name = nm, .type = SETTING_INTEGER, FIELD(member), .def = d, .min = lo, .max = hi
#define DURATION(nm, member, d, lo, hi)                                                                                \
    .name = nm, .type = SETTING_DURATION, FIELD(member), .def = d, .min = lo, .max = hi
#define SIZE(nm, member, d, lo, hi)  .name = nm, .type = SETTING_SIZE, FIELD(member), .def = d, .min = lo, .max = hi
#define STRING(nm, member, d)        .name = nm, .type = SETTING_STRING, FIELD(member), .def = d
#define PATH(nm, member, d)          .name = nm, .type = SETTING_FILE, FIELD(member), .def = d
#define LIST(nm, member, d)          .name = nm, .type = SETTING_LIST, FIELD(member), .def = d
#define CHOICE(nm, member, d, names) .name = nm, .type = SETTING_CHOICE, FIELD(member), .def = d, .choices = names

const struct setting config_settings[] = {
    { STRING("listen_addr", listen_addr, "127.0.0.1"), .restart = true,
      .doc = "Address to listen on for clients; * is every address." },
    { INTEGER("port", port, "6432", 0, 65535), .restart = true, .pgbouncer = "listen_port",
      .doc = "Port to listen on, also in the name of the Unix socket; 0 takes a free one." },
    { PATH("unix_socket_dir", unix_socket_dir, ""), .restart = true,
      .doc = "Folder of a Unix socket to listen on as well; empty is none." },
    { INTEGER("workers", workers, "0", 0, 256), .restart = true,
      .doc = "Worker threads, each with its own event loop; 0 is one per two cores." },
    { PATH("directory", directory, "directory.db"), .restart = true,
      .doc = "File with databases, shards and key ranges. Relative to this configuration file, as all files here." },
    { CHOICE("directory_shared", directory_shared, "off", on_off), .restart = true,
      .doc = "Several routers of this machine may serve the same directory file, if all have this on. While more than "
             "one runs, schemas and the distribution of tables cannot be changed." },
    { PATH("pidfile", pidfile, ""), .restart = true, .doc = "File to write the process id to; empty is none." },
    { PATH("passfile", passfile, ""), .restart = true,
      .doc = "Password file (libpq's .pgpass format) for logins on the shards; empty is libpq's default." },
    { CHOICE("log_level", log_level, "info", log_levels), .doc = "Least severe kind of line to log." },

    { INTEGER("pool_size", pool_size, "20", 1, 100000), .pgbouncer = "default_pool_size",
      .doc = "Server connections per shard, user and database." },
    { INTEGER("reserve_pool_size", reserve_pool_size, "5", 0, 100000),
      .doc = "Server connections on top of pool_size for transactions that hold connections to other shards already." },
    { INTEGER("max_pinned_connections", max_pinned_connections, "10", 0, 100000),
      .doc = "Of pool_size: connections that sessions may keep after a transaction, for advisory locks, LISTEN or "
             "cursors WITH HOLD." },
    { INTEGER("connect_threads", connect_threads, "2", 1, 64), .restart = true,
      .doc = "Threads that log in on servers; a SCRAM login costs 3 ms of CPU." },
    { STRING("server_check_query", server_check_query, "select 1"),
      .doc = "Run on a server connection that was idle for server_check_delay before it is used; empty is no check." },
    { DURATION("server_check_delay", server_check_delay_ms, "30s", 0, MAX_DURATION_MS),
      .doc = "Idle time after which server_check_query is run; 0 is always." },
    { DURATION("query_wait_timeout", query_wait_timeout_ms, "2min", 0, MAX_DURATION_MS),
      .doc = "Longest wait of a statement for a server connection; 0 is no limit." },
    { DURATION("server_connect_timeout", server_connect_timeout_ms, "15s", 1, MAX_DURATION_MS),
      .doc = "Longest time a connection to a server may take, login included." },
    { DURATION("server_lifetime", server_lifetime_ms, "1h", 0, MAX_DURATION_MS),
      .doc = "Age after which a server connection is closed when it is next free; 0 is after one use." },
    { DURATION("server_idle_timeout", server_idle_timeout_ms, "10min", 0, MAX_DURATION_MS),
      .doc = "Idle time after which a server connection is closed; 0 is never." },
    { INTEGER("max_prepared_statements", max_prepared_statements, "200", 1, 100000),
      .doc = "Prepared statements kept on one server connection; the least recently used goes first." },

    { INTEGER("max_client_conn", max_client_conn, "10000", 1, 1000000),
      .doc = "Client connections accepted at a time; the next one gets an error." },
    { CHOICE("auth_type", auth_type, "trust", auth_types),
      .doc = "How clients prove who they are. trust: not at all." },
    { LIST("admin_users", admin_users, "postgres"), .doc = "Users who may give commands on the console." },
    { DURATION("client_login_timeout", client_login_timeout_ms, "60s", 0, MAX_DURATION_MS),
      .doc = "Longest time a client may take to log in; 0 is no limit." },
    { DURATION("client_idle_timeout", client_idle_timeout_ms, "0", 0, MAX_DURATION_MS),
      .doc = "Time without a statement after which a client is disconnected; 0 is never." },
    { DURATION("idle_transaction_timeout", idle_transaction_timeout_ms, "0", 0, MAX_DURATION_MS),
      .doc = "Time without a statement inside a transaction after which a client is disconnected; 0 is never." },
    { DURATION("query_timeout", query_timeout_ms, "0", 0, MAX_DURATION_MS),
      .doc = "Longest run of a statement; it is canceled then; 0 is no limit." },
    { DURATION("deadlock_timeout", deadlock_timeout_ms, "1s", 10, MAX_DURATION_MS),
      .doc = "How long a transaction that is on several shards waits before deadlocks over shards are looked for." },
    { DURATION("shutdown_timeout", shutdown_timeout_ms, "30s", 0, MAX_DURATION_MS),
      .doc = "How long a shutdown waits for transactions to end before it disconnects clients; 0 is no limit." },
    { CHOICE("commit", commit, "atomic", commit_modes),
      .doc =
          "Transactions that wrote on several shards: atomic (two-phase commit; needs max_prepared_transactions on "
          "the shards), "
          "best_effort (one after the other, with a warning), single_shard (refused). Of a role, database or session: "
          "pgbraid.commit." },
    { DURATION("commit_timeout", commit_timeout_ms, "30s", SECOND, MAX_DURATION_MS),
      .doc = "How long a shard may take to answer in one step of a two-phase commit; after that it counts as lost." },
    { DURATION("decision_retention", decision_retention_ms, "7d", SECOND, MAX_DURATION_MS),
      .doc = "How long the outcome of a distributed transaction is kept, at least. What is still prepared when it is "
             "over is not presumed aborted: an operator has to look." },
    { DURATION("idempotency_retention", idempotency_retention_ms, "7d", SECOND, MAX_DURATION_MS),
      .doc =
          "How long an idempotency key is remembered (pgbraid.idempotency_key); a repeat after that is carried out." },
    { DURATION("prepared_transaction_warning", prepared_transaction_warning_ms, "10min", 0, MAX_DURATION_MS),
      .doc = "Age from which somebody else's prepared transaction on a shard, which holds back vacuum, is warned of; 0 "
             "is never." },
    { CHOICE("consistent_reads", consistent_reads, "on", on_off),
      .doc = "Statements that read several shards see a transaction over several shards on all of them or on none, for "
             "one more round trip. Of a role, database or session: pgbraid.consistent_reads." },
    { DURATION("consistent_reads_timeout", consistent_reads_timeout_ms, "10s", 1, MAX_DURATION_MS),
      .doc =
          "Longest wait of such a statement for transactions that are committed on some of its shards and not yet on "
          "others; after that it fails with 40001." },
    { CHOICE("snapshot_shards", snapshot_shards, "all", snapshot_shards),
      .doc =
          "Whose snapshots a transaction takes at its first statement: all (REPEATABLE READ of every shard, together; "
          "SERIALIZABLE stays on one), all_serializable (SERIALIZABLE too: each shard is serializable by itself, the "
          "database is not), one (both stay on one shard, and no other hears of them). Of a role, database or "
          "session: pgbraid.snapshot_shards." },
    { SIZE("max_message_size", max_message_size, "256MB", 64 * KB, GB), .pgbouncer = "max_packet_size",
      .doc = "Largest message taken from a client." },

    { LIST("sharding_key", sharding_key, ""),
      .doc = "Columns, in order of preference: a new table that has one is sharded by it." },
    { LIST("safe_functions", safe_functions, ""), .check = check_qualified,
      .doc = "Functions, as schema.name, declared not to read or write tables of other shards." },
    { INTEGER("plan_cache_entries", plan_cache_entries, "4096", 16, 10000000), .restart = true,
      .doc = "Plans kept by each worker; the least recently used goes first." },
    { SIZE("plan_cache_size", plan_cache_size, "64MB", MB, 64 * GB), .restart = true,
      .doc = "Memory for plans in each worker." },
};

const size_t config_nsetting = ARRAY_LEN(config_settings);
