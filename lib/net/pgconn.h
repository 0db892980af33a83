/*
 * Connections to PostgreSQL opened by libpq in helper threads (a SCRAM login burns 3 ms of CPU: never on a loop), then
 * taken over as raw sockets. See the facts in docs/design: socket numbers change while connecting, a partial message
 * must not stay in libpq's buffer (the first raw exchange, done here in the helper thread, is a Sync answered by
 * exactly one ReadyForQuery), PQfinish may block.
 */
#ifndef NET_PGCONN_H
#define NET_PGCONN_H

#include "base/err.h"
#include "net/loop.h"

struct connector;
struct pgconn;

/* nthread helper threads with one bounded queue. */
struct connector *connector_new(unsigned nthread);
/* Waits for running jobs; queued ones are answered with an error first. */
/*
 * End the threads, after what has been asked for: its answers are posted then. Afterwards nothing is opened any more,
 * and the caller's thread closes and cancels. To be called while the loops that asked still exist.
 */
void connector_stop(struct connector *c);
void connector_free(struct connector *c);

struct pgconn_target {
    const char *conninfo;         /* libpq conninfo or URI of the shard's database */
    const char *user;             /* overrides conninfo's; NULL: keep */
    const char *password;         /* NULL: conninfo's, or libpq's passfile */
    const char *options;          /* GUCs as "-c name=value ...", escaped; NULL: none */
    const char *application_name; /* fallback_application_name; may be NULL */
    uint32_t timeout_ms;
};

/* Called on the loop's thread, exactly once: conn on success (owned by the callee), else NULL and the error. */
typedef void pgconn_done_fn(void *arg, struct pgconn *conn, const struct err *e);

/* Open a connection; strings are copied. On failure the error is the server's (sqlstate kept) or PB0301. Any loop
 * thread. */
void connector_open(struct connector *c, struct loop *l, const struct pgconn_target *t, pgconn_done_fn *fn, void *arg);

/* The raw socket: non-blocking, CLOEXEC, NODELAY, KEEPALIVE; still owned by the pgconn. The caller may not close it. */
int pgconn_fd(const struct pgconn *c);
/* The connection's TLS (an OpenSSL SSL, owned by the pgconn), for tls_borrow; NULL: plain. */
void *pgconn_ssl(const struct pgconn *c);
uint32_t pgconn_pid(const struct pgconn *c);       /* server process id */
int pgconn_server_version(const struct pgconn *c); /* 150020 */
/* Value of a ParameterStatus at connect time, NULL if the server did not report it. Borrowed. */
const char *pgconn_parameter(const struct pgconn *c, const char *name);
/* The names pgconn_parameter may know, NULL-terminated, in the order PostgreSQL reports them. */
extern const char *const pgconn_parameter_names[];

/* Send a cancel request for whatever the connection runs, in a helper thread; done(arg) on the loop when the cancel
   connection has closed. `conn` must stay open until then. */
void connector_cancel(struct connector *c, struct loop *l, struct pgconn *conn, void (*done)(void *arg), void *arg);
/* Close: takes ownership, does not block (Terminate is sent if it can be, PQfinish runs in a helper thread). The stream
   on its fd has been given up with stream_forget before. */
void connector_close(struct connector *c, struct pgconn *conn);

/* Blocking connect on the calling thread, for workflow and control threads and the CLI: returns a libpq connection
 * wrapped the same way, or NULL. */
MUSTCHECK struct pgconn *pgconn_open_blocking(const struct pgconn_target *t, struct err *e);
void pgconn_close_blocking(struct pgconn *c);
/* Notices and warnings of such a connection go to fn, the message alone; without it they are ignored. */
void pgconn_on_notice(struct pgconn *c, void (*fn)(void *arg, const char *message), void *arg);

/* Blocking query on such a connection. Rows come as text; on failure the error is the server's own. */
struct pgresult; /* owned by the caller */
MUSTCHECK struct pgresult *pgconn_query(struct pgconn *c, const char *sql, struct err *e);
/* The same with text parameters ($1 ...); NULL pointers are SQL NULL. */
MUSTCHECK struct pgresult *pgconn_query_params(struct pgconn *c, const char *sql, int n, const char *const *values,
                                               struct err *e);
/* ... but not for longer: NULL and PB0602 when timeout_ms have passed; the connection is of no use then. */
MUSTCHECK struct pgresult *pgconn_query_within(struct pgconn *c, const char *sql, int n, const char *const *values,
                                               uint32_t timeout_ms, struct err *e);
int pgresult_rows(const struct pgresult *r);
int pgresult_columns(const struct pgresult *r);
const char *pgresult_column_name(const struct pgresult *r, int column); /* borrowed */
/* NULL for SQL NULL. Borrowed. */
const char *pgresult_value(const struct pgresult *r, int row, int column);
size_t pgresult_length(const struct pgresult *r, int row, int column);
const char *pgresult_tag(const struct pgresult *r); /* command tag */
void pgresult_free(struct pgresult *r);             /* NULL is fine */

/* COPY on such a connection: after pgconn_query returned for COPY ... TO STDOUT / FROM STDIN. */
/* Next chunk: 1 with *data (free with pgconn_copy_free), 0 at the end, -1 error. */
int pgconn_copy_read(struct pgconn *c, char **data, struct err *e);
void pgconn_copy_free(char *data);
MUSTCHECK bool pgconn_copy_write(struct pgconn *c, const char *data, size_t len, struct err *e);
MUSTCHECK bool pgconn_copy_end(struct pgconn *c, struct err *e);
/* conninfo parses as libpq would: PB0402 with libpq's reason. */
MUSTCHECK bool pgconn_check_conninfo(const char *conninfo, struct err *e);

#endif
