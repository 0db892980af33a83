#include "router/auth/quota.h"

#include "base/hash.h"
#include "base/hmap.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct quota {
    pthread_mutex_t lock;
    struct hmap users;
};

/* A user with at least one session. */
struct quota_user {
    struct hmap_node node;
    uint32_t n;
    char name[];
};

struct quota *quota_new(void)
{
    struct quota *q = mem_zalloc(sizeof(*q));

    BUG_ON(pthread_mutex_init(&q->lock, NULL) != 0);
    return q;
}

void quota_free(struct quota *q)
{
    struct hmap_node *node;

    if (!q)
        return;
    while ((node = hmap_any(&q->users))) {
        hmap_remove(&q->users, node);
        free(CONTAINER_OF(node, struct quota_user, node));
    }
    hmap_fini(&q->users);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static struct quota_user *quota_find(struct quota *q, const char *user, uint64_t hash)
{
    for (struct hmap_node *node = hmap_first(&q->users, hash); node; node = hmap_next(node)) {
        struct quota_user *u = CONTAINER_OF(node, struct quota_user, node);

        if (strcmp(u->name, user) == 0)
            return u;
    }
    return NULL;
}

static uint64_t quota_hash(const char *user)
{
    return hash_seeded(user, strlen(user), 0);
}

bool quota_take(struct quota *q, const char *user, uint32_t limit)
{
    uint64_t hash = quota_hash(user);
    struct quota_user *u;
    bool ok;

    pthread_mutex_lock(&q->lock);
    u = quota_find(q, user, hash);
    if (!u) {
        size_t len = strlen(user) + 1;

        u = mem_zalloc(sizeof(*u) + len);
        memcpy(u->name, user, len);
        hmap_insert(&q->users, &u->node, hash);
    }
    ok = limit == 0 || u->n < limit;
    if (ok)
        u->n++;
    pthread_mutex_unlock(&q->lock);
    return ok;
}

void quota_give(struct quota *q, const char *user)
{
    struct quota_user *u;

    pthread_mutex_lock(&q->lock);
    u = quota_find(q, user, quota_hash(user));
    BUG_ON(!u || u->n == 0);
    if (--u->n == 0) {
        hmap_remove(&q->users, &u->node);
        free(u);
    }
    pthread_mutex_unlock(&q->lock);
}
