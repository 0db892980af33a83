#include "router/budget.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "router/pool.h"
#include "router/router.h"

#include <stdlib.h>
#include <string.h>

struct budget *budget_get(struct router *r, const char *database, const char *user, uint32_t shard_id)
{
    struct strbuf key = STRBUF_INIT;
    struct budget *b = NULL;
    uint64_t hash;

    strbuf_printf(&key, "%s/%s/%u", database, user, shard_id);
    hash = hash_seeded(key.ptr, key.len, 0);
    pthread_mutex_lock(&r->budget_lock);
    for (struct hmap_node *node = hmap_first(&r->budgets, hash); node && !b; node = hmap_next(node)) {
        struct budget *found = CONTAINER_OF(node, struct budget, node);

        if (strcmp(found->key, key.ptr) == 0)
            b = found;
    }
    if (!b) {
        b = mem_zalloc(sizeof(*b));
        b->key = strbuf_take(&key);
        hmap_insert(&r->budgets, &b->node, hash);
    }
    pthread_mutex_unlock(&r->budget_lock);
    strbuf_fini(&key);
    return b;
}

void budget_free_all(struct router *r)
{
    struct hmap_node *node;

    while ((node = hmap_any(&r->budgets))) {
        struct budget *b = CONTAINER_OF(node, struct budget, node);

        hmap_remove(&r->budgets, node);
        free(b->key);
        free(b);
    }
    hmap_fini(&r->budgets);
}

bool budget_take(struct budget *b, uint32_t limit)
{
    uint32_t open = atomic_load(&b->open);

    while (open < limit) {
        if (atomic_compare_exchange_weak(&b->open, &open, open + 1))
            return true;
    }
    return false;
}

void budget_give(struct budget *b)
{
    atomic_fetch_sub(&b->open, 1);
}

/* --- between workers --- */

struct pool *budget_heir(struct budget *b, const struct pool *mine)
{
    uint64_t mine_us = atomic_load(&mine->demand.since_us), best_us = 0;
    bool mine_front = atomic_load(&mine->demand.front), best_front = false;
    struct pool *best = NULL;

    if (LIKELY(atomic_load(&b->hungry) == 0))
        return NULL;
    for (uint32_t i = 0; i < BUDGET_MAX_WORKERS; i++) {
        struct pool *p = atomic_load(&b->pools[i]);
        uint64_t since;
        bool front;

        if (!p || p == mine || !(since = atomic_load(&p->demand.since_us)) ||
            atomic_load(&p->demand.incoming) >= atomic_load(&p->demand.nwaiting))
            continue;
        front = atomic_load(&p->demand.front);
        if (!best || (front && !best_front) || (front == best_front && since < best_us)) {
            best = p;
            best_us = since;
            best_front = front;
        }
    }
    if (!best || mine_us == 0 || (best_front && !mine_front))
        return best;
    if (mine_front && !best_front)
        return NULL;
    return best_us + BUDGET_FAIR_US < mine_us ? best : NULL;
}

struct pool *budget_idle_elsewhere(struct budget *b, const struct pool *mine)
{
    for (uint32_t i = 0; i < BUDGET_MAX_WORKERS; i++) {
        struct pool *p = atomic_load(&b->pools[i]);

        if (p && p != mine && atomic_load(&p->demand.nidle))
            return p;
    }
    return NULL;
}

/* --- waits of those who hold something --- */

struct lease_wait *lease_wait_new(struct router *r, const struct budget *wants, uint32_t limit,
                                  const struct budget *const *held, uint32_t nheld)
{
    struct lease_wait *w = mem_zalloc(sizeof(*w) + nheld * sizeof(held[0]));

    w->wants = wants;
    w->limit = limit;
    w->nheld = nheld;
    memcpy(w->held, held, nheld * sizeof(held[0]));
    pthread_mutex_lock(&r->wait_lock);
    list_push_back(&r->lease_waits, &w->node);
    pthread_mutex_unlock(&r->wait_lock);
    return w;
}

void lease_wait_free(struct router *r, struct lease_wait *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&r->wait_lock);
    if (list_linked(&w->node))
        list_remove(&w->node);
    pthread_mutex_unlock(&r->wait_lock);
    free(w);
}

static bool holds(const struct lease_wait *w, const struct budget *b)
{
    for (uint32_t i = 0; i < w->nheld; i++) {
        if (w->held[i] == b)
            return true;
    }
    return false;
}

/* Shards none of whose connections will come free, as far as is known: those of `stuck`. */
struct stuck {
    const struct budget **v;
    uint32_t n;
};

static bool is_stuck(const struct stuck *st, const struct budget *b)
{
    for (uint32_t i = 0; i < st->n; i++) {
        if (st->v[i] == b)
            return true;
    }
    return false;
}

/* No further connection may be opened, and sessions that wait hold all there are. */
static bool all_held_by_waiters(struct router *r, const struct lease_wait *of)
{
    uint32_t open = atomic_load(&of->wants->open), n = 0;

    LIST_FOREACH(node, &r->lease_waits)
    {
        n += holds(LIST_ENTRY(node, struct lease_wait, node), of->wants);
    }
    return open >= of->limit && n >= open;
}

/* Take out what somebody holds who waits for something that may come free; true if anything went. */
static bool stuck_shrink(struct router *r, struct stuck *st)
{
    uint32_t before = st->n;

    LIST_FOREACH(node, &r->lease_waits)
    {
        const struct lease_wait *w = LIST_ENTRY(node, struct lease_wait, node);

        if (is_stuck(st, w->wants))
            continue;
        for (uint32_t i = 0; i < st->n;) {
            if (holds(w, st->v[i]))
                st->v[i] = st->v[--st->n];
            else
                i++;
        }
    }
    return st->n < before;
}

bool lease_wait_is_deadlock(struct router *r, struct lease_wait *mine)
{
    struct stuck st = { 0 };
    uint32_t n = 0;
    bool found;

    pthread_mutex_lock(&r->wait_lock);
    LIST_FOREACH(node, &r->lease_waits)
    {
        n++;
    }
    st.v = mem_alloc((n + 1) * sizeof(st.v[0]));
    LIST_FOREACH(node, &r->lease_waits)
    {
        const struct lease_wait *w = LIST_ENTRY(node, struct lease_wait, node);

        if (!is_stuck(&st, w->wants) && all_held_by_waiters(r, w))
            st.v[st.n++] = w->wants;
    }
    while (stuck_shrink(r, &st))
        ;
    found = list_linked(&mine->node) && is_stuck(&st, mine->wants);
    if (found)
        list_remove(&mine->node);
    pthread_mutex_unlock(&r->wait_lock);
    free(st.v);
    return found;
}
