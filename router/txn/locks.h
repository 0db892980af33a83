/*
 * What one shard says of waits for locks: the rows of sql/waits.sql, taken strictly. Pure, but for the memory.
 */
#ifndef ROUTER_TXN_LOCKS_H
#define ROUTER_TXN_LOCKS_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LOCKS_COLUMNS 10

/* A process waits for another one, or for a prepared transaction. */
struct lock_wait {
    uint32_t process;
    uint32_t blocker; /* 0: the prepared transaction of blocker_key */
    uint64_t blocker_key;
    uint64_t id;             /* of the wait: another one of the same process has another id (rule X26) */
    const char *what;        /* "ShareLock on transaction 746" */
    const char *application; /* what the process calls itself */
};

/* A process and the distributed transaction that it is of, as a gtid_key. */
struct lock_owner {
    uint32_t process;
    uint64_t key;
};

struct shard_locks {
    struct arena arena; /* everything below */
    struct lock_wait *waits;
    struct lock_owner *owners; /* by process, after locks_settle */
    uint64_t *prepared;        /* gtid_keys of transactions that are prepared here */
    uint32_t nwait, nowner, nprepared;
};

void locks_init(struct shard_locks *l);
void locks_fini(struct shard_locks *l);
/* Add a row of LOCKS_COLUMNS values, NULL for SQL NULL. False: no row that the query could give. */
MUSTCHECK bool locks_add(struct shard_locks *l, const char *const *row, struct err *e);
/* All rows are there. What cannot be the router's lock says nothing: a key of two processes, two keys of one. */
void locks_settle(struct shard_locks *l);
/* NULL: the process is of no distributed transaction. */
const struct lock_owner *locks_owner(const struct shard_locks *l, uint32_t process);

#endif
