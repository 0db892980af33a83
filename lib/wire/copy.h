/*
 * Cutting a COPY data stream into rows and finding the sharding-key fields in them, without decoding the rest.
 *
 * Text format: rows end with LF, CRLF or CR (one kind per stream, as PostgreSQL detects it), fields are separated by
 * the delimiter, backslash escapes, "\." before a line end ends the data (protocol 3 clients may send it; what follows
 * in the stream is ignored as PostgreSQL does). CSV: quoted fields may hold newlines, delimiters and doubled quotes;
 * "\." alone on an unquoted line ends the data (as in PostgreSQL 15 to 17). Binary: signature, flags, extension, then
 * tuples of int16 count and (int32 length, bytes)*, then -1. Sources: PostgreSQL documentation, COPY, "File Formats";
 * src/backend/commands/copyfromparse.c of PostgreSQL 15 for the rest.
 *
 * A row may lie across chunks of any size: the splitter is fed chunks and hands out whole rows; it buffers an
 * unfinished row only. A row longer than max_row is PB0104. Pure; no I/O.
 */
#ifndef WIRE_COPY_H
#define WIRE_COPY_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define COPY_MAX_KEYS    16u /* sharding keys have at most four columns; dates of a reference table may be more */
#define COPY_MAX_COLUMNS 1600u

struct copy_options {
    char format; /* 't' text, 'c' CSV, 'b' binary */
    char delimiter;
    char quote, escape; /* CSV */
    bool header;        /* first row is a header */
    const char *null_text;
    uint8_t force_null;     /* CSV: a set of keys, BIT(index): a quoted null_text is NULL too */
    uint8_t force_not_null; /* CSV: null_text is a value */
    uint32_t ncolumn;       /* binary: fields in a row; 0: not known */
    uint32_t nkey;
    uint32_t key_fields[COPY_MAX_KEYS]; /* 0-based field indexes */
    size_t max_row;                     /* bytes; 0: 1 GiB */
};

struct copy_splitter;

enum copy_row_kind {
    COPY_ROW,     /* a data row */
    COPY_PREAMBLE /* binary header or text/CSV header line: goes to every shard */
};

/* What was found; spans are valid during the call. Key values are decoded (unescaped); ptr NULL is NULL; binary ones
 * raw. */
typedef bool copy_row_fn(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e);

struct copy_splitter *copy_splitter_new(const struct copy_options *o);
void copy_splitter_free(struct copy_splitter *s);
/* Feed a chunk; fn is called for each complete row with the raw bytes, line end included. False: fn's error, or PB0104
 * naming the line. */
MUSTCHECK bool copy_splitter_feed(struct copy_splitter *s, struct span chunk, copy_row_fn *fn, void *arg,
                                  struct err *e);
/* End of data (CopyDone): a last line without a line end is a row; an open quote or half tuple is PB0104. A binary
 * stream needs no trailer. */
MUSTCHECK bool copy_splitter_finish(struct copy_splitter *s, copy_row_fn *fn, void *arg, struct err *e);
/* Rows seen so far, the header not counted. */
uint64_t copy_splitter_rows(const struct copy_splitter *s);
/* The bytes that end a stream for each shard after the rows: the -1 trailer of the binary format, nothing otherwise. */
struct span copy_trailer(const struct copy_options *o);

#endif
