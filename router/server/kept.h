/*
 * Temporary tables of gathered statements that a connection keeps, by the signature of what they are made of
 * (router/exec/gather.c names and fills them): making one costs the catalog more than filling it (rule P5).
 *
 * What fills them is rolled back. Then their rows are dead, but still in the file, and tables in which there are many
 * are truncated. ON COMMIT DELETE ROWS would truncate all tables at every COMMIT that makes one, some milliseconds
 * each. After a COMMIT that let rows live (a cursor WITH HOLD) no table is trusted to be empty.
 */
#ifndef ROUTER_SERVER_KEPT_H
#define ROUTER_SERVER_KEPT_H

#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEPT_NAME_MAX 48u

struct kept_table {
    uint64_t id[2];
    size_t dead; /* bytes of rows that may still be in the file */
};

struct kept {
    struct kept_table *v; /* owned; NULL: none */
    uint32_t n;
    bool filled;  /* in the transaction that runs */
    bool full;    /* a table has many dead rows */
    bool unknown; /* there are tables that may hold rows: all have to be dropped before the next is made */
};

/* The table's name, which nobody can guess who may name tables in a statement (rule P32). */
void kept_name(const uint64_t id[2], char name[KEPT_NAME_MAX]);
bool kept_has(const struct kept *k, const uint64_t id[2]);
/* Room for `most` is made the first time; there are never more. */
void kept_add(struct kept *k, const uint64_t id[2], uint32_t most);
/* Rows are on their way into the table. */
void kept_fill(struct kept *k, const uint64_t id[2], size_t bytes);
/* The transaction has ended; lost: it was rolled back. */
void kept_ended(struct kept *k, bool lost);
/* What truncates the tables that k->full is about; taken as done. */
void kept_sweep(struct kept *k, struct strbuf *sql);
/* There are none any more. */
void kept_clear(struct kept *k);
void kept_fini(struct kept *k);

#endif
