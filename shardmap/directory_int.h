/* For directory.c, persist.c and validate.c. */
#ifndef SHARDMAP_DIRECTORY_INT_H
#define SHARDMAP_DIRECTORY_INT_H

#include "shardmap/directory.h"
#include "store/db.h"

/* ---- validate.c: what can be checked without the file; pure ---- */

#define DIRECTORY_CONSOLE "pgbraid" /* name of the virtual database: taken */

/* `kind` is "database", "shard" ... for the message. */
MUSTCHECK bool validate_name(const char *kind, const char *name, struct err *e);
MUSTCHECK bool validate_conninfo(const char *conninfo, struct err *e);
MUSTCHECK bool validate_tables(const struct directory_table *tables, size_t n, struct err *e);
bool validate_tables_equal(const struct directory_table *a, const struct directory_table *b);
/* Fill served and why_not from the shards. */
void validate_database(struct directory_database *db, struct arena *a);

/* ---- persist.c: the SQL; called inside a transaction ---- */

extern const struct db_schema persist_schema;

/* A key of this installation in hexadecimal, to be freed. */
MUSTCHECK bool persist_key(struct db *db, const char *name, char **out, struct err *e);
MUSTCHECK bool persist_epoch(struct db *db, uint64_t *epoch, struct err *e);
MUSTCHECK bool persist_set_epoch(struct db *db, uint64_t epoch, struct err *e);
/* id of a database, 0 if there is none. */
MUSTCHECK bool persist_find_database(struct db *db, const char *name, int64_t *id, struct err *e);
MUSTCHECK bool persist_add_database(struct db *db, const char *name, int64_t *id, struct err *e);
/* id of a shard, 0 if there is none. */
MUSTCHECK bool persist_find_shard(struct db *db, int64_t database, const char *name, int64_t *id, struct err *e);
/* Name of the shard other than `except`, as "database.shard", that has a conninfo; NULL if none. In the arena. */
MUSTCHECK bool persist_conninfo_owner(struct db *db, const char *conninfo, int64_t except, struct arena *a,
                                      const char **out, struct err *e);
MUSTCHECK bool persist_add_shard(struct db *db, int64_t database, const char *name, const struct keyrange *range,
                                 const char *conninfo, struct err *e);
MUSTCHECK bool persist_remove_shard(struct db *db, int64_t shard, struct err *e);
MUSTCHECK bool persist_set_conninfo(struct db *db, int64_t shard, const char *conninfo, struct err *e);
MUSTCHECK bool persist_set_home(struct db *db, int64_t database, int64_t shard, struct err *e);
MUSTCHECK bool persist_replace_tables(struct db *db, int64_t database, const struct directory_table *tables, size_t n,
                                      struct err *e);
MUSTCHECK bool persist_list(struct db *db, struct arena *a, struct directory_database **out, size_t *n, struct err *e);
MUSTCHECK bool persist_list_tables(struct db *db, int64_t database, struct arena *a, struct directory_table **out,
                                   size_t *n, struct err *e);

#endif
