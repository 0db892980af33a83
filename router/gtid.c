#include "router/gtid.h"

#include "base/hash.h"
#include "base/hmap.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define GID_PREFIX "pgbraid:"

struct gtids {
    pthread_mutex_t lock; /* everything below */
    struct hmap live;
    uint64_t router, next;
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
    g->router = random64();
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
    for (struct hmap_node *node = hmap_first(&g->live, hash_seeded(gtid.ptr, gtid.len, g->router)); node;
         node = hmap_next(node)) {
        struct live_gtid *l = CONTAINER_OF(node, struct live_gtid, node);

        if (span_eq_str(gtid, l->text))
            return l;
    }
    return NULL;
}

void gtid_begin(struct gtids *g, uint32_t decider, char out[GTID_MAX])
{
    struct live_gtid *l = mem_zalloc(sizeof(*l));

    pthread_mutex_lock(&g->lock);
    snprintf(l->text, sizeof(l->text), "%u-%016llx-%llx-%016llx", decider, (unsigned long long)g->router,
             (unsigned long long)++g->next, (unsigned long long)random64());
    hmap_insert(&g->live, &l->node, hash_seeded(l->text, strlen(l->text), g->router));
    memcpy(out, l->text, GTID_MAX);
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

void gtid_gid(const char *gtid, uint32_t shard, char out[GID_MAX])
{
    snprintf(out, GID_MAX, GID_PREFIX "%s:%u", gtid, shard);
}

static bool parse_number(const char *p, const char *end, uint32_t *out)
{
    uint64_t v = 0;

    if (p == end || end - p > 10)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    *out = (uint32_t)v;
    return v <= UINT32_MAX;
}

bool gid_parse(struct span gid, struct span *gtid, uint32_t *decider, uint32_t *shard)
{
    const size_t prefix = sizeof(GID_PREFIX) - 1;
    const char *end = gid.ptr + gid.len, *colon, *dash;

    if (gid.len <= prefix || memcmp(gid.ptr, GID_PREFIX, prefix) != 0)
        return false;
    *gtid = span_make(gid.ptr + prefix, gid.len - prefix);
    colon = memchr(gtid->ptr, ':', gtid->len);
    dash = memchr(gtid->ptr, '-', gtid->len);
    if (!colon || !dash || dash > colon || (size_t)(colon - gtid->ptr) >= GTID_MAX)
        return false;
    gtid->len = (size_t)(colon - gtid->ptr);
    for (const char *p = gtid->ptr; p < colon; p++) {
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f') || *p == '-'))
            return false;
    }
    return parse_number(gtid->ptr, dash, decider) && parse_number(colon + 1, end, shard);
}
