/*
 * What the files of the analyser share. One `struct an` lives as long as one analyse() call, in its scratch arena.
 *
 * The proof in words. Every mention of a table is an occurrence. A condition that every surviving row must satisfy
 * turns into a fact ("this column has one of these values") or an edge ("if the rows of A are restricted to values V of
 * its column, so can be those of B"), and facts flow along edges (prove.c). What is known about an occurrence's
 * sharding key says which of its rows the statement can need, hence on which shards they are. If all occurrences need
 * rows of one shard only, the whole statement may run there untouched, whatever else it does.
 *
 * For several shards the statement has to be linear in one occurrence, the driver: the answer must be the sum of the
 * answers for each of the driver's rows, and every other occurrence must follow the driver's key (prove.c, shape.c).
 */
#ifndef PLANNER_ANALYSE_INT_H
#define PLANNER_ANALYSE_INT_H

#include "planner/analyse.h"
#include "planner/catalog_int.h"
#include "planner/plan_int.h"
#include "planner/tree.h"
#include "planner/types.h"

enum { NO_COLUMN = -1 };

struct fact;

/* A column of an occurrence, or an output column of a derived table: a node of the graph of facts. */
struct variable {
    const struct occurrence *occ; /* NULL: a derived table's column */
    uint32_t type;
    int32_t typmod;
    bool nondeterministic;
    bool by_bytes; /* text that sorts by its bytes */
    bool mixed;    /* USING merges it with a column of another type or collation: its name may mean either */
    int from;      /* 0, or 1 + the variable that it is derived from: row by row it has that one's value */
    struct fact_link *facts;
};

/* "The value is one of these." */
struct fact {
    enum key_type type; /* of the column that it was stated for: family and hash are the same along edges */
    uint32_t nvalue;
    struct key_value *values;
    uint32_t tuple; /* 0: on its own; else facts with equal numbers belong together, value by value */
};
struct fact_link {
    struct fact_link *next;
    const struct fact *fact;
};

struct edge {
    int from, to;
    bool apart; /* one of several readings of A's rows: facts that belong together at A do not at B */
};

enum use { USE_READ, USE_INSERT, USE_UPDATE, USE_DELETE };

/* One mention of a table. */
struct occurrence {
    const struct cat_rel *rel;
    const char *name; /* as the statement writes it, for messages */
    enum use use;
    int first_variable;               /* of column 0; the others follow */
    bool linear;                      /* every output row of the statement comes from exactly one of its rows */
    bool in_arm;                      /* ... or of its arm's (setop.h) */
    struct assigned *assigned;        /* INSERT: the key values, found at the statement */
    const PgQuery__RangeVar *mention; /* NULL: the target of a change */
};

/* Key values of the new rows of an INSERT: values of nrow rows, or those of a column of the query it reads. */
struct assigned {
    uint32_t nrow;
    struct key_value *values[CAT_MAX_KEY];
    int variable[CAT_MAX_KEY]; /* NO_COLUMN: values */
    bool unknown;              /* cannot be told */
};

enum { CURSOR_SCROLL = 0x2, CURSOR_HOLD = 0x20 }; /* CURSOR_OPT_* of PostgreSQL 15 */

/* A column as names resolve to it. */
struct outcol {
    const char *name; /* "": has one that is not known here */
    int variable;     /* NO_COLUMN: an expression */
    bool pushable;    /* of a query: a condition on it may be applied to the rows that the query reads */
};

/* Columns in the order SELECT * gives them. */
struct collist {
    struct outcol *cols;
    uint32_t n;
    bool open;    /* there are columns that are not known: no position can be counted, no name ruled out */
    bool unnamed; /* some names are "": no name can be ruled out */
};

/* An item of FROM by the name it is visible under. */
struct entry {
    const char *name, *schema; /* schema: of a table without alias, "" otherwise */
    struct collist list;
    bool hidden; /* behind a join's alias */
};

struct cte {
    struct cte *next;
    struct cte *following; /* of all in the statement */
    const char *name;
    const struct collist *query; /* columns; NULL until it is analysed: a recursive or forward mention */
    bool recursive;
    bool single;                 /* mentioned once in the statement, at most */
    bool used;                   /* mentioned: one that is not is not run at all */
    uint32_t first_occ, end_occ; /* occurrences in its query */
};

/* One query level's names. */
struct scope {
    const struct scope *parent;
    struct entry **entries; /* by name: qualified references */
    uint32_t nentry, entry_cap;
    struct collist *items; /* unqualified references: joins merge columns */
    uint32_t nitem, item_cap;
    struct cte *ctes; /* newest first; outer levels' follow */
};

/* What the statement calls and holds, found by one walk over all of it (opaque.c). */
struct inventory {
    const char *opaque;         /* code that nobody proved or declared harmless: "function a.b()" */
    const char *table_reader;   /* built-in function that runs queries */
    const char *home_function;  /* built-in function that is about one server or has side effects */
    bool locks, unlocks;        /* session advisory locks */
    bool pid;                   /* pg_backend_pid() */
    const char *session;        /* built-in function that leaves state on its connection, or reads it */
    const char *volatile_row;   /* random() ... */
    const char *moment;         /* now() ... */
    const char *moment_literal; /* 'now', 'today' ... */
    const char *system_column;  /* ctid ... */
    const char *each_server;    /* version(), current_setting('port'): every server tells its own */
    const char *oid;            /* tableoid, a cast to regclass ...: numbers that are one server's */
    bool home_writes;           /* a home_function is volatile: it may change something */
    uint32_t nsetting;          /* calls of set_config() */
    uint32_t nlocal;            /* ... that last as long as the transaction, of settings that are like any other */
    bool declared;              /* calls code that was declared safe */
    bool sublink;
    bool locking; /* FOR UPDATE and its kin */
    bool cursor;  /* WHERE CURRENT OF */
    bool tablesample;
    bool reads_shard;     /* regclass and its kin: names and numbers of one server's catalog */
    uint32_t nparam;      /* highest $n */
    uint32_t param_cap;   /* of param_uses */
    bool no_param;        /* there is a number that no parameter can have */
    uint32_t *param_uses; /* by number - 1 */
};

/* A condition of a WHERE that is about one occurrence alone (gather.c). */
struct lone_condition {
    struct lone_condition *next;
    const struct occurrence *occ;
    const PgQuery__Node *where; /* the whole clause */
    uint32_t index, count;      /* which of the conditions joined by AND, and how many there are */
    bool on;                    /* a join's condition, not WHERE's */
    bool goes;                  /* with the table's part, and out of the statement: */
    struct plan_row text;
};

/* The statement's own level if the router can finish what it does: groups, order, DISTINCT, limits (finish.h). */
struct top_level {
    const PgQuery__SelectStmt *query; /* NULL: there is nothing of the kind */
    const struct scope *scope;
    const struct collist *columns; /* of the answer */
    const char *blocker;           /* what it is that no concatenation gives */
    bool grouped;                  /* there are groups or aggregates */
    bool windows;
};

/*
 * A query in FROM or WITH that is no sum, over rows that are one: if all of the statement's tables are in it, it can be
 * finished in the statement's stead, and the rest of the statement runs over what it gives (finish.h).
 */
struct inner_level {
    struct top_level level; /* query NULL: there is none */
    uint32_t first_occ, end_occ;
    bool *linear;          /* of those occurrences, before the level was found to be no sum */
    bool used;             /* the statement is finished by it: `top` is its level */
    uint32_t start, end;   /* the statement, in bytes, */
    uint32_t first, close; /* and what is between the query's brackets */
};

struct sublink_query {
    struct sublink_query *next;
    const PgQuery__SubLink *link;
    struct collist query;
};

struct an {
    const struct plan_input *in;
    struct arena *a;
    struct err *e;
    struct plan *plan;
    const ProtobufCMessage *stmt;
    struct inventory inv;
    struct occurrence **occs;
    uint32_t nocc, occ_cap;
    struct variable *vars;
    uint32_t nvar, var_cap;
    struct edge *edges;
    uint32_t nedge, edge_cap;
    uint32_t tuples;               /* numbers given to facts of row-valued lists */
    uint32_t *param_key_uses;      /* uses as a key value, by number - 1 */
    enum key_type *param_key_type; /* of the first such use */
    struct sublink_query *sublinks;
    struct cte *ctes;
    struct lone_condition *lone;
    struct top_level top;
    struct inner_level inner;
    const char *top_blocker;      /* why the statement's own level is no sum and cannot be finished */
    uint32_t in_lateral;          /* depth of LATERAL queries */
    struct setop *setop;          /* NULL: none is looked at */
    struct arm *arm;              /* the query that is about to be analysed is this one */
    uint32_t arm_first;           /* first occurrence of the arm that is being analysed */
    const char *blocked;          /* why the statement is not a sum over rows; NULL: it may be */
    const char *inner_blocked;    /* the same for a sub-query in FROM that supplies the rows */
    const char *unknown_relation; /* first name that is no table: PostgreSQL's own 42P01 */
    const struct cat_rel *sharded_view;
    bool clock;              /* new rows of an unsharded table may be filled from the clock */
    bool whole;              /* the query is the whole statement, or EXPLAIN's or a cursor's, not the one inside COPY */
    bool sub_limit;          /* a LIMIT below the top level */
    bool locks_top;          /* the statement's own level locks rows, and does not count them */
    bool locks_below;        /* another level does */
    const char *key_unknown; /* why the key of a new row is not known */
    /* Columns of distributed tables that are filled by their default, by how; NULL: none */
    const char *default_sequence, *default_moment, *default_volatile;
    bool failed; /* e is set: a refusal that no proof can lift */
    struct plan_result *out;
    /* Literals whose value the plan depends on, and pairs of them that it compared (rule P12) */
    uint32_t *fixed;
    uint32_t nfixed, fixed_cap;
    uint32_t (*pairs)[2];
    uint32_t npair, pair_cap;
};

/* analyse.c: is it a SELECT (without INTO), INSERT, UPDATE, DELETE or MERGE? */
bool statement_is_query(const PgQuery__Node *stmt);
/*
 * analyse.c: the plan of a SELECT (without INTO), INSERT, UPDATE, DELETE or MERGE, which may be the whole statement or
 * the one inside EXPLAIN, COPY or DECLARE.
 */
MUSTCHECK bool analyse_query(const struct plan_input *in, const PgQuery__Node *stmt, struct arena *scratch,
                             struct plan_result *out, struct err *e);
/* Code that may look at other shards' rows; false with the refusal. Once some table is distributed, it holds for every
 * statement. */
MUSTCHECK bool check_code(struct an *an);
/* A table that carries pgbraid's placement check but is in no row of pgbraid.tables; false with the refusal. */
MUSTCHECK bool check_known(struct an *an);
/* The table is the same on every shard. */
MUSTCHECK bool check_same(struct an *an, const struct cat_rel *rel);

/* opaque.c */
void inventory_take(struct an *an, const ProtobufCMessage *stmt);
/* User code behind an occurrence that may look beyond its row; false with the refusal. */
MUSTCHECK bool hooks_allow(struct an *an, const struct occurrence *occ);
bool function_declared_safe(const struct an *an, const char *name);

/* Occurrences, variables, edges (graph.c) */
struct occurrence *occurrence_new(struct an *an, const struct cat_rel *rel, const char *name, enum use use);
int variable_new(struct an *an, struct variable v);
/* A variable of the same kind, for a derived table's column. */
int variable_derived(struct an *an, int of);
/* The column of an occurrence whose value it has. */
int variable_root(const struct an *an, int v);
void edge_add(struct an *an, int from, int to);
struct fact *fact_new(struct an *an, int variable, enum key_type type, uint32_t nvalue);
/* Count a parameter's use as a value of a key of this type. */
void param_key_use(struct an *an, const struct constant *c, enum key_type type);
/* The statement is not the sum over a table's rows; the first reason is kept. */
void cut_blocked(struct an *an, const char *why);

/* The plan depends on the literal's value, or on whether the two are equal. */
void depend_on_value(struct an *an, uint32_t literal);
void depend_on_pair(struct an *an, uint32_t a, uint32_t b);

/* scope.c: names */
struct scope *scope_new(struct an *an, const struct scope *parent);
struct entry *scope_add(struct an *an, struct scope *s, const char *name);
void scope_push_item(struct an *an, struct scope *s, struct collist item);
/* Variable that a column reference means, or NO_COLUMN. *found: the name is a column that is known here. */
int scope_resolve(const struct scope *s, const PgQuery__ColumnRef *ref, bool *found);
struct cte *scope_cte(const struct scope *s, const PgQuery__RangeVar *rv);
struct outcol *collist_find(const struct collist *l, const char *name, uint32_t *matches);

/* from.c */
struct collist from_item(struct an *an, struct scope *s, const PgQuery__Node *item, bool linear);
struct collist from_table(struct an *an, struct scope *s, const PgQuery__RangeVar *rv, enum use use, bool linear,
                          struct occurrence **occ);

/* Variables numbered from `first` up to `end`: those of some items of FROM. */
struct region {
    int first, end;
};

/*
 * keys.c: a condition that rows must satisfy or be dropped; the rows it drops are those of the region's items. For
 * WHERE and inner joins that is everything the condition can name at its own level, for an outer join the side that is
 * filled with NULLs. Other variables it names, of the kept side or of outer levels, only lead to the region's.
 */
void condition_add(struct an *an, const struct scope *s, struct region dropped, const PgQuery__Node *cond);
void equality_add(struct an *an, struct region dropped, int a, int b);
/* The value of an expression that is stored in a key column. */
bool key_assign(struct an *an, const PgQuery__Node *expr, enum key_type type, struct key_value *out);

/* query.c: query levels */
void query_statement(struct an *an, const struct scope *parent, const PgQuery__Node *stmt, bool linear, bool top,
                     struct collist *out);
void query_select(struct an *an, const struct scope *parent, const PgQuery__SelectStmt *s, bool linear, bool top,
                  struct collist *out);
/* How many columns "*" or "t.*" stands for; 0: cannot be told. */
uint32_t query_star_width(const struct scope *s, const PgQuery__ColumnRef *ref);
/* Visit the sub-queries of an expression. */
void query_expression(struct an *an, const struct scope *s, const PgQuery__Node *expr);
void query_expressions(struct an *an, const struct scope *s, size_t n, PgQuery__Node *const *exprs);
/* What query_expression() found for a sub-query of this level. */
const struct collist *query_of_sublink(const struct an *an, const PgQuery__SubLink *link);
/* WITH: adds its queries to the scope. */
void query_with(struct an *an, struct scope *s, const PgQuery__WithClause *with, bool linear);
void query_targets(struct an *an, const struct scope *s, size_t n, PgQuery__Node *const *targets, struct collist *out);

/* dml.c */
void dml_update(struct an *an, const struct scope *parent, const PgQuery__UpdateStmt *u, bool linear,
                struct collist *out);
void dml_delete(struct an *an, const struct scope *parent, const PgQuery__DeleteStmt *d, bool linear,
                struct collist *out);
void dml_merge(struct an *an, const struct scope *parent, const PgQuery__MergeStmt *m);
/* insert.c */
void insert_statement(struct an *an, const struct scope *parent, const PgQuery__InsertStmt *ins, bool top,
                      struct collist *out);
/* A statement whose only sharded table is the target of several rows of VALUES becomes a PLAN_INSERT. */
MUSTCHECK bool insert_split(struct an *an, const PgQuery__InsertStmt *ins);
/* Are the new rows those of VALUES, and of nothing else? */
bool insert_is_values(const PgQuery__InsertStmt *ins);
/* Where each of its rows is in the text; false: not found. */
MUSTCHECK bool insert_find_rows(const struct plan_input *in, const PgQuery__InsertStmt *ins, struct plan_row *rows);
/* A column is left to its default. Of a table on the home shard it only counts if that is the clock's. */
void default_fills(struct an *an, const struct cat_rel *rel, const struct cat_column *col);
/* The new rows of INSERT actions: exprs[i] is stored in column cols[i]. */
struct occurrence *assign_row(struct an *an, const struct scope *s, const struct cat_rel *rel, size_t ncol,
                              const struct cat_column *const *cols, size_t nrow, PgQuery__Node *const *const *rows,
                              const size_t *nexpr);

/* prove.c: what is known of an occurrence's key, as a class; after prove(). */
void class_of_occurrence(struct an *an, const struct occurrence *occ, struct key_class *out);
/* prove.c: by variable, does it follow `from`? Itself included. In the scratch arena. */
bool *prove_followers(struct an *an, int from);
/* Are rows with equal keys of the two on one shard? */
bool prove_colocated(const struct cat_rel *a, const struct cat_rel *b);
/* prove.c: fill plan->classes and plan->combine for a statement on sharded tables. */
void prove(struct an *an);

#endif
