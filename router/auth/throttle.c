#include "router/auth/throttle.h"

#include "base/hash.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define THROTTLE_SETS 2048u /* power of two */
#define THROTTLE_WAYS 4u
#define WINDOW_US     (60u * UINT64_C(1000000))

struct slot {
    struct address address;
    uint64_t since_us; /* start of its minute; 0: free */
    uint32_t failures;
};

struct throttle {
    pthread_mutex_t lock;
    uint64_t seed;
    struct slot slots[THROTTLE_SETS][THROTTLE_WAYS];
};

struct throttle *throttle_new(void)
{
    struct throttle *t = mem_zalloc(sizeof(*t));

    pthread_mutex_init(&t->lock, NULL);
    BUG_ON(getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed));
    return t;
}

void throttle_free(struct throttle *t)
{
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Whoever has one IPv6 address has 2^64 of them. */
static struct address key_of(const struct address *a)
{
    struct address key = *a;

    if (key.len == 16)
        memset(key.bytes + 8, 0, 8);
    return key;
}

static struct slot *set_of(struct throttle *t, const struct address *key)
{
    return t->slots[hash_seeded((const char *)key->bytes, sizeof(key->bytes), t->seed + key->len) % THROTTLE_SETS];
}

static bool slot_is(const struct slot *s, const struct address *key, uint64_t now_us)
{
    return s->since_us && now_us - s->since_us < WINDOW_US && s->address.len == key->len &&
           memcmp(s->address.bytes, key->bytes, sizeof(key->bytes)) == 0;
}

bool throttle_allows(struct throttle *t, const struct address *a, uint32_t max, uint64_t now_us)
{
    struct address key = key_of(a);
    bool allowed = true;
    const struct slot *set;

    if (max == 0)
        return true;
    pthread_mutex_lock(&t->lock);
    set = set_of(t, &key);
    for (unsigned i = 0; i < THROTTLE_WAYS; i++) {
        if (slot_is(&set[i], &key, now_us))
            allowed = set[i].failures < max;
    }
    pthread_mutex_unlock(&t->lock);
    return allowed;
}

uint32_t throttle_fail(struct throttle *t, const struct address *a, uint64_t now_us)
{
    struct address key = key_of(a);
    struct slot *set, *use = NULL;
    uint32_t failures;

    pthread_mutex_lock(&t->lock);
    set = set_of(t, &key);
    for (unsigned i = 0; i < THROTTLE_WAYS && !use; i++) {
        if (slot_is(&set[i], &key, now_us))
            use = &set[i];
    }
    if (!use) {
        use = &set[0];
        for (unsigned i = 1; i < THROTTLE_WAYS; i++) {
            if (set[i].since_us < use->since_us)
                use = &set[i];
        }
        *use = (struct slot){ .address = key, .since_us = now_us ? now_us : 1 };
    }
    failures = ++use->failures;
    pthread_mutex_unlock(&t->lock);
    return failures;
}
