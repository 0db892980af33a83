/*
 * Three levels, since what a plan depends on is only known once it is made:
 *
 *   shape_entry      one per (shape, scope)
 *     selector       one per set of literals that some plan of this shape depends on; nearly always one, empty
 *       plan_entry   one per values of these literals; in the LRU list; a second index finds it by its very text
 *
 * A lookup tries the selectors of the shape in turn: each says which literals to hash and compare. An empty selector
 * has one plan, reached without hashing. Levels without plans are freed with their last plan.
 */
#include "planner/cache.h"

#include "base/hash.h"
#include "base/hmap.h"
#include "base/list.h"
#include "base/mem.h"
#include "planner/plan_int.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SELECTORS   8u
#define MAX_SAME_SAMPLE 4u
#define SAMPLE_BYTES    64u

struct selector {
    struct plan_entry *only; /* the plan of an empty selector */
    uint32_t nplan;
    uint32_t nfixed, npair;
    uint32_t *fixed; /* owned, with pairs behind it */
    uint32_t (*pairs)[2];
};

struct shape_entry {
    struct hmap_node node;
    uint64_t epoch;
    uint32_t env_id, db_id, ntype, nliteral;
    uint32_t *types; /* in this block */
    struct span shape;
    uint32_t nselector;
    struct selector selectors[MAX_SELECTORS];
};

struct plan_entry {
    struct hmap_node node;      /* in cache.plans, unless its selector is empty */
    struct hmap_node text_node; /* in cache.texts, if `exact` */
    struct list lru;
    struct shape_entry *shape;
    uint32_t selector; /* index */
    bool exact;
    struct plan *plan; /* one reference */
    size_t bytes;
    struct span values; /* text of the fixed literals, one after another, in this block */
    uint32_t *value_lens;
    uint8_t *pairs_equal;
    struct span text;         /* of exact ones */
    struct literal *literals; /* of exact ones */
};

struct cache {
    size_t max_entries, max_bytes;
    uint64_t seed;
    struct hmap shapes, plans, texts;
    struct list lru; /* most recently used first */
    struct cache_stats stats;
};

struct cache *cache_new(size_t max_entries, size_t max_bytes, uint64_t seed)
{
    struct cache *c = mem_zalloc(sizeof(*c));

    c->max_entries = max_entries;
    c->max_bytes = max_bytes;
    c->seed = seed;
    list_init(&c->lru);
    return c;
}

static struct span literal_text(struct span sql, const struct literals *lits, uint32_t i)
{
    BUG_ON(i >= lits->n);
    return span_make(sql.ptr + lits->v[i].off, lits->v[i].len);
}

/* -- keys ---------------------------------------------------------------------------------------------------------- */

static uint64_t hash_scope(const struct cache *c, const struct cache_scope *s)
{
    uint64_t h = c->seed ^ s->epoch ^ ((uint64_t)s->env_id << 32 | s->db_id) * 0x9E3779B97F4A7C15u;

    return s->ntype ? hash_seeded(s->types, s->ntype * sizeof(*s->types), h) : h;
}

static bool same_scope(const struct shape_entry *e, const struct cache_scope *s)
{
    return e->epoch == s->epoch && e->env_id == s->env_id && e->db_id == s->db_id && e->ntype == s->ntype &&
           (s->ntype == 0 || memcmp(e->types, s->types, s->ntype * sizeof(*s->types)) == 0);
}

/* Texts that come as they are: hash the length and both ends, which is enough to tell most apart; memcmp decides. */
static uint64_t hash_text(const struct cache *c, const struct cache_scope *s, struct span sql)
{
    uint64_t h = hash_scope(c, s) + sql.len;

    if (sql.len <= 2 * SAMPLE_BYTES)
        return hash_seeded(sql.ptr, sql.len, h);
    h = hash_seeded(sql.ptr, SAMPLE_BYTES, h);
    return hash_seeded(sql.ptr + sql.len - SAMPLE_BYTES, SAMPLE_BYTES, h);
}

enum pair_state { PAIR_DIFFERENT, PAIR_EQUAL, PAIR_UNSURE };
enum form { FORM_OTHER, FORM_STRING, FORM_INTEGER };

/* The forms in which equal values have equal texts. */
static enum form literal_form(struct span s)
{
    if (s.ptr[0] == '\'')
        return FORM_STRING;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return FORM_OTHER;
    }
    return s.ptr[0] != '0' || s.len == 1 ? FORM_INTEGER : FORM_OTHER;
}

/* Whether two literals have equal values, as far as their texts can tell. */
static enum pair_state compare_pair(struct span a, struct span b)
{
    enum form form = literal_form(a);

    if (span_eq(a, b))
        return PAIR_EQUAL;
    return form != FORM_OTHER && form == literal_form(b) ? PAIR_DIFFERENT : PAIR_UNSURE;
}

static bool selector_is_empty(const struct selector *s)
{
    return s->nfixed == 0 && s->npair == 0;
}

/* False if a pair is unsure. */
static bool hash_values(const struct selector *s, uint64_t seed, struct span sql, const struct literals *lits,
                        uint64_t *hash)
{
    struct span value;
    enum pair_state state;
    uint64_t h = seed;

    for (uint32_t i = 0; i < s->nfixed; i++) {
        value = literal_text(sql, lits, s->fixed[i]);
        h = hash_seeded(value.ptr, value.len, h);
    }
    for (uint32_t i = 0; i < s->npair; i++) {
        state = compare_pair(literal_text(sql, lits, s->pairs[i][0]), literal_text(sql, lits, s->pairs[i][1]));
        if (state == PAIR_UNSURE)
            return false;
        h = (h << 1 | h >> 63) ^ (state == PAIR_EQUAL);
    }
    *hash = hash_seeded(&h, sizeof(h), seed);
    return true;
}

static bool same_values(const struct plan_entry *e, const struct selector *s, struct span sql,
                        const struct literals *lits)
{
    const char *kept = e->values.ptr;
    struct span value;

    for (uint32_t i = 0; i < s->nfixed; i++) {
        value = literal_text(sql, lits, s->fixed[i]);
        if (!span_eq(value, span_make(kept, e->value_lens[i])))
            return false;
        kept += e->value_lens[i];
    }
    for (uint32_t i = 0; i < s->npair; i++) {
        if (compare_pair(literal_text(sql, lits, s->pairs[i][0]), literal_text(sql, lits, s->pairs[i][1])) !=
            (e->pairs_equal[i] ? PAIR_EQUAL : PAIR_DIFFERENT))
            return false;
    }
    return true;
}

/* -- eviction ------------------------------------------------------------------------------------------------------ */

static void shape_free(struct cache *c, struct shape_entry *s)
{
    hmap_remove(&c->shapes, &s->node);
    for (uint32_t i = 0; i < s->nselector; i++)
        free(s->selectors[i].fixed);
    free(s);
}

static void plan_drop(struct cache *c, struct plan_entry *e)
{
    struct shape_entry *s = e->shape;
    struct selector *sel = &s->selectors[e->selector];
    uint32_t live = 0;

    if (sel->only)
        sel->only = NULL;
    else
        hmap_remove(&c->plans, &e->node);
    if (e->exact)
        hmap_remove(&c->texts, &e->text_node);
    sel->nplan--;
    list_remove(&e->lru);
    c->stats.entries--;
    c->stats.bytes -= e->bytes;
    plan_unref(e->plan);
    free(e);
    for (uint32_t i = 0; i < s->nselector; i++)
        live += s->selectors[i].nplan;
    if (live == 0)
        shape_free(c, s);
}

void cache_free(struct cache *c)
{
    if (!c)
        return;
    while (!list_empty(&c->lru))
        plan_drop(c, LIST_ENTRY(c->lru.prev, struct plan_entry, lru));
    hmap_fini(&c->shapes);
    hmap_fini(&c->plans);
    hmap_fini(&c->texts);
    free(c);
}

static void used(struct cache *c, struct plan_entry *e)
{
    if (c->lru.next == &e->lru)
        return;
    list_remove(&e->lru);
    list_push_front(&c->lru, &e->lru);
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

struct plan *cache_find_text(struct cache *c, const struct cache_scope *scope, struct span sql, struct literals *lits)
{
    for (struct hmap_node *n = hmap_first(&c->texts, hash_text(c, scope, sql)); n; n = hmap_next(n)) {
        struct plan_entry *e = CONTAINER_OF(n, struct plan_entry, text_node);

        if (span_eq(e->text, sql) && same_scope(e->shape, scope)) {
            used(c, e);
            *lits = (struct literals){ .n = e->shape->nliteral, .v = e->literals };
            return e->plan;
        }
    }
    return NULL;
}

static struct shape_entry *find_shape(const struct cache *c, uint64_t hash, const struct cache_scope *scope,
                                      struct span shape, uint32_t nliteral)
{
    for (struct hmap_node *n = hmap_first(&c->shapes, hash); n; n = hmap_next(n)) {
        struct shape_entry *e = CONTAINER_OF(n, struct shape_entry, node);

        if (e->nliteral == nliteral && span_eq(e->shape, shape) && same_scope(e, scope))
            return e;
    }
    return NULL;
}

static uint64_t hash_shape(const struct cache *c, const struct cache_scope *scope, struct span shape)
{
    return hash_seeded(shape.ptr, shape.len, hash_scope(c, scope));
}

static struct plan_entry *find_plan(const struct cache *c, const struct shape_entry *s, uint32_t selector,
                                    struct span sql, const struct literals *lits)
{
    const struct selector *sel = &s->selectors[selector];
    uint64_t hash;

    if (selector_is_empty(sel))
        return sel->only;
    if (sel->nplan == 0 || !hash_values(sel, s->node.hash + selector, sql, lits, &hash))
        return NULL;
    for (struct hmap_node *n = hmap_first(&c->plans, hash); n; n = hmap_next(n)) {
        struct plan_entry *e = CONTAINER_OF(n, struct plan_entry, node);

        if (e->shape == s && e->selector == selector && same_values(e, sel, sql, lits))
            return e;
    }
    return NULL;
}

struct plan *cache_find_shape(struct cache *c, const struct cache_scope *scope, struct span shape, struct span sql,
                              const struct literals *lits)
{
    struct shape_entry *s = find_shape(c, hash_shape(c, scope, shape), scope, shape, lits->n);
    struct plan_entry *e;

    for (uint32_t i = 0; s && i < s->nselector; i++) {
        e = find_plan(c, s, i, sql, lits);
        if (e) {
            used(c, e);
            return e->plan;
        }
    }
    return NULL;
}

/* -- keeping ------------------------------------------------------------------------------------------------------- */

static struct shape_entry *shape_add(struct cache *c, uint64_t hash, const struct cache_scope *scope, struct span shape,
                                     uint32_t nliteral)
{
    size_t types_len = scope->ntype * sizeof(*scope->types);
    struct shape_entry *s = mem_zalloc(sizeof(*s) + types_len + shape.len);
    char *bytes;

    s->epoch = scope->epoch;
    s->env_id = scope->env_id;
    s->db_id = scope->db_id;
    s->ntype = scope->ntype;
    s->nliteral = nliteral;
    s->types = (uint32_t *)(void *)(s + 1);
    bytes = (char *)(s + 1) + types_len;
    if (types_len)
        memcpy(s->types, scope->types, types_len);
    if (shape.len)
        memcpy(bytes, shape.ptr, shape.len);
    s->shape = span_make(bytes, shape.len);
    hmap_insert(&c->shapes, &s->node, hash);
    return s;
}

static bool same_selector(const struct selector *s, const struct plan_result *r)
{
    return s->nfixed == r->nfixed && s->npair == r->npair &&
           (r->nfixed == 0 || memcmp(s->fixed, r->fixed, r->nfixed * sizeof(*r->fixed)) == 0) &&
           (r->npair == 0 || memcmp(s->pairs, r->pairs, r->npair * sizeof(*r->pairs)) == 0);
}

/* Index of the selector for this result, added if need be; MAX_SELECTORS: no room. */
static uint32_t selector_for(struct shape_entry *s, const struct plan_result *r)
{
    uint32_t free_slot = s->nselector;
    struct selector *sel;

    for (uint32_t i = 0; i < s->nselector; i++) {
        if (same_selector(&s->selectors[i], r))
            return i;
        if (s->selectors[i].nplan == 0)
            free_slot = i;
    }
    if (free_slot == MAX_SELECTORS)
        return MAX_SELECTORS;
    sel = &s->selectors[free_slot];
    free(sel->fixed);
    *sel = (struct selector){ .nfixed = r->nfixed, .npair = r->npair };
    sel->fixed = mem_alloc((r->nfixed + 2 * (size_t)r->npair + 1) * sizeof(*sel->fixed));
    sel->pairs = (uint32_t(*)[2])(sel->fixed + r->nfixed);
    if (r->nfixed)
        memcpy(sel->fixed, r->fixed, r->nfixed * sizeof(*r->fixed));
    if (r->npair)
        memcpy(sel->pairs, r->pairs, r->npair * sizeof(*r->pairs));
    if (free_slot == s->nselector)
        s->nselector++;
    return free_slot;
}

static size_t fixed_len(const struct plan_result *r, const struct literals *lits)
{
    size_t len = 0;

    for (uint32_t i = 0; i < r->nfixed; i++)
        len += lits->v[r->fixed[i]].len;
    return len;
}

/* One block: the entry, then numbers, then bytes. */
static struct plan_entry *plan_entry_new(const struct plan_result *r, struct span sql, const struct literals *lits,
                                         bool exact, size_t *size)
{
    size_t values_len = fixed_len(r, lits), text_len = exact ? sql.len : 0, nliteral = exact ? lits->n : 0;
    struct plan_entry *e;
    char *bytes;

    *size = sizeof(*e) + nliteral * sizeof(*e->literals) + r->nfixed * sizeof(*e->value_lens) + r->npair + values_len +
            text_len;
    e = mem_zalloc(*size);
    e->literals = (struct literal *)(void *)(e + 1);
    e->value_lens = (uint32_t *)(void *)(e->literals + nliteral);
    e->pairs_equal = (uint8_t *)(e->value_lens + r->nfixed);
    bytes = (char *)e->pairs_equal + r->npair;
    if (nliteral)
        memcpy(e->literals, lits->v, nliteral * sizeof(*lits->v));
    for (uint32_t i = 0; i < r->npair; i++)
        e->pairs_equal[i] = compare_pair(literal_text(sql, lits, r->pairs[i][0]),
                                         literal_text(sql, lits, r->pairs[i][1])) == PAIR_EQUAL;
    e->values = span_make(bytes, values_len);
    for (uint32_t i = 0; i < r->nfixed; i++) {
        e->value_lens[i] = lits->v[r->fixed[i]].len;
        memcpy(bytes, sql.ptr + lits->v[r->fixed[i]].off, e->value_lens[i]);
        bytes += e->value_lens[i];
    }
    if (text_len)
        memcpy(bytes, sql.ptr, text_len);
    e->text = span_make(bytes, text_len);
    return e;
}

/* Texts that differ only in their middle share a hash: a few of them are found by text, the others by shape. */
static bool text_add(struct cache *c, struct plan_entry *e, uint64_t hash)
{
    uint32_t same = 0;

    for (struct hmap_node *n = hmap_first(&c->texts, hash); n; n = hmap_next(n))
        same++;
    if (same >= MAX_SAME_SAMPLE)
        return false;
    hmap_insert(&c->texts, &e->text_node, hash);
    return true;
}

static bool fits(const struct cache *c, struct span shape, struct span sql, const struct literals *lits,
                 const struct plan_result *r)
{
    size_t limit = c->max_bytes / 8;

    if (shape.len > limit || sql.len > limit || plan_bytes(r->plan) > limit ||
        lits->n > limit / sizeof(struct literal) || fixed_len(r, lits) > limit)
        return false;
    for (uint32_t i = 0; i < r->npair; i++) {
        if (compare_pair(literal_text(sql, lits, r->pairs[i][0]), literal_text(sql, lits, r->pairs[i][1])) ==
            PAIR_UNSURE)
            return false;
    }
    return true;
}

void cache_put(struct cache *c, const struct cache_scope *scope, struct span shape, struct span sql,
               const struct literals *lits, bool exact, const struct plan_result *r)
{
    uint64_t hash = hash_shape(c, scope, shape), values_hash;
    struct shape_entry *s;
    struct plan_entry *e;
    struct selector *sel;
    uint32_t selector;
    size_t size;

    if (!r->cacheable || !fits(c, shape, sql, lits, r))
        return;
    s = find_shape(c, hash, scope, shape, lits->n);
    if (!s)
        s = shape_add(c, hash, scope, shape, lits->n);
    selector = selector_for(s, r);
    if (selector == MAX_SELECTORS)
        return;
    sel = &s->selectors[selector];
    e = plan_entry_new(r, sql, lits, exact, &size);
    e->shape = s;
    e->selector = selector;
    e->plan = plan_ref(r->plan);
    e->bytes = size + plan_bytes(r->plan) + sizeof(*s) + shape.len + scope->ntype * sizeof(*scope->types);
    if (selector_is_empty(sel)) {
        BUG_ON(sel->only);
        sel->only = e;
    } else {
        BUG_ON(!hash_values(sel, s->node.hash + selector, sql, lits, &values_hash));
        hmap_insert(&c->plans, &e->node, values_hash);
    }
    e->exact = exact && text_add(c, e, hash_text(c, scope, sql));
    sel->nplan++;
    list_push_front(&c->lru, &e->lru);
    c->stats.entries++;
    c->stats.bytes += e->bytes;
    while (c->stats.entries > c->max_entries || c->stats.bytes > c->max_bytes) {
        plan_drop(c, LIST_ENTRY(c->lru.prev, struct plan_entry, lru));
        c->stats.evicted++;
    }
}

void cache_get_stats(const struct cache *c, struct cache_stats *out)
{
    *out = c->stats;
}
