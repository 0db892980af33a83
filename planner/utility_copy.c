/*
 * COPY. FROM STDIN: the router cuts the data into rows and sends each to the shard of its key, so the plan says where
 * in a row the key stands. TO STDOUT: a query like any other, whose shards' data are put one behind the other.
 */
#include "planner/analyse_int.h"
#include "planner/lex.h"
#include "planner/moment.h"
#include "planner/utility_int.h"
#include "wire/copy.h"

#include <string.h>
#include <strings.h>

/* The options of a COPY that the router must understand; PostgreSQL checks the rest. */
struct copy_opts {
    const char *format, *delimiter, *null_text, *quote, *escape;
    const char *encoding;                             /* NULL: client_encoding */
    const PgQuery__Node *force_null, *force_not_null; /* columns */
    const char *unknown; /* an option of a newer version, which may change how the data is read */
    bool header;
};

static void take_option(const PgQuery__DefElem *d, struct arena *scratch, struct copy_opts *o)
{
    static const char *const harmless[] = { "freeze", "force_quote", "convert_selectively" };
    const char *name = d->defname;
    if (strcmp(name, "format") == 0) {
        o->format = def_string(d, scratch);
        if (strcmp(o->format, "text") != 0 && strcmp(o->format, "csv") != 0 && strcmp(o->format, "binary") != 0)
            o->unknown = name;
    } else if (strcmp(name, "delimiter") == 0)
        o->delimiter = def_string(d, scratch);
    else if (strcmp(name, "null") == 0)
        o->null_text = def_string(d, scratch);
    else if (strcmp(name, "quote") == 0)
        o->quote = def_string(d, scratch);
    else if (strcmp(name, "escape") == 0)
        o->escape = def_string(d, scratch);
    else if (strcmp(name, "encoding") == 0)
        o->encoding = def_string(d, scratch);
    else if (strcmp(name, "header") == 0)
        o->header = def_boolean(d, scratch) || strcasecmp(def_string(d, scratch), "match") == 0;
    else if (strcmp(name, "force_null") == 0)
        o->force_null = d->arg;
    else if (strcmp(name, "force_not_null") == 0)
        o->force_not_null = d->arg;
    else {
        for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
            if (strcmp(name, harmless[i]) == 0)
                return;
        o->unknown = name;
    }
}

static struct copy_opts read_options(const PgQuery__CopyStmt *c, struct arena *scratch)
{
    struct copy_opts o = { .format = "text" };
    for (size_t i = 0; i < c->n_options; i++)
        take_option(c->options[i]->def_elem, scratch, &o);
    return o;
}

/* The first character of an option's value. More or less than one is an error that PostgreSQL reports. */
static char one_char(const char *value, char otherwise)
{
    return value && *value ? *value : otherwise;
}

static struct plan_copy *copy_new(struct plan *p, const struct copy_opts *o)
{
    struct plan_copy *c = ARENA_NEW(plan_arena(p), struct plan_copy);
    bool csv = strcmp(o->format, "csv") == 0;
    c->format = csv ? COPY_FORMAT_CSV : strcmp(o->format, "binary") == 0 ? COPY_FORMAT_BINARY : COPY_FORMAT_TEXT;
    c->delimiter = one_char(o->delimiter, csv ? ',' : '\t');
    c->quote = one_char(o->quote, '"');
    c->escape = one_char(o->escape, c->quote);
    c->header = o->header;
    c->null_text = arena_strdup(plan_arena(p), o->null_text ? o->null_text : csv ? "" : "\\N");
    p->copy = c;
    return c;
}

static const char *quoted_name(struct arena *a, const struct cat_rel *rel)
{
    struct strbuf sb = STRBUF_INIT;
    strbuf_put_ident(&sb, span_str(rel->schema));
    strbuf_putc(&sb, '.');
    strbuf_put_ident(&sb, span_str(rel->name));
    const char *name = arena_strdup(a, strbuf_str(&sb));
    strbuf_fini(&sb);
    return name;
}

/* --- in --- */

/* What COPY FROM does to one table, while it is planned. */
struct copy_in {
    struct an *an;
    const PgQuery__CopyStmt *stmt;
    const struct copy_opts *opts;
    const struct cat_rel *rel;
};

static bool names_column(size_t n, PgQuery__Node *const *names, const char *column)
{
    for (size_t i = 0; i < n; i++)
        if (names[i]->node_case == PG_QUERY__NODE__NODE_A_STAR || strcmp(tree_string(names[i]), column) == 0)
            return true;
    return false;
}

/* Is the column given in the data? *field: where. Without a list that is every column but generated ones, in order. */
static bool data_field(const struct copy_in *x, const struct cat_column *col, uint32_t *field)
{
    *field = 0;
    for (size_t i = 0; i < x->stmt->n_attlist; i++)
        if (strcmp(tree_string(x->stmt->attlist[i]), col->name) == 0) {
            *field = (uint32_t)i;
            return true;
        }
    for (uint32_t i = 0; !x->stmt->n_attlist && i < x->rel->ncolumn; i++) {
        if (x->rel->columns[i].def == CAT_DEFAULT_GENERATED)
            continue;
        if (&x->rel->columns[i] == col)
            return true;
        (*field)++;
    }
    return false;
}

static uint32_t data_columns(const struct copy_in *x)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->rel->ncolumn; i++)
        n += x->rel->columns[i].def != CAT_DEFAULT_GENERATED;
    return x->stmt->n_attlist ? (uint32_t)x->stmt->n_attlist : n;
}

static void take_defaults(const struct copy_in *x)
{
    uint32_t field;
    for (uint32_t i = 0; i < x->rel->ncolumn; i++)
        if (!data_field(x, &x->rel->columns[i], &field))
            default_fills(x->an, x->rel, &x->rel->columns[i]);
}

static bool refuse_copy(const struct copy_in *x, const char *what, const char *detail, const char *hint)
{
    struct err *e = x->an->e;
    err_set(e, PB0201, "COPY into distributed table \"%s\" cannot depend on %s", x->rel->name, what);
    err_detail(e, "%s", detail);
    return err_hint(e, "%s", hint);
}

/*
 * What would come out otherwise than on one server: values that differ between shards within the statement, and, for a
 * reference table, between the copies of a row.
 */
static bool check_values(const struct copy_in *x)
{
    const struct an *an = x->an;
    const struct inventory *inv = &an->inv;
    const char *column = an->default_sequence ? an->default_sequence : an->default_moment;
    if (!column && x->rel->dist == DIST_REFERENCE)
        column = an->default_volatile;
    if (column)
        return refuse_copy(x, arena_printf(an->a, "the default of column \"%s\"", column),
                           "Each shard computes it by itself, and not as one server would.",
                           "Name the column in the list and give its value in the data.");
    const char *call = inv->moment ? inv->moment : inv->each_server ? inv->each_server : inv->home_function;
    if (!call && x->rel->dist == DIST_REFERENCE)
        call = inv->volatile_row;
    if (call)
        return refuse_copy(x, arena_printf(an->a, "%s()", call), "Each shard would evaluate WHERE by itself.",
                           "Filter the rows before they are copied.");
    if (inv->moment_literal || inv->system_column)
        return refuse_copy(x, inv->moment_literal ? "a date constant that reads the clock" : inv->system_column,
                           "Each shard would evaluate WHERE by itself.", "Filter the rows before they are copied.");
    if (x->rel->dist == DIST_SHARDED && an->blocked) /* of the table: hooks_allow() */
        return refuse_copy(x, an->blocked, "It would run once on each shard instead of once.",
                           "Use INSERT for the rows of one key at a time.");
    return true;
}

/* May the data be read as plan->copy says? */
static bool check_reading(const struct copy_in *x)
{
    struct err *e = x->an->e;
    const struct copy_opts *o = x->opts;
    if (o->unknown) {
        err_set(e, PB0204, "COPY option \"%s\" is not supported for sharded tables", o->unknown);
        return err_detail(e, "The router would not read the data as the shards do.");
    }
    if (!o->encoding || strcasecmp(o->encoding, "utf8") == 0 || strcasecmp(o->encoding, "utf-8") == 0)
        return true;
    err_set(e, PB0204, "COPY with encoding \"%s\" is not supported for sharded tables", o->encoding);
    err_detail(e, "The router finds the sharding key in the data as it comes.");
    return err_hint(e, "Convert the data to UTF8.");
}

/* Does FORCE_NULL or FORCE_NOT_NULL name the column? */
static bool forces(const PgQuery__Node *columns, const char *name)
{
    if (columns && columns->node_case == PG_QUERY__NODE__NODE_A_STAR)
        return true;
    return columns && columns->node_case == PG_QUERY__NODE__NODE_LIST &&
           names_column(columns->list->n_items, columns->list->items, name);
}

static bool take_key(const struct copy_in *x, uint32_t k, struct plan_copy *c)
{
    struct err *e = x->an->e;
    const struct cat_column *col = &x->rel->columns[x->rel->key[k]];
    if (!data_field(x, col, &c->keys[k].field)) {
        err_set(e, PB0206, "COPY into sharded table \"%s\" must give the sharding key \"%s\"", x->rel->name, col->name);
        err_detail(e, "The router sends each row to the shard of its key, which it reads from the data.");
        return err_hint(e, "Add the column to the list and its value to the data.");
    }
    if (col->nondeterministic) {
        err_set(e, PB0206, "the sharding key \"%s\" has a nondeterministic collation", col->name);
        return err_detail(e, "Values that are equal may be on different shards.");
    }
    c->keys[k].type = x->rel->key_type[k];
    c->keys[k].typmod = col->typmod;
    if (forces(x->opts->force_null, col->name))
        c->force_null |= (uint8_t)BIT(k);
    if (forces(x->opts->force_not_null, col->name))
        c->force_not_null |= (uint8_t)BIT(k);
    return true;
}

static bool in_sharded(const struct copy_in *x, struct plan_copy *c)
{
    struct plan *p = x->an->plan;
    if (!check_known(x->an) || !check_reading(x))
        return false;
    for (uint32_t k = 0; k < x->rel->nkey; k++)
        if (!take_key(x, k, c))
            return false;
    c->nkey = x->rel->nkey;
    c->identity = x->rel->identity_vindex;
    p->scope = SCOPE_ALL;
    p->combine = COMBINE_CONCAT;
    plan_reason(p, "all shards: each row goes to the shard of its key");
    return true;
}

/* Dates in the data of a reference table: 'now' among them would be each shard's own. Binary ones are no words. */
static bool in_reference(const struct copy_in *x, struct plan_copy *c)
{
    struct plan *p = x->an->plan;
    uint32_t *fields = ARENA_ARRAY(plan_arena(p), uint32_t, x->rel->ncolumn);
    p->scope = SCOPE_ALL;
    p->combine = COMBINE_SAME;
    plan_reason(p, "all shards: reference table %s is written on every one", x->rel->name);
    for (uint32_t i = 0; i < x->rel->ncolumn && c->format != COPY_FORMAT_BINARY; i++) {
        const struct cat_column *col = &x->rel->columns[i];
        if (moment_type(col->type) && data_field(x, col, &fields[c->nmoment]))
            c->nmoment++;
    }
    c->moments = fields;
    if (c->nmoment <= COPY_MAX_KEYS)
        return true;
    err_set(x->an->e, PB0201, "COPY of more than %u date columns into a reference table is not supported",
            COPY_MAX_KEYS);
    err_detail(x->an->e, "Each shard reads the data by itself, so it is searched for words that read the clock.");
    return err_hint(x->an->e, "Use the binary format.");
}

static bool in_distributed(const struct copy_in *x, struct plan_copy *c)
{
    struct plan *p = x->an->plan;
    occurrence_new(x->an, x->rel, x->rel->name, USE_INSERT);
    if (x->rel->view_sharded || x->rel->view_reference)
        x->an->sharded_view = x->rel;
    if (x->rel->dist != DIST_UNSHARDED)
        take_defaults(x);
    if (!check_code(x->an))
        return false;
    c->table = quoted_name(plan_arena(p), x->rel);
    c->name = arena_strdup(plan_arena(p), x->rel->name);
    c->ncolumn = data_columns(x);
    switch (x->rel->dist) {
    case DIST_UNSHARDED: /* what its triggers may touch is checked */
        p->scope = SCOPE_HOME;
        plan_reason(p, "home shard: unsharded table");
        return true;
    case DIST_REFERENCE:
        return check_values(x) && in_reference(x, c);
    case DIST_SHARDED:
        return check_values(x) && in_sharded(x, c);
    }
    BUG_ON(true);
}

static bool plan_in(const struct plan_input *in, const PgQuery__CopyStmt *stmt, const struct copy_opts *o,
                    struct arena *scratch, struct plan_result *out, struct err *e)
{
    struct an an = { .in = in, .a = scratch, .e = e, .out = out, .plan = plan_new(), .stmt = &stmt->base };
    struct copy_in x = { .an = &an, .stmt = stmt, .opts = o };
    struct plan *p = an.plan;
    struct plan_copy *c = copy_new(p, o);
    const PgQuery__RangeVar *rv = stmt->relation;
    x.rel = catalog_resolve_rel(in->cat, in->env, tree_str(rv->schemaname), rv->relname);
    p->kind = PLAN_COPY_IN;
    p->writes = true;
    inventory_take(&an, an.stmt);
    if (!x.rel || catalog_all_home(in->cat)) {
        p->scope = SCOPE_HOME;
        plan_reason(p, "home shard: %s",
                    x.rel ? "nothing is distributed" : "PostgreSQL says which table does not exist");
    } else if (!check_same(&an, x.rel) || !in_distributed(&x, c)) {
        plan_unref(p);
        return false;
    }
    p->opaque = an.inv.declared || an.inv.nsetting > 0;
    *out = (struct plan_result){ .plan = p };
    return true;
}

/* --- out --- */

/* COPY table TO reads what SELECT ... FROM ONLY table would. */
static bool plan_out_table(const struct plan_input *in, const PgQuery__CopyStmt *stmt, struct arena *scratch,
                           struct plan_result *out, struct err *e)
{
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    PgQuery__Node from = PG_QUERY__NODE__INIT, query = PG_QUERY__NODE__INIT, *items[] = { &from };
    from.node_case = PG_QUERY__NODE__NODE_RANGE_VAR;
    from.range_var = stmt->relation;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    select.n_from_clause = 1;
    select.from_clause = items;
    query.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    query.select_stmt = &select;
    if (!analyse_query(in, &query, scratch, out, e))
        return false;
    out->plan->rewritten = NULL;
    return true;
}

static const struct cat_column *column_named(const struct cat_rel *rel, const char *name)
{
    for (uint32_t i = 0; i < rel->ncolumn; i++)
        if (strcmp(rel->columns[i].name, name) == 0)
            return &rel->columns[i];
    return NULL;
}

/* Types of the columns in the data. Names that there are not are PostgreSQL's to report. */
static void out_types(const struct plan_input *in, const PgQuery__CopyStmt *stmt, struct plan *p, struct plan_copy *c)
{
    const PgQuery__RangeVar *rv = stmt->relation;
    const struct cat_rel *rel = catalog_resolve_rel(in->cat, in->env, tree_str(rv->schemaname), rv->relname);
    if (!rel)
        return;
    uint32_t *types = ARENA_ARRAY(plan_arena(p), uint32_t, rel->ncolumn + stmt->n_attlist + 1);
    for (size_t i = 0; i < stmt->n_attlist; i++) {
        const struct cat_column *col = column_named(rel, tree_string(stmt->attlist[i]));
        types[c->ncolumn++] = col ? col->type : 0;
    }
    for (uint32_t i = 0; !stmt->n_attlist && i < rel->ncolumn; i++)
        if (rel->columns[i].def != CAT_DEFAULT_GENERATED)
            types[c->ncolumn++] = rel->columns[i].type;
    c->types = types;
}

/* The query in COPY ( ... ) TO. */
static void find_query(const struct plan_input *in, uint32_t *start, uint32_t *end)
{
    struct lex lex;
    struct lex_token t;
    uint32_t depth = 1;
    lex_init(&lex, in->sql, in->env->nonstandard_strings);
    do
        lex_next(&lex, &t);
    while (!lex_is_punct(&t, '(') && t.kind != LEX_END);
    *start = (uint32_t)((const char *)t.end - in->sql.ptr);
    while (depth > 0 && t.kind != LEX_END) {
        lex_next(&lex, &t);
        if (lex_is_punct(&t, '('))
            depth++;
        else if (lex_is_punct(&t, ')'))
            depth--;
    }
    *end = (uint32_t)((const char *)t.start - in->sql.ptr);
}

static bool plan_out(const struct plan_input *in, const PgQuery__CopyStmt *stmt, const struct copy_opts *o,
                     struct arena *scratch, struct plan_result *out, struct err *e)
{
    if (stmt->query && !statement_is_query(stmt->query)) {
        err_set(e, PB0204, "COPY of this kind of statement is not supported");
        return err_hint(e, "SELECT, INSERT, UPDATE and DELETE can be copied from.");
    }
    uint32_t start = 0, end = 0;
    bool fine;
    if (stmt->query) {
        find_query(in, &start, &end);
        struct plan_input alone = utility_query_alone(in, start, end, scratch);
        fine = analyse_query(&alone, stmt->query, scratch, out, e);
    } else {
        fine = plan_out_table(in, stmt, scratch, out, e);
    }
    if (!fine)
        return false;
    struct plan *p = out->plan;
    if (stmt->query)
        utility_query_frame(p, in->sql, start, end);
    bool split = p->kind == PLAN_INSERT;
    out->cacheable = false; /* options are literals */
    p->kind = PLAN_COPY_OUT;
    p->returns_rows = false;
    p->insert = NULL;
    struct plan_copy *copy = copy_new(p, o);
    copy->start = start;
    copy->end = stmt->query ? end : (uint32_t)in->sql.len;
    if (!stmt->query && copy->format == COPY_FORMAT_BINARY)
        out_types(in, stmt, p, copy);
    if (p->combine == COMBINE_MERGE && p->gather) { /* a server makes lines of the rows */
        p->combine = COMBINE_GATHER;
        p->finish = "each shard sorts and sends its first rows, the rest of the statement runs over them";
    }
    p->merge = NULL;
    if (p->combine != COMBINE_SAME && p->combine != COMBINE_MERGE && !split &&
        !(o->unknown && p->combine == COMBINE_CONCAT))
        return true;
    p->combine = COMBINE_NONE;
    err_set(&p->refusal, PB0201, "COPY of this statement over several shards is not supported");
    err_hint(&p->refusal, "Run the statement by itself.");
    if (p->scope == SCOPE_ALL) { /* a write to a reference table */
        *e = p->refusal;
        plan_unref(p);
        out->plan = NULL;
        return false;
    }
    return true;
}

bool utility_copy_plan(const struct plan_input *in, const PgQuery__CopyStmt *c, struct arena *scratch,
                       struct plan_result *out, struct err *e)
{
    struct copy_opts o = read_options(c, scratch);
    if (c->is_program || *tree_str(c->filename)) {
        err_set(e, PB0204, "COPY %s a %s is not supported", c->is_from ? "from" : "to",
                c->is_program ? "program" : "file on the server");
        err_detail(e, "It would be each shard's own.");
        return err_hint(e, "Use COPY ... %s, or \\copy in psql.", c->is_from ? "FROM STDIN" : "TO STDOUT");
    }
    return c->is_from ? plan_in(in, c, &o, scratch, out, e) : plan_out(in, c, &o, scratch, out, e);
}
