/*
 * Cursors in SQL. Where the query runs on one shard the cursor lives there, and FETCH, MOVE and CLOSE are relayed to
 * it. Where its rows are those of several shards one after another, each shard has a cursor of that name, and rows are
 * fetched in shard order, forward only. A query that is gathered (for SCROLL and WITH HOLD, too, if it can be) has its
 * cursor on the gathering server, whose
 * connection the session keeps until the transaction ends (WITH HOLD: until CLOSE).
 *
 * WITH HOLD pins the connection (router/server/pin.h). Of a gathered one all rows are on the gathering server when it
 * is declared, in a transaction that commits at once, inside of the client's transaction, too: that server takes no
 * part in it. If the client's is rolled back its connection is reset, and the cursor is gone.
 */
#include "router/exec/cursor.h"

#include "router/exec/clock.h"
#include "router/exec/exec_int.h"
#include "router/exec/gate.h"
#include "router/exec/gather.h"
#include "router/exec/hint.h"
#include "router/exec/part.h"
#include "router/exec/snapshot.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/txn/isolation.h"
#include "router/worker.h"

#include <stdio.h>

static void fail(struct exec *x, const struct err *e)
{
    exec_bind_answer(x);
    exec_fail(x, e);
}

static void refuse(struct exec *x, const char *what, const char *detail, const char *hint)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0313, "%s", what);
    err_detail(&e, "%s", detail);
    err_hint(&e, "%s", hint);
    fail(x, &e);
}

static struct span cursor_name(const struct exec *x)
{
    return span_str(x->plan->session->name);
}

static uint32_t shard_of(const struct session *s, const struct pool *pool)
{
    for (uint32_t i = 0; i < s->set->npool; i++) {
        if (s->set->pools[i] == pool)
            return i;
    }
    return s->set->home; /* the gathering server */
}

/* The gathering server's connection is of no use without a cursor on it. */
void exec_cursor_tidy(struct session *s)
{
    struct backend *b = session_lease_of(s, s->set->gather);

    portal_unpin(s);
    if (b && !portal_lives_on(s, b->pool) && !(s->exec && s->exec->gather))
        pool_release(b);
}

/* --- DECLARE --- */

static void declared(struct exec *x)
{
    struct pool **pools = ARENA_ARRAY(&x->arena, struct pool *, x->npart);

    for (uint32_t i = 0; i < x->npart; i++)
        pools[i] = x->parts[i].backend->pool;
    portal_put_cursor(x->s, cursor_name(x), pools, x->npart, x->plan->session->hold);
}

static bool declare_allowed(struct exec *x, bool several, bool gather)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct err e = ERR_INIT;

    /* What is implicit in a pipeline is no block, unlike what is implicit in a string of statements. */
    if ((!s->txn.env || (s->txn.implicit && x->extended)) && !ps->hold) {
        err_set(&e, PB0204, "DECLARE CURSOR can only be used in transaction blocks");
        e.id = ERR_NONE;
        err_state(&e, "25P01");
        fail(x, &e);
        return false;
    }
    if (portal_exists(s, cursor_name(x))) {
        err_set(&e, PB0305, "cursor \"%s\" already exists", ps->name);
        e.id = ERR_NONE;
        err_state(&e, "42P03");
        fail(x, &e);
        return false;
    }
    if (several && !gather && x->plan->combine != COMBINE_CONCAT) {
        refuse(x, "a cursor over several shards is not supported for this query",
               "Its rows are neither those of one shard after another, nor gathered on one server.",
               "Run the query by itself, or give the sharding key.");
        return false;
    }
    if (several && ps->hold && !gather) {
        refuse(x, "a cursor WITH HOLD over several shards is not supported for this query",
               "Its rows cannot be gathered on one server.", "Declare it without WITH HOLD, or give the sharding key.");
        return false;
    }
    if (several && ps->scroll && !gather) {
        refuse(x, "a SCROLL cursor over several shards is not supported",
               "Its rows come from one shard after another and cannot be gathered on one server.",
               "Declare it without SCROLL, or give the sharding key.");
        return false;
    }
    return true;
}

void exec_declare(struct exec *x)
{
    struct session *s = x->s;
    struct plan_gather const *g = x->plan->gather;
    struct err e = ERR_INIT;
    bool gather, ok;

    if (!exec_snapshot(x, exec_declare))
        return;
    ok = plan_route(x->plan, s->db->map, x->text, &x->lits_copy, x->bound ? &x->binds : NULL, &x->arena, &x->route,
                    &e) &&
         exec_hint(x, &e);
    if (!exec_clock(x, ok, exec_declare))
        return;
    if (!ok) {
        fail(x, &e);
        return;
    }
    (void)exec_make_parts(x, &x->route.set, x->route.any);
    gather = !exec_lacks_values(x) && g && (g->always || (x->plan->combine == COMBINE_GATHER && x->npart > 1));
    if (!declare_allowed(x, gather || x->npart > 1, gather))
        return;
    if (!isolation_allows(s, x->plan->moment, gather ? 2 : x->npart, x->parts[0].shard, &e)) {
        fail(x, &e);
        return;
    }
    x->finished = declared;
    if (x->npart > 1 || gather)
        STAT_ADD(s->worker->stats.scattered, 1);
    if (gather) {
        x->gather_keep = true;
        exec_gather(x);
        return;
    }
    x->task = TASK_STATEMENT;
    x->acquired = exec_gate_statement;
    exec_acquire(x);
}

/* --- FETCH, MOVE --- */

bool exec_is_declare(const struct plan *plan)
{
    return plan->kind == PLAN_SESSION && plan->session->verb == SESSION_DECLARE;
}

bool exec_is_fetch(const struct plan *plan)
{
    return plan->kind == PLAN_SESSION && plan->session->verb == SESSION_FETCH;
}

void exec_fetch_text(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct strbuf sql = STRBUF_INIT;

    strbuf_puts(&sql, ps->move ? "MOVE FORWARD " : "FETCH FORWARD ");
    if (ps->count == UINT64_MAX)
        strbuf_puts(&sql, "ALL");
    else
        strbuf_printf(&sql, "%llu", (unsigned long long)(ps->count - x->rows));
    strbuf_puts(&sql, " FROM ");
    strbuf_put_ident(&sql, cursor_name(x));
    x->text = exec_copy_span(x, strbuf_span(&sql));
    strbuf_fini(&sql);
}

bool exec_fetch_is_done(const struct exec *x)
{
    return x->fetching && x->rows >= x->plan->session->count;
}

static void fetched(struct exec *x)
{
    portal_advance(x->s, cursor_name(x), x->npart - 1);
}

static void no_cursor(struct exec *x)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0305, "cursor \"%s\" does not exist", x->plan->session->name);
    e.id = ERR_NONE;
    err_state(&e, "34000");
    fail(x, &e);
}

/* Parts for the cursor's connections from where it stands; 0: there is no such cursor, and that has been said. */
static uint32_t cursor_parts(struct exec *x, bool all)
{
    struct session *s = x->s;
    struct pool *const *pools;
    struct pool *one = portal_find(s, cursor_name(x));
    uint32_t n = portal_cursor(s, cursor_name(x), all, &pools);
    struct span kept;

    if (n == 0 && one) {
        pools = &one;
        n = 1;
    }
    if (n == 0 && (portal_kept(s, cursor_name(x), &kept) || portal_pieces(s, cursor_name(x)))) {
        refuse(x, "a portal of the protocol over several shards cannot be used in SQL",
               "It is run when the client executes it.", "Execute it by the protocol, or declare a cursor in SQL.");
        return 0;
    }
    x->parts = ARENA_ARRAY(&x->arena, struct part, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        x->parts[i].shard = shard_of(s, pools[i]);
        x->parts[i].backend = session_lease_of(s, pools[i]);
        if (!x->parts[i].backend)
            n = 0;
        else
            x->parts[i].backend->part = i;
    }
    x->npart = n;
    if (n == 0)
        no_cursor(x);
    return n;
}

void exec_fetch(struct exec *x)
{
    uint32_t n = cursor_parts(x, false);

    if (n == 0)
        return;
    if (portal_is_scattered(x->s, cursor_name(x))) {
        if (x->plan->session->count == 0) {
            refuse(x, "a cursor over several shards goes forward only", "Its rows come from one shard after another.",
                   "Declare it with SCROLL, so that its rows are gathered on one server.");
            return;
        }
        x->fetching = true;
        x->hoard = x->extended && x->max_rows && !x->plan->session->move;
        x->finished = fetched;
    }
    x->task = TASK_STATEMENT;
    exec_start_parts(x);
}

struct backend *exec_fetch_backend(const struct session *s, const struct plan *plan)
{
    struct span name = span_str(plan->session->name);
    struct pool *const *pools;
    struct pool *one = portal_find(s, name);

    if (!one && portal_cursor(s, name, true, &pools))
        one = pools[0];
    return one ? session_lease_of(s, one) : NULL;
}

/* --- CLOSE --- */

static void closed(struct exec *x)
{
    if (x->plan->session->name)
        portal_drop(x->s, cursor_name(x));
    else
        portal_drop_all(x->s);
    x->parts = NULL;
    x->npart = 0;
    exec_cursor_tidy(x->s);
}

void exec_close_cursor(struct exec *x)
{
    struct session *s = x->s;
    uint32_t n = 0;

    if (x->plan->session->name) {
        n = cursor_parts(x, true);
        if (n == 0)
            return;
    } else {
        x->parts = ARENA_ARRAY(&x->arena, struct part, s->nheld + 1);
        for (struct backend *b = s->held; b; b = b->next_held) {
            if (!portal_lives_on(s, b->pool))
                continue;
            x->parts[n].shard = shard_of(s, b->pool);
            x->parts[n].backend = b;
            b->part = n++;
        }
        x->npart = n;
        if (n == 0) {
            portal_drop_all(s);
            exec_bind_answer(x);
            exec_answer(x, "CLOSE CURSOR ALL");
            exec_step_done(x);
            return;
        }
    }
    x->finished = closed;
    x->task = TASK_STATEMENT;
    exec_start_parts(x);
}
