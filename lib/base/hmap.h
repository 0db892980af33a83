/*
 * Intrusive hash map with chaining: the node lives in the caller's struct, the caller hashes and compares. Grows by
 * doubling, never shrinks. Zero-initialised is valid and empty. Not thread-safe.
 */
#ifndef BASE_HMAP_H
#define BASE_HMAP_H

#include <stddef.h>
#include <stdint.h>

struct hmap_node {
    struct hmap_node *next; /* owned by the map while inserted */
    uint64_t hash;
};

struct hmap {
    struct hmap_node **buckets; /* owned; NULL while nbucket is 0 */
    size_t nbucket;             /* power of two */
    size_t count;
};

/* Free the buckets; nodes belong to the caller, who removes or frees them first. */
void hmap_fini(struct hmap *m);
/* Insert without looking for an equal key. */
void hmap_insert(struct hmap *m, struct hmap_node *node, uint64_t hash);
/* Remove a node that is in the map. */
void hmap_remove(struct hmap *m, struct hmap_node *node);
/* First node with this hash, then the next one with the same hash; NULL at the end. */
struct hmap_node *hmap_first(const struct hmap *m, uint64_t hash);
struct hmap_node *hmap_next(struct hmap_node *node);
/* Any node, or NULL when empty: for tearing down. */
struct hmap_node *hmap_any(const struct hmap *m);
/* Call fn for each node; fn may not change the map. */
void hmap_each(const struct hmap *m, void (*fn)(struct hmap_node *node, void *arg), void *arg);

#endif
