/*
 * Settings of the router's own, named pgbraid.*: SET, SET LOCAL, RESET, SHOW and set_config() work as PostgreSQL's do,
 * with transactions and savepoints, but no server hears of them. Where a session says nothing, the home shard's
 * defaults for its role and database hold (ALTER ROLE ... SET, ALTER DATABASE ... SET), then the configuration file.
 */
#ifndef ROUTER_SESSION_SETTING_H
#define ROUTER_SESSION_SETTING_H

#include "base/bug.h"
#include "base/err.h"
#include "router/config/config.h"

#include <stdbool.h>

/* Those that a role or database may have a default for, on the home shard. */
enum own_setting { OWN_COMMIT, OWN_CONSISTENT_READS, OWN_SNAPSHOT_SHARDS, OWN_SETTINGS };
extern const char *const own_setting_names[OWN_SETTINGS];

struct exec;
struct plan;
struct session;

/* Is there such a setting, and may it have this value? Any thread. SQLSTATE 42704 or 22023. */
MUSTCHECK bool setting_check(const char *name, const char *value, struct err *e);

/* The same, of a client's start-up packet. */
MUSTCHECK bool setting_check_startup(const char *name, const char *value, struct err *e);

/* What holds for the session now. */
/* A timeout that the session has set, in ms; 0: none. */
uint64_t setting_timeout_ms(const struct session *s, const char *name);
/* May a statement go to several shards? */
bool setting_allows_scatter(const struct session *s);
enum commit_mode setting_commit(const struct session *s);
bool setting_consistent_reads(const struct session *s);
enum snapshot_shards setting_snapshot_shards(const struct session *s);
/* Do pgbraid.key or pgbraid.shard name a shard? */
bool setting_names_shard(const struct session *s);

/* Is this statement about one of them? Then the column that it answers, or NULL if it answers none. */
bool setting_is_own(const struct plan *p, const char **column);
/* Carry it out. */
void exec_own_setting(struct exec *x);
/* The value may be set: set it (local: until the end of the transaction), and answer. */
void exec_own_setting_done(struct exec *x, const char *value, bool local);
/* Of the running transaction; "": none. */
const char *setting_idempotency_key(const struct session *s);

#endif
