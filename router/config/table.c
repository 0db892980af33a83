#include "router/config/config_int.h"

#include "base/address.h"
#include "router/config/config.h"

#define SECOND          UINT64_C(1000)
#define MINUTE          (60 * SECOND)
#define HOUR            (60 * MINUTE)
#define KB              UINT64_C(1024)
#define MB              (1024 * KB)
#define GB              (1024 * MB)
#define MAX_DURATION_MS ((uint64_t)INT32_MAX) /* 24 days, PostgreSQL's limit */

static const char *const tls_modes[] = { [TLS_MODE_DISABLE] = "disable",
                                         [TLS_MODE_ALLOW] = "allow",
                                         [TLS_MODE_PREFER] = "prefer",
                                         [TLS_MODE_REQUIRE] = "require",
                                         [TLS_MODE_VERIFY_CA] = "verify-ca",
                                         [TLS_MODE_VERIFY_FULL] = "verify-full",
                                         NULL };
static const char *const tls_minima[] = { [TLS_MINIMUM_1_2] = "TLSv1.2", [TLS_MINIMUM_1_3] = "TLSv1.3", NULL };
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

static bool check_network(const char *item, struct err *e)
{
    struct network n;

    if (network_parse(item, &n))
        return true;
    err_set(e, PB0501, "\"%s\" is not a network", item);
    return err_hint(e, "Write an address or a network, for example 10.0.0.0/8.");
}

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
      .doc = "Of pool_size: connections that sessions may keep after a transaction, for advisory locks or "
             "cursors WITH HOLD." },
    { INTEGER("gather_array_rows", gather_array_rows, "200000", 0, 1000000),
      .doc = "Rows of a gathered statement, up to 4 MB, that go to the gathering server as array parameters; where "
             "there are more, and from 1000 rows on of more than two tables, temporary tables are filled. 0 is always "
             "temporary tables." },
    { DURATION("schema_check_interval", schema_check_interval_ms, "30s", 0, MAX_DURATION_MS),
      .doc = "How often shards are asked whether somebody has changed a distributed table on one of them directly; "
             "statements about such a table are refused until it is made equal again. 0 is only at the start, after a "
             "shard was away, and at RELOAD." },
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
    { LIST("admin_users", admin_users, "postgres"), .doc = "Users who may give commands on the console." },
    { LIST("stats_users", stats_users, ""), .doc = "Users who may look (SHOW) on the console." },
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

    { PATH("auth_hba_file", auth_hba_file, ""),
      .doc = "Who may log in from where and how, in pg_hba.conf's syntax; empty is trust on this machine (Unix socket, "
             "loopback) and nobody else." },
    { PATH("auth_ident_file", auth_ident_file, ""),
      .doc = "Maps for the methods cert and peer, in pg_ident.conf's syntax; empty is none." },
    { PATH("auth_file", auth_file, ""),
      .doc =
          "Users and their SCRAM verifiers, md5 hashes or passwords, in the syntax of PgBouncer's userlist.txt; empty "
          "is none." },
    { STRING("auth_user", auth_user, ""),
      .doc = "User who asks auth_query on the home shard about users that auth_file has not; empty is nobody." },
    { STRING("auth_query", auth_query,
             "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END FROM "
             "pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin"),
      .doc = "Statement that gives the name and the stored password of the user $1." },
    { DURATION("auth_cache_time", auth_cache_time_ms, "60s", 0, HOUR),
      .doc = "How long an answer of auth_query counts; a login that fails has it asked again sooner; 0 is never." },
    { CHOICE("auth_clear_text", auth_clear_text, "off", on_off),
      .doc = "Whether the method password, which sends it in the clear, is taken without TLS." },
    { INTEGER("auth_failures_max", auth_failures_max, "20", 0, 1000000),
      .doc = "Failed logins from one address in a minute; further ones are refused unasked until it is over; 0 is no "
             "limit." },
    { INTEGER("login_threads", login_threads, "2", 1, 16), .restart = true,
      .doc = "Threads that compute for logins: TLS handshakes and hashes of passwords." },
    { CHOICE("core_dumps", core_dumps, "off", on_off), .restart = true,
      .doc = "Whether the process may leave a core dump, which holds secrets, and be traced by its own user." },

    { CHOICE("client_tls_sslmode", client_tls_sslmode, "allow", tls_modes),
      .doc = "TLS with clients, once client_tls_cert_file is set: disable, allow (or prefer), require, verify-ca (or "
             "verify-full: a client must have a certificate of client_tls_ca_file)." },
    { PATH("client_tls_cert_file", client_tls_cert_file, ""),
      .doc = "Certificate for clients, with its chain (PEM); empty is no TLS." },
    { PATH("client_tls_key_file", client_tls_key_file, ""),
      .doc = "Its private key (PEM), which only the router's user may read." },
    { PATH("client_tls_ca_file", client_tls_ca_file, ""),
      .doc = "Authorities whose client certificates are accepted; empty: none are asked for." },
    { PATH("client_tls_crl_file", client_tls_crl_file, ""), .doc = "Revoked client certificates; empty is none." },
    { STRING("client_tls_ciphers", client_tls_ciphers, "HIGH:!aNULL"),
      .doc = "Ciphers of TLS 1.2, in OpenSSL's syntax." },
    { CHOICE("client_tls_min_version", client_tls_min_version, "TLSv1.2", tls_minima),
      .doc = "Oldest version of TLS taken from clients." },

    { LIST("proxy_protocol_from", proxy_protocol_from, ""), .check = check_network,
      .doc = "Networks of load balancers whose connections begin with a PROXY protocol header (version 1 or 2), which "
             "tells the client's address; from elsewhere none is understood." },
    { DURATION("tcp_keepidle", tcp_keepidle_ms, "0", 0, HOUR * 9), .restart = true,
      .doc = "Silence after which a client's connection is probed; 0 is the system's." },
    { DURATION("tcp_keepintvl", tcp_keepintvl_ms, "0", 0, HOUR * 9), .restart = true,
      .doc = "Time between probes; 0 is the system's." },
    { INTEGER("tcp_keepcnt", tcp_keepcnt, "0", 0, 127), .restart = true,
      .doc = "Unanswered probes until a client counts as gone; 0 is the system's." },
    { DURATION("tcp_user_timeout", tcp_user_timeout_ms, "0", 0, MAX_DURATION_MS), .restart = true,
      .doc = "How long bytes sent to a client may stay unacknowledged; 0 is the system's." },

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
