/*
 * A libpq client in single-row mode: row_reader QUERY CONNINFO... runs QUERY on each of the servers at once and reads
 * all rows. Prints how many there were, and how long that took: as the clock says, and its own CPU time, in
 * microseconds. What ./dev bench scatter holds the router against.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_SERVERS = 64 };

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void die(const char *what, PGconn *c)
{
    fprintf(stderr, "%s: %s\n", what, PQerrorMessage(c));
    exit(1);
}

/* Read what is there; true: the server has no more rows. */
static int drain(PGconn *c, long *rows)
{
    if (!PQconsumeInput(c))
        die("read", c);
    while (!PQisBusy(c)) {
        PGresult *r = PQgetResult(c);
        if (!r)
            return 1;
        if (PQresultStatus(r) == PGRES_FATAL_ERROR)
            die("query", c);
        *rows += PQntuples(r);
        PQclear(r);
    }
    return 0;
}

int main(int argc, char **argv)
{
    PGconn *conn[MAX_SERVERS];
    int n = argc - 2, left = n, done[MAX_SERVERS] = { 0 };
    long rows = 0;
    if (n < 1 || n > MAX_SERVERS) {
        fprintf(stderr, "usage: row_reader QUERY CONNINFO...\n");
        return 2;
    }
    for (int i = 0; i < n; i++) {
        conn[i] = PQconnectdb(argv[i + 2]);
        if (PQstatus(conn[i]) != CONNECTION_OK)
            die("connect", conn[i]);
    }
    double start = now_us(), cpu = cpu_us();
    for (int i = 0; i < n; i++)
        if (!PQsendQuery(conn[i], argv[1]) || !PQsetSingleRowMode(conn[i]))
            die("send", conn[i]);
    while (left > 0) {
        struct pollfd p[MAX_SERVERS];
        for (int i = 0; i < n; i++)
            p[i] = (struct pollfd){ .fd = done[i] ? -1 : PQsocket(conn[i]), .events = POLLIN };
        if (poll(p, (nfds_t)n, -1) < 0)
            return 1;
        for (int i = 0; i < n; i++) {
            if (p[i].fd >= 0 && p[i].revents && drain(conn[i], &rows)) {
                done[i] = 1;
                left--;
            }
        }
    }
    printf("%ld %.0f %.0f\n", rows, now_us() - start, cpu_us() - cpu);
    for (int i = 0; i < n; i++)
        PQfinish(conn[i]);
    return 0;
}
