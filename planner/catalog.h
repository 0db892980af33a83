/*
 * What the planner knows of a database's schema: an immutable, reference-counted snapshot read from the home shard's
 * catalog, the distribution of tables included (pgbraid.tables on the shard is the truth; the directory only caches it:
 * rule P39). Any thread may hold and read one.
 */
#ifndef PLANNER_CATALOG_H
#define PLANNER_CATALOG_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"
#include "shardmap/distribution.h"
#include "shardmap/vhash.h"

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct catalog_builder;

/*
 * The one query that loads it (sql/catalog.sql, embedded): run on the home shard in the canonical environment, text
 * results. Feed each row to the builder. Works through any connection, so a session can load the catalog its own
 * transaction sees.
 */
const char *catalog_sql(void);
/* What must exist on every shard before that (schema pgbraid, pgbraid.tables, the stubs of rule P40); idempotent, one
 * simple query. */
const char *catalog_bootstrap_sql(void);

struct catalog_builder *catalog_builder_new(uint64_t epoch);
void catalog_builder_free(struct catalog_builder *b); /* NULL is fine */
/* One row of catalog_sql()'s result; ptr NULL is SQL NULL. False and PB0310 if it is not what the query returns. */
MUSTCHECK bool catalog_builder_row(struct catalog_builder *b, uint32_t ncol, const struct span *cols, struct err *e);
/* The catalog with one reference; frees the builder either way. NULL on error. */
MUSTCHECK struct catalog *catalog_builder_finish(struct catalog_builder *b, struct err *e);

/* A distributed table that is another one on a shard, and in what. */
struct catalog_difference {
    const char *schema, *table, *shard, *what;
};
/* Before anybody else has the catalog: statements about these tables are to be refused. Copied. */
void catalog_set_differences(struct catalog *c, const struct catalog_difference *v, uint32_t n);
/* How many; *v is borrowed. */
uint32_t catalog_differences(const struct catalog *c, const struct catalog_difference **v);

struct catalog *catalog_ref(struct catalog *c);
void catalog_unref(struct catalog *c); /* NULL is fine */
uint64_t catalog_epoch(const struct catalog *c);

/* A table as SHOW TABLES and COPY need it. Borrowed from the catalog. */
struct catalog_table {
    const char *schema, *name;
    enum distribution dist;
    bool identity_vindex;
    uint32_t nkey;
    const char *key_columns[4];
    enum key_type key_types[4];
    int32_t key_typmods[4];
    bool has_identity; /* a usable replica identity that contains the key: it can be resharded */
};
/* Call fn for every ordinary or partitioned user table. */
void catalog_each_table(const struct catalog *c, void (*fn)(const struct catalog_table *t, void *arg), void *arg);
/* True while no table is sharded or a reference table: everything lives on the home shard. */
bool catalog_all_home(const struct catalog *c);

#endif
