/*
 * A plan: what the router has to do for one statement, found from its text, the catalog and the environment, without
 * I/O. Immutable and reference-counted within its worker; execution state lives in the router. Values (literals,
 * parameters) are not in it: plan_route() takes them when the statement is bound.
 *
 * Offsets are bytes into the text that the plan was made from. On a plan-cache hit the new text has the same shape but
 * other literals: plan_offset() maps an offset of the plan's text to one of the new text.
 */
#ifndef PLANNER_PLAN_H
#define PLANNER_PLAN_H

#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"
#include "planner/op_merge.h"
#include "planner/plan_copy.h"
#include "planner/plan_gather.h"
#include "planner/plan_key.h"
#include "planner/plan_session.h"
#include "planner/plan_text.h"
#include "shardmap/map.h"
#include "shardmap/vhash.h"

#include <stdbool.h>
#include <stdint.h>

enum plan_kind {
    PLAN_EMPTY,    /* nothing but blanks and comments */
    PLAN_QUERY,    /* rows or a row count from shards: SELECT, DML, EXPLAIN, VALUES, SHOW of a server setting ... */
    PLAN_GATHER,   /* a query that is gathered wherever its keys are: plan->gather */
    PLAN_INSERT,   /* INSERT ... VALUES of several rows that may have to be split by key: plan->insert */
    PLAN_COPY_IN,  /* COPY table FROM STDIN: plan->copy */
    PLAN_COPY_OUT, /* COPY ... TO STDOUT: plan->copy */
    PLAN_DDL,      /* changes the schema: plan->ddl */
    PLAN_SESSION,  /* transaction control, settings, prepared names: plan->session */
    PLAN_CONTROL   /* SELECT pgbraid.function(...): plan->control */
};

/* How the answers of several shards become one. With one shard the answer is relayed as it is. */
enum plan_combine {
    COMBINE_NONE,   /* not proven for several shards: more than one is refused with plan->refusal */
    COMBINE_CONCAT, /* rows one after another in any order; row counts in the command tag added up */
    COMBINE_MERGE,  /* rows merged in their order, OFFSET and LIMIT counted by the router: plan->merge */
    COMBINE_GATHER, /* rows of the parts go to one server, where the statement runs: plan->gather */
    COMBINE_SAME /* every shard does the same (reference tables, DDL): the home shard's answer, the others must agree in
                    tag */
};

/* PLAN_INSERT: the text is prefix [0,rows[0].start) + rows + suffix [rows[n-1].end, end). Value i of the one group is
 * row i's. */
struct plan_insert {
    uint32_t nrow;
    const struct plan_row *rows;
    bool skips; /* fewer rows than in VALUES may be returned (RETURNING): several shards are refused */
};

/* LIMIT and OFFSET of the statement's own level, as far as the router can tell them (finish.h). */
struct plan_bounds {
    bool known; /* both are constants or parameters, or are not there */
    bool has_limit, has_offset;
    struct key_value limit, offset;
};

/* COMBINE_MERGE: each shard runs `text`, whose first columns are the sort keys, with a LIMIT behind it. */
struct plan_merge {
    uint32_t nkey;
    const struct merge_key *keys; /* type is not filled in: the rows' descriptions tell it */
    const bool *by_bytes;         /* text may be compared byte by byte */
    uint32_t nunique;             /* only the first of rows that agree in so many keys is wanted; 0: all are */
    uint32_t ncolumn;             /* behind the keys */
    struct plan_text text;
};

enum explain_format { EXPLAIN_TEXT, EXPLAIN_JSON, EXPLAIN_YAML, EXPLAIN_XML };

/* EXPLAIN: the plan is otherwise the one of the query, which begins at byte `start` of the text. */
struct plan_explain {
    uint32_t start;
    enum explain_format format;
    bool analyse;
};

enum control_verb {
    CONTROL_SHARD_TABLE,
    CONTROL_REFERENCE_TABLE,
    CONTROL_UNSHARD_TABLE,
    CONTROL_CURRENT_GTID,
    CONTROL_TRANSACTION_STATUS
};

struct plan_control {
    enum control_verb verb;
    uint32_t narg;
    struct key_value args[5]; /* table and key columns: VALUE_LITERAL, VALUE_PARAM or VALUE_NULL, read as text */
    const char *column;       /* name of the answered column */
};

/* PLAN_DDL: what the router must know besides the text. */
struct plan_ddl {
    bool no_transaction;  /* cannot run inside a transaction block: VACUUM, CREATE INDEX CONCURRENTLY ... */
    bool schema_change;   /* the catalog must be reloaded afterwards (false for VACUUM, ANALYZE, TRUNCATE, LOCK ...) */
    bool once_per_server; /* roles, tablespaces: once per server, not per shard (rule P41) */
    bool shared; /* changes what databases of a server share: two shards on one server may wait for each other */
    /* CREATE TABLE that a sharding_key rule turns into a sharded table: its resolved name and key column. NULL
     * otherwise. */
    const char *shard_schema, *shard_table, *shard_column;
    enum key_type shard_type;
    int32_t shard_typmod;
    /* Text for every shard but the home shard when some of the objects named are on the home shard only (DROP TABLE of
     * a sharded and an unsharded table ...). NULL: the same text everywhere. */
    const char *elsewhere;
    /* Statements to run after it on each shard, in the same transaction: what pgbraid.tables must know. NULL: none. */
    const char *after;
    bool bodies; /* holds a function's body, which may name tables that only the home shard has */
};

/* Why a session keeps its connection to a shard after the transaction. */
enum plan_pin {
    PIN_LOCK = 1,   /* advisory locks of the session */
    PIN_CURSOR = 2, /* cursors WITH HOLD */
    PIN_NOTHING = 4 /* nothing any more, but it has not been given back yet */
};

/* Where the client says that a statement belongs (planner/hint.h). */
struct plan_hint {
    bool shard;   /* text is a shard's name or range, not a key */
    bool quoted;  /* the key was written as a string */
    bool comment; /* said with this statement, not by a setting */
    const char *text;
};

#define PLAN_PID_BLANK "0000000000"

struct plan {
    uint32_t refs; /* worker-local */
    enum plan_kind kind;
    enum plan_scope scope;
    enum plan_combine combine;
    bool writes;        /* may change data or take row locks: a transaction on several shards needs care */
    bool unpreparable;  /* may do what PostgreSQL cannot prepare: NOTIFY, or code that might (rule X12) */
    bool bind_snapshot; /* a SELECT that changes nothing by itself: its snapshot is taken at Bind (rule X13) */
    bool no_snapshot;   /* PostgreSQL takes none for it: NOTIFY */
    bool returns_rows;  /* answers RowDescription and DataRows */
    bool sequential;    /* shards one after another in shard order (home first), not at once */
    bool opaque;        /* calls declared opaque code: the backend's settings are read back afterwards (rule P46) */
    bool moment;        /* reads the transaction's clock: now(), a column default that does, 'today' (rule X22) */
    bool moment_params; /* every shard reads the parameters by itself, and there are dates: none may be 'now' (rule P42)
                         */
    bool long_way;      /* even on one shard the client's bytes do not just go out: rewritten, or pins */
    uint8_t pins;       /* enum plan_pin: the connection may have to be kept after it */
    bool pin_check;     /* after it there may be no reason any more to keep the connection */
    bool sets_locally;  /* set_config(..., true) inside: it has to be alone in its transaction */
    bool no_share;      /* holds 'now', 'today' ... as a string: never a shared prepared statement (rule P13) */
    uint32_t nclass;
    const struct key_class *classes;
    uint32_t nparam; /* highest $n */
    const struct plan_insert *insert;
    const struct plan_gather *gather; /* with COMBINE_MERGE: for executions that cannot be merged; may be NULL */
    const struct plan_merge *merge;
    struct plan_bounds bounds;
    const struct plan_copy *copy;
    const struct plan_explain *explain; /* NULL: none */
    const struct plan_session *session;
    const struct plan_control *control;
    const struct plan_ddl *ddl;
    const struct plan_hint *hint; /* NULL: none */
    const char *rewritten; /* NULL: the client's text goes out untouched; else the text to send (never with literals
                              cached away) */
    const char *expanded;  /* NULL; else the text with its views expanded, of which a plan has to be made (view.h) */
    uint32_t npid;         /* places in `rewritten` where the session's number belongs, PLAN_PID_BLANK long */
    const uint32_t *pids;
    const char *reason; /* one line for SHOW ROUTE: why this plan */
    const char *finish; /* the same for what follows when there are several shards; NULL: nothing to say */
    struct err refusal; /* COMBINE_NONE: the error when the route has several shards */
    /* private to planner/: arena, shape, literal spans of the text it was made from */
};

/* A literal of a statement text: where it is. Kind matters to the planner only. */
struct literal {
    uint32_t off, len; /* bytes, quotes included */
};

/* Literals of one text, in text order; storage belongs to the planner and lasts until its next call. */
struct literals {
    uint32_t n;
    const struct literal *v;
};

/* Parameter values of a Bind message: borrowed. */
struct bind_values {
    uint32_t n;
    const struct span *values; /* ptr NULL: SQL NULL */
    const uint32_t *types;     /* oid each, 0: unspecified (then the plan's expectation holds) */
    const uint8_t *binary;     /* 0 text, 1 binary, each */
};

/* Where one execution goes. */
struct route {
    struct shardset set;
    uint32_t n;     /* members; 0 only with any */
    uint32_t first; /* lowest member */
    bool any;       /* one shard of free choice: the router prefers one it already holds */
    uint32_t *
        row_shard; /* PLAN_INSERT over several shards: shard of each row, nrow entries, in the given arena; else NULL */
};

struct arena;

/*
 * Compute the route of one execution. `sql` and `lits` are the executed text and its literals, `binds` may be NULL
 * without parameters. `arena` is for row_shard only. False with the refusal when the plan cannot run on the shards
 * found, or when a key value is declined and no wider plan is proven.
 */
MUSTCHECK bool plan_route(const struct plan *p, const struct map_db *db, struct span sql, const struct literals *lits,
                          const struct bind_values *binds, struct arena *arena, struct route *out, struct err *e);

/*
 * The text for one shard of a split INSERT: only that shard's rows, with its parameters renumbered. param_map gets, for
 * each parameter of the new text, the 0-based index of the client's parameter; *nparam_map how many (cap entries at
 * hand).
 */
MUSTCHECK bool plan_insert_text(const struct plan *p, const struct route *r, uint32_t shard, struct span sql,
                                const struct literals *lits, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                                uint32_t *nparam_map, struct err *e);

/* Narrow *set to the shards that can have rows with the values: a binary array of the semi-join's array_type. */
void plan_semijoin_route(const struct plan *p, const struct plan_semijoin *j, const struct map_db *db,
                         struct span values, struct shardset *set);
/* The shards of one part of a gather. */
void plan_gather_route(const struct plan *p, const struct gather_part *part, const struct map_db *db, struct span sql,
                       const struct literals *lits, const struct bind_values *binds, struct route *out);
/*
 * The query of one part; parameters are renumbered as in plan_insert_text. False: too many of them. `rows`: no more
 * than so many are wanted (UINT64_MAX: all). Its row lock comes behind that, and behind what else narrows it.
 */
MUSTCHECK bool plan_gather_part_text(const struct plan *p, const struct gather_part *part, struct span sql,
                                     const struct literals *lits, uint64_t rows, struct strbuf *out,
                                     uint16_t *param_map, uint32_t cap, uint32_t *nparam_map, struct err *e);
/*
 * One query for n of the parts (their indexes, rising), so that they see one snapshot: rows are a part's index, and for
 * each of the parts a boolean and its columns, NULL all but the row's own part's (its boolean, too, if it has no rows).
 * They come part after part. Parameters as in plan_gather_part_text.
 */
MUSTCHECK bool plan_gather_joined_text(const struct plan *p, const uint32_t *parts, uint32_t n, struct span sql,
                                       const struct literals *lits, struct strbuf *out, uint16_t *param_map,
                                       uint32_t cap, uint32_t *nparam_map, struct err *e);
/* A query with no rows that has a part's columns: what its temporary table is made of. */
void plan_gather_shape(const struct plan *p, const struct gather_part *part, struct span sql,
                       const struct literals *lits, struct strbuf *out);
/*
 * The statement over the parts' rows: sources[i] for part i. Parameters as in plan_insert_text, but that the arrays
 * come before them, in the order of parts and columns.
 */
MUSTCHECK bool plan_gather_text(const struct plan *p, struct span sql, const struct literals *lits,
                                const struct gather_source *sources, struct strbuf *out, uint16_t *param_map,
                                uint32_t cap, uint32_t *nparam_map, struct err *e);

/* What each shard of a COMBINE_MERGE is asked; otherwise as plan_gather_part_text(). */
MUSTCHECK bool plan_merge_text(const struct plan *p, struct span sql, const struct literals *lits, uint64_t rows,
                               struct strbuf *out, uint16_t *param_map, uint32_t cap, uint32_t *nparam_map,
                               struct err *e);
/*
 * The bounds of one execution: rows to skip, and rows wanted then (UINT64_MAX: all). False: they are not to be read, or
 * not valid: a server has to say so.
 */
MUSTCHECK bool plan_bounds_read(const struct plan *p, struct span sql, const struct literals *lits,
                                const struct bind_values *binds, uint64_t *offset, uint64_t *limit);

/* OFFSET and LIMIT together: rows that no shard need go beyond. UINT64_MAX: all, or it is not to be told (rule P29). */
uint64_t plan_bounds_wanted(const struct plan *p, struct span sql, const struct literals *lits,
                            const struct bind_values *binds);

/* The shard that the plan's hint is about. */
MUSTCHECK bool plan_hint_shard(const struct plan *p, const struct map_db *db, uint32_t *shard, struct err *e);

struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p); /* NULL is fine */

/* The plan as SHOW ROUTE and the golden tests print it, several lines. `db` and `r` may be NULL: without shards. */
void plan_print(const struct plan *p, const struct map_db *db, const struct route *r, struct strbuf *out);

#endif
