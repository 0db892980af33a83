/*
 * The bank: transfers between accounts, mostly of different shards, in every way a client can send a transaction.
 *
 *   accounts (id, balance)             ledger (id, transfer, amount)    sharded by id, so that an account and its rows
 * of the ledger are together
 *
 * A transfer changes the balance of each account in it and adds a row of the ledger for each.
 */
#include "load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mode {
    MODE_SIMPLE,   /* BEGIN ... COMMIT, a message each */
    MODE_EXTENDED, /* parameters */
    MODE_PREPARED,
    MODE_ONE_STRING, /* BEGIN; ...; COMMIT in one Query */
    MODE_IMPLICIT,   /* the same without BEGIN and COMMIT */
    MODE_PIPELINE,
    MODE_SCATTER,   /* one UPDATE and one INSERT over all the accounts */
    MODE_SAVEPOINT, /* with a part that is rolled back */
    MODE_ASYNC,     /* synchronous_commit = off: still safe, because two shards take part (rule X4) */
    MODE_VANISH,    /* the client goes without waiting for the answer to COMMIT */
    MODE_CANCEL,    /* a cancel request during COMMIT (rule X9) */
    MODE_ROLLBACK,
    MODE_FAIL,       /* a statement that fails, then COMMIT */
    MODE_AUTOCOMMIT, /* one INSERT over several shards, of amounts that are 0 */
    MODE_COPY,       /* one COPY, likewise */
    NMODE
};

static const struct {
    const char *name;
    uint32_t weight;
} modes[NMODE] = {
    [MODE_SIMPLE] = { "simple", 20 },     [MODE_EXTENDED] = { "extended", 15 },
    [MODE_PREPARED] = { "prepared", 15 }, [MODE_ONE_STRING] = { "one-string", 8 },
    [MODE_IMPLICIT] = { "implicit", 8 },  [MODE_PIPELINE] = { "pipeline", 8 },
    [MODE_SCATTER] = { "scatter", 8 },    [MODE_SAVEPOINT] = { "savepoint", 5 },
    [MODE_ASYNC] = { "async", 8 },        [MODE_VANISH] = { "vanish", 3 },
    [MODE_CANCEL] = { "cancel", 3 },      [MODE_ROLLBACK] = { "rollback", 3 },
    [MODE_FAIL] = { "fail", 3 },          [MODE_AUTOCOMMIT] = { "autocommit", 5 },
    [MODE_COPY] = { "copy", 5 },
};

struct transfer {
    uint64_t id;
    enum mode mode;
    uint32_t n; /* accounts */
    int64_t account[3], amount[3];
};

#define UPDATE_P "UPDATE accounts SET balance = balance + $2::bigint WHERE id = $1::bigint"
#define INSERT_P "INSERT INTO ledger (id, transfer, amount) VALUES ($1::bigint, $2::bigint, $3::bigint)"
#define UPDATE_F "UPDATE accounts SET balance = balance + %" PRId64 " WHERE id = %" PRId64
#define INSERT_F "INSERT INTO ledger (id, transfer, amount) VALUES (%" PRId64 ", %" PRIu64 ", %" PRId64 ")"

static enum mode pick_mode(struct client *c)
{
    uint32_t sum = 0, at;

    for (int i = 0; i < NMODE; i++)
        sum += modes[i].weight;
    at = client_random(c, sum);
    for (int i = 0; i < NMODE; i++) {
        if (at < modes[i].weight)
            return (enum mode)i;
        at -= modes[i].weight;
    }
    return MODE_SIMPLE;
}

static int64_t pick_account(struct client *c, uint32_t shard)
{
    return c->load->accounts[shard][client_random(c, c->load->naccount[shard])];
}

/* Mostly on different shards, sometimes on one; mostly in one order, so that few transfers deadlock. */
static void pick(struct client *c, struct transfer *t)
{
    uint32_t first = client_random(c, c->load->nshard);
    int64_t amount = 1 + client_random(c, 9);
    bool apart = t->mode == MODE_ASYNC || client_random(c, 10) != 0;

    t->n = t->mode != MODE_ASYNC && client_random(c, 5) == 0 ? 3 : 2;
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t tries = 0;

        do {
            t->account[i] = pick_account(c, apart ? (first + i) % c->load->nshard : first);
        } while (tries++ < 50 &&
                 ((i > 0 && t->account[i] == t->account[0]) || (i > 1 && t->account[i] == t->account[1])));
    }
    if (client_random(c, 20) != 0) {
        for (uint32_t i = 1; i < t->n; i++) {
            for (uint32_t j = i; j > 0 && t->account[j] < t->account[j - 1]; j--) {
                int64_t swap = t->account[j];

                t->account[j] = t->account[j - 1];
                t->account[j - 1] = swap;
            }
        }
    }
    t->amount[0] = -amount;
    t->amount[1] = t->n == 3 ? amount - 1 : amount;
    t->amount[2] = 1;
}

/* --- the statements, without BEGIN and COMMIT --- */

static bool send_simple(struct client *c, const struct transfer *t, struct answer *a)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (!client_query(c, a, UPDATE_F, t->amount[i], t->account[i]) ||
            !client_query(c, a, INSERT_F, t->account[i], t->id, t->amount[i]))
            return false;
    }
    return true;
}

static bool send_params(struct client *c, const struct transfer *t, struct answer *a, bool prepared)
{
    for (uint32_t i = 0; i < t->n; i++) {
        int64_t update[] = { t->account[i], t->amount[i] }, insert[] = { t->account[i], (int64_t)t->id, t->amount[i] };

        if (!client_params(c, a, prepared ? "u" : NULL, UPDATE_P, 2, update) ||
            !client_params(c, a, prepared ? "i" : NULL, INSERT_P, 3, insert))
            return false;
    }
    return true;
}

static bool prepare(struct client *c, struct answer *a)
{
    if (c->prepared)
        return true;
    c->prepared = PQsendPrepare(c->conn, "u", UPDATE_P, 0, NULL) && client_read(c, a, "Parse", false) &&
                  PQsendPrepare(c->conn, "i", INSERT_P, 0, NULL) && client_read(c, a, "Parse", false);
    if (!c->prepared)
        client_disconnect(c);
    return c->prepared;
}

static bool send_scatter(struct client *c, const struct transfer *t, struct answer *a)
{
    struct strbuf update = STRBUF_INIT, insert = STRBUF_INIT;
    bool ok;

    strbuf_puts(&update, "UPDATE accounts SET balance = balance + CASE id");
    strbuf_puts(&insert, "INSERT INTO ledger (id, transfer, amount) VALUES ");
    for (uint32_t i = 0; i < t->n; i++) {
        strbuf_printf(&update, " WHEN %" PRId64 " THEN %" PRId64, t->account[i], t->amount[i]);
        strbuf_printf(&insert, "%s(%" PRId64 ", %" PRIu64 ", %" PRId64 ")", i ? ", " : "", t->account[i], t->id,
                      t->amount[i]);
    }
    strbuf_puts(&update, " ELSE 0 END WHERE id IN (");
    for (uint32_t i = 0; i < t->n; i++)
        strbuf_printf(&update, "%s%" PRId64, i ? ", " : "", t->account[i]);
    strbuf_puts(&update, ")");
    ok = client_query(c, a, "%s", strbuf_str(&update)) && client_query(c, a, "%s", strbuf_str(&insert));
    strbuf_fini(&update);
    strbuf_fini(&insert);
    return ok;
}

static void put_string(const struct transfer *t, struct strbuf *sql)
{
    for (uint32_t i = 0; i < t->n; i++) {
        strbuf_printf(sql, "%s" UPDATE_F ";", i ? " " : "", t->amount[i], t->account[i]);
        strbuf_printf(sql, INSERT_F ";", t->account[i], t->id, t->amount[i]);
    }
}

/* --- whole transactions; their outcome --- */

static enum outcome run_string(struct client *c, const struct transfer *t, struct answer *a, bool implicit)
{
    struct strbuf sql = STRBUF_INIT;
    enum outcome outcome;

    if (!implicit)
        strbuf_puts(&sql, "BEGIN;");
    put_string(t, &sql);
    if (!implicit)
        strbuf_puts(&sql, "COMMIT");
    client_query(c, a, "%s", strbuf_str(&sql));
    strbuf_fini(&sql);
    outcome = client_outcome(a, implicit ? "INSERT 0 1" : "COMMIT");
    if (outcome != OUTCOME_COMMITTED)
        client_rollback(c);
    return outcome;
}

/* The balances stay as they are: these have no second statement to change them. */
static enum outcome run_alone(struct client *c, struct transfer *t, struct answer *a)
{
    struct strbuf text = STRBUF_INIT;
    char tag[20];

    for (uint32_t i = 0; i < t->n; i++) {
        t->amount[i] = 0;
        if (t->mode == MODE_COPY)
            strbuf_printf(&text, "%" PRId64 "\t%" PRIu64 "\t0\n", t->account[i], t->id);
        else
            strbuf_printf(&text, "%s(%" PRId64 ", %" PRIu64 ", 0)", i ? ", " : "", t->account[i], t->id);
    }
    if (t->mode == MODE_COPY) {
        client_copy(c, a, "COPY ledger (id, transfer, amount) FROM STDIN", &text);
    } else {
        client_query(c, a, "INSERT INTO ledger (id, transfer, amount) VALUES %s", strbuf_str(&text));
    }
    strbuf_fini(&text);
    snprintf(tag, sizeof(tag), t->mode == MODE_COPY ? "COPY %u" : "INSERT 0 %u", t->n);
    return client_outcome(a, tag);
}

static bool pipeline_put(struct client *c, const char *sql)
{
    return PQsendQueryParams(c->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
}

static enum outcome run_pipeline(struct client *c, const struct transfer *t, struct answer *a)
{
    char sql[200];
    bool sent = PQenterPipelineMode(c->conn) && pipeline_put(c, "BEGIN");
    enum outcome outcome;

    for (uint32_t i = 0; sent && i < t->n; i++) {
        snprintf(sql, sizeof(sql), UPDATE_F, t->amount[i], t->account[i]);
        sent = pipeline_put(c, sql);
        snprintf(sql, sizeof(sql), INSERT_F, t->account[i], t->id, t->amount[i]);
        sent = sent && pipeline_put(c, sql);
    }
    if (!sent || !pipeline_put(c, "COMMIT") || !PQpipelineSync(c->conn))
        client_disconnect(c);
    client_read(c, a, "pipeline", true);
    outcome = client_outcome(a, "COMMIT");
    if (c->conn && !PQexitPipelineMode(c->conn))
        client_disconnect(c);
    if (outcome != OUTCOME_COMMITTED)
        client_rollback(c);
    return outcome;
}

/* COMMIT goes out, and the client with it. */
static enum outcome vanish(struct client *c)
{
    if (c->conn && PQsendQuery(c->conn, "COMMIT"))
        PQflush(c->conn);
    client_disconnect(c);
    return OUTCOME_UNKNOWN;
}

static enum outcome commit_and_cancel(struct client *c, struct answer *a)
{
    PGcancel *cancel = PQgetCancel(c->conn);
    char error[256];

    if (PQsendQuery(c->conn, "COMMIT")) {
        PQflush(c->conn);
        PQcancel(cancel, error, sizeof(error));
    } else {
        client_disconnect(c);
    }
    PQfreeCancel(cancel);
    client_read(c, a, "COMMIT", false);
    return client_outcome(a, "COMMIT");
}

static bool run_statements(struct client *c, const struct transfer *t, struct answer *a)
{
    switch (t->mode) {
    case MODE_EXTENDED:
        return send_params(c, t, a, false);
    case MODE_PREPARED:
        return send_params(c, t, a, true);
    case MODE_SCATTER:
        return send_scatter(c, t, a);
    case MODE_SAVEPOINT:
        return client_query(c, a, UPDATE_F, (int64_t)0, t->account[0]) && client_query(c, a, "SAVEPOINT one") &&
               client_query(c, a, UPDATE_F, (int64_t)1000, t->account[1]) &&
               client_query(c, a, "ROLLBACK TO SAVEPOINT one") && send_simple(c, t, a);
    case MODE_ASYNC:
        return client_query(c, a, "SET LOCAL synchronous_commit = off") && send_simple(c, t, a);
    case MODE_SIMPLE:
    case MODE_ONE_STRING:
    case MODE_IMPLICIT:
    case MODE_PIPELINE:
    case MODE_VANISH:
    case MODE_CANCEL:
    case MODE_ROLLBACK:
    case MODE_FAIL:
    case MODE_AUTOCOMMIT:
    case MODE_COPY:
    case NMODE:
        break;
    }
    return send_simple(c, t, a);
}

static enum outcome run_block(struct client *c, const struct transfer *t, struct answer *a)
{
    enum outcome outcome;

    if (!client_query(c, a, "BEGIN") || !run_statements(c, t, a)) {
        client_rollback(c);
        return OUTCOME_ABORTED; /* COMMIT was never sent */
    }
    if (t->mode == MODE_VANISH || t->mode == MODE_CANCEL) {
        client_ask_gtid(c, a);
        if (!c->conn)
            return OUTCOME_ABORTED;
    }
    if (t->mode == MODE_VANISH)
        return vanish(c);
    if (t->mode == MODE_CANCEL) {
        outcome = commit_and_cancel(c, a);
    } else if (t->mode == MODE_ROLLBACK) {
        client_rollback(c);
        return OUTCOME_ABORTED;
    } else {
        if (t->mode == MODE_FAIL)
            client_query(c, a, INSERT_F, t->account[0], t->id, (int64_t)0); /* a duplicate */
        outcome = client_commit(c, a);
    }
    if (outcome != OUTCOME_COMMITTED)
        client_rollback(c);
    return outcome;
}

void bank_transfer(struct client *c, int64_t round)
{
    struct transfer t = { .id = (uint64_t)round * 100000000 + c->id * 1000000 + c->seq++, .mode = pick_mode(c) };
    struct answer a = { 0 };
    enum outcome outcome;

    pick(c, &t);
    if (t.mode == MODE_PREPARED && !prepare(c, &a)) {
        answer_fini(&a);
        return;
    }
    a.gtid[0] = '\0';
    if (t.mode == MODE_PIPELINE)
        outcome = run_pipeline(c, &t, &a);
    else if (t.mode == MODE_ONE_STRING || t.mode == MODE_IMPLICIT)
        outcome = run_string(c, &t, &a, t.mode == MODE_IMPLICIT);
    else if (t.mode == MODE_AUTOCOMMIT || t.mode == MODE_COPY)
        outcome = run_alone(c, &t, &a);
    else
        outcome = run_block(c, &t, &a);
    strbuf_reset(&c->ops);
    for (uint32_t i = 0; i < t.n; i++)
        strbuf_printf(&c->ops, " %" PRId64 ":%" PRId64, t.account[i], t.amount[i]);
    load_note_transaction(c, 'B', t.id, modes[t.mode].name, outcome, &a);
    answer_fini(&a);
}

void bank_read(struct client *c)
{
    struct answer a = { 0 };

    if (client_query(c, &a, "SELECT sum(balance)::text || ' ' || count(*)::text FROM accounts"))
        load_note("S %u %s", c->id, strbuf_str(&a.value));
    answer_fini(&a);
}
