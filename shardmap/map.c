#include "shardmap/map.h"

#include "base/arena.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>

/* What the public struct is the head of. */
struct map_box {
    struct map map; /* first: map_unref casts back */
    _Atomic uint32_t refs;
    struct arena arena; /* everything the map points to */
};

uint32_t shardset_next(const struct shardset *s, uint32_t from)
{
    while (from < MAP_MAX_SHARDS) {
        uint64_t rest = s->w[from / 64] >> (from % 64);

        if (rest)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from / 64 + 1) * 64;
    }
    return MAP_MAX_SHARDS;
}

void shardset_all(struct shardset *s, uint32_t nshard)
{
    BUG_ON(nshard > MAP_MAX_SHARDS);
    *s = (struct shardset){ 0 };
    for (uint32_t i = 0; i < nshard; i++)
        shardset_add(s, i);
}

static int shard_cmp_start(const void *a, const void *b)
{
    const struct map_shard *x = a, *y = b;

    return (x->range.start > y->range.start) - (x->range.start < y->range.start);
}

/* Copy and sort the shards; names, ranges and conninfo become the map's own. */
static bool build_shards(struct map_db *db, struct arena *a, const struct map_db_def *def, struct err *e)
{
    struct keyrange ranges[MAP_MAX_SHARDS];
    uint64_t *starts;

    if (def->nshard < 1 || def->nshard > MAP_MAX_SHARDS) {
        err_set(e, PB0402, "database \"%s\" has %zu shards", db->name, def->nshard);
        return err_detail(e, "A database is served by 1 to %u shards.", MAP_MAX_SHARDS);
    }
    for (size_t i = 0; i < def->nshard; i++)
        ranges[i] = def->shards[i].range;
    if (!keyrange_covers(ranges, def->nshard, e))
        return false;

    db->nshard = (uint32_t)def->nshard;
    db->shards = ARENA_ARRAY(a, struct map_shard, def->nshard);
    memcpy(db->shards, def->shards, def->nshard * sizeof(*db->shards));
    qsort(db->shards, def->nshard, sizeof(*db->shards), shard_cmp_start);
    starts = ARENA_ARRAY(a, uint64_t, def->nshard);
    for (uint32_t i = 0; i < db->nshard; i++) {
        struct map_shard *s = &db->shards[i];
        char printed[KEYRANGE_TEXT_MAX];

        starts[i] = s->range.start;
        s->name = arena_strdup(a, s->name ? s->name : keyrange_print(&s->range, printed));
        s->conninfo = arena_strdup(a, s->conninfo ? s->conninfo : "");
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(db->shards[k].name, s->name) == 0)
                return err_set(e, PB0402, "two shards of database \"%s\" are named \"%s\"", db->name, s->name);
        }
    }
    db->starts = starts;
    return true;
}

static bool find_home(struct map_db *db, const char *home, struct err *e)
{
    if (!home)
        return true; /* index 0 has the lowest range */
    for (uint32_t i = 0; i < db->nshard; i++) {
        if (strcmp(db->shards[i].name, home) == 0) {
            db->home = i;
            return true;
        }
    }
    return err_set(e, PB0402, "home shard \"%s\" of database \"%s\" does not exist", home, db->name);
}

static bool build_db(struct map *m, struct arena *a, const struct map_db_def *def, struct err *e)
{
    struct map_db *db = &m->dbs[m->ndb];

    if (!def->name || !def->name[0])
        return err_set(e, PB0402, "a database has no name");
    if (map_find_db(m, span_str(def->name)))
        return err_set(e, PB0402, "two databases are named \"%s\"", def->name);
    db->name = arena_strdup(a, def->name);
    if (!build_shards(db, a, def, e) || !find_home(db, def->home, e))
        return false;
    m->ndb++;
    return true;
}

struct map *map_new(uint64_t epoch, const struct map_db_def *dbs, size_t ndb, struct err *e)
{
    struct map_box *box = mem_zalloc(sizeof(*box));

    arena_init(&box->arena, 0);
    atomic_init(&box->refs, 1);
    box->map.epoch = epoch;
    box->map.dbs = ARENA_ARRAY(&box->arena, struct map_db, ndb);
    for (size_t i = 0; i < ndb; i++) {
        if (!build_db(&box->map, &box->arena, &dbs[i], e)) {
            map_unref(&box->map);
            return NULL;
        }
    }
    return &box->map;
}

struct map *map_ref(struct map *m)
{
    atomic_fetch_add_explicit(&CONTAINER_OF(m, struct map_box, map)->refs, 1, memory_order_relaxed);
    return m;
}

void map_unref(struct map *m)
{
    struct map_box *box;

    if (!m)
        return;
    box = CONTAINER_OF(m, struct map_box, map);
    if (atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) > 1)
        return;
    arena_fini(&box->arena);
    free(box);
}

const struct map_db *map_find_db(const struct map *m, struct span name)
{
    for (uint32_t i = 0; i < m->ndb; i++) {
        if (span_eq_str(name, m->dbs[i].name))
            return &m->dbs[i];
    }
    return NULL;
}
