#include "planner/view.h"

#include "planner/parse.h"
#include "planner/tokens.h"
#include "planner/typing.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_VIEWS = 64 };

struct mention {
    const PgQuery__RangeVar *rv;
    const struct cat_rel *rel;
};

struct views {
    struct an an; /* what the tokens and names are read with */
    struct tokens ts;
    const char *hidden[MAX_VIEWS]; /* names of WITH queries */
    uint32_t nhidden, n;
    struct mention v[MAX_VIEWS];
    bool many;    /* more than fit */
    bool sharded; /* a sharded table takes part, directly or behind a view */
    bool locking;
    const char *whole; /* a view's row as a value, or its name with a schema before a column */
};

/* --- finding them --- */

static const struct cat_rel *resolve(const struct views *w, const PgQuery__RangeVar *rv)
{
    const char *schema = tree_str(rv->schemaname);
    for (uint32_t i = 0; i < w->nhidden && !*schema; i++)
        if (strcmp(w->hidden[i], rv->relname) == 0)
            return NULL;
    return catalog_resolve_rel(w->an.in->cat, w->an.in->env, schema, rv->relname);
}

static void find_hidden(const ProtobufCMessage *m, void *arg)
{
    struct views *w = arg;
    if (m->descriptor == &pg_query__common_table_expr__descriptor) {
        w->many |= w->nhidden == MAX_VIEWS;
        if (!w->many)
            w->hidden[w->nhidden++] = ((const PgQuery__CommonTableExpr *)(const void *)m)->ctename;
    }
    w->locking |= m->descriptor == &pg_query__locking_clause__descriptor;
    tree_children(m, find_hidden, arg);
}

static void find_item(struct views *w, const PgQuery__Node *item)
{
    if (!item || item->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
        return;
    const struct cat_rel *rel = resolve(w, item->range_var);
    if (!rel || !rel->view)
        return;
    w->many |= w->n == MAX_VIEWS;
    if (!w->many)
        w->v[w->n++] = (struct mention){ item->range_var, rel };
}

static void find_items(struct views *w, size_t n, PgQuery__Node *const *items)
{
    for (size_t i = 0; i < n; i++)
        find_item(w, items[i]);
}

/* Tables stand in FROM lists and joins; targets of changes stand elsewhere. */
static void find_mentions(const ProtobufCMessage *m, void *arg)
{
    struct views *w = arg;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const void *v = m;
    if (d == &pg_query__range_var__descriptor) {
        const struct cat_rel *rel = resolve(w, v);
        w->sharded |= rel && (rel->view_sharded || rel->dist == DIST_SHARDED);
    } else if (d == &pg_query__select_stmt__descriptor) {
        find_items(w, ((const PgQuery__SelectStmt *)v)->n_from_clause, ((const PgQuery__SelectStmt *)v)->from_clause);
    } else if (d == &pg_query__update_stmt__descriptor) {
        find_items(w, ((const PgQuery__UpdateStmt *)v)->n_from_clause, ((const PgQuery__UpdateStmt *)v)->from_clause);
    } else if (d == &pg_query__delete_stmt__descriptor) {
        find_items(w, ((const PgQuery__DeleteStmt *)v)->n_using_clause, ((const PgQuery__DeleteStmt *)v)->using_clause);
    } else if (d == &pg_query__merge_stmt__descriptor) {
        find_item(w, ((const PgQuery__MergeStmt *)v)->source_relation);
    } else if (d == &pg_query__join_expr__descriptor) {
        find_item(w, ((const PgQuery__JoinExpr *)v)->larg);
        find_item(w, ((const PgQuery__JoinExpr *)v)->rarg);
    }
    tree_children(m, find_mentions, arg);
}

static const char *mention_name(const struct mention *x)
{
    return x->rv->alias ? x->rv->alias->aliasname : x->rv->relname;
}

static void find_rows(const ProtobufCMessage *m, void *arg)
{
    struct views *w = arg;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        const PgQuery__ColumnRef *ref = (const PgQuery__ColumnRef *)(const void *)m;
        for (uint32_t i = 0; i < w->n; i++) {
            const char *name = mention_name(&w->v[i]);
            bool row = ref->n_fields == 1 && strcmp(tree_string(ref->fields[0]), name) == 0 &&
                       !catalog_column(w->v[i].rel, name);
            if (row || (ref->n_fields == 3 && strcmp(tree_string(ref->fields[1]), name) == 0))
                w->whole = name;
        }
    }
    tree_children(m, find_rows, arg);
}

/* --- does the text mean the same here? --- */

struct meaning {
    const struct an *an;
    const char *strange; /* a name that may be another's */
};

static bool is_signed_interval(const PgQuery__TypeCast *c)
{
    return tree_name_is(c->type_name->n_names, c->type_name->names, "interval") &&
           c->arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
           c->arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL && strchr(c->arg->a_const->sval->sval, '-');
}

static void find_strange(const ProtobufCMessage *m, void *arg)
{
    struct meaning *x = arg;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const void *v = m;
    if (d == &pg_query__func_call__descriptor) {
        const PgQuery__FuncCall *f = v;
        const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
        if (!*schema && catalog_user_function(x->an->in->cat, NULL, name))
            x->strange = name;
    } else if (d == &pg_query__a__expr__descriptor) {
        const PgQuery__AExpr *op = v;
        if (op->n_name == 1 && !is_catalog_operator(x->an, op->n_name, op->name))
            x->strange = tree_string(op->name[0]);
    } else if (d == &pg_query__type_cast__descriptor && is_signed_interval(v)) {
        x->strange = "interval";
    }
    tree_children(m, find_strange, arg);
}

static const char *why_strange(const struct views *w, const struct cat_view *view)
{
    const PgQuery__ParseResult *tree;
    struct meaning x = { .an = &w->an };
    struct err ignored = ERR_INIT;
    if (!env_catalog_first(w->an.in->env) || (w->an.in->env->nonstandard_strings && strchr(view->text, '\\')) ||
        !parse_sql(span_str(view->text), w->an.a, &tree, &ignored) || tree->n_stmts != 1)
        return "its text may mean something else under the session's settings";
    find_strange(&tree->stmts[0]->base, &x);
    return x.strange ? arena_printf(w->an.a, "\"%s\" in its text may mean something else in the session", x.strange)
                     : NULL;
}

static bool may_read(const struct cat_view *view, const char *role)
{
    bool may = view->public_reader;
    for (uint32_t i = 0; i < view->nrole && !may; i++)
        may = strcmp(view->roles[i], role) == 0;
    return may;
}

static const char *why_not(const struct views *w, const struct mention *x)
{
    const struct cat_view *view = x->rel->view;
    if (view->barrier)
        return "it has security_barrier";
    if (view->secured)
        return "it reads tables with row security as its owner";
    if (!view->owner_reads)
        return "its owner may not read all that it reads";
    if (!may_read(view, w->an.in->env->role))
        return "the role has no privilege of its own to read the view and all the tables that it reads";
    if (w->locking)
        return "the statement locks rows";
    if (!x->rv->inh)
        return "it is named with ONLY";
    return why_strange(w, view);
}

/* --- the text --- */

static bool put_view(const struct views *w, const struct mention *x, uint32_t *done, struct strbuf *out)
{
    const struct tokens *ts = &w->ts;
    uint32_t i = token_at(ts, (uint32_t)x->rv->location), first = i;
    size_t len = strlen(x->rel->view->text);
    if (i >= ts->n || ts->v[i].start != (uint32_t)x->rv->location || x->rv->location < (int)*done ||
        (ts->v[i].kind != LEX_WORD && ts->v[i].kind != LEX_QUOTED))
        return false;
    bool command = i > 0 && keyword_is(ts, i - 1, "table");
    if (command)
        first--;
    while (i + 2 < ts->n && token_is(ts, i + 1, "."))
        i += 2;
    if (i + 1 < ts->n && token_is(ts, i + 1, "*"))
        return false;
    while (len && (x->rel->view->text[len - 1] == ';' || x->rel->view->text[len - 1] == '\n'))
        len--;
    strbuf_put(out, ts->sql.ptr + *done, ts->v[first].start - *done);
    strbuf_puts(out, command ? "SELECT * FROM (" : "(");
    strbuf_put(out, x->rel->view->text, len);
    strbuf_puts(out, ")");
    if (!x->rv->alias) {
        strbuf_puts(out, " AS ");
        strbuf_put_ident(out, span_str(x->rv->relname));
    }
    *done = ts->v[i].end;
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct mention *x = a, *y = b;
    return (x->rv->location > y->rv->location) - (x->rv->location < y->rv->location);
}

static bool put_all(struct views *w, struct strbuf *out)
{
    uint32_t done = 0;
    tokens_read(&w->an, &w->ts);
    qsort(w->v, w->n, sizeof *w->v, by_place);
    for (uint32_t i = 0; i < w->n; i++)
        if (!put_view(w, &w->v[i], &done, out))
            return false;
    strbuf_put(out, w->ts.sql.ptr + done, w->ts.sql.len - done);
    return true;
}

static bool refuse(const struct mention *x, const char *why, struct err *e)
{
    err_set(e, PB0201, "view \"%s\" stands for distributed tables", x->rel->name);
    err_detail(e, "Its text cannot take its place: %s.", why);
    return err_hint(e, "Use the view's query, or its tables, in the statement itself.");
}

bool view_expand(const struct plan_input *in, struct arena *a, const char **text, struct err *e)
{
    struct views *w = ARENA_NEW(a, struct views);
    struct strbuf out = STRBUF_INIT;
    *text = NULL;
    if (!catalog_has_views(in->cat))
        return true;
    w->an.in = in;
    w->an.a = a;
    find_hidden(&in->tree->base, w);
    find_mentions(&in->tree->base, w);
    if (w->n == 0 || w->many || !w->sharded)
        return true;
    find_rows(&in->tree->base, w);
    if (w->whole)
        return refuse(&w->v[0], arena_printf(a, "\"%s\" is used as a row or with its schema", w->whole), e);
    for (uint32_t i = 0; i < w->n; i++) {
        const char *why = why_not(w, &w->v[i]);
        if (why)
            return refuse(&w->v[i], why, e);
    }
    bool ok = put_all(w, &out);
    if (ok)
        *text = arena_strdup(a, strbuf_str(&out));
    strbuf_fini(&out);
    return ok || refuse(&w->v[0], "the text is not plain enough", e);
}
