/*
 * Inside exec: the script, the running statement and its parts. For router/exec/ only.
 */
#ifndef ROUTER_EXEC_EXEC_INT_H
#define ROUTER_EXEC_EXEC_INT_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "planner/planner.h"
#include "router/exec/exec.h"
#include "router/session/prepared.h"
#include "wire/copy.h"
#include "wire/femsg.h"
#include "wire/proto.h"
#include "wire/writer.h"

#include <stdio.h>

struct backend;
struct control_request;
struct exec_explain;
struct exec_gate;
struct exec_pieces;
struct part_ids;
struct gate_ticket;
struct copy_lines;

#define COPY_BINARY_HEADER 19u /* bytes, without the extension */

enum step_kind {
    STEP_STATEMENT, /* one statement of a Query string */
    STEP_END,       /* end of the Query string */
    STEP_PARSE,
    STEP_BIND,
    STEP_DESCRIBE,
    STEP_EXECUTE,
    STEP_CLOSE,
    STEP_FLUSH,
    STEP_SYNC
};

struct step {
    enum step_kind kind;
    struct span body; /* statement text, or message body; in the arena */
    uint32_t offset;  /* STEP_STATEMENT: bytes of the string before it */
};

/* What the parts are running. */
enum exec_task {
    TASK_NONE,
    TASK_STATEMENT,
    TASK_TXN,     /* COMMIT, ROLLBACK, SAVEPOINT ... on every lease of the transaction */
    TASK_SETTING, /* SET and its kin, followed by reading the value back */
    TASK_COPY_IN,
    TASK_KEY,      /* an idempotency key is being written */
    TASK_CLOCK,    /* a shard is asked for the transaction's time */
    TASK_ESTIMATE, /* shards are asked how large the parts of a gathered statement are */
    TASK_COMMIT,   /* two-phase commit */
    TASK_GATHER,   /* rows go to the gathering server; then its statement is a TASK_STATEMENT */
    TASK_DESCRIBE, /* Describe of a statement, or Parse: beside the transaction */
    TASK_CATALOG,  /* reading the catalog that the transaction sees */
    TASK_JOB       /* a control thread works for us */
};

struct part {
    uint32_t shard;          /* index into the pool set */
    struct backend *backend; /* borrowed lease; NULL: not acquired, or lost */
    bool started, described, done, failed;
    bool preamble_seen;         /* COPY OUT: header passed */
    bool bind_done;             /* its server has taken the Bind */
    bool bound;                 /* at the gate: its snapshot is taken, nothing is executed */
    bool saved;                 /* ... and its savepoint is set */
    bool settling;              /* ... a ReadyForQuery is to come that does not end it */
    const struct part_ids *ids; /* columns that have ids inside (ids.c), in the arena; NULL: none */
    uint32_t ntag, tags_before; /* DDL: command tags seen, and how many come before the statement's own */
};

/* A setting whose value is read back; in the arena, both. */
struct exec_set {
    char *name; /* lower case */
    char *value;
};

struct exec {
    struct session *s;
    struct arena arena;
    struct strbuf out; /* to the client; flushed before returning to the loop and before relayed rows */
    struct strbuf sql; /* whole Query string, for error positions */
    struct step *steps;
    uint32_t nstep, cur;
    bool extended;
    bool has_sync; /* the batch ends with Sync */
    bool bound;    /* the running statement is sent with Parse and Bind: extended, or an EXECUTE */
    uint32_t nexecute;
    bool advancing, again; /* exec_advance is on the stack; a step ended inside it */

    /* the running statement */
    enum exec_task task;
    struct plan *plan; /* owned reference */
    struct span text;  /* its text */
    const struct literals *lits;
    struct literals lits_copy;
    struct route route;
    struct part *parts;
    void (*acquired)(struct exec *x); /* every part has its lease */
    uint32_t text_offset;             /* bytes of the string before text: error positions are shifted by as much */
    uint32_t npart, ndone, next_part;
    bool timed;    /* text and plan have the transaction's time in the place of its clock */
    bool own_txn;  /* the statement is a transaction of its own over several shards */
    bool withheld; /* CommandComplete waits for the commit */
    bool failed;
    uint32_t error_part;
    struct strbuf error;    /* body of the first ErrorResponse */
    struct err own_error;   /* when the error is the router's */
    struct strbuf row_desc; /* body of the first RowDescription or CopyOutResponse; 'n' alone: NoData */
    char row_desc_type;
    const char *row_desc_shard; /* who described it first; its pool's */
    bool row_desc_sent;
    bool expanded; /* text and plan have views' texts in the place of their names */
    uint32_t ndescribed;
    struct strbuf tag;      /* first command tag */
    struct strbuf last_tag; /* CommandComplete of a string's last statement, which waits for the implicit commit */
    uint64_t rows;          /* sum of the tags' counts */
    uint64_t sent;          /* rows of several shards that went on as they came */
    struct part *speaker;   /* part whose large frame is being relayed */
    bool counted;
    bool cancelled;
    bool gather_keep;                 /* the gathering server's connection is kept: a cursor is on it */
    bool fetching;                    /* FETCH of a cursor over several shards: each is asked for what is left */
    void (*finished)(struct exec *x); /* the statement has succeeded; NULL: nothing else to do */
    struct catalog_builder *builder;  /* TASK_CATALOG: owned; else NULL */
    bool reload_failed;               /* the catalog is loaded again after an error */

    /* extended protocol: the portal being put together */
    struct prepared *prepared; /* owned reference */
    struct fe_bind bind;
    struct span portal, bind_rest, bind_body;
    bool bind_pending, bind_sent, describe;
    bool checking;              /* a Describe of the router's own: has the statement's result changed? */
    bool hide_params;           /* a Describe of an EXECUTE, which has no parameters */
    struct span described_name; /* the statement that the client described */
    uint32_t max_rows;
    bool execute;               /* the running group ends with Execute */
    bool piecewise;             /* ... which is to be fetched in pieces: its parts are bound only, at first */
    bool hoard;                 /* rows beyond max_rows are kept for a later Execute */
    bool suspended;             /* there are or may be more rows: PortalSuspended is the answer */
    bool formats;               /* the RowDescription is that of a portal, made from the statement's */
    struct span piece_portal;   /* the portal's name on the shards, while it is fetched in pieces */
    struct strbuf hoarded;      /* whole frames */
    struct exec_pieces *pieces; /* in the arena; NULL: no piece is being fetched */
    struct bind_values binds;
    void (*described)(struct exec *x); /* SQL-level PREPARE or EXECUTE goes on after a Describe of the router's own */
    struct span param_types;           /* ... which found these: as ParameterDescription has them */

    /* TASK_TXN and TASK_SETTING */
    enum session_verb verb;
    bool after_own_txn;     /* the commit or rollback belongs to own_txn: the statement's answer follows */
    bool implicit_end;      /* ... or to the end of a string or pipeline */
    bool implicit_rollback; /* ... or to an error in one */
    bool committed;
    char *setting;          /* name being set, in the arena; NULL: several, or none */
    char *setting_value;    /* what was read back */
    uint32_t nsetting;      /* names whose values are read back */
    struct exec_set *sets;  /* ... so many, in the arena */
    bool retold;            /* the text is the router's, in the place of the client's */
    uint32_t setting_phase; /* parts: 0 the command, 1 the value */
    uint32_t nwriter;

    /* COPY FROM STDIN */
    struct copy_splitter *splitter;
    struct copy_options copy_options;
    struct strbuf *copy_out;       /* per part */
    struct copy_lines *copy_lines; /* per part; NULL: the data is not split */
    uint64_t copy_line;            /* lines of the client's data so far */
    uint64_t copy_error_line;      /* what the error is about; UINT64_MAX: not known */
    bool copying;                  /* the client may send data */
    bool copy_ended;               /* IN: every part was told the end; OUT: a header has gone out */
    bool atomic;                   /* the commit over several shards is (or was) two-phase */
    bool warn_not_atomic;
    bool aside; /* the one part is the home shard's, beside the transaction */

    struct dist_commit *commit;     /* in the arena; NULL: none runs */
    struct exec_estimate *estimate; /* in the arena; NULL: none was needed */
    struct gather *gather;          /* in the arena; NULL: the statement is not gathered */
    struct exec_gate *gate;         /* in the arena; NULL: snapshots are taken as they come */
    struct gate_ticket *pass;       /* owned; NULL: nothing of the session's is being committed at the gate */
    void (*pass_then)(struct exec *x);
    void (*gate_then)(struct exec *x);     /* exec_gate_snapshot */
    void (*clock_then)(struct exec *x);    /* exec_clock */
    void (*hear_then)(struct exec *x);     /* exec_hear_before, exec_hear_after */
    void (*snapshot_then)(struct exec *x); /* exec_snapshot */
    struct exec_explain *explain;          /* in the arena; NULL: rows are the statement's own */
    struct exec_returning *returning;      /* owned; NULL: no row of a split INSERT has come */
    struct exec_merge *merge;              /* in the arena; NULL: rows of several parts come as they are */

    struct control_request *request;
};
/* exec.c */
void exec_advance(struct exec *x);
/* The running statement (or task) ended well or badly; go on. */
void exec_step_done(struct exec *x);
/* An error of the router's own ends the statement. */
void exec_fail(struct exec *x, const struct err *e);
void exec_flush(struct exec *x);
void exec_answer(struct exec *x, const char *tag);
/* Where the running statement's CommandComplete goes. */
struct strbuf *exec_tag_out(struct exec *x);
bool exec_in_txn(const struct exec *x);
void exec_begin_implicit(struct exec *x);
/* The statement is planned: carry it out by kind. */
void exec_dispatch(struct exec *x);
struct span exec_copy_span(struct exec *x, struct span s);
/* The error has been put into `out`: skip what the protocol says is skipped. */
void exec_after_error(struct exec *x);
/* BindComplete, and NoData if the portal is described, unless sent already. */
void exec_bind_answer(struct exec *x);

#endif
