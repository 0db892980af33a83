/*
 * The load of tests/chaos: many clients, each a thread with a blocking loop, that know exactly what they saw.
 *
 * Standard input gives orders, one a line; standard output answers:
 *   go ROUND FILE   run, and write the history of the round to FILE      "running"
 *   pause           end the transactions at hand, then wait              "paused TRANSACTIONS COMMITTED ABORTED
 * UNKNOWN" quit            or the end of input
 *
 * A history has one transaction a line, written when its outcome is known:
 *   B ID CLIENT MODE OUTCOME SQLSTATE GTID ACCOUNT:AMOUNT ...     a transfer
 *   L ID CLIENT rc|ser OUTCOME SQLSTATE GTID OPERATION ...        appends (a:KEY:VALUE) and reads
 * (r:KEY:VALUE,VALUE...) S CLIENT SUM COUNT                                            a read of the whole bank W
 * CLIENT SECONDS SQL                                          an answer that took too long OUTCOME: c committed, the
 * server said so; a aborted, the server said so or COMMIT was never sent; u unknown, the connection was lost at COMMIT
 * or the server said that it does not know. SQLSTATE and GTID are - when there is none.
 */
#ifndef TESTS_CHAOS_LOAD_H
#define TESTS_CHAOS_LOAD_H

#include "base/strbuf.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define MAX_PORTS  4
#define MAX_SHARDS 16

enum outcome { OUTCOME_COMMITTED = 'c', OUTCOME_ABORTED = 'a', OUTCOME_UNKNOWN = 'u' };

/* What the command line and the orders say. */
struct load {
    const char *database;
    uint32_t ports[MAX_PORTS], nport;
    uint32_t nbank, nlist, nserializable, nreader;
    uint64_t seed;
    bool gtid; /* ask for names before COMMIT */
    /* Accounts by shard, read from a file of lines "ACCOUNT SHARD". */
    int64_t *accounts[MAX_SHARDS];
    uint32_t naccount[MAX_SHARDS], nshard;
};

struct client {
    const struct load *load;
    uint32_t id;
    uint64_t rng, seq;
    PGconn *conn;
    bool prepared;     /* the bank's statements, on this connection */
    struct strbuf ops; /* of the running transaction, for its history line */
};

/* The answer to one request. */
struct answer {
    bool ok;   /* all of it */
    bool lost; /* the connection is gone, or was given up */
    char sqlstate[6], tag[32], gtid[100];
    struct strbuf value; /* first column of the last row of the last result; empty is also NULL or no row */
    bool found;          /* there was a row */
};

/* --- load.c --- */

uint32_t client_random(struct client *c, uint32_t n); /* 0 .. n-1 */
/* The running round; -1 while the load is to pause. */
int64_t load_round(void);
/* One line of the history. */
void load_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void load_count(enum outcome outcome);
/* "SQLSTATE GTID" and so on: the line of a transaction whose operations are in c->ops. */
void load_note_transaction(struct client *c, char kind, uint64_t id, const char *mode, enum outcome outcome,
                           const struct answer *a);

/* --- load_conn.c --- */

/* Connected; false when the load is to pause before that. */
bool client_connect(struct client *c);
void client_disconnect(struct client *c);
/* A simple query; several statements give the last one's tag. True when all of it succeeded. */
bool client_query(struct client *c, struct answer *a, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same through the extended protocol; name is a prepared statement's, or NULL. */
bool client_params(struct client *c, struct answer *a, const char *name, const char *sql, int n, const int64_t *values);
/* COPY FROM STDIN of that text. */
bool client_copy(struct client *c, struct answer *a, const char *sql, const struct strbuf *text);
/* Read the answers to what was sent; in a pipeline up to its Sync. */
bool client_read(struct client *c, struct answer *a, const char *what, bool pipeline);
/* With --gtid, of every second transaction: its name, into a->gtid. */
void client_ask_gtid(struct client *c, struct answer *a);
/* COMMIT by itself, and what it came to. */
enum outcome client_commit(struct client *c, struct answer *a);
/* What an answer to a request that holds the COMMIT means. */
enum outcome client_outcome(const struct answer *a, const char *tag);
/* After a failed statement: nothing is committed; the connection is usable, or closed. */
void client_rollback(struct client *c);
void answer_fini(struct answer *a);

/* --- load_bank.c, load_lists.c: one transaction --- */

void bank_transfer(struct client *c, int64_t round);
void bank_read(struct client *c);
void lists_transaction(struct client *c, int64_t round, bool serializable);

#endif
