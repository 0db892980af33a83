/*
 * Constraints that hold over all rows can be enforced by shards only if the rows they compare are always on one shard:
 * unique ones must contain the sharding key, foreign keys must tie sharding key to sharding key or lead to a reference
 * table.
 */
#include "planner/ddl_int.h"
#include "planner/types.h"
#include "shardmap/placement.h"

#include <string.h>

struct ddl_table ddl_table_of(const struct ddl *d, const struct cat_rel *rel)
{
    struct ddl_table t = { .dist = ddl_dist(d, rel), .schema = rel->schema, .name = rel->name, .rel = rel };
    t.identity = rel->identity_vindex;
    t.nkey = rel->nkey;
    for (uint32_t i = 0; i < rel->nkey; i++) {
        t.key[i] = rel->columns[rel->key[i]].name;
        t.type[i] = rel->key_type[i];
    }
    return t;
}

bool ddl_constraint_name(struct ddl *d, const char *name, bool made)
{
    if (!name || strcmp(name, PLACEMENT_CONSTRAINT) != 0)
        return true;
    return ddl_refuse(d, PB0204, made ? "Choose another name." : NULL,
                      "constraint \"" PLACEMENT_CONSTRAINT "\" belongs to pgbraid");
}

static const char *key_text(struct ddl *d, const struct ddl_table *t)
{
    const char *text = t->key[0];
    for (uint32_t i = 1; i < t->nkey; i++)
        text = arena_printf(d->a, "%s, %s", text, t->key[i]);
    return text;
}

static bool refuse_unique(struct ddl *d, const struct ddl_table *t, const char *what)
{
    (void)ddl_refuse(d, PB0207, arena_printf(d->a, "Add (%s) to its columns.", key_text(d, t)),
                     "%s on table \"%s\" must contain the sharding key (%s)", what, t->name, key_text(d, t));
    return err_detail(d->e, "Each shard would enforce it among its own rows only.");
}

static bool names_have(size_t n, PgQuery__Node *const *names, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tree_string(names[i]), name) == 0)
            return true;
    return false;
}

/* --- unique constraints --- */

static bool check_unique(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c, const char *column)
{
    /* An index that is there already has been looked at when it was made. */
    if (t->dist != DIST_SHARDED || *tree_str(c->indexname))
        return true;
    for (uint32_t i = 0; i < t->nkey; i++) {
        bool has = column ? strcmp(column, t->key[i]) == 0 : names_have(c->n_keys, c->keys, t->key[i]);
        if (!has)
            return refuse_unique(
                d, t, c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY ? "a primary key" : "a unique constraint");
    }
    return true;
}

/* An element on the key column itself, compared as PostgreSQL compares it by default. */
static bool is_plain_column(const PgQuery__IndexElem *x, const char *name)
{
    return strcmp(tree_str(x->name), name) == 0 && x->n_collation == 0 && x->n_opclass == 0;
}

static bool exclusion_has(const PgQuery__Constraint *c, const char *name)
{
    for (size_t i = 0; i < c->n_exclusions; i++) {
        const PgQuery__Node *pair = c->exclusions[i];
        if (pair->node_case != PG_QUERY__NODE__NODE_LIST || pair->list->n_items != 2)
            continue;
        const PgQuery__Node *elem = pair->list->items[0], *op = pair->list->items[1];
        if (elem->node_case == PG_QUERY__NODE__NODE_INDEX_ELEM && is_plain_column(elem->index_elem, name) &&
            op->node_case == PG_QUERY__NODE__NODE_LIST && tree_name_is(op->list->n_items, op->list->items, "="))
            return true;
    }
    return false;
}

static bool check_exclusion(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c)
{
    for (uint32_t i = 0; t->dist == DIST_SHARDED && i < t->nkey; i++)
        if (!exclusion_has(c, t->key[i]))
            return refuse_unique(d, t, "an exclusion constraint");
    return true;
}

bool ddl_unique_index(struct ddl *d, const struct ddl_table *t, const PgQuery__IndexStmt *s)
{
    for (uint32_t i = 0; t->dist == DIST_SHARDED && s->unique && i < t->nkey; i++) {
        bool has = false;
        for (size_t k = 0; k < s->n_index_params; k++)
            has |= is_plain_column(s->index_params[k]->index_elem, t->key[i]);
        if (!has)
            return refuse_unique(d, t, "a unique index");
    }
    return true;
}

/* --- foreign keys --- */

/* Columns of the other side: as written, or its primary key. */
static const char *referred_column(struct ddl *d, const PgQuery__Constraint *c, const struct ddl_table *other, size_t i)
{
    if (c->n_pk_attrs > 0)
        return i < c->n_pk_attrs ? tree_string(c->pk_attrs[i]) : NULL;
    if (other->rel)
        return i < other->rel->npk ? other->rel->columns[other->rel->pk[i]].name : NULL;
    /* A table that refers to itself while it is made: its primary key is in the statement. */
    for (size_t k = 0; k < other->creating->n_table_elts; k++) {
        const PgQuery__Node *elt = other->creating->table_elts[k];
        if (elt->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
            elt->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
            return i < elt->constraint->n_keys ? tree_string(elt->constraint->keys[i]) : NULL;
        if (elt->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF)
            continue;
        for (size_t m = 0; m < elt->column_def->n_constraints; m++)
            if (elt->column_def->constraints[m]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
                return i == 0 ? elt->column_def->colname : NULL;
    }
    (void)d;
    return NULL;
}

/* Does the foreign key tie each column of one sharding key to the same one of the other? */
static bool ties_keys(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c, const char *column,
                      const struct ddl_table *other)
{
    if (t->nkey != other->nkey || t->nkey == 0 || t->identity != other->identity)
        return false;
    for (uint32_t k = 0; k < t->nkey; k++) {
        bool tied = false;
        size_t n = column ? 1 : c->n_fk_attrs;
        for (size_t i = 0; i < n; i++) {
            const char *from = column ? column : tree_string(c->fk_attrs[i]);
            const char *to = referred_column(d, c, other, i);
            tied |= to && strcmp(from, t->key[k]) == 0 && strcmp(to, other->key[k]) == 0;
        }
        if (!tied || key_family(t->type[k]) != key_family(other->type[k]))
            return false;
    }
    return true;
}

static bool refuse_foreign(struct ddl *d, const struct ddl_table *t, const struct ddl_table *other)
{
    const char *hint = "Make the other table a reference table: SELECT pgbraid.reference_table('...').";
    if (t->dist == DIST_UNSHARDED)
        hint = "Distribute both tables, or leave the foreign key out.";
    else if (t->dist == DIST_SHARDED && other->dist == DIST_SHARDED)
        hint = "Let the foreign key contain both tables' sharding keys, of one type.";
    else if (t->dist == DIST_REFERENCE && other->dist == DIST_SHARDED)
        hint = NULL;
    (void)ddl_refuse(d, PB0207, hint,
                     "table \"%s\", which is %s, cannot have a foreign key to table \"%s\", which is %s", t->name,
                     ddl_dist_text(t->dist), other->name, ddl_dist_text(other->dist));
    return err_detail(d->e, "The rows it refers to would not all be on the same shard.");
}

static bool is_itself(const struct ddl *d, const struct ddl_table *t, const PgQuery__RangeVar *rv)
{
    const char *schema = tree_str(rv->schemaname);
    (void)d;
    return t->creating && strcmp(tree_str(rv->relname), t->name) == 0 &&
           (!*schema || (t->schema && strcmp(schema, t->schema) == 0));
}

static bool check_foreign(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c, const char *column)
{
    const struct cat_rel *rel = NULL;
    struct ddl_table other = *t;
    if (!is_itself(d, t, c->pktable)) {
        if (!ddl_rel(d, c->pktable, &rel))
            return false;
        if (!rel) /* PostgreSQL says so, on the home shard */
            return true;
        other = ddl_table_of(d, rel);
    }
    bool same = rel == t->rel; /* of a table being made only itself */
    switch (t->dist) {
    case DIST_UNSHARDED:
        return other.dist != DIST_SHARDED || refuse_foreign(d, t, &other);
    case DIST_REFERENCE:
        return other.dist == DIST_REFERENCE || same || refuse_foreign(d, t, &other);
    case DIST_SHARDED:
        return other.dist == DIST_REFERENCE || (other.dist == DIST_SHARDED && ties_keys(d, t, c, column, &other)) ||
               refuse_foreign(d, t, &other);
    }
    return false;
}

bool ddl_constraint(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c, const char *column)
{
    if (!ddl_constraint_name(d, c->conname, true))
        return false;
    switch ((int)c->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return check_unique(d, t, c, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
        return check_exclusion(d, t, c);
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
        return check_foreign(d, t, c, column);
    default:
        return true;
    }
}

bool ddl_column_constraints(struct ddl *d, const struct ddl_table *t, const PgQuery__ColumnDef *col)
{
    for (size_t i = 0; i < col->n_constraints; i++)
        if (!ddl_constraint(d, t, col->constraints[i]->constraint, col->colname))
            return false;
    return true;
}
