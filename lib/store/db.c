#include "store/db.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DB_BUSY_TIMEOUT_MS 2000

struct db {
    sqlite3 *handle; /* owned */
    char *path;      /* owned */
    const struct db_schema *schema;
};

struct db_rows {
    struct db *db;      /* borrowed */
    sqlite3_stmt *stmt; /* owned; NULL when preparing failed */
    bool failed;
    struct err err; /* when failed */
};

/* ---- errors ---- */

/*
 * Why the file cannot be opened. SQLite's own errno is that of its last try, to open for reading only: "no such file"
 * where the folder may not be written.
 */
static const char *open_reason(const struct db *db)
{
    char *folder = mem_strdup(db->path);
    char *slash = strrchr(folder, '/');
    int code = 0;

    if (slash)
        slash[slash == folder] = '\0';
    if (eaccess(db->path, R_OK | W_OK) != 0)
        code = errno;
    if ((code == 0 || code == ENOENT) && eaccess(slash ? folder : ".", W_OK | X_OK) != 0)
        code = errno;
    free(folder);
    return code ? strerror(code) : sqlite3_errmsg(db->handle);
}

static const char *io_reason(const struct db *db)
{
    int code = sqlite3_system_errno(db->handle);

    return code ? strerror(code) : sqlite3_errmsg(db->handle);
}

/* Turn the handle's last error into ours. Returns false. */
static bool db_fail(struct db *db, struct err *e)
{
    const char *what = db->schema->what;

    switch (sqlite3_errcode(db->handle) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        err_set(e, PB0401, "%s \"%s\" is in use", what, db->path);
        err_detail(e, "Another pgbraid process owns it, and only one may.");
        return err_hint(e, "Use the console of the running pgbraid, or stop that process first.");
    case SQLITE_NOTADB:
        err_set(e, PB0401, "%s \"%s\" is not a pgbraid file", what, db->path);
        err_detail(e, "It is not an SQLite database, or its header is damaged.");
        return err_hint(e, "Check the file name; if it is right, restore the file from a backup.");
    case SQLITE_CORRUPT:
        err_set(e, PB0401, "%s \"%s\" is damaged", what, db->path);
        err_detail(e, "SQLite says: %s.", sqlite3_errmsg(db->handle));
        return err_hint(e, "Restore the file from a backup. Nothing was changed.");
    case SQLITE_CANTOPEN:
        err_set(e, PB0401, "%s \"%s\" cannot be opened: %s", what, db->path, open_reason(db));
        err_detail(e, "The file and its folder must be readable and writable: a journal is kept next to the file.");
        return err_hint(e, "Check the path and the permissions of the file and its folder.");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        err_set(e, PB0401, "%s \"%s\" cannot be written", what, db->path);
        err_detail(e, "SQLite says: %s.", sqlite3_errmsg(db->handle));
        return err_hint(e, "Check the permissions of the file and its folder.");
    case SQLITE_FULL:
    case SQLITE_IOERR:
        err_set(e, PB0401, "%s \"%s\" cannot be read or written: %s", what, db->path, io_reason(db));
        err_detail(e, "SQLite says: %s.", sqlite3_errmsg(db->handle));
        return err_hint(e, "Check the disk and its free space. The change was not made.");
    case SQLITE_CONSTRAINT:
        err_set(e, PB0401, "a constraint of %s \"%s\" refuses the change", what, db->path);
        return err_detail(e, "SQLite says: %s.", sqlite3_errmsg(db->handle));
    default:
        err_set(e, PB0401, "%s \"%s\" cannot be used", what, db->path);
        return err_detail(e, "SQLite says: %s.", sqlite3_errmsg(db->handle));
    }
}

/* ---- statements ---- */

static bool bind_values(sqlite3_stmt *stmt, const struct db_value *values)
{
    int n = 0;

    for (; values[n].type != DB_END; n++) {
        const struct db_value *v = &values[n];
        int rc = SQLITE_OK;

        switch (v->type) {
        case DB_END:
        case DB_NULL:
            rc = sqlite3_bind_null(stmt, n + 1);
            break;
        case DB_INT:
            rc = sqlite3_bind_int64(stmt, n + 1, v->number);
            break;
        case DB_TEXT:
            rc = sqlite3_bind_text64(stmt, n + 1, v->text.ptr, v->text.len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        }
        if (rc != SQLITE_OK)
            return false;
    }
    BUG_ON(n != sqlite3_bind_parameter_count(stmt));
    return true;
}

struct db_rows *db_query(struct db *db, const char *sql, const struct db_value *values)
{
    struct db_rows *r = mem_zalloc(sizeof(*r));

    r->db = db;
    if (sqlite3_prepare_v2(db->handle, sql, -1, &r->stmt, NULL) != SQLITE_OK || !bind_values(r->stmt, values)) {
        r->failed = true;
        db_fail(db, &r->err);
    }
    return r;
}

bool db_next(struct db_rows *r)
{
    int rc;

    if (r->failed)
        return false;
    rc = sqlite3_step(r->stmt);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE) {
        r->failed = true;
        db_fail(r->db, &r->err);
    }
    return false;
}

bool db_finish(struct db_rows *r, struct err *e)
{
    bool ok = !r->failed;

    if (!ok)
        *e = r->err;
    sqlite3_finalize(r->stmt); /* its result repeats the failure that db_next has kept */
    free(r);
    return ok;
}

bool db_run(struct db *db, const char *sql, const struct db_value *values, struct err *e)
{
    struct db_rows *r = db_query(db, sql, values);

    BUG_ON(db_next(r));
    return db_finish(r, e);
}

bool db_is_null(struct db_rows *r, int column)
{
    return sqlite3_column_type(r->stmt, column) == SQLITE_NULL;
}

int64_t db_get_int(struct db_rows *r, int column)
{
    return sqlite3_column_int64(r->stmt, column);
}

const char *db_get_text(struct db_rows *r, int column)
{
    return (const char *)sqlite3_column_text(r->stmt, column);
}

int64_t db_last_id(const struct db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

int64_t db_changes(const struct db *db)
{
    return sqlite3_changes64(db->handle);
}

/* ---- transactions ---- */

bool db_begin(struct db *db, struct err *e)
{
    return db_run(db, "BEGIN IMMEDIATE", DB_NO_VALUES, e);
}

bool db_commit(struct db *db, struct err *e)
{
    if (db_run(db, "COMMIT", DB_NO_VALUES, e))
        return true;
    db_rollback(db);
    return false;
}

void db_rollback(struct db *db)
{
    struct err e = ERR_INIT;

    /* SQLite rolls back by itself after some failures. */
    if (!sqlite3_get_autocommit(db->handle) && !db_run(db, "ROLLBACK", DB_NO_VALUES, &e))
        log_err(LOG_WARN, "store", "rollback failed", &e);
}

/* ---- opening ---- */

static bool run_script(struct db *db, const char *sql, struct err *e)
{
    return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK || db_fail(db, e);
}

/* The single number that a query returns. */
static bool query_int(struct db *db, const char *sql, int64_t *out, struct err *e)
{
    struct db_rows *r = db_query(db, sql, DB_NO_VALUES);

    while (db_next(r))
        *out = db_get_int(r, 0);
    return db_finish(r, e);
}

/* The statements that made the schema, as SQLite keeps them. */
static bool schema_text(struct db *db, struct strbuf *out, struct err *e)
{
    struct db_rows *r = db_query(
        db, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name", DB_NO_VALUES);

    while (db_next(r))
        strbuf_printf(out, "%s %s: %s\n", db_get_text(r, 0), db_get_text(r, 1), db_get_text(r, 2));
    return db_finish(r, e);
}

/* Run the steps from `version` on; each commits with its number. */
static bool upgrade(struct db *db, size_t version, struct err *e)
{
    for (; version < db->schema->nupgrade; version++) {
        struct strbuf sql = STRBUF_INIT;
        bool ok;

        strbuf_printf(
            &sql, "BEGIN IMMEDIATE;\n%s;\nPRAGMA application_id = %" PRIu32 ";\nPRAGMA user_version = %zu;\nCOMMIT;",
            db->schema->upgrades[version], db->schema->application_id, version + 1);
        ok = run_script(db, strbuf_str(&sql), e);
        strbuf_fini(&sql);
        if (!ok) {
            db_rollback(db);
            return false;
        }
    }
    return true;
}

/* The schema must be what the steps make in an empty file: nobody else's hands were in it. */
static bool check_schema(struct db *db, struct err *e)
{
    struct db expected = { .path = db->path, .schema = db->schema };
    struct strbuf want = STRBUF_INIT, have = STRBUF_INIT;
    bool ok;

    ok = sqlite3_open(":memory:", &expected.handle) == SQLITE_OK || db_fail(&expected, e);
    ok = ok && upgrade(&expected, 0, e) && schema_text(&expected, &want, e) && schema_text(db, &have, e);
    if (ok && strcmp(strbuf_str(&want), strbuf_str(&have)) != 0) {
        err_set(e, PB0401, "%s \"%s\" has been altered", db->schema->what, db->path);
        err_detail(e, "Its tables, columns, indexes and triggers are not those of version %zu.", db->schema->nupgrade);
        ok = err_hint(e, "Restore the file from a backup. Change it through pgbraid only.");
    }
    sqlite3_close(expected.handle);
    strbuf_fini(&want);
    strbuf_fini(&have);
    return ok;
}

/* Is it ours, and of which version? Reads only: a file of somebody else's is left as it is. */
static bool identify(struct db *db, size_t *version, struct err *e)
{
    int64_t application_id = 0, user_version = 0, objects = 0;

    if (!query_int(db, "PRAGMA application_id", &application_id, e) ||
        !query_int(db, "PRAGMA user_version", &user_version, e) ||
        !query_int(db, "SELECT count(*) FROM sqlite_schema", &objects, e))
        return false;
    if (application_id == 0 && user_version == 0 && objects == 0) {
        *version = 0;
        return true;
    }
    if ((uint32_t)application_id != db->schema->application_id || user_version < 1) {
        err_set(e, PB0401, "%s \"%s\" is not a pgbraid file", db->schema->what, db->path);
        err_detail(e, "It is an SQLite database of another program.");
        return err_hint(e, "Check the file name.");
    }
    if ((uint64_t)user_version > db->schema->nupgrade) {
        err_set(e, PB0401, "%s \"%s\" was written by a newer pgbraid", db->schema->what, db->path);
        err_detail(e, "It has version %" PRId64 "; this pgbraid knows versions up to %zu.", user_version,
                   db->schema->nupgrade);
        return err_hint(e, "Use the newer pgbraid. There is no way back to an older version of the file.");
    }
    *version = (size_t)user_version;
    return true;
}

/* First column of a query's last row as text, or `none`. */
static bool query_text(struct db *db, const char *sql, const char *none, char *out, size_t cap, struct err *e)
{
    struct db_rows *r = db_query(db, sql, DB_NO_VALUES);

    snprintf(out, cap, "%s", none);
    while (db_next(r))
        snprintf(out, cap, "%s", db_get_text(r, 0));
    return db_finish(r, e);
}

/* Pages, indexes, constraints and references. The file is small. */
static bool check_content(struct db *db, struct err *e)
{
    char pages[256], orphans[256];

    if (!query_text(db, "PRAGMA integrity_check(1)", "ok", pages, sizeof(pages), e) ||
        !query_text(db, "PRAGMA foreign_key_check", "", orphans, sizeof(orphans), e))
        return false;
    if (strcmp(pages, "ok") == 0 && !orphans[0])
        return true;
    err_set(e, PB0401, "%s \"%s\" is damaged", db->schema->what, db->path);
    if (orphans[0])
        err_detail(e, "A row of table %s refers to a row that does not exist.", orphans);
    else
        err_detail(e, "SQLite says: %s.", pages);
    return err_hint(e, "Restore the file from a backup. Nothing was changed.");
}

static bool set_wal(struct db *db, struct err *e)
{
    char mode[16];

    if (!query_text(db, "PRAGMA journal_mode = WAL", "", mode, sizeof(mode), e))
        return false;
    if (strcmp(mode, "wal") == 0)
        return true;
    err_set(e, PB0401, "%s \"%s\" cannot be used", db->schema->what, db->path);
    return err_detail(e, "Its file system does not allow SQLite's WAL mode (it stays in mode \"%s\").", mode);
}

static bool open_handle(struct db *db, bool create, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);

    if (!db->path[0] || strcmp(db->path, ":memory:") == 0)
        return err_set(e, PB0401, "\"%s\" is not a file name for a %s", db->path, db->schema->what);
    if (sqlite3_open_v2(db->path, &db->handle, flags, NULL) != SQLITE_OK)
        return db_fail(db, e);
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, DB_BUSY_TIMEOUT_MS);
    if (sqlite3_db_readonly(db->handle, "main") == 1) { /* SQLite falls back to reading only */
        err_set(e, PB0401, "%s \"%s\" cannot be written", db->schema->what, db->path);
        err_detail(e, "The file is readable but not writable for this process.");
        return err_hint(e, "Check the permissions of the file and its folder.");
    }
    return true;
}

static bool prepare_file(struct db *db, bool shared, struct err *e)
{
    size_t version = 0;
    bool ok;

    /* In exclusive mode the lock that BEGIN EXCLUSIVE takes stays after the transaction. */
    if (!run_script(db, shared ? "BEGIN EXCLUSIVE" : "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", e))
        return false;
    ok = identify(db, &version, e) && check_content(db, e);
    db_rollback(db);
    return ok && set_wal(db, e) &&
           run_script(db,
                      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
                      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
                      e) &&
           upgrade(db, version, e) && check_schema(db, e);
}

static struct db *open_file(const char *path, const struct db_schema *schema, bool create, bool shared, struct err *e)
{
    struct db *db = mem_zalloc(sizeof(*db));

    db->path = mem_strdup(path);
    db->schema = schema;
    if (open_handle(db, create, e) && prepare_file(db, shared, e))
        return db;
    db_close(db);
    return NULL;
}

struct db *db_open(const char *path, const struct db_schema *schema, bool create, struct err *e)
{
    return open_file(path, schema, create, false, e);
}

struct db *db_open_shared(const char *path, const struct db_schema *schema, bool create, struct err *e)
{
    return open_file(path, schema, create, true, e);
}

void db_close(struct db *db)
{
    if (!db)
        return;
    BUG_ON(sqlite3_close(db->handle) != SQLITE_OK); /* rows left unfinished */
    free(db->path);
    free(db);
}
