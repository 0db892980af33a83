#include "router/exec/exec.h"

#include "base/mem.h"
#include "net/loop.h"
#include "router/exec/answer.h"
#include "router/exec/control.h"
#include "router/exec/exec_int.h"
#include "router/exec/ext.h"
#include "router/exec/gate.h"
#include "router/exec/listen.h"
#include "router/exec/part.h"
#include "router/exec/txn.h"
#include "router/exec/view.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/txn/deadlock.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define EXEC_MAX_STATEMENTS 10000

/* --- life --- */

static struct exec *exec_new(struct session *s)
{
    struct exec *x = mem_zalloc(sizeof(*x));

    arena_init(&x->arena, 0);
    x->s = s;
    s->exec = x;
    session_set_state(s, SESSION_RUNNING);
    s->queries++;
    s->own_cancel = false;
    s->commit_held = false;
    STAT_ADD(s->worker->stats.queries, 1);
    s->active_us = loop_now_us(s->worker->loop);
    return x;
}

/* Whoever is further up the stack still compares the address, so no other exec gets it in this turn of the loop. */
static void exec_free(struct exec *x)
{
    struct loop *loop = x->s->worker->loop;

    exec_reset_statement(x);
    prepared_unref(x->s->worker, x->prepared);
    strbuf_fini(&x->out);
    strbuf_fini(&x->sql);
    strbuf_fini(&x->error);
    strbuf_fini(&x->row_desc);
    strbuf_fini(&x->tag);
    strbuf_fini(&x->last_tag);
    strbuf_fini(&x->hoarded);
    arena_fini(&x->arena);
    loop_defer(loop, free, x);
}

void exec_abandon(struct exec *x)
{
    struct session *s = x->s;

    if (x->request)
        control_abandon(x);
    s->exec = NULL;
    exec_free(x);
}

void exec_flush(struct exec *x)
{
    if (exec_gate_withholds(x) || x->speaker) /* a frame is on its way in pieces: exec_chunk_end() */
        return;
    if (x->out.len)
        session_send(x->s, x->out.ptr, x->out.len);
    strbuf_reset(&x->out);
}

/*
 * PostgreSQL commits what is implicit in a Query string before it tells of the last statement's success: a deferred
 * constraint that fails then leaves no tag.
 */
struct strbuf *exec_tag_out(struct exec *x)
{
    bool last = !x->extended && x->s->txn.implicit && !x->own_txn && x->cur + 1 == x->nstep;

    return last ? &x->last_tag : &x->out;
}

void exec_answer(struct exec *x, const char *tag)
{
    be_put_command_complete(exec_tag_out(x), tag);
}

void exec_bind_answer(struct exec *x)
{
    if (!x->extended || x->bind_sent)
        return;
    x->bind_sent = true;
    strbuf_put(&x->out, "2\0\0\0\4", 5);
    if (x->describe)
        strbuf_put(&x->out, "n\0\0\0\4", 5);
}

bool exec_in_txn(const struct exec *x)
{
    return x->s->txn.env != NULL;
}

/* The script is at its end: the session is ready for the next message. */
static void exec_finish(struct exec *x, bool ready)
{
    struct session *s = x->s;

    strbuf_put(&x->out, x->last_tag.ptr, x->last_tag.len);
    if (ready)
        session_put_ready(s, &x->out);
    exec_flush(x);
    s->exec = NULL;
    if (!s->txn.env)
        session_end_transaction(s, true);
    deadlock_settle(s);
    s->active_us = loop_now_us(s->worker->loop);
    exec_free(x);
    if (s->state == SESSION_CLOSING)
        return;
    if (UNLIKELY(s->lost_pin)) {
        struct err e = ERR_INIT;

        err_set(&e, PB0301, "a connection that the session kept was lost");
        err_state(&e, "57P01");
        session_fatal(s, &e);
        return;
    }
    session_set_state(s, SESSION_READY);
    session_continue(s);
}

/* --- making scripts --- */

static struct step *exec_add_step(struct exec *x, enum step_kind kind, struct span body, uint32_t offset)
{
    struct step *st;

    if ((x->nstep & (x->nstep - 1)) == 0) {
        struct step *more = ARENA_ARRAY(&x->arena, struct step, x->nstep ? x->nstep * 2 : 1);

        if (x->nstep)
            memcpy(more, x->steps, x->nstep * sizeof(*more));
        x->steps = more;
    }
    st = &x->steps[x->nstep++];
    st->kind = kind;
    st->body = body;
    st->offset = offset;
    return st;
}

struct span exec_copy_span(struct exec *x, struct span s)
{
    return span_make(arena_spandup(&x->arena, s), s.len);
}

void exec_start_statement(struct session *s, struct plan *plan, struct span sql)
{
    struct exec *x = exec_new(s);
    struct span text = exec_copy_span(x, sql);

    exec_add_step(x, STEP_STATEMENT, text, 0);
    exec_add_step(x, STEP_END, text, 0);
    x->plan = plan;
    strbuf_put(&x->sql, sql.ptr, sql.len);
    exec_advance(x);
}

void exec_start_string(struct session *s, struct span sql)
{
    struct exec *x = exec_new(s);
    struct span text = exec_copy_span(x, sql);
    struct literal *slices;
    int n = planner_split(sql, &s->env->plan, NULL, 0);

    strbuf_put(&x->sql, sql.ptr, sql.len);
    if (n > EXEC_MAX_STATEMENTS)
        n = EXEC_MAX_STATEMENTS + 1;
    slices = ARENA_ARRAY(&x->arena, struct literal, n > 0 ? n : 1);
    n = planner_split(sql, &s->env->plan, slices, n);
    if (n > EXEC_MAX_STATEMENTS) {
        struct err e = ERR_INIT;

        err_set(&e, PB0203, "too many statements in one string");
        err_detail(&e, "At most %d are taken.", EXEC_MAX_STATEMENTS);
        exec_add_step(x, STEP_END, text, 0);
        exec_fail(x, &e);
        return;
    }
    for (int i = 0; i < n; i++)
        exec_add_step(x, STEP_STATEMENT, span_make(text.ptr + slices[i].off, slices[i].len), slices[i].off);
    exec_add_step(x, STEP_END, text, 0);
    x->nexecute = (uint32_t)n;
    if (!s->txn.env)
        txn_begin(s, NULL, true);
    exec_advance(x);
}

void exec_start_batch(struct session *s, struct span messages)
{
    struct exec *x = exec_new(s);
    struct span copy = exec_copy_span(x, messages);
    size_t pos = 0;

    x->extended = true;
    while (pos < copy.len) {
        size_t frame = (size_t)proto_get32(copy.ptr + pos + 1) + 1;
        struct span body = span_make(copy.ptr + pos + PROTO_HEADER, frame - PROTO_HEADER);

        switch (copy.ptr[pos]) {
        case FE_PARSE:
            exec_add_step(x, STEP_PARSE, body, 0);
            break;
        case FE_BIND:
            exec_add_step(x, STEP_BIND, body, 0);
            break;
        case FE_DESCRIBE:
            exec_add_step(x, STEP_DESCRIBE, body, 0);
            break;
        case FE_EXECUTE:
            x->nexecute++;
            exec_add_step(x, STEP_EXECUTE, body, 0);
            break;
        case FE_CLOSE:
            exec_add_step(x, STEP_CLOSE, body, 0);
            break;
        case FE_FLUSH:
            exec_add_step(x, STEP_FLUSH, body, 0);
            break;
        case FE_SYNC:
            x->has_sync = true;
            exec_add_step(x, STEP_SYNC, body, 0);
            break;
        default:
            break; /* COPY messages out of place are discarded */
        }
        pos += frame;
    }
    if (s->skip_to_sync)
        x->cur = x->nstep - (x->has_sync ? 1 : 0);
    exec_advance(x);
}

/* --- running scripts --- */

/* More comes before the Sync, which may fail, or use the portal that is executed now. */
static bool exec_goes_on(const struct exec *x)
{
    for (uint32_t i = x->cur; i < x->nstep && x->steps[i].kind != STEP_SYNC; i++) {
        if (x->steps[i].kind != STEP_CLOSE && x->steps[i].kind != STEP_FLUSH)
            return true;
    }
    return !x->has_sync;
}

/* A statement that runs among others in one implicit transaction (rule P52). */
void exec_begin_implicit(struct exec *x)
{
    struct session *s = x->s;

    /* A portal that is not executed at once would end with its own little transaction. */
    if (!s->txn.env && (x->nexecute > 1 || (x->extended && (!x->execute || exec_goes_on(x)))))
        txn_begin(s, NULL, true);
}

static bool exec_allowed_in_failed(const struct exec *x)
{
    return x->plan->kind == PLAN_EMPTY || query_ends_transaction(x->plan);
}

/* The statement is planned: carry it out by kind. */
void exec_dispatch(struct exec *x)
{
    struct err e = ERR_INIT;

    /* The router's own messages to a shard may use the unnamed portal there: the client's would be another one then. */
    if (x->portal.len || !x->extended)
        portal_drop(x->s, (struct span){ 0 });
    if (x->s->tx == 'E' && !exec_allowed_in_failed(x)) {
        query_failed_transaction(&e);
        exec_fail(x, &e);
        return;
    }
    if (x->plan->expanded && !exec_expand_views(x))
        return;
    if (x->extended && !x->execute && x->plan->kind != PLAN_QUERY && x->plan->kind != PLAN_INSERT) {
        exec_keep_portal(x);
        return;
    }
    switch (x->plan->kind) {
    case PLAN_EMPTY:
        exec_bind_answer(x);
        if (x->extended || x->nstep == 2)
            strbuf_put(&x->out, "I\0\0\0\4", 5);
        exec_step_done(x);
        break;
    case PLAN_SESSION:
        exec_session_verb(x);
        break;
    case PLAN_CONTROL:
        exec_control(x);
        break;
    case PLAN_QUERY:
    case PLAN_GATHER:
    case PLAN_INSERT:
    case PLAN_COPY_IN:
    case PLAN_COPY_OUT:
    case PLAN_DDL:
        exec_run(x);
        break;
    }
}

static void exec_step_statement(struct exec *x, const struct step *st)
{
    struct session *s = x->s;
    struct literals lits;
    struct err e = ERR_INIT;

    x->text = st->body;
    x->text_offset = st->offset;
    plan_unref(x->plan);
    x->plan =
        planner_plan(s->worker->planner, session_catalog(s), s->db->map, &s->env->plan, x->text, NULL, 0, &lits, &e);
    if (!x->plan) {
        if (e.position && st->offset)
            e.position += exec_characters_before(x);
        exec_fail(x, &e);
        return;
    }
    x->lits_copy.n = lits.n;
    x->lits_copy.v = ARENA_ARRAY(&x->arena, struct literal, lits.n ? lits.n : 1);
    if (lits.n)
        memcpy((void *)(uintptr_t)x->lits_copy.v, lits.v, lits.n * sizeof(*lits.v));
    x->execute = true;
    exec_begin_implicit(x);
    exec_dispatch(x);
}

/* The end of a string or a Sync: what was implicit commits. */
static void exec_step_end(struct exec *x)
{
    struct session *s = x->s;

    s->skip_to_sync = false;
    if (s->txn.env && s->txn.implicit) {
        x->implicit_end = true;
        exec_end_txn(x, true);
        return;
    }
    if (exec_hear_after(x, exec_step_end))
        exec_finish(x, true);
}

static void exec_step(struct exec *x)
{
    const struct step *st = &x->steps[x->cur];

    exec_reset_statement(x);
    if (!exec_settle_bind(x, st))
        return;
    x->cur++;
    switch (st->kind) {
    case STEP_STATEMENT:
        exec_step_statement(x, st);
        break;
    case STEP_PARSE:
        exec_step_parse(x, st);
        break;
    case STEP_BIND:
        exec_step_bind(x, st);
        break;
    case STEP_DESCRIBE:
        exec_step_describe(x, st);
        break;
    case STEP_EXECUTE:
        exec_step_execute(x, st);
        break;
    case STEP_CLOSE:
        exec_step_close(x, st);
        break;
    case STEP_FLUSH:
        exec_step_done(x);
        break;
    case STEP_END:
    case STEP_SYNC:
        exec_step_end(x);
        break;
    }
}

/* Run steps until one waits. exec_step_done() may be called from inside a step: then the loop goes on, not the stack.
 */
void exec_advance(struct exec *x)
{
    struct session *s = x->s;

    if (x->advancing) {
        x->again = true;
        return;
    }
    x->advancing = true;
    do {
        x->again = false;
        if (x->cur >= x->nstep && !x->bind_pending) {
            exec_finish(x, false);
            return;
        }
        if (x->cur >= x->nstep)
            exec_run_group(x);
        else
            exec_step(x);
        if (s->exec != x)
            return; /* finished, or the session is gone */
    } while (x->again);
    x->advancing = false;
    exec_flush(x);
}

void exec_step_done(struct exec *x)
{
    exec_advance(x);
}

/* After an error: nothing up to the end of the string or to Sync runs; what was implicit is rolled back. */
static void exec_skip(struct exec *x)
{
    struct session *s = x->s;

    x->bind_pending = x->checking = false;
    strbuf_reset(&x->last_tag);
    if (x->extended) {
        s->skip_to_sync = !x->has_sync;
        x->cur = x->has_sync ? x->nstep - 1 : x->nstep;
    } else {
        x->cur = x->nstep - 1;
    }
    if (s->txn.env && s->txn.implicit) {
        x->implicit_rollback = true;
        exec_end_txn(x, false);
        return;
    }
    if (s->tx == 'T')
        s->tx = 'E';
    exec_advance(x);
}

void exec_fail(struct exec *x, const struct err *e)
{
    STAT_ADD(x->s->worker->stats.errors, 1);
    be_put_error(&x->out, "ERROR", e);
    exec_after_error(x);
}

void exec_after_error(struct exec *x)
{
    exec_skip(x);
}

void exec_refused(struct exec *x, const struct err *e)
{
    x->failed = true;
    if (!x->own_error.id && x->error.len == 0)
        x->own_error = *e;
    exec_stop_acquiring(x);
}

bool exec_is_committing(const struct exec *x)
{
    return (x->task == TASK_TXN && x->npart > 1) || exec_in_two_phase(x);
}

void exec_cancel(struct exec *x)
{
    x->cancelled = true;
    exec_gate_cancel(x);
}
