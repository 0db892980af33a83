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
    char *setting;          /* name being set, in the arena */
    char *setting_value;    /* what was read back */
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
/* exec/view.c: the running statement becomes the one with its views expanded; false: it has failed. */
MUSTCHECK bool exec_expand_views(struct exec *x);
struct span exec_copy_span(struct exec *x, struct span s);
/* Characters of the Query string before the running statement: error positions are shifted by as many. */
int exec_characters_before(struct exec *x);

/* The error has been put into `out`: skip what the protocol says is skipped. */
void exec_after_error(struct exec *x);

/* BindComplete, and NoData if the portal is described, unless sent already. */
void exec_bind_answer(struct exec *x);
/* The portal just bound is not executed yet, and no server can hold it: it is kept in the session until it is. */
void exec_keep_portal(struct exec *x);
/* A named portal that is to be bound on these parts exists already elsewhere. */
MUSTCHECK bool exec_check_portal(const struct exec *x, struct err *e);

/* ext.c */
void exec_step_parse(struct exec *x, const struct step *st);
void exec_step_bind(struct exec *x, const struct step *st);
void exec_step_describe(struct exec *x, const struct step *st);
void exec_step_execute(struct exec *x, const struct step *st);
void exec_step_close(struct exec *x, const struct step *st);
/* The statement has changed its columns since the client was told of them (rule P13). */
void exec_refuse_shape(struct exec *x);
/* Run the portal being put together, up to Describe or Execute. */
void exec_run_group(struct exec *x);
/* A portal that was bound but neither executed nor described yet is sent before something else happens: then false. */
bool exec_settle_bind(struct exec *x, const struct step *next);
/* A Describe of a statement has been answered: T or n, with its body. */
void exec_note_shape(struct exec *x);
/* The RowDescription at the end of x->out, of the statement: with the portal's formats. */
void exec_put_formats(struct exec *x, size_t at);

/* part.c */
/* Send what may be sent now: all parts, or the next one. */
void exec_start_parts(struct exec *x);
/* Parse (if need be) and Bind of a part, in the extended protocol. */
MUSTCHECK bool exec_put_bind(struct exec *x, struct part *p, struct strbuf *out, struct err *e);
/*
 * Bind of a statement that has some of the client's parameters, by the map, and others of our own, in binary, before
 * and behind those. What follows are the values in that order (exec_put_values() puts the client's), the result formats
 * (exec_end_bind(): the client's), and the end of the message that began at the returned offset.
 */
size_t exec_begin_bind(const struct exec *x, struct span portal, const uint16_t *map, uint32_t n, uint32_t before,
                       uint32_t behind, struct strbuf *out);
void exec_put_values(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
void exec_end_bind(const struct exec *x, size_t at, struct strbuf *out);
/* The same, whole, with the client's portal and result formats. */
void exec_put_bind_some(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
/* The types of these parameters, as Parse said them. */
void exec_put_types(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out);
/* What is sent to a shard as the statement's text. */
struct span exec_text(struct exec *x);
/* A split INSERT: each part has rows of its own. */
bool exec_split(const struct exec *x);
bool exec_is_copy(const struct exec *x);
bool exec_is_copy_out(const struct exec *x);
/* Single messages for a portal or statement that lives elsewhere than in the running group. */
void exec_run_portal(struct exec *x, struct backend *b, struct span name, bool execute, uint32_t max_rows);
void exec_close_portal(struct exec *x, struct backend *b, struct span name);
void exec_describe_statement(struct exec *x, struct prepared *p);
void exec_stop_acquiring(struct exec *x);
/* What is in the worker's `out`, to the part's shard. */
void exec_write(struct exec *x, struct part *p);
/* Write the first messages to a part: prefix, then `sql` as a simple Query (or what `raw` holds). */
void exec_send_query(struct exec *x, struct part *p, struct span sql);
/* Run plan/text (and bind) on the shards of `route`. */
void exec_run(struct exec *x);
void exec_acquire(struct exec *x);
void exec_reset_statement(struct exec *x);
bool exec_make_parts(struct exec *x, const struct shardset *set, bool any);
void exec_parts_of_leases(struct exec *x);
/* A simple query with parameters, which have no values: it goes to the home shard alone, whose error it is. */
bool exec_lacks_values(struct exec *x);

/* answer.c */
/* A part will say nothing more for this statement. */
void exec_part_ready(struct exec *x, struct part *p);
/* An ErrorResponse: the others work for nothing now. */
void exec_note_error(struct exec *x, struct part *p, struct span body);
/* The parts that still run, but for one (may be NULL), work for nothing now. */
void exec_cancel_parts(struct exec *x, const struct part *except);
/* RowDescription and what comes before it, once. */
void exec_send_row_desc(struct exec *x);
void exec_emit_error(struct exec *x);
void exec_put_tag(struct exec *x);
void exec_statement_done(struct exec *x);
void exec_own_txn_done(struct exec *x, bool committed);

/* txn.c */
/* A WARNING for the client. */
void exec_warn(struct exec *x, const char *sqlstate, const char *message);
void exec_session_verb(struct exec *x);
/* COMMIT or ROLLBACK the transaction on all its shards; then exec_txn_ended(). */
void exec_end_txn(struct exec *x, bool commit);
enum exec_action exec_txn_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_txn_done(struct exec *x);
void exec_warn(struct exec *x, const char *sqlstate, const char *message);

/* listen.c */
void exec_listen(struct exec *x);
void exec_channels(struct exec *x);
/* The running statement has its parts: what it does when it has their leases (x->acquired). */
void exec_hear_statement(struct exec *x);
/* Before the transaction of a session that listens commits, and after that. False: then(x) is called when it may go
 * on. */
MUSTCHECK bool exec_hear_before(struct exec *x, void (*then)(struct exec *x));
MUSTCHECK bool exec_hear_after(struct exec *x, void (*then)(struct exec *x));

/* setting.c */
void exec_setting(struct exec *x);
enum exec_action exec_setting_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_setting_done(struct exec *x);
/* Run the text on the home shard, beside the transaction that is on no shard yet (or without one). */
void exec_aside(struct exec *x);
/* That is done: its connection goes back, rolled back. */
void exec_aside_end(struct exec *x);

/* prepare.c */
void exec_sql_prepare(struct exec *x);
void exec_sql_execute(struct exec *x);
/* Describe of a statement that is an EXECUTE; false: it is none. */
bool exec_describe_execute(struct exec *x, struct prepared *p);

/* key.c */
/* SET pgbraid.idempotency_key. */
void exec_key(struct exec *x, const char *key);
enum exec_action exec_key_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_key_done(struct exec *x);

/* hint.c */
/* The route as the statement's hint wants it; false: they contradict each other. */
MUSTCHECK bool exec_hint(struct exec *x, struct err *e);
/* May it go to several shards (pgbraid.allow_scatter)? */
MUSTCHECK bool exec_check_scatter(const struct exec *x, struct err *e);

/* signal.c */
void exec_signal(struct exec *x);

/* pieces.c */
/* How the limit of the portal's Execute is kept, when it runs on several shards. False: not for this statement. */
MUSTCHECK bool exec_pieces_plan(struct exec *x, bool gather, struct err *e);
/* The name of the running portal on the shards; the limit of their Execute. */
struct span exec_portal_there(const struct exec *x);
uint32_t exec_limit_there(const struct exec *x);
/* A row comes when max_rows have gone: kept or dropped. */
enum exec_action exec_row_beyond(struct exec *x, struct span body);
/* All parts are bound: the first piece. */
void exec_pieces_begin(struct exec *x);
/* Execute of a portal that is fetched in pieces; false: it is none. */
bool exec_pieces_execute(struct exec *x, struct span name, uint32_t max_rows);
/* A part has sent its piece, or failed. */
void exec_pieces_ready(struct exec *x, struct part *p);
void exec_pieces_ended(struct exec *x, const struct part *p);
/* The statement has succeeded: what it leaves for the portal's next Execute. */
void exec_pieces_done(struct exec *x);
/* Close of such a portal; false: it is none. */
bool exec_pieces_close(struct exec *x, struct span name);

/* cursor.c */
void exec_declare(struct exec *x);
void exec_fetch(struct exec *x);
void exec_close_cursor(struct exec *x);
bool exec_is_fetch(const struct plan *plan);
bool exec_is_declare(const struct plan *plan);
/* A FETCH of what is left, for the next shard. */
void exec_fetch_text(struct exec *x);
bool exec_fetch_is_done(const struct exec *x);
/* The connection with the cursor that a FETCH is about; NULL: there is none. */
struct backend *exec_fetch_backend(const struct session *s, const struct plan *plan);
/* Cursors have gone: give back what was kept for them. */
void exec_cursor_tidy(struct session *s);

/* copy.c */
enum exec_action exec_copy_response(struct exec *x, struct part *p, char type, struct span body);
enum exec_action exec_copy_out(struct exec *x, struct part *p, struct span body);
/* All parts of a COPY TO are done: trailer and CopyDone. */
void exec_copy_out_end(struct exec *x);
/* COPY FROM STDIN: a part failed with this ErrorResponse, or was lost; the others are told that no data comes. */
void exec_copy_error(struct exec *x, struct part *p, struct span body);
void exec_copy_failed(struct exec *x);
void exec_copy_fini(struct exec *x);
/* CopyOutResponse, once. */
void exec_copy_out_begin(struct exec *x);

/* commit.c */
/* Commit the transaction of several writers in two phases; then exec_txn_done(). */
void exec_commit(struct exec *x);
enum exec_action exec_commit_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_commit_ready(struct exec *x, struct part *p);
void exec_commit_lost(struct exec *x, struct backend *b, const struct err *cause);
void exec_commit_fini(struct exec *x);

/* explain.c */
/* EXPLAIN of what runs on several shards. */
void exec_explain(struct exec *x, bool gather);
/* The messages for a shard, without Sync. */
void exec_explain_put(struct exec *x, struct part *p, struct strbuf *out);
enum exec_action exec_explain_row(struct exec *x, struct part *p, struct span body);
enum exec_action exec_explain_long_row(struct exec *x, uint64_t frame);
/* A shard has explained one part. */
void exec_explain_ended(struct exec *x, const struct part *p);
/* Every shard has: rows for the client. */
void exec_explain_done(struct exec *x);
void exec_explain_fini(struct exec *x);
/* The rows that a plan in EXPLAIN's JSON expects; -1: it does not say. */
double exec_explain_rows(struct span said);

/* gather.c */
void exec_gather(struct exec *x);
enum exec_action exec_gather_frame(struct exec *x, struct part *p, char type, struct span body);
/* Is it the gathering server's? Its ReadyForQuery goes to exec_gather_ready(). */
bool exec_gather_is_own(const struct exec *x, const struct part *p);
void exec_gather_ready(struct exec *x);
void exec_gather_parts_done(struct exec *x);
void exec_gather_own_lost(struct exec *x, struct backend *b);
void exec_gather_shard_lost(struct exec *x);
/* Give the gathering server's connection back. */
void exec_gather_fini(struct exec *x);

/* estimate.c */
/* Ask for the sizes of the gathered statement's tables if nothing is known of them. True: nothing to do. False:
 * exec_gather() follows, or the statement fails. */
MUSTCHECK bool exec_estimate(struct exec *x);
enum exec_action exec_estimate_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_estimate_done(struct exec *x);

/* clock.c */
/*
 * Give the statement the transaction's time if it reads the clock on several shards, or on another one than before.
 * routed: x->route holds; else the plan was refused. True: nothing to do, or nothing can be done. False: then(x)
 * follows with another text and plan, or the statement fails.
 */
MUSTCHECK bool exec_clock(struct exec *x, bool routed, void (*then)(struct exec *x));
enum exec_action exec_clock_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_clock_done(struct exec *x);

/* snapshot.c */
/*
 * Take the snapshots of all shards if the statement is the first of a transaction that does so. True: nothing to do.
 * False: then(x) follows, or the statement fails.
 */
MUSTCHECK bool exec_snapshot(struct exec *x, void (*then)(struct exec *x));

/* gate.c */
/*
 * How a statement's parts take their snapshots at the gate. The functions append to `out`, the part's connection's.
 */
struct gate_ops {
    /* What comes before a try: BEGIN, settings; with its expectations and a Sync (or as a Query). False: nothing. */
    bool (*settle)(struct exec *x, struct part *p, struct strbuf *out);
    /*
     * Take the snapshot: Parse and Bind, for which one BindComplete comes. NULL: it is taken when the statement is
     * executed, which go() does; exec_gate_repeats() says afterwards whether that is to be done again.
     */
    void (*bind)(struct exec *x, struct part *p, struct strbuf *out);
    /* What ends the try, before a Sync: the next one takes another snapshot. */
    void (*release)(struct exec *x, struct part *p, struct strbuf *out);
    /* All snapshots are of one moment. */
    void (*go)(struct exec *x);
    /* x->failed, and nothing is outstanding. */
    void (*failed)(struct exec *x);
};
/* Does the session want statements over several shards to see one moment? */
bool exec_gate_on(const struct exec *x);
/* All leases are there: take snapshots on all parts, then ops->go(). */
void exec_gate_begin(struct exec *x, const struct gate_ops *ops);
/*
 * The session's transaction has one snapshot (REPEATABLE READ) and has not reached any server yet: begin it on all
 * parts and take its snapshot on them together; then(x), when all is quiet. Parts are made, leases held.
 */
void exec_gate_snapshot(struct exec *x, void (*then)(struct exec *x));
/*
 * The parts are at the gate: their first statement has not been executed. Then x->failed ends it by exec_gate_failed():
 * at once or when the connections are quiet.
 */
bool exec_gate_busy(const struct exec *x);
void exec_gate_failed(struct exec *x);
/* A frame of a part; true: dealt with. */
bool exec_gate_frame(struct exec *x, struct part *p, char type, struct span body);
/* A part's connection was lost, p->backend is NULL already; true: dealt with. */
bool exec_gate_lost(struct exec *x, struct part *p);
void exec_gate_cancel(struct exec *x);
/* The statement's parts are done. True: it is done again, from the beginning. */
bool exec_gate_repeats(struct exec *x);
/* Nothing may reach the client yet: it may have to be done again. */
bool exec_gate_withholds(const struct exec *x);
/* The savepoint to which a change may have to go back, before it; returns how many commands that are. */
uint32_t exec_gate_put_savepoint(struct exec *x, struct part *p, struct strbuf *out);
void exec_gate_fini(struct exec *x);
/* Run the statement on all parts, at the gate if it reads. */
void exec_gate_statement(struct exec *x);

/* pass.c */
/* The session's transaction is about to commit on the shards (ids) that it wrote on. False: then(x) is called when it
 * may. */
MUSTCHECK bool exec_gate_commit(struct exec *x, const uint32_t *shards, uint32_t n, void (*then)(struct exec *x));
/* The same for a statement that commits by itself on the shard of its only part. */
MUSTCHECK bool exec_gate_hold(struct exec *x, void (*then)(struct exec *x));
/* It has, or has not; in_doubt: the name of one that is not known to be finished everywhere, else NULL. */
void exec_gate_committed(struct exec *x, const char *in_doubt);

/* ids.c */
/* A part has described its rows; false: they cannot be shown to the client. */
MUSTCHECK bool exec_ids_described(struct exec *x, struct part *p, struct span row_desc);
/* A row or COPY data that goes on to the client or is kept for it, once; false: the statement has failed. */
MUSTCHECK bool exec_ids_replace(struct exec *x, struct part *p, struct span body);
/* Must the part describe what it is bound to, although the client does not ask? */
bool exec_ids_asks(const struct exec *x, const struct part *p);
/* COPY TO in binary: a statement in front of it that only has its columns described; true: put, with the COPY. */
MUSTCHECK bool exec_ids_put_copy(struct exec *x, struct part *p, struct strbuf *out);
/* A frame that is too long for one read, but has to be seen whole. */
enum exec_action exec_ids_long_frame(struct exec *x, uint64_t frame);

/* merge.c */
/* The statement's rows are to be merged; false: they cannot be, this time. */
MUSTCHECK bool exec_merge_begin(struct exec *x);
/* Parse and Bind of a part, and Describe unless it has described its rows. */
void exec_merge_bind(struct exec *x, const struct part *p, struct strbuf *out);
/* The first RowDescription tells how keys are compared; the statement fails if they cannot be. */
void exec_merge_described(struct exec *x, struct span row_desc);
/* It without the keys; in the arena. */
struct span exec_merge_own_columns(struct exec *x, struct span row_desc);
enum exec_action exec_merge_row(struct exec *x, struct part *p, struct span body);
/* The rows at the front of `frames`, as many as there is room for; how many bytes, 0: they go one by one. */
size_t exec_merge_rows(struct exec *x, struct part *p, struct span frames);
/* A row that is longer than a read. */
enum exec_action exec_merge_long_row(struct exec *x, uint64_t frame);
void exec_merge_ended(struct exec *x, const struct part *p);
/* All parts have ended well: what is left. */
void exec_merge_done(struct exec *x);
/* For a portal that is fetched in pieces: rows wait for exec_merge_piece(), which sends up to n. False: it needs more
 * rows of the parts for which exec_merge_needs() is true. */
bool exec_merge_piece(struct exec *x, uint64_t *n);
bool exec_merge_needs(const struct exec *x, uint32_t part);
/* Rows that are enough of each shard for n more. */
uint64_t exec_merge_wants(const struct exec *x, uint64_t n);
/* Of no shard many bytes wait. */
bool exec_merge_is_small(const struct exec *x);
/* No more than n rows are wanted at all. */
void exec_merge_limit(struct exec *x, uint32_t n);
/* The merge outlives the statement: the caller's, and back. */
struct exec_merge *exec_merge_take(struct exec *x);
void exec_merge_give(struct exec *x, struct exec_merge *m);
void exec_merge_free(struct exec_merge *m); /* NULL is fine */
void exec_merge_fini(struct exec *x);

/* returning.c */
/* Are the statement's rows those of a split INSERT? Then each goes to exec_returning_row(), and all are told in the
 * order of VALUES at its end, when x->failed may be set. */
bool exec_returns_split(const struct exec *x);
enum exec_action exec_returning_row(struct exec *x, const struct part *p, struct span body);
void exec_returning_done(struct exec *x);
void exec_returning_fini(struct exec *x);

/* control.c */
void control_abandon(struct exec *x);
void exec_control(struct exec *x);
/* The text of DDL for one shard: under a sharding_key rule with what else its transaction must do there. */
/* What a shard is sent of the statement itself. */
struct span exec_ddl_text(const struct exec *x, const struct part *p);
void exec_put_ddl(struct exec *x, struct part *p, struct strbuf *out);
/* Describe of a statement that the router itself answers; false: a server must. */
bool exec_describe_local(struct exec *x, struct prepared *p);
/*
 * After DDL has been committed: load the catalog again, then exec_step_done(). failed: on some shards only, and the
 * error has been told; exec_after_error() follows.
 */
void exec_reload_schema(struct exec *x, bool failed);
/* Of the parts keep one for each server. */
void exec_once_per_server(struct exec *x);
/*
 * After DDL in a transaction that goes on, or a rollback of some: load the catalog as the transaction sees it, then
 * answer with the tag and exec_step_done().
 */
void exec_load_catalog(struct exec *x);
enum exec_action exec_catalog_frame(struct exec *x, struct part *p, char type, struct span body);
void exec_catalog_done(struct exec *x);

#endif
