/*
 * Statements that take any kind of object: a const table says for each kind where its objects are.
 */
#include "planner/ddl_int.h"

#include <string.h>

enum object_where {
    OBJECT_NONE,   /* never the object of a statement */
    OBJECT_REL,    /* a relation */
    OBJECT_OF_REL, /* the last name is its own, those before are a relation's */
    OBJECT_ALL,
    OBJECT_AT_HOME,
    OBJECT_SERVERS,
    OBJECT_STATS, /* where its table is, which its name does not tell */
    OBJECT_REFUSED
};

#define OBJ(x) PG_QUERY__OBJECT_TYPE__OBJECT_##x

static const enum object_where wheres[] = {
    [OBJ(ACCESS_METHOD)] = OBJECT_ALL,
    [OBJ(AGGREGATE)] = OBJECT_ALL,
    [OBJ(AMOP)] = OBJECT_ALL,
    [OBJ(AMPROC)] = OBJECT_ALL,
    [OBJ(ATTRIBUTE)] = OBJECT_ALL, /* of a composite type */
    [OBJ(CAST)] = OBJECT_ALL,
    [OBJ(COLUMN)] = OBJECT_OF_REL,
    [OBJ(COLLATION)] = OBJECT_ALL,
    [OBJ(CONVERSION)] = OBJECT_ALL,
    [OBJ(DATABASE)] = OBJECT_REFUSED,
    [OBJ(DEFAULT)] = OBJECT_NONE,
    [OBJ(DEFACL)] = OBJECT_NONE,
    [OBJ(DOMAIN)] = OBJECT_ALL,
    [OBJ(DOMCONSTRAINT)] = OBJECT_ALL,
    [OBJ(EVENT_TRIGGER)] = OBJECT_REFUSED,
    [OBJ(EXTENSION)] = OBJECT_ALL,
    [OBJ(FDW)] = OBJECT_AT_HOME,
    [OBJ(FOREIGN_SERVER)] = OBJECT_AT_HOME,
    [OBJ(FOREIGN_TABLE)] = OBJECT_REL,
    [OBJ(FUNCTION)] = OBJECT_ALL,
    [OBJ(INDEX)] = OBJECT_REL,
    [OBJ(LANGUAGE)] = OBJECT_ALL,
    [OBJ(LARGEOBJECT)] = OBJECT_AT_HOME,
    [OBJ(MATVIEW)] = OBJECT_REL,
    [OBJ(OPCLASS)] = OBJECT_ALL,
    [OBJ(OPERATOR)] = OBJECT_ALL,
    [OBJ(OPFAMILY)] = OBJECT_ALL,
    [OBJ(PARAMETER_ACL)] = OBJECT_SERVERS,
    [OBJ(POLICY)] = OBJECT_OF_REL,
    [OBJ(PROCEDURE)] = OBJECT_ALL,
    [OBJ(PUBLICATION)] = OBJECT_REFUSED,
    [OBJ(PUBLICATION_NAMESPACE)] = OBJECT_REFUSED,
    [OBJ(PUBLICATION_REL)] = OBJECT_REFUSED,
    [OBJ(ROLE)] = OBJECT_SERVERS,
    [OBJ(ROUTINE)] = OBJECT_ALL,
    [OBJ(RULE)] = OBJECT_OF_REL,
    [OBJ(SCHEMA)] = OBJECT_ALL,
    [OBJ(SEQUENCE)] = OBJECT_REL,
    [OBJ(SUBSCRIPTION)] = OBJECT_REFUSED,
    [OBJ(STATISTIC_EXT)] = OBJECT_STATS,
    [OBJ(TABCONSTRAINT)] = OBJECT_OF_REL,
    [OBJ(TABLE)] = OBJECT_REL,
    [OBJ(TABLESPACE)] = OBJECT_REFUSED,
    [OBJ(TRANSFORM)] = OBJECT_ALL,
    [OBJ(TRIGGER)] = OBJECT_OF_REL,
    [OBJ(TSCONFIGURATION)] = OBJECT_ALL,
    [OBJ(TSDICTIONARY)] = OBJECT_ALL,
    [OBJ(TSPARSER)] = OBJECT_ALL,
    [OBJ(TSTEMPLATE)] = OBJECT_ALL,
    [OBJ(TYPE)] = OBJECT_ALL,
    [OBJ(USER_MAPPING)] = OBJECT_AT_HOME,
    [OBJ(VIEW)] = OBJECT_REL,
};

static enum object_where where_is(PgQuery__ObjectType type)
{
    return (size_t)type < ARRAY_LEN(wheres) ? wheres[type] : OBJECT_NONE;
}

static bool is_our_schema(PgQuery__ObjectType type, const PgQuery__Node *object)
{
    return type == OBJ(SCHEMA) && strcmp(tree_string(object), "pgbraid") == 0;
}

bool ddl_object(struct ddl *d, PgQuery__ObjectType type, const PgQuery__Node *object, const struct cat_rel *rel)
{
    if (is_our_schema(type, object))
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    switch (where_is(type)) {
    case OBJECT_REL:
        return (rel || ddl_rel_of_names(d, object, 0, &rel)) && ddl_at(d, rel);
    case OBJECT_OF_REL:
        return (rel || ddl_rel_of_names(d, object, 1, &rel)) && ddl_at(d, rel);
    case OBJECT_ALL:
        return ddl_everywhere(d, "what is not a table exists on every shard");
    case OBJECT_AT_HOME:
        return ddl_home(d, "such objects exist on the home shard only");
    case OBJECT_SERVERS:
        d->out->once_per_server = d->out->shared = true;
        return ddl_everywhere(d, "it belongs to the servers, not to the database");
    case OBJECT_STATS:
        return ddl_refuse(d, PB0204, "Drop the statistics object and create it again.",
                          "%s is not supported for statistics objects", d->name);
    case OBJECT_NONE:
    case OBJECT_REFUSED:
        break;
    }
    return ddl_refuse(d, PB0204, NULL, "%s is not supported for this kind of object", d->name);
}

/* --- DROP --- */

/* The statement for the other shards: only what they have. */
static bool drop_elsewhere(struct ddl *d, const struct ddl_list *l)
{
    PgQuery__DropStmt drop = *d->node->drop_stmt;
    PgQuery__Node node = *d->node;
    drop.n_objects = l->n;
    drop.objects = l->items;
    node.drop_stmt = &drop;
    return ddl_deparse(d, &node, &d->out->elsewhere);
}

static bool drop_relations(struct ddl *d)
{
    const PgQuery__DropStmt *s = d->node->drop_stmt;
    struct ddl_list l;
    if (!ddl_list(d, s->n_objects, s->objects, &l))
        return false;
    d->out->no_transaction = s->concurrent;
    if (l.n > 0 && s->remove_type == OBJ(TABLE))
        ddl_after(d, "CALL pgbraid.forget_dropped()");
    return !l.mixed || drop_elsewhere(d, &l);
}

/* Statistics: the home shard knows whether they exist, the others drop them if they have them. */
static bool drop_statistics(struct ddl *d)
{
    PgQuery__DropStmt drop = *d->node->drop_stmt;
    PgQuery__Node node = *d->node;
    drop.missing_ok = true;
    node.drop_stmt = &drop;
    return ddl_deparse(d, &node, &d->out->elsewhere) && ddl_everywhere(d, "where the statistics' table is");
}

bool ddl_drop(struct ddl *d)
{
    const PgQuery__DropStmt *s = d->node->drop_stmt;
    if (where_is(s->remove_type) == OBJECT_REL)
        return drop_relations(d);
    if (where_is(s->remove_type) == OBJECT_STATS)
        return drop_statistics(d);
    /* A cascade from a schema, an extension or a type may reach tables. */
    if (s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE && where_is(s->remove_type) == OBJECT_ALL)
        ddl_after(d, "CALL pgbraid.forget_dropped()");
    for (size_t i = 0; i < s->n_objects; i++)
        if (is_our_schema(s->remove_type, s->objects[i]))
            return ddl_object(d, s->remove_type, s->objects[i], NULL);
    return ddl_object(d, s->remove_type, s->n_objects ? s->objects[0] : NULL, NULL);
}

/* --- COMMENT, SECURITY LABEL, OWNER, DEPENDS --- */

bool ddl_comment(struct ddl *d)
{
    const PgQuery__CommentStmt *s = d->node->comment_stmt;
    const PgQuery__Node *o = s->object;
    if (s->objtype == OBJ(TABCONSTRAINT) && o->node_case == PG_QUERY__NODE__NODE_LIST && o->list->n_items &&
        !ddl_constraint_name(d, tree_string(o->list->items[o->list->n_items - 1]), false))
        return false;
    if (s->objtype == OBJ(STATISTIC_EXT))
        return ddl_refuse(d, PB0204, NULL, "COMMENT is not supported for statistics objects");
    return ddl_object(d, s->objtype, o, NULL);
}

bool ddl_label(struct ddl *d)
{
    const PgQuery__SecLabelStmt *s = d->node->sec_label_stmt;
    return ddl_object(d, s->objtype, s->object, NULL);
}

bool ddl_owner(struct ddl *d)
{
    const PgQuery__AlterOwnerStmt *s = d->node->alter_owner_stmt;
    const struct cat_rel *rel = NULL;
    if (s->relation && !ddl_rel(d, s->relation, &rel))
        return false;
    return s->relation ? ddl_at(d, rel) : ddl_object(d, s->object_type, s->object, NULL);
}

bool ddl_depends(struct ddl *d)
{
    const PgQuery__AlterObjectDependsStmt *s = d->node->alter_object_depends_stmt;
    const struct cat_rel *rel = NULL;
    if (s->relation && !ddl_rel(d, s->relation, &rel))
        return false;
    return s->relation ? ddl_at(d, rel) : ddl_object(d, s->object_type, s->object, NULL);
}

/* --- GRANT, REVOKE --- */

static bool grant_relations(struct ddl *d)
{
    const PgQuery__GrantStmt *s = d->node->grant_stmt;
    struct ddl_list l;
    if (!ddl_list(d, s->n_objects, s->objects, &l))
        return false;
    if (!l.mixed)
        return true;
    PgQuery__GrantStmt grant = *s;
    PgQuery__Node node = *d->node;
    grant.n_objects = l.n;
    grant.objects = l.items;
    node.grant_stmt = &grant;
    return ddl_deparse(d, &node, &d->out->elsewhere);
}

bool ddl_grant(struct ddl *d)
{
    const PgQuery__GrantStmt *s = d->node->grant_stmt;
    if (s->targtype != PG_QUERY__GRANT_TARGET_TYPE__ACL_TARGET_OBJECT)
        return ddl_everywhere(d, "each shard has its part of the schema's objects");
    if (where_is(s->objtype) == OBJECT_REL)
        return grant_relations(d);
    for (size_t i = 0; i < s->n_objects; i++)
        if (is_our_schema(s->objtype, s->objects[i]))
            return ddl_object(d, s->objtype, s->objects[i], NULL);
    return ddl_object(d, s->objtype, NULL, NULL);
}
