#include "router/portal.h"

#include "base/hash.h"
#include "base/mem.h"
#include "router/session.h"
#include "router/worker.h"

#include <stdlib.h>

struct portal {
    struct hmap_node node;
    struct pool *pool; /* borrowed */
    char name[];
};

static struct portal *portal_get(const struct session *s, struct span name, uint64_t *hash)
{
    *hash = hash_bytes(name.ptr, name.len, s->worker->hash_seed);
    for (struct hmap_node *node = hmap_first(&s->portals, *hash); node; node = hmap_next(node)) {
        struct portal *p = CONTAINER_OF(node, struct portal, node);

        if (span_eq_str(name, p->name))
            return p;
    }
    return NULL;
}

void portal_put(struct session *s, struct span name, struct pool *pool)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    if (!p) {
        p = mem_zalloc(sizeof(*p) + name.len + 1);
        if (name.len)
            memcpy(p->name, name.ptr, name.len);
        hmap_insert(&s->portals, &p->node, hash);
    }
    p->pool = pool;
}

struct pool *portal_find(const struct session *s, struct span name)
{
    uint64_t hash;
    const struct portal *p = portal_get(s, name, &hash);

    return p ? p->pool : NULL;
}

void portal_drop(struct session *s, struct span name)
{
    uint64_t hash;
    struct portal *p = portal_get(s, name, &hash);

    if (p) {
        hmap_remove(&s->portals, &p->node);
        free(p);
    }
}

void portal_drop_all(struct session *s)
{
    struct hmap_node *node;

    if (s->portals.nbucket == 0)
        return;
    while ((node = hmap_any(&s->portals))) {
        hmap_remove(&s->portals, node);
        free(CONTAINER_OF(node, struct portal, node));
    }
    hmap_fini(&s->portals);
}
