/*
 * DDL, top: one row per kind of statement.
 *
 * Shards may not come to differ. So what changes several shards runs in one transaction over all of them. What
 * PostgreSQL does not allow in a transaction runs on one shard after the other, if being done on some shards only
 * changes no answer and doing it again is harmless (VACUUM, REINDEX, indexes that are not unique); else it is refused.
 */
#include "planner/utility_ddl.h"

#include "planner/ddl_int.h"

#include <string.h>

enum ddl_where {
    DDL_AT,      /* where the objects are that it names: `plan` finds out */
    DDL_ALL,     /* every shard, one transaction */
    DDL_ALONE,   /* every shard, one after the other: not possible in a transaction */
    DDL_HOME,    /* the home shard: objects that exist there only */
    DDL_SERVERS, /* once per server: what databases share */
    DDL_REFUSED
};

struct ddl_kind {
    PgQuery__Node__NodeCase node;
    const char *name;
    enum ddl_where where;
    bool keeps_schema; /* nothing that a plan depends on changes */
    const char *why;   /* reason in SHOW ROUTE, or detail of the refusal */
    const char *hint;  /* of the refusal */
    bool (*plan)(struct ddl *d);
};

#define STMT(name) PG_QUERY__NODE__NODE_##name##_STMT
#define EVERYWHERE "what is not a table exists on every shard"
#define FOREIGN    "foreign tables and their servers exist on the home shard only"
#define SHARED     "it belongs to the servers, not to the database"
#define SERVER     "It is about one server's files or databases, which a client of pgbraid does not see."
#define FLOW       "Changes would be published or applied shard by shard, and by a move of rows once more."

static const struct ddl_kind kinds[] = {
    /* tables and what belongs to them */
    { STMT(CREATE), "CREATE TABLE", DDL_AT, .plan = ddl_create_table },
    { STMT(CREATE_TABLE_AS), "CREATE TABLE AS", DDL_AT, .plan = ddl_create_as },
    { STMT(SELECT), "SELECT INTO", DDL_AT, .plan = ddl_select_into },
    { STMT(ALTER_TABLE), "ALTER TABLE", DDL_AT, .plan = ddl_alter_table },
    { STMT(DROP), "DROP", DDL_AT, .plan = ddl_drop },
    { STMT(RENAME), "ALTER ... RENAME", DDL_AT, .plan = ddl_rename },
    { STMT(ALTER_OBJECT_SCHEMA), "ALTER ... SET SCHEMA", DDL_AT, .plan = ddl_set_schema },
    { STMT(ALTER_OWNER), "ALTER ... OWNER TO", DDL_AT, .plan = ddl_owner },
    { STMT(ALTER_OBJECT_DEPENDS), "ALTER ... DEPENDS ON EXTENSION", DDL_AT, .plan = ddl_depends },
    { STMT(COMMENT), "COMMENT", DDL_AT, .keeps_schema = true, .plan = ddl_comment },
    { STMT(SEC_LABEL), "SECURITY LABEL", DDL_AT, .keeps_schema = true, .plan = ddl_label },
    { STMT(GRANT), "GRANT", DDL_AT, .plan = ddl_grant },
    { STMT(INDEX), "CREATE INDEX", DDL_AT, .plan = ddl_index },
    { STMT(CREATE_TRIG), "CREATE TRIGGER", DDL_AT, .plan = ddl_trigger },
    { STMT(RULE), "CREATE RULE", DDL_AT, .plan = ddl_rule },
    { STMT(CREATE_POLICY), "CREATE POLICY", DDL_AT, .plan = ddl_policy },
    { STMT(ALTER_POLICY), "ALTER POLICY", DDL_AT, .plan = ddl_policy },
    { STMT(CREATE_STATS), "CREATE STATISTICS", DDL_AT, .keeps_schema = true, .plan = ddl_statistics },
    { STMT(ALTER_STATS), "ALTER STATISTICS", DDL_AT, .keeps_schema = true, .plan = ddl_alter_statistics },
    { STMT(CREATE_SEQ), "CREATE SEQUENCE", DDL_AT, .plan = ddl_sequence },
    { STMT(ALTER_SEQ), "ALTER SEQUENCE", DDL_AT, .plan = ddl_sequence },
    { STMT(VIEW), "CREATE VIEW", DDL_AT, .plan = ddl_view },
    { STMT(REFRESH_MAT_VIEW), "REFRESH MATERIALIZED VIEW", DDL_AT, .keeps_schema = true, .plan = ddl_refresh },
    /* maintenance */
    { STMT(TRUNCATE), "TRUNCATE", DDL_AT, .keeps_schema = true, .plan = ddl_truncate },
    { STMT(LOCK), "LOCK TABLE", DDL_AT, .keeps_schema = true, .plan = ddl_lock },
    { STMT(VACUUM), "VACUUM", DDL_AT, .keeps_schema = true, .plan = ddl_vacuum },
    { STMT(CLUSTER), "CLUSTER", DDL_AT, .keeps_schema = true, .plan = ddl_cluster },
    { STMT(REINDEX), "REINDEX", DDL_AT, .keeps_schema = true, .plan = ddl_reindex },
    { STMT(CHECK_POINT), "CHECKPOINT", DDL_ALONE, .keeps_schema = true, "every shard's server" },
    /* what every shard has */
    { STMT(CREATE_SCHEMA), "CREATE SCHEMA", DDL_AT, .plan = ddl_schema },
    { STMT(CREATE_FUNCTION), "CREATE FUNCTION", DDL_AT, .plan = ddl_function },
    { STMT(ALTER_FUNCTION), "ALTER FUNCTION", DDL_ALL, .why = EVERYWHERE },
    { STMT(DEFINE), "CREATE", DDL_ALL, .why = EVERYWHERE },
    { STMT(COMPOSITE_TYPE), "CREATE TYPE", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_ENUM), "CREATE TYPE", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_RANGE), "CREATE TYPE", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_ENUM), "ALTER TYPE", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_TYPE), "ALTER TYPE", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_DOMAIN), "CREATE DOMAIN", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_DOMAIN), "ALTER DOMAIN", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_CAST), "CREATE CAST", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_CONVERSION), "CREATE CONVERSION", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_OP_CLASS), "CREATE OPERATOR CLASS", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_OP_FAMILY), "CREATE OPERATOR FAMILY", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_OP_FAMILY), "ALTER OPERATOR FAMILY", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_OPERATOR), "ALTER OPERATOR", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_TSDICTIONARY), "ALTER TEXT SEARCH DICTIONARY", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_TSCONFIGURATION), "ALTER TEXT SEARCH CONFIGURATION", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_COLLATION), "ALTER COLLATION", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_TRANSFORM), "CREATE TRANSFORM", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_PLANG), "CREATE LANGUAGE", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_AM), "CREATE ACCESS METHOD", DDL_ALL, .why = EVERYWHERE },
    { STMT(CREATE_EXTENSION), "CREATE EXTENSION", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_EXTENSION), "ALTER EXTENSION", DDL_ALL, .why = EVERYWHERE },
    { STMT(ALTER_DEFAULT_PRIVILEGES), "ALTER DEFAULT PRIVILEGES", DDL_ALL,
      .why = "each shard applies them to what it has" },
    { STMT(DROP_OWNED), "DROP OWNED", DDL_ALL, .why = "each shard drops what it has" },
    { STMT(REASSIGN_OWNED), "REASSIGN OWNED", DDL_ALL, .why = "each shard reassigns what it has" },
    /* the home shard's */
    { STMT(CREATE_FDW), "CREATE FOREIGN DATA WRAPPER", DDL_HOME, .why = FOREIGN },
    { STMT(ALTER_FDW), "ALTER FOREIGN DATA WRAPPER", DDL_HOME, .why = FOREIGN },
    { STMT(CREATE_FOREIGN_SERVER), "CREATE SERVER", DDL_HOME, .why = FOREIGN },
    { STMT(ALTER_FOREIGN_SERVER), "ALTER SERVER", DDL_HOME, .why = FOREIGN },
    { STMT(CREATE_USER_MAPPING), "CREATE USER MAPPING", DDL_HOME, .why = FOREIGN },
    { STMT(ALTER_USER_MAPPING), "ALTER USER MAPPING", DDL_HOME, .why = FOREIGN },
    { STMT(DROP_USER_MAPPING), "DROP USER MAPPING", DDL_HOME, .why = FOREIGN },
    { STMT(CREATE_FOREIGN_TABLE), "CREATE FOREIGN TABLE", DDL_HOME, .why = FOREIGN },
    { STMT(IMPORT_FOREIGN_SCHEMA), "IMPORT FOREIGN SCHEMA", DDL_HOME, .why = FOREIGN },
    /* the servers' */
    { STMT(CREATE_ROLE), "CREATE ROLE", DDL_SERVERS, .why = SHARED },
    { STMT(ALTER_ROLE), "ALTER ROLE", DDL_SERVERS, .why = SHARED },
    { STMT(ALTER_ROLE_SET), "ALTER ROLE ... SET", DDL_AT, .plan = ddl_role_set },
    { STMT(DROP_ROLE), "DROP ROLE", DDL_SERVERS, .why = SHARED },
    { STMT(GRANT_ROLE), "GRANT", DDL_SERVERS, .why = SHARED },
    /* refused */
    { STMT(DO), "DO", DDL_AT, .keeps_schema = true, .plan = ddl_code },
    { STMT(CALL), "CALL", DDL_AT, .keeps_schema = true, .plan = ddl_code },
    { STMT(CREATEDB), "CREATE DATABASE", DDL_REFUSED, .why = SERVER,
      .hint = "Databases of pgbraid are made with pgbraid shard add." },
    { STMT(DROPDB), "DROP DATABASE", DDL_REFUSED, .why = SERVER },
    { STMT(ALTER_DATABASE), "ALTER DATABASE", DDL_REFUSED, .why = SERVER },
    { STMT(ALTER_DATABASE_SET), "ALTER DATABASE", DDL_REFUSED, .why = SERVER, .hint = "Use ALTER ROLE ... SET." },
    { STMT(ALTER_DATABASE_REFRESH_COLL), "ALTER DATABASE", DDL_REFUSED, .why = SERVER },
    { STMT(CREATE_TABLE_SPACE), "CREATE TABLESPACE", DDL_REFUSED, .why = SERVER },
    { STMT(DROP_TABLE_SPACE), "DROP TABLESPACE", DDL_REFUSED, .why = SERVER },
    { STMT(ALTER_TABLE_SPACE_OPTIONS), "ALTER TABLESPACE", DDL_REFUSED, .why = SERVER },
    { STMT(ALTER_TABLE_MOVE_ALL), "ALTER ... ALL IN TABLESPACE", DDL_REFUSED, .why = SERVER },
    { STMT(ALTER_SYSTEM), "ALTER SYSTEM", DDL_REFUSED, .why = SERVER, .hint = "Connect to the server itself." },
    { STMT(LOAD), "LOAD", DDL_REFUSED, .why = "It changes one server process, and statements of a session use many.",
      .hint = "Use session_preload_libraries on the servers." },
    { STMT(CREATE_EVENT_TRIG), "CREATE EVENT TRIGGER", DDL_REFUSED,
      .why = "It would run for pgbraid's own statements too, and on each shard by itself." },
    { STMT(ALTER_EVENT_TRIG), "ALTER EVENT TRIGGER", DDL_REFUSED, .why = "Event triggers are not supported." },
    { STMT(CREATE_PUBLICATION), "CREATE PUBLICATION", DDL_REFUSED, .why = FLOW },
    { STMT(ALTER_PUBLICATION), "ALTER PUBLICATION", DDL_REFUSED, .why = FLOW },
    { STMT(CREATE_SUBSCRIPTION), "CREATE SUBSCRIPTION", DDL_REFUSED, .why = FLOW },
    { STMT(ALTER_SUBSCRIPTION), "ALTER SUBSCRIPTION", DDL_REFUSED, .why = FLOW },
    { STMT(DROP_SUBSCRIPTION), "DROP SUBSCRIPTION", DDL_REFUSED, .why = FLOW },
    { STMT(ALTER_EXTENSION_CONTENTS), "ALTER EXTENSION ... ADD", DDL_REFUSED,
      .why = "An extension's objects would be on the home shard only." },
};

static const struct ddl_kind *kind_of(const PgQuery__Node *stmt)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].node == stmt->node_case)
            return &kinds[i];
    return NULL;
}

static bool place(struct ddl *d, const struct ddl_kind *k)
{
    switch (k->where) {
    case DDL_AT:
        return k->plan(d);
    case DDL_ALL:
        d->out->shared = k->node == STMT(DROP_OWNED) || k->node == STMT(REASSIGN_OWNED);
        if (k->node == STMT(DROP_OWNED))
            ddl_after(d, "CALL pgbraid.forget_dropped()");
        return ddl_everywhere(d, k->why);
    case DDL_ALONE:
        d->out->no_transaction = true;
        return ddl_everywhere(d, k->why);
    case DDL_HOME:
        return ddl_home(d, k->why);
    case DDL_SERVERS:
        d->out->once_per_server = d->out->shared = true;
        return ddl_everywhere(d, k->why);
    case DDL_REFUSED:
        break;
    }
    (void)ddl_refuse(d, PB0204, k->hint, "%s is not supported", k->name);
    return err_detail(d->e, "%s", k->why);
}

bool utility_ddl_plan(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    struct ddl d = { .in = in, .a = scratch, .e = e, .node = in->tree->stmts[0]->stmt };
    const struct ddl_kind *k = kind_of(d.node);
    if (!k)
        return err_set(e, PB0204, "this kind of statement is not supported");
    d.name = k->name;
    d.plan = plan_new();
    d.out = arena_zalloc(plan_arena(d.plan), sizeof *d.out);
    d.plan->kind = PLAN_DDL;
    d.plan->ddl = d.out;
    d.plan->writes = !k->keeps_schema;
    d.out->schema_change = !k->keeps_schema;
    if (!place(&d, k)) {
        plan_unref(d.plan);
        return false;
    }
    *out = (struct plan_result){ .plan = d.plan, .cacheable = false };
    return true;
}
