#include "planner/gather.h"

#include "planner/arrays.h"
#include "planner/locks.h"
#include "planner/semijoin.h"
#include "planner/tokens.h"
#include "planner/typing.h"

#include <stdlib.h>
#include <string.h>

/* --- conditions about one table --- */

struct owner {
    struct an *an;
    const struct scope *s;
    struct region level;
    const struct occurrence *occ;
    bool no; /* not a condition that can go with a part */
};

static bool is_plain_call(const struct an *an, const PgQuery__FuncCall *f)
{
    const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
    if (f->over || f->agg_star || f->agg_distinct || f->agg_within_group || f->n_agg_order || f->agg_filter)
        return false;
    return !catalog_user_function(an->in->cat, schema, name) && !catalog_builtin_function(an->in->cat, name);
}

/* A parameter whose type does not come from elsewhere in the statement. */
static bool param_stands_alone(const struct an *an, const PgQuery__ParamRef *p)
{
    uint32_t i = (uint32_t)p->number - 1;
    if (p->number <= 0 || i >= an->inv.nparam)
        return false;
    return (i < an->in->ntype && an->in->types[i]) || an->inv.param_uses[i] == 1;
}

/* Does the reference mean the same column in a query of nothing but the table? A join's alias may call it otherwise. */
static bool is_own_name(const PgQuery__ColumnRef *ref, const struct occurrence *occ, int variable)
{
    const char *column = tree_string(ref->fields[ref->n_fields - 1]);
    if (strcmp(column, occ->rel->columns[variable - occ->first_variable].name) != 0)
        return false;
    return ref->n_fields == 1 || (ref->n_fields == 2 && strcmp(tree_string(ref->fields[0]), occ->name) == 0);
}

static void owner_column(struct owner *o, const PgQuery__ColumnRef *ref)
{
    bool found;
    int v = scope_resolve(o->s, ref, &found);
    const struct occurrence *occ = v == NO_COLUMN ? NULL : o->an->vars[v].occ;
    if (!found || !occ || v < o->level.first || v >= o->level.end || (o->occ && o->occ != occ) ||
        !is_own_name(ref, occ, v))
        o->no = true;
    else
        o->occ = occ;
}

static void owner_visit(const ProtobufCMessage *m, void *arg)
{
    struct owner *o = arg;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const void *v = m;
    if (d == &pg_query__column_ref__descriptor) {
        owner_column(o, v);
        return;
    }
    if (d == &pg_query__sub_link__descriptor || d == &pg_query__sqlvalue_function__descriptor ||
        d == &pg_query__a__indirection__descriptor || d == &pg_query__current_of_expr__descriptor)
        o->no = true;
    else if (d == &pg_query__func_call__descriptor)
        o->no |= !is_plain_call(o->an, v);
    else if (d == &pg_query__a__expr__descriptor)
        o->no |= !is_catalog_operator(o->an, ((const PgQuery__AExpr *)v)->n_name, ((const PgQuery__AExpr *)v)->name);
    else if (d == &pg_query__param_ref__descriptor)
        o->no |= !param_stands_alone(o->an, v);
    tree_children(m, owner_visit, arg);
}

/* A condition above such a side would judge other rows. */
bool gather_is_filled(const PgQuery__Node *item, const PgQuery__RangeVar *rv, bool filled, bool *found)
{
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR && item->range_var == rv) {
        *found = true;
        return filled;
    }
    if (item->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR)
        return false;
    const PgQuery__JoinExpr *x = item->join_expr;
    bool left = x->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT || x->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    bool right = x->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT || x->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL;
    return gather_is_filled(x->larg, rv, filled || left, found) ||
           gather_is_filled(x->rarg, rv, filled || right, found);
}

/* Whose condition it is, and where that stands. */
struct place {
    const PgQuery__SelectStmt *query; /* WHERE of this; NULL: */
    const PgQuery__JoinExpr *join;    /* ON of this */
};

/* Rows of the table that the condition does not hold for have no part in what stands there. */
static bool can_filter(const struct place *at, const struct occurrence *occ)
{
    const PgQuery__JoinExpr *x = at->join;
    bool found = false, filled = false;
    if (!occ->mention || (occ->mention->alias && occ->mention->alias->n_colnames))
        return false;
    for (size_t i = 0; at->query && i < at->query->n_from_clause; i++)
        filled |= gather_is_filled(at->query->from_clause[i], occ->mention, false, &found);
    /* A side that outer rows are kept of is not filtered by ON. */
    if (x && (x->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER || x->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT))
        filled |= gather_is_filled(x->larg, occ->mention, false, &found);
    if (x && (x->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER || x->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT))
        filled |= gather_is_filled(x->rarg, occ->mention, false, &found);
    return found && !filled;
}

static void note_conditions(struct an *an, const struct scope *s, struct region level, PgQuery__Node *w,
                            struct place at)
{
    PgQuery__Node **args = &w;
    size_t n = 1;
    if (!w)
        return;
    if (w->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR && w->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        args = w->bool_expr->args;
        n = w->bool_expr->n_args;
    }
    for (size_t i = 0; i < n; i++) {
        struct owner o = { .an = an, .s = s, .level = level };
        const ProtobufCMessage *m = tree_message(args[i]);
        if (m)
            owner_visit(m, &o);
        if (o.no || !o.occ || !can_filter(&at, o.occ))
            continue;
        struct lone_condition *c = ARENA_NEW(an->a, struct lone_condition);
        *c = (struct lone_condition){ .next = an->lone,
                                      .occ = o.occ,
                                      .where = w,
                                      .on = at.join != NULL,
                                      .index = (uint32_t)i,
                                      .count = (uint32_t)n };
        an->lone = c;
    }
}

/* An alias hides the names within; a name means the same in ON as in WHERE, or is not clear in one of them. */
static void note_join(struct an *an, const struct scope *s, struct region level, const PgQuery__Node *item)
{
    if (item->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR || item->join_expr->alias)
        return;
    note_join(an, s, level, item->join_expr->larg);
    note_join(an, s, level, item->join_expr->rarg);
    note_conditions(an, s, level, item->join_expr->quals, (struct place){ .join = item->join_expr });
}

void gather_note(struct an *an, const struct scope *s, struct region level, const PgQuery__SelectStmt *q)
{
    for (size_t i = 0; i < q->n_from_clause; i++)
        note_join(an, s, level, q->from_clause[i]);
    note_conditions(an, s, level, q->where_clause, (struct place){ .query = q });
}

/* --- the text of a condition --- */

/* A column may be called as any keyword then. */
static bool is_after_dot(const struct tokens *ts, uint32_t i)
{
    return i > 0 && token_is(ts, i - 1, ".");
}

static bool ends_where(const struct tokens *ts, uint32_t i, int depth)
{
    static const char *const words[] = { "group", "having", "window", "order",     "limit",  "offset",
                                         "fetch", "for",    "union",  "intersect", "except", ";" };
    if (ts->v[i].depth < depth)
        return true;
    for (size_t k = 0; ts->v[i].depth == depth && !is_after_dot(ts, i) && k < ARRAY_LEN(words); k++)
        if (keyword_is(ts, i, words[k]) || (words[k][0] == ';' && token_is(ts, i, ";")))
            return true;
    return false;
}

/* What follows a condition of a join: LEFT and its kin are functions, too. */
static bool ends_on(const struct tokens *ts, uint32_t i, int depth)
{
    static const char *const words[] = { "where", "on",      "using", "join",  "inner",
                                         "cross", "natural", "left",  "right", "full" };
    for (size_t k = 0; ts->v[i].depth == depth && !is_after_dot(ts, i) && k < ARRAY_LEN(words); k++)
        if (keyword_is(ts, i, words[k]) && (k < 4 || !token_is(ts, i + 1, "(")))
            return true;
    return (ts->v[i].depth == depth && token_is(ts, i, ",")) || ends_where(ts, i, depth);
}

/* The token behind the WHERE, or ON, that the byte `low` belongs to; n: not found. */
static uint32_t where_begin(const struct tokens *ts, uint32_t low, const char *word)
{
    uint32_t i = token_at(ts, low);
    if (i == ts->n)
        return i;
    for (int depth = ts->v[i].depth;; i--) {
        depth = ts->v[i].depth < depth ? ts->v[i].depth : depth;
        if (keyword_is(ts, i, word) && ts->v[i].depth == depth)
            return i + 1;
        if (i == 0)
            return ts->n;
    }
}

/*
 * Cut a WHERE, or ON, into its conditions by the ANDs between them; the tree says how many there must be, and its
 * locations that each piece is the condition it is taken for. False: the text is not as plain as that.
 */
static bool where_cut(const struct tokens *ts, const struct lone_condition *c, struct plan_row *out)
{
    PgQuery__Node *const *args = c->count > 1 ? c->where->bool_expr->args : NULL;
    struct extent all = extent_of(c->where), one = args ? extent_of(args[c->index]) : all;
    uint32_t i = all.low < 0 ? ts->n : where_begin(ts, (uint32_t)all.low, c->on ? "on" : "where");
    uint32_t piece = 0, between = 0;
    if (i >= ts->n || one.low < 0)
        return false;
    int depth = ts->v[i].depth;
    struct plan_row cut = { ts->v[i].start, ts->v[i].end }, found = { 0, 0 };
    for (; i < ts->n && !(c->on ? ends_on : ends_where)(ts, i, depth); i++) {
        if (ts->v[i].depth == depth && keyword_is(ts, i, "between"))
            between++;
        if (args && ts->v[i].depth == depth && keyword_is(ts, i, "and") && between-- == 0) {
            between = 0;
            if (piece++ == c->index)
                found = cut;
            if (i + 1 >= ts->n)
                return false;
            cut = (struct plan_row){ ts->v[i + 1].start, ts->v[i + 1].end };
            continue;
        }
        cut.end = ts->v[i].end;
    }
    if (piece++ == c->index)
        found = cut;
    *out = found;
    return piece == c->count && found.end > found.start && (uint32_t)one.low >= found.start &&
           (uint32_t)one.high < found.end;
}

/* --- what a part needs --- */

struct names_level {
    const struct names_level *outer;
    const PgQuery__SelectStmt *query;
};

/* A column's name, and the table's before it, if that says whose it is; else NULL. */
struct name {
    const char *column, *table;
};

struct names {
    struct an *an;
    const ProtobufCMessage **gone; /* conditions that go with a part, sorted */
    uint32_t ngone;
    const struct names_level *level; /* innermost query around what is looked at */
    const PgQuery__ColumnRef *idle;  /* a star that means no column */
    struct name *v;
    uint32_t n, cap;
    bool all;          /* every column may be meant */
    bool aliased;      /* a join has an alias: what stands before a column may be that */
    bool groups;       /* there is a GROUP BY */
    const char *whole; /* a table's whole row where its type would show */
};

static int by_address(const void *a, const void *b)
{
    const ProtobufCMessage *x = *(const ProtobufCMessage *const *)a, *y = *(const ProtobufCMessage *const *)b;
    return x < y ? -1 : x > y;
}

static void names_add_of(struct names *ns, const char *name, const char *table)
{
    if (!*name)
        return;
    if (ns->n == ns->cap) {
        struct name *more = ARENA_ARRAY(ns->an->a, struct name, ns->cap ? ns->cap * 2 : 32);
        if (ns->n)
            memcpy(more, ns->v, ns->n * sizeof *more);
        ns->v = more;
        ns->cap = ns->cap ? ns->cap * 2 : 32;
    }
    ns->v[ns->n++] = (struct name){ name, table };
}

static void names_add(struct names *ns, const char *name)
{
    names_add_of(ns, name, NULL);
}

static bool names_have(const struct names *ns, const struct occurrence *occ, const char *column)
{
    for (uint32_t i = 0; i < ns->n; i++)
        if (strcmp(ns->v[i].column, column) == 0 &&
            (!ns->v[i].table || ns->aliased || strcmp(ns->v[i].table, occ->name) == 0))
            return true;
    return false;
}

/* Is it the name of a table that is gathered, wherever it is known by that? */
static bool names_table(const struct names *ns, const char *name)
{
    for (uint32_t i = 0; i < ns->an->nocc; i++)
        if (strcmp(ns->an->occs[i]->name, name) == 0)
            return true;
    return false;
}

static bool item_has(const PgQuery__Node *item, const PgQuery__RangeVar *rv)
{
    if (item->node_case == PG_QUERY__NODE__NODE_RANGE_VAR)
        return item->range_var == rv;
    return item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR &&
           (item_has(item->join_expr->larg, rv) || item_has(item->join_expr->rarg, rv));
}

/* Is the table in FROM of a query around this place? */
static bool is_around(const struct names *ns, const struct occurrence *occ)
{
    for (const struct names_level *l = ns->level; l; l = l->outer)
        for (size_t i = 0; i < l->query->n_from_clause; i++)
            if (item_has(l->query->from_clause[i], occ->mention))
                return true;
    return false;
}

/* A single name that is a table's: its row as a value, if it is not a column's as well and that is meant. */
static bool is_row(const struct names *ns, const PgQuery__ColumnRef *ref)
{
    const char *name = ref->n_fields == 1 ? tree_string(ref->fields[0]) : "";
    for (uint32_t i = 0; *name && i < ns->an->nocc; i++) {
        const struct occurrence *occ = ns->an->occs[i];
        if (strcmp(occ->name, name) == 0 && is_around(ns, occ) && !catalog_column(occ->rel, name))
            return true;
    }
    return false;
}

static void names_visit(const ProtobufCMessage *m, void *arg);

/* Functions that only count a row or take it apart by name: a row of the temporary table is as good. */
static bool takes_rows(const struct names *ns, const char *name)
{
    static const char *const names[] = {
        "count",       "json_agg",          "json_build_array",   "json_build_object", "jsonb_agg",
        "row_to_json", "jsonb_build_array", "jsonb_build_object", "to_json",           "to_jsonb",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (uint32_t i = 0; i < ns->an->nocc; i++) /* name(table) is table.name */
        if (catalog_column(ns->an->occs[i]->rel, name))
            return true;
    return false;
}

static void names_arguments(struct names *ns, const char *function, size_t n, PgQuery__Node *const *args)
{
    names_add(ns, function);
    for (size_t i = 0; i < n; i++) {
        if (args[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && is_row(ns, args[i]->column_ref) &&
            takes_rows(ns, function))
            ns->all = true;
        else if (tree_message(args[i]))
            names_visit(tree_message(args[i]), ns);
    }
}

static void names_column(struct names *ns, const PgQuery__ColumnRef *ref)
{
    const PgQuery__Node *last = ref->fields[ref->n_fields - 1]; /* before it stand a table's name and its schema's */
    if (last->node_case == PG_QUERY__NODE__NODE_A_STAR)
        ns->all |= ref != ns->idle;
    else if (ref->n_fields == 2 && names_table(ns, tree_string(ref->fields[0])))
        names_add_of(ns, tree_string(last), tree_string(ref->fields[0]));
    else
        names_add(ns, tree_string(last));
    if (is_row(ns, ref))
        ns->whole = tree_string(ref->fields[0]);
    if (ref->n_fields > 2)
        ns->whole = tree_string(ref->fields[1]); /* schema.table.column would not find the temporary table */
}

/* t IS NULL, (t).*, (t).column of a table's row t: a row of the temporary table with all columns is as good. (t).name
 * may be a function's that takes the row: its type would show. */
static bool names_row_operand(struct names *ns, const ProtobufCMessage *m)
{
    const PgQuery__Node *row = NULL;
    bool plain = true;
    if (m->descriptor == &pg_query__null_test__descriptor)
        row = ((const PgQuery__NullTest *)m)->arg;
    if (m->descriptor == &pg_query__a__indirection__descriptor) {
        const PgQuery__AIndirection *of = (const PgQuery__AIndirection *)m;
        row = of->arg;
        plain = of->n_indirection == 1 && of->indirection[0]->node_case == PG_QUERY__NODE__NODE_A_STAR;
        const char *name = of->n_indirection > 0 ? tree_string(of->indirection[0]) : "";
        for (size_t i = 1; i < of->n_indirection; i++) /* subscripts */
            names_visit(tree_message(of->indirection[i]), ns);
        for (uint32_t i = 0; *name && row && row->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && i < ns->an->nocc; i++)
            plain |= strcmp(ns->an->occs[i]->name, tree_string(row->column_ref->fields[0])) == 0 &&
                     catalog_column(ns->an->occs[i]->rel, name);
    }
    if (!row || !plain || row->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || !is_row(ns, row->column_ref))
        return false;
    ns->all = true;
    return true;
}

/* The star of EXISTS (SELECT * FROM ...), if nothing of the query looks at its columns; else NULL. */
static const PgQuery__ColumnRef *idle_star(const PgQuery__SubLink *l)
{
    if (l->sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK ||
        l->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return NULL;
    const PgQuery__SelectStmt *q = l->subselect->select_stmt;
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE || q->n_target_list != 1 || q->n_distinct_clause ||
        q->n_group_clause || q->having_clause || q->n_sort_clause ||
        q->target_list[0]->node_case != PG_QUERY__NODE__NODE_RES_TARGET)
        return NULL;
    const PgQuery__Node *value = q->target_list[0]->res_target->val;
    return value->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? value->column_ref : NULL;
}

static void names_query(struct names *ns, const PgQuery__SelectStmt *q)
{
    const struct names_level *outer = ns->level, level = { outer, q };
    ns->groups |= q->n_group_clause > 0;
    ns->level = &level;
    tree_children(&q->base, names_visit, ns);
    ns->level = outer;
}

static void names_visit(const ProtobufCMessage *m, void *arg)
{
    struct names *ns = arg;
    const void *v = m;
    if (ns->ngone && bsearch(&m, ns->gone, ns->ngone, sizeof(*ns->gone), by_address))
        return;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        names_column(ns, v);
        return;
    }
    if (m->descriptor == &pg_query__func_call__descriptor) {
        const PgQuery__FuncCall *f = v;
        const char *schema, *name = tree_name(f->n_funcname, f->funcname, &schema);
        bool user = catalog_user_function(ns->an->in->cat, schema, name) != NULL || strcmp(name, "pg_typeof") == 0;
        if (!user) {
            names_arguments(ns, name, f->n_args, f->args);
            for (size_t i = 0; i < f->n_agg_order; i++)
                names_visit(tree_message(f->agg_order[i]), ns);
            if (f->agg_filter)
                names_visit(tree_message(f->agg_filter), ns);
            if (f->over)
                names_visit(&f->over->base, ns);
            return;
        }
    }
    if (names_row_operand(ns, m))
        return;
    if (m->descriptor == &pg_query__join_expr__descriptor) {
        const PgQuery__JoinExpr *x = v;
        ns->all |= x->is_natural || (x->alias && x->alias->n_colnames > 0);
        ns->aliased |= x->alias || x->join_using_alias;
        for (size_t i = 0; i < x->n_using_clause; i++)
            names_add(ns, tree_string(x->using_clause[i]));
    }
    if (m->descriptor == &pg_query__sub_link__descriptor)
        ns->idle = idle_star(v);
    if (m->descriptor == &pg_query__select_stmt__descriptor) {
        names_query(ns, v);
        return;
    }
    /* alias(a, b) renames by position. */
    if (m->descriptor == &pg_query__range_var__descriptor) {
        const PgQuery__RangeVar *rv = v;
        ns->all |= rv->alias && rv->alias->n_colnames > 0;
    }
    tree_children(m, names_visit, arg);
}

bool gather_is_catalog_number(uint32_t type)
{
    static const uint32_t oids[] = { 24,   26,   2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
                                     1008, 1028, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090, 4097, 4192 };
    for (size_t i = 0; i < ARRAY_LEN(oids); i++)
        if (oids[i] == type)
            return true;
    return false;
}

bool gather_has_no_binary(uint32_t type)
{
    static const uint32_t oids[] = { 1033, 1034, 3642, 3644 }; /* aclitem, gtsvector, and arrays of them */
    for (size_t i = 0; i < ARRAY_LEN(oids); i++)
        if (oids[i] == type)
            return true;
    return false;
}

static const char *quoted(struct an *an, const char *name)
{
    struct strbuf sb = STRBUF_INIT;
    strbuf_put_ident(&sb, span_str(name));
    const char *copy = arena_strdup(plan_arena(an->plan), strbuf_str(&sb));
    strbuf_fini(&sb);
    return copy;
}

static bool refuse_gather(struct an *an, const char *why)
{
    struct err *r = &an->plan->refusal;
    err_detail(r, "Its rows cannot be gathered on one server either: %s.", why);
    return false;
}

/* With GROUP BY of a primary key, the table's other columns need not be named: PostgreSQL looks for that key (rule
 * P33). */
static void part_primary_key(struct an *an, const struct occurrence *occ, struct gather_part *p)
{
    struct strbuf sb = STRBUF_INIT;
    for (uint32_t i = 0; i < occ->rel->ncolumn; i++) {
        if (!occ->rel->columns[i].primary)
            continue;
        strbuf_puts(&sb, sb.len ? ", " : "");
        strbuf_put_ident(&sb, span_str(occ->rel->columns[i].name));
    }
    if (sb.len)
        p->primary_key = arena_strdup(plan_arena(an->plan), sb.ptr);
    strbuf_fini(&sb);
}

/* places: by column of the table, 1 + where it is among the part's columns. */
static bool part_columns(struct an *an, const struct names *ns, const struct occurrence *occ, struct gather_part *p,
                         uint16_t *places)
{
    struct strbuf sb = STRBUF_INIT;
    struct gather_type *types = ARENA_ARRAY(plan_arena(an->plan), struct gather_type, occ->rel->ncolumn + 1);
    bool whole_key = true;
    for (uint32_t i = 0; i < occ->rel->ncolumn; i++) {
        const struct cat_column *c = &occ->rel->columns[i];
        if (!ns->all && !names_have(ns, occ, c->name)) {
            whole_key &= !c->primary;
            continue;
        }
        const char *why = gather_is_catalog_number(c->type) ? "holds numbers of one server's catalog"
                          : gather_has_no_binary(c->type)   ? "has a type without a binary form"
                                                            : NULL;
        if (why) {
            strbuf_fini(&sb);
            return refuse_gather(an, arena_printf(an->a, "column \"%s\" %s", c->name, why));
        }
        strbuf_puts(&sb, sb.len ? ", " : "");
        strbuf_put_ident(&sb, span_str(c->name));
        p->collated |= c->collated;
        types[p->ncolumn] = (struct gather_type){ c->type, c->typmod, quoted(an, c->name) };
        places[i] = (uint16_t)++p->ncolumn;
    }
    p->types = types;
    p->columns = arena_strdup(plan_arena(an->plan), strbuf_str(&sb));
    strbuf_fini(&sb);
    if (ns->groups && whole_key)
        part_primary_key(an, occ, p);
    return true;
}

/* The tokens of a name: word [. word [. word]]. */
static bool part_place(struct an *an, const struct tokens *ts, const struct occurrence *occ, struct gather_part *p)
{
    uint32_t i = token_at(ts, (uint32_t)occ->mention->location);
    if (i >= ts->n || ts->v[i].start != (uint32_t)occ->mention->location ||
        (ts->v[i].kind != LEX_WORD && ts->v[i].kind != LEX_QUOTED))
        return refuse_gather(an, "the text is not plain enough");
    bool command = i > 0 && keyword_is(ts, i - 1, "table");
    p->start = ts->v[i].start;
    while (i + 2 < ts->n && token_is(ts, i + 1, "."))
        i += 2;
    p->end = ts->v[i].end;
    p->put_alias = !occ->mention->alias && !command;
    bool star = i + 1 < ts->n && token_is(ts, i + 1, "*");
    p->plain = occ->mention->inh && !command && !star;
    if (p->put_alias && star)
        return refuse_gather(an, "a table name with an asterisk");
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct plan_row *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* What goes with the part, in the statement's order: one condition may keep the next from failing. */
static void part_filters(struct an *an, const struct occurrence *occ, struct gather_part *p)
{
    uint32_t n = 0;
    for (const struct lone_condition *c = an->lone; c; c = c->next)
        n += c->occ == occ && c->goes;
    struct plan_row *rows = ARENA_ARRAY(plan_arena(an->plan), struct plan_row, n);
    for (const struct lone_condition *c = an->lone; c; c = c->next)
        if (c->occ == occ && c->goes)
            rows[p->nfilter++] = c->text;
    if (n)
        qsort(rows, n, sizeof(*rows), by_start);
    p->filters = rows;
}

static const ProtobufCMessage *condition_message(const struct lone_condition *c)
{
    return tree_message(c->count > 1 ? c->where->bool_expr->args[c->index] : c->where);
}

/* Which conditions go with the parts: noted for the statement, and for who looks for its names. */
static void filters_choose(struct an *an, const struct tokens *ts, struct names *ns, struct plan_gather *g)
{
    uint32_t n = 0;
    for (struct lone_condition *c = an->lone; c; c = c->next) {
        c->goes = !an->inv.moment_literal && !c->occ->rel->row_security && where_cut(ts, c, &c->text);
        n += c->goes;
    }
    struct plan_row *dropped = ARENA_ARRAY(plan_arena(an->plan), struct plan_row, n);
    ns->gone = ARENA_ARRAY(an->a, const ProtobufCMessage *, n);
    for (const struct lone_condition *c = an->lone; c; c = c->next) {
        if (!c->goes)
            continue;
        ns->gone[ns->ngone++] = condition_message(c);
        dropped[g->ndropped++] = c->text;
    }
    if (n) {
        qsort(ns->gone, n, sizeof(*ns->gone), by_address);
        qsort(dropped, n, sizeof(*dropped), by_start);
    }
    g->dropped = dropped;
}

static bool part_make(struct an *an, const struct tokens *ts, const struct names *ns, const struct occurrence *occ,
                      struct gather_part *p, uint16_t *places)
{
    *p = (struct gather_part){ .alias = quoted(an, occ->name), .scope = SCOPE_ANY };
    p->table = arena_printf(plan_arena(an->plan), "%s.%s", quoted(an, occ->rel->schema), quoted(an, occ->rel->name));
    if (!part_place(an, ts, occ, p) || !part_columns(an, ns, occ, p, places))
        return false;
    if (occ->rel->dist == DIST_UNSHARDED)
        p->scope = SCOPE_HOME;
    if (occ->rel->dist == DIST_SHARDED) {
        p->scope = SCOPE_KEYED;
        class_of_occurrence(an, occ, &p->keys);
    }
    part_filters(an, occ, p);
    return true;
}

/* --- whether it can be one --- */

static const char *why_not(const struct an *an)
{
    if (an->inv.system_column)
        return "system columns are not carried along";
    if (an->inv.each_server)
        return "every server tells its own";
    if (an->inv.tablesample)
        return "TABLESAMPLE chooses rows of the table itself";
    if (an->inv.home_function || an->inv.home_writes)
        return "it calls a function that belongs to one server";
    if (an->inv.declared)
        return "it calls functions that may look at tables";
    for (uint32_t i = 0; i < an->nocc; i++) {
        const struct cat_rel *rel = an->occs[i]->rel;
        if (an->occs[i]->use != USE_READ || !an->occs[i]->mention)
            return "it changes rows";
        if (rel->system)
            return "it reads the system catalog";
        if (rel->kind != 'r')
            return "only ordinary tables can be";
    }
    return NULL;
}

/* Rows that are locked should be those of the answer, or not many more. */
static bool locks_some(struct an *an, const struct gather_part *parts, uint32_t npart)
{
    for (uint32_t i = 0; i < npart; i++) {
        if (!parts[i].lock || parts[i].nfilter || parts[i].nlocal)
            continue;
        err_hint(&an->plan->refusal, "Give the table a condition of its own, or do not lock it: FOR UPDATE OF ...");
        return refuse_gather(an, arena_printf(an->a, "every row of %s would be locked", parts[i].alias));
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    int32_t x = (*(const struct occurrence *const *)a)->mention->location;
    int32_t y = (*(const struct occurrence *const *)b)->mention->location;
    return x < y ? -1 : x > y;
}

bool gather_try(struct an *an, const PgQuery__Node *stmt)
{
    struct names ns = { .an = an };
    struct tokens ts;
    const char *no = locks_why_not(an, stmt);
    no = no ? no : why_not(an);
    if (stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return false;
    if (no)
        return refuse_gather(an, no);
    if (an->nocc > GATHER_PARTS_MAX)
        return refuse_gather(an, arena_printf(an->a,
                                              "it names tables %u times, and each time makes a temporary table; "
                                              "%u are allowed",
                                              an->nocc, GATHER_PARTS_MAX));
    tokens_read(an, &ts);
    struct plan_gather *g = ARENA_NEW(plan_arena(an->plan), struct plan_gather);
    filters_choose(an, &ts, &ns, g);
    names_visit(an->stmt, &ns);
    if (ns.whole)
        return refuse_gather(an, arena_printf(an->a, "\"%s\" is used as a row or with its schema", ns.whole));
    struct gather_part *parts = ARENA_ARRAY(plan_arena(an->plan), struct gather_part, an->nocc);
    const struct occurrence **occs = ARENA_ARRAY(an->a, const struct occurrence *, an->nocc);
    uint16_t **places = ARENA_ARRAY(an->a, uint16_t *, an->nocc);
    memcpy(occs, an->occs, an->nocc * sizeof(struct occurrence *));
    qsort(occs, an->nocc, sizeof *occs, by_place);
    for (uint32_t i = 0; i < an->nocc; i++) {
        places[i] = ARENA_ARRAY(an->a, uint16_t, occs[i]->rel->ncolumn);
        if (!part_make(an, &ts, &ns, occs[i], &parts[i], places[i]))
            return false;
        parts[i].lock = an->inv.locking ? locks_of(an, stmt, occs[i]) : NULL;
        g->locks |= parts[i].lock != NULL;
        g->always |= occs[i]->rel->dist == DIST_UNSHARDED;
    }
    for (uint32_t i = 1; i < an->nocc; i++)
        if (parts[i].start < parts[i - 1].end)
            return refuse_gather(an, "the text is not plain enough");
    g->npart = an->nocc;
    g->parts = parts;
    g->moment = an->inv.moment || an->inv.moment_literal;
    g->seen = ARENA_ARRAY(plan_arena(an->plan), _Atomic uint64_t, an->nocc);
    semijoin_find(an, g, occs, places);
    semijoin_find_local(an, parts, g->npart, occs);
    if (!locks_some(an, parts, g->npart))
        return false;
    g->arrays = arrays_decide(an, g);
    an->plan->gather = g;
    if (g->always)
        an->plan->kind = PLAN_GATHER;
    if (g->always)
        plan_reason(an->plan, "rows of %u tables are gathered on the home shard, where the statement runs", g->npart);
    return true;
}
