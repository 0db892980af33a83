/*
 * Prepared statements, virtualised over pooled connections: one object per worker for each (text, parameter types, user
 * and database, environment for parse analysis), shared by all sessions that prepared it. Its server name is made from
 * a serial that changes when the catalog does (rule P13), so a connection never runs a copy that was analysed under
 * another schema.
 */
#ifndef ROUTER_SESSION_PREPARED_H
#define ROUTER_SESSION_PREPARED_H

#include "base/err.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/span.h"
#include "planner/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct poolset;
struct session;
struct worker;

#define PREPARED_NAME_MAX 24
#define PREPARED_KEEP     2048u /* interned statements kept when nobody refers to them */

struct prepared {
    struct hmap_node node; /* worker.prepared */
    struct list lru;       /* linked while nobody refers to it */
    uint32_t refs;
    uint32_t serial; /* server name */
    uint32_t proved; /* a server has accepted it under this serial; 0: none yet */
    uint64_t shape;  /* of the result's columns under this serial; 0: not known yet */
    bool typed;      /* ... and of these columns the types that are users' or of any row are known */
    uint16_t nuser;
    uint32_t *users;   /* those; owned */
    bool shared;       /* interned; otherwise one session's own (rule P13) */
    uint32_t env_id;   /* plan_env id it was prepared under */
    const void *set;   /* pool set: user and database */
    uint64_t epoch;    /* catalog epoch of plan */
    struct plan *plan; /* owned reference */
    struct span sql;   /* in the same allocation */
    const char *types; /* ntype big-endian oids, in the same allocation */
    uint16_t ntype;
    uint32_t nliteral;
    struct literal *literals; /* of sql, owned: routing of later Binds needs them */
};

/* A name of a session's. */
struct session_statement {
    struct hmap_node node;
    struct prepared *prepared; /* owned reference */
    uint64_t shape;            /* of the columns the client was told by Describe; 0: it was not */
    char name[];
};

/* "pgbraid_1f": written to out, returned as a span. */
struct span prepared_server_name(uint32_t serial, char out[PREPARED_NAME_MAX]);

/* Find or make the statement and plan it; a reference for the caller, NULL with the planner's error. */
struct prepared *prepared_get(struct session *s, struct span sql, const char *types, uint16_t ntype, struct err *e);
/* Bring the plan up to the session's current catalog; the statement may be replaced (its reference moves). False with
 * the planner's error. */
MUSTCHECK bool prepared_refresh(struct session *s, struct prepared **p, struct err *e);
/* A number for the columns of a result: names and types, not where they come from. `type` is RowDescription or NoData.
 */
uint64_t prepared_shape(char type, struct span body);
/* The statement's columns have been described, as clients see them. */
void prepared_note_columns(struct prepared *p, char type, struct span body);
/* May the statement's rows, in binary, have ids inside that differ on the shards of these pools (rule P37)? */
bool prepared_embeds(const struct prepared *p, const struct poolset *set);
/* How many parameters a Bind must bring. */
uint32_t prepared_nparam(const struct prepared *p);

struct prepared *prepared_ref(struct prepared *p);
void prepared_unref(struct worker *w, struct prepared *p); /* NULL is fine */
/* Free all unreferenced ones beyond `keep`. */
void prepared_trim(struct worker *w, uint32_t keep);

/* A session's names. */
struct session_statement *session_find_statement(const struct session *s, struct span name);
void session_put_statement(struct session *s, struct span name, struct prepared *p); /* takes the reference */
bool session_drop_statement(struct session *s, struct span name);
void session_drop_statements(struct session *s);

#endif
