/*
 * libpq: text and binary results, prepared statements, pipeline mode, single-row mode, COPY, cancel, threads of a pool
 * of connections, large objects. Prints checks as lib/PgbraidTest/Driver.pm wants them.
 */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OID_INT4 = 23, OID_INT8 = 20, OID_TEXT = 25, OID_BYTEA = 17, THREADS = 8, TRANSFERS = 25, POLL_MS = 20000 };

static PGconn *conn;

static void check(const char *name)
{
    printf("## %s\n", name);
    fflush(stdout);
}

static void die(const char *what)
{
    fprintf(stderr, "%s: %s", what, PQerrorMessage(conn));
    exit(1);
}

static PGconn *connect_one(void)
{
    PGconn *c = PQconnectdb("");
    if (PQstatus(c) != CONNECTION_OK) {
        fprintf(stderr, "connect: %s", PQerrorMessage(c));
        exit(1);
    }
    return c;
}

static void print_value(const PGresult *r, int row, int column)
{
    const char *v = PQgetvalue(r, row, column);
    int len = PQgetlength(r, row, column);
    if (PQgetisnull(r, row, column)) {
        printf(" NULL");
    } else if (PQfformat(r, column) == 1) {
        printf(" \\x");
        for (int i = 0; i < len; i++)
            printf("%02x", (unsigned char)v[i]);
    } else {
        printf(" '%.*s'", len, v);
    }
}

/* Print and free a result. */
static void show(PGresult *r)
{
    static const int fields[] = {
        PG_DIAG_SEVERITY_NONLOCALIZED, PG_DIAG_SQLSTATE,       PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_HINT,
        PG_DIAG_STATEMENT_POSITION,    PG_DIAG_SCHEMA_NAME,    PG_DIAG_TABLE_NAME,      PG_DIAG_COLUMN_NAME,
        PG_DIAG_DATATYPE_NAME,         PG_DIAG_CONSTRAINT_NAME
    };
    printf("%s '%s' '%s'", PQresStatus(PQresultStatus(r)), PQcmdStatus(r), PQcmdTuples(r));
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const char *field = PQresultErrorField(r, fields[i]);
        if (field)
            printf(" %c:%s", fields[i], field);
    }
    printf("\n");
    for (int i = 0; i < PQnfields(r); i++)
        printf("  column %s type %u size %d mod %d format %d\n", PQfname(r, i),
               PQftype(r, i) < 16384 ? PQftype(r, i) : 0, PQfsize(r, i), PQfmod(r, i), PQfformat(r, i));
    for (int row = 0; row < PQntuples(r); row++) {
        printf(" ");
        for (int column = 0; column < PQnfields(r); column++)
            print_value(r, row, column);
        printf("\n");
    }
    PQclear(r);
}

static void query(const char *sql)
{
    show(PQexec(conn, sql));
}

static void query_params(const char *sql, int n, const char *const *values, int result_format)
{
    show(PQexecParams(conn, sql, n, NULL, values, NULL, NULL, result_format));
}

static const char *const all_columns = "id, i2, i4, i8, num, num2, f4, f8, b, t, vc, c, ba, d, ti, titz, ts, tstz, iv, "
                                       "u, j, jb, ip, net, mac, ia, ta, na, bits, vbits, pt, r, m, md, pos";

static void types(void)
{
    char sql[1024];
    check("types");
    query("INSERT INTO types (id, i2, i4, i8, num, num2, f4, f8, b, t, vc, c, ba, d, ti, titz, ts, tstz, iv, u, j, jb, "
          "ip, net, mac, ia, ta, na, bits, vbits, pt, r, m, x, md, p, pos) VALUES "
          "(1, 1, -2, 3, 1.50, 2, 0.5, 0.1, true, 'text \xe2\x98\x83', 'v', 'c', '\\x00ff', '2024-02-29', "
          "'01:02:03.4', '01:02:03+05', '2024-02-29 01:02:03', '2024-02-29 01:02:03+05', '1 mon 2 days 00:00:03', "
          "'12345678-1234-5678-1234-567812345678', '{\"a\": [1, null]}', '{\"b\": 1.50}', '::1/64', '10.0.0.0/8', "
          "'08:00:2b:01:02:03', '{1,NULL,3}', '{a,NULL,\"q\\\"\"}', '{1.10,NaN}', B'1010', B'101', '(1,2)', '[1,5)', "
          "'12.34', '<a/>', 'happy', '(1,\"a b\")', 7), "
          "(2, 32767, 2147483647, 9223372036854775807, 'NaN', 9999999999.99, 'NaN', 'Infinity', false, '', '', '', '', "
          "'infinity', '24:00', '00:00-15:59', '-infinity', 'infinity', '-178000000 years', "
          "'00000000-0000-0000-0000-000000000000', 'null', '[]', '10.1.2.3', '::/0', 'ff:ff:ff:ff:ff:ff', '{}', "
          "'{{a},{b}}', '{}', B'0000', B'', '(NaN,-Infinity)', 'empty', '-92233720368547758.08', '', 'sad', '(,)', 1)");
    for (int format = 0; format <= 1; format++) {
        const char *ids[] = { "1" };
        snprintf(sql, sizeof(sql), "SELECT %s FROM types WHERE id = $1", all_columns);
        query_params(sql, 1, ids, format);
        snprintf(sql, sizeof(sql), "SELECT %s FROM types ORDER BY id", all_columns);
        query_params(sql, 0, NULL, format);
        query_params("SELECT i8, num, f8, ts, tstz, u, d FROM types ORDER BY num DESC, id", 0, NULL, format);
        query_params("SELECT count(*), sum(i8), min(ts), max(tstz), bool_or(b) FROM types", 0, NULL, format);
    }
    check("parameters in binary");
    uint32_t i4 = htonl(77);
    unsigned char i8[8] = { 0, 0, 0, 0, 0, 0, 0, 9 };
    const char *values[] = { (const char *)i8, (const char *)&i4, "\0\1\2\xff", NULL, "text" };
    const int lengths[] = { 8, 4, 4, 0, 4 };
    const int formats[] = { 1, 1, 1, 1, 0 };
    const Oid oids[] = { OID_INT8, OID_INT4, OID_BYTEA, 0, OID_TEXT };
    show(PQexecParams(conn,
                      "INSERT INTO types (id, i4, ba, d, t) VALUES ($1, $2, $3, $4, $5) RETURNING id, i4, ba, d, t", 5,
                      oids, values, lengths, formats, 1));
    show(PQexecParams(conn, "SELECT id, i4, ba, d, t FROM types WHERE id = $1", 1, NULL, values, lengths, formats, 1));
    show(PQexecParams(conn, "SELECT id, i4 FROM types WHERE i4 = $2 AND id > $1 - 1", 2, oids, values, lengths, formats,
                      0));
}

static void errors(void)
{
    static const char *const faults[] = { "SELECT 1/0",
                                          "SELECT * FROM nowhere",
                                          "SELECT nothing FROM accounts WHERE account_id = 1",
                                          "SELEC",
                                          "INSERT INTO accounts (account_id, owner) VALUES (1, 'x')",
                                          "INSERT INTO accounts (account_id, owner) VALUES (7, NULL)",
                                          "UPDATE accounts SET balance = -1 WHERE account_id = 1",
                                          "INSERT INTO items VALUES (99, 1, 'x', 1)",
                                          "INSERT INTO items VALUES (1, 1, repeat('x', 99), 1)",
                                          "INSERT INTO types (id, pos) VALUES (500, 0)",
                                          "SELECT 'x'::mood",
                                          "SELECT $1",
                                          "",
                                          ";",
                                          "-- nothing",
                                          "COMMIT; SELECT 1/0; SELECT 2" };
    check("errors");
    query("INSERT INTO accounts (account_id, owner, balance, created) VALUES (1, 'ann', 10, '2024-01-01'), (2, 'bob', "
          "20, '2024-01-01'), (3, 'cem', 30, '2024-01-01')");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        query(faults[i]);
        query_params(faults[i], 0, NULL, 0);
        printf("%d\n", PQtransactionStatus(conn));
    }
}

static void transactions(void)
{
    check("transactions and savepoints");
    query("BEGIN; UPDATE accounts SET balance = balance - 1 WHERE account_id = 1; UPDATE accounts SET balance = "
          "balance + 1 WHERE account_id = 2");
    printf("%d\n", PQtransactionStatus(conn));
    query("SAVEPOINT a");
    query("UPDATE accounts SET balance = -1");
    printf("%d\n", PQtransactionStatus(conn));
    query("SELECT 1");
    query("ROLLBACK TO a");
    query("UPDATE accounts SET balance = balance + 1 WHERE account_id = 3");
    query("RELEASE a");
    query("COMMIT");
    query("SELECT account_id, balance FROM accounts ORDER BY 1");
    query("UPDATE accounts SET balance = 5 WHERE account_id = 1; UPDATE accounts SET balance = 6 WHERE account_id = 2; "
          "SELECT 1/0");
    query("SELECT account_id, balance FROM accounts ORDER BY 1");
    query("COMMIT");
}

static void prepared(void)
{
    check("prepared statements");
    show(PQprepare(conn, "one", "SELECT owner, $2::text FROM accounts WHERE account_id = $1", 0, NULL));
    show(PQprepare(conn, "all", "SELECT account_id, balance FROM accounts WHERE balance > $1 ORDER BY 1", 0, NULL));
    show(PQprepare(conn, "one", "SELECT 1", 0, NULL));
    PGresult *r = PQdescribePrepared(conn, "one");
    printf("parameters %d: %u %u\n", PQnparams(r), PQparamtype(r, 0), PQparamtype(r, 1));
    show(r);
    show(PQdescribePrepared(conn, "all"));
    show(PQdescribePrepared(conn, "none"));
    for (int i = 0; i < 12; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i % 4);
        const char *values[] = { id, NULL };
        show(PQexecPrepared(conn, "one", 2, values, NULL, NULL, i % 2));
        show(PQexecPrepared(conn, "all", 1, values, NULL, NULL, i % 2));
    }
    query("DEALLOCATE one");
    show(PQdescribePrepared(conn, "one"));
    show(PQdescribePortal(conn, "none"));
}

static void drain(void)
{
    for (int nulls = 0; nulls < 2;) {
        PGresult *r = PQgetResult(conn);
        if (!r) {
            nulls++;
            continue;
        }
        nulls = 0;
        show(r);
    }
}

static void pipeline(void)
{
    check("pipeline");
    if (!PQenterPipelineMode(conn))
        die("pipeline");
    const char *one[] = { "1" }, *two[] = { "2" };
    PQsendQueryParams(conn, "SELECT owner FROM accounts WHERE account_id = $1", 1, NULL, one, NULL, NULL, 0);
    PQsendQueryParams(conn, "SELECT count(*) FROM accounts", 0, NULL, NULL, NULL, NULL, 1);
    PQsendPrepare(conn, "p", "UPDATE accounts SET balance = balance + 1 WHERE account_id = $1 RETURNING balance", 0,
                  NULL);
    PQsendQueryPrepared(conn, "p", 1, one, NULL, NULL, 0);
    PQsendQueryPrepared(conn, "p", 1, two, NULL, NULL, 1);
    PQsendDescribePrepared(conn, "p");
    PQpipelineSync(conn);
    PQsendQueryPrepared(conn, "p", 1, one, NULL, NULL, 0);
    PQsendQueryParams(conn, "SELECT 1/0", 0, NULL, NULL, NULL, NULL, 0);
    PQsendQueryPrepared(conn, "p", 1, two, NULL, NULL, 0);
    PQpipelineSync(conn);
    PQsendQueryParams(conn, "SELECT account_id, balance FROM accounts ORDER BY 1", 0, NULL, NULL, NULL, NULL, 0);
    PQsendFlushRequest(conn);
    PQflush(conn);
    drain();
    PQpipelineSync(conn);
    drain();
    PQsendQueryParams(conn, "BEGIN", 0, NULL, NULL, NULL, NULL, 0);
    for (int i = 0; i < 100; i++)
        PQsendQueryPrepared(conn, "p", 1, i % 2 ? one : two, NULL, NULL, 0);
    PQsendQueryParams(conn, "COMMIT", 0, NULL, NULL, NULL, NULL, 0);
    PQpipelineSync(conn);
    drain();
    printf("left: %d\n", PQexitPipelineMode(conn));
    query("SELECT account_id, balance FROM accounts ORDER BY 1");
}

static void single_rows(void)
{
    check("single-row mode");
    PQsendQuery(conn, "SELECT n, a.account_id FROM accounts a, generate_series(1, 3) n ORDER BY 1, 2");
    PQsetSingleRowMode(conn);
    for (PGresult *r; (r = PQgetResult(conn)) != NULL;)
        show(r);
    PQsendQuery(conn, "SELECT 10 / (2 - account_id) FROM accounts WHERE account_id < 3 ORDER BY account_id; SELECT 2");
    PQsetSingleRowMode(conn);
    for (PGresult *r; (r = PQgetResult(conn)) != NULL;)
        show(r);
    check("large values");
    query("SELECT length(repeat('x', 30000000))");
    PGresult *r = PQexecParams(conn, "SELECT repeat('x', 30000000), account_id FROM accounts WHERE account_id < 3", 0,
                               NULL, NULL, NULL, NULL, 0);
    printf("%s %d %d %d\n", PQresStatus(PQresultStatus(r)), PQntuples(r), PQgetlength(r, 0, 0), PQgetlength(r, 1, 0));
    PQclear(r);
    char *big = malloc(20000001);
    if (!big)
        exit(1);
    memset(big, 'y', 20000000);
    big[20000000] = 0;
    const char *values[] = { big };
    query_params("INSERT INTO types (id, t) VALUES (1000, $1)", 1, values, 0);
    query("SELECT length(t) FROM types WHERE id = 1000");
    free(big);
}

static void copy(void)
{
    check("COPY");
    static const char *const lines[] = { "1\t1\tpen\t1.5\n2\t1\tink", "\t\\N\n", "3\t1\ta\\tb\t0\n" };
    show(PQexec(conn, "COPY items FROM STDIN"));
    for (int i = 0; i < 3; i++)
        printf("%d ", PQputCopyData(conn, lines[i], (int)strlen(lines[i])));
    printf("%d\n", PQputCopyEnd(conn, NULL));
    show(PQgetResult(conn));
    PQclear(PQgetResult(conn));
    show(PQexec(conn, "COPY items FROM STDIN"));
    PQputCopyData(conn, "1\t2\tpen\t1\n", 10);
    printf("%d\n", PQputCopyEnd(conn, "given up"));
    show(PQgetResult(conn));
    PQclear(PQgetResult(conn));
    static const char *const out[] = { "COPY (SELECT * FROM items WHERE account_id = 2) TO STDOUT",
                                       "COPY (SELECT * FROM items WHERE account_id = 1) TO STDOUT (FORMAT BINARY)",
                                       "COPY countries TO STDOUT" };
    query("INSERT INTO countries VALUES ('DE', 'Germany'), ('SE', 'Sweden')");
    for (int i = 0; i < 3; i++) {
        show(PQexec(conn, out[i]));
        char *data;
        int n;
        while ((n = PQgetCopyData(conn, &data, 0)) > 0) {
            for (int k = 0; k < n; k++)
                printf("%02x", (unsigned char)data[k]);
            printf("\n");
            PQfreemem(data);
        }
        show(PQgetResult(conn));
        PQclear(PQgetResult(conn));
    }
}

static void *cancel_soon(void *arg)
{
    char message[256];
    usleep(300000);
    if (!PQcancel(arg, message, sizeof(message)))
        fprintf(stderr, "cancel: %s", message);
    return NULL;
}

static void cancel(void)
{
    check("cancel");
    static const char *const slow[] = { "SELECT pg_sleep(60)", "SELECT account_id, pg_sleep(60) FROM accounts",
                                        "BEGIN; UPDATE accounts SET balance = 0; SELECT pg_sleep(60)" };
    PGcancel *c = PQgetCancel(conn);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, cancel_soon, c);
        query(slow[i]);
        pthread_join(thread, NULL);
    }
    PQfreeCancel(c);
    query("ROLLBACK");
    query("SELECT sum(balance) > 0 FROM accounts");
}

static void *transfer(void *arg)
{
    int n = *(int *)arg;
    PGconn *c = connect_one();
    for (int i = 0; i < TRANSFERS;) {
        char sql[256];
        int a = (n + i) % 3 + 1, b = (n + i + 1) % 3 + 1;
        snprintf(sql, sizeof(sql),
                 "BEGIN; UPDATE accounts SET balance = balance - 1 WHERE account_id = %d; UPDATE accounts SET balance "
                 "= balance + 1 WHERE account_id = %d; COMMIT",
                 a < b ? a : b, a < b ? b : a);
        PGresult *r = PQexec(c, sql);
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        if (!state)
            i++;
        else if (strncmp(state, "40", 2) != 0) {
            fprintf(stderr, "transfer: %s", PQresultErrorMessage(r));
            exit(1);
        }
        PQclear(r);
        if (state)
            PQclear(PQexec(c, "ROLLBACK"));
    }
    PQfinish(c);
    return NULL;
}

static void concurrency(void)
{
    check("concurrency");
    query("UPDATE accounts SET balance = 1000");
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, transfer, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    query("SELECT sum(balance) FROM accounts");
}

static void notifications(void)
{
    check("LISTEN and NOTIFY");
    query("LISTEN news");
    PGconn *other = connect_one();
    PQclear(PQexec(
        other,
        "BEGIN; UPDATE accounts SET balance = 1 WHERE account_id = 1; NOTIFY news, 'one'; NOTIFY news, 'two'; COMMIT"));
    PQfinish(other);
    for (int got = 0; got < 2;) {
        struct pollfd p = { .fd = PQsocket(conn), .events = POLLIN };
        PGnotify *note = PQnotifies(conn);
        if (note) {
            printf("%s %s\n", note->relname, note->extra);
            PQfreemem(note);
            got++;
        } else if (poll(&p, 1, POLL_MS) <= 0 || !PQconsumeInput(conn)) {
            printf("nothing\n");
            break;
        }
    }
}

static void session(void)
{
    check("session");
    printf("%d %d %s %s %s\n", PQserverVersion(conn), PQprotocolVersion(conn),
           PQparameterStatus(conn, "client_encoding"), PQparameterStatus(conn, "TimeZone"),
           PQparameterStatus(conn, "standard_conforming_strings"));
    query("SET TimeZone = 'Asia/Tokyo'; SET application_name = 'me'");
    printf("%s %s\n", PQparameterStatus(conn, "TimeZone"), PQparameterStatus(conn, "application_name"));
    query("BEGIN; SET LOCAL DateStyle = 'German'");
    printf("%s\n", PQparameterStatus(conn, "DateStyle"));
    query("SELECT account_id, created FROM accounts ORDER BY 1");
    query("ROLLBACK");
    printf("%s\n", PQparameterStatus(conn, "DateStyle"));
    query("DISCARD ALL");
    printf("%s %s\n", PQparameterStatus(conn, "TimeZone"), PQparameterStatus(conn, "application_name"));
    char id[32];
    snprintf(id, sizeof(id), "%d", PQbackendPID(conn));
    const char *values[] = { id };
    query_params("SELECT pg_backend_pid() = $1", 1, values, 0);
    char *quoted = PQescapeLiteral(conn, "it's \\ \xc3\xa4", 10);
    printf("%s\n", quoted);
    PQfreemem(quoted);
    PQreset(conn);
    printf("%d\n", PQstatus(conn));
    query("SELECT count(*) FROM accounts");
}

static void quiet(void *arg, const char *message)
{
    (void)arg;
    printf("notice: %s", message);
}

int main(void)
{
    conn = connect_one();
    PQsetNoticeProcessor(conn, quiet, NULL);
    types();
    errors();
    transactions();
    prepared();
    pipeline();
    single_rows();
    copy();
    cancel();
    concurrency();
    notifications();
    session();
    check("end");
    PQfinish(conn);
    return 0;
}
