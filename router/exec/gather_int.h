/*
 * Inside a gathered statement: for gather*.c only.
 */
#ifndef ROUTER_EXEC_GATHER_INT_H
#define ROUTER_EXEC_GATHER_INT_H

#include "router/exec/exec_int.h"

#define GATHER_NAME_MAX 48u

enum gather_phase {
    GATHER_LEASE,  /* taking connections */
    GATHER_CREATE, /* temporary tables that are missing */
    GATHER_COPY,   /* asked for COPY, or copying */
    GATHER_LOADED, /* the last COPY is answered, ANALYZE may run */
    GATHER_FAILED  /* nothing more is asked of the gatherer */
};

/* A part of the plan, and the temporary table of its rows. */
struct gather_table {
    const struct gather_part *part;
    uint32_t number; /* of the part in the plan */
    struct route route;
    uint32_t left; /* shards that have not ended it */
    uint64_t rows;
    char name[GATHER_NAME_MAX];
    uint64_t id[2];
};

struct gather {
    const struct plan_gather *plan;
    struct gather_table *tables; /* plan->npart of them, in the order in which they are loaded */
    uint32_t nshard;             /* parts of the exec; the gatherer's stands behind them */
    uint32_t *at;                /* by shard: the table whose rows it sends, plan->npart at the end */
    uint64_t wanted;             /* rows that a shard need not go beyond */
    enum gather_phase phase;
    uint32_t current;  /* table being loaded */
    bool open;         /* the gatherer takes rows of it */
    bool quiet;        /* the gatherer has answered everything */
    struct strbuf out; /* rows on their way to it */
};

/* gather.c */
struct part *gather_own(const struct exec *x);
/* Does this shard send rows of the table? */
bool gather_runs(const struct gather *g, uint32_t table, uint32_t shard);
/* How many tables it sends rows of. */
uint32_t gather_count(const struct gather *g, uint32_t shard);
/* The first of them from `from` on; plan->npart: none. */
uint32_t gather_next(const struct gather *g, uint32_t from, uint32_t shard);
/* In a READ COMMITTED transaction: what the shard sends is one query. */
bool gather_joins(const struct exec *x, uint32_t shard);
/* Everybody is to stop: shards have been cancelled, rows are swallowed, a COPY is ended with an error. */
void gather_failed(struct exec *x);
/* A failed statement ends when nobody has anything to say any more. */
void gather_check_end(struct exec *x);

/* gather_ask.c: ask the shards for their rows. */
void gather_ask(struct exec *x);

#endif
