#include "router/server/oids.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "shardmap/map.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

extern const char sql_objects[]; /* sql/objects.sql */

struct oid_pair {
    uint32_t from, to;
    enum oid_kind kind; /* of types, from a shard to clients; and */
    uint32_t inner;     /* the shard's type of a range's bounds, a multirange's ranges */
};

/* Sorted by `from`. */
struct oid_list {
    struct oid_pair *v;
    uint32_t n;
};

/* Types and tables are numbered apart: a type and a table may have the same id. */
struct oid_map {
    uint32_t shard_id;
    bool known;
    struct oid_list types, tables; /* the shard's to the home shard's */
    struct oid_list types_back;
};

struct oid_maps {
    _Atomic uint32_t refs;
    uint32_t n;
    struct oid_map of[];
};

static const struct oid_map empty;

/* --- loading --- */

struct object {
    char kind;
    const char *name;
    uint32_t oid, inner;
    enum oid_kind made_of;
};

/* What one shard has, sorted; the names are borrowed from `result`. */
struct objects {
    struct pgresult *result;
    struct object *v;
    uint32_t n;
};

static int object_compare(const void *a, const void *b)
{
    const struct object *x = a, *y = b;

    return x->kind != y->kind ? x->kind - y->kind : strcmp(x->name, y->name);
}

static enum oid_kind kind_of(const char *letter)
{
    switch (letter ? letter[0] : '\0') {
    case 'a':
        return OID_ARRAY;
    case 'r':
        return OID_ROW;
    case 'g':
        return OID_RANGE;
    case 'm':
        return OID_MULTIRANGE;
    default:
        return OID_PLAIN;
    }
}

static uint32_t number(const struct pgresult *r, int row, int column)
{
    const char *value = pgresult_value(r, row, column);

    return value ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

static bool objects_read(const struct map_shard *shard, uint32_t timeout_ms, struct objects *out)
{
    struct pgconn_target t = { .conninfo = shard->conninfo,
                               .application_name = "pgbraid",
                               .options = "-c search_path=pg_catalog",
                               .timeout_ms = timeout_ms };
    struct err e = ERR_INIT;
    struct pgconn *conn = pgconn_open_blocking(&t, &e);

    *out = (struct objects){ 0 };
    out->result = conn ? pgconn_query(conn, sql_objects, &e) : NULL;
    if (conn)
        pgconn_close_blocking(conn);
    if (!out->result) {
        log_err(LOG_WARN, "oids", "cannot read a shard's object ids", &e);
        return false;
    }
    out->n = (uint32_t)pgresult_rows(out->result);
    out->v = mem_alloc((out->n ? out->n : 1) * sizeof(*out->v));
    for (uint32_t i = 0; i < out->n; i++) {
        out->v[i] = (struct object){ .kind = pgresult_value(out->result, (int)i, 0)[0],
                                     .name = pgresult_value(out->result, (int)i, 1),
                                     .oid = number(out->result, (int)i, 2),
                                     .made_of = kind_of(pgresult_value(out->result, (int)i, 3)),
                                     .inner = number(out->result, (int)i, 4) };
    }
    qsort(out->v, out->n, sizeof(*out->v), object_compare);
    return true;
}

static void objects_free(struct objects *o)
{
    pgresult_free(o->result);
    free(o->v);
}

static int pair_compare(const void *a, const void *b)
{
    const struct oid_pair *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

static void list_sort(struct oid_list *l)
{
    if (l->n)
        qsort(l->v, l->n, sizeof(*l->v), pair_compare);
}

/* Both are sorted: what has the same name is the same object. */
static void map_fill(struct oid_map *m, const struct objects *shard, const struct objects *home)
{
    m->types.v = mem_alloc((shard->n + 1) * sizeof(*m->types.v));
    m->types_back.v = mem_alloc((shard->n + 1) * sizeof(*m->types_back.v));
    m->tables.v = mem_alloc((shard->n + 1) * sizeof(*m->tables.v));
    for (uint32_t i = 0, j = 0; i < shard->n && j < home->n;) {
        int order = object_compare(&shard->v[i], &home->v[j]);

        if (order == 0) {
            struct oid_list *l = shard->v[i].kind == 't' ? &m->types : &m->tables;

            l->v[l->n++] = (struct oid_pair){
                .from = shard->v[i].oid, .to = home->v[j].oid, .kind = shard->v[i].made_of, .inner = shard->v[i].inner
            };
            if (l == &m->types)
                m->types_back.v[m->types_back.n++] = (struct oid_pair){ .from = home->v[j].oid, .to = shard->v[i].oid };
        }
        i += order <= 0;
        j += order >= 0;
    }
    list_sort(&m->types);
    list_sort(&m->types_back);
    list_sort(&m->tables);
}

struct oid_maps *oid_maps_load(const struct map_db *db, uint32_t timeout_ms)
{
    struct oid_maps *m = mem_zalloc(sizeof(*m) + db->nshard * sizeof(m->of[0]));
    struct objects home, shard;
    bool have_home;

    m->refs = 1;
    m->n = db->nshard;
    have_home = db->nshard > 1 && objects_read(&db->shards[db->home], timeout_ms, &home);
    for (uint32_t i = 0; i < db->nshard; i++) {
        m->of[i].shard_id = db->shards[i].id;
        if (i == db->home || !have_home || !objects_read(&db->shards[i], timeout_ms, &shard))
            continue;
        map_fill(&m->of[i], &shard, &home);
        m->of[i].known = true;
        objects_free(&shard);
    }
    if (have_home)
        objects_free(&home);
    return m;
}

struct oid_maps *oid_maps_ref(struct oid_maps *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void oid_maps_unref(struct oid_maps *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < m->n; i++) {
        free(m->of[i].types.v);
        free(m->of[i].types_back.v);
        free(m->of[i].tables.v);
    }
    free(m);
}

const struct oid_map *oid_maps_find(const struct oid_maps *m, uint32_t shard_id, bool home)
{
    if (home)
        return NULL;
    for (uint32_t i = 0; m && i < m->n; i++) {
        if (m->of[i].shard_id == shard_id)
            return &m->of[i];
    }
    return &empty;
}

bool oid_map_known(const struct oid_map *m)
{
    return m->known;
}

/* --- replacing --- */

static const struct oid_pair *list_pair(const struct oid_list *l, uint32_t oid)
{
    uint32_t low = 0, high = l->n;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (l->v[mid].from < oid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < l->n && l->v[low].from == oid ? &l->v[low] : NULL;
}

static uint32_t list_find(const struct oid_list *l, uint32_t oid, uint32_t otherwise)
{
    const struct oid_pair *pair;

    if (oid < OID_FIRST_USER)
        return oid;
    pair = list_pair(l, oid);
    return pair ? pair->to : otherwise;
}

static void replace(const struct oid_list *l, char *at, uint32_t otherwise)
{
    proto_put32(at, list_find(l, proto_get32(at), otherwise));
}

void oids_to_client(const struct oid_map *m, char type, char *body, size_t len)
{
    struct reader r = rd_make(span_make(body, len));
    uint16_t n = rd_u16(&r);

    for (uint16_t i = 0; i < n && !r.bad; i++) {
        if (type == BE_PARAMETER_DESCRIPTION) {
            struct span oid = rd_bytes(&r, 4);

            if (!r.bad)
                replace(&m->types, body + (oid.ptr - body), OID_UNKNOWN);
        } else {
            struct span field; /* table, column number, type, its length, its modifier, format */

            (void)rd_cstr(&r);
            field = rd_bytes(&r, 18);
            if (r.bad)
                break;
            replace(&m->tables, body + (field.ptr - body), 0);
            replace(&m->types, body + (field.ptr - body) + 6, OID_UNKNOWN);
        }
    }
}

bool oids_of_users(const char *types, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        if (proto_get32(types + 4 * (size_t)i) >= OID_FIRST_USER)
            return true;
    }
    return false;
}

void oids_to_shard(const struct oid_map *m, char *types, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++)
        replace(&m->types_back, types + 4 * (size_t)i, 0);
}

/* --- types --- */

bool oid_map_type(const struct oid_map *m, uint32_t type, enum oid_kind *kind, uint32_t *inner, uint32_t *to_client)
{
    const struct oid_pair *pair;

    *kind = type == OID_RECORD ? OID_ROW : type == OID_RECORD_ARRAY ? OID_ARRAY : OID_PLAIN;
    *inner = 0;
    *to_client = type;
    if (type < OID_FIRST_USER)
        return true;
    pair = list_pair(&m->types, type);
    if (!pair)
        return false;
    *kind = pair->kind;
    *inner = pair->inner;
    *to_client = pair->to;
    return true;
}

uint32_t oid_map_to_shard(const struct oid_map *m, uint32_t type)
{
    return type == OID_UNKNOWN ? 0 : list_find(&m->types_back, type, 0);
}

bool oid_map_embeds(const struct oid_map *m, uint32_t type)
{
    uint32_t shard = oid_map_to_shard(m, type), inner, same;
    enum oid_kind kind;

    if (!shard || !oid_map_type(m, shard, &kind, &inner, &same))
        return true;
    return kind == OID_ARRAY || kind == OID_ROW || (kind != OID_PLAIN && inner >= OID_FIRST_USER);
}
