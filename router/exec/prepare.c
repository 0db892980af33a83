/*
 * SQL-level PREPARE and EXECUTE. A statement that is prepared in SQL is one of the protocol's, under the same names: a
 * server is asked for its parameter types and columns (Describe, beside the transaction), which also says what is wrong
 * with it. An EXECUTE becomes a Bind of it with its arguments as text, and is routed by them; EXPLAIN EXECUTE is one of
 * the statement with EXPLAIN put before it.
 */
#include "router/exec/prepare.h"

#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/ext.h"
#include "router/exec/part.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/worker.h"
#include "wire/reader.h"

#include <string.h>

#define TYPE_UNKNOWN 705u /* shown of a type that the transaction has made (rule P37) */

/* Before statements of SQL are run another way: nothing of the Describe is left. */
static void forget_describe(struct exec *x)
{
    x->task = TASK_NONE;
    x->parts = NULL;
    x->npart = x->ndone = x->next_part = x->ndescribed = 0;
    x->row_desc_sent = x->checking = x->describe = false;
    x->row_desc_type = '\0';
    strbuf_reset(&x->row_desc);
}

static void put_types(struct strbuf *out, const uint32_t *types, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        msg_u32(out, types[i]);
}

static bool refuse_kind(const struct prepared *p, struct err *e)
{
    const char *column;

    if (p->plan->kind == PLAN_QUERY || p->plan->kind == PLAN_GATHER || p->plan->kind == PLAN_INSERT)
        return true;
    if (p->plan->kind == PLAN_SESSION && p->plan->session->verb == SESSION_SET_CONFIG &&
        !setting_is_own(p->plan, &column))
        return true;
    err_set(e, PB0313, "this statement cannot be prepared in SQL");
    err_detail(e, "The router carries it out by itself.");
    return err_hint(e, "Send it as a statement of its own.");
}

/* The statement's types are known: it is prepared anew with all of them, so that they stay what they are. */
static void exec_sql_prepared(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct reader r = rd_make(x->param_types);
    uint16_t n = rd_u16(&r);
    struct strbuf types = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct prepared *p;
    uint64_t shape = x->prepared->shape;

    forget_describe(x);
    for (uint16_t i = 0; i < n; i++) {
        uint32_t oid = rd_u32(&r);

        msg_u32(&types, oid == TYPE_UNKNOWN ? 0 : oid);
    }
    if (session_find_statement(s, span_str(ps->name))) {
        strbuf_fini(&types);
        err_set(&e, PB0314, "prepared statement \"%s\" already exists", ps->name);
        exec_fail(x, &e);
        return;
    }
    p = prepared_get(s, x->prepared->sql, types.ptr ? types.ptr : "", n, &e);
    strbuf_fini(&types);
    if (!p) {
        exec_fail(x, &e);
        return;
    }
    if (!p->shape)
        p->shape = shape;
    session_put_statement(s, span_str(ps->name), p);
    session_find_statement(s, span_str(ps->name))->shape = shape;
    exec_answer(x, "PREPARE");
    exec_step_done(x);
}

void exec_sql_prepare(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct span sql = span_make(x->text.ptr + ps->from, x->text.len - ps->from);
    struct strbuf types = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct prepared *p;

    if (x->extended) { /* positions of errors are counted in the whole text */
        strbuf_reset(&x->sql);
        strbuf_put(&x->sql, x->text.ptr, x->text.len);
    }
    x->text_offset += ps->from;
    put_types(&types, ps->types, ps->ntype);
    p = prepared_get(x->s, sql, types.ptr ? types.ptr : "", (uint16_t)ps->ntype, &e);
    strbuf_fini(&types);
    if (!p || !refuse_kind(p, &e)) {
        prepared_unref(x->s->worker, p);
        if (e.position)
            e.position += exec_characters_before(x);
        exec_fail(x, &e);
        return;
    }
    x->checking = true;
    x->described = exec_sql_prepared;
    exec_describe_statement(x, p);
    prepared_unref(x->s->worker, p);
}

/* --- EXECUTE --- */

static struct session_statement *find_target(struct exec *x, const struct plan_session *ps, struct err *e)
{
    struct session_statement *st = session_find_statement(x->s, span_str(ps->name));

    if (!st)
        err_set(e, PB0304, "prepared statement \"%s\" does not exist", ps->name);
    return st;
}

static uint32_t declared_type(const struct prepared *p, uint32_t i)
{
    return i < p->ntype ? proto_get32(p->types + 4 * (size_t)i) : 0;
}

/* A statement of the protocol's whose types were left out: those that a server has found, if it was asked. */
static uint32_t known_type(const struct exec *x, const struct prepared *p, uint32_t i)
{
    uint32_t declared = declared_type(p, i);

    if (declared || x->param_types.len < 2 + 4 * ((size_t)i + 1))
        return declared;
    return proto_get32(x->param_types.ptr + 2 + 4 * (size_t)i);
}

static bool needs_types(const struct exec *x, const struct plan_session *ps, const struct prepared *p)
{
    if (ps->narg != prepared_nparam(p) || x->param_types.len)
        return false;
    for (uint32_t i = 0; i < ps->narg; i++) {
        if (declared_type(p, i) == 0 && !execute_value_fits(&ps->args[i], 0))
            return true;
    }
    return false;
}

static bool take_args(struct exec *x, const struct plan_session *ps, const struct prepared *p, struct err *e)
{
    struct span *values = ARENA_ARRAY(&x->arena, struct span, ps->narg + 1);
    uint8_t *binary = ARENA_ARRAY(&x->arena, uint8_t, ps->narg + 1);
    uint32_t *types = ARENA_ARRAY(&x->arena, uint32_t, ps->narg + 1);

    if (ps->narg != prepared_nparam(p)) {
        err_set(e, PB0204, "wrong number of parameters for prepared statement \"%s\"", ps->name);
        e->id = ERR_NONE;
        err_state(e, "42601");
        return err_detail(e, "Expected %u parameters but got %u.", prepared_nparam(p), ps->narg);
    }
    for (uint32_t i = 0; i < ps->narg; i++) {
        const struct execute_arg *arg = &ps->args[i];

        types[i] = declared_type(p, i);
        if (!execute_value_fits(arg, known_type(x, p, i))) {
            err_set(e, PB0313, "argument %u of EXECUTE is not of its parameter's type", i + 1);
            err_detail(e, "The router gives the values to the shards without converting anything.");
            return err_hint(e, "Write it as a string: '...'.");
        }
        if (arg->text)
            values[i] = exec_copy_span(x, span_str(arg->text));
        if (arg->text && !values[i].ptr)
            values[i].ptr = "";
    }
    x->binds = (struct bind_values){ .n = ps->narg, .values = values, .types = types, .binary = binary };
    return true;
}

/* The Bind message behind its names; result formats are those of the client's own Bind. */
static void make_bind(struct exec *x)
{
    struct strbuf sb = STRBUF_INIT;
    struct reader results = rd_make(span_make(x->bind.results, x->bind.nresult * 2u));

    msg_u16(&sb, 0);
    msg_u16(&sb, (uint16_t)x->binds.n);
    for (uint32_t i = 0; i < x->binds.n; i++) {
        struct span v = x->binds.values[i];

        msg_u32(&sb, v.ptr ? (uint32_t)v.len : UINT32_MAX);
        if (v.ptr)
            strbuf_put(&sb, v.ptr, v.len);
    }
    msg_u16(&sb, x->bind.nresult);
    for (uint16_t i = 0; i < x->bind.nresult; i++)
        msg_u16(&sb, rd_u16(&results));
    x->bind_rest = exec_copy_span(x, strbuf_span(&sb));
    strbuf_fini(&sb);
}

/* EXPLAIN ... EXECUTE: a statement of its own, which is prepared like any other. */
static struct prepared *explained(struct exec *x, const struct plan_session *ps, const struct prepared *p,
                                  struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    struct prepared *explain;

    strbuf_put(&sql, x->text.ptr, ps->explain);
    strbuf_put(&sql, p->sql.ptr, p->sql.len);
    explain = prepared_get(x->s, strbuf_span(&sql), p->types, p->ntype, e);
    strbuf_fini(&sql);
    return explain;
}

static void execute_fail(struct exec *x, const struct err *e)
{
    exec_bind_answer(x);
    exec_fail(x, e);
}

/* As planned, or after a Describe that has found what was not known. */
static void exec_sql_run(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;
    struct session *s = x->s;
    struct err e = ERR_INIT;
    struct session_statement *st = find_target(x, ps, &e);
    struct prepared *p;
    bool describe = x->describe;

    if (!st || !prepared_refresh(s, &st->prepared, &e)) {
        execute_fail(x, &e);
        return;
    }
    p = st->prepared;
    /* The schema has changed since (rule P13), or nobody knows what the arguments are. */
    if ((st->shape && p->shape == 0) || needs_types(x, ps, p)) {
        x->checking = true;
        x->described = exec_sql_run;
        exec_describe_statement(x, p);
        x->describe = describe;
        return;
    }
    forget_describe(x);
    x->describe = describe || !x->extended;
    if (st->shape && st->shape != p->shape) {
        exec_bind_answer(x);
        exec_refuse_shape(x);
        return;
    }
    if (!x->extended)
        x->bind.nresult = 0;
    if (!take_args(x, ps, p, &e)) {
        execute_fail(x, &e);
        return;
    }
    make_bind(x);
    p = ps->explain ? explained(x, ps, p, &e) : prepared_ref(p);
    if (!p) {
        execute_fail(x, &e);
        return;
    }
    prepared_unref(s->worker, x->prepared);
    x->prepared = p;
    if (!x->extended) {
        x->portal = (struct span){ 0 };
        x->bind_sent = true;
        x->max_rows = 0;
    }
    x->bound = true;
    x->text = p->sql;
    x->text_offset = 0;
    x->lits_copy.n = p->nliteral;
    x->lits_copy.v = p->literals;
    plan_unref(x->plan);
    x->plan = plan_ref(p->plan);
    exec_dispatch(x);
}

void exec_sql_execute(struct exec *x)
{
    x->param_types = (struct span){ 0 };
    exec_sql_run(x);
}

bool exec_describe_execute(struct exec *x, struct prepared *p)
{
    struct session_statement *st;
    struct err e = ERR_INIT;
    size_t at;

    if (p->plan->kind != PLAN_SESSION || p->plan->session->verb != SESSION_EXECUTE)
        return false;
    x->described_name = (struct span){ 0 };
    st = session_find_statement(x->s, span_str(p->plan->session->name));
    if (!st) {
        exec_describe_statement(x, p);
        return true;
    }
    if (!prepared_refresh(x->s, &st->prepared, &e)) {
        exec_fail(x, &e);
        return true;
    }
    if (!x->hide_params) {
        at = msg_begin(&x->out, BE_PARAMETER_DESCRIPTION);
        msg_u16(&x->out, 0);
        msg_end(&x->out, at);
    }
    x->hide_params = true;
    exec_describe_statement(x, st->prepared);
    return true;
}
