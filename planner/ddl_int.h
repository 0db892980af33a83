/*
 * What the files of the DDL planner share. One `struct ddl` lives as long as one utility_ddl_plan() call.
 *
 * The model: unsharded tables, their indexes and sequences, and all views exist on the home shard only; sharded and
 * reference tables exist on every shard; so do schemas, types, functions and whatever else is not a table. A statement
 * that changes what exists on every shard runs on all of them in one transaction, the home shard first, and may not
 * depend on what a shard happens to hold.
 */
#ifndef PLANNER_DDL_INT_H
#define PLANNER_DDL_INT_H

#include "planner/catalog_int.h"
#include "planner/plan_int.h"
#include "planner/tree.h"
#include "planner/utility_ddl.h"

#include <stdbool.h>
#include <stdint.h>

struct ddl {
    const struct plan_input *in;
    struct arena *a; /* scratch */
    struct err *e;
    const PgQuery__Node *node;
    const char *name; /* of the statement's kind: "CREATE TABLE" */
    struct plan *plan;
    struct plan_ddl *out; /* the plan's */
};

/* --- ddl_place.c: what a name means, and where a statement runs --- */

/* Where a relation lives. Sequences are where the table is that owns them; views are on the home shard. */
enum distribution ddl_dist(const struct ddl *d, const struct cat_rel *rel);
/* The relation of that name; *rel NULL: there is none, PostgreSQL will say so. False with a refusal: pgbraid's own,
 * another database's. */
MUSTCHECK bool ddl_rel(struct ddl *d, const PgQuery__RangeVar *rv, const struct cat_rel **rel);
/* The same for a list of names, of which the last `skip` are not the relation's. */
MUSTCHECK bool ddl_rel_of_names(struct ddl *d, const PgQuery__Node *list, size_t skip, const struct cat_rel **rel);

/* Set scope, combination and reason. They return true. */
bool ddl_home(struct ddl *d, const char *why);
bool ddl_everywhere(struct ddl *d, const char *why);
/* Where that relation is; NULL: home. */
bool ddl_at(struct ddl *d, const struct cat_rel *rel);

/* "unsharded", "sharded", "a reference table". */
const char *ddl_dist_text(enum distribution dist);

/* Refuse. They return false. */
bool ddl_refuse(struct ddl *d, enum err_id id, const char *hint, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool ddl_refuse_temporary(struct ddl *d);

/* SQL that every shard runs after the statement, in the same transaction. */
void ddl_after(struct ddl *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A quoted literal, in the scratch arena. */
const char *ddl_literal(struct ddl *d, const char *text);
/* Text of a changed tree, in the plan's arena. */
MUSTCHECK bool ddl_deparse(struct ddl *d, PgQuery__Node *stmt, const char **text);
/* What a list of tables in a statement needs: the statement as it is on the home shard, without the unsharded ones
 * elsewhere. */
struct ddl_list {
    size_t n;
    PgQuery__Node **items; /* those that exist on every shard */
    bool mixed;            /* the others are on the home shard only */
};
/* Place a statement with objects of this list. names: relations are name lists, not RangeVars. */
MUSTCHECK bool ddl_list(struct ddl *d, size_t n, PgQuery__Node *const *items, struct ddl_list *out);

/* --- ddl_constraint.c --- */

/* The table that a constraint or index is for: an existing one, or one that is being created. */
struct ddl_table {
    enum distribution dist;
    const char *schema, *name; /* schema NULL: not known */
    bool identity;
    uint32_t nkey;
    const char *key[CAT_MAX_KEY];
    enum key_type type[CAT_MAX_KEY];
    const struct cat_rel *rel;           /* NULL: being created */
    const PgQuery__CreateStmt *creating; /* NULL: exists */
};
struct ddl_table ddl_table_of(const struct ddl *d, const struct cat_rel *rel);
/* May the table have it? `column` is the one that a column constraint stands at, else NULL. */
MUSTCHECK bool ddl_constraint(struct ddl *d, const struct ddl_table *t, const PgQuery__Constraint *c,
                              const char *column);
MUSTCHECK bool ddl_column_constraints(struct ddl *d, const struct ddl_table *t, const PgQuery__ColumnDef *col);
MUSTCHECK bool ddl_unique_index(struct ddl *d, const struct ddl_table *t, const PgQuery__IndexStmt *s);
/* pgbraid_placement is pgbraid's own, on every table. `made`: the name is a new one. */
MUSTCHECK bool ddl_constraint_name(struct ddl *d, const char *name, bool made);

/* --- one statement kind each --- */

/* ddl_create.c */
MUSTCHECK bool ddl_create_table(struct ddl *d);
MUSTCHECK bool ddl_create_as(struct ddl *d);
MUSTCHECK bool ddl_select_into(struct ddl *d);
/* ddl_alter.c */
MUSTCHECK bool ddl_alter_table(struct ddl *d);
MUSTCHECK bool ddl_rename(struct ddl *d);
MUSTCHECK bool ddl_set_schema(struct ddl *d);
/* ddl_objects.c: statements about any kind of object */
MUSTCHECK bool ddl_drop(struct ddl *d);
MUSTCHECK bool ddl_comment(struct ddl *d);
MUSTCHECK bool ddl_label(struct ddl *d);
MUSTCHECK bool ddl_owner(struct ddl *d);
MUSTCHECK bool ddl_depends(struct ddl *d);
MUSTCHECK bool ddl_grant(struct ddl *d);
/* Where an object that is not a relation is, by its type; false with the refusal. */
MUSTCHECK bool ddl_object(struct ddl *d, PgQuery__ObjectType type, const PgQuery__Node *object,
                          const struct cat_rel *rel);
/* ddl_misc.c: the rest */
MUSTCHECK bool ddl_truncate(struct ddl *d);
MUSTCHECK bool ddl_vacuum(struct ddl *d);
MUSTCHECK bool ddl_lock(struct ddl *d);
MUSTCHECK bool ddl_index(struct ddl *d);
MUSTCHECK bool ddl_reindex(struct ddl *d);
MUSTCHECK bool ddl_cluster(struct ddl *d);
MUSTCHECK bool ddl_refresh(struct ddl *d);
MUSTCHECK bool ddl_view(struct ddl *d);
MUSTCHECK bool ddl_trigger(struct ddl *d);
MUSTCHECK bool ddl_rule(struct ddl *d);
MUSTCHECK bool ddl_policy(struct ddl *d);
MUSTCHECK bool ddl_statistics(struct ddl *d);
MUSTCHECK bool ddl_alter_statistics(struct ddl *d);
MUSTCHECK bool ddl_sequence(struct ddl *d);
MUSTCHECK bool ddl_schema(struct ddl *d);
MUSTCHECK bool ddl_function(struct ddl *d);
MUSTCHECK bool ddl_role_set(struct ddl *d);
MUSTCHECK bool ddl_code(struct ddl *d);

#endif
