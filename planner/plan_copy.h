/*
 * Of a plan: COPY (plan.h).
 */
#ifndef PLANNER_PLAN_COPY_H
#define PLANNER_PLAN_COPY_H

#include "shardmap/vhash.h"

#include <stdbool.h>
#include <stdint.h>

enum copy_format { COPY_FORMAT_TEXT, COPY_FORMAT_CSV, COPY_FORMAT_BINARY };

struct plan_copy {
    enum copy_format format;
    char delimiter, quote, escape;
    bool header;           /* first line is a header: COPY IN sends it to every shard, OUT keeps one */
    const char *null_text; /* as in the options, defaults filled in */
    uint32_t ncolumn;      /* columns in a row of the data */
    uint32_t nkey;         /* key columns; 0: not sharded */
    struct plan_copy_key {
        uint32_t field; /* 0-based index in the data's row */
        enum key_type type;
        int32_t typmod;
    } keys[4];
    uint8_t force_null, force_not_null; /* CSV: keys that the options name, BIT(index) */
    bool identity;
    /* Reference table: fields that may read the clock ('now'), which every shard would do by itself (rule P42). */
    uint32_t nmoment;
    const uint32_t *moments;
    const uint32_t *types; /* COPY table TO in binary: of its ncolumn columns; NULL: not known */
    const char *table;     /* "schema"."name", quoted, for messages */
    const char *name;      /* the name alone, as PostgreSQL's messages have it */
    uint32_t start, end;   /* COPY (query): where it is in the text, in bytes; never with literals cached away */
};

#endif
