#include "router/session/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/auth/auth.h"
#include "router/auth/handshake.h"
#include "router/auth/login.h"
#include "router/auth/quota.h"
#include "router/cancel.h"
#include "router/config/config.h"
#include "router/console/console.h"
#include "router/exec/exec.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pin.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/portal.h"
#include "router/session/prepared.h"
#include "router/session/query.h"
#include "router/txn/deadlock.h"
#include "router/txn/gate.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define SESSION_KEEP_MAX (128u * 1024u) /* input kept while a statement runs; beyond, reading pauses */

static const struct {
    const char *name;
    unsigned next;
} session_states[] = {
#define X(id, text, next) [id] = { text, next },
    SESSION_STATES(X)
#undef X
};

const char *session_state_name(enum session_state state)
{
    return session_states[state].name;
}

void session_set_state(struct session *s, enum session_state next)
{
    BUG_ON(!(session_states[s->state].next & BIT(next)));
    s->state = next;
}

/* --- leases --- */

struct backend *session_lease_of(const struct session *s, const struct pool *p)
{
    for (struct backend *b = s->held; b; b = b->next_held) {
        if (b->pool == p)
            return b;
    }
    return NULL;
}

void session_hold(struct session *s, struct backend *b)
{
    BUG_ON(b->session);
    b->session = s;
    b->next_held = s->held;
    s->held = b;
    s->nheld++;
}

void session_unhold(struct session *s, struct backend *b)
{
    for (struct backend **at = &s->held; *at; at = &(*at)->next_held) {
        if (*at == b) {
            *at = b->next_held;
            b->next_held = NULL;
            b->session = NULL;
            s->nheld--;
            stream_resume(&b->st, PAUSE_PEER_SLOW);
            stream_resume(&b->st, PAUSE_TURN);
            return;
        }
    }
    BUG_ON(true); /* the lease is not held */
}

void session_end_transaction(struct session *s, bool committed)
{
    if (s->txn.env) {
        struct env *now = committed ? env_without_local(s->env) : env_ref(s->txn.env);

        env_unref(s->env);
        s->env = now;
        STAT_ADD(s->worker->stats.transactions, 1);
    }
    txn_reset(s);
    portal_end(s, committed);
    if (UNLIKELY(s->channels))
        channels_end(s, committed);
    session_release(s);
}

void session_release(struct session *s)
{
    struct backend *next;

    for (struct backend *b = s->held; b; b = next) {
        next = b->next_held;
        pin_give_back(b);
    }
}

/* --- output --- */

void session_hold_back(struct session *s, const void *data, size_t len)
{
    strbuf_put(&s->held_back, data, len);
}

void session_send(struct session *s, const void *data, size_t len)
{
    if (UNLIKELY(s->held_back.len)) {
        stream_write2(&s->st, s->held_back.ptr, s->held_back.len, data, len);
        strbuf_fini(&s->held_back);
        return;
    }
    stream_write(&s->st, data, len);
}

void session_error(struct session *s, const struct err *e)
{
    struct strbuf sb = STRBUF_INIT;

    STAT_ADD(s->worker->stats.errors, 1);
    be_put_error(&sb, "ERROR", e);
    session_send(s, sb.ptr, sb.len);
    strbuf_fini(&sb);
    if (s->tx == 'T')
        s->tx = 'E';
}

/* The settings that are in force: a transaction that fails loses at once what it has set, in its savepoint or at all.
 */
static struct env *session_env(const struct session *s, char status)
{
    if (status != 'E' || !s->txn.env)
        return s->env;
    return s->txn.savepoint ? s->txn.savepoint->env : s->txn.env;
}

void session_put_changes(struct session *s, char status, struct strbuf *out)
{
    struct env *env = session_env(s, status);

    if (LIKELY(s->told == env))
        return;
    for (uint32_t i = 0; i < s->set->nparameter; i++) {
        const char *name = s->set->parameters[i].name, *canonical = s->set->parameters[i].value;
        const char *now = env_reported(env, name, canonical);

        if (strcmp(now, env_reported(s->told, name, canonical)) != 0)
            be_put_parameter_status(out, name, now);
    }
    env_unref(s->told);
    s->told = env_ref(env);
}

void session_put_ready(struct session *s, struct strbuf *out)
{
    session_put_changes(s, s->tx, out);
    if (UNLIKELY(s->notices.len) && s->tx == 'I')
        channels_put(s, out);
    be_put_ready(out, s->tx);
}

void session_ready(struct session *s)
{
    struct strbuf sb = STRBUF_INIT;

    session_put_ready(s, &sb);
    session_send(s, sb.ptr, sb.len);
    strbuf_fini(&sb);
}

/* --- end of life --- */

static void session_free(void *arg)
{
    struct session *s = arg;

    free(s->user);
    free(s->database);
    free(s->application);
    free(s->startup);
    free(s->deadlock);
    free(s);
}

void session_close(struct session *s)
{
    struct worker *w = s->worker;
    bool committing, copying;

    if (s->state == SESSION_CLOSING)
        return;
    session_set_state(s, SESSION_CLOSING);
    auth_drop(s);
    handshake_drop(s);
    pool_cancel_wait(s);
    list_remove(&s->wait);
    gate_ticket_free(s->commit_hold);
    s->commit_hold = NULL;
    committing = s->run_commit || (s->exec && exec_is_committing(s->exec));
    copying = s->exec && exec_wants_input(s->exec);
    if (s->exec)
        exec_abandon(s->exec);
    /* Whatever still runs for a client that has gone is stopped, but for a commit; the rest is cleaned up. */
    while (s->held) {
        struct backend *b = s->held;

        if (copying)
            backend_close(b);
        else if (b->nexpect)
            backend_abandon(b, !committing);
        else
            pool_release(b);
    }
    plan_unref(s->run_plan);
    txn_reset(s);
    portal_drop_all(s);
    channels_drop(s);
    session_drop_statements(s);
    query_forget_parses(s);
    prepared_unref(w, s->unnamed);
    env_unref(s->env);
    env_unref(s->login_env);
    env_unref(s->told);
    strbuf_fini(&s->notices);
    strbuf_fini(&s->held_back);
    if (s->set)
        s->set->nsession--;
    list_remove(&s->node);
    hmap_remove(&w->session_ids, &s->id_node);
    w->nsession--;
    atomic_fetch_sub(&w->router->nclient, 1);
    if (s->counted)
        quota_give(w->router->quota, s->user);
    stream_close_after_flush(&s->st);
    loop_defer(w->loop, session_free, s);
}

/* A message would become part of the frame that the client is in the middle of: of a value, to it. */
static bool session_in_frame(const struct session *s)
{
    for (const struct backend *b = s->held; b; b = b->next_held) {
        if (backend_in_frame(b))
            return true;
    }
    return false;
}

void session_fatal(struct session *s, const struct err *e)
{
    struct strbuf sb = STRBUF_INIT;

    if (session_in_frame(s)) {
        session_close(s);
        return;
    }
    if (s->proved && s->state == SESSION_LOGIN) /* the answer to the login that is due */
        be_put_auth(&sb, AUTH_OK, (struct span){ .ptr = NULL });
    be_put_error(&sb, "FATAL", e);
    session_send(s, sb.ptr, sb.len);
    strbuf_fini(&sb);
    session_close(s);
}

void session_fatal_protocol(struct session *s, const char *what)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0101, "%s", what);
    session_fatal(s, &e);
}

/* --- input --- */

/* How large a message of this type may be: small ones are small in PostgreSQL, too. */
bool session_frame_ok(const struct session *s, const char *header)
{
    size_t max = (size_t)s->worker->config->max_message_size;
    uint32_t body_len = proto_get32(header + 1);

    if (body_len < 4)
        return false;
    switch (header[0]) {
    case FE_SYNC:
    case FE_FLUSH:
        return body_len == 4;
    case FE_QUERY:
    case FE_PARSE:
    case FE_BIND:
    case FE_FUNCTION_CALL:
    case FE_COPY_DATA:
        return body_len <= max;
    default:
        return body_len <= 30000;
    }
}

/* A client hears of an error when it has sent its message: before, it would only see that its connection breaks. */
static size_t session_skip_oversized(struct session *s, size_t len)
{
    struct err e = ERR_INIT;

    if (len < s->oversized_left) {
        s->oversized_left -= len;
        return len;
    }
    len = (size_t)s->oversized_left;
    err_set(&e, PB0102, "message of %u bytes is too large", s->oversized);
    err_detail(&e, "At most %llu bytes are taken (max_message_size).",
               (unsigned long long)s->worker->config->max_message_size);
    session_fatal(s, &e);
    return len;
}

static size_t session_bad_frame(struct session *s, char type, uint32_t body_len, size_t len)
{
    if (body_len < 4 || body_len > PROTO_MESSAGE_MAX || !strchr("QPBFd", type)) {
        session_fatal_protocol(s, "invalid message length");
        return len;
    }
    s->oversized = body_len;
    s->oversized_left = (uint64_t)body_len + 1;
    return session_skip_oversized(s, len);
}

static void session_unknown_type(struct session *s, char type)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0101, "invalid frontend message type %d", (unsigned char)type);
    session_fatal(s, &e);
}

static size_t session_feed_ready(struct session *s, const char *data, size_t len)
{
    uint32_t body_len;
    size_t frame;

    if (UNLIKELY(s->oversized_left))
        return session_skip_oversized(s, len);
    if (UNLIKELY(s->copy_left)) { /* of a COPY that failed */
        len = len < s->copy_left ? len : s->copy_left;
        s->copy_left -= (uint32_t)len;
        return len;
    }
    if (len < PROTO_HEADER)
        return 0;
    body_len = proto_get32(data + 1);
    if (UNLIKELY(!session_frame_ok(s, data))) {
        if (!memchr("QPBDECHFSXdcf", data[0], 13)) {
            session_unknown_type(s, data[0]);
            return len;
        }
        return session_bad_frame(s, data[0], body_len, len);
    }
    frame = (size_t)body_len + 1;
    /* After an error in a pipeline everything up to Sync is discarded, simple queries and function calls, too. */
    if (UNLIKELY(s->skip_to_sync) && memchr("QPBDECHFdcf", data[0], 11))
        return frame > len ? 0 : frame;
    switch (data[0]) {
    case FE_QUERY:
        if (frame > len)
            return 0;
        if (UNLIKELY(s->admin))
            return console_query(s, span_make(data + PROTO_HEADER, frame - PROTO_HEADER)), frame;
        return query_simple(s, data, frame);
    case FE_PARSE:
    case FE_BIND:
    case FE_DESCRIBE:
    case FE_EXECUTE:
    case FE_CLOSE:
    case FE_FLUSH:
    case FE_SYNC:
        if (UNLIKELY(s->admin)) {
            if (frame > len)
                return 0;
            console_extended(s, data[0]);
            return frame;
        }
        return query_extended(s, data, len);
    case FE_TERMINATE:
        session_close(s);
        return len;
    case FE_COPY_DATA:
    case FE_COPY_DONE:
    case FE_COPY_FAIL:
        /* Left over from a COPY that failed: discarded, as the protocol says. */
        return frame > len ? 0 : frame;
    case FE_FUNCTION_CALL:
        return frame > len ? 0 : query_function_call(s, data, frame);
    default:
        session_unknown_type(s, data[0]);
        return len;
    }
}

static void session_quiet(struct backend *b, bool ok)
{
    (void)ok;
    if (b->session)
        session_unquarantine(b->session);
}

bool session_quarantined(struct session *s)
{
    bool waits = false;

    for (struct backend *b = s->held; b; b = b->next_held) {
        if (b->suspect && b->cancels == 0 && b->nexpect == 0)
            backend_prove_quiet(b, session_quiet);
        waits = waits || b->suspect || b->nexpect;
    }
    s->quarantine = waits;
    return waits;
}

void session_unquarantine(struct session *s)
{
    if (s->state == SESSION_READY)
        session_continue(s);
    else if (s->exec)
        exec_quiet(s->exec);
}

static size_t session_on_data(struct stream *st, char *data, size_t len)
{
    struct session *s = CONTAINER_OF(st, struct session, st);
    size_t used = 0;

    while (used < len) {
        size_t n = 0;

        switch (s->state) {
        case SESSION_STARTUP:
            n = login_feed(s, data + used, len - used);
            break;
        case SESSION_AUTH:
            n = auth_feed(s, data + used, len - used);
            break;
        case SESSION_READY:
            if (UNLIKELY(s->quarantine) && session_quarantined(s))
                break;
            if (UNLIKELY(stream_queued(st) > STREAM_HIGH_WATER)) { /* a client that sends and does not read */
                stream_pause(st, PAUSE_OUTPUT);
                break;
            }
            n = session_feed_ready(s, data + used, len - used);
            break;
        case SESSION_RUNNING:
            if (s->exec && exec_wants_input(s->exec))
                n = exec_input(s->exec, data + used, len - used);
            break;
        case SESSION_LOGIN:
        case SESSION_WAITING:
        case SESSION_HELD:
            break;
        case SESSION_CLOSING:
            return len;
        }
        if (n == 0)
            break;
        used += n;
    }
    if (s->state != SESSION_CLOSING && s->state != SESSION_READY && len - used > SESSION_KEEP_MAX)
        stream_pause(st, PAUSE_BUSY);
    return used;
}

static void session_on_readable(struct stream *st)
{
    handshake_readable(CONTAINER_OF(st, struct session, st));
}

static void session_on_drained(struct stream *st)
{
    struct session *s = CONTAINER_OF(st, struct session, st);

    for (struct backend *b = s->held; b; b = b->next_held)
        stream_resume(&b->st, PAUSE_PEER_SLOW);
    if (s->exec)
        exec_merge_drained(s->exec);
    stream_resume(st, PAUSE_OUTPUT);
}

void session_backend_drained(struct session *s)
{
    if (s->exec)
        exec_gather_drained(s->exec);
    stream_resume(&s->st, PAUSE_PEER_SLOW);
}

static void session_on_closed(struct stream *st, const struct err *e)
{
    struct session *s = CONTAINER_OF(st, struct session, st);

    (void)e;
    session_close(s);
}

static const struct stream_ops session_ops = {
    .on_data = session_on_data,
    .on_readable = session_on_readable,
    .on_drained = session_on_drained,
    .on_closed = session_on_closed,
};

/* Session ids carry the worker: (sequence * workers + index), so that any worker finds the owner of a cancel request.
 */
static uint32_t session_next_id(struct worker *w)
{
    uint32_t id;

    do {
        id = (w->next_session++ % (0x7FFFFFFFu / w->router->nworker)) * w->router->nworker + w->index;
    } while (id == 0 || session_find(w, id));
    return id;
}

struct session *session_find(const struct worker *w, uint32_t id)
{
    struct hmap_node *node = hmap_first(&w->session_ids, id);

    return node ? CONTAINER_OF(node, struct session, id_node) : NULL;
}

void session_accept(struct worker *w, int fd, const struct listener_peer *peer)
{
    struct session *s = mem_zalloc(sizeof(*s));
    uint32_t count = atomic_fetch_add(&w->router->nclient, 1) + 1;

    s->worker = w;
    s->tx = 'I';
    s->peer = *peer;
    s->id = session_next_id(w);
    s->cancel_key = cancel_new_key();
    s->since_us = s->active_us = loop_now_us(w->loop);
    list_init(&s->wait);
    list_push_back(&w->sessions, &s->node);
    hmap_insert(&w->session_ids, &s->id_node, s->id);
    w->nsession++;
    stream_open(&s->st, w->loop, fd, &session_ops);
    if (count > (uint32_t)w->config->max_client_conn) {
        struct err e = ERR_INIT;

        err_set(&e, PB0302, "sorry, too many clients already");
        err_detail(&e, "max_client_conn is %u.", (unsigned)w->config->max_client_conn);
        session_fatal(s, &e);
    }
}

/* --- waiting --- */

void session_granted(struct session *s)
{
    void (*resume)(struct session * s) = s->resume;

    s->resume = NULL;
    if (resume) {
        session_set_state(s, SESSION_RUNNING);
        resume(s);
        return;
    }
    session_set_state(s, SESSION_READY);
    session_continue(s);
}

void session_continue(struct session *s)
{
    s->scanned = 0;
    stream_resume(&s->st, PAUSE_BUSY);
    stream_process(&s->st);
}

static void session_continue_deferred(void *arg)
{
    struct session *s = arg;

    if (s->state != SESSION_CLOSING)
        session_continue(s);
}

void session_continue_later(struct session *s)
{
    loop_defer(s->worker->loop, session_continue_deferred, s);
}

void session_refused(struct session *s, const struct err *e)
{
    s->resume = NULL;
    if (s->exec) {
        session_set_state(s, SESSION_RUNNING);
        exec_refused(s->exec, e);
        return;
    }
    session_set_state(s, SESSION_READY);
    query_refused(s, e);
    deadlock_settle(s);
    session_continue(s);
}

void session_released(struct session *s)
{
    if (s->state == SESSION_LOGIN) {
        login_continue(s);
        return;
    }
    session_set_state(s, SESSION_READY);
    session_continue(s);
}

/* --- end of a short-way statement --- */

void session_run_done(struct session *s, struct backend *b)
{
    struct plan *plan = s->run_plan;

    s->run_plan = NULL;
    if (plan && UNLIKELY(plan->opaque))
        b->dirty = true;
    plan_unref(plan);
    if (s->run_nparse || UNLIKELY(s->run_describe))
        query_parses_done(s, b);
    if (UNLIKELY(s->run_aside)) {
        s->run_aside = false;
        pin_give_back(b);
        session_ready(s);
    } else {
        s->tx = b->tx;
        if (s->tx == 'I')
            session_end_transaction(s, !b->lost);
    }
    if (UNLIKELY(s->deadlock))
        deadlock_settle(s);
    s->active_us = loop_now_us(s->worker->loop);
    session_set_state(s, SESSION_READY);
    if (UNLIKELY(s->notices.len) && s->tx == 'I')
        channels_send(s);
    if (UNLIKELY(stream_kept(&s->st)))
        session_continue(s);
}

void session_backend_lost(struct session *s, struct backend *b, const struct err *cause)
{
    bool in_txn = s->txn.env != NULL;
    struct err e = *cause;

    if (backend_in_frame(b)) { /* the rest will never come: nothing that could be said would be understood */
        backend_close(b);
        session_close(s);
        return;
    }
    if (in_txn && strcmp(b->fatal_state, "25P03") == 0) { /* by the client's own setting */
        err_set(&e, PB0309, "terminating connection due to idle-in-transaction timeout");
        err_state(&e, "25P03");
        backend_close(b);
        session_fatal(s, &e);
        return;
    }
    if (b->pins && s->exec && exec_in_two_phase(s->exec)) {
        s->lost_pin = true;
        exec_backend_lost(s->exec, b, &e);
        return;
    }
    if (b->pins) { /* what lived on it is gone: for the client the session is */
        err_state(&e, "57P01");
        err_hint(&e, "The session kept advisory locks or cursors there.");
        backend_close(b);
        session_fatal(s, &e);
        return;
    }
    if (s->exec) {
        exec_backend_lost(s->exec, b, &e);
        return;
    }
    if (s->state == SESSION_RUNNING) {
        if (s->run_commit) {
            err_state(&e, "08007");
            err_hint(&e, "The outcome of the COMMIT is not known: look before you repeat the transaction.");
        }
        backend_close(b);
        plan_unref(s->run_plan);
        s->run_plan = NULL;
        query_lost(s, &e, in_txn);
        return;
    }
    /* Between two statements of a transaction: the next one hears of it. */
    backend_close(b);
    if (in_txn) {
        s->txn.doomed = true;
        if (s->tx == 'T')
            s->tx = 'E';
        session_release(s);
    }
    session_unquarantine(s); /* a statement may have waited for it to be quiet */
}

void session_refuse_held(struct session *s, const struct err *e)
{
    list_remove(&s->wait);
    gate_ticket_free(s->commit_hold);
    s->commit_hold = NULL;
    session_set_state(s, SESSION_READY);
    query_refused(s, e);
    deadlock_settle(s);
    session_continue(s);
}

bool session_own_cancel(struct session *s, const char *sqlstate, struct err *e)
{
    if (!s->own_cancel || strcmp(sqlstate, "57014") != 0)
        return false;
    s->own_cancel = false;
    if (s->deadlock)
        *e = *s->deadlock;
    else
        err_set(e, PB0309, "canceling statement due to query_timeout");
    return true;
}

static void cancel(struct session *s, const struct err *e)
{
    switch (s->state) {
    case SESSION_RUNNING:
        for (struct backend *b = s->held; b; b = b->next_held) {
            if (b->nexpect && !(s->exec && exec_is_committing(s->exec)))
                backend_cancel(b);
        }
        if (s->exec)
            exec_cancel(s->exec);
        break;
    case SESSION_WAITING:
        pool_cancel_wait(s);
        session_refused(s, e);
        break;
    case SESSION_HELD:
        session_refuse_held(s, e);
        break;
    case SESSION_STARTUP:
    case SESSION_AUTH:
    case SESSION_LOGIN:
    case SESSION_READY:
    case SESSION_CLOSING:
        break;
    }
}

void session_cancel(struct session *s)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0309, "canceling statement due to user request");
    cancel(s, &e);
}

void session_cancel_as(struct session *s, const struct err *e)
{
    s->own_cancel = true;
    cancel(s, e);
}
