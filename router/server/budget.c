#include "router/server/budget.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "router/router.h"
#include "router/server/pool.h"

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
