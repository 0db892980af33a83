/*
 * Inside a gathered statement: for gather*.c only.
 */
#ifndef ROUTER_EXEC_GATHER_INT_H
#define ROUTER_EXEC_GATHER_INT_H

#include "net/stream.h"
#include "router/exec/exec_int.h"
#include "router/server/kept.h"

enum gather_phase {
    GATHER_LEASE,  /* taking connections */
    GATHER_HOLD,   /* rows are few so far: they are kept here, the gatherer has not been asked for anything */
    GATHER_CREATE, /* temporary tables that are missing */
    GATHER_COPY,   /* asked for COPY, or copying */
    GATHER_LOADED, /* the last COPY is answered, ANALYZE may run */
    GATHER_FAILED  /* nothing more is asked of the gatherer */
};

/* A part of the plan, and the temporary table of its rows. */
struct gather_table {
    const struct gather_part *part;
    uint32_t number;                    /* of the part in the plan */
    uint32_t round;                     /* 0: asked at once; else when the tables of the rounds before are loaded */
    const struct plan_semijoin *narrow; /* by this: not all of its rows were asked for; NULL: they were */
    struct span values;                 /* ... a binary array, in the arena */
    struct route route;
    uint32_t left; /* shards that have not ended it */
    uint64_t rows;
    struct strbuf held;        /* GATHER_HOLD: its rows, as messages of COPY */
    size_t *sizes;             /* ... bytes of each column, with the lengths */
    struct span columns;       /* as the first shard described them, in the arena */
    const char *described;     /* which that was; NULL: none has yet */
    struct gather_type *types; /* ... read; NULL: not yet */
    char name[KEPT_NAME_MAX];
    uint64_t id[2];
};

struct gather {
    const struct plan_gather *plan;
    struct gather_table *tables; /* plan->npart of them, in the order in which they are loaded */
    uint32_t nshard;             /* parts of the exec; the gatherer's stands behind them */
    uint32_t *at;                /* by shard: the table whose rows it sends, plan->npart at the end */
    bool *later;                 /* by shard: tables of later rounds are on it */
    bool *waiting;               /* by shard: it has been asked, without a Sync, and will be again or let go */
    uint64_t wanted;             /* rows that a shard need not go beyond */
    uint32_t round, nround;
    struct gather_keys *keys; /* by semi-join; NULL: nothing waits for values */
    enum gather_phase phase;
    uint32_t current;   /* table being loaded */
    bool holds;         /* rows stay here */
    size_t held;        /* bytes, of all tables; the worker's `held` has them, too */
    uint32_t nheld;     /* rows */
    uint32_t hold_rows; /* ... that there may be */
    bool open;          /* the gatherer takes rows of it */
    bool quiet;         /* the gatherer has answered everything */
    struct strbuf out;  /* rows on their way to it */
    bool in_data;       /* a CopyData is open at the end of out */
    size_t data;        /* where it begins */
};

/* gather.c */
struct part *gather_own(const struct exec *x);
/* Does this shard send rows of the table? */
bool gather_runs(const struct gather *g, uint32_t table, uint32_t shard);
/* How many tables it sends rows of. */
uint32_t gather_count(const struct gather *g, uint32_t shard);
/* The first of them from `from` on; plan->npart: none. */
uint32_t gather_next(const struct gather *g, uint32_t from, uint32_t shard);
/* Will the shard be asked for tables of rounds after this one? */
bool gather_asks_later(const struct gather *g, uint32_t round, uint32_t shard);
/* In a READ COMMITTED transaction: what the shard sends is one query. */
bool gather_joins(const struct exec *x, uint32_t shard);
/* Everybody is to stop: shards have been cancelled, rows are swallowed, a COPY is ended with an error. */
void gather_failed(struct exec *x);
/* A failed statement ends when nobody has anything to say any more. */
void gather_check_end(struct exec *x);
/* All shards: no frames for now, or on with them, as far as it is for this reason. */
void gather_pause_shards(struct exec *x, bool pause, enum stream_pause why);
/* If the current table has all its rows, end its COPY. */
void gather_check_loaded(struct exec *x);

/* gather_own.c: a frame of the gatherer's. */
enum exec_action gather_own_frame(struct exec *x, char type, struct span body);
/* Make the tables that are missing, then fill them one after the other, beginning with what has been held. */
void gather_load(struct exec *x);
/* All rows are where the statement finds them, and every shard is ready. */
void gather_run(struct exec *x);
/* What the session has set goes before what follows; begin: and a transaction. sync: that ends with a Sync. */
void gather_put_settings(struct exec *x, bool begin, bool sync);
/* From here on the gatherer's statement is an ordinary one with one part: its text has been sent. */
void gather_became_statement(struct exec *x);

/* gather_hold.c: rows that need no temporary tables. */
/* May this execution's rows be held? */
bool gather_hold_allowed(const struct exec *x);
/* The shards have been asked. */
void gather_hold_begin(struct exec *x);
/* The type of a described column decides whether it can be held on. */
void gather_hold_described(struct exec *x, struct gather_table *t);
/* There is one row more; false: it is malformed. */
bool gather_hold_row(struct exec *x, struct gather_table *t, uint16_t nfield, struct span fields);
/* A shard has sent all of a table: perhaps the next round's turn has come. */
void gather_hold_check(struct exec *x);
/* All rows are there, and every shard is ready: the statement, with arrays. */
void gather_hold_run(struct exec *x);
/* A table's rows that were held are somewhere else, or not needed any more. */
void gather_hold_let_go(struct exec *x, struct gather_table *t);

/* gather_ask.c: ask the shards for their rows. */
void gather_ask(struct exec *x);

/* gather_ask.c: the next round of tables, whose turn to be loaded has come. */
void gather_ask_round(struct exec *x);
/* Shards that wait for more will not get it. */
void gather_let_go(struct exec *x);

/* gather_keys.c: which tables wait for others' rows: their order, and rounds. */
void gather_keys_plan(struct exec *x);
/* A row of a table, its fields in binary: note the values that others wait for. */
void gather_keys_take(struct exec *x, const struct gather_table *t, struct span fields);
/* What narrows a table of a later round; NULL: nothing, all its rows are needed. */
const struct plan_semijoin *gather_keys_best(const struct gather *g, const struct gather_table *t);
/* Its values, as a binary array. */
void gather_keys_put(const struct gather *g, const struct plan_semijoin *j, struct strbuf *out);
/* The statement's tables are loaded: remember their sizes for the plan's next execution. */
void gather_keys_seen(const struct gather *g);
void gather_keys_fini(struct gather *g);

#endif
