#include "router/server/notify.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "net/loop.h"
#include "router/config/config.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/worker.h"
#include "shardmap/map.h"
#include "wire/reader.h"

#include <stdlib.h>
#include <string.h>

#define HUB_ASK_US    10000000u /* a connection that has said nothing for so long is asked whether it is still there */
#define HUB_ANSWER_US 30000000u /* ... and taken for lost if it has not answered */

struct hub_channel {
    struct hmap_node node;
    struct list subs;
    struct list empty; /* hub.empty: nobody was left */
    char name[];
};

struct hub {
    struct poolset *set;  /* borrowed */
    struct pool *pool;    /* owned */
    struct backend *b;    /* NULL: none */
    bool connecting;      /* to pool */
    bool flushing;        /* hub_flush is due at the end of the turn */
    struct hmap channels; /* by name */
    struct strbuf todo;   /* LISTEN and UNLISTEN to be sent */
    struct list waits;    /* for the answer to what is sent next */
    struct list asked;    /* for the one that is under way */
    struct list sessions; /* channels.in_hub */
    struct list empty;    /* channels that may have nobody left */
    uint64_t asked_us;    /* when that was sent */
};

static void hub_flush(struct hub *h);

static uint64_t hub_now(const struct hub *h)
{
    return loop_now_us(h->set->worker->loop);
}

/* --- channels --- */

static void put_command(struct hub *h, const char *verb, const char *channel)
{
    strbuf_printf(&h->todo, "%s ", verb);
    strbuf_put_ident(&h->todo, span_str(channel));
    strbuf_puts(&h->todo, ";");
}

static struct hub_channel *find_channel(const struct hub *h, struct span name)
{
    uint64_t hash = hash_seeded(name.ptr, name.len, h->set->worker->hash_seed);

    for (struct hmap_node *node = hmap_first(&h->channels, hash); node; node = hmap_next(node)) {
        struct hub_channel *ch = CONTAINER_OF(node, struct hub_channel, node);

        if (span_eq_str(name, ch->name))
            return ch;
    }
    return NULL;
}

static struct hub_channel *new_channel(struct hub *h, const char *name)
{
    size_t len = strlen(name);
    struct hub_channel *ch = mem_zalloc(sizeof(*ch) + len + 1);

    memcpy(ch->name, name, len);
    list_init(&ch->subs);
    list_init(&ch->empty);
    hmap_insert(&h->channels, &ch->node, hash_seeded(name, len, h->set->worker->hash_seed));
    if (h->b) /* else they are all sent when it is there */
        put_command(h, "LISTEN", name);
    return ch;
}

static void flush_deferred(void *arg)
{
    struct hub *h = arg;

    h->flushing = false;
    if (!h->set->worker->ended)
        hub_flush(h);
}

/* Not now: a message may just be put together. */
static void flush_later(struct hub *h)
{
    if (h->flushing || h->set->worker->ended)
        return;
    h->flushing = true;
    loop_defer(h->set->worker->loop, flush_deferred, h);
}

void hub_subscribe(struct hub *h, struct subscription *sub, const char *channel)
{
    struct hub_channel *ch = find_channel(h, span_str(channel));

    sub->to = ch ? ch : new_channel(h, channel);
    list_push_back(&sub->to->subs, &sub->node);
    flush_later(h);
}

/* A channel without anybody goes with the next flush: here it may be being told. */
void hub_unsubscribe(struct hub *h, struct subscription *sub)
{
    struct hub_channel *ch = sub->to;

    list_remove(&sub->node);
    sub->to = NULL;
    if (list_empty(&ch->subs) && !list_linked(&ch->empty))
        list_push_back(&h->empty, &ch->empty);
    flush_later(h);
}

const char *hub_channel_name(const struct subscription *sub)
{
    return sub->to->name;
}

static void sweep_channels(struct hub *h)
{
    while (!list_empty(&h->empty)) {
        struct hub_channel *ch = LIST_ENTRY(list_first(&h->empty), struct hub_channel, empty);

        list_remove(&ch->empty);
        if (!list_empty(&ch->subs))
            continue;
        if (h->b)
            put_command(h, "UNLISTEN", ch->name);
        hmap_remove(&h->channels, &ch->node);
        free(ch);
    }
}

/* --- what is asked of the connection --- */

static void hub_answered(struct backend *b, bool ok)
{
    struct hub *h = b->hub;
    struct err e = ERR_INIT;

    if (!h)
        return;
    b->used_us = hub_now(h);
    if (!ok) {
        err_set(&e, PB0301, "shard \"%s\" does not take LISTEN", h->pool->shard_name);
        hub_lost(h, &e);
        return;
    }
    while (!list_empty(&h->asked)) {
        struct hub_wait *w = LIST_ENTRY(list_first(&h->asked), struct hub_wait, node);

        list_remove(&w->node);
        w->fn(w, NULL);
    }
    flush_later(h);
}

static void hub_ask(struct hub *h)
{
    while (!list_empty(&h->waits)) {
        struct list *node = list_first(&h->waits);

        list_remove(node);
        list_push_back(&h->asked, node);
    }
    h->asked_us = hub_now(h);
    backend_internal(h->b, strbuf_str(&h->todo), hub_answered); /* nothing to do: an empty query is answered, too */
    strbuf_reset(&h->todo);
}

static void listen_visit(struct hmap_node *node, void *arg)
{
    put_command(arg, "LISTEN", CONTAINER_OF(node, struct hub_channel, node)->name);
}

static void hub_opened(void *arg, struct pool *p, struct backend *b, const struct err *e)
{
    struct hub *h = arg;

    if (p != h->pool) { /* the home shard has become another one meanwhile */
        if (b)
            backend_close(b);
        return;
    }
    h->connecting = false;
    if (!b) {
        hub_lost(h, e);
        return;
    }
    h->b = b;
    b->hub = h;
    strbuf_reset(&h->todo);
    strbuf_puts(&h->todo, "SET idle_session_timeout = 0;");
    hmap_each(&h->channels, listen_visit, h);
    hub_ask(h);
}

static void hub_flush(struct hub *h)
{
    if (h->b && h->b->nexpect)
        return;
    sweep_channels(h);
    if (h->b) {
        if (h->todo.len || !list_empty(&h->waits))
            hub_ask(h);
    } else if (!h->connecting && !list_empty(&h->waits)) {
        h->connecting = true;
        pool_open_apart(h->pool, hub_opened, h);
    }
}

void hub_wait(struct hub *h, struct hub_wait *w, void (*fn)(struct hub_wait *w, const struct err *e))
{
    w->fn = fn;
    list_push_back(&h->waits, &w->node);
    flush_later(h);
}

/* --- what it says --- */

void hub_heard(struct hub *h, struct span body)
{
    struct reader r = rd_make(body);
    uint32_t pid = rd_u32(&r);
    struct span name = rd_cstr(&r), payload = rd_cstr(&r);
    struct hub_channel *ch = rd_finish(&r) ? find_channel(h, name) : NULL;

    if (!ch)
        return;
    LIST_FOREACH(node, &ch->subs)
    {
        channels_tell(LIST_ENTRY(node, struct subscription, node)->channels, pid, name, payload);
    }
}

void hub_lost(struct hub *h, const struct err *cause)
{
    struct err e = *cause;

    if (h->b) {
        h->b->hub = NULL;
        backend_close(h->b);
        h->b = NULL;
    }
    strbuf_reset(&h->todo);
    LIST_FOREACH(node, &h->sessions)
    {
        channels_lost(node, &e);
    }
    while (!list_empty(&h->asked)) {
        struct list *node = list_first(&h->asked);

        list_remove(node);
        list_push_front(&h->waits, node);
    }
    while (!list_empty(&h->waits)) {
        struct hub_wait *w = LIST_ENTRY(list_first(&h->waits), struct hub_wait, node);

        list_remove(&w->node);
        w->fn(w, &e);
    }
}

/* --- life --- */

struct hub *hub_get(struct poolset *ps)
{
    struct hub *h = ps->hub;

    if (h)
        return h;
    h = ps->hub = mem_zalloc(sizeof(*h));
    h->set = ps;
    h->pool = pool_new_apart(ps);
    list_init(&h->waits);
    list_init(&h->asked);
    list_init(&h->sessions);
    list_init(&h->empty);
    return h;
}

void hub_enter(struct hub *h, struct list *node)
{
    list_push_back(&h->sessions, node);
}

void hub_follow(struct hub *h, const struct map_shard *home)
{
    struct err e = ERR_INIT;

    if (!h || strcmp(h->pool->conninfo, home->conninfo) == 0)
        return;
    err_set(&e, PB0301, "the home shard has moved");
    h->connecting = false;
    hub_lost(h, &e);
    h->pool = pool_new_apart(h->set);
}

void hub_tick(struct hub *h, uint64_t now_us)
{
    uint64_t idle_us;
    struct err e = ERR_INIT;

    if (!h || !h->b)
        return;
    if (h->b->nexpect) {
        if (now_us > h->asked_us + HUB_ANSWER_US) {
            err_set(&e, PB0301, "shard \"%s\" does not answer", h->pool->shard_name);
            hub_lost(h, &e);
        }
        return;
    }
    idle_us = now_us > h->b->used_us ? now_us - h->b->used_us : 0;
    if (h->channels.count == 0 && list_empty(&h->waits)) {
        uint64_t limit_ms = h->set->worker->config->server_idle_timeout_ms;

        if (limit_ms && idle_us > limit_ms * 1000u) {
            h->b->hub = NULL;
            backend_close(h->b);
            h->b = NULL;
        }
    } else if (idle_us > HUB_ASK_US) {
        hub_ask(h);
    }
}

void hub_free(struct hub *h)
{
    struct hmap_node *node;

    if (!h)
        return;
    while ((node = hmap_any(&h->channels))) {
        hmap_remove(&h->channels, node);
        free(CONTAINER_OF(node, struct hub_channel, node));
    }
    hmap_fini(&h->channels);
    strbuf_fini(&h->todo);
    pool_free(h->pool);
    free(h);
}

const struct pool *hub_pool(const struct hub *h)
{
    return h ? h->pool : NULL;
}
