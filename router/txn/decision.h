/*
 * Decision rows: pgbraid.decisions on the shard that decided, one a distributed transaction. The row of a commit is
 * written by the transaction itself and signed with the directory's key; an abort's by whoever finds none and forbids
 * it, under the same primary key. A row without a valid signature may only abort (rule X8).
 *
 * Connections are blocking ones, as the shard's service user: control threads and recovery.
 */
#ifndef ROUTER_TXN_DECISION_H
#define ROUTER_TXN_DECISION_H

#include "base/arena.h"
#include "base/bug.h"
#include "base/err.h"
#include "net/hmac.h"

#include <stdbool.h>
#include <stdint.h>

struct map;
struct map_shard;
struct pgconn;
struct router;

/* The signature of a commit: participants as they stand in the row, separated by commas. Any thread. */
void decision_sign(const struct router *r, const char *gtid, uint32_t decider, const char *participants,
                   char mac[HMAC_TEXT_LEN + 1]);

/* A connection to a shard with short timeouts; NULL and the error. */
MUSTCHECK struct pgconn *decision_open(const struct router *r, const struct map_shard *shard, struct err *e);
const struct map_shard *decision_shard(const struct map *m, uint32_t id);

enum decision_state { DECISION_NONE, DECISION_COMMITTED, DECISION_ABORTED };

/* What one shard says of a distributed transaction. */
struct decision {
    enum decision_state state;
    bool forged;              /* the row was not written by a router of this directory: aborted */
    const char *participants; /* of a commit, ids separated by commas; in the arena */
    bool running;             /* its transaction is open there: somebody may still commit it */
    bool prepared;            /* a part of it is prepared there */
    uint64_t since_us;        /* since when the table is there; UINT64_MAX: somebody has emptied it */
};
MUSTCHECK bool decision_look(const struct router *r, struct pgconn *c, uint32_t shard, const char *gtid,
                             struct arena *a, struct decision *out, struct err *e);

/*
 * Write an abort row, so that the transaction cannot commit any more, unless it is decided. Waits for a commit that is
 * being written, for two seconds: then SQLSTATE 55P03.
 */
MUSTCHECK bool decision_forbid(struct pgconn *c, const char *gtid, struct err *e);
/* End the backends that have the transaction open: their router does not go on (rule X10). */
void decision_end_running(struct pgconn *c, const char *gtid);
/* Is the shard in a list of participants? */
bool decision_lists(const char *participants, uint32_t shard);

#endif
