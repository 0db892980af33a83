/*
 * Catalogs of databases: loaded from the home shard on a control thread, handed to every worker, waited for by those
 * who changed the schema.
 */
#ifndef ROUTER_SCHEMA_H
#define ROUTER_SCHEMA_H

#include "base/err.h"
#include "planner/catalog.h"

struct router;
struct session;
struct worker;
struct worker_db;

/* The catalog that the session's statements are planned with. Borrowed. Inline hot path. */
const struct catalog *session_catalog(const struct session *s);

/* Ask for the first catalog of a database; logins in db->held_sessions go on when it is there, or are refused. */
void schema_ask(struct worker *w, struct worker_db *db);

/*
 * Load the catalog again and hand it to all workers; done(arg, error or NULL) is called on w's loop when every worker
 * has it.
 */
void schema_reload(struct worker *w, const char *database, void (*done)(void *arg, const struct err *e), void *arg);

/* A shard whose object ids are not known (oids.h) has been reached: ask again, unless that is being done. */
void schema_ask_oids(struct worker *w, const char *database);

/* Ask the shards of every database whether a distributed table has become another one on one of them, or the same one
 * again (differ.h); then the catalog is loaded again. */
void schema_check(struct worker *w);

/* schema_reload, blocking, on a control thread: returns when every worker has it. */
bool schema_reload_blocking(struct router *r, const char *database, struct err *e);
/* Hold or release a database on every worker, blocking until all have done so. On a control thread. */
void schema_hold_blocking(struct router *r, const char *database, int hold);
/* Statements running now on all workers. On a control thread. */
uint32_t schema_busy_blocking(struct router *r, const char *database, bool transactions);

#endif
