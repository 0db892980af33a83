/*
 * A SQLite file with an owner: the only user of sqlite3.h.
 *
 * One process owns a file at a time, from db_open to db_close or its death (SQLite's exclusive locking mode: the lock
 * is the kernel's, so nothing stale is left behind). Several may share it by db_open_shared: then an owner is refused,
 * changes are transactions one after another, and what was read may have changed. WAL mode, synchronous = FULL: what
 * db_commit acknowledged survives kill -9 and power loss. Foreign keys are on.
 *
 * The header of the file names what it is (application_id) and which version of the schema it has (user_version);
 * db_open brings an older one up to date, step by step, each step in its own transaction, and refuses a newer one, a
 * file of something else, a damaged one, and one whose schema is not exactly what the steps make.
 *
 * Errors are PB0401 and name the file. Not thread-safe: one thread at a time per struct db.
 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_rows;

/* What a kind of file is. Static storage. */
struct db_schema {
    const char *what;            /* "directory file": for messages */
    uint32_t application_id;     /* not 0 */
    const char *const *upgrades; /* SQL script i brings version i to version i + 1; version 0 is the empty file */
    size_t nupgrade;             /* the version this program knows */
};

/* ---- life cycle ---- */

/* Open, or make when `create` and missing. NULL and PB0401. Waits up to 2 s for another owner to finish. Blocks. */
MUSTCHECK struct db *db_open(const char *path, const struct db_schema *schema, bool create, struct err *e);
/* The same, beside other processes that do so. */
MUSTCHECK struct db *db_open_shared(const char *path, const struct db_schema *schema, bool create, struct err *e);
/* Rows have been finished and no transaction is open. NULL is fine. */
void db_close(struct db *db);

/* ---- statements ---- */

enum db_value_type { DB_END, DB_NULL, DB_INT, DB_TEXT };

struct db_value {
    enum db_value_type type;
    int64_t number;
    struct span text; /* borrowed until the statement is finished */
};

static inline struct db_value db_int(int64_t number)
{
    return (struct db_value){ .type = DB_INT, .number = number };
}

/* NULL is SQL NULL. */
static inline struct db_value db_text(const char *text)
{
    return (struct db_value){ .type = text ? DB_TEXT : DB_NULL, .text = span_str(text) };
}

static inline struct db_value db_null(void)
{
    return (struct db_value){ .type = DB_NULL };
}

/* Parameters ?1, ?2 ... of a statement: DB_VALUES(db_int(3), db_text("x")); as many as the statement has. */
#define DB_VALUES(...) ((const struct db_value[]){ __VA_ARGS__, { .type = DB_END } })
#define DB_NO_VALUES   ((const struct db_value[]){ { .type = DB_END } })

/* One statement without result rows. */
MUSTCHECK bool db_run(struct db *db, const char *sql, const struct db_value *values, struct err *e);

/*
 * A statement with rows: db_query, db_next until false, db_finish. A failure anywhere ends the rows; db_finish, which
 * is compulsory and frees, tells.
 */
struct db_rows *db_query(struct db *db, const char *sql, const struct db_value *values);
bool db_next(struct db_rows *r);
MUSTCHECK bool db_finish(struct db_rows *r, struct err *e);

/* Columns of the current row, from 0. Text is borrowed until the next db_next; NULL for SQL NULL. */
bool db_is_null(struct db_rows *r, int column);
int64_t db_get_int(struct db_rows *r, int column);
const char *db_get_text(struct db_rows *r, int column);

/* rowid of the last INSERT; rows changed by the last statement. */
int64_t db_last_id(const struct db *db);
int64_t db_changes(const struct db *db);

/* ---- transactions ---- */

MUSTCHECK bool db_begin(struct db *db, struct err *e);
/* On failure the transaction has been rolled back. */
MUSTCHECK bool db_commit(struct db *db, struct err *e);
/* Harmless outside a transaction. */
void db_rollback(struct db *db);

#endif
