/*
 * What a statement calls. A function that reads tables sees one shard's rows (rule P20), one with side effects has them
 * on one shard only (P45, P55), one that tells the time or draws random numbers tells each shard's own (P1). So every
 * call is sorted into: harmless, evaluated where the row is, the same for a whole statement, the home server's
 * business, state of a connection, or refused.
 *
 * PostgreSQL's own immutable functions are harmless and not even in the catalog. Its stable and volatile ones are
 * harmless only if they are in the lists below: one that is not (of a newer version, say) is taken for the home
 * server's business, which keeps it away from distributed tables.
 */
#include "planner/analyse_int.h"
#include "planner/moment.h"
#include "planner/utility_int.h"

#include <string.h>
#include <strings.h>

enum call {
    CALL_HARMLESS, /* depends on arguments and settings only */
    CALL_ROW,      /* volatile, but any server may evaluate it for a row */
    CALL_MOMENT,   /* one value for the whole statement or transaction */
    CALL_SETTINGS, /* changes settings */
    CALL_SETTING,  /* tells one */
    CALL_EACH,     /* tells what each server is */
    CALL_SESSION,  /* leaves state on the connection, or depends on it */
    CALL_LOCK,     /* takes an advisory lock of the session: on the home shard, whose connection it keeps */
    CALL_PID,      /* pg_backend_pid() */
    CALL_UNLOCK,   /* gives them back */
    CALL_TABLES,   /* runs queries */
    CALL_HOME      /* everything else */
};

struct call_name {
    const char *name;
    enum call call;
};

/* Sorted by name. "prefix*" is not supported: the lists are the documentation. */
static const struct call_name calls[] = {
    { "age", CALL_MOMENT }, /* age(timestamp) counts from today */
    { "array_to_json", CALL_HARMLESS },
    { "array_to_string", CALL_HARMLESS },
    { "clock_timestamp", CALL_ROW },
    { "concat", CALL_HARMLESS },
    { "concat_ws", CALL_HARMLESS },
    { "convert", CALL_HARMLESS },
    { "convert_from", CALL_HARMLESS },
    { "convert_to", CALL_HARMLESS },
    { "current_setting", CALL_SETTING },
    { "current_user", CALL_HARMLESS },
    { "currval", CALL_SESSION },
    { "cursor_to_xml", CALL_TABLES },
    { "cursor_to_xmlschema", CALL_TABLES },
    { "database_to_xml", CALL_TABLES },
    { "database_to_xml_and_xmlschema", CALL_TABLES },
    { "database_to_xmlschema", CALL_TABLES },
    { "date", CALL_HARMLESS },
    { "date_part", CALL_HARMLESS },
    { "date_trunc", CALL_HARMLESS },
    { "enum_first", CALL_HARMLESS },
    { "enum_last", CALL_HARMLESS },
    { "enum_range", CALL_HARMLESS },
    { "extract", CALL_HARMLESS },
    { "format", CALL_HARMLESS },
    { "gen_random_uuid", CALL_ROW },
    { "generate_series", CALL_HARMLESS },
    { "get_current_ts_config", CALL_HARMLESS },
    { "getdatabaseencoding", CALL_HARMLESS },
    { "getpgusername", CALL_HARMLESS },
    { "json_build_array", CALL_HARMLESS },
    { "json_build_object", CALL_HARMLESS },
    { "json_populate_record", CALL_HARMLESS },
    { "json_populate_recordset", CALL_HARMLESS },
    { "json_to_record", CALL_HARMLESS },
    { "json_to_recordset", CALL_HARMLESS },
    { "json_to_tsvector", CALL_HARMLESS },
    { "jsonb_build_array", CALL_HARMLESS },
    { "jsonb_build_object", CALL_HARMLESS },
    { "jsonb_path_exists_tz", CALL_HARMLESS },
    { "jsonb_path_match_tz", CALL_HARMLESS },
    { "jsonb_path_query_array_tz", CALL_HARMLESS },
    { "jsonb_path_query_first_tz", CALL_HARMLESS },
    { "jsonb_path_query_tz", CALL_HARMLESS },
    { "jsonb_populate_record", CALL_HARMLESS },
    { "jsonb_populate_recordset", CALL_HARMLESS },
    { "jsonb_to_record", CALL_HARMLESS },
    { "jsonb_to_recordset", CALL_HARMLESS },
    { "jsonb_to_tsvector", CALL_HARMLESS },
    { "lastval", CALL_SESSION },
    { "length", CALL_HARMLESS },
    { "make_timestamptz", CALL_HARMLESS },
    { "money", CALL_HARMLESS },
    { "now", CALL_MOMENT },
    { "numeric", CALL_HARMLESS },
    { "overlaps", CALL_HARMLESS },
    { "pg_advisory_lock", CALL_LOCK },
    { "pg_advisory_lock_shared", CALL_LOCK },
    { "pg_advisory_unlock", CALL_UNLOCK },
    { "pg_advisory_unlock_all", CALL_UNLOCK },
    { "pg_advisory_unlock_shared", CALL_UNLOCK },
    { "pg_backend_pid", CALL_PID },
    { "pg_backup_start", CALL_SESSION },
    { "pg_backup_stop", CALL_SESSION },
    { "pg_client_encoding", CALL_HARMLESS },
    { "pg_collation_for", CALL_HARMLESS },
    { "pg_column_size", CALL_HARMLESS },
    { "pg_cursor", CALL_SESSION },
    { "pg_encoding_to_char", CALL_HARMLESS },
    { "pg_export_snapshot", CALL_SESSION },
    { "pg_listening_channels", CALL_SESSION },
    { "pg_prepared_statement", CALL_SESSION },
    { "pg_sleep", CALL_ROW },
    { "pg_sleep_for", CALL_ROW },
    { "pg_try_advisory_lock", CALL_LOCK },
    { "pg_try_advisory_lock_shared", CALL_LOCK },
    { "pg_typeof", CALL_HARMLESS },
    { "phraseto_tsquery", CALL_HARMLESS },
    { "plainto_tsquery", CALL_HARMLESS },
    { "query_to_xml", CALL_TABLES },
    { "query_to_xml_and_xmlschema", CALL_TABLES },
    { "query_to_xmlschema", CALL_TABLES },
    { "quote_literal", CALL_HARMLESS },
    { "quote_nullable", CALL_HARMLESS },
    { "random", CALL_ROW },
    { "row_to_json", CALL_HARMLESS },
    { "schema_to_xml", CALL_TABLES },
    { "schema_to_xml_and_xmlschema", CALL_TABLES },
    { "schema_to_xmlschema", CALL_TABLES },
    { "session_user", CALL_HARMLESS },
    { "set_config", CALL_SETTINGS },
    { "setseed", CALL_SESSION },
    { "statement_timestamp", CALL_MOMENT },
    { "table_to_xml", CALL_TABLES },
    { "table_to_xml_and_xmlschema", CALL_TABLES },
    { "table_to_xmlschema", CALL_TABLES },
    { "time", CALL_HARMLESS },
    { "timeofday", CALL_ROW },
    { "timestamp", CALL_HARMLESS },
    { "timestamptz", CALL_HARMLESS },
    { "timetz", CALL_HARMLESS },
    { "timezone", CALL_HARMLESS },
    { "to_char", CALL_HARMLESS },
    { "to_date", CALL_HARMLESS },
    { "to_json", CALL_HARMLESS },
    { "to_jsonb", CALL_HARMLESS },
    { "to_number", CALL_HARMLESS },
    { "to_timestamp", CALL_HARMLESS },
    { "to_tsquery", CALL_HARMLESS },
    { "to_tsvector", CALL_HARMLESS },
    { "transaction_timestamp", CALL_MOMENT },
    { "ts_debug", CALL_HARMLESS },
    { "ts_headline", CALL_HARMLESS },
    { "ts_rewrite", CALL_TABLES },
    { "ts_stat", CALL_TABLES },
    { "version", CALL_EACH },
    { "websearch_to_tsquery", CALL_HARMLESS },
    { "xml", CALL_HARMLESS },
    { "xml_is_well_formed", CALL_HARMLESS },
};

static enum call builtin_call(const struct cat_func *f)
{
    size_t lo = 0, hi = ARRAY_LEN(calls);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = strcmp(calls[mid].name, f->name);
        if (d == 0)
            return calls[mid].call;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (f->aggregate || f->window || f->volatility == CAT_IMMUTABLE)
        return CALL_HARMLESS;
    return CALL_HOME;
}

bool function_declared_safe(const struct an *an, const char *name)
{
    const char *const *safe = an->in->options ? an->in->options->safe_functions : NULL;
    for (; safe && *safe; safe++)
        if (strcmp(*safe, name) == 0)
            return true;
    return false;
}

static void keep_first(const char **slot, const char *name)
{
    if (!*slot)
        *slot = name;
}

/*
 * Settings that every server has alike, in lower case: what the router makes equal for a session or a transaction (rule
 * P30). Of the others each server tells its own.
 */
static const char *const equal_settings[] = {
    "application_name",
    "array_nulls",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_text_search_config",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "integer_datetimes",
    "intervalstyle",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "role",
    "row_security",
    "search_path",
    "server_encoding",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
    "transaction_deferrable",
    "transaction_isolation",
    "transaction_read_only",
    "xmlbinary",
    "xmloption",
};

/* Names with a dot are the applications' own: only SET gives them a value, and on every server. */
static bool tells_equal_setting(struct an *an, const PgQuery__FuncCall *f)
{
    uint32_t literal;
    const char *name = f->n_args > 0 ? utility_string(an->in, f->args[0], &literal) : NULL;
    if (!name)
        return false;
    depend_on_value(an, literal);
    if (strchr(name, '.'))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(equal_settings); i++)
        if (strcasecmp(name, equal_settings[i]) == 0)
            return true;
    return false;
}

static void take_builtin(struct an *an, const struct cat_func *f, const PgQuery__FuncCall *call)
{
    struct inventory *inv = &an->inv;
    switch (builtin_call(f)) {
    case CALL_HARMLESS:
        break;
    case CALL_ROW:
        keep_first(&inv->volatile_row, f->name);
        break;
    case CALL_MOMENT:
        keep_first(&inv->moment, f->name);
        break;
    case CALL_SETTINGS:
        inv->nsetting++;
        keep_first(&inv->home_function, f->name);
        break;
    case CALL_SETTING:
        if (!tells_equal_setting(an, call))
            keep_first(&inv->each_server, f->name);
        break;
    case CALL_EACH:
        keep_first(&inv->each_server, f->name);
        break;
    case CALL_SESSION:
        keep_first(&inv->session, f->name);
        break;
    case CALL_TABLES:
        keep_first(&inv->table_reader, f->name);
        break;
    case CALL_PID:
        inv->pid = true;
        break;
    case CALL_LOCK:
    case CALL_UNLOCK:
        inv->locks |= builtin_call(f) == CALL_LOCK;
        inv->unlocks |= builtin_call(f) == CALL_UNLOCK;
        inv->home_writes = true;
        keep_first(&inv->home_function, f->name);
        break;
    case CALL_HOME:
        inv->home_writes |= f->volatility == CAT_VOLATILE;
        keep_first(&inv->home_function, f->name);
        break;
    }
}

/* Code outside pg_catalog that a name may stand for. */
static void take_user(struct an *an, const char *name, bool harmless, enum cat_volatility volatility)
{
    struct inventory *inv = &an->inv;
    if (!harmless) {
        if (!function_declared_safe(an, name)) {
            keep_first(&inv->opaque, arena_printf(an->a, "function %s()", name));
            return;
        }
        inv->declared = true;
        inv->home_writes |= volatility == CAT_VOLATILE;
    }
    if (volatility == CAT_VOLATILE)
        keep_first(&inv->volatile_row, name);
    else if (volatility == CAT_STABLE)
        keep_first(&inv->moment, name);
}

/* A function behind an operator, a cast or a type, which may or may not be the one that is meant. */
static void take_implicit(struct an *an, const char *function)
{
    if (!function_declared_safe(an, function))
        keep_first(&an->inv.opaque, arena_printf(an->a, "function %s()", function));
}

static void take_call(struct an *an, const PgQuery__FuncCall *f)
{
    size_t n = f->n_funcname;
    PgQuery__Node *const *names = f->funcname;
    const char *schema, *name = tree_name(n, names, &schema);
    bool catalog_only = strcmp(schema, "pg_catalog") == 0;
    const struct cat_func *builtin = !*schema || catalog_only ? catalog_builtin_function(an->in->cat, name) : NULL;
    const struct cat_func *user = catalog_user_function(an->in->cat, schema, name);
    if (strncmp(schema, "pg_temp", 7) == 0)
        keep_first(&an->inv.opaque, arena_printf(an->a, "function %s.%s()", schema, name));
    /* An unqualified name may mean either: which one depends on argument types that are not computed here. */
    if (builtin)
        take_builtin(an, builtin, f);
    if (builtin && builtin_call(builtin) == CALL_SETTINGS)
        an->inv.nlocal += utility_sets_locally(an->in, f);
    if (user)
        take_user(an, arena_printf(an->a, "%s.%s", user->schema, name), user->harmless, user->volatility);
}

/* Operators are taken by name alone: a user's operator of that name might be the one meant. */
static void take_operator(struct an *an, size_t n, PgQuery__Node *const *names)
{
    const struct cat_operator *ops;
    const char *schema, *name = tree_name(n, names, &schema);
    uint32_t nop = catalog_operators(an->in->cat, &ops);
    if (strcmp(schema, "pg_catalog") == 0)
        return;
    for (uint32_t i = 0; i < nop; i++)
        if (strcmp(ops[i].name, name) == 0 && !ops[i].harmless)
            take_implicit(an, ops[i].function);
}

/* Types that are the same on every server. Others may be the row types of tables that only the home shard has. */
static bool is_everywhere(const char *schema, const char *name)
{
    static const char *const types[] = {
        "bit",       "bool",      "box",         "bpchar",   "bytea",   "char",    "cidr",      "circle",   "date",
        "daterange", "float4",    "float8",      "inet",     "int2",    "int4",    "int4range", "int8",     "int8range",
        "interval",  "json",      "jsonb",       "jsonpath", "line",    "lseg",    "macaddr",   "macaddr8", "money",
        "name",      "numeric",   "numrange",    "path",     "pg_lsn",  "point",   "polygon",   "record",   "text",
        "time",      "timestamp", "timestamptz", "timetz",   "tsquery", "tsrange", "tstzrange", "tsvector", "unknown",
        "uuid",      "varbit",    "varchar",     "void",     "xml",
    };
    size_t lo = 0, hi = ARRAY_LEN(types);
    while ((!*schema || strcmp(schema, "pg_catalog") == 0) && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = strcmp(types[mid], name);
        if (d == 0)
            return true;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

static void take_type(struct an *an, const PgQuery__TypeName *t)
{
    static const char *const numbers[] = { "regclass", "regnamespace", "regoper", "regoperator",
                                           "regproc",  "regprocedure", "regrole", "regtype" };
    const char *schema, *name = tree_name(t->n_names, t->names, &schema);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(name, numbers[i]) == 0)
            keep_first(&an->inv.oid, arena_printf(an->a, "type %s", name));
    const struct cat_type *user = catalog_user_type(an->in->cat, schema, name);
    if (user && user->function)
        take_implicit(an, user->function);
    an->inv.reads_shard |= !is_everywhere(schema, name);
}

static void take_column(struct an *an, const PgQuery__ColumnRef *ref)
{
    static const char *const system[] = { "ctid", "xmin", "xmax", "cmin", "cmax", "tableoid" };
    const char *name = ref->n_fields ? tree_string(ref->fields[ref->n_fields - 1]) : "";
    for (size_t i = 0; i < ARRAY_LEN(system); i++)
        if (strcmp(name, system[i]) == 0)
            keep_first(&an->inv.system_column, system[i]);
    if (strcmp(name, "tableoid") == 0)
        keep_first(&an->inv.oid, "the column tableoid");
}

/* (expr).name may call a user's function of that name. */
static void take_indirection(struct an *an, const PgQuery__AIndirection *x)
{
    for (size_t i = 0; i < x->n_indirection; i++) {
        const char *name = tree_string(x->indirection[i]);
        const struct cat_func *user = *name ? catalog_user_function(an->in->cat, NULL, name) : NULL;
        if (user && !user->harmless)
            take_user(an, arena_printf(an->a, "%s.%s", user->schema, name), false, user->volatility);
    }
}

/* CURRENT_TIMESTAMP and its kin; CURRENT_USER and the rest are the same on every shard but for the database's name. */
static void take_value_function(struct an *an, const PgQuery__SQLValueFunction *f)
{
    if (f->op <= PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N)
        keep_first(&an->inv.moment, "now");
    else if (f->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG)
        keep_first(&an->inv.home_function, "current_catalog");
}

static void take_const(struct an *an, const PgQuery__AConst *c)
{
    if (!c->isnull && c->val_case == PG_QUERY__A__CONST__VAL_SVAL && moment_in(span_str(tree_str(c->sval->sval))))
        keep_first(&an->inv.moment_literal, c->sval->sval);
}

static void take_param(struct an *an, int32_t number)
{
    struct inventory *inv = &an->inv;
    if (number <= 0 || number > UINT16_MAX) {
        inv->no_param = true;
        return;
    }
    uint32_t n = (uint32_t)number;
    if (n > inv->param_cap) {
        uint32_t cap = 2 * n < UINT16_MAX ? 2 * n : UINT16_MAX;
        uint32_t *uses = ARENA_ARRAY(an->a, uint32_t, cap);
        if (inv->nparam)
            memcpy(uses, inv->param_uses, inv->nparam * sizeof *uses);
        inv->param_uses = uses;
        inv->param_cap = cap;
    }
    inv->nparam = n > inv->nparam ? n : inv->nparam;
    inv->param_uses[n - 1]++;
}

static void take_message(const ProtobufCMessage *m, void *arg)
{
    struct an *an = arg;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    const void *v = m;
    if (d == &pg_query__func_call__descriptor) {
        take_call(an, v);
    } else if (d == &pg_query__a__expr__descriptor) {
        take_operator(an, ((const PgQuery__AExpr *)v)->n_name, ((const PgQuery__AExpr *)v)->name);
    } else if (d == &pg_query__sort_by__descriptor) {
        take_operator(an, ((const PgQuery__SortBy *)v)->n_use_op, ((const PgQuery__SortBy *)v)->use_op);
    } else if (d == &pg_query__sub_link__descriptor) {
        an->inv.sublink = true;
        take_operator(an, ((const PgQuery__SubLink *)v)->n_oper_name, ((const PgQuery__SubLink *)v)->oper_name);
    } else if (d == &pg_query__type_name__descriptor) {
        take_type(an, v);
    } else if (d == &pg_query__column_ref__descriptor) {
        take_column(an, v);
    } else if (d == &pg_query__a__indirection__descriptor) {
        take_indirection(an, v);
    } else if (d == &pg_query__sqlvalue_function__descriptor) {
        take_value_function(an, v);
    } else if (d == &pg_query__a__const__descriptor) {
        take_const(an, v);
    } else if (d == &pg_query__param_ref__descriptor) {
        take_param(an, ((const PgQuery__ParamRef *)v)->number);
    } else if (d == &pg_query__locking_clause__descriptor) {
        an->inv.locking = true;
    } else if (d == &pg_query__current_of_expr__descriptor) {
        an->inv.cursor = true;
    } else if (d == &pg_query__range_table_sample__descriptor) {
        an->inv.tablesample = true;
    }
    tree_children(m, take_message, an);
}

void inventory_take(struct an *an, const ProtobufCMessage *stmt)
{
    const struct cat_cast *casts;
    uint32_t n = catalog_casts(an->in->cat, &casts);
    take_message(stmt, an);
    /* A cast that calls user code may be anywhere: which ones are applied depends on types not computed here. */
    for (uint32_t i = 0; i < n; i++)
        if (!casts[i].harmless && casts[i].function)
            take_implicit(an, casts[i].function);
    an->param_key_uses = ARENA_ARRAY(an->a, uint32_t, an->inv.nparam);
    an->param_key_type = ARENA_ARRAY(an->a, enum key_type, an->inv.nparam);
}

static const char *hook_noun(enum cat_hook_kind kind)
{
    switch (kind) {
    case CAT_HOOK_TRIGGER:
        return "trigger";
    case CAT_HOOK_POLICY:
        return "row security policy";
    case CAT_HOOK_RULE:
        return "rule";
    case CAT_HOOK_EXPRESSION:
        return "expression of";
    }
    BUG_ON(true);
}

static bool hook_runs(const struct cat_hook *h, const struct occurrence *occ)
{
    switch (h->kind) {
    case CAT_HOOK_POLICY:
        return occ->rel->row_security;
    case CAT_HOOK_EXPRESSION:
        return occ->use != USE_READ || occ->rel->kind == 'v';
    case CAT_HOOK_TRIGGER:
    case CAT_HOOK_RULE:
        break;
    }
    return occ->use != USE_READ;
}

bool hooks_allow(struct an *an, const struct occurrence *occ)
{
    for (uint32_t i = 0; i < occ->rel->nhook; i++) {
        const struct cat_hook *h = &occ->rel->hooks[i];
        if (!hook_runs(h, occ))
            continue;
        if (h->harmless || (h->function && function_declared_safe(an, h->function))) {
            an->inv.declared |= !h->harmless;
            if (h->statement_level)
                cut_blocked(an, "a statement-level trigger");
            continue;
        }
        err_set(an->e, PB0205, "%s \"%s\" on table \"%s\" may read or write rows of other shards", hook_noun(h->kind),
                h->name, occ->rel->name);
        if (h->function)
            err_detail(an->e, "It uses %s, which has not been proved to look at nothing but its row.", h->function);
        else
            err_detail(an->e, "Rules rewrite the statement on the shard, where only that shard's rows are.");
        return err_hint(an->e, "If it touches no other table, add its function to safe_functions in the configuration; "
                               "otherwise keep the table unsharded.");
    }
    return true;
}
