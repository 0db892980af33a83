/*
 * Where one execution of a plan goes: key values to hashes, hashes to shards. On the hot path: one literal or parameter
 * is hashed without allocation.
 *
 * A value whose hash is not known for certain (vhash.h) makes its group say nothing, that is all shards, which a plan
 * that is proven for several shards can take and any other refuses.
 */
#include "planner/plan_int.h"
#include "planner/types.h"

#include <string.h>

enum got { GOT_HASH, GOT_NULL, GOT_DECLINE };

struct routing {
    const struct plan *plan;
    const struct map_db *db;
    struct span sql;
    const struct literals *lits;
    const struct bind_values *binds;
    struct arena *arena;
    bool declined;
};

enum { SCRATCH = 256 };

/* Undouble quotes into buf. */
static bool undouble(struct span in, char *buf, struct span *out)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        if (n == SCRATCH)
            return false;
        buf[n++] = in.ptr[i];
        if (in.ptr[i] == '\'')
            i++; /* the lexer has seen that quotes come in pairs */
    }
    *out = span_make(buf, n);
    return true;
}

/* The value of a literal as text. False for forms that are not read here. */
static bool literal_text(struct span lit, bool negate, char *buf, struct span *out)
{
    if (lit.len == 0)
        return false;
    char c = lit.ptr[0];
    if (c == '\'' || c == 'E' || c == 'e') {
        size_t skip = c == '\'' ? 1 : 2;
        if (negate || lit.len < skip + 1 || lit.ptr[skip - 1] != '\'' || lit.ptr[lit.len - 1] != '\'')
            return false;
        *out = span_make(lit.ptr + skip, lit.len - skip - 1);
        if (skip == 2 && out->len && memchr(out->ptr, '\\', out->len))
            return false;
        return !out->len || !memchr(out->ptr, '\'', out->len) || undouble(*out, buf, out);
    }
    if (c == '$') {
        const char *tag_end = memchr(lit.ptr + 1, '$', lit.len - 1);
        size_t tag = tag_end ? (size_t)(tag_end - lit.ptr) + 1 : 0;
        if (negate || !tag || lit.len < 2 * tag)
            return false;
        *out = span_make(lit.ptr + tag, lit.len - 2 * tag);
        return true;
    }
    if (c != '.' && (c < '0' || c > '9'))
        return false;
    *out = lit;
    if (!negate)
        return true;
    if (lit.len >= SCRATCH)
        return false;
    buf[0] = '-';
    memcpy(buf + 1, lit.ptr, lit.len);
    *out = span_make(buf, lit.len + 1);
    return true;
}

/* A value as it came, to its hash. `type` is the value's own. */
static enum got hash_value(const struct key_group *g, const struct key_column *col, enum key_type type, bool binary,
                           struct span v, uint64_t seed, uint64_t *hash)
{
    if (g->identity) {
        int64_t n;
        if (!vhash_integer(type, binary, v, &n))
            return GOT_DECLINE;
        *hash = (uint64_t)n;
        return GOT_HASH;
    }
    int32_t typmod = -1;
    if (g->use == VHASH_ASSIGN) {
        int64_t n;
        typmod = col->typmod;
        if (key_family(type) == FAMILY_INT && key_family(col->type) == FAMILY_STRING) {
            if (binary || !vhash_integer(type, false, v, &n))
                return GOT_DECLINE;
            type = col->type;
        }
        if (!binary || key_family(type) != FAMILY_INT)
            type = col->type; /* of one family: read as what it becomes */
    }
    enum vhash_result r =
        binary ? vhash_binary(type, typmod, g->use, v, seed, hash) : vhash_text(type, typmod, g->use, v, seed, hash);
    return r == VHASH_OK ? GOT_HASH : GOT_DECLINE;
}

/* Parameter and its type; false if it was not bound with a type that the plan is about. */
static bool bound_value(const struct routing *r, const struct key_value *v, enum key_type *type, bool *binary,
                        struct span *value)
{
    uint32_t i = v->index - 1;
    if (!r->binds || i >= r->binds->n)
        return false;
    *type = v->type;
    *binary = r->binds->binary && r->binds->binary[i];
    *value = r->binds->values[i];
    if (r->binds->types && r->binds->types[i] && v->source == VALUE_PARAM)
        return key_type_of_oid(r->binds->types[i], type) && key_family(*type) == key_family(v->type);
    return true;
}

static struct span literal_span(const struct routing *r, uint32_t index)
{
    BUG_ON(index >= r->lits->n);
    return span_make(r->sql.ptr + r->lits->v[index].off, r->lits->v[index].len);
}

static enum got single_value(const struct routing *r, const struct key_group *g, const struct key_column *col,
                             const struct key_value *v, uint64_t seed, uint64_t *hash)
{
    char buf[SCRATCH];
    struct span value;
    enum key_type type = v->type;
    bool binary = false;
    if (v->source == VALUE_NULL)
        return GOT_NULL;
    if (v->source == VALUE_LITERAL) {
        if (!literal_text(literal_span(r, v->index), v->negate, buf, &value))
            return GOT_DECLINE;
    } else {
        if (!bound_value(r, v, &type, &binary, &value))
            return GOT_DECLINE;
        if (!value.ptr)
            return GOT_NULL;
    }
    return hash_value(g, col, type, binary, value, seed, hash);
}

static enum got tuple(const struct routing *r, const struct key_group *g, uint32_t i, uint64_t *hash)
{
    uint64_t seed = 0;
    for (uint32_t k = 0; k < g->ncolumn; k++) {
        enum got got = single_value(r, g, &g->columns[k], &g->columns[k].values[i], seed, &seed);
        if (got != GOT_HASH)
            return got;
    }
    *hash = seed;
    return GOT_HASH;
}

struct element {
    const struct routing *r;
    const struct key_group *g;
    enum key_type type;
    struct shardset *set;
};

static bool add_element(struct element *x, bool binary, struct span v)
{
    uint64_t hash;
    if (hash_value(x->g, &x->g->columns[0], x->type, binary, v, 0, &hash) != GOT_HASH)
        return false;
    shardset_add(x->set, map_shard_of(x->r->db, vhash_keyspace_id(hash)));
    return true;
}

static bool is_null_word(struct span v)
{
    return span_ieq(v, SPAN("null"));
}

/* One element of an array's text form at *pos, up to the delimiter behind it. */
static bool text_element(struct element *x, struct span a, size_t *pos)
{
    char buf[SCRATCH];
    size_t n = 0, i = *pos;
    bool quoted = a.ptr[i] == '"';
    for (i += quoted; i < a.len && (quoted ? a.ptr[i] != '"' : a.ptr[i] != ',' && a.ptr[i] != '}'); i++) {
        char c = a.ptr[i];
        if (quoted && c == '\\' && ++i < a.len)
            c = a.ptr[i];
        else if (!quoted && (c == '{' || c == '"' || c == '\\' || c == ' ' || (c >= '\t' && c <= '\r')))
            return false;
        if (n == SCRATCH)
            return false;
        buf[n++] = c;
    }
    if (i >= a.len || (!quoted && n == 0))
        return false;
    *pos = i + quoted;
    const struct span v = span_make(buf, n);
    return (!quoted && is_null_word(v)) || add_element(x, false, v);
}

/* Canonical one-dimensional text form only: {a,"b",NULL}. Other forms are valid too, and declined (rule P18). */
static bool text_array(struct element *x, struct span a)
{
    size_t pos = 1;
    if (a.len < 2 || a.ptr[0] != '{' || a.ptr[a.len - 1] != '}')
        return false;
    if (a.len == 2)
        return true;
    while (pos < a.len) {
        if (!text_element(x, a, &pos) || pos >= a.len)
            return false;
        if (a.ptr[pos] == '}')
            return pos + 1 == a.len;
        if (a.ptr[pos++] != ',')
            return false;
    }
    return false;
}

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

/* array_send(): dimensions, flags, element type, (size, lower bound) of each dimension, then length and bytes of each.
 */
static bool binary_array(struct element *x, struct span a)
{
    if (a.len < 12)
        return false;
    uint32_t ndim = be32(a.ptr);
    if (ndim == 0)
        return a.len == 12;
    enum key_type type;
    if (ndim != 1 || a.len < 20 || !key_type_of_oid(be32(a.ptr + 8), &type) || key_family(type) != key_family(x->type))
        return false;
    x->type = type;
    uint32_t n = be32(a.ptr + 12);
    size_t pos = 20;
    for (uint32_t i = 0; i < n; i++) {
        if (a.len - pos < 4)
            return false;
        uint32_t len = be32(a.ptr + pos);
        pos += 4;
        if (len == UINT32_MAX)
            continue;
        if (len > a.len - pos || !add_element(x, true, span_make(a.ptr + pos, len)))
            return false;
        pos += len;
    }
    return pos == a.len;
}

static bool array_value(const struct routing *r, const struct key_group *g, const struct key_value *v,
                        struct shardset *set)
{
    struct element x = { .r = r, .g = g, .type = v->type, .set = set };
    char buf[SCRATCH];
    struct span value;
    bool binary = false;
    if (v->source == VALUE_LITERAL_ARRAY)
        return literal_text(literal_span(r, v->index), false, buf, &value) && text_array(&x, value);
    if (!bound_value(r, v, &x.type, &binary, &value))
        return false;
    if (!value.ptr)
        return true;
    return binary ? binary_array(&x, value) : text_array(&x, value);
}

/* Shards of one group; false if it is not known. */
static bool group_shards(const struct routing *r, const struct key_group *g, struct shardset *set)
{
    for (uint32_t i = 0; i < g->columns[0].nvalue; i++) {
        const struct key_value *v = &g->columns[0].values[i];
        uint64_t hash;
        if (v->source == VALUE_PARAM_ARRAY || v->source == VALUE_LITERAL_ARRAY) {
            if (!array_value(r, g, v, set))
                return false;
            continue;
        }
        enum got got = tuple(r, g, i, &hash);
        if (got == GOT_DECLINE)
            return false;
        if (got == GOT_HASH)
            shardset_add(set, map_shard_of(r->db, vhash_keyspace_id(hash)));
        else if (g->use == VHASH_ASSIGN) /* a row that violates NOT NULL: one shard says so */
            shardset_add(set, r->db->home);
    }
    return true;
}

static void class_shards(struct routing *r, const struct key_class *c, struct shardset *set)
{
    shardset_all(set, r->db->nshard);
    for (uint32_t i = 0; i < c->ngroup; i++) {
        struct shardset one = { 0 };
        if (!group_shards(r, &c->groups[i], &one)) {
            r->declined = true;
            continue;
        }
        for (size_t w = 0; w < ARRAY_LEN(set->w); w++)
            set->w[w] &= one.w[w];
    }
}

static bool finish(const struct routing *r, struct route *out, struct err *e)
{
    out->n = shardset_count(&out->set);
    if (out->n == 0) { /* no row can match: whatever shard answers that (rule P22) */
        out->any = true;
        return true;
    }
    out->first = shardset_next(&out->set, 0);
    if (out->n == 1 || r->plan->combine != COMBINE_NONE || r->plan->hint)
        return true;
    if (!r->declined) {
        *e = r->plan->refusal;
        return false;
    }
    err_set(e, PB0206, "the value of the sharding key is not in a form that can be placed");
    err_detail(e, "%s", r->plan->refusal.message);
    return err_hint(e, "Write the value in the form in which PostgreSQL prints it, without a sign, blanks or "
                       "needless zeros.");
}

static bool route_rows(struct routing *r, struct route *out, struct err *e)
{
    const struct plan_insert *x = r->plan->insert;
    const struct key_group *g = &r->plan->classes[0].groups[0];
    uint32_t stack[64], *shard = x->nrow <= ARRAY_LEN(stack) ? stack : NULL;
    if (!shard)
        shard = ARENA_ARRAY(r->arena, uint32_t, x->nrow);
    for (uint32_t i = 0; i < x->nrow; i++) {
        uint64_t hash;
        enum got got = tuple(r, g, i, &hash);
        if (got == GOT_DECLINE) {
            err_set(e, PB0206, "the sharding key of row %u is not in a form that can be placed", i + 1);
            return err_hint(e, "Write the value in the form in which PostgreSQL prints it.");
        }
        shard[i] = got == GOT_HASH ? map_shard_of(r->db, vhash_keyspace_id(hash)) : r->db->home;
        shardset_add(&out->set, shard[i]);
    }
    if (!finish(r, out, e))
        return false;
    if (out->n > 1) {
        out->row_shard = shard == stack ? ARENA_ARRAY(r->arena, uint32_t, x->nrow) : shard;
        memmove(out->row_shard, shard, x->nrow * sizeof *shard);
    }
    return true;
}

/* Rows of any class may be needed. */
static void classes_shards(struct routing *r, struct shardset *set)
{
    const struct plan *p = r->plan;
    for (uint32_t i = 0; i < p->nclass; i++) {
        struct shardset one;
        class_shards(r, &p->classes[i], &one);
        for (size_t w = 0; w < ARRAY_LEN(one.w); w++)
            set->w[w] |= one.w[w];
    }
    if (p->nclass == 0)
        shardset_all(set, r->db->nshard);
}

static bool route_keyed(struct routing *r, struct route *out, struct err *e)
{
    const struct plan *p = r->plan;
    uint64_t hash;
    if (p->kind == PLAN_INSERT)
        return route_rows(r, out, e);
    if (LIKELY(p->nclass == 1 && p->classes[0].ngroup == 1)) {
        const struct key_group *g = &p->classes[0].groups[0];
        if (g->columns[0].nvalue == 1 && g->columns[0].values[0].source <= VALUE_PARAM &&
            tuple(r, g, 0, &hash) == GOT_HASH) {
            out->first = map_shard_of(r->db, vhash_keyspace_id(hash));
            out->n = 1;
            shardset_add(&out->set, out->first);
            return true;
        }
    }
    classes_shards(r, &out->set);
    return finish(r, out, e);
}

void plan_semijoin_route(const struct plan *p, const struct plan_semijoin *j, const struct map_db *db,
                         struct span values, struct shardset *set)
{
    static const uint8_t binary[] = { 1 };
    const struct bind_values binds = { .n = 1, .values = &values, .types = &j->array_type, .binary = binary };
    struct routing r = { .plan = p, .db = db, .binds = &binds };
    struct shardset some = { 0 };
    if (!j->keys)
        return;
    class_shards(&r, j->keys, &some);
    for (size_t w = 0; w < ARRAY_LEN(set->w); w++)
        set->w[w] &= some.w[w];
}

void plan_gather_route(const struct plan *p, const struct gather_part *part, const struct map_db *db, struct span sql,
                       const struct literals *lits, const struct bind_values *binds, struct route *out)
{
    *out = (struct route){ .any = part->scope == SCOPE_ANY };
    if (p->gather->push) {
        struct routing r = { .plan = p, .db = db, .sql = sql, .lits = lits, .binds = binds };
        classes_shards(&r, &out->set);
    } else if (part->scope == SCOPE_KEYED) {
        struct routing r = { .plan = p, .db = db, .sql = sql, .lits = lits, .binds = binds };
        class_shards(&r, &part->keys, &out->set);
    } else if (part->scope == SCOPE_HOME) {
        shardset_add(&out->set, db->home);
    }
    out->n = shardset_count(&out->set);
    out->first = shardset_next(&out->set, 0);
}

bool plan_route(const struct plan *p, const struct map_db *db, struct span sql, const struct literals *lits,
                const struct bind_values *binds, struct arena *arena, struct route *out, struct err *e)
{
    *out = (struct route){ 0 };
    switch (p->scope) {
    case SCOPE_ANY:
        out->any = true;
        return true;
    case SCOPE_HOME:
        out->n = 1;
        out->first = db->home;
        shardset_add(&out->set, db->home);
        return true;
    case SCOPE_ALL:
        shardset_all(&out->set, db->nshard);
        out->n = db->nshard;
        if (out->n == 1 || p->combine != COMBINE_NONE || !p->refusal.message[0])
            return true;
        *e = p->refusal;
        return false;
    case SCOPE_KEYED:
        break;
    }
    struct routing r = { .plan = p, .db = db, .sql = sql, .lits = lits, .binds = binds, .arena = arena };
    return route_keyed(&r, out, e);
}
