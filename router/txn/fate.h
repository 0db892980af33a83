/*
 * Prepared transactions on the shards, and what is to become of them. Blocking: recovery, and the console's commands on
 * control threads.
 */
#ifndef ROUTER_TXN_FATE_H
#define ROUTER_TXN_FATE_H

#include "base/arena.h"
#include "base/bug.h"
#include "base/err.h"
#include "router/txn/decision.h"
#include "shardmap/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgconn;
struct router;

/* ---- all shards of the directory, connected to when first asked ---- */

struct asked_shard {
    const struct map_db *db;
    const struct map_shard *shard;
    struct pgconn *conn; /* owned; NULL: not asked yet, or it cannot be reached */
    bool tried;
    bool broken; /* the table of decisions was not there */
    struct err error;
};

struct ask {
    const struct router *router;
    struct map *map; /* owned reference */
    struct arena arena;
    uint32_t n;
    struct asked_shard *shards; /* in the arena */
};

void ask_init(struct ask *k, const struct router *r);
void ask_fini(struct ask *k);
/* The shard's connection, or NULL and the error. */
struct pgconn *ask_conn(struct ask *k, struct asked_shard *s, struct err *e);
/* NULL: the directory has no such shard. */
struct asked_shard *ask_shard(struct ask *k, uint32_t id);

/* ---- prepared transactions of a shard ---- */

struct prepared_xact {
    const char *gid, *owner;
    bool ours;        /* the gid has our form; then: */
    const char *gtid; /* the transaction */
    uint32_t decider, shard;
    uint64_t age_ms, prepared_us; /* by the shard's own clock */
};

struct prepared_scan {
    struct prepared_xact *v; /* the oldest first; in the arena */
    size_t n;
    bool unprepared; /* max_prepared_transactions = 0 */
    bool intact;     /* what decides there is as bootstrap.sql made it, or was never made */
    bool caught_up;  /* its standbys have replayed up to the position given */
    char lsn[32];    /* position now */
};
/* lsn: of an earlier scan, or "0/0". */
MUSTCHECK bool prepared_scan(struct pgconn *c, const char *lsn, struct arena *a, struct prepared_scan *out,
                             struct err *e);

/* ---- their fate ---- */

#define FATES(X)                                                                                                       \
    X(FATE_COMMIT, "committed") /* there is a decision */                                                              \
    X(FATE_ABORT, "aborted")                                                                                           \
    X(FATE_RUNNING, "in progress")   /* somebody may be committing it now */                                           \
    X(FATE_UNDECIDED, "undecided")   /* nobody has; it may be forbidden to */                                          \
    X(FATE_UNREACHED, "unreachable") /* the decider cannot be asked now */                                             \
    X(FATE_LOST, "lost")             /* the decision may be: nothing is presumed */                                    \
    X(FATE_FOREIGN, "foreign")       /* none of ours */

enum fate {
#define X(id, name) id,
    FATES(X)
#undef X
};
const char *fate_name(enum fate fate);

/* Of a transaction that is prepared on shard `on`. *why: for FATE_LOST and FATE_UNREACHED, in k's arena. */
enum fate fate_of(struct ask *k, const struct asked_shard *on, const struct prepared_xact *x, const char **why);
/* Make an undecided one aborted, whoever tries to commit it; returns what it is afterwards. */
enum fate fate_forbid(struct ask *k, const struct asked_shard *on, const struct prepared_xact *x, const char **why);
/* COMMIT PREPARED or ROLLBACK PREPARED; one that somebody has finished meanwhile is fine. */
MUSTCHECK bool fate_finish(struct pgconn *c, const struct prepared_xact *x, bool commit, struct err *e);

#endif
