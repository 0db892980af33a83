/*
 * Ordered merge of several shards' rows. Pure: DataRow frames in, DataRow frames out. The first columns of every row
 * are sort keys in binary format, added by the planner (finish.h); they are compared, cut off, and the rest of the row,
 * the client's own columns in the formats it asked for, is passed on without being looked at.
 *
 * Rows of one source come in its order, which is checked: a server whose collation sorts in another way than this
 * module must not go unnoticed. The merge copies rows until their turn comes. Equal rows come in the order of sources.
 * Without keys rows come as they are there.
 *
 *   merge_new, merge_push ... merge_end for each source, merge_take in between, merge_free
 */
#ifndef PLANNER_OP_MERGE_H
#define PLANNER_OP_MERGE_H

#include "base/bug.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* How the binary form of a type is compared. */
enum merge_type {
    MERGE_UINT1, /* bool, "char" */
    MERGE_INT2,
    MERGE_INT4, /* date too */
    MERGE_INT8, /* time, timestamp, timestamptz, money too */
    MERGE_UINT4,
    MERGE_UINT8,
    MERGE_FLOAT4, /* NaN is equal to itself and above all else, -0 equals 0 */
    MERGE_FLOAT8,
    MERGE_NUMERIC,
    MERGE_TIMETZ,
    MERGE_INTERVAL,
    MERGE_BYTES, /* bytea, uuid, macaddr; text in collation "C" */
    MERGE_PADDED /* bpchar in collation "C": blanks at the end do not count */
};

struct merge_key {
    enum merge_type type;
    bool desc, nulls_first;
};

/* How a type (of pg_type) is compared; *text: only if its collation is "C". False: not here. */
MUSTCHECK bool merge_type_of(uint32_t oid, enum merge_type *type, bool *text);

enum merge_result {
    MERGE_ROW,  /* as many as were asked for */
    MERGE_WAIT, /* it depends on rows that are not there yet */
    MERGE_DONE, /* every source has ended and its rows are out */
    MERGE_BAD   /* a row is malformed, or its source does not sort as it is sorted here */
};

struct merge;
struct merge *merge_new(uint32_t nsource, uint32_t nkey, const struct merge_key *keys);
/* Of rows that agree in the first `nkey` keys only the first is taken. Before any row is pushed. */
void merge_unique(struct merge *m, uint32_t nkey);
void merge_free(struct merge *m); /* NULL is fine */

/*
 * Copy whole DataRow frames from the front of `frames`, up to one that is not whole or not a row, or does not fit into
 * `room` bytes (the first one always does); *taken: how many bytes. False: as MERGE_BAD, or there is none.
 */
MUSTCHECK bool merge_push(struct merge *m, uint32_t source, struct span frames, size_t room, size_t *taken);
void merge_end(struct merge *m, uint32_t source);
/* No row can come before this source has one, or has ended. */
bool merge_waits_for(const struct merge *m, uint32_t source);
/* Bytes that are kept of a source. */
size_t merge_kept(const struct merge *m, uint32_t source);

/*
 * Append rows in order to `out`, as DataRow frames without the keys, until it has `full` bytes: first *skip rows are
 * dropped, then at most *left are put; both are counted down.
 */
MUSTCHECK enum merge_result merge_take(struct merge *m, uint64_t *skip, uint64_t *left, struct strbuf *out,
                                       size_t full);

#endif
