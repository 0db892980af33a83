/*
 * Session environments: the settings a session has changed, as an immutable, interned, reference-counted list. Sessions
 * and server connections each point to one; when the pointers differ, the differences are replayed in the same write as
 * the next statement (rules P12, P30, P47). The empty environment is the canonical one every server connection starts
 * in.
 *
 * Belongs to one worker. Values are what current_setting() returned, so replaying them is exact.
 */
#ifndef ROUTER_SESSION_ENV_H
#define ROUTER_SESSION_ENV_H

#include "base/hmap.h"
#include "base/span.h"
#include "base/strbuf.h"
#include "planner/env.h"
#include "planner/modes.h"

#include <stdbool.h>
#include <stdint.h>

struct env_setting {
    const char *name; /* lower case */
    const char *value;
    bool local; /* SET LOCAL: gone at the end of the transaction */
};

struct env {
    struct hmap_node node;
    uint32_t refs;
    uint32_t n;
    const struct env_setting *settings; /* sorted by name; a local one follows the session's of the same name */
    bool idle_timeout;                  /* idle_session_timeout is set: a server would end pooled connections */
    struct plan_env plan;               /* what parse analysis sees */
    struct txn_modes defaults;          /* default_transaction_...: modes of transactions that do not say */
    struct env_table *table;            /* borrowed */
};

struct env_table;

/* The canonical environment of a user on a database, as far as the router reads it. */
struct env_defaults {
    const char *role;
    const char *search_path;
    const char *parse_settings;
    struct txn_modes modes; /* default_transaction_... */
};

/* One table per (worker, database, user). Strings are copied; next_plan_id is borrowed: ids are unique within a worker.
 */
struct env_table *env_table_new(const struct env_defaults *d, uint32_t *next_plan_id);
/* All environments must have been released. */
void env_table_free(struct env_table *t);

/* The environment without changed settings; a new reference. */
struct env *env_base(struct env_table *t);
struct env *env_ref(struct env *e);
void env_unref(struct env *e); /* NULL is fine */

/* e with one setting changed (value NULL: removed, back to canonical); a new reference. */
struct env *env_with(struct env *e, const char *name, const char *value, bool local);
/* e without its local settings; a new reference. */
struct env *env_without_local(struct env *e);
/* RESET ALL of e, which goes back to `to` but for the role; a new reference. */
struct env *env_reset_all(const struct env *e, struct env *to);
/* Is it one of the router's own, which no server is told of (setting.h)? */
bool env_is_own(const char *name);
/* The value e gives a setting, or NULL if it does not change it. */
const char *env_get(const struct env *e, const char *name);

/* The value that a client in `env` is told of a reported setting (any case); `value` where env does not change it. */
const char *env_reported(const struct env *env, const char *name, const char *value);

/*
 * Append to `out` the extended-protocol messages (Parse, Bind, Execute each) that turn a connection in `from` into
 * `to`, and return how many commands that are.
 */
uint32_t env_put_changes(struct strbuf *out, const struct env *from, const struct env *to);

#endif
