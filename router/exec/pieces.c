/*
 * Portals over several shards whose Execute has a row limit (protocol chapter 55.2.3, "portal suspension").
 *
 * - A batch by itself: the transaction ends with it, so nobody can execute the portal again: shards get the limit, rows
 *   beyond it are dropped.
 * - Concat and merge, in a transaction: each shard has a portal of its own, bound by a first run of the statement
 *   (exec.piecewise) which executes nothing. A piece is then fetched in rounds. Concat: one shard after another is
 * asked for as many rows as are still wanted. Merge: shards of which few rows wait here are asked for some more; what
 * is in order is sent.
 * - Gather: the portal is on the gathering server, whose connection is kept like that of a cursor.
 * - All others (changes with RETURNING, which PostgreSQL carries out whole at the first Execute; FETCH): rows beyond
 * the limit are kept here, at most HOARD_MAX of them.
 *
 * Invariants: (1) between two pieces nothing is outstanding, so that the connections can run other statements; (2) the
 * portals on the shards have names of our own: the client's unnamed one outlives whatever the router binds without a
 * name; (3) a shard that has no more rows is not asked again; (4) what waits of a shard is bounded by MERGE_KEEP and
 * one round, which grows while its rows are few bytes.
 */
#include "router/exec/pieces.h"

#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/exec_int.h"
#include "router/exec/merge.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOARD_MAX   (64u << 20) /* bytes */
#define ROUND_FIRST 64u         /* rows that a merge asks a shard for */
#define ROUND_MAX   4096u
#define PORTAL_NAME 32u

/* What is left of a portal: on shards, or rows that are here (`over`: the shards' portals of that name have no more).
 */
struct pieces {
    struct plan *plan;   /* owned reference */
    struct pool **pools; /* borrowed ones, owned array */
    bool *ended;         /* by pool: it has no more rows; owned */
    uint32_t npool, at;
    bool over, failed, embeds; /* embeds: ids of the shards' are inside of values (ids.c) */
    char *name;                /* on the shards; owned */
    struct exec_merge *merge;  /* owned; NULL: rows follow one another */
    uint32_t round;            /* rows */
    struct strbuf rows, tag;   /* whole frames */
    size_t pos;
};

struct exec_pieces {
    struct pieces *p; /* the portal's */
    uint32_t asked;   /* parts that have not answered */
    uint64_t max;     /* rows; UINT64_MAX: all */
    uint64_t left;
};

void pieces_free(struct pieces *p)
{
    if (!p)
        return;
    plan_unref(p->plan);
    free(p->pools);
    free(p->ended);
    free(p->name);
    exec_merge_free(p->merge);
    strbuf_fini(&p->rows);
    strbuf_fini(&p->tag);
    free(p);
}

/* --- the first run --- */

struct span exec_portal_there(const struct exec *x)
{
    if (x->piecewise)
        return x->piece_portal;
    return x->merge ? (struct span){ 0 } : x->portal; /* rows that are merged at once come from unnamed portals */
}

uint32_t exec_limit_there(const struct exec *x)
{
    return x->hoard || x->merge ? 0 : x->max_rows; /* what is merged has its limit in its text, if any */
}

bool exec_pieces_plan(struct exec *x, bool gather, struct err *e)
{
    const struct plan *plan = x->plan;
    char name[PORTAL_NAME];

    if (!x->extended || !x->execute || x->max_rows == 0 || !(x->npart > 1 || gather) || !plan->returns_rows)
        return true; /* without rows it ends whatever the limit, as in PostgreSQL */
    if (plan->explain && plan->combine != COMBINE_SAME) {
        err_set(e, PB0313, "EXPLAIN over several shards cannot be fetched in pieces");
        return err_hint(e, "Execute it without a row limit (fetch size 0).");
    }
    if (gather)
        return true;
    if (!exec_in_txn(x)) {
        if (x->merge)
            exec_merge_limit(x, x->max_rows);
        return true;
    }
    x->piecewise = plan->kind == PLAN_QUERY && !plan->writes && plan->combine != COMBINE_SAME;
    x->hoard = !x->piecewise;
    snprintf(name, sizeof(name), "pgbraid_%u", x->portal.len ? ++x->s->npiecewise : 0);
    x->piece_portal = span_str(arena_strdup(&x->arena, name));
    return true;
}

enum exec_action exec_row_beyond(struct exec *x, struct span body)
{
    size_t at;

    if (!x->hoard)
        return EXEC_SWALLOW;
    at = msg_begin(&x->hoarded, BE_DATA_ROW);
    strbuf_put(&x->hoarded, body.ptr, body.len);
    msg_end(&x->hoarded, at);
    if (x->hoarded.len <= HOARD_MAX)
        return EXEC_SWALLOW;
    err_set(&x->own_error, PB0308, "the rows that are left for the next Execute are too many");
    err_detail(&x->own_error, "Those of a change over several shards are kept by the router, at most %u MB of them.",
               HOARD_MAX >> 20);
    err_hint(&x->own_error, "Execute it without a row limit, leave RETURNING out, or change fewer rows at once.");
    x->failed = true;
    exec_cancel_parts(x, NULL);
    return EXEC_SWALLOW;
}

/* --- rounds --- */

static void ask(struct exec *x, uint32_t i, uint64_t rows)
{
    struct part *part = &x->parts[i];
    struct backend *b = part->backend;
    struct strbuf *out = &x->s->worker->out;
    uint32_t n = txn_put_prefix(x->s, b, out); /* settings that have changed since */

    if (n)
        backend_expect(b, EXPECT_PREFIX)->count = n;
    if (x->pieces->p->embeds && !part->described)
        fe_put_describe(out, 'P', span_str(x->pieces->p->name));
    fe_put_execute(out, span_str(x->pieces->p->name), rows > INT32_MAX ? 0 : (uint32_t)rows);
    fe_put_sync(out);
    backend_expect(b, EXPECT_EXEC);
    part->started = true;
    part->done = part->failed = false;
    x->pieces->asked++;
    stream_write(&b->st, out->ptr, out->len);
    strbuf_reset(out);
}

static void finish(struct exec *x)
{
    struct exec_pieces *run = x->pieces;
    struct pieces *p = run->p;

    x->rows = run->max == UINT64_MAX || run->left > run->max ? x->sent : run->max - run->left;
    if (x->failed) {
        p->failed = true;
    } else {
        p->merge = exec_merge_take(x);
        x->suspended = run->left == 0;
        strbuf_reset(&x->tag);
        strbuf_puts(&x->tag, "SELECT ");
        x->counted = true;
    }
    exec_statement_done(x);
}

/* True: this round has asked somebody. */
static bool next_of_concat(struct exec *x)
{
    struct exec_pieces *run = x->pieces;
    struct pieces *p = run->p;

    if (run->max != UINT64_MAX)
        run->left = run->max - x->sent;
    while (p->at < p->npool && p->ended[p->at])
        p->at++;
    if (run->left == 0 || p->at == p->npool)
        return false;
    ask(x, p->at, run->left);
    return true;
}

static bool next_of_merge(struct exec *x)
{
    struct exec_pieces *run = x->pieces;
    struct pieces *p = run->p;
    uint64_t rows, before = run->left;
    bool enough = exec_merge_piece(x, &run->left);

    x->sent += before - run->left;
    if (enough || x->failed)
        return false;
    rows = exec_merge_wants(x, run->left);
    if (rows > p->round)
        rows = p->round;
    for (uint32_t i = 0; i < p->npool; i++) {
        if (!p->ended[i] && exec_merge_needs(x, i))
            ask(x, i, rows);
    }
    if (rows == p->round && p->round < ROUND_MAX && exec_merge_is_small(x))
        p->round *= 2;
    return true;
}

static void next(struct exec *x)
{
    if (!x->failed && (x->merge ? next_of_merge(x) : next_of_concat(x)))
        return;
    finish(x);
}

static void run_pieces(struct exec *x, struct pieces *p, uint32_t max_rows)
{
    struct exec_pieces *run = ARENA_NEW(&x->arena, struct exec_pieces);

    run->p = p;
    run->max = run->left = max_rows ? max_rows : UINT64_MAX;
    x->pieces = run;
    x->sent = 0;
    exec_merge_give(x, p->merge);
    p->merge = NULL;
    x->ndone = 0;
    next(x);
}

/* The shards' portals of a name, to be executed or closed later. */
static void keep_pools(struct pieces *p, const struct exec *x, struct span name)
{
    p->name = mem_strndup(name.ptr, name.len);
    p->pools = mem_alloc(x->npart * sizeof(struct pool *));
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].backend)
            p->pools[p->npool++] = x->parts[i].backend->pool;
    }
}

void exec_pieces_begin(struct exec *x)
{
    struct pieces *p;

    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].backend)
            continue;
        x->failed = true; /* lost since it was bound: why is noted */
        exec_statement_done(x);
        return;
    }
    p = mem_zalloc(sizeof(*p));
    p->plan = plan_ref(x->plan);
    keep_pools(p, x, x->piece_portal);
    p->ended = mem_zalloc(x->npart * sizeof(bool));
    p->round = ROUND_FIRST;
    for (uint32_t i = 0; i < x->npart; i++)
        p->embeds = p->embeds || x->parts[i].ids;
    p->merge = exec_merge_take(x);
    portal_put_pieces(x->s, x->portal, p);
    x->piecewise = false;
    run_pieces(x, p, x->max_rows);
}

void exec_pieces_ready(struct exec *x, struct part *part)
{
    (void)part;
    if (--x->pieces->asked == 0)
        next(x);
}

void exec_pieces_ended(struct exec *x, const struct part *part)
{
    x->pieces->p->ended[part - x->parts] = true;
}

/* --- later Executes --- */

static void put_hoarded(struct exec *x, struct pieces *p, uint32_t max_rows)
{
    uint64_t n = 0;

    while (p->pos < p->rows.len && (max_rows == 0 || n < max_rows)) {
        size_t frame = (size_t)proto_get32(p->rows.ptr + p->pos + 1) + 1;

        strbuf_put(&x->out, p->rows.ptr + p->pos, frame);
        p->pos += frame;
        n++;
    }
    x->suspended = max_rows && n == max_rows;
    strbuf_reset(&x->tag);
    strbuf_put(&x->tag, p->tag.ptr, p->tag.len);
    x->counted = true;
    x->rows = n;
    exec_put_tag(x);
    exec_step_done(x);
}

/* The session's leases of the portal's pools; false: one has gone. */
static bool take_parts(struct exec *x, const struct pieces *p)
{
    bool all = true;

    x->parts = ARENA_ARRAY(&x->arena, struct part, p->npool);
    x->npart = 0;
    for (uint32_t i = 0; i < p->npool; i++) {
        struct backend *b = session_lease_of(x->s, p->pools[i]);

        all = all && b;
        if (!b)
            continue;
        b->part = x->npart;
        x->parts[x->npart].backend = b;
        x->parts[x->npart++].done = true;
    }
    return all;
}

bool exec_pieces_execute(struct exec *x, struct span name, uint32_t max_rows)
{
    struct pieces *p = portal_pieces(x->s, name);
    struct err e = ERR_INIT;

    if (!p)
        return false;
    if (p->failed) {
        err_set(&e, PB0305, "portal \"%.*s\" cannot be run", (int)name.len, name.ptr);
        e.id = ERR_NONE;
        err_state(&e, "55000");
        exec_fail(x, &e);
        return true;
    }
    x->portal = name;
    x->plan = plan_ref(p->plan);
    x->bind_sent = true;
    if (p->over) {
        put_hoarded(x, p, max_rows);
        return true;
    }
    if (!take_parts(x, p)) {
        err_set(&e, PB0305, "portal \"%.*s\" has lost a connection", (int)name.len, name.ptr);
        exec_fail(x, &e);
        return true;
    }
    x->task = TASK_STATEMENT;
    x->max_rows = max_rows;
    run_pieces(x, p, max_rows);
    return true;
}

bool exec_pieces_close(struct exec *x, struct span name)
{
    struct pieces *p = portal_pieces(x->s, name);
    struct strbuf *out = &x->s->worker->out;

    if (!p || p->npool == 0)
        return false;
    (void)take_parts(x, p);
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *part = &x->parts[i];

        fe_put_close(out, 'P', span_str(p->name));
        fe_put_sync(out);
        backend_expect(part->backend, EXPECT_EXEC);
        part->started = true;
        part->done = false;
        stream_write(&part->backend->st, out->ptr, out->len);
        strbuf_reset(out);
    }
    portal_drop(x->s, name);
    x->task = TASK_STATEMENT;
    x->next_part = x->npart;
    x->bind_sent = true;
    return x->npart > 0;
}

/* --- the end --- */

/* What a later Execute of the portal finds: the rows that were hoarded, or none; or that it is over. */
static void leave_rest(struct exec *x)
{
    struct pieces *p = mem_zalloc(sizeof(*p));

    p->plan = plan_ref(x->plan);
    p->over = true;
    p->failed = !x->plan->returns_rows;
    if (exec_portal_there(x).len && !x->gather)
        keep_pools(p, x, exec_portal_there(x));
    p->rows = x->hoarded;
    x->hoarded = (struct strbuf)STRBUF_INIT;
    strbuf_put(&p->tag, x->tag.ptr, x->tag.len);
    portal_put_pieces(x->s, x->portal, p);
}

void exec_pieces_done(struct exec *x)
{
    if (x->pieces || (x->plan && exec_is_declare(x->plan)))
        return;
    if (x->gather) {
        x->gather_keep = x->suspended && exec_in_txn(x) && !x->own_txn;
        if (x->gather_keep)
            portal_put(x->s, x->portal, x->s->set->gather);
        else if (exec_in_txn(x))
            leave_rest(x);
        return;
    }
    if (!x->plan || (x->npart < 2 && !exec_is_copy(x))) /* no server knows a portal of COPY: it is a Query there */
        return;
    x->suspended = x->max_rows && x->plan->returns_rows && x->sent >= x->max_rows;
    if (x->hoard || exec_in_txn(x))
        leave_rest(x);
}
