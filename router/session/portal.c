#include "router/session/portal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "router/exec/exec.h"
#include "router/server/backend.h"
#include "router/server/pin.h"
#include "router/session/prepared.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <stdlib.h>
#include <string.h>

struct portal {
    struct hmap_node node;
    struct pool *pool;         /* borrowed; NULL: kept here */
    struct prepared *prepared; /* owned reference while kept here */
    struct span bind;          /* owned while kept here */
    uint32_t depth;            /* savepoints around it */
    struct pool **pools;       /* of a cursor, owned; NULL: none */
    uint32_t npool, at;
    struct pieces *pieces; /* owned; NULL: it is not fetched in pieces */
    bool hold, settled;    /* WITH HOLD; its transaction has committed */
    bool embeds;           /* ids of the shard's are inside of its values */
    char name[];
};

static uint32_t portal_depth(const struct session *s)
{
    uint32_t n = 0;

    for (const struct savepoint *sp = s->txn.savepoint; sp; sp = sp->outer)
        n++;
    return n;
}

static void portal_clear(struct session *s, struct portal *p)
{
    prepared_unref(s->worker, p->prepared);
    free((char *)(uintptr_t)p->bind.ptr);
    p->prepared = NULL;
    p->bind = (struct span){ 0 };
    p->pool = NULL;
    free(p->pools);
    pieces_free(p->pieces);
    p->pieces = NULL;
    p->pools = NULL;
    p->npool = p->at = 0;
    p->hold = p->settled = p->embeds = false;
}

static struct portal *portal_get(const struct session *s, struct span name, uint64_t *hash)
{
    *hash = hash_seeded(name.ptr, name.len, s->worker->hash_seed);
    for (struct hmap_node *node = hmap_first(&s->portals, *hash); node; node = hmap_next(node)) {
        struct portal *p = CONTAINER_OF(node, struct portal, node);

        if (span_eq_str(name, p->name))
            return p;
    }
    return NULL;
}

static struct portal *portal_make(struct session *s, struct span name)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    if (!p) {
        p = mem_zalloc(sizeof(*p) + name.len + 1);
        if (name.len)
            memcpy(p->name, name.ptr, name.len);
        hmap_insert(&s->portals, &p->node, hash);
    }
    portal_clear(s, p);
    p->depth = portal_depth(s);
    return p;
}

void portal_put(struct session *s, struct span name, struct pool *pool)
{
    portal_make(s, name)->pool = pool;
}

void portal_note_embeds(struct session *s, struct span name)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    BUG_ON(!p);
    p->embeds = true;
}

bool portal_embeds(const struct session *s, struct span name)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    return p && p->embeds;
}

void portal_keep(struct session *s, struct span name, struct prepared *prepared, struct span bind)
{
    struct portal *p;

    prepared_ref(prepared); /* first: it may be the one being replaced */
    bind.ptr = mem_strndup(bind.ptr, bind.len);
    p = portal_make(s, name);
    p->prepared = prepared;
    p->bind = bind;
}

void portal_put_pieces(struct session *s, struct span name, struct pieces *pieces)
{
    portal_make(s, name)->pieces = pieces;
}

struct pieces *portal_pieces(const struct session *s, struct span name)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    return p ? p->pieces : NULL;
}

bool portal_exists(const struct session *s, struct span name)
{
    uint64_t hash;

    return portal_get(s, name, &hash) != NULL;
}

struct prepared *portal_kept(const struct session *s, struct span name, struct span *bind)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    if (!p || !p->prepared)
        return NULL;
    *bind = p->bind;
    return p->prepared;
}

struct pool *portal_find(const struct session *s, struct span name)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    return p ? p->pool : NULL;
}

static void portal_free(struct session *s, struct portal *p)
{
    hmap_remove(&s->portals, &p->node);
    portal_clear(s, p);
    free(p);
}

void portal_drop(struct session *s, struct span name)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    if (p)
        portal_free(s, p);
}

void portal_put_cursor(struct session *s, struct span name, struct pool *const *pools, uint32_t n, bool hold)
{
    struct portal *p = portal_make(s, name);

    p->pools = mem_alloc(n * sizeof(struct pool *));
    memcpy(p->pools, pools, n * sizeof(struct pool *));
    p->npool = n;
    p->pool = n == 1 ? pools[0] : NULL;
    p->hold = hold;
}

uint32_t portal_cursor(const struct session *s, struct span name, bool all, struct pool *const **pools)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);
    uint32_t from = p && !all ? p->at : 0;

    if (!p || p->npool == 0)
        return 0;
    *pools = p->pools + from;
    return p->npool - from;
}

bool portal_is_scattered(const struct session *s, struct span name)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    return p && p->npool > 1;
}

void portal_advance(struct session *s, struct span name, uint32_t n)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    if (p && p->at + n < p->npool)
        p->at += n;
}

struct portal_search {
    const struct pool *pool;
    bool hold, found;
};

static void portal_look(struct hmap_node *node, void *arg)
{
    const struct portal *p = CONTAINER_OF(node, struct portal, node);
    struct portal_search *search = arg;

    if (search->hold && !p->hold)
        return;
    search->found = search->found || p->pool == search->pool;
    for (uint32_t i = 0; i < p->npool; i++)
        search->found = search->found || p->pools[i] == search->pool;
}

bool portal_lives_on(const struct session *s, const struct pool *pool)
{
    struct portal_search search = { .pool = pool };

    hmap_each(&s->portals, portal_look, &search);
    return search.found;
}

void portal_unpin(struct session *s)
{
    for (struct backend *b = s->held; b; b = b->next_held) {
        struct portal_search search = { .pool = b->pool, .hold = true };

        if (!(b->pins & PIN_CURSOR))
            continue;
        hmap_each(&s->portals, portal_look, &search);
        if (!search.found)
            pin_drop(b, PIN_CURSOR);
    }
}

struct portal_change {
    struct session *s;
    uint32_t depth;
    bool drop;
    struct portal *found;
};

static void portal_visit(struct hmap_node *node, void *arg)
{
    struct portal *p = CONTAINER_OF(node, struct portal, node);
    struct portal_change *c = arg;

    if (p->depth <= c->depth)
        return;
    if (c->drop)
        c->found = p;
    else
        p->depth = c->depth;
}

void portal_rollback_to(struct session *s, uint32_t depth)
{
    struct portal_change c = { .s = s, .depth = depth, .drop = true };

    do {
        c.found = NULL;
        hmap_each(&s->portals, portal_visit, &c);
        if (c.found)
            portal_free(s, c.found);
    } while (c.found);
}

void portal_release(struct session *s, uint32_t depth)
{
    struct portal_change c = { .s = s, .depth = depth };

    hmap_each(&s->portals, portal_visit, &c);
}

struct portal_ending {
    bool committed;
    struct portal *found;
};

static void portal_look_ended(struct hmap_node *node, void *arg)
{
    struct portal *p = CONTAINER_OF(node, struct portal, node);
    struct portal_ending *e = arg;

    p->settled = p->settled || (p->hold && e->committed);
    p->depth = 0;
    if (!p->settled)
        e->found = p;
}

void portal_end(struct session *s, bool committed)
{
    struct portal_ending e = { .committed = committed };

    if (LIKELY(s->portals.nbucket == 0))
        return;
    do {
        e.found = NULL;
        hmap_each(&s->portals, portal_look_ended, &e);
        if (e.found)
            portal_free(s, e.found);
    } while (e.found);
    portal_unpin(s);
}

void portal_drop_all(struct session *s)
{
    struct hmap_node *node;

    if (s->portals.nbucket == 0)
        return;
    while ((node = hmap_any(&s->portals)))
        portal_free(s, CONTAINER_OF(node, struct portal, node));
    hmap_fini(&s->portals);
}
