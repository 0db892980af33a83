#include "planner/ddl_int.h"

#include <pg_query.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum distribution ddl_dist(const struct ddl *d, const struct cat_rel *rel)
{
    const struct cat_rel *owner = rel->kind == 'S' && rel->owner ? catalog_rel_by_oid(d->in->cat, rel->owner) : NULL;
    return owner ? owner->dist : rel->dist;
}

const char *ddl_dist_text(enum distribution dist)
{
    return dist == DIST_REFERENCE ? "a reference table" : distribution_name(dist);
}

static bool find(struct ddl *d, const char *catalog, const char *schema, const char *name, const struct cat_rel **rel)
{
    *rel = NULL;
    if (*catalog)
        return ddl_refuse(d, PB0204, "Leave the database's name out.",
                          "a table's name cannot begin with that of a database");
    if (strcmp(schema, "pgbraid") == 0)
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    if (strncmp(schema, "pg_temp", 7) == 0)
        return ddl_refuse_temporary(d);
    *rel = catalog_resolve_rel(d->in->cat, d->in->env, schema, name);
    return true;
}

bool ddl_rel(struct ddl *d, const PgQuery__RangeVar *rv, const struct cat_rel **rel)
{
    return find(d, tree_str(rv->catalogname), tree_str(rv->schemaname), tree_str(rv->relname), rel);
}

bool ddl_rel_of_names(struct ddl *d, const PgQuery__Node *list, size_t skip, const struct cat_rel **rel)
{
    *rel = NULL;
    if (!list || list->node_case != PG_QUERY__NODE__NODE_LIST || list->list->n_items <= skip)
        return true;
    size_t n = list->list->n_items - skip;
    PgQuery__Node *const *names = list->list->items;
    return find(d, n > 2 ? tree_string(names[n - 3]) : "", n > 1 ? tree_string(names[n - 2]) : "",
                tree_string(names[n - 1]), rel);
}

/* --- where --- */

bool ddl_home(struct ddl *d, const char *why)
{
    d->plan->scope = SCOPE_HOME;
    d->plan->combine = COMBINE_NONE;
    plan_reason(d->plan, "home shard: %s", why);
    return true;
}

bool ddl_everywhere(struct ddl *d, const char *why)
{
    d->plan->scope = SCOPE_ALL;
    d->plan->combine = COMBINE_SAME;
    d->plan->sequential = true; /* the home shard's locks decide between two changes */
    plan_reason(d->plan, "all shards: %s", why);
    return true;
}

bool ddl_at(struct ddl *d, const struct cat_rel *rel)
{
    if (!rel)
        return ddl_home(d, "nothing of that name is known");
    switch (ddl_dist(d, rel)) {
    case DIST_UNSHARDED:
        return ddl_home(d, arena_printf(d->a, "\"%s\" is there only", rel->name));
    case DIST_SHARDED:
        return ddl_everywhere(d, arena_printf(d->a, "\"%s\" is sharded", rel->name));
    case DIST_REFERENCE:
        return ddl_everywhere(d, arena_printf(d->a, "\"%s\" is a reference table", rel->name));
    }
    return false;
}

bool ddl_refuse(struct ddl *d, enum err_id id, const char *hint, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(d->e, id, "%s", text);
    return hint ? err_hint(d->e, "%s", hint) : false;
}

bool ddl_refuse_temporary(struct ddl *d)
{
    (void)ddl_refuse(d, PB0313, "Use an ordinary or unlogged table, or WITH.",
                     "temporary tables and views are not supported");
    return err_detail(d->e, "They belong to one server connection, and statements of a session use many.");
}

/* --- text --- */

void ddl_after(struct ddl *d, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    BUG_ON(n < 0 || (size_t)n >= sizeof text); /* four quoted names of 63 bytes at most */
    struct arena *a = plan_arena(d->plan);
    d->out->after = d->out->after ? arena_printf(a, "%s;\n%s", d->out->after, text) : arena_strdup(a, text);
}

const char *ddl_literal(struct ddl *d, const char *text)
{
    struct strbuf sb = STRBUF_INIT;
    strbuf_put_literal(&sb, span_str(text));
    const char *quoted = arena_strdup(d->a, strbuf_str(&sb));
    strbuf_fini(&sb);
    return quoted;
}

bool ddl_deparse(struct ddl *d, PgQuery__Node *stmt, const char **text)
{
    PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT, *raws[] = { &raw };
    PgQuery__ParseResult tree = PG_QUERY__PARSE_RESULT__INIT;
    raw.stmt = stmt;
    tree.version = d->in->tree->version;
    tree.n_stmts = 1;
    tree.stmts = raws;
    PgQueryProtobuf packed = { .len = pg_query__parse_result__get_packed_size(&tree) };
    packed.data = arena_alloc(d->a, packed.len);
    (void)pg_query__parse_result__pack(&tree, (uint8_t *)packed.data);
    PgQueryDeparseResult r = pg_query_deparse_protobuf(packed);
    bool ok = !r.error;
    if (ok)
        *text = arena_strdup(plan_arena(d->plan), r.query);
    else
        (void)ddl_refuse(d, PB0204, "Name them in statements of their own.",
                         "objects of the home shard and of all shards cannot be named together in this statement");
    pg_query_free_deparse_result(r);
    return ok;
}

/* --- lists --- */

static bool rel_of_item(struct ddl *d, const PgQuery__Node *item, const struct cat_rel **rel)
{
    *rel = NULL;
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR)
        return ddl_rel(d, item->range_var, rel);
    if (item->node_case == PG_QUERY__NODE__NODE_VACUUM_RELATION)
        return !item->vacuum_relation->relation || ddl_rel(d, item->vacuum_relation->relation, rel);
    return ddl_rel_of_names(d, item, 0, rel);
}

bool ddl_list(struct ddl *d, size_t n, PgQuery__Node *const *items, struct ddl_list *out)
{
    const struct cat_rel *first = NULL, *first_all = NULL;
    *out = (struct ddl_list){ .items = ARENA_ARRAY(d->a, PgQuery__Node *, n) };
    for (size_t i = 0; i < n; i++) {
        const struct cat_rel *rel;
        if (!rel_of_item(d, items[i], &rel))
            return false;
        first = first ? first : rel;
        if (rel && ddl_dist(d, rel) != DIST_UNSHARDED) {
            first_all = first_all ? first_all : rel;
            out->items[out->n++] = items[i];
        }
    }
    out->mixed = out->n > 0 && out->n < n;
    return ddl_at(d, first_all ? first_all : first);
}
