/*
 * pgbraid.conf as an immutable, reference-counted struct. One const table (config_table.c) holds each setting's name,
 * type, default, limits and documentation; it parses the file, prints the documentation and makes the rows of SHOW
 * CONFIG. A reload reads the file into a new struct and swaps; whoever holds the old one keeps it. Any thread.
 *
 * Every problem of a file is reported, as "file:line: message", with a hint; a file with a problem is not used at all.
 */
#ifndef ROUTER_CONFIG_CONFIG_H
#define ROUTER_CONFIG_CONFIG_H

#include "base/err.h"
#include "base/log.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* PgBouncer's words: allow and prefer, and verify-ca and verify-full, are the same on a server's side. */
enum client_tls {
    TLS_MODE_DISABLE,
    TLS_MODE_ALLOW,
    TLS_MODE_PREFER,
    TLS_MODE_REQUIRE,
    TLS_MODE_VERIFY_CA,
    TLS_MODE_VERIFY_FULL
};
enum tls_minimum { TLS_MINIMUM_1_2, TLS_MINIMUM_1_3 };
/* How a transaction commits that wrote on several shards. */
enum commit_mode { COMMIT_ATOMIC, COMMIT_BEST_EFFORT, COMMIT_SINGLE_SHARD };

enum on_off { SETTING_OFF, SETTING_ON };

/* Which transactions take the snapshots of all shards together, at their first statement (router/txn/isolation.h). */
enum snapshot_shards {
    SNAPSHOT_ONE,             /* none: they stay on the shard of their first statement */
    SNAPSHOT_ALL,             /* REPEATABLE READ */
    SNAPSHOT_ALL_SERIALIZABLE /* SERIALIZABLE, too, which each shard is then by itself */
};

/* What holds for one user: its section [user NAME], filled up with what [pgbraid] says. */
struct config_user {
    const char *name;         /* NULL: everybody without a section */
    uint32_t max_client_conn; /* 0: only everybody's together are limited */
    uint32_t pool_size;
    const char *server_user; /* role to log in as on the shards; empty: the user's own */
    const char *options;     /* settings, as startup_put_options reads them */
    uint64_t query_timeout_ms;
    uint64_t query_wait_timeout_ms;
    uint64_t client_idle_timeout_ms;
    uint64_t idle_transaction_timeout_ms;
    enum on_off admin, stats;
};

struct config {
    /* Where to listen. */
    const char *listen_addr;
    uint32_t port;               /* 0: a free one */
    const char *unix_socket_dir; /* empty: none */
    uint32_t workers;            /* 0: config_worker_count decides */

    /* Files; relative ones have been resolved against the folder of the configuration file. */
    const char *directory;
    enum on_off directory_shared;
    const char *pidfile;  /* empty: none */
    const char *passfile; /* libpq password file for logins on shards; empty: libpq's default */
    enum log_level log_level;

    /* Pools. */
    uint32_t pool_size; /* server connections per shard, user and database */
    uint32_t reserve_pool_size;
    uint32_t connect_threads;
    const char *server_check_query;     /* empty: none */
    uint64_t server_check_delay_ms;     /* 0: check always */
    uint64_t query_wait_timeout_ms;     /* 0: no limit, as for all timeouts below */
    uint64_t server_connect_timeout_ms; /* never 0 */
    uint64_t server_lifetime_ms;        /* 0: used once */
    uint64_t server_idle_timeout_ms;
    uint32_t max_prepared_statements;  /* per server connection */
    uint32_t max_pinned_connections;   /* per shard, user and database: kept by sessions */
    uint32_t gather_array_rows;        /* 0: always temporary tables */
    uint64_t schema_check_interval_ms; /* 0: never by itself */

    /* Clients. */
    uint32_t max_client_conn;
    const char *const *admin_users; /* NULL-terminated, as all lists */
    const char *const *stats_users;
    uint64_t client_login_timeout_ms;
    uint64_t client_idle_timeout_ms;
    uint64_t idle_transaction_timeout_ms;
    uint64_t query_timeout_ms;
    uint64_t deadlock_timeout_ms; /* never 0 */
    uint64_t shutdown_timeout_ms;
    enum commit_mode commit;
    uint64_t commit_timeout_ms;
    uint64_t decision_retention_ms;
    uint64_t idempotency_retention_ms;
    uint64_t prepared_transaction_warning_ms; /* 0: none */
    enum on_off consistent_reads;
    uint64_t consistent_reads_timeout_ms; /* never 0 */
    enum snapshot_shards snapshot_shards;
    uint64_t max_message_size; /* bytes */

    /* Logins. Empty file names: none. */
    const char *auth_hba_file;
    const char *auth_ident_file;
    const char *auth_file;
    const char *auth_user; /* empty: no auth_query */
    const char *auth_query;
    uint64_t auth_cache_time_ms;
    enum on_off auth_clear_text;
    uint32_t auth_failures_max; /* 0: no limit */
    uint32_t login_threads;
    enum on_off core_dumps;

    /* TLS with clients. */
    enum client_tls client_tls_sslmode;
    const char *client_tls_cert_file; /* empty: no TLS */
    const char *client_tls_key_file;
    const char *client_tls_ca_file;
    const char *client_tls_crl_file;
    const char *client_tls_ciphers;
    enum tls_minimum client_tls_min_version;

    /* The network of clients. */
    const char *const *proxy_protocol_from; /* networks; none: the header is not understood */
    uint64_t tcp_keepidle_ms;               /* 0: the system's, as for the next three */
    uint64_t tcp_keepintvl_ms;
    uint32_t tcp_keepcnt;
    uint64_t tcp_user_timeout_ms;

    /* Planner. */
    const char *const *sharding_key;   /* column names, in order of preference */
    const char *const *safe_functions; /* "schema.name" */
    uint32_t plan_cache_entries;
    uint64_t plan_cache_size; /* bytes */

    /* Users. */
    const struct config_user *users; /* sections, by name */
    size_t nuser;
    struct config_user everybody; /* those without a section */
};

/*
 * Read and check a file. NULL on failure: *e is PB0501 with the first problem, and `report` (may be NULL) has all of
 * them, one a line. Blocks.
 */
MUSTCHECK struct config *config_load(const char *path, struct strbuf *report, struct err *e);
/* The same from text; `path` is the name in messages and what relative files are resolved against. */
MUSTCHECK struct config *config_parse(struct span text, const char *path, struct strbuf *report, struct err *e);
/* All defaults, relative files left as they are. */
struct config *config_new_default(void);
struct config *config_ref(const struct config *c);
void config_unref(const struct config *c); /* NULL is fine */

/* The `workers` setting, 0 replaced by one per two cores, at least 1. */
uint32_t config_worker_count(const struct config *c);
/* What holds for this user; never NULL, lives as long as c. */
const struct config_user *config_user(const struct config *c, const char *name);
/* The role that the user's sessions log in as on the shards. */
const char *config_server_user(const struct config *c, const char *name);
/* May the user give commands on the console, or at least look? */
bool config_may_command(const struct config *c, const char *user);
bool config_may_look(const struct config *c, const char *user);
/* Name of the first setting that differs and cannot change without a restart, or NULL: what RELOAD refuses or warns of.
 */
const char *config_restart_needed(const struct config *from, const struct config *to);

/* One line of SHOW CONFIG; of users what their sections say, as "[user NAME] setting". Strings are valid during the
 * call. */
struct config_row {
    const char *name;
    const char *value;
    const char *def;
    const char *type; /* "integer", "duration", ... */
    bool reloadable;
    const char *doc;
};
void config_each(const struct config *c, void (*fn)(const struct config_row *row, void *arg), void *arg);

/* A configuration file with every setting at its default, commented out and explained. */
void config_print_defaults(struct strbuf *out);
/* The same as a Markdown table, for docs/. */
void config_print_markdown(struct strbuf *out);

#endif
