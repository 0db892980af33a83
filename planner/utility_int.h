/*
 * What the files of the utility planner share.
 */
#ifndef PLANNER_UTILITY_INT_H
#define PLANNER_UTILITY_INT_H

#include "planner/analyse.h"
#include "planner/tree.h"

/* COPY (utility_copy.c). */
MUSTCHECK bool utility_copy_plan(const struct plan_input *in, const PgQuery__CopyStmt *c, struct arena *scratch,
                                 struct plan_result *out, struct err *e);

/* SET, RESET, SHOW and calls of set_config() (utility_set.c). */
MUSTCHECK bool utility_set_plan(const PgQuery__VariableSetStmt *set, struct plan_result *out, struct err *e);
MUSTCHECK bool utility_show_plan(const PgQuery__VariableShowStmt *show, struct plan_result *out);
/* Modes as BEGIN and SET TRANSACTION name them, into *m; PB0313 when they contradict each other. */
MUSTCHECK bool utility_take_modes(size_t n, PgQuery__Node *const *options, struct txn_modes *m, struct err *e);
/* Is it SELECT set_config(name, ...) FROM pg_settings WHERE name = '...'? It has one target, a function's call. */
bool utility_setting_row(const PgQuery__SelectStmt *q);
/* A string constant, NULL if it is none; *index: its literal. */
const char *utility_string(const struct plan_input *in, const PgQuery__Node *n, uint32_t *index);
/* Does this call of set_config() end with the transaction, and is its setting one that the router need not know? */
bool utility_sets_locally(const struct plan_input *in, const PgQuery__FuncCall *f);
/* Every target is a call. False without an error when one is not one that the router can carry out: then *declined is
 * set. */
MUSTCHECK bool utility_set_config_plan(const struct plan_input *in, const PgQuery__SelectStmt *q, struct arena *scratch,
                                       struct plan_result *out, bool *declined, struct err *e);

/*
 * The query in EXPLAIN or COPY, from byte start to end, as if it stood alone: the rest of the text is blanks, so that
 * every place is where it is in the statement. The text is in scratch.
 */
struct plan_input utility_query_alone(const struct plan_input *in, uint32_t start, uint32_t end, struct arena *scratch);
/* A text made from that one gets back what was around the query. */
void utility_query_frame(struct plan *p, struct span sql, uint32_t start, uint32_t end);

/* PREPARE and EXECUTE (utility_prepare.c). */
MUSTCHECK bool utility_prepare_plan(const struct plan_input *in, const PgQuery__PrepareStmt *stmt,
                                    struct plan_result *out, struct err *e);
MUSTCHECK bool utility_execute_plan(const struct plan_input *in, const PgQuery__ExecuteStmt *stmt,
                                    struct plan_result *out, struct err *e);
MUSTCHECK bool utility_explain_execute_plan(const struct plan_input *in, const PgQuery__ExecuteStmt *stmt,
                                            struct plan_result *out, struct err *e);

/* EXPLAIN (utility_explain.c). */
MUSTCHECK bool utility_explain_plan(const struct plan_input *in, const PgQuery__ExplainStmt *x, struct arena *scratch,
                                    struct plan_result *out, struct err *e);

/* DECLARE, FETCH, MOVE and CLOSE (utility_cursor.c). */
MUSTCHECK bool utility_declare_plan(const struct plan_input *in, const PgQuery__DeclareCursorStmt *stmt,
                                    struct arena *scratch, struct plan_result *out, struct err *e);
MUSTCHECK bool utility_fetch_plan(const PgQuery__FetchStmt *stmt, struct plan_result *out);
MUSTCHECK bool utility_close_plan(const PgQuery__ClosePortalStmt *stmt, struct plan_result *out);

/* An option's value as PostgreSQL's defGetString() reads it; "" for none. The text is in scratch or in the tree. */
const char *def_string(const PgQuery__DefElem *d, struct arena *scratch);
/* ... as defGetBoolean() reads it; what is not a boolean is false, PostgreSQL says so. */
bool def_boolean(const PgQuery__DefElem *d, struct arena *scratch);

/* A PLAN_SESSION in *out; name (may be NULL) is copied. */
struct plan_session *session_plan(struct plan_result *out, enum session_verb verb, const char *name);

#endif
