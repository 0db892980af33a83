/*
 * INSERT: where new rows go. The key value is hashed as it will be stored, after the assignment cast (rule P17).
 */
#include "planner/analyse_int.h"
#include "planner/lex.h"

#include <string.h>
#include <strings.h>

static void default_take(struct an *an, const struct cat_rel *rel, const struct cat_column *col)
{
    switch (col->def) {
    case CAT_DEFAULT_NULL:
    case CAT_DEFAULT_FIXED:
    case CAT_DEFAULT_GENERATED:
        break;
    case CAT_DEFAULT_MOMENT:
        an->default_moment = col->name;
        break;
    case CAT_DEFAULT_VOLATILE:
        an->default_volatile = col->name;
        break;
    case CAT_DEFAULT_SEQUENCE:
        an->default_sequence = col->name;
        break;
    case CAT_DEFAULT_OPAQUE:
        if (!an->inv.opaque)
            an->inv.opaque = arena_printf(an->a, "the default of %s.%s", rel->name, col->name);
        break;
    }
}

void default_fills(struct an *an, const struct cat_rel *rel, const struct cat_column *col)
{
    if (rel->dist != DIST_UNSHARDED)
        default_take(an, rel, col);
    else
        an->clock |= col->def == CAT_DEFAULT_MOMENT;
}

static bool is_default(const PgQuery__Node *n)
{
    return n && n->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

static int column_position(const struct cat_column *col, size_t ncol, const struct cat_column *const *cols)
{
    for (size_t i = 0; i < ncol; i++)
        if (cols[i] == col)
            return (int)i;
    return -1;
}

/* The value of a key column that the statement leaves to its default. */
static bool default_value(struct an *an, const struct cat_column *col, struct key_value *out)
{
    *out = (struct key_value){ .source = VALUE_NULL };
    if (col->def == CAT_DEFAULT_NULL)
        return true;
    an->key_unknown =
        arena_printf(an->a, "Column \"%s\" is filled by its default, which a shard would compute.", col->name);
    return false;
}

/* A column's value is placed the same once it is stored in another: an integer keeps its value or is out of range. */
static bool stored_as_is(const struct an *an, int variable, const struct cat_column *col)
{
    const struct variable *v = &an->vars[variable];
    enum key_type from, to;
    if (!key_type_of_oid(v->type, &from) || !key_type_of_oid(col->type, &to) || v->nondeterministic)
        return false;
    if (key_family(from) == FAMILY_INT && key_family(to) == FAMILY_INT)
        return true;
    return from == to && (col->typmod == -1 || col->typmod == v->typmod);
}

/* Value or source variable of a key column in one row. */
static bool row_key(struct an *an, const struct scope *s, struct assigned *a, uint32_t k, const struct cat_rel *rel,
                    const PgQuery__Node *expr, size_t row)
{
    const struct cat_column *col = &rel->columns[rel->key[k]];
    bool found;
    if (!expr || is_default(expr))
        return default_value(an, col, &a->values[k][row]);
    if (key_assign(an, expr, rel->key_type[k], &a->values[k][row]))
        return true;
    if (expr->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && a->nrow == 1) {
        int v = scope_resolve(s, expr->column_ref, &found);
        if (v != NO_COLUMN && stored_as_is(an, v, col)) {
            a->variable[k] = v;
            return true;
        }
    }
    an->key_unknown =
        arena_printf(an->a, "The value of \"%s\" is an expression, which a shard would compute.", col->name);
    return false;
}

static struct assigned *assigned_new(struct an *an, uint32_t nrow)
{
    struct assigned *a = ARENA_NEW(an->a, struct assigned);
    a->nrow = nrow;
    for (uint32_t k = 0; k < CAT_MAX_KEY; k++) {
        a->values[k] = ARENA_ARRAY(an->a, struct key_value, nrow);
        a->variable[k] = NO_COLUMN;
    }
    return a;
}

struct occurrence *assign_row(struct an *an, const struct scope *s, const struct cat_rel *rel, size_t ncol,
                              const struct cat_column *const *cols, size_t nrow, PgQuery__Node *const *const *rows,
                              const size_t *nexpr)
{
    struct occurrence *occ = occurrence_new(an, rel, rel->name, USE_INSERT);
    for (uint32_t i = 0; i < rel->ncolumn; i++) {
        int at = column_position(&rel->columns[i], ncol, cols);
        for (size_t r = 0; r < nrow; r++)
            if (at < 0 || (size_t)at >= nexpr[r] || is_default(rows[r][at]))
                default_fills(an, rel, &rel->columns[i]);
    }
    if (rel->dist == DIST_UNSHARDED)
        return occ;
    occ->assigned = assigned_new(an, (uint32_t)nrow);
    for (size_t r = 0; r < nrow; r++) {
        if (!tree_has_star(nexpr[r], rows[r]))
            continue;
        occ->assigned->unknown = true;
        an->key_unknown = "A \"*\" among the values hides which of them is the key's.";
        return occ;
    }
    for (uint32_t k = 0; k < rel->nkey; k++) {
        int at = column_position(&rel->columns[rel->key[k]], ncol, cols);
        for (size_t r = 0; r < nrow; r++)
            if (!row_key(an, s, occ->assigned, k, rel, at >= 0 && (size_t)at < nexpr[r] ? rows[r][at] : NULL, r))
                occ->assigned->unknown = true;
    }
    return occ;
}

/* The columns that the INSERT names, or all of them; NULL for a name that is no column. */
static const struct cat_column **target_columns(struct an *an, const struct cat_rel *rel,
                                                const PgQuery__InsertStmt *ins, size_t *n)
{
    *n = ins->n_cols ? ins->n_cols : rel->ncolumn;
    const struct cat_column **cols = ARENA_ARRAY(an->a, const struct cat_column *, *n);
    for (size_t i = 0; i < *n; i++)
        cols[i] = ins->n_cols ? catalog_column(rel, ins->cols[i]->res_target->name) : &rel->columns[i];
    return cols;
}

bool insert_is_values(const PgQuery__InsertStmt *ins)
{
    const PgQuery__SelectStmt *q = ins->select_stmt ? ins->select_stmt->select_stmt : NULL;
    return q && q->n_values_lists && !q->with_clause && !q->n_sort_clause && !q->limit_count && !q->limit_offset;
}

static void insert_values(struct an *an, const struct scope *s, const struct cat_rel *rel,
                          const PgQuery__InsertStmt *ins)
{
    static PgQuery__Node *const none[1] = { NULL };
    const PgQuery__SelectStmt *q = ins->select_stmt ? ins->select_stmt->select_stmt : NULL;
    size_t ncol, nrow = q ? q->n_values_lists : 1;
    PgQuery__Node *const **rows = ARENA_ARRAY(an->a, PgQuery__Node *const *, nrow);
    size_t *nexpr = ARENA_ARRAY(an->a, size_t, nrow);
    rows[0] = none;
    for (size_t r = 0; q && r < nrow; r++) {
        rows[r] = q->values_lists[r]->list->items;
        nexpr[r] = q->values_lists[r]->list->n_items;
        query_expressions(an, s, nexpr[r], rows[r]);
    }
    if (!rel)
        return;
    const struct cat_column **cols = target_columns(an, rel, ins, &ncol);
    assign_row(an, s, rel, ncol, cols, nrow, rows, nexpr);
}

/* INSERT ... SELECT: a key column takes what stands in its place of the select list. */
static void insert_query(struct an *an, const struct scope *s, const struct cat_rel *rel,
                         const PgQuery__InsertStmt *ins)
{
    const PgQuery__SelectStmt *q = ins->select_stmt->select_stmt;
    struct collist out = { 0 };
    size_t ncol;
    cut_blocked(an, "INSERT ... SELECT");
    query_select(an, s, q, false, false, &out);
    if (!rel)
        return;
    const struct cat_column **cols = target_columns(an, rel, ins, &ncol);
    struct occurrence *occ = occurrence_new(an, rel, rel->name, USE_INSERT);
    for (uint32_t i = 0; i < rel->ncolumn; i++) {
        int at = column_position(&rel->columns[i], ncol, cols);
        if (at < 0 || (!out.open && (uint32_t)at >= out.n))
            default_fills(an, rel, &rel->columns[i]);
    }
    if (rel->dist == DIST_UNSHARDED)
        return;
    occ->assigned = assigned_new(an, 1);
    bool plain = q->op == PG_QUERY__SET_OPERATION__SETOP_NONE && out.n == q->n_target_list && !out.open;
    for (size_t i = 0; i < q->n_target_list; i++)
        plain = plain && !tree_is_star(q->target_list[i]->res_target->val);
    for (uint32_t k = 0; k < rel->nkey; k++) {
        const struct cat_column *col = &rel->columns[rel->key[k]];
        int at = column_position(col, ncol, cols);
        int v = at >= 0 && !out.open && (uint32_t)at < out.n ? out.cols[at].variable : NO_COLUMN;
        bool known = false;
        if (v != NO_COLUMN) {
            known = stored_as_is(an, v, col);
            occ->assigned->variable[k] = v;
        } else if (at >= 0 && (uint32_t)at < out.n && plain) {
            known = key_assign(an, q->target_list[at]->res_target->val, rel->key_type[k], &occ->assigned->values[k][0]);
        }
        if (known)
            continue;
        occ->assigned->unknown = true;
        an->key_unknown =
            arena_printf(an->a, "The query does not give \"%s\" a value that is known beforehand.", col->name);
    }
}

static bool is_excluded_key(const PgQuery__Node *val, const char *column)
{
    return val && val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && val->column_ref->n_fields == 2 &&
           strcmp(tree_string(val->column_ref->fields[0]), "excluded") == 0 &&
           strcmp(tree_string(val->column_ref->fields[1]), column) == 0;
}

/* ON CONFLICT DO UPDATE works on the row that is there; "k = excluded.k" leaves the key as it is. */
static void on_conflict(struct an *an, const struct scope *s, const struct cat_rel *rel,
                        const PgQuery__OnConflictClause *c)
{
    for (size_t i = 0; i < c->n_target_list; i++) {
        const PgQuery__ResTarget *t = c->target_list[i]->res_target;
        const struct cat_column *col = rel ? catalog_column(rel, t->name) : NULL;
        if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
            if (t->val->multi_assign_ref->colno == 1)
                query_expression(an, s, t->val->multi_assign_ref->source);
        } else {
            query_expression(an, s, t->val);
        }
        if (col && is_default(tree_assigned(t)))
            default_fills(an, rel, col);
        if (!col || rel->dist != DIST_SHARDED || col->key < 0 || is_excluded_key(t->val, col->name) || an->failed)
            continue;
        an->failed = true;
        err_set(an->e, PB0201, "the sharding key \"%s\" of table \"%s\" cannot be updated", col->name, rel->name);
        err_hint(an->e, "Leave it out of ON CONFLICT DO UPDATE SET, or set it to excluded.%s.", col->name);
    }
    query_expression(an, s, c->where_clause);
    if (c->infer) {
        query_expressions(an, s, c->infer->n_index_elems, c->infer->index_elems);
        query_expression(an, s, c->infer->where_clause);
    }
}

void insert_statement(struct an *an, const struct scope *parent, const PgQuery__InsertStmt *ins, bool top,
                      struct collist *out)
{
    struct scope *s = scope_new(an, parent), *row;
    const PgQuery__RangeVar *rv = ins->relation;
    const struct cat_rel *rel = catalog_resolve_rel(an->in->cat, an->in->env, rv->schemaname, rv->relname);
    (void)top;
    query_with(an, s, ins->with_clause, false);
    if (!rel && !an->unknown_relation)
        an->unknown_relation =
            *tree_str(rv->schemaname) ? arena_printf(an->a, "%s.%s", rv->schemaname, rv->relname) : rv->relname;
    if (rel && (rel->view_sharded || rel->view_reference) && !an->sharded_view)
        an->sharded_view = rel;
    if (!ins->select_stmt || insert_is_values(ins))
        insert_values(an, s, rel, ins);
    else
        insert_query(an, s, rel, ins);
    /* What is said of the target's row afterwards leads nowhere: its columns get no variables. */
    row = scope_new(an, parent);
    row->ctes = s->ctes;
    struct entry *e = scope_add(an, row, rv->alias ? rv->alias->aliasname : rv->relname);
    e->list.open = true;
    scope_push_item(an, row, e->list);
    scope_add(an, row, "excluded")->list.open = true;
    if (ins->on_conflict_clause)
        on_conflict(an, row, rel, ins->on_conflict_clause);
    *out = (struct collist){ 0 };
    query_targets(an, row, ins->n_returning_list, ins->returning_list, out);
    out->open = true;
}

/* Behind an opening bracket: to its closing one. */
static void skip_brackets(struct lex *l, struct lex_token *t)
{
    int depth = 1;
    while (depth > 0 && t->kind != LEX_END) {
        lex_next(l, t);
        if (t->kind == LEX_PUNCT && (*t->start == '(' || *t->start == '['))
            depth++;
        if (t->kind == LEX_PUNCT && (*t->start == ')' || *t->start == ']'))
            depth--;
    }
}

/* Read "(...), (...)" after VALUES; false unless there are exactly n rows. */
static bool read_rows(struct lex l, const unsigned char *base, uint32_t n, struct plan_row *rows)
{
    struct lex_token t;
    for (uint32_t i = 0;; i++) {
        lex_next(&l, &t);
        if (t.kind != LEX_PUNCT || *t.start != '(' || i == n)
            return false;
        rows[i].start = (uint32_t)(t.start - base);
        skip_brackets(&l, &t);
        if (t.kind == LEX_END)
            return false;
        rows[i].end = (uint32_t)(t.end - base);
        lex_next(&l, &t);
        if (t.kind != LEX_PUNCT || *t.start != ',')
            return i + 1 == n;
    }
}

/* Where the table's name is, or the last column's: either may be "values". */
static uint32_t last_name(const PgQuery__InsertStmt *ins)
{
    int at = ins->n_cols ? ins->cols[ins->n_cols - 1]->res_target->location : ins->relation->location;
    return at < 0 ? 0 : (uint32_t)at;
}

/* The VALUES that is followed by as many rows, outside parentheses, is the one. */
bool insert_find_rows(const struct plan_input *in, const PgQuery__InsertStmt *ins, struct plan_row *rows)
{
    struct lex l;
    struct lex_token t;
    const unsigned char *base = (const unsigned char *)in->sql.ptr;
    uint32_t from = last_name(ins), n = (uint32_t)ins->select_stmt->select_stmt->n_values_lists;
    lex_init(&l, span_make(in->sql.ptr + from, in->sql.len - from), in->env->nonstandard_strings);
    lex_next(&l, &t);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (t.kind == LEX_PUNCT && *t.start == '(')
            skip_brackets(&l, &t);
        else if (t.kind == LEX_WORD && t.end - t.start == 6 && strncasecmp((const char *)t.start, "values", 6) == 0 &&
                 read_rows(l, base, n, rows))
            return true;
    }
    return false;
}

/* Not every row is inserted or updated, and what is returned does not say which. */
static bool may_skip(const PgQuery__OnConflictClause *c)
{
    return c && (c->action != PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE || c->where_clause);
}

bool insert_split(struct an *an, const PgQuery__InsertStmt *ins)
{
    if (!insert_is_values(ins) || ins->with_clause ||
        an->in->tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_COPY_STMT)
        return false;
    size_t nrow = ins->select_stmt->select_stmt->n_values_lists;
    if (nrow < 2)
        return false;
    for (uint32_t i = 0; i < an->nocc; i++)
        if (an->occs[i]->rel->dist == DIST_SHARDED && an->occs[i]->use != USE_INSERT)
            return false;
    struct arena *a = plan_arena(an->plan);
    struct plan_row *rows = ARENA_ARRAY(a, struct plan_row, nrow);
    if (!insert_find_rows(an->in, ins, rows))
        return false;
    struct plan_insert *x = ARENA_NEW(a, struct plan_insert);
    x->nrow = (uint32_t)nrow;
    x->rows = rows;
    x->skips = ins->n_returning_list > 0 && may_skip(ins->on_conflict_clause);
    plan_keep_literals(an->plan, an->in->lits);
    an->plan->kind = PLAN_INSERT;
    an->plan->insert = x;
    return true;
}
