/*
 * Of a plan: what the router does for the session (plan.h).
 */
#ifndef PLANNER_PLAN_SESSION_H
#define PLANNER_PLAN_SESSION_H

#include "planner/modes.h"

#include <stdbool.h>
#include <stdint.h>

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
    SESSION_SET_CONFIG, /* SELECT set_config('name', value, boolean), ...: sets; answers a row */
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

/* A call of set_config(). */
struct plan_setting {
    const char *name;    /* NULL: it is a parameter's value */
    uint32_t name_param; /* ... this one's */
    const char *column;  /* the name of its column in the answer */
    const char *value;   /* of a setting that needs_value() (utility_set.c): the constant; NULL: none */
    uint32_t param;      /* the value is this parameter; 0: it is in the text */
    uint32_t literal;    /* ... as the literal of this number; UINT32_MAX: it is NULL */
    bool local;          /* until the end of the transaction */
};

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
    /* SESSION_SET_CONFIG: the calls, in order, no name twice. What is said of a single one stands above and below, too.
     */
    uint32_t nset;
    const struct plan_setting *sets;
    uint32_t param;     /* the value is this parameter; 0: it is in the text */
    const char *column; /* the answered column's name */
    bool hold, scroll;  /* SESSION_DECLARE: WITH HOLD; backwards, too */
    bool move;          /* SESSION_FETCH: no rows are given */
    uint64_t count;     /* ... so many rows forward; UINT64_MAX: all; 0: another direction */
    /* SESSION_PREPARE: declared parameter types (0: to be inferred), and where in the text the statement begins. */
    uint32_t ntype, from;
    const uint32_t *types;
    /* SESSION_EXECUTE: the arguments; how many bytes of the text are EXPLAIN and its options (0: plain EXECUTE). */
    uint32_t narg, explain;
    const struct execute_arg *args;
};

#endif
