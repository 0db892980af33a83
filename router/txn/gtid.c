#include "router/txn/gtid.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/hmap.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define GID_PREFIX "pgbraid:"

struct gtids {
    pthread_mutex_t lock;
    struct hmap live; /* under lock */
    uint32_t router;  /* id */
    uint32_t start;   /* seconds */
    uint64_t seed;
    _Atomic uint64_t last; /* time of the last name */
};

struct live_gtid {
    struct hmap_node node;
    char text[GTID_MAX];
};

static uint64_t random64(void)
{
    uint64_t v;

    BUG_ON(getrandom(&v, sizeof(v), 0) != sizeof(v));
    return v;
}

struct gtids *gtids_new(void)
{
    struct gtids *g = mem_zalloc(sizeof(*g));

    pthread_mutex_init(&g->lock, NULL);
    g->router = (uint32_t)random64();
    g->start = (uint32_t)(clock_wall_us() / 1000000);
    g->seed = random64();
    return g;
}

void gtids_free(struct gtids *g)
{
    struct hmap_node *node;

    if (!g)
        return;
    while ((node = hmap_any(&g->live))) {
        hmap_remove(&g->live, node);
        free(CONTAINER_OF(node, struct live_gtid, node));
    }
    hmap_fini(&g->live);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static struct live_gtid *find(struct gtids *g, struct span gtid)
{
    for (struct hmap_node *node = hmap_first(&g->live, hash_seeded(gtid.ptr, gtid.len, g->seed)); node;
         node = hmap_next(node)) {
        struct live_gtid *l = CONTAINER_OF(node, struct live_gtid, node);

        if (span_eq_str(gtid, l->text))
            return l;
    }
    return NULL;
}

void gtid_new(struct gtids *g, char out[GTID_MAX])
{
    uint64_t last = atomic_load(&g->last), time, now = clock_wall_us();

    do
        time = now > last ? now : last + 1; /* the clock may have been set back */
    while (!atomic_compare_exchange_weak(&g->last, &last, time));
    snprintf(out, GTID_MAX, "%014llx-%08x-%08x-%016llx", (unsigned long long)time, g->router, g->start,
             (unsigned long long)random64());
}

bool gtid_ok(struct span gtid)
{
    static const char form[] = "xxxxxxxxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxxxxxxxxxx";

    if (gtid.len != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < gtid.len; i++) {
        char c = gtid.ptr[i];

        if (form[i] == '-' ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

uint64_t gtid_time_us(const char *gtid)
{
    return strtoull(gtid, NULL, 16);
}

uint64_t gtid_key_at(uint64_t wall_us)
{
    return wall_us >> 7 << 12 & GTID_KEY_MASK;
}

uint64_t gtid_key(struct span gtid)
{
    char chance[4] = "";

    BUG_ON(!gtid_ok(gtid));
    memcpy(chance, gtid.ptr + gtid.len - 3, 3);
    return gtid_key_at(gtid_time_us(gtid.ptr)) | strtoull(chance, NULL, 16);
}

uint64_t gtid_key_age(uint64_t key, uint64_t now_us)
{
    /* Half of all keys may be of the future. */
    return (gtid_key_at(now_us) + (UINT64_C(1) << 47) - key) & GTID_KEY_MASK;
}

void gtid_begin(struct gtids *g, const char *gtid)
{
    struct live_gtid *l = mem_zalloc(sizeof(*l));

    snprintf(l->text, sizeof(l->text), "%s", gtid);
    pthread_mutex_lock(&g->lock);
    hmap_insert(&g->live, &l->node, hash_seeded(l->text, strlen(l->text), g->seed));
    pthread_mutex_unlock(&g->lock);
}

void gtid_end(struct gtids *g, const char *gtid)
{
    struct live_gtid *l;

    pthread_mutex_lock(&g->lock);
    l = find(g, span_str(gtid));
    if (l) {
        hmap_remove(&g->live, &l->node);
        free(l);
    }
    pthread_mutex_unlock(&g->lock);
}

bool gtid_is_live(struct gtids *g, struct span gtid)
{
    bool live;

    pthread_mutex_lock(&g->lock);
    live = find(g, gtid) != NULL;
    pthread_mutex_unlock(&g->lock);
    return live;
}

void gtid_gid(const char *gtid, uint32_t decider, uint32_t shard, char out[GID_MAX])
{
    snprintf(out, GID_MAX, GID_PREFIX "%s:%u:%u", gtid, decider, shard);
}

static bool parse_number(struct span text, uint32_t *out)
{
    uint64_t v = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = (uint32_t)v;
    return v <= UINT32_MAX;
}

/* The text up to the next colon, which is passed; false: there is none. */
static bool take_field(struct span *rest, struct span *field)
{
    const char *colon = rest->len ? memchr(rest->ptr, ':', rest->len) : NULL;

    if (!colon)
        return false;
    *field = span_make(rest->ptr, (size_t)(colon - rest->ptr));
    *rest = span_make(colon + 1, rest->len - field->len - 1);
    return true;
}

bool gid_parse(struct span gid, struct span *gtid, uint32_t *decider, uint32_t *shard)
{
    const size_t prefix = sizeof(GID_PREFIX) - 1;
    struct span rest, number;

    if (gid.len <= prefix || memcmp(gid.ptr, GID_PREFIX, prefix) != 0)
        return false;
    rest = span_make(gid.ptr + prefix, gid.len - prefix);
    return take_field(&rest, gtid) && gtid_ok(*gtid) && take_field(&rest, &number) && parse_number(number, decider) &&
           parse_number(rest, shard);
}
