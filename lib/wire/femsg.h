/*
 * Frontend messages: decoding what clients send, and building what the router sends to servers. Decoders take the body
 * (without type and length), borrow from it, and return false for anything malformed. Pure.
 */
#ifndef WIRE_FEMSG_H
#define WIRE_FEMSG_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

/* Startup packet after the length: code, then for version 3 name/value pairs. */
enum startup_kind { STARTUP_SSL, STARTUP_GSSENC, STARTUP_CANCEL, STARTUP_V3, STARTUP_BAD_VERSION };

struct startup {
    enum startup_kind kind;
    uint32_t version; /* as sent */
    uint32_t cancel_pid;
    struct span cancel_key;
    struct span user, database, options, replication; /* empty: not given (database then is user) */
    struct span params;                               /* all pairs, "name\0value\0...": for startup_next_param */
    uint32_t unknown_protocol_options;                /* "_pq_." names: to be reported in NegotiateProtocolVersion */
};

enum startup_result { STARTUP_OK, STARTUP_MORE, STARTUP_MALFORMED };
/* Look at the first bytes of a connection. STARTUP_OK: *used bytes are the packet. */
MUSTCHECK enum startup_result startup_parse(struct span in, struct startup *out, size_t *used);
/* Iterate over params; false at the end. *rest starts as s->params. */
bool startup_next_param(struct span *rest, struct span *name, struct span *value);
/*
 * "-c name=value" and "--name=value" items of the options parameter, appended to `out` as such pairs. False for
 * anything else a server process would take there: it is not for clients of a pool.
 */
MUSTCHECK bool startup_put_options(struct strbuf *out, struct span options);

struct fe_parse {
    struct span name, sql;
    uint16_t ntype;
    const char *types; /* ntype big-endian uint32 */
};
struct fe_bind {
    struct span portal, statement;
    uint16_t nformat, nparam, nresult;
    const char *formats; /* nformat big-endian int16 */
    const char *params;  /* nparam times int32 length (-1: NULL) and bytes; checked */
    const char *results; /* nresult big-endian int16 */
};
struct fe_target { /* Describe and Close */
    char kind;     /* 'S' statement, 'P' portal */
    struct span name;
};
struct fe_execute {
    struct span portal;
    uint32_t max_rows; /* 0: all */
};

MUSTCHECK bool fe_decode_query(struct span body, struct span *sql);
MUSTCHECK bool fe_decode_parse(struct span body, struct fe_parse *out);
MUSTCHECK bool fe_decode_bind(struct span body, struct fe_bind *out);
MUSTCHECK bool fe_decode_target(struct span body, struct fe_target *out);
MUSTCHECK bool fe_decode_execute(struct span body, struct fe_execute *out);

/* Fill values[i] (ptr NULL for SQL NULL) and binary[i] for every parameter of a decoded Bind; false if format codes are
 * bad. */
MUSTCHECK bool fe_bind_values(const struct fe_bind *b, struct span *values, uint8_t *binary);

/* Is any result wanted in binary? */
bool fe_bind_wants_binary(const struct fe_bind *b);

void fe_put_query(struct strbuf *sb, struct span sql);
void fe_put_parse(struct strbuf *sb, struct span name, struct span sql, const char *types, uint16_t ntype);
/* A Bind without the client's names: the rest of the body (from the format codes on) is copied as it is. */
void fe_put_bind(struct strbuf *sb, struct span portal, struct span statement, struct span rest);
void fe_put_describe(struct strbuf *sb, char kind, struct span name);
void fe_put_close(struct strbuf *sb, char kind, struct span name);
void fe_put_execute(struct strbuf *sb, struct span portal, uint32_t max_rows);
void fe_put_sync(struct strbuf *sb);
/* Parse, Bind and Execute of the unnamed statement with text parameters and text results (ptr NULL: SQL NULL), without
 * Sync. */
void fe_put_statement(struct strbuf *sb, struct span sql, const struct span *params, uint16_t nparam);

#endif
