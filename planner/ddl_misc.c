#include "planner/analyse_int.h"
#include "planner/ddl_int.h"

#include <string.h>
#include <strings.h>

/* --- maintenance of tables --- */

bool ddl_truncate(struct ddl *d)
{
    const PgQuery__TruncateStmt *s = d->node->truncate_stmt;
    struct ddl_list l;
    d->plan->writes = true;
    if (!ddl_list(d, s->n_relations, s->relations, &l))
        return false;
    if (!l.mixed && !(l.n && s->restart_seqs))
        return true;
    /* Away from the home shard sequences stay exhausted (P45). */
    PgQuery__TruncateStmt truncate = *s;
    PgQuery__Node node = *d->node;
    truncate.restart_seqs = false;
    truncate.n_relations = l.n;
    truncate.relations = l.items;
    node.truncate_stmt = &truncate;
    return ddl_deparse(d, &node, &d->out->elsewhere);
}

bool ddl_lock(struct ddl *d)
{
    const PgQuery__LockStmt *s = d->node->lock_stmt;
    struct ddl_list l;
    if (!ddl_list(d, s->n_relations, s->relations, &l))
        return false;
    if (!l.mixed)
        return true;
    PgQuery__LockStmt lock = *s;
    PgQuery__Node node = *d->node;
    lock.n_relations = l.n;
    lock.relations = l.items;
    node.lock_stmt = &lock;
    return ddl_deparse(d, &node, &d->out->elsewhere);
}

/* VACUUM and ANALYZE, all of the database or a list of tables. */
bool ddl_vacuum(struct ddl *d)
{
    const PgQuery__VacuumStmt *s = d->node->vacuum_stmt;
    struct ddl_list l;
    /* Shards on one server share catalogs, whose locks a transaction over all of them would wait for itself. */
    d->out->no_transaction = s->is_vacuumcmd || s->n_rels == 0;
    if (s->n_rels == 0)
        return ddl_everywhere(d, "the tables that each has");
    if (!ddl_list(d, s->n_rels, s->rels, &l))
        return false;
    if (!l.mixed)
        return true;
    PgQuery__VacuumStmt vacuum = *s;
    PgQuery__Node node = *d->node;
    vacuum.n_rels = l.n;
    vacuum.rels = l.items;
    node.vacuum_stmt = &vacuum;
    return ddl_deparse(d, &node, &d->out->elsewhere);
}

bool ddl_cluster(struct ddl *d)
{
    const PgQuery__ClusterStmt *s = d->node->cluster_stmt;
    const struct cat_rel *rel;
    if (!s->relation) {
        d->out->no_transaction = true;
        return ddl_everywhere(d, "the tables that each has");
    }
    return ddl_rel(d, s->relation, &rel) && ddl_at(d, rel);
}

static bool has_option(size_t n, PgQuery__Node *const *options, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcasecmp(tree_str(options[i]->def_elem->defname), name) == 0)
            return true;
    return false;
}

bool ddl_reindex(struct ddl *d)
{
    const PgQuery__ReindexStmt *s = d->node->reindex_stmt;
    const struct cat_rel *rel;
    /* Whatever its value: without a transaction it runs as well. */
    d->out->no_transaction = has_option(s->n_params, s->params, "concurrently");
    switch ((int)s->kind) {
    case PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_INDEX:
    case PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_TABLE:
        return ddl_rel(d, s->relation, &rel) && ddl_at(d, rel);
    case PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_SCHEMA:
        d->out->no_transaction = true;
        return ddl_everywhere(d, "the tables that each has");
    default:
        return ddl_refuse(d, PB0204, "Use REINDEX SCHEMA.", "REINDEX of a database by name is not supported");
    }
}

bool ddl_refresh(struct ddl *d)
{
    const PgQuery__RefreshMatViewStmt *s = d->node->refresh_mat_view_stmt;
    const struct cat_rel *rel;
    d->plan->writes = true;
    if (!ddl_rel(d, s->relation, &rel))
        return false;
    if (!rel || !rel->view_sharded || s->skip_data)
        return ddl_home(d, "views are there only");
    (void)ddl_refuse(d, PB0201, "Fill an ordinary table instead.", "materialized view \"%s\" stands for sharded tables",
                     rel->name);
    return err_detail(d->e, "It would be filled with the home shard's rows only.");
}

/* --- indexes --- */

bool ddl_index(struct ddl *d)
{
    const PgQuery__IndexStmt *s = d->node->index_stmt;
    const struct cat_rel *rel;
    d->out->no_transaction = s->concurrent;
    if (!ddl_rel(d, s->relation, &rel))
        return false;
    if (!rel || ddl_dist(d, rel) == DIST_UNSHARDED)
        return ddl_at(d, rel);
    struct ddl_table t = ddl_table_of(d, rel);
    if (s->concurrent && s->unique) {
        (void)ddl_refuse(d, PB0204, "Leave UNIQUE or CONCURRENTLY out.",
                         "CREATE UNIQUE INDEX CONCURRENTLY is not supported on table \"%s\", which is %s", t.name,
                         ddl_dist_text(t.dist));
        return err_detail(d->e, "It runs outside a transaction: rows could be unique on some shards only.");
    }
    return ddl_unique_index(d, &t, s) && ddl_at(d, rel);
}

/* --- views, triggers, rules, policies, statistics --- */

bool ddl_view(struct ddl *d)
{
    const PgQuery__ViewStmt *s = d->node->view_stmt;
    const struct cat_rel *rel;
    if (strcmp(tree_str(s->view->relpersistence), "t") == 0)
        return ddl_refuse_temporary(d);
    return ddl_rel(d, s->view, &rel) && ddl_home(d, "views are there only");
}

bool ddl_trigger(struct ddl *d)
{
    const PgQuery__CreateTrigStmt *s = d->node->create_trig_stmt;
    const struct cat_rel *rel;
    return ddl_rel(d, s->relation, &rel) && ddl_at(d, rel);
}

bool ddl_rule(struct ddl *d)
{
    const PgQuery__RuleStmt *s = d->node->rule_stmt;
    const struct cat_rel *rel;
    if (!ddl_rel(d, s->relation, &rel))
        return false;
    if (!rel || ddl_dist(d, rel) == DIST_UNSHARDED)
        return ddl_at(d, rel);
    (void)ddl_refuse(d, PB0207, "A trigger can do the same.", "table \"%s\", which is %s, cannot have rules", rel->name,
                     ddl_dist_text(ddl_dist(d, rel)));
    return err_detail(d->e, "A rewritten row would be placed by a key that nobody looked at.");
}

bool ddl_policy(struct ddl *d)
{
    bool create = d->node->node_case == PG_QUERY__NODE__NODE_CREATE_POLICY_STMT;
    const struct cat_rel *rel;
    return ddl_rel(d, create ? d->node->create_policy_stmt->table : d->node->alter_policy_stmt->table, &rel) &&
           ddl_at(d, rel);
}

bool ddl_statistics(struct ddl *d)
{
    const PgQuery__CreateStatsStmt *s = d->node->create_stats_stmt;
    const struct cat_rel *rel = NULL;
    if (s->n_relations && s->relations[0]->node_case == PG_QUERY__NODE__NODE_RANGE_VAR &&
        !ddl_rel(d, s->relations[0]->range_var, &rel))
        return false;
    return ddl_at(d, rel);
}

bool ddl_alter_statistics(struct ddl *d)
{
    PgQuery__AlterStatsStmt alter = *d->node->alter_stats_stmt;
    PgQuery__Node node = *d->node;
    alter.missing_ok = true;
    node.alter_stats_stmt = &alter;
    return ddl_deparse(d, &node, &d->out->elsewhere) && ddl_everywhere(d, "where the statistics' table is");
}

/* --- sequences --- */

/* OWNED BY: the names of a column, or NONE. */
static const PgQuery__Node *owned_by(size_t n, PgQuery__Node *const *options)
{
    for (size_t i = 0; i < n; i++)
        if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            strcmp(tree_str(options[i]->def_elem->defname), "owned_by") == 0)
            return options[i]->def_elem->arg;
    return NULL;
}

static bool check_owner(struct ddl *d, const PgQuery__Node *names, const struct cat_rel *seq)
{
    const struct cat_rel *table;
    if (!names)
        return true;
    if (!ddl_rel_of_names(d, names, 1, &table))
        return false;
    enum distribution now = seq ? ddl_dist(d, seq) : DIST_UNSHARDED, then = table ? ddl_dist(d, table) : DIST_UNSHARDED;
    if (now == DIST_UNSHARDED && then == DIST_UNSHARDED)
        return true;
    if (seq && table && seq->owner == table->oid)
        return true;
    (void)ddl_refuse(
        d, PB0207, "Leave the sequence on its own: OWNED BY NONE.",
        "the owner of a sequence cannot be changed to or from a table that is sharded or a reference table");
    return err_detail(d->e, "Sequences are on the home shard, those owned by such tables are on every shard.");
}

bool ddl_sequence(struct ddl *d)
{
    const struct cat_rel *rel;
    if (d->node->node_case == PG_QUERY__NODE__NODE_ALTER_SEQ_STMT) {
        const PgQuery__AlterSeqStmt *s = d->node->alter_seq_stmt;
        if (!ddl_rel(d, s->sequence, &rel) || !check_owner(d, owned_by(s->n_options, s->options), rel))
            return false;
        if (rel && ddl_dist(d, rel) != DIST_UNSHARDED && has_option(s->n_options, s->options, "as"))
            return ddl_refuse(d, PB0204, NULL, "the type of a sequence that a %s table owns cannot be changed",
                              ddl_dist(d, rel) == DIST_SHARDED ? "sharded" : "reference");
        return ddl_home(d, "values are drawn there only");
    }
    const PgQuery__CreateSeqStmt *s = d->node->create_seq_stmt;
    if (strcmp(tree_str(s->sequence->relpersistence), "t") == 0)
        return ddl_refuse_temporary(d);
    return ddl_rel(d, s->sequence, &rel) && check_owner(d, owned_by(s->n_options, s->options), NULL) &&
           ddl_home(d, "sequences are there only");
}

/* --- the rest --- */

bool ddl_schema(struct ddl *d)
{
    const PgQuery__CreateSchemaStmt *s = d->node->create_schema_stmt;
    if (s->n_schema_elts > 0)
        return ddl_refuse(d, PB0204, "Create them in statements of their own.",
                          "CREATE SCHEMA with elements is not supported");
    if (strcmp(tree_str(s->schemaname), "pgbraid") == 0)
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    return ddl_everywhere(d, "schemas exist on every shard");
}

/* The row type of a table that only the home shard has. */
static const struct cat_rel *home_row_type(struct ddl *d, const PgQuery__TypeName *t)
{
    const char *schema, *name = t ? tree_name(t->n_names, t->names, &schema) : "";
    const struct cat_rel *rel = *name ? catalog_resolve_rel(d->in->cat, d->in->env, schema, name) : NULL;
    return rel && !rel->system && ddl_dist(d, rel) == DIST_UNSHARDED ? rel : NULL;
}

bool ddl_function(struct ddl *d)
{
    const PgQuery__CreateFunctionStmt *s = d->node->create_function_stmt;
    const struct cat_rel *rel = home_row_type(d, s->return_type);
    const char *schema;
    (void)tree_name(s->n_funcname, s->funcname, &schema);
    if (strcmp(schema, "pgbraid") == 0)
        return ddl_refuse(d, PB0204, NULL, "schema \"pgbraid\" belongs to pgbraid and cannot be changed");
    for (size_t i = 0; !rel && i < s->n_parameters; i++)
        rel = home_row_type(d, s->parameters[i]->function_parameter->arg_type);
    if (rel) {
        (void)ddl_refuse(d, PB0204, "Use record, or RETURNS TABLE (...) with the columns.",
                         "a function cannot have the row type of table \"%s\" in its signature", rel->name);
        return err_detail(d->e, "Functions exist on every shard, the table on the home shard only.");
    }
    d->out->bodies = true;
    return ddl_everywhere(d, "functions exist on every shard");
}

bool ddl_role_set(struct ddl *d)
{
    const PgQuery__VariableSetStmt *set = d->node->alter_role_set_stmt->setstmt;
    if (*tree_str(d->node->alter_role_set_stmt->database))
        return ddl_refuse(d, PB0204, "Leave IN DATABASE out.", "ALTER ROLE ... IN DATABASE is not supported");
    if (set->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_RESET && strncasecmp(tree_str(set->name), "pgbraid.", 8) == 0)
        return ddl_refuse(
            d, PB0204, "Set it in the router's configuration: options = -c pgbraid....=... in a section [user NAME].",
            "the servers do not know \"%s\"", set->name);
    d->out->once_per_server = d->out->shared = true;
    return ddl_everywhere(d, "it belongs to the servers, not to the database");
}

/* DO and CALL: code that may do anything, on the one server where it runs. */
bool ddl_code(struct ddl *d)
{
    const char *schema, *name = "a DO block";
    bool call = d->node->node_case == PG_QUERY__NODE__NODE_CALL_STMT;
    if (call) {
        const PgQuery__FuncCall *f = d->node->call_stmt->funccall;
        name = tree_name(f->n_funcname, f->funcname, &schema);
        name = arena_printf(d->a, "procedure %s()", name);
        if (strcmp(schema, "pgbraid") == 0)
            return ddl_refuse(d, PB0204, NULL, "procedures of schema \"pgbraid\" are pgbraid's own");
        const struct cat_func *user =
            catalog_user_function(d->in->cat, schema, tree_string(f->funcname[f->n_funcname - 1]));
        struct an an = { .in = d->in, .a = d->a, .e = d->e };
        inventory_take(&an, tree_message(d->node));
        if (user && !an.inv.opaque && !an.inv.table_reader) {
            d->plan->writes = d->plan->opaque = true;
            return ddl_home(d, "a procedure that was declared safe");
        }
    }
    if (catalog_all_home(d->in->cat)) {
        d->plan->writes = d->plan->opaque = true;
        d->out->schema_change = !call;
        return ddl_home(d, "nothing is distributed");
    }
    (void)ddl_refuse(d, PB0205, call ? "If it touches no table, name it in safe_functions in the configuration." : NULL,
                     "%s may read or write rows of other shards", name);
    return err_detail(d->e, "It runs on one shard and would see that shard's rows only.");
}
