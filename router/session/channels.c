#include "router/session/channels.h"

#include "base/mem.h"
#include "net/pgconn.h"
#include "router/exec/exec.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "wire/proto.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <stdlib.h>
#include <string.h>

#define NOTICES_MAX (16u * 1024u * 1024u) /* bytes that wait for one client */

struct said {
    bool listen;
    char *name; /* owned; NULL: UNLISTEN of all */
};

/* --- what the session says --- */

static struct channels *channels_of(struct session *s)
{
    struct channels *c = s->channels;

    if (c)
        return c;
    c = s->channels = mem_zalloc(sizeof(*c));
    c->s = s;
    c->hub = hub_get(s->set);
    list_init(&c->subs);
    hub_enter(c->hub, &c->in_hub);
    return c;
}

static void channels_free(struct channels *c)
{
    c->s->channels = NULL;
    list_remove(&c->wait.node);
    list_remove(&c->in_hub);
    free(c->said);
    free(c);
}

void channels_say(struct session *s, bool listen, const char *name)
{
    struct channels *c = s->channels;

    if (!c && !listen)
        return;
    c = channels_of(s);
    if (c->nsaid == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 4;
        c->said = mem_realloc(c->said, c->cap * sizeof(*c->said));
    }
    c->said[c->nsaid].listen = listen;
    c->said[c->nsaid++].name = name ? mem_strdup(name) : NULL;
}

uint32_t channels_said(const struct session *s)
{
    return s->channels ? s->channels->nsaid : 0;
}

void channels_unsay(struct session *s, uint32_t n)
{
    while (channels_said(s) > n)
        free(s->channels->said[--s->channels->nsaid].name);
}

static struct subscription *find_sub(const struct channels *c, struct span name)
{
    LIST_FOREACH(node, &c->subs)
    {
        struct subscription *sub = LIST_ENTRY(node, struct subscription, own);

        if (span_eq_str(name, hub_channel_name(sub)))
            return sub;
    }
    return NULL;
}

void channels_prepare(struct channels *c)
{
    for (uint32_t i = 0; i < c->nsaid; i++) {
        struct subscription *sub;

        if (!c->said[i].listen || find_sub(c, span_str(c->said[i].name)))
            continue;
        sub = mem_zalloc(sizeof(*sub));
        sub->channels = c;
        hub_subscribe(c->hub, sub, c->said[i].name);
        list_push_back(&c->subs, &sub->own);
    }
}

static void set_on(struct channels *c, struct subscription *sub, bool on)
{
    if (sub->on == on)
        return;
    sub->on = on;
    c->non = on ? c->non + 1 : c->non - 1;
    if (on) { /* pg_listening_channels() gives them in the order of their LISTENs */
        list_remove(&sub->own);
        list_push_back(&c->subs, &sub->own);
    }
}

static void carry_out(struct channels *c, const struct said *said)
{
    if (said->name) {
        struct subscription *sub = find_sub(c, span_str(said->name));

        BUG_ON(said->listen && !sub); /* channels_prepare() has made it */
        if (sub)
            set_on(c, sub, said->listen);
        return;
    }
    LIST_FOREACH(node, &c->subs)
    {
        set_on(c, LIST_ENTRY(node, struct subscription, own), false);
    }
}

void channels_end(struct session *s, bool committed)
{
    struct channels *c = s->channels;

    if (!c)
        return;
    for (uint32_t i = 0; committed && i < c->nsaid; i++)
        carry_out(c, &c->said[i]);
    channels_unsay(s, 0);
    c->may_notify = c->fenced = false;
    LIST_FOREACH(node, &c->subs)
    {
        struct subscription *sub = LIST_ENTRY(node, struct subscription, own);

        if (sub->on)
            continue;
        hub_unsubscribe(c->hub, sub);
        list_remove(&sub->own);
        free(sub);
    }
    if (list_empty(&c->subs))
        channels_free(c);
}

void channels_drop(struct session *s)
{
    struct channels *c = s->channels;

    if (!c)
        return;
    LIST_FOREACH(node, &c->subs)
    {
        set_on(c, LIST_ENTRY(node, struct subscription, own), false);
    }
    channels_end(s, false);
    strbuf_fini(&s->notices);
}

bool channels_plan_notifies(const struct plan *p)
{
    return p->writes || p->unpreparable || p->opaque || (p->kind != PLAN_QUERY && p->kind != PLAN_GATHER);
}

/* --- what it is told --- */

/* Between two transactions, and nothing is outstanding. */
static bool takes_notices(const struct session *s)
{
    return s->state == SESSION_READY && s->tx == 'I' && !s->txn.env && !s->skip_to_sync;
}

static void too_slow(struct session *s)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0308, "notifications came faster than the client takes them");
    err_detail(&e, "At most %u MB of them wait for one client.", NOTICES_MAX >> 20);
    session_fatal(s, &e);
}

/* The number of a server process could be that of the client, who would take the notification for one of its own. */
static uint32_t shown_pid(const struct channels *c, uint32_t pid)
{
    const struct session *s = c->s;
    const struct backend *b = c->fenced ? session_lease_of(s, s->set->pools[s->set->home]) : NULL;

    if (b && pgconn_pid(b->conn) == pid)
        return s->id;
    return pid == s->id ? 0 : pid;
}

void channels_tell(struct channels *c, uint32_t pid, struct span channel, struct span payload)
{
    struct session *s = c->s;
    size_t at;

    if (s->state == SESSION_CLOSING)
        return;
    at = msg_begin(&s->notices, BE_NOTIFICATION);
    msg_u32(&s->notices, shown_pid(c, pid));
    msg_cstr(&s->notices, channel);
    msg_cstr(&s->notices, payload);
    msg_end(&s->notices, at);
    if (takes_notices(s))
        channels_send(s);
    if (s->notices.len > NOTICES_MAX || stream_queued(&s->st) > NOTICES_MAX)
        too_slow(s);
}

void channels_lost(struct list *node, const struct err *cause)
{
    struct channels *c = LIST_ENTRY(node, struct channels, in_hub);
    struct session *s = c->s;
    struct err e = *cause;

    if (c->non == 0) /* its LISTEN fails */
        return;
    if (s->exec && exec_in_two_phase(s->exec)) {
        s->lost_pin = true;
        channels_drop(s);
        return;
    }
    err_state(&e, "57P01");
    err_hint(&e, "The session listened to channels there, and may have missed notifications.");
    session_fatal(s, &e);
}

void channels_put(struct session *s, struct strbuf *out)
{
    struct span left = strbuf_span(&s->notices);

    while (left.len) {
        size_t frame = (size_t)proto_get32(left.ptr + 1) + 1;
        struct reader r = rd_make(span_make(left.ptr + PROTO_HEADER + 4, frame - PROTO_HEADER - 4));
        struct subscription *sub = s->channels ? find_sub(s->channels, rd_cstr(&r)) : NULL;

        if (sub && sub->on)
            strbuf_put(out, left.ptr, frame);
        left = span_make(left.ptr + frame, left.len - frame);
    }
    strbuf_fini(&s->notices);
}

void channels_send(struct session *s)
{
    struct strbuf out = STRBUF_INIT;

    channels_put(s, &out);
    if (out.len)
        session_send(s, out.ptr, out.len);
    strbuf_fini(&out);
}
