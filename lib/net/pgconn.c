/*
 * Connections opened by libpq. What a connection is after libpq has logged in: its socket is ours, libpq's own state
 * goes stale, and libpq is asked again only to cancel and to close.
 */
#include "net/pgconn.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/pgconn_int.h"
#include "net/tls.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *const pgconn_parameter_names[] = { "application_name",
                                               "client_encoding",
                                               "DateStyle",
                                               "default_transaction_read_only",
                                               "in_hot_standby",
                                               "integer_datetimes",
                                               "IntervalStyle",
                                               "is_superuser",
                                               "server_encoding",
                                               "server_version",
                                               "session_authorization",
                                               "standard_conforming_strings",
                                               "TimeZone",
                                               NULL };

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

/* "FATAL:  28P01: password ..." (verbose errors): take the SQLSTATE and the first line apart. */
static void error_from_message(struct err *e, const char *message)
{
    const char *p = strstr(message, "FATAL:  ");
    const char *end;
    char state[6] = "";

    if (!p)
        p = strstr(message, "ERROR:  ");
    if (p && strlen(p) > 15 && p[13] == ':' && strspn(p + 8, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= 5) {
        memcpy(state, p + 8, 5);
        p += 15;
    } else {
        p = message;
    }
    end = strchr(p, '\n');
    err_set(e, PB0301, "%.*s", end ? (int)(end - p) : (int)strlen(p), p);
    if (state[0]) {
        err_state(e, state);
        e->id = ERR_NONE;
    }
}

static void conn_error(struct err *e, PGconn *pg)
{
    error_from_message(e, PQerrorMessage(pg));
}

/* --- connecting --- */

/* A peer that has gone without a word is noticed after a minute (rule X10), unless the conninfo has its own times. */
static const char *const tcp_defaults[][2] = {
    { "keepalives_idle", "30" },
    { "keepalives_interval", "10" },
    { "keepalives_count", "3" },
    { "tcp_user_timeout", "60000" },
};

static PGconn *start(const struct pgconn_target *t)
{
    const char *keys[16], *values[16];
    int n = 0;
    PGconn *pg;

    for (size_t i = 0; i < ARRAY_LEN(tcp_defaults); i++) {
        keys[n] = tcp_defaults[i][0];
        values[n++] = tcp_defaults[i][1];
    }
    keys[n] = "dbname"; /* expanded: conninfo overrides earlier keys, later ones override it */
    values[n++] = t->conninfo;
    if (t->user) {
        keys[n] = "user";
        values[n++] = t->user;
    }
    if (t->password) {
        keys[n] = "password";
        values[n++] = t->password;
    }
    if (t->options && t->options[0]) {
        keys[n] = "options";
        values[n++] = t->options;
    }
    if (t->application_name) {
        keys[n] = "fallback_application_name";
        values[n++] = t->application_name;
    }
    keys[n] = "gssencmode";
    values[n++] = "disable";
    keys[n] = NULL;
    values[n] = NULL;
    pg = PQconnectStartParams(keys, values, 1);
    if (pg) {
        PQsetNoticeProcessor(pg, ignore_notice, NULL);
        PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
    }
    return pg;
}

/* Wait for the socket until the deadline. False: it has passed. */
static bool wait_for(int fd, short events, uint64_t deadline_us)
{
    struct pollfd p = { .fd = fd, .events = events };

    for (;;) {
        uint64_t now = clock_mono_us();
        int rc;

        if (now >= deadline_us)
            return false;
        rc = poll(&p, 1, (int)((deadline_us - now) / 1000 + 1));
        if (rc > 0)
            return true;
        if (rc < 0 && errno != EINTR)
            return true; /* libpq will say what is wrong */
    }
}

static PGconn *login(const struct pgconn_target *t, uint64_t deadline_us, struct err *e)
{
    PGconn *pg = start(t);
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    if (!pg) {
        err_set(e, PB0301, "out of memory in libpq");
        return NULL;
    }
    while (PQstatus(pg) != CONNECTION_BAD && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        if (!wait_for(PQsocket(pg), status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_us)) {
            err_set(e, PB0301, "connection timed out after %u ms", t->timeout_ms);
            err_detail(e, "Host %s, port %s.", PQhost(pg) ? PQhost(pg) : "?", PQport(pg) ? PQport(pg) : "?");
            PQfinish(pg);
            return NULL;
        }
        status = PQconnectPoll(pg); /* may close its socket and open another with the same number */
    }
    if (status != PGRES_POLLING_OK || PQstatus(pg) != CONNECTION_OK) {
        conn_error(e, pg);
        PQfinish(pg);
        return NULL;
    }
    return pg;
}

struct pgconn *pgconn_login(const struct pgconn_target *t, struct err *e)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)(t->timeout_ms ? t->timeout_ms : 15000u) * 1000u;
    PGconn *pg = login(t, deadline, e);
    struct pgconn *c;

    if (!pg)
        return NULL;
    c = mem_zalloc(sizeof(*c));
    c->pg = pg;
    c->pid = (uint32_t)PQbackendPID(pg);
    return c;
}

/*
 * The first raw exchange: Sync must be answered by exactly one ReadyForQuery. Anything else in the stream means that
 * libpq has kept part of a message to itself.
 */
static bool first_exchange(struct pgconn *c, struct tls *tls, uint64_t deadline_us, struct err *e)
{
    static const char sync[] = { 'S', 0, 0, 0, 4 };
    static const char ready[] = { 'Z', 0, 0, 0, 5, 'I' };
    char answer[sizeof(ready) + 1];
    size_t got = 0;
    int fd = PQsocket(c->pg);
    ssize_t n = tls ? tls_send(tls, sync, sizeof(sync)) : send(fd, sync, sizeof(sync), MSG_NOSIGNAL);

    if (n != (ssize_t)sizeof(sync))
        return err_set(e, PB0301, "the connection broke right after login");
    while (got < sizeof(ready)) {
        size_t room = sizeof(answer) - got;

        /* TLS may have read it already: asked first, waited for afterwards. */
        n = tls ? tls_recv(tls, answer + got, room) : recv(fd, answer + got, room, MSG_DONTWAIT);
        if (n > 0)
            got += (size_t)n;
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return err_set(e, PB0301, "the connection broke right after login");
        else if (!wait_for(fd, POLLIN, deadline_us))
            return err_set(e, PB0301, "the server did not answer after login");
    }
    if (got != sizeof(ready) || memcmp(answer, ready, sizeof(ready)) != 0)
        return err_set(e, PB0301, "the server sent something unexpected after login");
    return true;
}

bool pgconn_take_over(struct pgconn *c, uint32_t timeout_ms, struct err *e)
{
    void *ssl = pgconn_ssl(c);
    struct tls *tls;
    bool ok;

    if (PQsetnonblocking(c->pg, 1) != 0)
        return err_set(e, PB0301, "the connection broke right after login");
    tls = ssl ? tls_borrow(ssl) : NULL;
    ok = first_exchange(c, tls, clock_mono_us() + (uint64_t)timeout_ms * 1000u, e);
    tls_free(tls);
    return ok;
}

void pgconn_finish(struct pgconn *c)
{
    if (!c)
        return;
    if (c->raw) {
        /* PQfinish must not wait for room to say goodbye: say it here if there is room, and shut the door. */
        static const char terminate[] = { 'X', 0, 0, 0, 4 };
        int fd = PQsocket(c->pg);

        if (fd >= 0) {
            if (pgconn_ssl(c)) {
                struct tls *tls = tls_borrow(pgconn_ssl(c));

                (void)tls_send(tls, terminate, sizeof(terminate));
                tls_free(tls);
            } else {
                (void)!send(fd, terminate, sizeof(terminate), MSG_NOSIGNAL | MSG_DONTWAIT);
            }
            shutdown(fd, SHUT_RDWR);
        }
    }
    PQfinish(c->pg);
    free(c);
}

int pgconn_fd(const struct pgconn *c)
{
    return PQsocket(c->pg);
}

void *pgconn_ssl(const struct pgconn *c)
{
    return PQsslInUse(c->pg) ? PQsslStruct(c->pg, "OpenSSL") : NULL;
}

uint32_t pgconn_pid(const struct pgconn *c)
{
    return c->pid;
}

int pgconn_server_version(const struct pgconn *c)
{
    return PQserverVersion(c->pg);
}

const char *pgconn_parameter(const struct pgconn *c, const char *name)
{
    return PQparameterStatus(c->pg, name);
}

bool pgconn_check_conninfo(const char *conninfo, struct err *e)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);

    if (options) {
        PQconninfoFree(options);
        return true;
    }
    err_set(e, PB0402, "invalid conninfo");
    if (message) {
        size_t n = strlen(message);

        err_detail(e, "%.*s", (int)(n && message[n - 1] == '\n' ? n - 1 : n), message);
    }
    err_hint(e, "Write it as libpq does: host=10.0.0.1 port=5432 dbname=shop");
    PQfreemem(message);
    return false;
}

/* --- blocking use --- */

struct pgconn *pgconn_open_blocking(const struct pgconn_target *t, struct err *e)
{
    return pgconn_login(t, e);
}

void pgconn_close_blocking(struct pgconn *c)
{
    pgconn_finish(c);
}

static void receive_notice(void *arg, const PGresult *res)
{
    const struct pgconn *c = arg;
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    if (message)
        c->on_notice(c->notice_arg, message);
}

void pgconn_on_notice(struct pgconn *c, void (*fn)(void *arg, const char *message), void *arg)
{
    c->on_notice = fn;
    c->notice_arg = arg;
    PQsetNoticeReceiver(c->pg, receive_notice, c);
}

struct pgresult *pgconn_wrap_result(struct pgconn *c, void *pg_result, struct err *e)
{
    PGresult *res = pg_result;
    ExecStatusType status = PQresultStatus(res);

    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY ||
        status == PGRES_COPY_IN || status == PGRES_COPY_OUT) {
        struct pgresult *r = mem_zalloc(sizeof(*r));

        r->res = res;
        return r;
    }
    if (res && PQresultErrorField(res, PG_DIAG_SQLSTATE)) {
        const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
        const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);

        err_set(e, PB0602, "%s", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
        err_state(e, PQresultErrorField(res, PG_DIAG_SQLSTATE));
        e->id = ERR_NONE;
        if (detail)
            err_detail(e, "%s", detail);
        if (hint)
            err_hint(e, "%s", hint);
    } else {
        conn_error(e, c->pg);
    }
    PQclear(res);
    return NULL;
}

struct pgresult *pgconn_query(struct pgconn *c, const char *sql, struct err *e)
{
    return pgconn_wrap_result(c, PQexec(c->pg, sql), e);
}

struct pgresult *pgconn_query_params(struct pgconn *c, const char *sql, int n, const char *const *values, struct err *e)
{
    return pgconn_wrap_result(c, PQexecParams(c->pg, sql, n, NULL, values, NULL, NULL, 0), e);
}

struct pgresult *pgconn_query_within(struct pgconn *c, const char *sql, int n, const char *const *values,
                                     uint32_t timeout_ms, struct err *e)
{
    uint64_t deadline = clock_mono_us() + (uint64_t)timeout_ms * 1000u;
    PGresult *first, *more;

    if (!PQsendQueryParams(c->pg, sql, n, NULL, values, NULL, NULL, 0)) {
        conn_error(e, c->pg);
        return NULL;
    }
    while (PQisBusy(c->pg)) {
        if (!wait_for(PQsocket(c->pg), POLLIN, deadline)) {
            err_set(e, PB0602, "the server did not answer within %u ms", timeout_ms);
            return NULL;
        }
        if (!PQconsumeInput(c->pg)) {
            conn_error(e, c->pg);
            return NULL;
        }
    }
    first = PQgetResult(c->pg);
    while ((more = PQgetResult(c->pg)))
        PQclear(more);
    return pgconn_wrap_result(c, first, e);
}

int pgresult_rows(const struct pgresult *r)
{
    return PQntuples(r->res);
}

int pgresult_columns(const struct pgresult *r)
{
    return PQnfields(r->res);
}

const char *pgresult_value(const struct pgresult *r, int row, int column)
{
    return PQgetisnull(r->res, row, column) ? NULL : PQgetvalue(r->res, row, column);
}

size_t pgresult_length(const struct pgresult *r, int row, int column)
{
    return (size_t)PQgetlength(r->res, row, column);
}

const char *pgresult_tag(const struct pgresult *r)
{
    return PQcmdStatus(r->res);
}

const char *pgresult_column_name(const struct pgresult *r, int column)
{
    return PQfname(r->res, column);
}

void pgresult_free(struct pgresult *r)
{
    if (!r)
        return;
    PQclear(r->res);
    free(r);
}

/* The result that ends a COPY. */
static bool copy_result(struct pgconn *c, struct err *e)
{
    struct pgresult *r = pgconn_wrap_result(c, PQgetResult(c->pg), e);
    bool ok = r != NULL;
    PGresult *more;

    pgresult_free(r);
    while ((more = PQgetResult(c->pg)))
        PQclear(more);
    return ok;
}

int pgconn_copy_read(struct pgconn *c, char **data, struct err *e)
{
    int n = PQgetCopyData(c->pg, data, 0);

    if (n > 0)
        return n;
    if (n == -1)
        return copy_result(c, e) ? 0 : -1;
    conn_error(e, c->pg);
    return -1;
}

void pgconn_copy_free(char *data)
{
    PQfreemem(data);
}

bool pgconn_copy_write(struct pgconn *c, const char *data, size_t len, struct err *e)
{
    if (PQputCopyData(c->pg, data, (int)len) == 1)
        return true;
    conn_error(e, c->pg);
    return false;
}

bool pgconn_copy_end(struct pgconn *c, struct err *e)
{
    if (PQputCopyEnd(c->pg, NULL) != 1) {
        conn_error(e, c->pg);
        return false;
    }
    return copy_result(c, e);
}
