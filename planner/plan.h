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
#include "planner/modes.h"
#include "planner/op_merge.h"
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

/* Where a PLAN_QUERY, PLAN_INSERT, PLAN_COPY_* or PLAN_DDL runs. */
enum plan_scope {
    SCOPE_ANY,   /* any one shard gives the same answer: constants, reference tables */
    SCOPE_HOME,  /* the home shard: unsharded tables, catalogs */
    SCOPE_KEYED, /* where the keys say: plan->classes */
    SCOPE_ALL    /* every shard */
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

enum value_source {
    VALUE_LITERAL,       /* literal number `index` of the text (0-based, in text order) */
    VALUE_PARAM,         /* parameter $index (1-based) */
    VALUE_PARAM_ARRAY,   /* every element of the one-dimensional array parameter $index: k = ANY($1) */
    VALUE_LITERAL_ARRAY, /* every element of an array written as one string literal: k = ANY('{1,2}') */
    VALUE_NULL           /* known to be NULL: matches nothing / violates NOT NULL */
};

struct key_value {
    enum value_source source;
    enum key_type type; /* how the value's text or binary form is read: its own type, not the column's (rule P14) */
    bool negate;        /* a minus sign stands before the numeric literal */
    uint32_t index;
};

/* One column's values of a key group: `n` alternatives (IN list, VALUES rows), one for an equality. */
struct key_column {
    enum key_type type; /* the column's */
    int32_t typmod;     /* the column's */
    uint32_t nvalue;
    const struct key_value *values;
};

/*
 * One proven condition "the key is one of these". Composite keys have several columns; then value i of each column
 * makes tuple i, so all have the same nvalue.
 */
struct key_group {
    enum vhash_use use;
    bool identity; /* identity vindex: the integer is the keyspace id's hash already */
    uint32_t ncolumn;
    const struct key_column *columns;
};

/*
 * Sharded table occurrences proven to have equal keys. A row of the class must satisfy every group, so the shards are
 * the intersection over groups of the union over values. No shard left: the class has no rows anywhere and asks for no
 * shard. A class without groups (ngroup 0) asks for all shards.
 */
struct key_class {
    uint32_t ngroup;
    const struct key_group *groups;
};

/* PLAN_INSERT: the text is prefix [0,rows[0].start) + rows + suffix [rows[n-1].end, end). Value i of the one group is
 * row i's. */
struct plan_row {
    uint32_t start, end; /* the row's "(...)" */
};
struct plan_insert {
    uint32_t nrow;
    const struct plan_row *rows;
    bool skips; /* fewer rows than in VALUES may be returned (RETURNING): several shards are refused */
};

/* A text that is put together when it is needed, of pieces of the statement's text and of others. */
enum piece_kind { PIECE_FIXED, PIECE_SLICE, PIECE_TABLE /* the gathered rows */ };
struct text_piece {
    enum piece_kind kind;
    const char *fixed;   /* PIECE_FIXED */
    uint32_t start, end; /* PIECE_SLICE: bytes of the plan's text */
};
struct plan_text {
    uint32_t n;
    const struct text_piece *v;
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

/*
 * A gathered statement whose work the shards have done in part: they run `shard`, their rows go to one temporary table
 * with columns c1, c2 ..., and `rest`, a statement over that table, gives the answer. `shape` has `shard`'s columns,
 * and neither parameters nor conditions.
 */
struct plan_push {
    uint32_t ncolumn;
    struct plan_text shard, shape, rest;
    bool limited; /* shards need send no more rows than the statement's bounds say */
    bool ties;    /* ... and those that ORDER BY does not tell from the last of them */
};

struct gather_type {
    uint32_t oid;
    int32_t typmod;
    const char *name; /* quoted; of a part that is a table */
};

/* Where the statement finds the rows of a part. */
struct gather_source {
    const char *table; /* in this temporary table; NULL: in array parameters, one a column (arrays.h) */
    uint32_t ncolumn;  /* ... of these types; without columns there is one parameter for the number of rows */
    const struct gather_type *types;
};

/* Rows of a part are needed only where part `from` has a row with the same sharding key: both are on one shard. */
struct gather_local {
    uint32_t from;
    const char *from_key, *key; /* quoted, with the tables' aliases */
};

/*
 * A mention of a table in a gathered statement, and the query for its rows: columns FROM table AS alias WHERE filters.
 * Offsets are bytes of the plan's text.
 */
struct gather_part {
    const char *table;   /* quoted, with its schema */
    const char *alias;   /* quoted: the name that the statement knows it by */
    const char *columns; /* quoted, separated by commas; may be empty */
    uint32_t ncolumn;
    const struct gather_type *types; /* of the columns, as the catalog has them; NULL: a query of its own */
    bool collated;                   /* a column has a collation, and not the database's */
    const char *primary_key;         /* quoted columns; NULL: not wanted */
    uint32_t start, end;             /* the table's name in the text */
    bool put_alias;                  /* the text gives it none */
    bool plain;                      /* a query in brackets may stand there, too */
    enum plan_scope scope;           /* KEYED, HOME or ANY */
    struct key_class keys;           /* SCOPE_KEYED */
    uint32_t nfilter;
    const struct plan_row *filters; /* slices of the text */
    uint32_t nlocal;
    const struct gather_local *locals;
};

/* Rows of part `to` are needed only if their column has a value that some row of part `from` has (semijoin.h). */
struct plan_semijoin {
    uint32_t from, to;
    uint32_t column;              /* of `from`: which of the part's columns */
    const char *name;             /* of `to`: quoted, with the table's alias */
    uint32_t type, array_type;    /* of the values */
    const struct key_class *keys; /* the column is the sharding key, the values are parameter 1; NULL: it is not */
};

#define GATHER_PARTS_MAX 256u /* mentions of tables in a statement whose rows are gathered */

struct plan_gather {
    uint32_t npart;
    const struct gather_part *parts;
    uint32_t ndropped; /* filters of the parts, in the text's order: the statement does without them */
    const struct plan_row *dropped;
    uint32_t nsemijoin;
    const struct plan_semijoin *semijoins;
    _Atomic uint64_t *seen; /* by part: 1 + rows that it had when last asked without a semi-join; 0: never */
    bool always; /* tables of the home shard take part: a PLAN_GATHER. Else only when the keys name several shards */
    bool moment; /* reads the clock: the transaction's, which the gathering server does not know */
    bool arrays; /* few rows may come as array parameters */
    const struct plan_push *push; /* the one part is a query of its own; NULL: parts are tables */
};

enum explain_format { EXPLAIN_TEXT, EXPLAIN_JSON, EXPLAIN_YAML, EXPLAIN_XML };

/* EXPLAIN: the plan is otherwise the one of the query, which begins at byte `start` of the text. */
struct plan_explain {
    uint32_t start;
    enum explain_format format;
    bool analyse;
};

enum copy_format { COPY_FORMAT_TEXT, COPY_FORMAT_CSV, COPY_FORMAT_BINARY };

struct plan_copy {
    enum copy_format format;
    char delimiter, quote, escape;
    bool header;           /* first line is a header: COPY IN sends it to every shard, OUT keeps one */
    const char *null_text; /* as in the options, defaults filled in */
    uint32_t ncolumn;      /* columns in a row of the data */
    uint32_t nkey;         /* key columns; 0: not sharded */
    struct plan_copy_key {
        uint32_t field; /* 0-based index in the data's row */
        enum key_type type;
        int32_t typmod;
    } keys[4];
    uint8_t force_null, force_not_null; /* CSV: keys that the options name, BIT(index) */
    bool identity;
    /* Reference table: fields that may read the clock ('now'), which every shard would do by itself (rule P42). */
    uint32_t nmoment;
    const uint32_t *moments;
    const uint32_t *types; /* COPY table TO in binary: of its ncolumn columns; NULL: not known */
    const char *table;     /* "schema"."name", quoted, for messages */
    const char *name;      /* the name alone, as PostgreSQL's messages have it */
    uint32_t start, end;   /* COPY (query): where it is in the text, in bytes; never with literals cached away */
};

/* Session-level statements, carried out by the router. Names as written, folded as PostgreSQL folds. */
enum session_verb {
    SESSION_BEGIN,           /* modes */
    SESSION_COMMIT,          /* chain */
    SESSION_ROLLBACK,        /* chain */
    SESSION_SAVEPOINT,       /* name */
    SESSION_RELEASE,         /* name */
    SESSION_ROLLBACK_TO,     /* name */
    SESSION_SET_TRANSACTION, /* modes */
    SESSION_SET,             /* name; local */
    SESSION_RESET,           /* name: also SET ... TO DEFAULT; local */
    SESSION_RESET_ALL,
    SESSION_SHOW,       /* name */
    SESSION_SET_CONFIG, /* SELECT set_config('name', literal, literal): name; local; answers a row */
    SESSION_DISCARD_ALL,
    SESSION_DISCARD_OTHER, /* DISCARD PLANS | SEQUENCES | TEMP */
    SESSION_DEALLOCATE,    /* name */
    SESSION_DEALLOCATE_ALL,
    SESSION_CANCEL,          /* SELECT pg_cancel_backend(value, param or the session's own number): answers a row */
    SESSION_TERMINATE,       /* likewise, pg_terminate_backend */
    SESSION_DECLARE,         /* cursor: the plan's scope, classes and gather are the query's */
    SESSION_FETCH,           /* cursor: also MOVE */
    SESSION_CLOSE,           /* name; NULL: all */
    SESSION_PREPARE,         /* name; types; from */
    SESSION_EXECUTE,         /* name; args; explain */
    SESSION_SET_CONSTRAINTS, /* forwarded to every enlisted shard */
    SESSION_LISTEN,          /* name */
    SESSION_UNLISTEN,        /* name; NULL: all */
    SESSION_CHANNELS         /* SELECT pg_listening_channels(): column; answers rows */
};

/* An argument of EXECUTE: a constant as text, and the type it is cast to (0: none). */
struct execute_arg {
    enum { ARG_NULL, ARG_STRING, ARG_INTEGER, ARG_NUMERIC, ARG_BOOLEAN } kind;
    uint32_t cast;
    const char *text; /* NULL: ARG_NULL */
};
/* Is the text, read by the type's input function, the value that PostgreSQL would give to a parameter of this type? */
bool execute_value_fits(const struct execute_arg *arg, uint32_t type);

struct plan_session {
    enum session_verb verb;
    const char *name;       /* setting, savepoint or statement; NULL: none */
    bool local;             /* SET LOCAL */
    const char *value;      /* of a setting of the router's own (pgbraid.*): the constant; NULL: none */
    bool chain;             /* AND CHAIN */
    bool start;             /* START TRANSACTION, not BEGIN: the command tag */
    struct txn_modes modes; /* BEGIN and SET TRANSACTION: what they say */
    bool setting; /* SET transaction_isolation = ...: like SET TRANSACTION, but the session may do it anywhere */
    bool judged;  /* a server must say whether it is right: SET CONSTRAINTS by name, a value not understood */
    /* SESSION_SET_CONFIG of a parameter: its number (0: the value is in the text), and the answered column's name. */
    uint32_t param;
    const char *column;
    bool hold, scroll; /* SESSION_DECLARE: WITH HOLD; backwards, too */
    bool move;         /* SESSION_FETCH: no rows are given */
    uint64_t count;    /* ... so many rows forward; UINT64_MAX: all; 0: another direction */
    /* SESSION_PREPARE: declared parameter types (0: to be inferred), and where in the text the statement begins. */
    uint32_t ntype, from;
    const uint32_t *types;
    /* SESSION_EXECUTE: the arguments; how many bytes of the text are EXPLAIN and its options (0: plain EXECUTE). */
    uint32_t narg, explain;
    const struct execute_arg *args;
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
 * than so many are wanted (UINT64_MAX: all).
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

/* The shard that the plan's hint is about. */
MUSTCHECK bool plan_hint_shard(const struct plan *p, const struct map_db *db, uint32_t *shard, struct err *e);

struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p); /* NULL is fine */

/* The plan as SHOW ROUTE and the golden tests print it, several lines. `db` and `r` may be NULL: without shards. */
void plan_print(const struct plan *p, const struct map_db *db, const struct route *r, struct strbuf *out);

#endif
