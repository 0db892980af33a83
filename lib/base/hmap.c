#include "base/hmap.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdlib.h>

#define HMAP_MIN_BUCKETS 8u

void hmap_fini(struct hmap *m)
{
    free(m->buckets);
    *m = (struct hmap){ 0 };
}

static void hmap_grow(struct hmap *m)
{
    size_t n = m->nbucket ? m->nbucket * 2 : HMAP_MIN_BUCKETS;
    struct hmap_node **buckets = mem_zalloc(n * sizeof(*buckets));

    for (size_t i = 0; i < m->nbucket; i++) {
        struct hmap_node *node = m->buckets[i];

        while (node) {
            struct hmap_node *next = node->next;
            struct hmap_node **slot = &buckets[node->hash & (n - 1)];

            node->next = *slot;
            *slot = node;
            node = next;
        }
    }
    free(m->buckets);
    m->buckets = buckets;
    m->nbucket = n;
}

void hmap_insert(struct hmap *m, struct hmap_node *node, uint64_t hash)
{
    struct hmap_node **slot;

    if (m->count >= m->nbucket)
        hmap_grow(m);
    slot = &m->buckets[hash & (m->nbucket - 1)];
    node->hash = hash;
    node->next = *slot;
    *slot = node;
    m->count++;
}

void hmap_remove(struct hmap *m, struct hmap_node *node)
{
    struct hmap_node **slot;

    BUG_ON(m->nbucket == 0);
    for (slot = &m->buckets[node->hash & (m->nbucket - 1)]; *slot; slot = &(*slot)->next) {
        if (*slot == node) {
            *slot = node->next;
            node->next = NULL;
            m->count--;
            return;
        }
    }
    bug_abort(__FILE__, __LINE__, "hmap_remove: node not in map");
}

struct hmap_node *hmap_first(const struct hmap *m, uint64_t hash)
{
    struct hmap_node *node;

    if (m->nbucket == 0)
        return NULL;
    for (node = m->buckets[hash & (m->nbucket - 1)]; node && node->hash != hash; node = node->next)
        ;
    return node;
}

struct hmap_node *hmap_next(struct hmap_node *node)
{
    uint64_t hash = node->hash;

    do {
        node = node->next;
    } while (node && node->hash != hash);
    return node;
}

struct hmap_node *hmap_any(const struct hmap *m)
{
    for (size_t i = 0; m->count && i < m->nbucket; i++) {
        if (m->buckets[i])
            return m->buckets[i];
    }
    return NULL;
}

void hmap_each(const struct hmap *m, void (*fn)(struct hmap_node *node, void *arg), void *arg)
{
    for (size_t i = 0; i < m->nbucket; i++) {
        for (struct hmap_node *node = m->buckets[i]; node; node = node->next)
            fn(node, arg);
    }
}
