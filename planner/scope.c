/*
 * Column names, by PostgreSQL's rules (parse_relation.c): the innermost level that has the name decides; two matches in
 * one level are an error of the statement. Where a level has columns that are not known here (functions, set
 * operations), a name that is not among the known ones means nothing, so it can prove nothing.
 */
#include "planner/analyse_int.h"

#include <string.h>

struct scope *scope_new(struct an *an, const struct scope *parent)
{
    struct scope *s = ARENA_NEW(an->a, struct scope);
    s->parent = parent;
    s->ctes = parent ? parent->ctes : NULL;
    return s;
}

struct entry *scope_add(struct an *an, struct scope *s, const char *name)
{
    if (s->nentry == s->entry_cap) {
        s->entry_cap = s->entry_cap ? s->entry_cap * 2 : 8;
        struct entry **v = ARENA_ARRAY(an->a, struct entry *, s->entry_cap);
        if (s->nentry)
            memcpy(v, s->entries, s->nentry * sizeof *v);
        s->entries = v;
    }
    struct entry *e = s->entries[s->nentry++] = ARENA_NEW(an->a, struct entry);
    e->name = name;
    e->schema = "";
    return e;
}

void scope_push_item(struct an *an, struct scope *s, struct collist item)
{
    if (s->nitem == s->item_cap) {
        s->item_cap = s->item_cap ? s->item_cap * 2 : 8;
        struct collist *v = ARENA_ARRAY(an->a, struct collist, s->item_cap);
        if (s->nitem)
            memcpy(v, s->items, s->nitem * sizeof *v);
        s->items = v;
    }
    s->items[s->nitem++] = item;
}

struct outcol *collist_find(const struct collist *l, const char *name, uint32_t *matches)
{
    struct outcol *found = NULL;
    *matches = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (strcmp(l->cols[i].name, name) == 0) {
            found = &l->cols[i];
            (*matches)++;
        }
    }
    return found;
}

static int resolve_unqualified(const struct scope *s, const char *name, bool *found)
{
    for (; s; s = s->parent) {
        const struct outcol *col = NULL;
        uint32_t total = 0;
        bool open = false;
        for (uint32_t i = 0; i < s->nitem; i++) {
            uint32_t n;
            const struct outcol *c = collist_find(&s->items[i], name, &n);
            total += n;
            col = c ? c : col;
            open |= s->items[i].open || s->items[i].unnamed;
        }
        if (col && total == 1) {
            *found = true;
            return col->variable;
        }
        if (total > 1 || open)
            return NO_COLUMN;
    }
    return NO_COLUMN;
}

static int resolve_qualified(const struct scope *s, const char *schema, const char *table, const char *name,
                             bool *found)
{
    for (; s; s = s->parent) {
        const struct entry *hit = NULL;
        for (uint32_t i = 0; i < s->nentry; i++) {
            const struct entry *e = s->entries[i];
            if (e->hidden || strcmp(e->name, table) != 0 || (*schema && strcmp(e->schema, schema) != 0))
                continue;
            if (hit)
                return NO_COLUMN;
            hit = e;
        }
        if (!hit)
            continue;
        uint32_t n;
        const struct outcol *col = collist_find(&hit->list, name, &n);
        if (n != 1)
            return NO_COLUMN;
        *found = true;
        return col->variable;
    }
    return NO_COLUMN;
}

int scope_resolve(const struct scope *s, const PgQuery__ColumnRef *ref, bool *found)
{
    *found = false;
    size_t n = ref->n_fields;
    for (size_t i = 0; i < n; i++)
        if (ref->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING)
            return NO_COLUMN;
    if (n == 1)
        return resolve_unqualified(s, tree_string(ref->fields[0]), found);
    if (n == 2 || n == 3)
        return resolve_qualified(s, n == 3 ? tree_string(ref->fields[0]) : "", tree_string(ref->fields[n - 2]),
                                 tree_string(ref->fields[n - 1]), found);
    return NO_COLUMN;
}

struct cte *scope_cte(const struct scope *s, const PgQuery__RangeVar *rv)
{
    if (*tree_str(rv->schemaname))
        return NULL;
    for (struct cte *c = s->ctes; c; c = c->next)
        if (strcmp(c->name, rv->relname) == 0)
            return c;
    return NULL;
}
