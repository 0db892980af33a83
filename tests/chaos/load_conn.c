/*
 * Connections of the load: requests with a time limit, and what an answer says about a COMMIT.
 */
#include "load.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GIVE_UP_S 90u /* no answer is the answer */
#define NOTE_S    20u /* worth a line in the history */

static void sleep_ms(long ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

static void be_silent(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

void client_disconnect(struct client *c)
{
    PQfinish(c->conn);
    c->conn = NULL;
    c->prepared = false;
}

bool client_connect(struct client *c)
{
    const struct load *l = c->load;

    while (load_round() >= 0) {
        char text[300];

        if (c->conn && PQstatus(c->conn) == CONNECTION_OK && PQtransactionStatus(c->conn) == PQTRANS_IDLE)
            return true;
        client_disconnect(c);
        snprintf(text, sizeof(text),
                 "host=127.0.0.1 port=%u dbname=%s user=postgres connect_timeout=5 application_name=chaos_%u "
                 "options='-c lock_timeout=3s'",
                 l->ports[client_random(c, l->nport)], l->database, c->id);
        c->conn = PQconnectdb(text);
        if (PQstatus(c->conn) == CONNECTION_OK)
            PQsetNoticeReceiver(c->conn, be_silent, NULL);
        else
            sleep_ms(20);
    }
    return false;
}

/* --- answers --- */

static void answer_reset(struct answer *a)
{
    a->ok = true;
    a->lost = a->found = false;
    a->sqlstate[0] = a->tag[0] = '\0';
    strbuf_reset(&a->value);
}

void answer_fini(struct answer *a)
{
    strbuf_fini(&a->value);
}

/* The gtid stands in the message or the detail of an error: a word that is digits, a dash, hexadecimal digits ... */
static void answer_find_gtid(struct answer *a, const char *text)
{
    static const char *const before = "ransaction ";
    const char *at = text ? strstr(text, before) : NULL;
    size_t len;

    if (!at)
        return;
    at += strlen(before);
    len = strspn(at, "0123456789abcdef-");
    if (len > 10 && len < sizeof(a->gtid)) {
        memcpy(a->gtid, at, len);
        a->gtid[len] = '\0';
    }
}

static void answer_take(struct answer *a, const PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_TUPLES_OK:
        a->found = PQntuples(r) > 0;
        strbuf_reset(&a->value);
        if (a->found)
            strbuf_puts(&a->value, PQgetvalue(r, PQntuples(r) - 1, 0));
        snprintf(a->tag, sizeof(a->tag), "%s", PQcmdStatus((PGresult *)(uintptr_t)r));
        break;
    case PGRES_COMMAND_OK:
        snprintf(a->tag, sizeof(a->tag), "%s", PQcmdStatus((PGresult *)(uintptr_t)r));
        break;
    case PGRES_PIPELINE_SYNC:
        break;
    case PGRES_EMPTY_QUERY:
    case PGRES_COPY_OUT:
    case PGRES_COPY_IN:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
    case PGRES_FATAL_ERROR:
    case PGRES_COPY_BOTH:
    case PGRES_SINGLE_TUPLE:
    case PGRES_PIPELINE_ABORTED:
        a->ok = false;
        a->tag[0] = '\0';
        if (!a->sqlstate[0] && PQresultErrorField(r, PG_DIAG_SQLSTATE)) {
            snprintf(a->sqlstate, sizeof(a->sqlstate), "%s", PQresultErrorField(r, PG_DIAG_SQLSTATE));
            answer_find_gtid(a, PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL));
        }
        break;
    }
}

/* Wait until the next result can be taken without blocking; false when time is up. */
static bool client_wait(struct client *c, uint64_t since_us)
{
    while (PQisBusy(c->conn)) {
        struct pollfd p = { .fd = PQsocket(c->conn), .events = POLLIN };

        if (clock_mono_us() - since_us > GIVE_UP_S * 1000000u)
            return false;
        if (p.fd < 0 || (poll(&p, 1, 1000) > 0 && !PQconsumeInput(c->conn)))
            return true;
    }
    return true;
}

static bool client_unsent(struct client *c, struct answer *a)
{
    answer_reset(a);
    a->ok = false;
    a->lost = true;
    client_disconnect(c);
    return false;
}

bool client_read(struct client *c, struct answer *a, const char *what, bool pipeline)
{
    uint64_t since = clock_mono_us();
    bool more = true;

    answer_reset(a);
    if (!c->conn)
        return client_unsent(c, a);
    while (more) {
        PGresult *r;

        if (!client_wait(c, since)) {
            a->ok = false;
            a->lost = true;
            break;
        }
        r = PQgetResult(c->conn);
        if (r)
            answer_take(a, r);
        more = pipeline ? PQstatus(c->conn) == CONNECTION_OK && !(r && PQresultStatus(r) == PGRES_PIPELINE_SYNC)
                        : r != NULL;
        PQclear(r);
    }
    if (PQstatus(c->conn) != CONNECTION_OK) {
        /* What came before the end of the connection counts only when it was complete. */
        a->lost = true;
        a->ok = false;
    }
    if (clock_mono_us() - since > NOTE_S * 1000000u)
        load_note("W %u %u %.60s", c->id, (unsigned)((clock_mono_us() - since) / 1000000u), what);
    if (a->lost)
        client_disconnect(c);
    return a->ok;
}

bool client_query(struct client *c, struct answer *a, const char *format, ...)
{
    char sql[1000];
    va_list ap;

    va_start(ap, format);
    vsnprintf(sql, sizeof(sql), format, ap);
    va_end(ap);
    if (!c->conn || !PQsendQuery(c->conn, sql))
        return client_unsent(c, a);
    return client_read(c, a, sql, false);
}

bool client_params(struct client *c, struct answer *a, const char *name, const char *sql, int n, const int64_t *values)
{
    char text[8][24];
    const char *of[8];
    int sent;

    for (int i = 0; i < n; i++) {
        snprintf(text[i], sizeof(text[i]), "%lld", (long long)values[i]);
        of[i] = text[i];
    }
    if (!c->conn)
        return client_unsent(c, a);
    sent = name ? PQsendQueryPrepared(c->conn, name, n, of, NULL, NULL, 0)
                : PQsendQueryParams(c->conn, sql, n, NULL, of, NULL, NULL, 0);
    if (!sent)
        return client_unsent(c, a);
    return client_read(c, a, sql, false);
}

bool client_copy(struct client *c, struct answer *a, const char *sql, const struct strbuf *text)
{
    PGresult *r;
    bool in;

    if (!c->conn || !PQsendQuery(c->conn, sql) || !client_wait(c, clock_mono_us()))
        return client_unsent(c, a);
    r = PQgetResult(c->conn);
    in = r && PQresultStatus(r) == PGRES_COPY_IN;
    if (!in) {
        struct answer refused = { .ok = true };

        answer_take(&refused, r);
        client_read(c, a, sql, false); /* nothing more, and the state of the connection */
        a->ok = false;
        memcpy(a->sqlstate, refused.sqlstate, sizeof(a->sqlstate));
        answer_fini(&refused);
    } else if (PQputCopyData(c->conn, text->ptr, (int)text->len) == 1 && PQputCopyEnd(c->conn, NULL) == 1) {
        client_read(c, a, sql, false);
    } else {
        client_unsent(c, a);
    }
    PQclear(r);
    return a->ok;
}

/* --- the end of a transaction --- */

enum outcome client_outcome(const struct answer *a, const char *tag)
{
    if (a->ok)
        return strcmp(a->tag, tag) == 0 ? OUTCOME_COMMITTED : OUTCOME_ABORTED;
    /* Connection exceptions, a server that was shut down or crashed, statement completion unknown. */
    if (!a->sqlstate[0] || strncmp(a->sqlstate, "08", 2) == 0 || strncmp(a->sqlstate, "57P", 3) == 0 ||
        strcmp(a->sqlstate, "40003") == 0)
        return OUTCOME_UNKNOWN;
    return OUTCOME_ABORTED;
}

void client_ask_gtid(struct client *c, struct answer *a)
{
    a->gtid[0] = '\0';
    if (c->load->gtid && client_random(c, 2) && client_query(c, a, "SELECT pgbraid.current_gtid()") &&
        a->value.len > 10 && a->value.len < sizeof(a->gtid))
        memcpy(a->gtid, strbuf_str(&a->value), a->value.len + 1);
}

enum outcome client_commit(struct client *c, struct answer *a)
{
    client_ask_gtid(c, a);
    if (!c->conn) {
        answer_reset(a);
        a->ok = false;
        return OUTCOME_ABORTED; /* COMMIT was never sent */
    }
    client_query(c, a, "COMMIT");
    return client_outcome(a, "COMMIT");
}

void client_rollback(struct client *c)
{
    struct answer a = { 0 };

    if (c->conn && !client_query(c, &a, "ROLLBACK"))
        client_disconnect(c);
    answer_fini(&a);
}
