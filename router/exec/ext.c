/*
 * The long way of the extended protocol: Parse, Bind, Describe, Execute and Close, one after another. A Bind waits for
 * its Describe and Execute, so that they go out together; a portal that no single server can hold is kept in the
 * session until it is executed (router/session/portal.h).
 *
 * Rule P13: when the schema changes under a prepared statement, PostgreSQL refuses to run it if its result changed
 * ("cached plan must not change result type"), because the client may rely on the columns it was told. Here the
 * statement is prepared anew, so the router compares: the shape that the client was told by Describe, and the shape
 * now.
 */
#include "router/exec/ext.h"

#include "base/hash.h"
#include "base/mem.h"
#include "router/exec/cursor.h"
#include "router/exec/exec_int.h"
#include "router/exec/merge.h"
#include "router/exec/part.h"
#include "router/exec/pieces.h"
#include "router/exec/prepare.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/reader.h"

static struct prepared **exec_find_statement(struct exec *x, struct span name, struct err *e)
{
    struct session_statement *st;

    if (name.len == 0) {
        if (x->s->unnamed)
            return &x->s->unnamed;
        err_set(e, PB0304, "unnamed prepared statement does not exist");
        return NULL;
    }
    st = session_find_statement(x->s, name);
    if (st)
        return &st->prepared;
    err_set(e, PB0304, "prepared statement \"%.*s\" does not exist", (int)name.len, name.ptr);
    return NULL;
}

static bool exec_malformed(struct exec *x, const char *what)
{
    struct err e = ERR_INIT;
    struct session *s = x->s;

    err_set(&e, PB0101, "invalid %s message", what);
    exec_flush(x);
    session_fatal(s, &e);
    return false;
}

void exec_step_parse(struct exec *x, const struct step *st)
{
    struct session *s = x->s;
    struct fe_parse parse;
    struct prepared *p;
    struct err e = ERR_INIT;

    if (!fe_decode_parse(st->body, &parse)) {
        (void)exec_malformed(x, "Parse");
        return;
    }
    if (parse.name.len == 0) { /* gone even if this one fails */
        prepared_unref(s->worker, s->unnamed);
        s->unnamed = NULL;
    }
    p = prepared_get(s, parse.sql, parse.types, parse.ntype, &e);
    if (!p || (s->tx == 'E' && p->plan->kind != PLAN_EMPTY && !query_ends_transaction(p->plan))) {
        if (p || (s->tx == 'E' && e.id != PB0202)) {
            query_failed_transaction(&e);
            prepared_unref(s->worker, p);
        }
        exec_fail(x, &e);
        return;
    }
    if (parse.name.len && session_find_statement(s, parse.name)) { /* PostgreSQL, too, looks at the text first */
        prepared_unref(s->worker, p);
        err_set(&e, PB0314, "prepared statement \"%.*s\" already exists", (int)parse.name.len, parse.name.ptr);
        exec_fail(x, &e);
        return;
    }
    if (parse.name.len) {
        session_put_statement(s, parse.name, p);
    } else {
        s->unnamed = p;
    }
    strbuf_put(&x->out, "1\0\0\0\4", 5);
    exec_step_done(x);
}

static bool exec_portal_taken(const struct exec *x, struct err *e)
{
    err_set(e, PB0305, "cursor \"%.*s\" already exists", (int)x->portal.len, x->portal.ptr);
    e->id = ERR_NONE;
    return err_state(e, "42P03");
}

bool exec_check_portal(const struct exec *x, struct err *e)
{
    const struct pool *pool = x->extended && x->portal.len && !x->bind_sent ? portal_find(x->s, x->portal) : NULL;

    if (!x->extended || x->portal.len == 0 || x->bind_sent || !portal_exists(x->s, x->portal))
        return true;
    if (pool && x->npart == 1 && x->s->set->pools[x->parts[0].shard] == pool)
        return true; /* on the same connection the server says it */
    return exec_portal_taken(x, e);
}

/* Run the portal being put together, up to Describe or Execute. */
void exec_run_group(struct exec *x)
{
    struct prepared *p = x->prepared;

    plan_unref(x->plan);
    x->plan = plan_ref(p->plan);
    x->text = p->sql;
    x->text_offset = 0;
    x->lits_copy.n = p->nliteral;
    x->lits_copy.v = p->literals;
    x->bind_pending = false;
    exec_begin_implicit(x);
    exec_dispatch(x);
}

static bool exec_decode_values(struct exec *x, struct err *e)
{
    struct prepared *p = x->prepared;
    uint32_t n = x->bind.nparam;
    struct span *values = ARENA_ARRAY(&x->arena, struct span, n + 1);
    uint8_t *binary = ARENA_ARRAY(&x->arena, uint8_t, n + 1);
    uint32_t *types = ARENA_ARRAY(&x->arena, uint32_t, n + 1);

    if (!fe_bind_values(&x->bind, values, binary))
        return err_set(e, PB0101, "bind message has %u parameter formats but %u parameters", x->bind.nformat, n);
    if (n != prepared_nparam(p))
        return err_set(e, PB0101, "bind message supplies %u parameters, but prepared statement \"%.*s\" requires %u", n,
                       (int)x->bind.statement.len, x->bind.statement.ptr, prepared_nparam(p));
    for (uint32_t i = 0; i < n; i++)
        types[i] = i < p->ntype ? proto_get32(p->types + 4 * (size_t)i) : 0;
    x->binds = (struct bind_values){ .n = n, .values = values, .types = types, .binary = binary };
    return true;
}

/* Make the Bind message of statement p the running one; takes the reference. */
static bool exec_take_bind(struct exec *x, struct prepared *p, struct span body, struct err *e)
{
    size_t names = x->bind.portal.len + x->bind.statement.len + 2;

    prepared_unref(x->s->worker, x->prepared);
    x->prepared = p;
    x->portal = x->bind.portal;
    x->bind_body = body;
    x->bind_rest = span_make(body.ptr + names, body.len - names);
    x->describe = false;
    x->execute = false;
    x->max_rows = 0;
    return exec_decode_values(x, e);
}

void exec_refuse_shape(struct exec *x)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0304, "cached plan must not change result type");
    e.id = ERR_NONE;
    err_state(&e, "0A000");
    exec_fail(x, &e);
}

/* False: the Bind's statement gives other columns than its client was told; or that must be found out first, and the
 * step is run again. */
static bool exec_check_shape(struct exec *x, struct prepared *p)
{
    const struct session_statement *st = x->bind.statement.len ? session_find_statement(x->s, x->bind.statement) : NULL;

    if (LIKELY(!st || st->shape == 0 || st->shape == p->shape))
        return true;
    if (p->shape == 0) {
        x->cur--;
        x->checking = true;
        exec_describe_statement(x, p);
        return false;
    }
    exec_refuse_shape(x);
    return false;
}

void exec_step_bind(struct exec *x, const struct step *st)
{
    struct err e = ERR_INIT;
    struct prepared **p;
    struct span kept;

    if (!fe_decode_bind(st->body, &x->bind)) {
        (void)exec_malformed(x, "Bind");
        return;
    }
    p = exec_find_statement(x, x->bind.statement, &e);
    if (!p || !prepared_refresh(x->s, p, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (!exec_check_shape(x, *p))
        return;
    if (!exec_take_bind(x, prepared_ref(*p), st->body, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (x->s->tx == 'E' && !query_ends_transaction(x->prepared->plan)) {
        query_failed_transaction(&e);
        exec_fail(x, &e);
        return;
    }
    if (x->portal.len && (portal_kept(x->s, x->portal, &kept) || portal_pieces(x->s, x->portal))) {
        (void)exec_portal_taken(x, &e);
        exec_fail(x, &e);
        return;
    }
    x->bind_pending = true;
    x->bind_sent = false;
    exec_step_done(x);
}

/* A Describe or Execute of the portal just bound belongs to its group. */
static bool exec_same_portal(const struct exec *x, struct span name)
{
    return x->bind_pending && span_eq(x->portal, name);
}

/*
 * Columns of a portal that is kept or fetched in pieces: those of its statement, in the formats of the Bind message,
 * which is in x->bind.
 */
static void exec_describe_portal(struct exec *x, struct prepared *p)
{
    exec_merge_fini(x); /* of the statement that is not run now */
    plan_unref(x->plan);
    x->plan = NULL;
    x->described_name = (struct span){ 0 };
    x->hide_params = x->formats = true;
    if (!exec_describe_execute(x, p))
        exec_describe_statement(x, p);
}

void exec_put_formats(struct exec *x, size_t at)
{
    struct reader results = rd_make(span_make(x->bind.results, x->bind.nresult * 2u));
    uint16_t all = x->bind.nresult == 1 ? rd_u16(&results) : 0, format;
    struct reader r = rd_make(span_make(x->out.ptr + at, x->out.len - at));

    (void)rd_bytes(&r, PROTO_HEADER);
    for (uint16_t n = rd_u16(&r); n > 0; n--) {
        (void)rd_cstr(&r);
        (void)rd_bytes(&r, 18);
        format = x->bind.nresult > 1 ? rd_u16(&results) : all;
        ((char *)(uintptr_t)r.pos)[-2] = (char)(format >> 8);
        ((char *)(uintptr_t)r.pos)[-1] = (char)format;
    }
}

void exec_keep_portal(struct exec *x)
{
    portal_keep(x->s, x->portal, x->prepared, x->bind_body);
    x->bind_sent = true;
    strbuf_put(&x->out, "2\0\0\0\4", 5);
    if (x->describe)
        exec_describe_portal(x, x->prepared);
    else
        exec_step_done(x);
}

/* Execute or Describe of a portal that is kept. */
static void exec_run_kept(struct exec *x, struct prepared *p, struct span bind, bool execute, uint32_t max_rows)
{
    struct span body = exec_copy_span(x, bind);
    struct err e = ERR_INIT;

    BUG_ON(!fe_decode_bind(body, &x->bind));
    if (!execute) {
        exec_describe_portal(x, p);
        return;
    }
    prepared_ref(p);
    portal_drop(x->s, x->bind.portal);
    if (!exec_take_bind(x, p, body, &e)) {
        exec_fail(x, &e);
        return;
    }
    x->bind_sent = true;
    x->execute = true;
    x->max_rows = max_rows;
    exec_run_group(x);
}

static void exec_portal_elsewhere(struct exec *x, struct span name, bool execute, uint32_t max_rows)
{
    struct span bind;
    struct prepared *kept = portal_kept(x->s, name, &bind);
    struct pool *pool = portal_find(x->s, name);
    struct backend *b = pool ? session_lease_of(x->s, pool) : NULL;
    struct err e = ERR_INIT;

    /* The server may know nothing of the failure: it was the router's own, or another shard's. */
    if (x->s->tx == 'E' && portal_exists(x->s, name)) {
        query_failed_transaction(&e);
        exec_fail(x, &e);
        return;
    }
    if (kept) {
        exec_run_kept(x, kept, bind, execute, max_rows);
        return;
    }
    if (execute && exec_pieces_execute(x, name, max_rows))
        return;
    if (!execute && portal_pieces(x->s, name)) {
        err_set(&e, PB0313, "this portal cannot be described any more");
        err_detail(&e, "It has no single server that could tell its columns.");
        err_hint(&e, "Describe it before it is executed, or describe the statement.");
        exec_fail(x, &e);
        return;
    }
    if (!b) {
        err_set(&e, PB0305, "portal \"%.*s\" does not exist", (int)name.len, name.ptr);
        exec_fail(x, &e);
        return;
    }
    exec_run_portal(x, b, name, execute, max_rows);
}

void exec_step_describe(struct exec *x, const struct step *st)
{
    struct fe_target target;
    struct prepared **p;
    struct err e = ERR_INIT;

    if (!fe_decode_target(st->body, &target)) {
        (void)exec_malformed(x, "Describe");
        return;
    }
    if (target.kind == 'P') {
        if (exec_same_portal(x, target.name)) {
            x->describe = true;
            exec_step_done(x);
        } else {
            exec_portal_elsewhere(x, target.name, false, 0);
        }
        return;
    }
    p = exec_find_statement(x, target.name, &e);
    if (!p || !prepared_refresh(x->s, p, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (x->s->tx == 'E' && (*p)->plan->returns_rows && !exec_is_fetch((*p)->plan)) { /* it needs the catalog */
        query_failed_transaction(&e);
        exec_fail(x, &e);
        return;
    }
    x->described_name = target.name;
    if (!exec_describe_execute(x, *p))
        exec_describe_statement(x, *p);
}

void exec_note_shape(struct exec *x)
{
    struct session_statement *st;

    if (!x->row_desc_type || exec_is_fetch(x->prepared->plan))
        return;
    x->prepared->shape = prepared_shape(x->row_desc_type, strbuf_span(&x->row_desc));
    prepared_note_columns(x->prepared, x->row_desc_type, strbuf_span(&x->row_desc));
    st = x->checking || x->described_name.len == 0 ? NULL : session_find_statement(x->s, x->described_name);
    if (st)
        st->shape = x->prepared->shape;
    x->checking = false;
}

void exec_step_execute(struct exec *x, const struct step *st)
{
    struct fe_execute execute;

    if (!fe_decode_execute(st->body, &execute)) {
        (void)exec_malformed(x, "Execute");
        return;
    }
    if (exec_same_portal(x, execute.portal)) {
        x->execute = true;
        x->max_rows = execute.max_rows;
        exec_run_group(x);
        return;
    }
    exec_portal_elsewhere(x, execute.portal, true, execute.max_rows);
}

/* The connection that gathers is not kept for a portal that has gone. */
static void exec_portal_closed(struct exec *x)
{
    x->parts = NULL;
    x->npart = 0;
    exec_cursor_tidy(x->s);
}

void exec_step_close(struct exec *x, const struct step *st)
{
    struct session *s = x->s;
    struct fe_target target;

    if (!fe_decode_target(st->body, &target)) {
        (void)exec_malformed(x, "Close");
        return;
    }
    if (target.kind == 'S') {
        if (target.name.len) {
            (void)session_drop_statement(s, target.name);
        } else {
            prepared_unref(s->worker, s->unnamed);
            s->unnamed = NULL;
        }
    } else {
        struct pool *pool = portal_find(s, target.name);
        struct backend *b = pool ? session_lease_of(s, pool) : NULL;

        if (exec_pieces_close(x, target.name))
            return;
        portal_drop(s, target.name);
        x->finished = exec_portal_closed;
        if (b) {
            exec_close_portal(x, b, target.name);
            return;
        }
    }
    strbuf_put(&x->out, "3\0\0\0\4", 5);
    exec_step_done(x);
}

/* Is the step a Describe or Execute of the portal just bound? */
static bool exec_continues_bind(const struct exec *x, const struct step *st)
{
    struct fe_target target;
    struct fe_execute execute;

    if (st->kind == STEP_DESCRIBE)
        return fe_decode_target(st->body, &target) && target.kind == 'P' && exec_same_portal(x, target.name);
    return st->kind == STEP_EXECUTE && fe_decode_execute(st->body, &execute) && exec_same_portal(x, execute.portal);
}

/* A portal that was bound but neither executed nor described yet is sent before something else happens. */
bool exec_settle_bind(struct exec *x, const struct step *next)
{
    if (!x->bind_pending || exec_continues_bind(x, next))
        return true;
    x->execute = false;
    exec_run_group(x);
    return false;
}
