/*
 * Portals of a session's transaction that outlive the batch that bound them. Those of one shard live on a lease: here
 * is only which pool's. The others (several shards, settings, DDL, COPY, transaction control) are kept here as their
 * Bind message and run when they are executed.
 */
#ifndef ROUTER_SESSION_PORTAL_H
#define ROUTER_SESSION_PORTAL_H

#include "base/hmap.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct pieces;
struct pool;
struct prepared;
struct session;

/* Remember (or replace) a portal on a lease; the unnamed one has an empty name. */
void portal_put(struct session *s, struct span name, struct pool *pool);
/* Values in its rows have ids inside that are the shard's own (rule P37): note it; is it noted? */
void portal_note_embeds(struct session *s, struct span name);
bool portal_embeds(const struct session *s, struct span name);
/* Keep a portal here: takes a reference to p and copies the Bind message's body. */
void portal_keep(struct session *s, struct span name, struct prepared *p, struct span bind);
bool portal_exists(const struct session *s, struct span name);
/* The pool whose lease it lives on; NULL: it is kept here, or does not exist. */
struct pool *portal_find(const struct session *s, struct span name);
/* A portal that is fetched in pieces, of which this is left (takes it). */
void portal_put_pieces(struct session *s, struct span name, struct pieces *p);
/* Borrowed until the portal is dropped or replaced; NULL: it is no such one. */
struct pieces *portal_pieces(const struct session *s, struct span name);
/* Statement (borrowed) and Bind message of a portal kept here; NULL: it is not. */
struct prepared *portal_kept(const struct session *s, struct span name, struct span *bind);
/*
 * A cursor declared in SQL: on the connections of these pools, whose rows follow one another (copied). hold: it
 * outlives the transaction if that commits.
 */
void portal_put_cursor(struct session *s, struct span name, struct pool *const *pools, uint32_t n, bool hold);
/* Its pools, from where it stands on or all; how many, 0: it is no such cursor. Borrowed until it changes. */
uint32_t portal_cursor(const struct session *s, struct span name, bool all, struct pool *const **pools);
bool portal_is_scattered(const struct session *s, struct span name);
/* The next n of its pools have no more rows. */
void portal_advance(struct session *s, struct span name, uint32_t n);
/* Is there any portal on this pool's connection? */
bool portal_lives_on(const struct session *s, const struct pool *pool);
/* Connections that are kept for cursors that no longer exist need not be kept. */
void portal_unpin(struct session *s);
/* The transaction is over: what is left are cursors WITH HOLD. */
void portal_end(struct session *s, bool committed);
void portal_drop(struct session *s, struct span name);
void portal_drop_all(struct session *s);

/* ROLLBACK TO and RELEASE of a savepoint that has `depth` savepoints around it: what was bound inside goes, or stays
 * with the outer one. */
void portal_rollback_to(struct session *s, uint32_t depth);
void portal_release(struct session *s, uint32_t depth);

#endif
