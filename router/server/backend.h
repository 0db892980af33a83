/*
 * A server connection of one worker's pool: opened by libpq in a helper thread, then spoken to in raw messages.
 *
 * What the server is going to answer is known in advance: everything sent is accompanied by an entry in the
 * connection's queue of expectations, and frames are dealt with as the head of that queue says:
 *
 *   EXPECT_PREFIX   answers to commands put before a statement (BEGIN, settings, SAVEPOINT): swallowed until `count`
 *                   CommandCompletes have come. An error ends the prefix, goes to the client, and the server skips what
 *                   follows up to the Sync (rule P47).
 *   EXPECT_PARSE    the answer to a Parse that the client did not send now: one ParseComplete is swallowed.
 *   EXPECT_RELAY    frames go to the client as they are, ReadyForQuery included, which ends the entry.
 *   EXPECT_EXEC     frames go to the session's exec (several parts, or settings being read back); ReadyForQuery ends
 * it. EXPECT_INTERNAL nobody's client: checks, resets, rollbacks. Swallowed up to ReadyForQuery; `fn` is told.
 *
 * Invariants: (1) a connection is in exactly one of: connecting, idle in its pool, leased to one session, being
 * cleaned, closing; backend_set_state() is the only writer. (2) An idle connection has no expectation, status 'I' and
 * no cancel in flight (rule P49). (3) env is what the server's settings are if its transaction rolls back, env_next if
 * it commits.
 */
#ifndef ROUTER_SERVER_BACKEND_H
#define ROUTER_SERVER_BACKEND_H

#include "base/err.h"
#include "base/hmap.h"
#include "base/list.h"
#include "net/pgconn.h"
#include "net/stream.h"
#include "router/server/kept.h"
#include "router/session/env.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct session;
struct prepared;
struct hub;

#define BACKEND_STATES(X)                                                                                              \
    X(BACKEND_CONNECTING, "connecting", BIT(BACKEND_IDLE) | BIT(BACKEND_CLOSING))                                      \
    X(BACKEND_IDLE, "idle", BIT(BACKEND_LEASED) | BIT(BACKEND_CLEANING) | BIT(BACKEND_CLOSING))                        \
    X(BACKEND_LEASED, "active",                                                                                        \
      BIT(BACKEND_IDLE) | BIT(BACKEND_LEASED) | BIT(BACKEND_CLEANING) | BIT(BACKEND_CLOSING))                          \
    X(BACKEND_CLEANING, "cleaning", BIT(BACKEND_IDLE) | BIT(BACKEND_LEASED) | BIT(BACKEND_CLOSING))                    \
    X(BACKEND_CLOSING, "closing", 0u)

enum backend_state {
#define X(id, name, next) id,
    BACKEND_STATES(X)
#undef X
};

enum expect_kind { EXPECT_NONE, EXPECT_PREFIX, EXPECT_PARSE, EXPECT_RELAY, EXPECT_EXEC, EXPECT_INTERNAL };

struct backend;
typedef void backend_internal_fn(struct backend *b, bool ok);

struct expect {
    uint8_t kind;            /* enum expect_kind */
    bool send_sync;          /* EXPECT_PREFIX before a simple Query: on error a Sync must be sent to be heard again */
    bool failed;             /* EXPECT_INTERNAL: an error was seen */
    uint32_t count;          /* EXPECT_PREFIX: CommandCompletes still to come; EXPECT_PARSE: Parse and CloseCompletes */
    uint32_t serial;         /* EXPECT_PARSE: the statement being prepared */
    backend_internal_fn *fn; /* EXPECT_INTERNAL */
};

#define BACKEND_MAX_EXPECT 12u

/* A lock taken after a savepoint goes when that is rolled back to. */
enum announced { ANNOUNCED_NOT, ANNOUNCED_IN_SAVEPOINT, ANNOUNCED };

struct backend {
    struct stream st;
    struct pgconn *conn; /* owned; NULL while connecting */
    struct pool *pool;   /* borrowed; outlives it */
    struct list node;    /* pool's list of all */
    struct list idle;    /* pool's idle list while BACKEND_IDLE */
    enum backend_state state;
    struct session *session;   /* borrowed; while leased */
    struct backend *next_held; /* the session's next lease */
    uint32_t part;             /* index of the exec part that it runs */
    char tx;                   /* 'I', 'T' or 'E': from the last ReadyForQuery */
    bool begun;                /* the session's transaction was begun here */
    uint8_t announced;         /* ... and told which transaction it is: enum announced */
    bool wrote;                /* a statement that may write ran in this transaction */
    bool unpreparable;         /* ... and may have done what PostgreSQL cannot prepare */
    bool failed;               /* ErrorResponse since the last ReadyForQuery */
    bool rolled_back;          /* the last command tag was ROLLBACK */
    bool lost;                 /* the transaction that the last ReadyForQuery ended was rolled back */
    uint8_t pins;              /* why the session keeps it: enum plan_pin (router/server/pin.h) */
    bool pin_check;            /* ... perhaps no longer */
    bool dirty;                /* settings may have changed behind us: reset before reuse */
    uint8_t cancels;           /* cancel requests in flight */
    bool suspect;              /* ... or not yet proved to hit nothing any more (rule P49) */
    bool cancel_wanted;        /* the running statement is to be canceled; a request that comes too early is lost */
    bool abandoned;            /* its client has gone: what comes is dropped, then it is closed */
    uint8_t retries;           /* cancel requests repeated so far */
    uint64_t cancel_us;        /* when the last one was sent */
    uint8_t nexpect;
    struct expect expect[BACKEND_MAX_EXPECT]; /* [0] is the head */
    uint64_t frame_left;                      /* bytes of a frame relayed in pieces that are still to come */
    bool frame_dropped;                       /* ... but nobody wants them */
    struct env *env, *env_next;               /* owned references */
    struct hmap statements;                   /* prepared on this connection, by serial */
    struct list statement_lru;                /* most recently used first */
    uint32_t nstatement;
    struct kept kept;       /* temporary tables of gathered statements */
    bool oids_mapped;       /* in the frame at the head, which has not been consumed yet */
    bool shape_next;        /* ParameterDescription was relayed: what follows describes a statement */
    uint64_t internal_rows; /* of the last statement on nobody's behalf */
    uint32_t nparsed;       /* ParseCompletes relayed for the running batch */
    uint64_t opened_us, used_us;
    uint64_t queries;
    struct hub *hub;     /* borrowed; it hears notifications and belongs to no session; NULL: an ordinary one */
    struct pool *heir;   /* borrowed; being cleaned for a pool of another worker */
    char *fatal;         /* the server's last FATAL message, owned; NULL: none */
    char fatal_state[6]; /* its SQLSTATE */
};

const char *backend_state_name(enum backend_state state);
void backend_set_state(struct backend *b, enum backend_state next);

/* A connection that libpq has opened: takes ownership of conn. The worker's loop thread, as all of this header. */
struct backend *backend_new(struct pool *p, struct pgconn *conn);
/* Close and free at the end of the turn; out of all lists. */
void backend_close(struct backend *b);

/*
 * A ParameterStatus came with a statement's answer. False: it repeats what the router replayed here, the client is not
 * told. True: a setting changed behind the router's back; the connection is reset before another client gets it.
 */
bool backend_note_parameter(struct backend *b, struct span body);

/* Give the connection up without closing it, for another worker; frees b at the end of the turn. Idle servers only. */
struct pgconn *backend_detach(struct backend *b);

/*
 * Ask the server to cancel what runs; in a helper thread. A cancel hits whatever runs when it arrives, so until its
 * connection has closed and a round trip has been answered nothing else may be sent: neither by the session, which is
 * kept back (session_quarantined), nor by another one (pool_release).
 */
void backend_cancel(struct backend *b);
/* Ask again for what still runs although it was to be canceled. */
void backend_tick(struct backend *b, uint64_t now_us);
/*
 * The client has gone while something runs here. A server notices a closed connection only when it next reads or
 * writes, so the statement is canceled (if wanted), and the connection is closed when it has ended, or after a while.
 */
void backend_abandon(struct backend *b, bool cancel);
/* The round trip: fn hears when it is answered, and the connection is no longer suspect. No cancel may be in flight. */
void backend_prove_quiet(struct backend *b, backend_internal_fn *fn);

/* A Parse message; the types' ids are the client's, and are made this shard's (rule P37). */
void backend_put_parse(const struct backend *b, struct strbuf *out, struct span name, struct span sql,
                       const char *types, uint16_t ntype);
/* Expect `count` Parse and CloseCompletes nobody asked for, the last one of preparing `serial`. */
void backend_expect_parse(struct backend *b, uint32_t serial, uint32_t count);
/* Queue an expectation; the matching bytes are written by the caller. */
struct expect *backend_expect(struct backend *b, enum expect_kind kind);
/* Has the client got the beginning of a frame whose rest is still to come? */
bool backend_in_frame(const struct backend *b);
/* The head expectation has been answered to its end. */
void backend_expect_done(struct backend *b);
/* Send a simple statement on nobody's behalf; fn hears whether it succeeded. */
void backend_internal(struct backend *b, const char *sql, backend_internal_fn *fn);

/* Is the statement prepared here? Notes the use. */
bool backend_has_statement(struct backend *b, uint32_t serial);
/* Note that it is being prepared; closes the least recently used one (appending Close to `out`) beyond the limit.
 * Returns how many closes were appended. */
uint32_t backend_add_statement(struct backend *b, uint32_t serial, uint32_t limit, struct strbuf *out);
void backend_forget_statement(struct backend *b, uint32_t serial);
/* All of them: the server has discarded them. */
void backend_forget_statements(struct backend *b);

#endif
