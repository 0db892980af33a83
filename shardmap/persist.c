/*
 * The SQL of the directory. Callers hold the directory's lock and have a transaction open; names and layouts have been
 * validated, so the schema's constraints are the second line: what they refuse is reported as PB0401 with SQLite's
 * text.
 */
#include "shardmap/directory_int.h"

#include "base/mem.h"
#include "base/strbuf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

extern const char sql_directory_1[], sql_directory_2[];

static const char *const upgrades[] = { sql_directory_1, sql_directory_2 };

const struct db_schema persist_schema = {
    .what = "directory file",
    .application_id = 0x50674272, /* "PgBr" */
    .upgrades = upgrades,
    .nupgrade = ARRAY_LEN(upgrades),
};

/* The number in the first column of the only row; `none` without a row. */
static bool query_number(struct db *db, const char *sql, const struct db_value *values, int64_t none, int64_t *out,
                         struct err *e)
{
    struct db_rows *r = db_query(db, sql, values);

    *out = none;
    while (db_next(r))
        *out = db_get_int(r, 0);
    return db_finish(r, e);
}

bool persist_key(struct db *db, const char *name, char **out, struct err *e)
{
    struct db_rows *r = db_query(db, "SELECT hex(key) FROM keys WHERE name = ?1", DB_VALUES(db_text(name)));

    *out = NULL;
    while (db_next(r)) {
        free(*out);
        *out = mem_strdup(db_get_text(r, 0));
    }
    if (!db_finish(r, e)) {
        free(*out);
        *out = NULL;
        return false;
    }
    return *out || err_set(e, PB0401, "the directory has no key \"%s\"", name);
}

bool persist_epoch(struct db *db, uint64_t *epoch, struct err *e)
{
    int64_t number;

    if (!query_number(db, "SELECT epoch FROM layout", DB_NO_VALUES, 0, &number, e))
        return false;
    *epoch = (uint64_t)number;
    return true;
}

bool persist_set_epoch(struct db *db, uint64_t epoch, struct err *e)
{
    return db_run(db, "UPDATE layout SET epoch = ?1", DB_VALUES(db_int((int64_t)epoch)), e);
}

/* ---- databases and shards ---- */

bool persist_find_database(struct db *db, const char *name, int64_t *id, struct err *e)
{
    return query_number(db, "SELECT id FROM databases WHERE name = ?1", DB_VALUES(db_text(name)), 0, id, e);
}

bool persist_add_database(struct db *db, const char *name, int64_t *id, struct err *e)
{
    if (!db_run(db, "INSERT INTO databases (name) VALUES (?1)", DB_VALUES(db_text(name)), e))
        return false;
    *id = db_last_id(db);
    return true;
}

bool persist_find_shard(struct db *db, int64_t database, const char *name, int64_t *id, struct err *e)
{
    return query_number(db, "SELECT id FROM shards WHERE database_id = ?1 AND name = ?2",
                        DB_VALUES(db_int(database), db_text(name)), 0, id, e);
}

bool persist_conninfo_owner(struct db *db, const char *conninfo, int64_t except, struct arena *a, const char **out,
                            struct err *e)
{
    struct db_rows *r = db_query(db,
                                 "SELECT d.name, s.name FROM shards s JOIN databases d ON d.id = s.database_id"
                                 " WHERE s.conninfo = ?1 AND s.id <> ?2",
                                 DB_VALUES(db_text(conninfo), db_int(except)));

    *out = NULL;
    while (db_next(r))
        *out = arena_printf(a, "%s.%s", db_get_text(r, 0), db_get_text(r, 1));
    return db_finish(r, e);
}

bool persist_add_shard(struct db *db, int64_t database, const char *name, const struct keyrange *range,
                       const char *conninfo, struct err *e)
{
    int64_t low, high;
    bool bounded = keyrange_hash_bounds(range, &low, &high);

    return db_run(db, "INSERT INTO shards (database_id, name, conninfo) VALUES (?1, ?2, ?3)",
                  DB_VALUES(db_int(database), db_text(name), db_text(conninfo)), e) &&
           db_run(db, "INSERT INTO key_ranges (shard_id, database_id, low, high) VALUES (?1, ?2, ?3, ?4)",
                  DB_VALUES(db_int(db_last_id(db)), db_int(database), db_int(low), bounded ? db_int(high) : db_null()),
                  e);
}

bool persist_remove_shard(struct db *db, int64_t shard, struct err *e)
{
    return db_run(db, "UPDATE databases SET home_shard_id = NULL WHERE home_shard_id = ?1", DB_VALUES(db_int(shard)),
                  e) &&
           db_run(db, "DELETE FROM key_ranges WHERE shard_id = ?1", DB_VALUES(db_int(shard)), e) &&
           db_run(db, "DELETE FROM shards WHERE id = ?1", DB_VALUES(db_int(shard)), e);
}

bool persist_set_conninfo(struct db *db, int64_t shard, const char *conninfo, struct err *e)
{
    return db_run(db, "UPDATE shards SET conninfo = ?2 WHERE id = ?1", DB_VALUES(db_int(shard), db_text(conninfo)), e);
}

bool persist_set_home(struct db *db, int64_t database, int64_t shard, struct err *e)
{
    return db_run(db, "UPDATE databases SET home_shard_id = ?2 WHERE id = ?1",
                  DB_VALUES(db_int(database), db_int(shard)), e);
}

static void read_shard(struct db_rows *r, struct arena *a, struct map_shard *s)
{
    s->id = (uint32_t)db_get_int(r, 0);
    s->name = arena_strdup(a, db_get_text(r, 1));
    s->conninfo = arena_strdup(a, db_get_text(r, 2));
    s->range.start = vhash_keyspace_id((uint64_t)db_get_int(r, 3));
    s->range.unbounded = db_is_null(r, 4);
    s->range.end = s->range.unbounded ? 0 : vhash_keyspace_id((uint64_t)db_get_int(r, 4));
}

static bool list_shards(struct db *db, int64_t database, struct arena *a, struct directory_database *out, struct err *e)
{
    struct db_rows *r = db_query(db,
                                 "SELECT s.id, s.name, s.conninfo, k.low, k.high FROM shards s"
                                 " JOIN key_ranges k ON k.shard_id = s.id WHERE s.database_id = ?1 ORDER BY k.low",
                                 DB_VALUES(db_int(database)));

    out->shards = ARENA_ARRAY(a, struct map_shard, MAP_MAX_SHARDS);
    while (out->nshard < MAP_MAX_SHARDS && db_next(r))
        read_shard(r, a, &out->shards[out->nshard++]);
    return db_finish(r, e);
}

bool persist_list(struct db *db, struct arena *a, struct directory_database **out, size_t *n, struct err *e)
{
    int64_t count, *ids;
    struct db_rows *r;

    *n = 0;
    if (!query_number(db, "SELECT count(*) FROM databases", DB_NO_VALUES, 0, &count, e))
        return false;
    *out = ARENA_ARRAY(a, struct directory_database, count);
    ids = ARENA_ARRAY(a, int64_t, count);
    r = db_query(db,
                 "SELECT d.id, d.name, s.name FROM databases d LEFT JOIN shards s ON s.id = d.home_shard_id"
                 " ORDER BY d.name",
                 DB_NO_VALUES);
    for (; db_next(r); (*n)++) {
        ids[*n] = db_get_int(r, 0);
        (*out)[*n].name = arena_strdup(a, db_get_text(r, 1));
        (*out)[*n].home = db_is_null(r, 2) ? NULL : arena_strdup(a, db_get_text(r, 2));
    }
    if (!db_finish(r, e))
        return false;
    for (size_t i = 0; i < *n; i++) {
        if (!list_shards(db, ids[i], a, &(*out)[i], e))
            return false;
        validate_database(&(*out)[i], a);
    }
    return true;
}

/* ---- tables ---- */

/*
 * Key types in the file: their names, which never change, and what they are hashed as. Types whose equal values hash
 * equally are one: their tables can be colocated.
 */
static const struct {
    const char *name, *hashed_as;
} key_types[KEY_TYPE_COUNT] = {
    [KEY_INT2] = { "smallint", "bigint" },
    [KEY_INT4] = { "integer", "bigint" },
    [KEY_INT8] = { "bigint", "bigint" },
    [KEY_TEXT] = { "text", "text" },
    [KEY_VARCHAR] = { "character varying", "text" },
    [KEY_BPCHAR] = { "character", "character" },
    [KEY_UUID] = { "uuid", "uuid" },
    [KEY_NUMERIC] = { "numeric", "numeric" },
    [KEY_TIMESTAMP] = { "timestamp without time zone", "timestamp" },
    [KEY_DATE] = { "date", "date" },
};

/* id of the vindex of a sharded table, made when it is the first with it. */
static bool find_vindex(struct db *db, int64_t database, const struct directory_table *t, int64_t *id, struct err *e)
{
    const char *type = vindex_type_name(t->vindex);
    struct strbuf types = STRBUF_INIT;
    bool ok;

    for (uint32_t i = 0; i < t->nkey; i++)
        strbuf_printf(&types, "%s%s", i ? ", " : "", key_types[t->key_types[i]].hashed_as);
    ok = db_run(db, "INSERT INTO vindexes (database_id, type, key_types) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                DB_VALUES(db_int(database), db_text(type), db_text(strbuf_str(&types))), e) &&
         query_number(db, "SELECT id FROM vindexes WHERE database_id = ?1 AND type = ?2 AND key_types = ?3",
                      DB_VALUES(db_int(database), db_text(type), db_text(strbuf_str(&types))), 0, id, e);
    strbuf_fini(&types);
    return ok;
}

static bool add_table(struct db *db, int64_t database, const struct directory_table *t, struct err *e)
{
    int64_t vindex = 0, id;

    if (t->nkey && !find_vindex(db, database, t, &vindex, e))
        return false;
    if (!db_run(db,
                "INSERT INTO tables (database_id, schema, name, distribution, vindex_id, has_identity)"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                DB_VALUES(db_int(database), db_text(t->schema), db_text(t->name), db_text(distribution_name(t->dist)),
                          t->nkey ? db_int(vindex) : db_null(), db_int(t->has_identity)),
                e))
        return false;
    id = db_last_id(db);
    for (uint32_t i = 0; i < t->nkey; i++) {
        if (!db_run(db, "INSERT INTO key_columns (table_id, position, name, type, typmod) VALUES (?1, ?2, ?3, ?4, ?5)",
                    DB_VALUES(db_int(id), db_int(i + 1), db_text(t->key_columns[i]),
                              db_text(key_types[t->key_types[i]].name), db_int(t->key_typmods[i])),
                    e))
            return false;
    }
    return true;
}

bool persist_replace_tables(struct db *db, int64_t database, const struct directory_table *tables, size_t n,
                            struct err *e)
{
    if (!db_run(db, "DELETE FROM tables WHERE database_id = ?1", DB_VALUES(db_int(database)), e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!add_table(db, database, &tables[i], e))
            return false;
    }
    return db_run(db,
                  "DELETE FROM vindexes WHERE database_id = ?1"
                  " AND id NOT IN (SELECT vindex_id FROM tables WHERE vindex_id IS NOT NULL)",
                  DB_VALUES(db_int(database)), e);
}

/* The constants by the names that the schema's CHECKs allow. */
static enum distribution distribution_of(const char *name)
{
    for (enum distribution d = DIST_UNSHARDED; d <= DIST_SHARDED; d++) {
        if (strcmp(distribution_name(d), name) == 0)
            return d;
    }
    BUG_ON(true);
}

static enum key_type key_type_of(const char *name)
{
    for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++) {
        if (strcmp(key_types[t].name, name) == 0)
            return t;
    }
    BUG_ON(true);
}

/* Add the row's key column to its table. */
static void read_key_column(struct db_rows *r, struct arena *a, struct directory_table *t)
{
    BUG_ON(t->nkey == DIST_MAX_KEYS);
    t->key_columns[t->nkey] = arena_strdup(a, db_get_text(r, 6));
    t->key_types[t->nkey] = key_type_of(db_get_text(r, 7));
    t->key_typmods[t->nkey] = (int32_t)db_get_int(r, 8);
    t->nkey++;
}

bool persist_list_tables(struct db *db, int64_t database, struct arena *a, struct directory_table **out, size_t *n,
                         struct err *e)
{
    int64_t count, last = 0;
    struct db_rows *r;

    *n = 0;
    if (!query_number(db, "SELECT count(*) FROM tables WHERE database_id = ?1", DB_VALUES(db_int(database)), 0, &count,
                      e))
        return false;
    *out = ARENA_ARRAY(a, struct directory_table, count);
    r = db_query(db,
                 "SELECT t.id, t.schema, t.name, t.distribution, coalesce(v.type = 'identity', 0), t.has_identity,"
                 " k.name, k.type, k.typmod FROM tables t LEFT JOIN vindexes v ON v.id = t.vindex_id"
                 " LEFT JOIN key_columns k ON k.table_id = t.id WHERE t.database_id = ?1"
                 " ORDER BY t.schema, t.name, k.position",
                 DB_VALUES(db_int(database)));
    while (db_next(r)) {
        struct directory_table *t;

        if (db_get_int(r, 0) != last)
            (*n)++;
        last = db_get_int(r, 0);
        t = &(*out)[*n - 1];
        t->schema = arena_strdup(a, db_get_text(r, 1));
        t->name = arena_strdup(a, db_get_text(r, 2));
        t->dist = distribution_of(db_get_text(r, 3));
        t->vindex = db_get_int(r, 4) ? VINDEX_IDENTITY : VINDEX_HASH;
        t->has_identity = db_get_int(r, 5);
        if (!db_is_null(r, 6))
            read_key_column(r, a, t);
    }
    return db_finish(r, e);
}
