/*
 * What reads the clock becomes a literal of the same type:
 *
 *   now()                  ('T'::pg_catalog.timestamptz)
 *   CURRENT_TIMESTAMP(3)   ('T'::pg_catalog.timestamptz(3))
 *   CURRENT_DATE           ('T'::pg_catalog.timestamptz::pg_catalog.date)
 *
 * In a select list, where it would give the column its name, a sub-query: (SELECT ... AS "now"). The shard computes
 * dates and times of day from T in the session's time zone. A column that an INSERT of VALUES leaves to a default that
 * reads the clock is added, with what the catalog shows of the default, changed likewise; so is DEFAULT in an UPDATE.
 */
#include "planner/clock.h"

#include "planner/analyse_int.h"
#include "planner/figure.h"
#include "planner/lex.h"
#include "planner/parse.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SITES = 256 };

static const struct {
    const char *name, *type;
} clocks[] = {
    { "now", "" },
    { "transaction_timestamp", "" },
    { "current_timestamp", "" },
    { "current_date", "::pg_catalog.date" },
    { "current_time", "::pg_catalog.timetz" },
    { "localtimestamp", "::pg_catalog.timestamp" },
    { "localtime", "::pg_catalog.time" },
};

/* [start, end) is replaced by `text`, in the arena. */
struct site {
    uint32_t start, end;
    const char *text;
};

struct text {
    const struct plan_input *in;
    struct arena *a;
    struct span sql; /* the statement's, or a default's */
    bool of_default; /* the catalog's: without names, strings as the server prints them */
    const char *now;
    bool naming; /* inside an item of a select list that is named after the clock */
    bool impossible;
    uint32_t n;
    struct site at[MAX_SITES];
};

static int clock_index(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(clocks); i++)
        if (strcmp(clocks[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool is_punct(const struct lex_token *t, char c)
{
    return t->kind == LEX_PUNCT && *t->start == (unsigned char)c;
}

static void lex_from(const struct text *t, struct lex *l, uint32_t at)
{
    lex_init(l, span_make(t->sql.ptr + at, t->sql.len - at), !t->of_default && t->in->env->nonstandard_strings);
}

static uint32_t offset_of(const struct text *t, const unsigned char *p)
{
    return (uint32_t)(p - (const unsigned char *)t->sql.ptr);
}

static void add(struct text *t, uint32_t start, uint32_t end, const char *text)
{
    if (t->n == MAX_SITES) {
        t->impossible = true;
        return;
    }
    t->at[t->n++] = (struct site){ .start = start, .end = end, .text = text };
}

/* `precision`: "(3)" or nothing. */
static const char *literal(const struct text *t, int which, struct span precision)
{
    const char *value = arena_printf(t->a, "'%s'::pg_catalog.timestamptz%s%.*s", t->now, clocks[which].type,
                                     (int)precision.len, precision.len ? precision.ptr : "");
    return t->naming ? arena_printf(t->a, "(SELECT %s AS \"%s\")", value, clocks[which].name)
                     : arena_printf(t->a, "(%s)", value);
}

/* pg_catalog.now() and the like. */
static void take_call(struct text *t, const PgQuery__FuncCall *f)
{
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    int which = clock_index(name);
    struct lex l;
    struct lex_token k;
    if (which < 0 || (*schema && strcmp(schema, "pg_catalog") != 0))
        return;
    if (f->location < 0 || f->n_args || (!*schema && catalog_user_function(t->in->cat, NULL, name))) {
        t->impossible = true; /* which of both is meant is not computed here */
        return;
    }
    lex_from(t, &l, (uint32_t)f->location);
    for (lex_next(&l, &k); !is_punct(&k, ')'); lex_next(&l, &k)) {
        if (k.kind == LEX_END) {
            t->impossible = true;
            return;
        }
    }
    add(t, (uint32_t)f->location, offset_of(t, k.end), literal(t, which, (struct span){ 0 }));
}

/* CURRENT_TIMESTAMP(3) and the like; CURRENT_USER and its kin tell no time. */
static void take_value_function(struct text *t, const PgQuery__SQLValueFunction *f)
{
    struct lex l, ahead;
    struct lex_token k, next;
    struct span precision = { 0 };
    uint32_t end;
    int which;
    if (f->op > PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N)
        return;
    if (f->location < 0) {
        t->impossible = true;
        return;
    }
    lex_from(t, &l, (uint32_t)f->location);
    lex_next(&l, &k);
    char *name = arena_spandup(t->a, span_make((const char *)k.start, (size_t)(k.end - k.start)));
    for (char *c = name; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    which = clock_index(name);
    if (which < 0) {
        t->impossible = true;
        return;
    }
    end = offset_of(t, k.end);
    ahead = l;
    lex_next(&ahead, &next);
    if (f->typmod >= 0 && is_punct(&next, '(')) {
        const unsigned char *start = next.start;
        while (!is_punct(&next, ')') && next.kind != LEX_END)
            lex_next(&ahead, &next);
        end = offset_of(t, next.end);
        precision = span_make((const char *)start, (size_t)(next.end - start));
    }
    add(t, (uint32_t)f->location, end, literal(t, which, precision));
}

static void take(const ProtobufCMessage *m, void *arg)
{
    struct text *t = arg;
    const void *v = m;
    bool naming = t->naming;
    if (m->descriptor == &pg_query__func_call__descriptor)
        take_call(t, v);
    else if (m->descriptor == &pg_query__sqlvalue_function__descriptor)
        take_value_function(t, v);
    else if (m->descriptor == &pg_query__res_target__descriptor && !*tree_str(((const PgQuery__ResTarget *)v)->name)) {
        const char *name = figure_name(v);
        t->naming = !t->of_default && (!name || clock_index(name) >= 0);
    }
    tree_children(m, take, arg);
    t->naming = naming;
}

static int by_start(const void *a, const void *b)
{
    const struct site *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* The tree has an expression twice in SET (a, b) = (now(), 1), once for each column. */
static bool put(struct text *t, uint32_t from, struct strbuf *out)
{
    uint32_t done = from;
    qsort(t->at, t->n, sizeof t->at[0], by_start);
    for (uint32_t i = 0; i < t->n; i++) {
        if (i > 0 && t->at[i].start == t->at[i - 1].start && t->at[i].end == t->at[i - 1].end)
            continue;
        if (t->at[i].start < done || t->at[i].end > t->sql.len)
            return false;
        strbuf_put(out, t->sql.ptr + done, t->at[i].start - done);
        strbuf_puts(out, t->at[i].text);
        done = t->at[i].end;
    }
    strbuf_put(out, t->sql.ptr + done, t->sql.len - done);
    return true;
}

/* --- column defaults --- */

/* A user's function, found by the catalog under a path of its own, might be another one for the session. */
static void find_user_function(const ProtobufCMessage *m, void *arg)
{
    struct text *t = arg;
    if (m->descriptor == &pg_query__func_call__descriptor) {
        const void *v = m;
        const PgQuery__FuncCall *f = v;
        const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
        t->impossible |= !*schema && catalog_user_function(t->in->cat, NULL, name);
    }
    tree_children(m, find_user_function, arg);
}

/* The column's default with the time in it; NULL: it cannot be had. */
static const char *default_text(const struct text *t, const struct cat_column *col)
{
    static const char select[] = "SELECT ";
    struct text d = { .in = t->in, .a = t->a, .now = t->now, .of_default = true };
    const PgQuery__ParseResult *tree;
    struct strbuf out = STRBUF_INIT;
    struct err ignored = ERR_INIT;
    const char *result = NULL;
    if (!col->default_text)
        return NULL;
    d.sql = span_str(arena_printf(t->a, "%s%s", select, col->default_text));
    if (!parse_sql(d.sql, t->a, &tree, &ignored) || tree->n_stmts != 1)
        return NULL;
    find_user_function(tree_message(tree->stmts[0]->stmt), &d);
    take(tree_message(tree->stmts[0]->stmt), &d);
    if (!d.impossible && d.n && put(&d, sizeof select - 1, &out))
        result = arena_printf(t->a, "(%s)", strbuf_str(&out));
    strbuf_fini(&out);
    return result;
}

static bool is_default(const PgQuery__Node *n)
{
    return n->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

/* The place of a column in each row of VALUES; -1: it is not given. */
static int place_of(const PgQuery__InsertStmt *ins, const struct cat_rel *rel, const struct cat_column *col)
{
    if (ins->n_cols == 0)
        return (int)(col - rel->columns);
    for (size_t i = 0; i < ins->n_cols; i++)
        if (strcmp(ins->cols[i]->res_target->name, col->name) == 0)
            return (int)i;
    return -1;
}

/* Behind the names of a column list: its closing bracket. 0: there are more words than names. */
static uint32_t list_end(const struct text *t, const PgQuery__InsertStmt *ins)
{
    struct lex l;
    struct lex_token k;
    lex_from(t, &l, (uint32_t)ins->cols[ins->n_cols - 1]->res_target->location);
    for (lex_next(&l, &k); !is_punct(&k, ')'); lex_next(&l, &k))
        if (k.kind == LEX_END || is_punct(&k, '(') || is_punct(&k, '['))
            return 0;
    return offset_of(t, k.start);
}

/* Rows that PostgreSQL refuses, and that must not be filled up to what it takes. */
static bool ragged(const PgQuery__InsertStmt *ins)
{
    const PgQuery__SelectStmt *q = ins->select_stmt->select_stmt;
    size_t n = ins->n_cols ? ins->n_cols : q->values_lists[0]->list->n_items;
    for (size_t r = 0; r < q->n_values_lists; r++)
        if (q->values_lists[r]->list->n_items != n)
            return true;
    return false;
}

/*
 * INSERT of VALUES: the columns that are left to a default which reads the clock. With a column list they are added to
 * it; without one each row is filled up to the last of them.
 */
static void fill_rows(struct text *t, const struct cat_rel *rel, const PgQuery__InsertStmt *ins)
{
    const PgQuery__SelectStmt *q = ins->select_stmt->select_stmt;
    size_t nrow = q->n_values_lists;
    struct plan_row *rows = ARENA_ARRAY(t->a, struct plan_row, nrow);
    const char **texts = ARENA_ARRAY(t->a, const char *, rel->ncolumn);
    uint32_t end = ins->n_cols ? list_end(t, ins) : 1;
    bool any = false;
    for (uint32_t c = 0; c < rel->ncolumn; c++) {
        if (rel->columns[c].def != CAT_DEFAULT_MOMENT)
            continue;
        texts[c] = default_text(t, &rel->columns[c]);
        any = true;
        t->impossible |= !texts[c];
    }
    if (!any || t->impossible)
        return;
    if (!end || ragged(ins) || !insert_find_rows(t->in, ins, rows)) {
        t->impossible = true;
        return;
    }
    if (ins->n_cols) {
        struct strbuf names = STRBUF_INIT;
        for (uint32_t c = 0; c < rel->ncolumn; c++) {
            if (!texts[c] || place_of(ins, rel, &rel->columns[c]) >= 0)
                continue;
            strbuf_puts(&names, ", ");
            strbuf_put_ident(&names, span_str(rel->columns[c].name));
        }
        if (names.len)
            add(t, end, end, arena_strdup(t->a, strbuf_str(&names)));
        strbuf_fini(&names);
    }
    for (size_t r = 0; r < nrow; r++) {
        const PgQuery__List *row = q->values_lists[r]->list;
        struct strbuf more = STRBUF_INIT;
        uint32_t behind = (uint32_t)row->n_items;
        for (uint32_t c = 0; c < rel->ncolumn; c++) {
            int at = texts[c] ? place_of(ins, rel, &rel->columns[c]) : -1;
            if (!texts[c] || (at >= 0 && (size_t)at < row->n_items && !is_default(row->items[at])))
                continue;
            if (at >= 0 && (size_t)at < row->n_items) {
                uint32_t word = (uint32_t)row->items[at]->set_to_default->location;
                add(t, word, word + (uint32_t)strlen("DEFAULT"), texts[c]);
                continue;
            }
            for (; !ins->n_cols && behind < c; behind++)
                strbuf_puts(&more, ", DEFAULT");
            behind++;
            strbuf_printf(&more, ", %s", texts[c]);
        }
        if (more.len)
            add(t, rows[r].end - 1, rows[r].end - 1, arena_strdup(t->a, strbuf_str(&more)));
        strbuf_fini(&more);
    }
}

/* SET a = DEFAULT. */
static void fill_set(struct text *t, const PgQuery__RangeVar *rv, size_t n, PgQuery__Node *const *targets)
{
    const struct cat_rel *rel = catalog_resolve_rel(t->in->cat, t->in->env, rv->schemaname, rv->relname);
    for (size_t i = 0; rel && i < n; i++) {
        const PgQuery__ResTarget *target = targets[i]->res_target;
        const PgQuery__Node *value = tree_assigned(target);
        const struct cat_column *col = catalog_column(rel, target->name);
        if (!value || !is_default(value) || !col || col->def != CAT_DEFAULT_MOMENT)
            continue;
        const char *text = default_text(t, col);
        uint32_t word = (uint32_t)value->set_to_default->location;
        if (text)
            add(t, word, word + (uint32_t)strlen("DEFAULT"), text);
        else
            t->impossible = true;
    }
}

static void fill_insert(struct text *t, const PgQuery__InsertStmt *ins)
{
    const PgQuery__RangeVar *rv = ins->relation;
    const struct cat_rel *rel = catalog_resolve_rel(t->in->cat, t->in->env, rv->schemaname, rv->relname);
    if (rel && insert_is_values(ins))
        fill_rows(t, rel, ins);
    if (ins->on_conflict_clause)
        fill_set(t, rv, ins->on_conflict_clause->n_target_list, ins->on_conflict_clause->target_list);
}

static bool replace(const struct plan_input *in, const char *now, struct arena *a, struct strbuf *out)
{
    const PgQuery__Node *stmt = in->tree->stmts[0]->stmt;
    struct text *t = ARENA_NEW(a, struct text);
    *t = (struct text){ .in = in, .a = a, .sql = in->sql, .now = now };
    take(tree_message(stmt), t);
    if (stmt->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT)
        stmt = stmt->explain_stmt->query;
    if (stmt->node_case == PG_QUERY__NODE__NODE_INSERT_STMT)
        fill_insert(t, stmt->insert_stmt);
    else if (stmt->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT)
        fill_set(t, stmt->update_stmt->relation, stmt->update_stmt->n_target_list, stmt->update_stmt->target_list);
    if (t->impossible || t->n == 0)
        return false;
    return put(t, 0, out);
}

bool clock_text(const struct catalog *cat, const struct plan_env *env, struct span sql, const char *now,
                struct strbuf *out)
{
    struct plan_input in = { .cat = cat, .env = env, .sql = sql };
    struct err ignored = ERR_INIT;
    struct arena a;
    bool ok;
    arena_init(&a, 0);
    ok = parse_sql(sql, &a, &in.tree, &ignored) && in.tree->n_stmts == 1 && replace(&in, now, &a, out);
    arena_fini(&a);
    return ok;
}
