/*
 * CREATE TABLE. Under a sharding_key rule a table that has the rule's column is born sharded: the router adds to the
 * statement what makes it so (exec_put_ddl), on every shard and in the same transaction (P39).
 */
#include "planner/analyse_int.h"
#include "planner/ddl_int.h"
#include "planner/lex.h"
#include "planner/types.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* CREATE_TABLE_LIKE_*: PostgreSQL's nodes/parsenodes.h. */
enum { LIKE_CONSTRAINTS = 1 << 2, LIKE_INDEXES = 1 << 6 };

static bool refuse_key(struct ddl *d, const char *hint, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool refuse_key(struct ddl *d, const char *hint, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)ddl_refuse(d, PB0207, hint, "%s", text);
    return err_detail(d->e, "The setting sharding_key says that a table with this column is sharded by it.");
}

/* --- types --- */

static bool modifiers(const PgQuery__TypeName *t, size_t max, int32_t out[2])
{
    if (t->n_typmods > max)
        return false;
    for (size_t i = 0; i < t->n_typmods; i++) {
        const PgQuery__Node *n = t->typmods[i];
        if (n->node_case != PG_QUERY__NODE__NODE_A_CONST || n->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
            return false;
        out[i] = n->a_const->ival->ival;
    }
    return true;
}

/* Types as the grammar writes them; those that users write themselves come without pg_catalog. */
static bool key_type_named(const char *name, enum key_type *type)
{
    static const struct {
        const char *name;
        enum key_type type;
    } names[] = {
        { "int2", KEY_INT2 },    { "smallserial", KEY_INT2 }, { "serial2", KEY_INT2 },        { "int4", KEY_INT4 },
        { "serial", KEY_INT4 },  { "serial4", KEY_INT4 },     { "int8", KEY_INT8 },           { "bigserial", KEY_INT8 },
        { "serial8", KEY_INT8 }, { "text", KEY_TEXT },        { "varchar", KEY_VARCHAR },     { "bpchar", KEY_BPCHAR },
        { "uuid", KEY_UUID },    { "numeric", KEY_NUMERIC },  { "timestamp", KEY_TIMESTAMP }, { "date", KEY_DATE },
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *type = names[i].type;
            return true;
        }
    }
    return false;
}

static bool key_typmod(const PgQuery__TypeName *t, enum key_type type, int32_t *typmod)
{
    int32_t mods[2] = { 0, 0 };
    *typmod = -1;
    switch (type) {
    case KEY_VARCHAR:
    case KEY_BPCHAR:
        if (!modifiers(t, 1, mods))
            return false;
        *typmod = t->n_typmods ? mods[0] + 4 : -1;
        return true;
    case KEY_NUMERIC:
        if (!modifiers(t, 2, mods))
            return false;
        *typmod = t->n_typmods ? (int32_t)(((uint32_t)mods[0] << 16) | ((uint32_t)mods[1] & 0x7ff)) + 4 : -1;
        return true;
    case KEY_TIMESTAMP:
        if (!modifiers(t, 1, mods))
            return false;
        *typmod = t->n_typmods ? mods[0] : -1;
        return true;
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
    case KEY_TEXT:
    case KEY_UUID:
    case KEY_DATE:
        return t->n_typmods == 0;
    case KEY_TYPE_COUNT:
        break;
    }
    return false;
}

static bool key_type_of(struct ddl *d, const PgQuery__TypeName *t, enum key_type *type, int32_t *typmod)
{
    const char *schema, *name = tree_name(t->n_names, t->names, &schema);
    if (t->setof || t->pct_type || t->n_array_bounds || t->n_names > 2)
        return false;
    if (*schema ? strcmp(schema, "pg_catalog") != 0 : !env_catalog_first(d->in->env))
        return false;
    return key_type_named(name, type) && key_typmod(t, *type, typmod);
}

static bool collation_harmless(const PgQuery__CollateClause *c)
{
    static const char *const known[] = { "default", "C", "POSIX", "ucs_basic" };
    for (size_t i = 0; c && i < ARRAY_LEN(known); i++)
        if (tree_name_is(c->n_collname, c->collname, known[i]))
            return true;
    return !c;
}

/* --- the rule --- */

/* A column of the table to be, from the statement or from a table it is like. */
struct found {
    const PgQuery__ColumnDef *def; /* NULL: of `like` */
    const struct cat_rel *like;
    const struct cat_column *column;
};

static bool find_column(struct ddl *d, const PgQuery__CreateStmt *s, const char *name, struct found *out)
{
    *out = (struct found){ 0 };
    for (size_t i = 0; i < s->n_table_elts; i++) {
        const PgQuery__Node *elt = s->table_elts[i];
        if (elt->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF && strcmp(elt->column_def->colname, name) == 0) {
            out->def = elt->column_def;
            return true;
        }
        if (elt->node_case != PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE)
            continue;
        const PgQuery__RangeVar *rv = elt->table_like_clause->relation;
        out->like = catalog_resolve_rel(d->in->cat, d->in->env, tree_str(rv->schemaname), rv->relname);
        out->column = out->like ? catalog_column(out->like, name) : NULL;
        if (out->column)
            return true;
    }
    return false;
}

static const char *rule_column(struct ddl *d, const PgQuery__CreateStmt *s, struct found *out)
{
    const char *const *keys = d->in->options->sharding_keys;
    for (size_t i = 0; keys && keys[i]; i++)
        if (find_column(d, s, keys[i], out))
            return keys[i];
    return NULL;
}

static bool take_key(struct ddl *d, const char *column, const struct found *f)
{
    struct plan_ddl *o = d->out;
    if (f->def) {
        if (!key_type_of(d, f->def->type_name, &o->shard_type, &o->shard_typmod)) {
            const char *schema, *name = tree_name(f->def->type_name->n_names, f->def->type_name->names, &schema);
            return refuse_key(
                d,
                "Sharding keys are smallint, integer, bigint, text, varchar, char, uuid, numeric, date or timestamp.",
                "column \"%s\" of type %s%s cannot be a sharding key", column, name,
                f->def->type_name->n_array_bounds ? "[]" : "");
        }
        if (!collation_harmless(f->def->coll_clause))
            return refuse_key(d, "Use the default collation or \"C\".",
                              "column \"%s\" with a collation of its own cannot be a sharding key", column);
        for (size_t i = 0; i < f->def->n_constraints; i++)
            if (f->def->constraints[i]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED)
                return refuse_key(d, NULL, "generated column \"%s\" cannot be a sharding key", column);
    } else if (!key_type_of_oid(f->column->type, &o->shard_type) || f->column->nondeterministic) {
        return refuse_key(d, NULL, "column \"%s\" of table \"%s\" cannot be a sharding key", column, f->like->name);
    } else {
        o->shard_typmod = f->column->typmod;
    }
    o->shard_column = arena_strdup(plan_arena(d->plan), column);
    return true;
}

/* LIKE: the source must be on every shard, and what is copied beside its columns must be right for the new table. */
static bool check_like(struct ddl *d, const PgQuery__TableLikeClause *like, const struct ddl_table *t)
{
    const struct cat_rel *rel;
    if (!ddl_rel(d, like->relation, &rel))
        return false;
    if (!rel)
        return true;
    if (t->dist == DIST_SHARDED && ddl_dist(d, rel) == DIST_UNSHARDED)
        return refuse_key(d, "Write its columns out.",
                          "a sharded table cannot be made LIKE table \"%s\", which is on the home shard only",
                          rel->name);
    if (rel->dist == DIST_SHARDED && like->options & LIKE_CONSTRAINTS)
        return ddl_refuse(d, PB0207, "Leave INCLUDING CONSTRAINTS and INCLUDING ALL out.",
                          "the constraints of sharded table \"%s\" include pgbraid's own and cannot be copied",
                          rel->name);
    if (t->dist == DIST_SHARDED && like->options & LIKE_INDEXES &&
        !(rel->dist == DIST_SHARDED && rel->nkey == 1 && strcmp(rel->columns[rel->key[0]].name, t->key[0]) == 0))
        return refuse_key(d, "Leave INCLUDING INDEXES out and make the indexes afterwards.",
                          "it is not known whether the unique indexes of table \"%s\" contain the sharding key",
                          rel->name);
    return true;
}

static bool check_elements(struct ddl *d, const PgQuery__CreateStmt *s, const struct ddl_table *t)
{
    for (size_t i = 0; i < s->n_table_elts; i++) {
        const PgQuery__Node *elt = s->table_elts[i];
        bool ok = true;
        if (elt->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF)
            ok = ddl_column_constraints(d, t, elt->column_def);
        else if (elt->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
            ok = ddl_constraint(d, t, elt->constraint, NULL);
        else if (elt->node_case == PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE)
            ok = check_like(d, elt->table_like_clause, t);
        if (!ok)
            return false;
    }
    return true;
}

/*
 * IF NOT EXISTS has been answered from the catalog: the table does not exist. If another session makes it meanwhile, an
 * error must keep the rule's part from being done to that one.
 */
static const char *without_if_not_exists(struct ddl *d)
{
    static const char *const words[] = { "if", "not", "exists" };
    struct lex l;
    struct lex_token t;
    size_t matched = 0;
    const char *start = NULL;
    lex_init(&l, d->in->sql, d->in->env->nonstandard_strings);
    for (lex_next(&l, &t); t.kind != LEX_END && matched < ARRAY_LEN(words); lex_next(&l, &t)) {
        const char *at = (const char *)t.start;
        size_t len = (size_t)(t.end - t.start);
        bool same = t.kind == LEX_WORD && len == strlen(words[matched]) && strncasecmp(at, words[matched], len) == 0;
        start = same && matched == 0 ? at : start;
        matched = same ? matched + 1 : 0;
        if (matched == ARRAY_LEN(words)) {
            const char *end = (const char *)t.end, *sql = d->in->sql.ptr;
            return arena_printf(plan_arena(d->plan), "%.*s%.*s", (int)(start - sql), sql,
                                (int)(sql + d->in->sql.len - end), end);
        }
    }
    return NULL;
}

static bool create_sharded(struct ddl *d, const PgQuery__CreateStmt *s, const char *schema, const char *column,
                           const struct found *f)
{
    struct arena *a = plan_arena(d->plan);
    const char *name = s->relation->relname;
    if (s->partspec || s->partbound)
        return refuse_key(d, "A sharded table needs no partitions to be small; leave PARTITION BY out.",
                          "partitioned table \"%s\" cannot be sharded", name);
    if (s->n_inh_relations)
        return refuse_key(d, "Write its columns out.", "table \"%s\" cannot be sharded and inherit from another one",
                          name);
    if (strcmp(tree_str(s->relation->relpersistence), "u") == 0)
        return refuse_key(d, "Leave UNLOGGED out.",
                          "unlogged table \"%s\" cannot be sharded: its rows could not be moved", name);
    if (!take_key(d, column, f))
        return false;
    struct ddl_table t = { .dist = DIST_SHARDED, .schema = schema, .name = name, .creating = s, .nkey = 1 };
    t.key[0] = d->out->shard_column;
    t.type[0] = d->out->shard_type;
    if (!check_elements(d, s, &t))
        return false;
    d->out->shard_schema = arena_strdup(a, schema);
    d->out->shard_table = arena_strdup(a, name);
    if (s->if_not_exists)
        d->plan->rewritten = without_if_not_exists(d);
    return ddl_everywhere(d, arena_printf(d->a, "a table with column \"%s\" is sharded by it", column));
}

/* --- others --- */

static bool check_parents(struct ddl *d, const PgQuery__CreateStmt *s)
{
    for (size_t i = 0; i < s->n_inh_relations; i++) {
        const struct cat_rel *rel;
        if (!ddl_rel(d, s->inh_relations[i]->range_var, &rel))
            return false;
        if (rel && ddl_dist(d, rel) != DIST_UNSHARDED)
            return ddl_refuse(d, PB0207, "A distributed table has neither partitions nor children.",
                              "table \"%s\" is %s and cannot be inherited from", rel->name, ddl_dist_text(rel->dist));
    }
    return true;
}

bool ddl_create_table(struct ddl *d)
{
    const PgQuery__CreateStmt *s = d->node->create_stmt;
    const char *schema = tree_str(s->relation->schemaname);
    const struct cat_rel *other;
    struct found f;
    if (strcmp(tree_str(s->relation->relpersistence), "t") == 0)
        return ddl_refuse_temporary(d);
    if (!ddl_rel(d, s->relation, &other) || !check_parents(d, s))
        return false;
    if (!*schema)
        schema = catalog_creation_schema(d->in->cat, d->in->env);
    bool exists = schema && catalog_resolve_rel(d->in->cat, d->in->env, schema, s->relation->relname);
    const char *column = schema && !exists && !(s->partbound) ? rule_column(d, s, &f) : NULL;
    if (column)
        return create_sharded(d, s, schema, column, &f);
    const char *const *keys = d->in->options->sharding_keys;
    if (s->of_typename && keys && keys[0] && !exists)
        return ddl_refuse(d, PB0204, "Write the columns out.",
                          "a table OF a type cannot be made while sharding_key is set");
    struct ddl_table t = { .dist = DIST_UNSHARDED, .schema = schema, .name = s->relation->relname, .creating = s };
    return check_elements(d, s, &t) && ddl_home(d, exists ? "a table of that name exists" : "new tables are unsharded");
}

/* --- tables made from queries --- */

/* The query must read nothing but what the home shard has. */
static bool check_query(struct ddl *d, PgQuery__Node *query)
{
    struct plan_result r = { 0 };
    if (!analyse_query(d->in, query, d->a, &r, d->e))
        return false;
    bool home = r.plan->kind == PLAN_QUERY && (r.plan->scope == SCOPE_HOME || r.plan->scope == SCOPE_ANY);
    plan_unref(r.plan);
    if (home)
        return true;
    (void)ddl_refuse(d, PB0201, "Create the table, distribute it if need be, and fill it with INSERT.",
                     "%s cannot take rows of sharded tables", d->name);
    return err_detail(d->e, "The new table is on the home shard, which does not have all of these rows.");
}

static bool create_from(struct ddl *d, const PgQuery__IntoClause *into, PgQuery__Node *query, bool skip_data)
{
    const struct cat_rel *rel;
    if (strcmp(tree_str(into->rel->relpersistence), "t") == 0)
        return ddl_refuse_temporary(d);
    if (!ddl_rel(d, into->rel, &rel))
        return false;
    if (query->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT)
        return ddl_refuse(d, PB0204, "Write the query itself.", "%s EXECUTE is not supported", d->name);
    if (!skip_data && !check_query(d, query))
        return false;
    return ddl_home(d, "new tables are unsharded");
}

bool ddl_create_as(struct ddl *d)
{
    const PgQuery__CreateTableAsStmt *s = d->node->create_table_as_stmt;
    bool matview = s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW;
    d->name = matview ? "CREATE MATERIALIZED VIEW" : d->name;
    /* A materialized view is filled later too. */
    return create_from(d, s->into, s->query, s->into->skip_data && !matview);
}

bool ddl_select_into(struct ddl *d)
{
    PgQuery__SelectStmt *top = d->node->select_stmt, *first = top;
    while (first->larg)
        first = first->larg;
    if (!first->into_clause) /* a call of one of pgbraid's functions */
        return ddl_refuse(d, PB0204, NULL, "this kind of statement is not supported");
    PgQuery__IntoClause *into = first->into_clause;
    first->into_clause = NULL;
    bool ok = create_from(d, into, (PgQuery__Node *)(uintptr_t)d->node, false);
    first->into_clause = into;
    return ok;
}
