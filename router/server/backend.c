#include "router/server/backend.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/server/notify.h"
#include "router/server/oids.h"
#include "router/server/pool.h"
#include "router/server/template.h"
#include "router/session/channels.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/txn/gate.h"
#include "router/txn/recovery.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned next;
} backend_states[] = {
#define X(id, text, next) [id] = { text, next },
    BACKEND_STATES(X)
#undef X
};

#define CANCEL_RETRY_US 100000u
#define CANCEL_RETRIES  50u

const char *backend_state_name(enum backend_state state)
{
    return backend_states[state].name;
}

void backend_set_state(struct backend *b, enum backend_state next)
{
    BUG_ON(!(backend_states[b->state].next & BIT(next)));
    b->state = next;
}

struct expect *backend_expect(struct backend *b, enum expect_kind kind)
{
    struct expect *e;

    BUG_ON(b->nexpect >= BACKEND_MAX_EXPECT);
    e = &b->expect[b->nexpect++];
    e->kind = (uint8_t)kind;
    e->send_sync = false;
    e->failed = false;
    e->count = 0;
    e->fn = NULL;
    return e;
}

void backend_expect_parse(struct backend *b, uint32_t serial, uint32_t count)
{
    struct expect *e = backend_expect(b, EXPECT_PARSE);

    e->serial = serial;
    e->count = count;
}

static void expect_pop(struct backend *b)
{
    BUG_ON(b->nexpect == 0);
    b->nexpect--;
    if (b->nexpect)
        memmove(&b->expect[0], &b->expect[1], b->nexpect * sizeof(b->expect[0]));
}

void backend_expect_done(struct backend *b)
{
    expect_pop(b);
}

void backend_internal(struct backend *b, const char *sql, backend_internal_fn *fn)
{
    struct strbuf *out = &b->pool->worker->out;

    BUG_ON(out->len != 0);
    backend_expect(b, EXPECT_INTERNAL)->fn = fn;
    fe_put_query(out, span_str(sql));
    stream_write(&b->st, out->ptr, out->len);
    strbuf_reset(out);
}

/* The server says what its status is; the environment that holds from here on follows from how the transaction ended.
 */
static void backend_note_ready(struct backend *b, char status)
{
    bool lost = b->failed || b->rolled_back;
    /* Behind a statement of the router's own the next one's settings may be on their way already. */
    bool others = b->expect[0].kind == EXPECT_INTERNAL && b->nexpect > 1;

    if (status == 'I' && b->env != b->env_next && !others) {
        struct env *now = lost ? env_ref(b->env) : env_without_local(b->env_next);

        env_unref(b->env);
        env_unref(b->env_next);
        b->env = now;
        b->env_next = env_ref(now);
    }
    b->lost = lost;
    b->tx = status;
    b->cancel_wanted = false;
    b->retries = 0;
    b->failed = false;
    b->rolled_back = false;
}

static void backend_note_tag(struct backend *b, struct span body)
{
    b->rolled_back = body.len == sizeof("ROLLBACK") && memcmp(body.ptr, "ROLLBACK", body.len) == 0;
}

static void backend_note_error(struct backend *b, struct span body)
{
    struct be_error fields;

    b->failed = true;
    if (be_decode_error(body, &fields) && span_eq_str(fields.severity, "FATAL")) {
        free(b->fatal);
        b->fatal = mem_strndup(fields.message.ptr ? fields.message.ptr : "", fields.message.len);
        if (fields.sqlstate.len == sizeof(b->fatal_state) - 1)
            memcpy(b->fatal_state, fields.sqlstate.ptr, fields.sqlstate.len);
    }
}

static const char *backend_setting(const struct backend *b, const struct env *env, const char *name)
{
    const char *value = env_get(env, name);

    return value ? value : template_parameter(b->pool->set, name);
}

/*
 * A ParameterStatus that only repeats what the router did here itself: servers report a setting that was put before a
 * statement at the end of that statement, and its return to what it was when the transaction or the innermost savepoint
 * has failed. What concerns the client it is told by session_put_ready().
 */
static bool backend_echo(const struct backend *b, struct span body)
{
    struct reader r = rd_make(body);
    struct span name = rd_cstr(&r), value = rd_cstr(&r);
    const struct savepoint *savepoint;
    const char *now, *before;
    char lower[64];

    if (!rd_finish(&r) || name.len >= sizeof(lower))
        return false;
    for (size_t i = 0; i <= name.len; i++)
        lower[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    now = backend_setting(b, b->env_next, lower);
    if (now && span_eq_str(value, now))
        return true;
    if (!b->begun) { /* what was local to the statement has ended with it */
        struct env *after = env_without_local(b->env_next);
        const char *then = backend_setting(b, after, lower);
        bool ended = then && span_eq_str(value, then);

        env_unref(after);
        if (ended)
            return true;
    }
    if (!b->failed && !b->rolled_back)
        return false;
    savepoint = b->session ? b->session->txn.savepoint : NULL;
    before = backend_setting(b, savepoint ? savepoint->env : b->env, lower);
    return before && span_eq_str(value, before);
}

bool backend_note_parameter(struct backend *b, struct span body)
{
    bool echo = backend_echo(b, body);

    b->dirty = b->dirty || !echo;
    return !echo;
}

/* What to do with the frame after looking at it. */
enum frame_action { FRAME_RELAY, FRAME_SWALLOW, FRAME_WAIT };

static enum frame_action frame_prefix(struct backend *b, struct expect *e, char type, struct span body)
{
    switch (type) {
    case BE_COMMAND_COMPLETE:
        if (--e->count == 0)
            expect_pop(b);
        return FRAME_SWALLOW;
    case BE_ERROR: {
        bool send_sync = e->send_sync;
        bool exec;

        backend_note_error(b, body);
        expect_pop(b);
        while (b->nexpect && b->expect[0].kind == EXPECT_PARSE) {
            backend_forget_statement(b, b->expect[0].serial);
            expect_pop(b);
        }
        exec = b->nexpect && b->expect[0].kind == EXPECT_EXEC;
        /* The server now skips everything up to a Sync; a simple Query behind us has none of its own. */
        if (send_sync) {
            static const char sync[] = { FE_SYNC, 0, 0, 0, 4 };

            stream_write(&b->st, sync, sizeof(sync));
        }
        if (exec) {
            exec_frame(b->session->exec, b, type, body);
            return FRAME_SWALLOW;
        }
        return b->fatal ? FRAME_SWALLOW : FRAME_RELAY;
    }
    default:
        return FRAME_SWALLOW;
    }
}

static enum frame_action frame_parse(struct backend *b, struct expect *e, char type, struct span body)
{
    if (type == BE_PARSE_COMPLETE || type == BE_CLOSE_COMPLETE) {
        if (--e->count == 0)
            expect_pop(b);
        return FRAME_SWALLOW;
    }
    if (type == BE_ERROR) {
        bool exec = b->nexpect > 1 && b->expect[1].kind == EXPECT_EXEC;

        backend_note_error(b, body);
        backend_forget_statement(b, e->serial);
        expect_pop(b);
        if (exec) {
            exec_frame(b->session->exec, b, type, body);
            return FRAME_SWALLOW;
        }
        return b->fatal ? FRAME_SWALLOW : FRAME_RELAY;
    }
    return FRAME_SWALLOW;
}

/* The server's answer to a cancel of our own is told in our own words. */
static bool backend_error_is_ours(struct backend *b, struct span body)
{
    struct err theirs = ERR_INIT, e = ERR_INIT;

    if (LIKELY(!b->session->own_cancel))
        return false;
    be_error_to_err(body, &theirs);
    if (!session_own_cancel(b->session, theirs.sqlstate, &e))
        return false;
    session_error(b->session, &e);
    return true;
}

static enum frame_action frame_relay(struct backend *b, char type, struct span body)
{
    switch (type) {
    case BE_COMMAND_COMPLETE:
        backend_note_tag(b, body);
        return FRAME_RELAY;
    case BE_ERROR:
        backend_note_error(b, body);
        return b->fatal || backend_error_is_ours(b, body) ? FRAME_SWALLOW : FRAME_RELAY;
    case BE_PARSE_COMPLETE:
        b->nparsed++;
        return FRAME_RELAY;
    case BE_PARAMETER_DESCRIPTION:
        b->shape_next = true;
        return FRAME_RELAY;
    case BE_ROW_DESCRIPTION:
    case BE_NO_DATA:
        if (UNLIKELY(b->shape_next) && b->session->run_describe)
            query_note_shape(b->session, type, body);
        b->shape_next = false;
        return FRAME_RELAY;
    case BE_PARAMETER_STATUS:
        /* Only SET reports parameters, and SET goes the long way: something changed settings behind us (rule P46). */
        return backend_note_parameter(b, body) ? FRAME_RELAY : FRAME_SWALLOW;
    default:
        return FRAME_RELAY;
    }
}

void backend_prove_quiet(struct backend *b, backend_internal_fn *fn)
{
    static const char sync[] = { FE_SYNC, 0, 0, 0, 4 };

    BUG_ON(b->cancels || b->nexpect);
    b->suspect = false;
    backend_expect(b, EXPECT_INTERNAL)->fn = fn;
    stream_write(&b->st, sync, sizeof(sync));
}

static enum frame_action frame_internal(struct backend *b, struct expect *e, char type, struct span body)
{
    if (type == BE_ERROR) {
        e->failed = true;
        backend_note_error(b, body);
    } else if (type == BE_COMMAND_COMPLETE) {
        size_t prefix;

        backend_note_tag(b, body);
        if (!be_tag_count(span_make(body.ptr, body.len ? body.len - 1 : 0), &b->internal_rows, &prefix))
            b->internal_rows = 0;
    } else if (type == BE_READY) {
        bool ok = !e->failed;
        backend_internal_fn *fn = e->fn;

        backend_note_ready(b, body.ptr[0]);
        expect_pop(b);
        fn(b, ok);
    }
    return FRAME_SWALLOW;
}

/* Nothing was asked: settings, notices and the farewell of a server that shuts down. */
static enum frame_action frame_unexpected(struct backend *b, char type, struct span body)
{
    switch (type) {
    case BE_ERROR:
        backend_note_error(b, body);
        return FRAME_SWALLOW;
    case BE_PARAMETER_STATUS:
        b->dirty = true;
        return FRAME_SWALLOW;
    case BE_NOTICE:
    case BE_NOTIFICATION:
        return FRAME_SWALLOW;
    default: {
        struct err e = ERR_INIT;

        err_set(&e, PB0301, "shard \"%s\" sent a message nobody asked for", b->pool->shard_name);
        log_err(LOG_WARN, "backend", "protocol violation", &e);
        stream_fail_protocol(&b->st);
        return FRAME_SWALLOW;
    }
    }
}

static enum frame_action backend_frame(struct backend *b, char type, struct span body)
{
    struct expect *e = &b->expect[0];

    if (UNLIKELY(type == BE_NOTIFICATION)) {
        if (b->hub)
            hub_heard(b->hub, body);
        return FRAME_SWALLOW;
    }
    if (b->nexpect == 0)
        return frame_unexpected(b, type, body);
    switch ((enum expect_kind)e->kind) {
    case EXPECT_PREFIX:
        return frame_prefix(b, e, type, body);
    case EXPECT_PARSE:
        return frame_parse(b, e, type, body);
    case EXPECT_RELAY:
        return frame_relay(b, type, body);
    case EXPECT_EXEC:
        if (type == BE_ERROR)
            backend_note_error(b, body);
        else if (type == BE_COMMAND_COMPLETE)
            backend_note_tag(b, body);
        switch (exec_frame(b->session->exec, b, type, body)) {
        case EXEC_SWALLOW:
            return FRAME_SWALLOW;
        case EXEC_RELAY:
            return FRAME_RELAY;
        case EXEC_WAIT:
            return FRAME_WAIT;
        }
        return FRAME_SWALLOW;
    case EXPECT_INTERNAL:
        return frame_internal(b, e, type, body);
    case EXPECT_NONE:
        break;
    }
    BUG_ON(true); /* an expectation of no kind */
    return FRAME_SWALLOW;
}

static void backend_relay(struct backend *b, const char *data, size_t len)
{
    struct session *s = b->session;

    if (len == 0 || !s)
        return;
    stream_write(&s->st, data, len);
    if (stream_queued(&s->st) > STREAM_HIGH_WATER)
        stream_pause(&b->st, PAUSE_PEER_SLOW);
}

bool backend_in_frame(const struct backend *b)
{
    return b->frame_left && !b->frame_dropped;
}

static bool frame_is_bulk(char type)
{
    return type == BE_DATA_ROW || type == BE_COPY_DATA;
}

/* Drop everything up to ReadyForQuery. */
static size_t backend_drain(struct backend *b, const char *data, size_t len)
{
    size_t pos = 0;

    while (pos < len) {
        size_t left = len - pos, frame;

        if (b->frame_left) {
            size_t n = b->frame_left < left ? (size_t)b->frame_left : left;

            b->frame_left -= n;
            pos += n;
            continue;
        }
        if (left < PROTO_HEADER)
            break;
        frame = (size_t)proto_get32(data + pos + 1) + 1;
        /* A server that waits for COPY data hears neither cancel requests nor anything but the end of the stream. */
        if (data[pos] == BE_READY || data[pos] == BE_COPY_IN || frame < PROTO_HEADER) {
            backend_close(b);
            return len;
        }
        b->frame_left = frame;
    }
    return pos;
}

/* Once, though a frame may be looked at again. */
static void backend_map_oids(struct backend *b, char type, char *body, size_t len)
{
    if ((type != BE_ROW_DESCRIPTION && type != BE_PARAMETER_DESCRIPTION) || b->oids_mapped)
        return;
    b->oids_mapped = true;
    oids_to_client(b->pool->oids, type, body, len);
}

void backend_put_parse(const struct backend *b, struct strbuf *out, struct span name, struct span sql,
                       const char *types, uint16_t ntype)
{
    fe_put_parse(out, name, sql, types, ntype);
    if (UNLIKELY(b->pool->oids != NULL) && ntype)
        oids_to_shard(b->pool->oids, out->ptr + out->len - 4 * (size_t)ntype, ntype);
}

/*
 * Frames out of a read: those to be relayed are gathered into one run of bytes and written once; a bulk frame that is
 * not complete is relayed as far as it is there. Everything else is looked at whole.
 */
static size_t backend_on_data(struct stream *st, char *data, size_t len)
{
    struct backend *b = CONTAINER_OF(st, struct backend, st);
    size_t pos = 0, run = 0; /* [run, pos) is to be relayed */

    if (UNLIKELY(b->abandoned))
        return backend_drain(b, data, len);
    while (pos < len) {
        char *p = data + pos;
        size_t left = len - pos, frame;
        enum frame_action action;
        enum exec_action chunk;
        uint32_t body_len;
        bool relaying;

        if (b->frame_left) {
            size_t n = b->frame_left < left ? (size_t)b->frame_left : left;

            b->frame_left -= n;
            pos += n;
            if (b->frame_dropped)
                run = pos;
            if (b->frame_left == 0 && b->session && b->session->exec && !b->frame_dropped) {
                backend_relay(b, data + run, pos - run); /* others may speak now */
                run = pos;
                exec_chunk_end(b->session->exec, b);
            }
            b->frame_dropped = b->frame_dropped && b->frame_left;
            continue;
        }
        if (left < PROTO_HEADER)
            break;
        body_len = proto_get32(p + 1);
        if (UNLIKELY(body_len < 4)) {
            stream_fail_protocol(&b->st);
            break;
        }
        frame = (size_t)body_len + 1;
        relaying = b->nexpect && b->expect[0].kind == EXPECT_RELAY;
        if (relaying && frame_is_bulk(p[0])) {
            if (frame <= left) {
                pos += frame;
            } else {
                b->frame_left = frame - left;
                pos = len;
            }
            continue;
        }
        if (frame > left) {
            /* A bulk frame larger than a read is handed on in pieces; the exec decides whose turn it is. */
            if (b->nexpect && b->expect[0].kind == EXPECT_EXEC && frame_is_bulk(p[0]) && frame > LOOP_SCRATCH_CAP) {
                BUG_ON(!b->session);
                chunk = exec_chunk_begin(b->session->exec, b, frame);
                if (chunk == EXEC_SWALLOW) {
                    backend_relay(b, data + run, pos - run);
                    run = len;
                }
                if (chunk != EXEC_WAIT) {
                    b->frame_dropped = chunk == EXEC_SWALLOW;
                    b->frame_left = frame - left;
                    pos = len;
                }
            }
            break;
        }
        if (relaying && p[0] == BE_READY) {
            struct session *s = b->session;

            BUG_ON(!s);
            backend_note_ready(b, p[5]);
            expect_pop(b);
            if (UNLIKELY(p[5] == 'E' && s->txn.env != s->env) && !s->run_aside) {
                struct strbuf sb = STRBUF_INIT;

                session_put_changes(s, p[5], &sb);
                backend_relay(b, data + run, pos - run);
                backend_relay(b, sb.ptr, sb.len);
                strbuf_fini(&sb);
                run = pos;
            }
            if (UNLIKELY(s->notices.len) && p[5] == 'I' && !s->txn.implicit && !s->run_aside) {
                backend_relay(b, data + run, pos - run);
                run = pos;
                channels_send(s);
            }
            if (!s->run_aside)
                pos += frame; /* else the session tells its own status */
            backend_relay(b, data + run, pos - run);
            pos = run = (size_t)(p - data) + frame;
            session_run_done(s, b);
            if (b->state == BACKEND_CLOSING)
                return len;
            continue;
        }
        if (p[0] == BE_DATA_ROW && b->nexpect && b->expect[0].kind == EXPECT_EXEC && run == pos) {
            size_t n;

            BUG_ON(!b->session);
            n = exec_rows(b->session->exec, b, span_make(p, left));

            if (n) {
                pos += n;
                run = pos;
                if (b->state == BACKEND_CLOSING)
                    return len;
                continue;
            }
        }
        if (UNLIKELY(b->pool->oids != NULL))
            backend_map_oids(b, p[0], p + PROTO_HEADER, frame - PROTO_HEADER);
        /* What the frame's handler writes to the client must come after what came before it. */
        if ((!relaying || p[0] == BE_ERROR) && run < pos && !frame_is_bulk(p[0])) {
            backend_relay(b, data + run, pos - run);
            run = pos;
        }
        if (b->nexpect && b->expect[0].kind == EXPECT_EXEC && p[0] == BE_READY)
            backend_note_ready(b, p[5]);
        action = backend_frame(b, p[0], span_make(p + PROTO_HEADER, frame - PROTO_HEADER));
        if (b->state == BACKEND_CLOSING)
            return len;
        if (action == FRAME_WAIT)
            break;
        b->oids_mapped = false;
        if (action == FRAME_SWALLOW) {
            backend_relay(b, data + run, pos - run);
            pos += frame;
            run = pos;
        } else {
            pos += frame;
        }
        if (b->st.ended)
            break;
    }
    backend_relay(b, data + run, pos - run);
    return pos;
}

static void backend_on_drained(struct stream *st)
{
    struct backend *b = CONTAINER_OF(st, struct backend, st);

    if (b->session)
        session_backend_drained(b->session);
}

/*
 * A server that has been restarted, or replaced by its standby, may show prepared transactions again whose end it had
 * acknowledged: scattered reads wait until recovery has looked (rule X18).
 */
static void backend_doubt(const struct backend *b)
{
    struct router *r = b->pool->worker->router;

    if (b->pool->set->npool < 2 || atomic_load(&r->stop))
        return;
    gate_shard_lost(r->gate, b->pool->shard_id);
    recovery_kick(r->recovery);
}

static void backend_on_closed(struct stream *st, const struct err *cause)
{
    struct backend *b = CONTAINER_OF(st, struct backend, st);
    struct session *s = b->session;
    struct err e = ERR_INIT;

    err_set(&e, PB0301, "the connection to shard \"%s\" was lost", b->pool->shard_name);
    if (b->fatal)
        err_detail(&e, "The server said: %s", b->fatal);
    else
        err_detail(&e, "%s", cause ? cause->message : "The server closed the connection unexpectedly.");
    backend_doubt(b);
    if (s)
        session_backend_lost(s, b, &e);
    else if (b->hub)
        hub_lost(b->hub, &e);
    else
        backend_close(b);
}

static const struct stream_ops backend_ops = {
    .on_data = backend_on_data,
    .on_drained = backend_on_drained,
    .on_closed = backend_on_closed,
    .hear_last_words = true,
};

struct backend *backend_new(struct pool *p, struct pgconn *conn)
{
    struct backend *b = mem_zalloc(sizeof(*b));

    b->pool = p;
    b->conn = conn;
    b->state = BACKEND_IDLE;
    b->tx = 'I';
    b->env = env_base(p->set->envs);
    b->env_next = env_ref(b->env);
    list_init(&b->statement_lru);
    list_init(&b->idle);
    b->opened_us = b->used_us = loop_now_us(p->worker->loop);
    list_push_back(&p->all, &b->node);
    stream_open(&b->st, p->worker->loop, pgconn_fd(conn), &backend_ops);
    if (pgconn_ssl(conn))
        stream_set_tls(&b->st, tls_borrow(pgconn_ssl(conn)));
    return b;
}

static void backend_free(void *arg)
{
    struct backend *b = arg;

    BUG_ON(b->cancels != 0);
    free(b->fatal);
    kept_fini(&b->kept);
    free(b);
}

static void backend_release_conn(struct backend *b)
{
    connector_close(b->pool->worker->router->connector, b->conn);
    b->conn = NULL;
    loop_defer(b->pool->worker->loop, backend_free, b);
}

void backend_close(struct backend *b)
{
    if (b->state == BACKEND_CLOSING)
        return;
    if (b->session)
        session_unhold(b->session, b);
    backend_set_state(b, BACKEND_CLOSING);
    pool_forget(b);
    list_remove(&b->node);
    stream_forget(&b->st);
    backend_forget_statements(b);
    hmap_fini(&b->statements);
    env_unref(b->env);
    env_unref(b->env_next);
    b->env = b->env_next = NULL;
    /* A cancel in flight still uses the connection's identity; its end closes it. */
    if (b->cancels == 0)
        backend_release_conn(b);
}

struct pgconn *backend_detach(struct backend *b)
{
    struct pgconn *conn = b->conn;

    BUG_ON(b->nexpect || b->cancels || b->session || b->tx != 'I');
    backend_set_state(b, BACKEND_CLOSING);
    list_remove(&b->node);
    stream_forget(&b->st);
    backend_forget_statements(b);
    hmap_fini(&b->statements);
    env_unref(b->env);
    env_unref(b->env_next);
    b->env = b->env_next = NULL;
    b->conn = NULL;
    loop_defer(b->pool->worker->loop, backend_free, b);
    return conn;
}

static void backend_cancel_done(void *arg)
{
    struct backend *b = arg;

    b->cancels--;
    if (b->state == BACKEND_CLOSING) {
        if (b->cancels == 0)
            backend_release_conn(b);
        return;
    }
    if (b->cancels || b->nexpect)
        return;
    if (b->state == BACKEND_CLEANING)
        pool_release(b);
    else if (b->session)
        session_unquarantine(b->session);
}

void backend_cancel(struct backend *b)
{
    struct worker *w = b->pool->worker;

    if (b->cancels >= 4 || b->state == BACKEND_CLOSING)
        return;
    b->cancels++;
    b->suspect = b->cancel_wanted = true;
    b->cancel_us = loop_now_us(w->loop);
    if (b->session)
        b->session->quarantine = true;
    connector_cancel(w->router->connector, w->loop, b->conn, backend_cancel_done, b);
}

void backend_tick(struct backend *b, uint64_t now_us)
{
    if (LIKELY(!b->cancel_wanted) || b->cancels || now_us < b->cancel_us + CANCEL_RETRY_US)
        return;
    if (b->retries < CANCEL_RETRIES) {
        b->retries++;
        backend_cancel(b);
    } else if (b->abandoned) {
        backend_close(b);
    }
}

void backend_abandon(struct backend *b, bool cancel)
{
    session_unhold(b->session, b);
    backend_set_state(b, BACKEND_CLEANING);
    b->abandoned = true;
    if (cancel)
        backend_cancel(b);
}
