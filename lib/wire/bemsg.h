/*
 * Backend messages: building what the router answers, and reading what servers send where it must be understood. Pure.
 */
#ifndef WIRE_BEMSG_H
#define WIRE_BEMSG_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define OID_BOOL 16u
#define OID_INT8 20u
#define OID_INT4 23u
#define OID_TEXT 25u

/* ErrorResponse from the router's own error: S, V, C, M, D (ends with the stable id), H, P. severity "ERROR" or
 * "FATAL". */
void be_put_error(struct strbuf *sb, const char *severity, const struct err *e);
/* NoticeResponse, severity "WARNING", "NOTICE" ... */
void be_put_notice(struct strbuf *sb, const char *severity, const struct err *e);
void be_put_ready(struct strbuf *sb, char status); /* 'I', 'T', 'E' */
void be_put_command_complete(struct strbuf *sb, const char *tag);
void be_put_parameter_status(struct strbuf *sb, const char *name, const char *value);
void be_put_key_data(struct strbuf *sb, uint32_t pid, uint32_t key);
/* Authentication: code is an enum auth_code, data what follows it. */
void be_put_auth(struct strbuf *sb, uint32_t code, struct span data);
/* NegotiateProtocolVersion: newest minor version spoken (0) and the option names not understood, taken from the startup
 * params. */
void be_put_negotiate(struct strbuf *sb, struct span startup_params);

/* RowDescription of text-format columns. */
struct be_column {
    const char *name;
    uint32_t type;
};
void be_put_row_description(struct strbuf *sb, const struct be_column *cols, uint16_t n);
/* DataRow of text values; ptr NULL is SQL NULL. */
void be_put_data_row(struct strbuf *sb, const struct span *values, uint16_t n);

/* Fields of an ErrorResponse or NoticeResponse body; empty spans when absent. False if malformed. */
struct be_error {
    struct span severity, sqlstate, message, detail, hint, position;
};
MUSTCHECK bool be_decode_error(struct span body, struct be_error *out);
/* Copy an error body's fields into *e (id ERR_NONE, the server's sqlstate). */
void be_error_to_err(struct span body, struct err *e);
/*
 * Rewrite an ErrorResponse/NoticeResponse body into sb as a whole message of `type`: `shift` is added to the position
 * field (characters); drop_position removes it; a non-empty `context` line is appended to the W field (rule P53).
 */
void be_put_error_rewritten(struct strbuf *sb, char type, struct span body, int shift, bool drop_position,
                            const char *context);

/*
 * A command tag "INSERT 0 5", "UPDATE 3", "SELECT 7", "COPY 9": the row count and the length of the text before it.
 * False when the tag carries no count.
 */
MUSTCHECK bool be_tag_count(struct span tag, uint64_t *count, size_t *prefix_len);

/* DataRow body: column count and values. Returns the number of columns, or -1 if malformed or more than cap. */
int be_decode_data_row(struct span body, struct span *values, int cap);

#endif
