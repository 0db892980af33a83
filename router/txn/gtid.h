/*
 * Names of distributed transactions, and which of them this router is committing now.
 *
 *   gtid  TIME-ROUTER-START-RANDOM       hexadecimal, each of fixed width, so that gtids compare as texts by age:
 *                                        microseconds since 1970, the router's id, when it started, a random part
 *   gid   pgbraid:GTID:DECIDER:SHARD     the name of a prepared transaction: the shard that has the decision, and the
 *                                        one that it is on (rule X7: databases of a server share these names)
 *
 * A transaction has its gtid from the moment when a second shard may take part in it, or its client has asked for it
 * (txn_gtid); the decider is chosen at COMMIT. Any thread. Never on the path of a transaction of one shard.
 */
#ifndef ROUTER_TXN_GTID_H
#define ROUTER_TXN_GTID_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define GTID_MAX 50u              /* with its NUL */
#define GID_MAX  (GTID_MAX + 30u) /* PostgreSQL takes 200 */

struct router;
struct gtids;

struct gtids *gtids_new(void);
void gtids_free(struct gtids *g); /* NULL is fine */

/* A new name, greater than all names this router gave before. */
void gtid_new(struct gtids *g, char out[GTID_MAX]);
/* Has this text a gtid's form? Whoever made it. */
bool gtid_ok(struct span gtid);

/* When it was given, in microseconds since 1970, by its router's clock. */
uint64_t gtid_time_us(const char *gtid);

/*
 * A gtid as 48 bits: its time in units of 128 µs, which wraps after 101 days, and 12 bits of chance. Its transaction
 * holds, once it is on two shards, the advisory lock of GTID_LOCK_CLASS << 48 | key on each (rule X25); router/sql/
 * waits.sql knows the class, too.
 */
#define GTID_LOCK_CLASS UINT64_C(0x7067)
#define GTID_KEY_MASK   ((UINT64_C(1) << 48) - 1)
uint64_t gtid_key(struct span gtid);
/* The lock's argument. */
static inline uint64_t gtid_lock(struct span gtid)
{
    return GTID_LOCK_CLASS << 48 | gtid_key(gtid);
}
/* The least key of a moment. */
uint64_t gtid_key_at(uint64_t wall_us);
/* How old, in units of keys; one from the future (another machine's clock) is younger than all others. */
uint64_t gtid_key_age(uint64_t key, uint64_t now_us);

/* It is being committed: recovery leaves it alone until gtid_end. */
void gtid_begin(struct gtids *g, const char *gtid);
void gtid_end(struct gtids *g, const char *gtid);
bool gtid_is_live(struct gtids *g, struct span gtid);

void gtid_gid(const char *gtid, uint32_t decider, uint32_t shard, char out[GID_MAX]);
/* Take a gid apart; false if it is not one of ours. */
MUSTCHECK bool gid_parse(struct span gid, struct span *gtid, uint32_t *decider, uint32_t *shard);

#endif
