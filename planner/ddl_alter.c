/*
 * ALTER of tables. What would change the placement of rows, or what pgbraid.tables says, is either followed by the
 * same change there, in the same transaction, or refused.
 */
#include "planner/analyse_int.h"
#include "planner/ddl_int.h"

#include <string.h>

/* --- ALTER TABLE --- */

enum act {
    ACT_FREE,    /* the same on every shard, and of no consequence for placement */
    ACT_NOT_KEY, /* on any column but those of the sharding key */
    ACT_REFUSED, /* of distributed tables */
    ACT_COLUMN,  /* a new column */
    ACT_TYPE,    /* another type */
    ACT_CONSTRAINT,
    ACT_NAMED,    /* an existing constraint */
    ACT_RELATIVE, /* the other table counts too */
    ACT_IDENTITY, /* replica identity */
    ACT_NUMBERS   /* sequences, of which only the home shard's may be drawn from (P45) */
};

#define AT(x) PG_QUERY__ALTER_TABLE_TYPE__AT_##x

static const struct {
    PgQuery__AlterTableType type;
    enum act act;
    const char *what; /* for refusals */
} acts[] = {
    { AT(AddColumn), ACT_COLUMN, "ADD COLUMN" },
    { AT(ColumnDefault), ACT_FREE, NULL },
    { AT(DropNotNull), ACT_NOT_KEY, "DROP NOT NULL" },
    { AT(SetNotNull), ACT_FREE, NULL },
    { AT(DropExpression), ACT_FREE, NULL },
    { AT(SetStatistics), ACT_FREE, NULL },
    { AT(SetOptions), ACT_FREE, NULL },
    { AT(ResetOptions), ACT_FREE, NULL },
    { AT(SetStorage), ACT_FREE, NULL },
    { AT(SetCompression), ACT_FREE, NULL },
    { AT(DropColumn), ACT_NOT_KEY, "DROP COLUMN" },
    { AT(AddConstraint), ACT_CONSTRAINT, NULL },
    { AT(AlterConstraint), ACT_CONSTRAINT, NULL },
    { AT(ValidateConstraint), ACT_NAMED, NULL },
    { AT(DropConstraint), ACT_NAMED, NULL },
    { AT(AlterColumnType), ACT_TYPE, "ALTER COLUMN TYPE" },
    { AT(ChangeOwner), ACT_FREE, NULL },
    { AT(ClusterOn), ACT_FREE, NULL },
    { AT(DropCluster), ACT_FREE, NULL },
    { AT(SetLogged), ACT_FREE, NULL },
    { AT(SetUnLogged), ACT_REFUSED, "SET UNLOGGED" },
    { AT(DropOids), ACT_FREE, NULL },
    { AT(SetAccessMethod), ACT_FREE, NULL },
    { AT(SetTableSpace), ACT_FREE, NULL },
    { AT(SetRelOptions), ACT_FREE, NULL },
    { AT(ResetRelOptions), ACT_FREE, NULL },
    { AT(EnableTrig), ACT_FREE, NULL },
    { AT(EnableAlwaysTrig), ACT_FREE, NULL },
    { AT(EnableReplicaTrig), ACT_FREE, NULL },
    { AT(DisableTrig), ACT_FREE, NULL },
    { AT(EnableTrigAll), ACT_FREE, NULL },
    { AT(DisableTrigAll), ACT_FREE, NULL },
    { AT(EnableTrigUser), ACT_FREE, NULL },
    { AT(DisableTrigUser), ACT_FREE, NULL },
    { AT(EnableRule), ACT_FREE, NULL },
    { AT(EnableAlwaysRule), ACT_FREE, NULL },
    { AT(EnableReplicaRule), ACT_FREE, NULL },
    { AT(DisableRule), ACT_FREE, NULL },
    { AT(AddInherit), ACT_RELATIVE, "INHERIT" },
    { AT(DropInherit), ACT_RELATIVE, "NO INHERIT" },
    { AT(AddOf), ACT_REFUSED, "OF" },
    { AT(DropOf), ACT_REFUSED, "NOT OF" },
    { AT(ReplicaIdentity), ACT_IDENTITY, "REPLICA IDENTITY NOTHING" },
    { AT(EnableRowSecurity), ACT_FREE, NULL },
    { AT(DisableRowSecurity), ACT_FREE, NULL },
    { AT(ForceRowSecurity), ACT_FREE, NULL },
    { AT(NoForceRowSecurity), ACT_FREE, NULL },
    { AT(GenericOptions), ACT_FREE, NULL },
    { AT(AlterColumnGenericOptions), ACT_FREE, NULL },
    { AT(AttachPartition), ACT_RELATIVE, "ATTACH PARTITION" },
    { AT(DetachPartition), ACT_RELATIVE, "DETACH PARTITION" },
    { AT(DetachPartitionFinalize), ACT_RELATIVE, "DETACH PARTITION" },
    { AT(AddIdentity), ACT_NUMBERS, "ADD GENERATED AS IDENTITY" },
    { AT(SetIdentity), ACT_NUMBERS, "SET GENERATED" },
    { AT(DropIdentity), ACT_FREE, NULL },
};

static bool is_key(const struct ddl_table *t, const char *column)
{
    for (uint32_t i = 0; i < t->nkey; i++)
        if (strcmp(t->key[i], column) == 0)
            return true;
    return false;
}

static bool refuse_act(struct ddl *d, const struct ddl_table *t, const char *what)
{
    return ddl_refuse(d, PB0207, "Make it unsharded first: SELECT pgbraid.unshard_table('...').",
                      "%s is not supported on table \"%s\", which is %s", what, t->name, ddl_dist_text(t->dist));
}

static bool check_not_key(struct ddl *d, const struct ddl_table *t, const char *column, const char *what)
{
    if (!is_key(t, column))
        return true;
    (void)refuse_act(d, t, what);
    err_set(d->e, PB0207, "%s is not supported on column \"%s\", which is in the sharding key of table \"%s\"", what,
            column, t->name);
    return err_detail(d->e, "It decides on which shard a row is.");
}

/*
 * An expression that is evaluated for the rows that exist. Each shard does it by itself: clocks and sequences give
 * other values there, and a reference table's copies must stay equal.
 */
static bool check_expression(struct ddl *d, const struct ddl_table *t, const ProtobufCMessage *expr)
{
    struct err ignored = ERR_INIT;
    struct an an = { .in = d->in, .a = d->a, .e = &ignored };
    if (t->dist == DIST_UNSHARDED || !expr)
        return true;
    inventory_take(&an, expr);
    const struct inventory *v = &an.inv;
    const char *what = v->opaque           ? v->opaque
                       : v->table_reader   ? v->table_reader
                       : v->home_function  ? v->home_function
                       : v->session        ? v->session
                       : v->moment         ? v->moment
                       : v->moment_literal ? v->moment_literal
                                           : NULL;
    if (!what && t->dist == DIST_REFERENCE)
        what = v->volatile_row;
    if (!what)
        return true;
    (void)ddl_refuse(d, PB0207, "Add the column without it, then set the default and update the rows.",
                     "the rows of table \"%s\", which is %s, cannot be filled with \"%s\"", t->name,
                     ddl_dist_text(t->dist), what);
    return err_detail(d->e, "Each shard would evaluate it by itself, and the values would differ.");
}

static bool is_serial(const PgQuery__TypeName *t)
{
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : "";
    return strstr(name, "serial") != NULL;
}

static bool check_column(struct ddl *d, const struct ddl_table *t, const PgQuery__ColumnDef *col)
{
    if (!ddl_column_constraints(d, t, col))
        return false;
    if (t->dist == DIST_UNSHARDED)
        return true;
    bool numbered = is_serial(col->type_name);
    for (size_t i = 0; i < col->n_constraints; i++) {
        const PgQuery__Constraint *c = col->constraints[i]->constraint;
        numbered |= c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY;
        if (!check_expression(d, t, tree_message(c->raw_expr)))
            return false;
    }
    if (!numbered)
        return true;
    (void)ddl_refuse(d, PB0207, "Add an ordinary column and fill it with an UPDATE.",
                     "table \"%s\", which is %s, cannot get a column that numbers its rows", t->name,
                     ddl_dist_text(t->dist));
    return err_detail(d->e, "Each shard would number its own rows, and the values would repeat.");
}

static bool check_type(struct ddl *d, const struct ddl_table *t, const PgQuery__AlterTableCmd *c)
{
    const PgQuery__Node *def = c->def;
    if (!check_not_key(d, t, tree_str(c->name), "ALTER COLUMN TYPE"))
        return false;
    return !def || def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF ||
           check_expression(d, t, tree_message(def->column_def->raw_default));
}

/* INHERIT, ATTACH PARTITION: tables of a tree are where their root is, so neither may be distributed. */
static bool check_relative(struct ddl *d, const struct ddl_table *t, const PgQuery__AlterTableCmd *c, const char *what)
{
    const struct cat_rel *rel = NULL;
    const PgQuery__RangeVar *rv = NULL;
    if (t->dist != DIST_UNSHARDED)
        return refuse_act(d, t, what);
    if (c->def && c->def->node_case == PG_QUERY__NODE__NODE_RANGE_VAR)
        rv = c->def->range_var;
    else if (c->def && c->def->node_case == PG_QUERY__NODE__NODE_PARTITION_CMD)
        rv = c->def->partition_cmd->name;
    if (rv && !ddl_rel(d, rv, &rel))
        return false;
    if (!rel || ddl_dist(d, rel) == DIST_UNSHARDED)
        return true;
    struct ddl_table other = ddl_table_of(d, rel);
    return refuse_act(d, &other, what);
}

static bool check_named(struct ddl *d, const PgQuery__AlterTableCmd *c)
{
    return ddl_constraint_name(d, c->name, false);
}

static bool check_cmd(struct ddl *d, const struct ddl_table *t, const PgQuery__AlterTableCmd *c)
{
    size_t i = 0;
    while (i < ARRAY_LEN(acts) && acts[i].type != c->subtype)
        i++;
    if (i == ARRAY_LEN(acts))
        return t->dist == DIST_UNSHARDED || refuse_act(d, t, "this form of ALTER TABLE");
    switch (acts[i].act) {
    case ACT_FREE:
        return true;
    case ACT_NOT_KEY:
        return check_not_key(d, t, tree_str(c->name), acts[i].what);
    case ACT_REFUSED:
        return t->dist == DIST_UNSHARDED || refuse_act(d, t, acts[i].what);
    case ACT_COLUMN:
        return !c->def || c->def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF ||
               check_column(d, t, c->def->column_def);
    case ACT_TYPE:
        return check_type(d, t, c);
    case ACT_CONSTRAINT:
        return !c->def || c->def->node_case != PG_QUERY__NODE__NODE_CONSTRAINT ||
               ddl_constraint(d, t, c->def->constraint, NULL);
    case ACT_NAMED:
        return check_named(d, c);
    case ACT_RELATIVE:
        return check_relative(d, t, c, acts[i].what);
    case ACT_NUMBERS:
        return t->dist == DIST_UNSHARDED || refuse_act(d, t, acts[i].what);
    case ACT_IDENTITY:
        return t->dist == DIST_UNSHARDED || !c->def ||
               c->def->node_case != PG_QUERY__NODE__NODE_REPLICA_IDENTITY_STMT ||
               strcmp(tree_str(c->def->replica_identity_stmt->identity_type), "n") != 0 ||
               refuse_act(d, t, acts[i].what);
    }
    return false;
}

/* A table that carries pgbraid's constraint but is in no row of pgbraid.tables. */
static bool ddl_known(struct ddl *d, const struct cat_rel *rel)
{
    if (!rel || rel->dist != DIST_SHARDED || rel->nkey > 0 || (rel->kind != 'r' && rel->kind != 'p'))
        return true;
    (void)ddl_refuse(d, PB0207, "Declare it again, or drop the constraint on every shard.",
                     "it is not known how table \"%s\" is distributed", rel->name);
    return err_detail(d->e, "It carries the constraint pgbraid_placement but is not in pgbraid.tables.");
}

bool ddl_alter_table(struct ddl *d)
{
    const PgQuery__AlterTableStmt *s = d->node->alter_table_stmt;
    const struct cat_rel *rel;
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE)
        return ddl_everywhere(d, "types exist on every shard");
    if (!ddl_rel(d, s->relation, &rel) || !ddl_known(d, rel))
        return false;
    struct ddl_table none = { .dist = DIST_UNSHARDED, .name = s->relation->relname };
    struct ddl_table t = rel ? ddl_table_of(d, rel) : none;
    for (size_t i = 0; i < s->n_cmds; i++)
        if (!check_cmd(d, &t, s->cmds[i]->alter_table_cmd))
            return false;
    return ddl_at(d, rel);
}

/* --- RENAME, SET SCHEMA --- */

static bool is_distributed_table(const struct ddl *d, const struct cat_rel *rel)
{
    return rel && ddl_dist(d, rel) != DIST_UNSHARDED && (rel->kind == 'r' || rel->kind == 'p');
}

static void note_renamed(struct ddl *d, const struct cat_rel *rel, const char *schema, const char *name)
{
    if (is_distributed_table(d, rel))
        ddl_after(d, "CALL pgbraid.note_renamed(%s, %s, %s, %s)", ddl_literal(d, rel->schema),
                  ddl_literal(d, rel->name), ddl_literal(d, schema), ddl_literal(d, name));
}

static bool rename_schema(struct ddl *d, const PgQuery__RenameStmt *s)
{
    if (strcmp(tree_str(s->subname), "pgbraid") == 0)
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    ddl_after(d, "CALL pgbraid.note_schema_renamed(%s, %s)", ddl_literal(d, tree_str(s->subname)),
              ddl_literal(d, tree_str(s->newname)));
    return ddl_everywhere(d, "schemas exist on every shard");
}

bool ddl_rename(struct ddl *d)
{
    const PgQuery__RenameStmt *s = d->node->rename_stmt;
    const struct cat_rel *rel = NULL;
    if (s->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA)
        return rename_schema(d, s);
    if (s->relation && !ddl_rel(d, s->relation, &rel))
        return false;
    if (!ddl_known(d, rel))
        return false;
    switch ((int)s->rename_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
    case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
        if (rel)
            note_renamed(d, rel, rel->schema, s->newname);
        return ddl_at(d, rel);
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN: {
        const struct cat_column *col = is_distributed_table(d, rel) ? catalog_column(rel, tree_str(s->subname)) : NULL;
        if (col && col->key >= 0)
            ddl_after(d, "CALL pgbraid.note_key_renamed(%s, %s, %s, %s)", ddl_literal(d, rel->schema),
                      ddl_literal(d, rel->name), ddl_literal(d, s->subname), ddl_literal(d, s->newname));
        return ddl_at(d, rel);
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        return ddl_constraint_name(d, s->subname, false) && ddl_constraint_name(d, s->newname, true) && ddl_at(d, rel);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
    case PG_QUERY__OBJECT_TYPE__OBJECT_POLICY:
    case PG_QUERY__OBJECT_TYPE__OBJECT_RULE:
        return ddl_at(d, rel);
    default:
        return ddl_object(d, s->rename_type, s->object, NULL);
    }
}

bool ddl_set_schema(struct ddl *d)
{
    const PgQuery__AlterObjectSchemaStmt *s = d->node->alter_object_schema_stmt;
    const struct cat_rel *rel = NULL;
    if (strcmp(tree_str(s->newschema), "pgbraid") == 0)
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    if (!s->relation)
        return ddl_object(d, s->object_type, s->object, NULL);
    if (!ddl_rel(d, s->relation, &rel) || !ddl_known(d, rel))
        return false;
    if (rel)
        note_renamed(d, rel, s->newschema, rel->name);
    return ddl_at(d, rel);
}
