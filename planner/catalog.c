/*
 * Loading the catalog: rows of sql/catalog.sql become structs, then finish() links them.
 *
 *   schema    name, everybody has USAGE
 *   usage     schema, role
 *   table     oid, schema, name, relkind, row security, dist (NULL, sharded, reference, unknown), vindex, parent,
 * identity key       table oid, ordinal, column name column    table oid, attnum, name, type oid, typmod, not null,
 * nondeterministic collation, how it is filled, primary key hook      table oid, kind, name, function, harmless,
 * statement level child     oid, oid of a partition or inheritance child view      view oid, oid of a relation it reads
 *   definition  view oid, text, barrier, owner may read, secured, public reads
 *   reader    view oid, role
 *   function  schema, name, built in, harmless, aggregate, window, set-returning, volatility
 *   operator  schema, name, left type, right type, function, harmless
 *   cast      source type, target type, implicit, harmless, function
 *   type      schema, name, function
 *
 * Booleans are "true" and "false". Rows come in any order, except that a view may read views: that is closed over in
 * finish(). A partition or inheritance child is distributed as its topmost distributed ancestor is, an index as its
 * table.
 */
#include "planner/catalog_int.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "planner/catalog_impl.h"

#include <stdlib.h>
#include <string.h>

extern const char sql_bootstrap[];
extern const char sql_catalog[];

enum { CATALOG_COLUMNS = 12 };

const char *catalog_bootstrap_sql(void)
{
    return sql_bootstrap;
}

const char *catalog_sql(void)
{
    return sql_catalog;
}

/* What a row says about a relation before the relations are linked. */
struct raw_rel {
    struct cat_rel rel;
    uint32_t parent;
    bool unknown; /* carries pgbraid_placement but no row in pgbraid.tables */
    const char *key[CAT_MAX_KEY];
    const char *pk; /* column numbers of the primary key; may be NULL */
};
struct raw_column {
    uint32_t rel;
    struct cat_column column;
};
struct raw_hook {
    uint32_t rel;
    struct cat_hook hook;
};
struct raw_key {
    uint32_t rel, ord;
    const char *name;
};
struct raw_pair {
    uint32_t a, b;
};
struct raw_view {
    uint32_t rel;
    struct cat_view view;
};
struct raw_reader {
    uint32_t rel;
    const char *role;
};
struct raw_usage {
    const char *schema, *role;
};

/* A growing array; freed with the builder. */
#define VEC(type)                                                                                                      \
    struct {                                                                                                           \
        type *v;                                                                                                       \
        size_t n, cap;                                                                                                 \
    }
#define VEC_PUSH(vec)                                                                                                  \
    (((vec)->n == (vec)->cap ? (void)((vec)->cap = (vec)->cap ? (vec)->cap * 2 : 64,                                   \
                                      (vec)->v = mem_realloc((vec)->v, (vec)->cap * sizeof *(vec)->v))                 \
                             : (void)0),                                                                               \
     memset(&(vec)->v[(vec)->n], 0, sizeof *(vec)->v), &(vec)->v[(vec)->n++])

struct catalog_builder {
    struct catalog *cat; /* owned until finish */
    VEC(struct raw_rel) rels;
    VEC(struct raw_column) columns;
    VEC(struct raw_hook) hooks;
    VEC(struct raw_key) keys;
    VEC(struct raw_pair) views, children;
    VEC(struct raw_view) definitions;
    VEC(struct raw_reader) readers;
    VEC(struct raw_usage) usages;
    VEC(struct cat_operator) operators;
    VEC(struct cat_cast) casts;
};

struct catalog_builder *catalog_builder_new(uint64_t epoch)
{
    struct catalog_builder *b = mem_zalloc(sizeof *b);
    b->cat = mem_zalloc(sizeof *b->cat);
    atomic_init(&b->cat->refs, 1);
    b->cat->epoch = epoch;
    arena_init(&b->cat->arena, 64 * 1024);
    return b;
}

void catalog_builder_free(struct catalog_builder *b)
{
    if (!b)
        return;
    catalog_unref(b->cat);
    free(b->rels.v);
    free(b->columns.v);
    free(b->hooks.v);
    free(b->keys.v);
    free(b->views.v);
    free(b->definitions.v);
    free(b->readers.v);
    free(b->children.v);
    free(b->usages.v);
    free(b->operators.v);
    free(b->casts.v);
    free(b);
}

/* Reads fields one by one; a field that is not what it must be sets bad. */
struct row {
    const struct span *cols;
    struct arena *a;
    bool bad;
};

static const char *row_text_or_null(struct row *r, uint32_t i)
{
    return r->cols[i].ptr ? arena_spandup(r->a, r->cols[i]) : NULL;
}

static const char *row_text(struct row *r, uint32_t i)
{
    const char *text = row_text_or_null(r, i);
    if (!text)
        r->bad = true;
    return text ? text : "";
}

static bool row_bool(struct row *r, uint32_t i)
{
    if (span_eq(r->cols[i], SPAN("true")))
        return true;
    if (!span_eq(r->cols[i], SPAN("false")))
        r->bad = true;
    return false;
}

static int64_t row_int(struct row *r, uint32_t i, int64_t min, int64_t max)
{
    char buf[24];
    if (!r->cols[i].ptr || r->cols[i].len == 0 || r->cols[i].len >= sizeof buf) {
        r->bad = true;
        return min;
    }
    memcpy(buf, r->cols[i].ptr, r->cols[i].len);
    buf[r->cols[i].len] = 0;
    char *end;
    long long v = strtoll(buf, &end, 10);
    if (*end || v < min || v > max) {
        r->bad = true;
        return min;
    }
    return v;
}

static uint32_t row_oid(struct row *r, uint32_t i)
{
    return (uint32_t)row_int(r, i, 0, UINT32_MAX);
}

/* Index of the field's text in a NULL-terminated list. */
static int row_choice(struct row *r, uint32_t i, const char *const *choices)
{
    for (int k = 0; choices[k]; k++)
        if (r->cols[i].ptr && span_eq_str(r->cols[i], choices[k]))
            return k;
    r->bad = true;
    return 0;
}

static void row_schema(struct catalog_builder *b, struct row *r)
{
    struct cat_schema *s = ARENA_NEW(&b->cat->arena, struct cat_schema);
    s->name = row_text(r, 1);
    s->system = strcmp(s->name, "pg_catalog") == 0 || strcmp(s->name, "information_schema") == 0;
    s->public_usage = row_bool(r, 2);
    hmap_insert(&b->cat->schemas, &s->node, catalog_hash(NULL, s->name));
}

static void row_usage(struct catalog_builder *b, struct row *r)
{
    struct raw_usage *u = VEC_PUSH(&b->usages);
    u->schema = row_text(r, 1);
    u->role = row_text(r, 2);
}

static void row_table(struct catalog_builder *b, struct row *r)
{
    static const char *const dists[] = { "sharded", "reference", "unknown", NULL };
    static const char *const vindexes[] = { "hash", "identity", NULL };
    struct raw_rel *raw = VEC_PUSH(&b->rels);
    struct cat_rel *rel = &raw->rel;
    rel->oid = row_oid(r, 1);
    rel->schema = row_text(r, 2);
    rel->name = row_text(r, 3);
    const char *kind = row_text(r, 4);
    rel->kind = kind[0];
    rel->system = strcmp(rel->schema, "pg_catalog") == 0 || strcmp(rel->schema, "information_schema") == 0 ||
                  strcmp(rel->schema, "pgbraid") == 0;
    rel->row_security = row_bool(r, 5);
    if (r->cols[6].ptr) {
        int dist = row_choice(r, 6, dists);
        raw->unknown = dist == 2;
        rel->dist = dist == 1 ? DIST_REFERENCE : DIST_SHARDED;
    }
    if (r->cols[7].ptr)
        rel->identity_vindex = row_choice(r, 7, vindexes) == 1;
    if (r->cols[8].ptr)
        raw->parent = row_oid(r, 8);
    rel->has_identity = row_bool(r, 9);
    if (rel->kind == 'S')
        rel->owner = r->cols[10].ptr ? row_oid(r, 10) : 0;
    else
        raw->pk = row_text_or_null(r, 10);
}

static void row_key(struct catalog_builder *b, struct row *r)
{
    struct raw_key *k = VEC_PUSH(&b->keys);
    k->rel = row_oid(r, 1);
    k->ord = (uint32_t)row_int(r, 2, 1, CAT_MAX_KEY);
    k->name = row_text(r, 3);
}

static void row_column(struct catalog_builder *b, struct row *r)
{
    static const char *const how[] = {
        [CAT_DEFAULT_NULL] = "null",           [CAT_DEFAULT_FIXED] = "fixed",
        [CAT_DEFAULT_MOMENT] = "moment",       [CAT_DEFAULT_VOLATILE] = "volatile",
        [CAT_DEFAULT_SEQUENCE] = "sequence",   [CAT_DEFAULT_OPAQUE] = "opaque",
        [CAT_DEFAULT_GENERATED] = "generated", NULL,
    };
    static const char *const orders[] = { "default", "default by bytes", "other", "other by bytes", NULL };
    struct raw_column *raw = VEC_PUSH(&b->columns);
    raw->rel = row_oid(r, 1);
    raw->column.attnum = (int16_t)row_int(r, 2, 1, INT16_MAX);
    raw->column.name = row_text(r, 3);
    raw->column.type = row_oid(r, 4);
    raw->column.typmod = (int32_t)row_int(r, 5, -1, INT32_MAX);
    raw->column.notnull = row_bool(r, 6);
    raw->column.primary = row_bool(r, 9);
    raw->column.nondeterministic = row_bool(r, 7);
    raw->column.by_bytes = row_choice(r, 10, orders) % 2 == 1;
    raw->column.collated = row_choice(r, 10, orders) >= 2;
    raw->column.def = (enum cat_default)row_choice(r, 8, how);
    raw->column.default_text = row_text_or_null(r, 11);
    raw->column.key = -1;
}

static void row_hook(struct catalog_builder *b, struct row *r)
{
    static const char *const kinds[] = {
        [CAT_HOOK_TRIGGER] = "trigger",
        [CAT_HOOK_POLICY] = "policy",
        [CAT_HOOK_RULE] = "rule",
        [CAT_HOOK_EXPRESSION] = "expression",
        NULL,
    };
    struct raw_hook *raw = VEC_PUSH(&b->hooks);
    raw->rel = row_oid(r, 1);
    raw->hook.kind = (enum cat_hook_kind)row_choice(r, 2, kinds);
    raw->hook.name = row_text(r, 3);
    raw->hook.function = row_text_or_null(r, 4);
    raw->hook.harmless = row_bool(r, 5);
    raw->hook.statement_level = row_bool(r, 6);
}

static void row_view(struct catalog_builder *b, struct row *r)
{
    struct raw_pair *p = VEC_PUSH(&b->views);
    p->a = row_oid(r, 1);
    p->b = row_oid(r, 2);
}

static void row_definition(struct catalog_builder *b, struct row *r)
{
    struct raw_view *v = VEC_PUSH(&b->definitions);
    v->rel = row_oid(r, 1);
    v->view.text = row_text(r, 2);
    v->view.barrier = row_bool(r, 3);
    v->view.owner_reads = row_bool(r, 4);
    v->view.secured = row_bool(r, 5);
    v->view.public_reader = row_bool(r, 6);
}

static void row_reader(struct catalog_builder *b, struct row *r)
{
    struct raw_reader *v = VEC_PUSH(&b->readers);
    v->rel = row_oid(r, 1);
    v->role = row_text(r, 2);
}

static void row_child(struct catalog_builder *b, struct row *r)
{
    struct raw_pair *p = VEC_PUSH(&b->children);
    p->a = row_oid(r, 1);
    p->b = row_oid(r, 2);
}

static void row_function(struct catalog_builder *b, struct row *r)
{
    static const char *const volatilities[] = { "i", "s", "v", NULL };
    struct cat_func *f = ARENA_NEW(&b->cat->arena, struct cat_func);
    f->schema = row_text(r, 1);
    f->name = row_text(r, 2);
    f->builtin = row_bool(r, 3);
    f->harmless = row_bool(r, 4);
    f->aggregate = row_bool(r, 5);
    f->window = row_bool(r, 6);
    f->retset = row_bool(r, 7);
    f->volatility = (enum cat_volatility)row_choice(r, 8, volatilities);
    hmap_insert(&b->cat->functions, &f->node, catalog_hash(NULL, f->name));
}

static void row_operator(struct catalog_builder *b, struct row *r)
{
    struct cat_operator *o = VEC_PUSH(&b->operators);
    o->schema = row_text(r, 1);
    o->name = row_text(r, 2);
    o->left = row_oid(r, 3);
    o->right = row_oid(r, 4);
    o->function = row_text(r, 5);
    o->harmless = row_bool(r, 6);
}

static void row_cast(struct catalog_builder *b, struct row *r)
{
    struct cat_cast *c = VEC_PUSH(&b->casts);
    c->source = row_oid(r, 1);
    c->target = row_oid(r, 2);
    c->implicit = row_bool(r, 3);
    c->harmless = row_bool(r, 4);
    c->function = row_text_or_null(r, 5);
}

static void row_type(struct catalog_builder *b, struct row *r)
{
    struct cat_type *t = ARENA_NEW(&b->cat->arena, struct cat_type);
    t->schema = row_text(r, 1);
    t->name = row_text(r, 2);
    t->function = row_text_or_null(r, 3);
    hmap_insert(&b->cat->types, &t->node, catalog_hash(NULL, t->name));
}

bool catalog_builder_row(struct catalog_builder *b, uint32_t ncol, const struct span *cols, struct err *e)
{
    static const struct {
        const char *kind;
        void (*read)(struct catalog_builder *b, struct row *r);
    } kinds[] = {
        { "schema", row_schema },     { "usage", row_usage },
        { "table", row_table },       { "key", row_key },
        { "column", row_column },     { "hook", row_hook },
        { "view", row_view },         { "definition", row_definition },
        { "reader", row_reader },     { "child", row_child },
        { "function", row_function }, { "operator", row_operator },
        { "cast", row_cast },         { "type", row_type },
    };
    if (ncol == CATALOG_COLUMNS && cols[0].ptr) {
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (!span_eq_str(cols[0], kinds[i].kind))
                continue;
            struct row r = { .cols = cols, .a = &b->cat->arena };
            kinds[i].read(b, &r);
            if (!r.bad)
                return true;
        }
    }
    err_set(e, PB0310, "the shard's catalog is not as expected");
    return err_detail(e, "A row of kind \"%.*s\" with %u columns could not be read.",
                      ncol > 0 && cols[0].ptr ? (int)cols[0].len : 0, ncol > 0 && cols[0].ptr ? cols[0].ptr : "", ncol);
}

static int by_rel_oid(const void *a, const void *b)
{
    const struct raw_rel *x = a, *y = b;
    return (x->rel.oid > y->rel.oid) - (x->rel.oid < y->rel.oid);
}

static int by_column(const void *a, const void *b)
{
    const struct raw_column *x = a, *y = b;
    if (x->rel != y->rel)
        return x->rel < y->rel ? -1 : 1;
    return (x->column.attnum > y->column.attnum) - (x->column.attnum < y->column.attnum);
}

static int by_hook(const void *a, const void *b)
{
    const struct raw_hook *x = a, *y = b;
    return (x->rel > y->rel) - (x->rel < y->rel);
}

static struct raw_rel *raw_by_oid(struct catalog_builder *b, uint32_t oid)
{
    const struct raw_rel key = { .rel.oid = oid };
    return b->rels.n ? bsearch(&key, b->rels.v, b->rels.n, sizeof *b->rels.v, by_rel_oid) : NULL;
}

static void link_usages(struct catalog_builder *b)
{
    struct arena *a = &b->cat->arena;
    for (size_t i = 0; i < b->usages.n; i++) {
        struct cat_schema *s = catalog_schema_mutable(b->cat, b->usages.v[i].schema);
        if (!s)
            continue;
        if (!s->roles)
            s->roles = ARENA_ARRAY(a, const char *, b->usages.n);
        s->roles[s->nrole++] = b->usages.v[i].role;
    }
}

/* What is done to a table is done to its children's rows: code that runs for each of those counts for all ancestors. */
static void inherit_hooks(struct catalog_builder *b)
{
    for (size_t i = 0; i < b->hooks.n; i++) {
        const struct raw_hook h = b->hooks.v[i];
        bool row_level =
            h.hook.kind == CAT_HOOK_EXPRESSION || (h.hook.kind == CAT_HOOK_TRIGGER && !h.hook.statement_level);
        for (size_t k = 0; row_level && k < b->children.n; k++)
            if (b->children.v[k].b == h.rel)
                *VEC_PUSH(&b->hooks) = (struct raw_hook){ .rel = b->children.v[k].a, .hook = h.hook };
    }
}

static void link_columns(struct catalog_builder *b)
{
    struct arena *a = &b->cat->arena;
    if (b->columns.n)
        qsort(b->columns.v, b->columns.n, sizeof *b->columns.v, by_column);
    for (size_t i = 0; i < b->columns.n;) {
        size_t end = i;
        while (end < b->columns.n && b->columns.v[end].rel == b->columns.v[i].rel)
            end++;
        struct raw_rel *raw = raw_by_oid(b, b->columns.v[i].rel);
        if (raw) {
            raw->rel.columns = ARENA_ARRAY(a, struct cat_column, end - i);
            for (size_t k = i; k < end; k++)
                raw->rel.columns[raw->rel.ncolumn++] = b->columns.v[k].column;
        }
        i = end;
    }
    if (b->hooks.n)
        qsort(b->hooks.v, b->hooks.n, sizeof *b->hooks.v, by_hook);
    for (size_t i = 0; i < b->hooks.n; i++) {
        struct raw_rel *raw = raw_by_oid(b, b->hooks.v[i].rel);
        if (!raw)
            continue;
        if (!raw->rel.hooks)
            raw->rel.hooks = ARENA_ARRAY(a, struct cat_hook, b->hooks.n);
        raw->rel.hooks[raw->rel.nhook++] = b->hooks.v[i].hook;
    }
}

/* Children are stored where their ancestor's rows are. */
static void inherit_distribution(struct catalog_builder *b)
{
    for (size_t i = 0; i < b->rels.n; i++) {
        struct raw_rel *raw = &b->rels.v[i], *top = raw;
        for (int depth = 0; top && top->rel.dist == DIST_UNSHARDED && top->parent && depth < 64; depth++)
            top = raw_by_oid(b, top->parent);
        if (!top || top == raw || top->rel.dist == DIST_UNSHARDED)
            continue;
        raw->rel.dist = top->rel.dist;
        raw->rel.identity_vindex = top->rel.identity_vindex;
        raw->unknown = top->unknown;
        memcpy(raw->key, top->key, sizeof raw->key);
    }
}

/* A statement on a table reads and writes its children too, so they have to be where it is. */
static void find_strays(struct catalog_builder *b)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < b->children.n; i++) {
            struct raw_rel *parent = raw_by_oid(b, b->children.v[i].a), *child = raw_by_oid(b, b->children.v[i].b);
            if (!parent || !child || parent->rel.stray_child)
                continue;
            parent->rel.stray_child = parent->rel.dist != child->rel.dist ? child->rel.name : child->rel.stray_child;
            changed |= parent->rel.stray_child != NULL;
        }
    }
}

static bool link_keys(struct raw_rel *raw, struct err *e)
{
    struct cat_rel *rel = &raw->rel;
    if (rel->dist != DIST_SHARDED || raw->unknown || rel->kind == 'i' || rel->kind == 'I')
        return true; /* a sharded table without key columns: every use of it is refused */
    for (uint32_t k = 0; k < CAT_MAX_KEY && raw->key[k]; k++) {
        uint32_t i = 0;
        while (i < rel->ncolumn && strcmp(rel->columns[i].name, raw->key[k]) != 0)
            i++;
        if (i == rel->ncolumn || !key_type_of_oid(rel->columns[i].type, &rel->key_type[k])) {
            err_set(e, PB0310, "sharding key of table %s.%s cannot be used", rel->schema, rel->name);
            return err_detail(e, "Its column \"%s\" does not exist or has a type that cannot be a sharding key.",
                              raw->key[k]);
        }
        rel->columns[i].key = (int8_t)k;
        rel->key[k] = i;
        rel->nkey++;
    }
    return true;
}

/* The primary key's column numbers, "1,2", become indexes of columns. */
static void link_primary_key(struct catalog_builder *b, struct raw_rel *raw)
{
    struct cat_rel *rel = &raw->rel;
    if (!raw->pk)
        return;
    rel->pk = ARENA_ARRAY(&b->cat->arena, uint32_t, rel->ncolumn ? rel->ncolumn : 1);
    for (const char *at = raw->pk; *at && rel->npk < rel->ncolumn;) {
        char *end;
        long attnum = strtol(at, &end, 10);
        for (uint32_t i = 0; i < rel->ncolumn; i++)
            if (rel->columns[i].attnum == attnum)
                rel->pk[rel->npk++] = i;
        at = *end ? end + 1 : end;
    }
}

/* A view reads what the relations in its body read. */
static void link_views(struct catalog_builder *b)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < b->views.n; i++) {
            struct raw_rel *view = raw_by_oid(b, b->views.v[i].a), *read = raw_by_oid(b, b->views.v[i].b);
            if (!view || !read)
                continue;
            bool sharded = view->rel.view_sharded || read->rel.view_sharded || read->rel.dist == DIST_SHARDED;
            bool reference = view->rel.view_reference || read->rel.view_reference || read->rel.dist == DIST_REFERENCE;
            changed |= sharded != view->rel.view_sharded || reference != view->rel.view_reference;
            view->rel.view_sharded = sharded;
            view->rel.view_reference = reference;
        }
    }
}

static void link_definitions(struct catalog_builder *b)
{
    struct arena *a = &b->cat->arena;
    for (size_t i = 0; i < b->definitions.n; i++) {
        struct raw_rel *raw = raw_by_oid(b, b->definitions.v[i].rel);
        struct cat_view *v = ARENA_NEW(a, struct cat_view);
        if (!raw)
            continue;
        *v = b->definitions.v[i].view;
        v->roles = ARENA_ARRAY(a, const char *, b->readers.n + 1);
        for (size_t k = 0; k < b->readers.n; k++)
            if (b->readers.v[k].rel == raw->rel.oid)
                v->roles[v->nrole++] = b->readers.v[k].role;
        raw->rel.view = v;
        b->cat->has_views = true;
    }
}

static bool link_all(struct catalog_builder *b, struct err *e)
{
    struct catalog *c = b->cat;
    if (b->rels.n)
        qsort(b->rels.v, b->rels.n, sizeof *b->rels.v, by_rel_oid);
    link_usages(b);
    inherit_hooks(b);
    link_columns(b);
    for (size_t i = 0; i < b->keys.n; i++) {
        struct raw_rel *raw = raw_by_oid(b, b->keys.v[i].rel);
        if (raw)
            raw->key[b->keys.v[i].ord - 1] = b->keys.v[i].name;
    }
    inherit_distribution(b);
    find_strays(b);
    for (size_t i = 0; i < b->rels.n; i++)
        if (!link_keys(&b->rels.v[i], e))
            return false;
    for (size_t i = 0; i < b->rels.n; i++)
        link_primary_key(b, &b->rels.v[i]);
    link_views(b);
    link_definitions(b);
    c->rels = ARENA_ARRAY(&c->arena, struct cat_rel, b->rels.n);
    for (size_t i = 0; i < b->rels.n; i++) {
        struct cat_rel *rel = &c->rels[c->nrel++];
        *rel = b->rels.v[i].rel;
        hmap_insert(&c->by_name, &rel->node, catalog_hash(rel->schema, rel->name));
        c->distributed |= rel->dist != DIST_UNSHARDED;
    }
    c->noperator = (uint32_t)b->operators.n;
    c->operators = ARENA_ARRAY(&c->arena, struct cat_operator, b->operators.n);
    if (b->operators.n)
        memcpy(c->operators, b->operators.v, b->operators.n * sizeof *c->operators);
    c->ncast = (uint32_t)b->casts.n;
    c->casts = ARENA_ARRAY(&c->arena, struct cat_cast, b->casts.n);
    if (b->casts.n)
        memcpy(c->casts, b->casts.v, b->casts.n * sizeof *c->casts);
    return true;
}

struct catalog *catalog_builder_finish(struct catalog_builder *b, struct err *e)
{
    struct catalog *cat = NULL;
    if (link_all(b, e)) {
        cat = b->cat;
        b->cat = NULL;
    }
    catalog_builder_free(b);
    return cat;
}
