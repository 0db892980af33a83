/*
 * A client connection: start-up, the statements it sends, its transaction, its settings and prepared statements. It
 * owns no server connection; it holds leases (`held`) for the time of a statement or transaction.
 *
 * States and the functions on the edges:
 *
 *   STARTUP --start-up packet--> AUTH --the client has proved who it is--> LOGIN --canonical environment known,
 * settings verified--> READY READY --message--> READY (answered here) | WAITING (no free connection) | HELD (database
 * is held) | RUNNING READY --a commit while a scattered read takes its snapshots (gate.h)--> HELD --query_hold_commit
 * is over--> READY WAITING --session_granted--> READY again with a lease: the kept bytes are looked at anew (nothing
 * was consumed) RUNNING --ReadyForQuery of the last part: session_run_done--> READY any --Terminate, end of file,
 * protocol violation--> CLOSING
 *
 * Two ways a statement runs. The short way (run): one shard, the client's bytes go out as they are (or with a prepared
 * statement's name replaced) and the answer is relayed as bytes. The long way (exec): several shards, several
 * statements in one string or pipeline, settings, COPY; steps are run one after another.
 *
 * Invariants: (1) while READY nothing of an earlier statement is outstanding on any held connection; (2) tx is what the
 * client was last told by ReadyForQuery, or 'T' inside a batch; (3) held connections outside a transaction exist only
 * while a statement waits or runs, or are pinned; (4) input is consumed only when it has been acted upon.
 */
#ifndef ROUTER_SESSION_SESSION_H
#define ROUTER_SESSION_SESSION_H

#include "base/err.h"
#include "base/hmap.h"
#include "base/list.h"
#include "net/listener.h"
#include "net/stream.h"
#include "planner/plan.h"
#include "router/session/env.h"
#include "router/txn/txn.h"

#include <stdbool.h>
#include <stdint.h>

struct auth;
struct backend;
struct channels;
struct exec;
struct gate_ticket;
struct handshake;
struct pool;
struct poolset;
struct prepared;
struct worker;
struct worker_db;

#define SESSION_STATES(X)                                                                                              \
    X(SESSION_STARTUP, "startup", BIT(SESSION_AUTH) | BIT(SESSION_LOGIN) | BIT(SESSION_CLOSING))                       \
    X(SESSION_AUTH, "authentication", BIT(SESSION_LOGIN) | BIT(SESSION_CLOSING))                                       \
    X(SESSION_LOGIN, "login", BIT(SESSION_READY) | BIT(SESSION_CLOSING))                                               \
    X(SESSION_READY, "idle", BIT(SESSION_WAITING) | BIT(SESSION_HELD) | BIT(SESSION_RUNNING) | BIT(SESSION_CLOSING))   \
    X(SESSION_WAITING, "waiting", BIT(SESSION_READY) | BIT(SESSION_RUNNING) | BIT(SESSION_CLOSING))                    \
    X(SESSION_HELD, "held", BIT(SESSION_READY) | BIT(SESSION_CLOSING))                                                 \
    X(SESSION_RUNNING, "active", BIT(SESSION_READY) | BIT(SESSION_WAITING) | BIT(SESSION_CLOSING))                     \
    X(SESSION_CLOSING, "closing", 0u)

#define SESSION_MAX_PARSE 4u

enum session_state {
#define X(id, name, next) id,
    SESSION_STATES(X)
#undef X
};

struct session {
    struct stream st;
    struct worker *worker; /* borrowed */
    struct list node;      /* worker.sessions */
    struct hmap_node id_node;
    uint32_t id, cancel_key;
    enum session_state state;
    char tx;                 /* 'I', 'T', 'E' */
    bool skip_to_sync;       /* an error in a pipeline: messages up to Sync are discarded */
    bool admin;              /* the console */
    bool ssl_done;           /* an SSLRequest has been answered; another one is an error */
    bool gss_done;           /* the same of a GSSENCRequest */
    bool direct_tls;         /* TLS began without being asked for */
    bool proxied;            /* the PROXY header has been read */
    uint32_t copy_left;      /* bytes of a CopyData message that are to come */
    uint32_t oversized;      /* body's length of a message beyond max_message_size that is skipped */
    uint64_t oversized_left; /* ... bytes of it that are to come; 0: there is none */
    bool counted;            /* among its user's sessions (router/auth/quota.h) */
    bool proved;             /* who it is: what is sent next follows an AuthenticationOk */
    bool service;            /* its connections log in as a service role (server_user): it keeps its own role */
    bool stats_only;         /* the console, for looking only */
    bool in_job;             /* a control thread works for it: no statement of it runs */
    bool quarantine;         /* a held connection may still be hit by a cancel request: nothing is sent (rule P49) */
    bool own_cancel;         /* the router has canceled the running statement: query_timeout, or `deadlock` */
    bool lost_pin;           /* a pinned connection was lost during a commit: the session ends with the statement */
    bool run_extended;       /* the running short-way batch is extended protocol */
    bool run_commit;         /* ... is a COMMIT */
    bool run_aside;          /* ... runs beside the transaction: Parse and Describe (rule P54) */
    char *run_describe;      /* statement that the running batch describes, owned; NULL: none, or an unnamed one */
    uint8_t run_nparse;      /* Parse messages of the running batch whose outcome matters */
    struct {
        uint32_t ordinal; /* which ParseComplete of the batch */
        uint32_t serial;  /* prepared on the connection under this serial; 0: not */
        uint32_t proves;  /* serial that its success proves */
        char *name;       /* the client's statement name, owned; NULL: unnamed */
    } run_parse[SESSION_MAX_PARSE];
    struct worker_db *db;             /* borrowed */
    struct poolset *set;              /* borrowed */
    const struct config_user *limits; /* borrowed from the worker's configuration; NULL: who it is is not proved */
    struct env *env;                  /* owned reference; NULL before READY */
    struct env *told;                 /* environment whose reported settings the client knows; owned reference */
    struct env *login_env;            /* what RESET goes back to; the same */
    struct txn txn;
    struct backend *held; /* leases, linked by next_held */
    uint32_t nheld;
    struct plan *run_plan;  /* plan of the running short-way statement, owned reference */
    struct exec *exec;      /* the running long way, owned; NULL */
    struct list wait;       /* in pool.waiting or worker_db.held_sessions */
    struct pool *wait_pool; /* borrowed; while WAITING */
    uint64_t wait_since_us;
    bool wait_front;                   /* ... among those who hold leases elsewhere */
    void (*resume)(struct session *s); /* after a wait: NULL: look at the input again */
    struct gate_ticket *commit_hold;   /* owned; while the message at the head of the input is held (rule X20) */
    bool commit_held;                  /* ... it has been */
    struct err *deadlock;              /* the statement is the victim of one, and hears this; owned, NULL: none */
    bool deadlock_dooms;               /* ... and has to give its connections back */
    struct hmap statements;            /* named prepared statements */
    struct prepared *unnamed;          /* owned reference */
    struct hmap portals;               /* portals of the transaction that live on a lease */
    uint32_t npiecewise;               /* of them that were fetched in pieces, so far: names on shards */
    size_t scanned;                    /* bytes of kept input already searched for a Sync */
    struct strbuf held_back;           /* of a login: goes out together with what is sent next */
    struct channels *channels;         /* what it listens to; owned; NULL: nothing, nor is it about to */
    struct strbuf notices;             /* notifications that wait for the end of the transaction */
    uint64_t since_us;                 /* connected */
    uint64_t active_us;                /* start of the current statement, or end of the last */
    uint64_t queries;
    char *user, *database, *application; /* owned */
    struct auth *auth;                   /* while in SESSION_AUTH; owned */
    struct handshake *handshake;         /* while TLS begins; owned */
    char *startup;                       /* start-up parameters until READY; owned */
    size_t startup_len;
    struct listener_peer peer;
};

const char *session_state_name(enum session_state state);
void session_set_state(struct session *s, enum session_state next);

/* A new client; owns fd. */
void session_accept(struct worker *w, int fd, const struct listener_peer *peer);
/* Give up everything held and close; freed at the end of the turn. */
void session_close(struct session *s);
/* FATAL error, then close. */
void session_fatal(struct session *s, const struct err *e);
/* ... of a protocol violation. */
void session_fatal_protocol(struct session *s, const char *what);

/* A lease that was waited for has come; it is in `held`. */
void session_granted(struct session *s);
/* The wait ended with an error. */
void session_refused(struct session *s, const struct err *e);
/* The database is no longer held, or its catalog has come. */
void session_released(struct session *s);

struct session *session_find(const struct worker *w, uint32_t id);
/* Has the message whose five header bytes these are a length that its type may have? */
bool session_frame_ok(const struct session *s, const char *header);
/* Look at kept input again. */
void session_continue(struct session *s);
/* ... at the end of this loop turn: when something on the stack still works for the session. */
void session_continue_later(struct session *s);

/* Bytes to the client. */
void session_send(struct session *s, const void *data, size_t len);
/* Bytes that go out in front of the next that are sent. */
void session_hold_back(struct session *s, const void *data, size_t len);
/* ErrorResponse; outside the extended protocol's skip rule followed by ReadyForQuery by the caller. Marks an open
 * transaction failed. */
void session_error(struct session *s, const struct err *e);
void session_ready(struct session *s);
/* ReadyForQuery, before it ParameterStatus of what has changed, appended to `out`. */
/* ParameterStatus of what has changed since the client was last told; status: the transaction's, as in ReadyForQuery.
 */
void session_put_changes(struct session *s, char status, struct strbuf *out);
void session_put_ready(struct session *s, struct strbuf *out);

/* Backend side. ReadyForQuery of a short-way statement came: tx is its status. */
void session_run_done(struct session *s, struct backend *b);
/* A server connection can take more, or its client can: reading may go on. */
void session_backend_drained(struct session *s);
/* A leased server connection was lost. */
void session_backend_lost(struct session *s, struct backend *b, const struct err *e);
/* The database is held, and the statement shall wait no longer. */
void session_refuse_held(struct session *s, const struct err *e);
/* Is a server's error of this state the answer to our own cancel request? Then *e says why. */
bool session_own_cancel(struct session *s, const char *sqlstate, struct err *e);
/* The client asked to cancel what runs. */
void session_cancel(struct session *s);
/* The router does: the client hears *e. */
void session_cancel_as(struct session *s, const struct err *e);
/* A cancel request may still hit what is sent now (rule P49); what that waits for has been started, and ends with
 * session_unquarantine(). */
MUSTCHECK bool session_quarantined(struct session *s);
/* The last cancel request to one of its connections is done. */
void session_unquarantine(struct session *s);

/* Leases. */
struct backend *session_lease_of(const struct session *s, const struct pool *p);
void session_hold(struct session *s, struct backend *b);
void session_unhold(struct session *s, struct backend *b);
/* Give all leases back, but for those that the session keeps (router/server/pin.h). */
void session_release(struct session *s);
/* The transaction is over everywhere: forget it and give all leases back. committed: settings stay. */
void session_end_transaction(struct session *s, bool committed);

#endif
