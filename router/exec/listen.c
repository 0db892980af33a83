/*
 * LISTEN, UNLISTEN, pg_listening_channels(), and what a commit of a session that listens waits for
 * (router/session/channels.h):
 *
 *   before   the hub's connection listens to what the commit makes the session listen to; and if the transaction may
 *            have notified somebody, what others have sent over the same server connection has been heard
 *   after    its own notifications have been heard: they are told before ReadyForQuery, as on one server
 */
#include "router/exec/listen.h"

#include "router/exec/exec_int.h"
#include "router/exec/gate.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/session.h"
#include "wire/bemsg.h"

static void hear_answered(struct hub_wait *w, const struct err *cause)
{
    struct channels *c = CONTAINER_OF(w, struct channels, wait);
    struct session *s = c->s;
    struct exec *x = s->exec;
    struct err e;

    BUG_ON(!x);
    if (!cause) {
        c->fenced = true;
        x->hear_then(x);
        return;
    }
    e = *cause;
    if (x->task == TASK_NONE && !s->txn.env) { /* a LISTEN by itself */
        channels_end(s, false);
        exec_fail(x, &e);
        return;
    }
    err_state(&e, "57P01");
    err_hint(&e, "The transaction has not been committed: it would make the session listen to channels there.");
    session_fatal(s, &e);
}

static bool hear(struct exec *x, void (*then)(struct exec *x))
{
    struct channels *c = x->s->channels;

    x->hear_then = then;
    exec_flush(x);
    hub_wait(c->hub, &c->wait, hear_answered);
    return false;
}

bool exec_hear_before(struct exec *x, void (*then)(struct exec *x))
{
    struct channels *c = x->s->channels;

    if (LIKELY(!c) || c->fenced || (!c->nsaid && !c->may_notify))
        return true;
    channels_prepare(c);
    return list_empty(&c->subs) ? true : hear(x, then);
}

bool exec_hear_after(struct exec *x, void (*then)(struct exec *x))
{
    struct channels *c = x->s->channels;

    if (LIKELY(!c) || !c->may_notify || !c->fenced)
        return true;
    c->may_notify = false;
    return hear(x, then);
}

/* Connections are there: nothing that others have sent over them is still on its way. */
static void hear_acquired(struct exec *x)
{
    struct channels *c = x->s->channels;

    for (uint32_t i = 0; c && i < x->npart; i++) {
        if (x->parts[i].backend)
            continue;
        c->fenced = false; /* lost meanwhile: another one is taken */
        exec_acquire(x);
        return;
    }
    if (exec_hear_before(x, hear_acquired))
        exec_gate_statement(x);
}

void exec_hear_statement(struct exec *x)
{
    struct channels *c = x->s->channels;

    x->acquired = exec_gate_statement;
    if (LIKELY(!c) || !channels_plan_notifies(x->plan))
        return;
    for (uint32_t i = 0; i < x->npart; i++)
        c->may_notify = c->may_notify || x->parts[i].shard == x->s->set->home;
    if (c->may_notify && !x->s->txn.env)
        x->acquired = hear_acquired;
}

static void exec_listened(struct exec *x)
{
    if (!x->s->txn.env) {
        if (!exec_hear_before(x, exec_listened))
            return;
        channels_put(x->s, &x->out); /* sent before UNLISTEN came */
        channels_end(x->s, true);
    }
    exec_answer(x, x->plan->session->verb == SESSION_LISTEN ? "LISTEN" : "UNLISTEN");
    exec_step_done(x);
}

void exec_listen(struct exec *x)
{
    const struct plan_session *ps = x->plan->session;

    channels_say(x->s, ps->verb == SESSION_LISTEN, ps->name);
    exec_listened(x);
}

void exec_channels(struct exec *x)
{
    struct be_column col = { .name = x->plan->session->column, .type = OID_TEXT };
    const struct channels *c = x->s->channels;
    uint32_t n = 0;
    char tag[32];

    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
    }
    if (!x->extended || x->describe)
        be_put_row_description(&x->out, &col, 1);
    if (c) {
        LIST_FOREACH(node, &c->subs)
        {
            const struct subscription *sub = LIST_ENTRY(node, struct subscription, own);
            struct span name = span_str(hub_channel_name(sub));

            if (!sub->on)
                continue;
            be_put_data_row(&x->out, &name, 1);
            n++;
        }
    }
    snprintf(tag, sizeof(tag), "SELECT %u", n);
    exec_answer(x, tag);
    exec_step_done(x);
}
