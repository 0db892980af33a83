/*
 * Two edits of the text, at places that the tree tells:
 *
 *   FROM pg_constraint r       ->  FROM (SELECT * FROM pg_catalog.pg_constraint WHERE ...) r, and other catalogs
 *   SELECT c.relchecks         ->  SELECT (c.relchecks - (number of such constraints)) AS relchecks
 *
 * pg_dump compares the one with the other, so both are made or neither. A sub-query has no primary key, hence
 * statements with GROUP BY are left alone; nor has it system columns, of which tools want tableoid.
 */
#include "planner/catalog_hide.h"

#include "planner/analyse_int.h"
#include "planner/lex.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_EDITS = 64 };

struct edit {
    uint32_t start, end;
    const char *text;
};

struct hide {
    struct an *an;
    bool impossible;
    uint32_t n;
    struct edit edits[MAX_EDITS];
};

static void edit_add(struct hide *h, uint32_t start, uint32_t end, const char *text)
{
    if (h->n == MAX_EDITS)
        h->impossible = true;
    else
        h->edits[h->n++] = (struct edit){ .start = start, .end = end, .text = text };
}

/* The end of the possibly qualified name of n parts that begins at `start`; 0 if it is not one. */
static uint32_t name_end(const struct an *an, uint32_t start, size_t n)
{
    struct lex l;
    struct lex_token t = { .kind = LEX_END };
    const unsigned char *base = (const unsigned char *)an->in->sql.ptr;
    if (start >= an->in->sql.len)
        return 0;
    lex_init(&l, span_make(an->in->sql.ptr + start, an->in->sql.len - start), an->in->env->nonstandard_strings);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            lex_next(&l, &t);
            if (t.kind != LEX_PUNCT || *t.start != '.')
                return 0;
        }
        lex_next(&l, &t);
        if (t.kind != LEX_WORD && t.kind != LEX_QUOTED)
            return 0;
    }
    return (uint32_t)(t.end - base);
}

/* What rows a catalog does not show: those of the schema pgbraid, and the placement constraints. */
static const struct hidden {
    const char *schema, *name;
    const char *keep; /* condition for the other rows */
} hiddens[] = {
    { "pg_catalog", "pg_constraint", "conname OPERATOR(pg_catalog.<>) 'pgbraid_placement'" },
    { "pg_catalog", "pg_namespace", "nspname OPERATOR(pg_catalog.<>) 'pgbraid'" },
    { "pg_catalog", "pg_class", "relnamespace OPERATOR(pg_catalog.<>) 'pgbraid'::pg_catalog.regnamespace" },
    { "pg_catalog", "pg_proc", "pronamespace OPERATOR(pg_catalog.<>) 'pgbraid'::pg_catalog.regnamespace" },
    { "pg_catalog", "pg_type", "typnamespace OPERATOR(pg_catalog.<>) 'pgbraid'::pg_catalog.regnamespace" },
    { "information_schema", "schemata", "schema_name OPERATOR(pg_catalog.<>) 'pgbraid'" },
    { "information_schema", "tables", "table_schema OPERATOR(pg_catalog.<>) 'pgbraid'" },
    { "information_schema", "columns", "table_schema OPERATOR(pg_catalog.<>) 'pgbraid'" },
    { "information_schema", "routines", "routine_schema OPERATOR(pg_catalog.<>) 'pgbraid'" },
};

static const struct hidden *hidden_find(const char *schema, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(hiddens); i++)
        if (strcmp(hiddens[i].name, name) == 0 && strcmp(hiddens[i].schema, schema) == 0)
            return &hiddens[i];
    return NULL;
}

static void hide_range(struct hide *h, const PgQuery__RangeVar *rv)
{
    const char *schema = tree_str(rv->schemaname);
    const struct cat_rel *rel = catalog_resolve_rel(h->an->in->cat, h->an->in->env, schema, rv->relname);
    const struct hidden *hidden = rel && rel->system ? hidden_find(rel->schema, rel->name) : NULL;
    if (!hidden)
        return;
    uint32_t start = (uint32_t)rv->location, end = name_end(h->an, start, *schema ? 2 : 1);
    const char *system = h->an->inv.system_column;
    if (!end || !rv->inh || (system && strcmp(system, "tableoid") != 0)) {
        h->impossible = true;
        return;
    }
    edit_add(h, start, end,
             arena_printf(h->an->a, "(SELECT %s* FROM %s.%s WHERE %s)%s%s",
                          system && strcmp(hidden->schema, "pg_catalog") == 0 ? "tableoid, " : "", hidden->schema,
                          hidden->name, hidden->keep, rv->alias ? "" : " AS ", rv->alias ? "" : hidden->name));
}

/* c.relchecks, of a catalog's alias c; `named` when it is an output column that takes its name from it. */
static void hide_count(struct hide *h, const PgQuery__ColumnRef *ref, bool named)
{
    h->impossible |=
        ref->n_fields > 2 && hidden_find(tree_str(tree_string(ref->fields[0])), tree_string(ref->fields[1]));
    if (ref->n_fields != 2 || strcmp(tree_string(ref->fields[1]), "relchecks") != 0)
        return;
    uint32_t start = (uint32_t)ref->location, end = name_end(h->an, start, 2);
    if (!end) {
        h->impossible = true;
        return;
    }
    const char *column = arena_spandup(h->an->a, span_make(h->an->in->sql.ptr + start, end - start));
    const char *alias = arena_spandup(h->an->a, span_make(column, (size_t)(strrchr(column, '.') - column)));
    edit_add(h, start, end,
             arena_printf(h->an->a,
                          "(%s - (SELECT count(*) FROM pg_catalog.pg_constraint pgbraid_c WHERE pgbraid_c.conrelid = "
                          "%s.oid AND pgbraid_c.conname = 'pgbraid_placement'))::pg_catalog.int2%s",
                          column, alias, named ? " AS relchecks" : ""));
}

static void hide_message(const ProtobufCMessage *m, void *arg)
{
    struct hide *h = arg;
    const void *v = m;
    if (m->descriptor == &pg_query__range_var__descriptor) {
        hide_range(h, v);
    } else if (m->descriptor == &pg_query__res_target__descriptor) {
        const PgQuery__ResTarget *t = v;
        if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && !*tree_str(t->name)) {
            hide_count(h, t->val->column_ref, true);
            return;
        }
    } else if (m->descriptor == &pg_query__column_ref__descriptor) {
        hide_count(h, v, false);
    } else if (m->descriptor == &pg_query__select_stmt__descriptor) {
        h->impossible |= ((const PgQuery__SelectStmt *)v)->n_group_clause > 0;
    }
    tree_children(m, hide_message, arg);
}

static int by_start(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

void catalog_hide(struct an *an)
{
    struct hide h = { .an = an };
    struct strbuf out = STRBUF_INIT;
    uint32_t at = 0;
    bool catalog = false;
    for (uint32_t i = 0; i < an->nocc; i++)
        catalog |= an->occs[i]->rel->system;
    if (!catalog || an->plan->scope != SCOPE_HOME || an->plan->writes || catalog_all_home(an->in->cat))
        return;
    hide_message(an->stmt, &h);
    if (h.impossible || h.n == 0)
        return;
    qsort(h.edits, h.n, sizeof *h.edits, by_start);
    for (uint32_t i = 0; i < h.n; i++) {
        strbuf_put(&out, an->in->sql.ptr + at, h.edits[i].start - at);
        strbuf_puts(&out, h.edits[i].text);
        at = h.edits[i].end;
    }
    strbuf_put(&out, an->in->sql.ptr + at, an->in->sql.len - at);
    an->plan->rewritten = arena_strdup(plan_arena(an->plan), strbuf_str(&out));
    strbuf_fini(&out);
}
