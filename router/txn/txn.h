/*
 * The transaction of a session, as far as the router has to repeat it: a shard joins with its first statement, and what
 * the transaction has said until then goes out in front of that statement, in its order (BEGIN with the modes, SET
 * CONSTRAINTS, settings, savepoints). What is said within a savepoint is undone by ROLLBACK TO, so it is kept per
 * savepoint how things were when it was set.
 */
#ifndef ROUTER_TXN_TXN_H
#define ROUTER_TXN_TXN_H

#include "base/span.h"
#include "base/strbuf.h"
#include "planner/modes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct catalog;
struct env;
struct session;

/* How things were when it was set. */
struct savepoint {
    struct savepoint *outer;
    struct env *env; /* the session's environment; owned reference */
    struct txn_modes modes;
    size_t constraints_len;
    uint32_t nsaid; /* of channels */
    char name[];
};

/* A time with its NUL: exec_clock.c. */
#define TXN_NOW_MAX sizeof("2000-01-01 00:00:00.000000+00")

struct txn {
    char *gtid;             /* its name, owned; NULL: none yet (txn_gtid) */
    struct txn_modes start; /* what it would have if BEGIN had said nothing: a failed one goes back to them */
    struct txn_modes modes; /* what it has; all unsaid outside of a transaction */
    char *constraints;      /* SET CONSTRAINTS given, each with its NUL; owned; NULL: none */
    size_t constraints_len;
    struct env *env;             /* environment at BEGIN: back to it on rollback; owned reference, NULL outside */
    struct savepoint *savepoint; /* innermost */
    uint64_t epoch;              /* catalog epoch at BEGIN */
    uint64_t since_us;           /* BEGIN, by the loop's clock */
    bool implicit;               /* no BEGIN by the client: ends with the string or at Sync */
    bool queried;                /* a query has run beside it: too late for some modes */
    bool ddl;                    /* changed the schema: reload after COMMIT */
    struct catalog *catalog;     /* ... and what it made of it; owned reference, NULL: the database's */
    bool whole;                  /* has the snapshots of all shards, of the map with map_epoch */
    bool placed;                 /* has one snapshot, and its statements run on `shard` */
    uint32_t shard;
    uint64_t map_epoch;
    bool clocked; /* a statement has read the transaction's clock, on `clock` */
    uint32_t clock;
    char now[TXN_NOW_MAX]; /* the time that it had there, once a second shard has needed it; else "" */
    bool doomed;           /* a participant was lost: only ROLLBACK is left */
    bool recorded;         /* its client can ask for the outcome: a decision row is written even with one writer */
};

/* REPEATABLE READ or SERIALIZABLE: one snapshot for all its statements. */
static inline bool txn_has_snapshot(const struct txn *t)
{
    return t->modes.isolation >= ISOLATION_REPEATABLE_READ;
}

/* What a READ ONLY transaction is asked to write fails. */
static inline bool txn_may_write(const struct txn *t)
{
    return t->modes.read_only != MODE_ON;
}

/* Begin one (nothing is sent). `said`: what BEGIN says; NULL: nothing. implicit: the client gave no BEGIN. */
void txn_begin(struct session *s, const struct txn_modes *said, bool implicit);
/* Begin one with what another had when it ended: AND CHAIN. */
void txn_begin_chained(struct session *s, const struct txn_modes *modes);
/* What the session's transaction hands on at its end by AND CHAIN. */
struct txn_modes txn_handed_on(const struct session *s);
/* Forget it. */
void txn_reset(struct session *s);

/* Its name, the same on all shards; made when first asked for, which is when a second shard may join. */
const char *txn_gtid(struct session *s);
/* The same, and its outcome can be asked for afterwards (pgbraid.transaction_status). */
const char *txn_record(struct session *s);

/*
 * What tells a shard, and so every router, which transaction its part belongs to (rule X25): an advisory lock that goes
 * out in front of a message that goes out anyway, once there is a second shard.
 */
#define TXN_ANNOUNCEMENT_MAX 96u
void txn_announcement(struct session *s, char out[TXN_ANNOUNCEMENT_MAX]);
/* Is it still to go out on this connection? */
bool txn_announces(const struct session *s, const struct backend *b);

void txn_note_constraints(struct txn *t, struct span sql);
void txn_savepoint(struct session *s, const char *name);
struct savepoint *txn_find_savepoint(const struct session *s, const char *name);
/* Back to the savepoint, which stays; the session's environment is not touched. */
void txn_rollback_to(struct session *s, const struct savepoint *to);
/* Without it and those inside it; what was said stays. */
void txn_release(struct session *s, struct savepoint *released);

/*
 * Commands that must precede a statement on this connection, as extended-protocol messages: BEGIN and all that the
 * transaction has said, then settings. Returns how many commands.
 */
uint32_t txn_put_prefix(struct session *s, struct backend *b, struct strbuf *out);
/* Settings alone: the caller has begun a transaction by himself. */
uint32_t txn_put_settings(struct session *s, struct backend *b, struct strbuf *out);

#endif
