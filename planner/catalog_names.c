/*
 * Names: what a relation, function or type name means to a session. PostgreSQL's rules (namespace.c): the search path
 * holds the named schemas that exist and that the role may use, "$user" being the role's own; pg_catalog is searched
 * first unless the path names it.
 */
#include "base/hash.h"
#include "planner/catalog_impl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

uint64_t catalog_hash(const char *schema, const char *name)
{
    return hash_seeded(name, strlen(name), schema ? hash_seeded(schema, strlen(schema), 0) : 0);
}

struct catalog *catalog_ref(struct catalog *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void catalog_unref(struct catalog *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    hmap_fini(&c->schemas);
    hmap_fini(&c->by_name);
    hmap_fini(&c->functions);
    hmap_fini(&c->types);
    arena_fini(&c->arena);
    free(c);
}

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->epoch;
}

bool catalog_all_home(const struct catalog *c)
{
    return !c->distributed;
}

void catalog_each_table(const struct catalog *c, void (*fn)(const struct catalog_table *t, void *arg), void *arg)
{
    for (uint32_t i = 0; i < c->nrel; i++) {
        const struct cat_rel *r = &c->rels[i];
        if (r->system || (r->kind != 'r' && r->kind != 'p'))
            continue;
        struct catalog_table t = {
            .schema = r->schema,
            .name = r->name,
            .dist = r->dist,
            .identity_vindex = r->identity_vindex,
            .nkey = r->nkey,
            .has_identity = r->has_identity,
        };
        for (uint32_t k = 0; k < r->nkey; k++) {
            t.key_columns[k] = r->columns[r->key[k]].name;
            t.key_types[k] = r->key_type[k];
            t.key_typmods[k] = r->columns[r->key[k]].typmod;
        }
        fn(&t, arg);
    }
}

struct cat_schema *catalog_schema_mutable(struct catalog *c, const char *name)
{
    for (struct hmap_node *n = hmap_first(&c->schemas, catalog_hash(NULL, name)); n; n = hmap_next(n)) {
        struct cat_schema *s = CONTAINER_OF(n, struct cat_schema, node);
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

const struct cat_schema *catalog_schema(const struct catalog *c, const char *name)
{
    for (struct hmap_node *n = hmap_first(&c->schemas, catalog_hash(NULL, name)); n; n = hmap_next(n)) {
        const struct cat_schema *s = CONTAINER_OF(n, struct cat_schema, node);
        if (strcmp(s->name, name) == 0)
            return s;
    }
    return NULL;
}

static const struct cat_rel *rel_in(const struct catalog *c, const char *schema, const char *name)
{
    for (struct hmap_node *n = hmap_first(&c->by_name, catalog_hash(schema, name)); n; n = hmap_next(n)) {
        const struct cat_rel *r = CONTAINER_OF(n, struct cat_rel, node);
        if (strcmp(r->name, name) == 0 && strcmp(r->schema, schema) == 0)
            return r;
    }
    return NULL;
}

const struct cat_rel *catalog_rel_by_oid(const struct catalog *c, uint32_t oid)
{
    uint32_t lo = 0, hi = c->nrel;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (c->rels[mid].oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->nrel && c->rels[lo].oid == oid ? &c->rels[lo] : NULL;
}

/* Steps through search_path, a list of identifiers as SplitIdentifierString() reads it. False at the end. */
static bool path_next(const char **at, char name[64])
{
    const char *p = *at;
    while (*p == ',' || isspace((unsigned char)*p))
        p++;
    if (!*p)
        return false;
    size_t n = 0;
    if (*p == '"') {
        for (p++; *p && !(p[0] == '"' && p[1] != '"'); p++) {
            if (*p == '"')
                p++;
            if (n < 63)
                name[n++] = *p;
        }
        if (*p)
            p++;
    } else {
        for (; *p && *p != ',' && !isspace((unsigned char)*p); p++) {
            char ch = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
            if (n < 63)
                name[n++] = ch;
        }
    }
    name[n] = 0;
    *at = p;
    return true;
}

/* The schema a path entry stands for if it exists and the role may use it. */
static const struct cat_schema *path_schema(const struct catalog *c, const struct plan_env *env, const char *entry)
{
    const struct cat_schema *s = catalog_schema(c, strcmp(entry, "$user") == 0 ? env->role : entry);
    if (!s || s->public_usage)
        return s;
    for (uint32_t i = 0; i < s->nrole; i++)
        if (strcmp(s->roles[i], env->role) == 0)
            return s;
    return NULL;
}

bool catalog_has_views(const struct catalog *c)
{
    return c->has_views;
}

bool env_catalog_first(const struct plan_env *env)
{
    char name[64];
    const char *at = env->search_path;
    for (uint32_t i = 0; path_next(&at, name); i++)
        if (strcmp(name, "pg_catalog") == 0)
            return i == 0;
    return true;
}

const struct cat_rel *catalog_resolve_rel(const struct catalog *c, const struct plan_env *env,
                                          const char *schema_or_null, const char *name)
{
    if (schema_or_null && *schema_or_null)
        return rel_in(c, schema_or_null, name);
    char entry[64];
    bool named = false;
    for (const char *at = env->search_path; path_next(&at, entry);)
        named |= strcmp(entry, "pg_catalog") == 0;
    const struct cat_rel *r = named ? NULL : rel_in(c, "pg_catalog", name);
    for (const char *at = env->search_path; !r && path_next(&at, entry);) {
        const struct cat_schema *s = path_schema(c, env, entry);
        r = s ? rel_in(c, s->name, name) : NULL;
    }
    return r;
}

const char *catalog_creation_schema(const struct catalog *c, const struct plan_env *env)
{
    char entry[64];
    for (const char *at = env->search_path; path_next(&at, entry);) {
        const struct cat_schema *s = path_schema(c, env, entry);
        if (s)
            return s->name;
    }
    return NULL;
}

const struct cat_column *catalog_column(const struct cat_rel *r, const char *name)
{
    for (uint32_t i = 0; i < r->ncolumn; i++)
        if (strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

const struct cat_func *catalog_user_function(const struct catalog *c, const char *schema_or_null, const char *name)
{
    const struct cat_func *found = NULL;
    for (struct hmap_node *n = hmap_first(&c->functions, catalog_hash(NULL, name)); n; n = hmap_next(n)) {
        const struct cat_func *f = CONTAINER_OF(n, struct cat_func, node);
        if (!f->builtin && strcmp(f->name, name) == 0 &&
            (!schema_or_null || !*schema_or_null || strcmp(f->schema, schema_or_null) == 0) && (!found || !f->harmless))
            found = f;
    }
    return found;
}

const struct cat_func *catalog_builtin_function(const struct catalog *c, const char *name)
{
    for (struct hmap_node *n = hmap_first(&c->functions, catalog_hash(NULL, name)); n; n = hmap_next(n)) {
        const struct cat_func *f = CONTAINER_OF(n, struct cat_func, node);
        if (f->builtin && strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

uint32_t catalog_operators(const struct catalog *c, const struct cat_operator **out)
{
    *out = c->operators;
    return c->noperator;
}

uint32_t catalog_casts(const struct catalog *c, const struct cat_cast **out)
{
    *out = c->casts;
    return c->ncast;
}

const struct cat_type *catalog_user_type(const struct catalog *c, const char *schema_or_null, const char *name)
{
    for (struct hmap_node *n = hmap_first(&c->types, catalog_hash(NULL, name)); n; n = hmap_next(n)) {
        const struct cat_type *t = CONTAINER_OF(n, struct cat_type, node);
        if (strcmp(t->name, name) == 0 &&
            (!schema_or_null || !*schema_or_null || strcmp(t->schema, schema_or_null) == 0))
            return t;
    }
    return NULL;
}

void catalog_set_differences(struct catalog *c, const struct catalog_difference *v, uint32_t n)
{
    struct catalog_difference *all = ARENA_ARRAY(&c->arena, struct catalog_difference, n);
    for (uint32_t i = 0; i < n; i++) {
        all[i] = (struct catalog_difference){ arena_strdup(&c->arena, v[i].schema), arena_strdup(&c->arena, v[i].table),
                                              arena_strdup(&c->arena, v[i].shard), arena_strdup(&c->arena, v[i].what) };
        for (uint32_t k = 0; k < c->nrel; k++)
            if (strcmp(c->rels[k].name, v[i].table) == 0 && strcmp(c->rels[k].schema, v[i].schema) == 0)
                c->rels[k].difference = &all[i];
    }
    c->differences = all;
    c->ndifference = n;
}

uint32_t catalog_differences(const struct catalog *c, const struct catalog_difference **v)
{
    *v = c->differences;
    return c->ndifference;
}
