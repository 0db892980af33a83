#include "wire/bemsg.h"

#include "wire/femsg.h"
#include "wire/proto.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <limits.h>
#include <stdio.h>

/* Field codes: PostgreSQL documentation, "Error and Notice Message Fields". */
static void put_field(struct strbuf *sb, char code, const char *value)
{
    msg_u8(sb, (uint8_t)code);
    msg_cstr(sb, span_str(value));
}

static void put_report(struct strbuf *sb, char type, const char *severity, const struct err *e)
{
    size_t at = msg_begin(sb, type);
    char detail[sizeof(e->detail) + 16];

    put_field(sb, 'S', severity);
    put_field(sb, 'V', severity);
    put_field(sb, 'C', e->sqlstate);
    put_field(sb, 'M', e->message);
    if (e->id != ERR_NONE) {
        snprintf(detail, sizeof(detail), "%s%s[%s]", e->detail, e->detail[0] ? " " : "", err_id_name(e->id));
        put_field(sb, 'D', detail);
    } else if (e->detail[0]) {
        put_field(sb, 'D', e->detail);
    }
    if (e->hint[0])
        put_field(sb, 'H', e->hint);
    if (e->position > 0) {
        char position[16];

        snprintf(position, sizeof(position), "%d", e->position);
        put_field(sb, 'P', position);
    }
    msg_u8(sb, 0);
    msg_end(sb, at);
}

void be_put_error(struct strbuf *sb, const char *severity, const struct err *e)
{
    put_report(sb, BE_ERROR, severity, e);
}

void be_put_notice(struct strbuf *sb, const char *severity, const struct err *e)
{
    put_report(sb, BE_NOTICE, severity, e);
}

void be_put_ready(struct strbuf *sb, char status)
{
    size_t at = msg_begin(sb, BE_READY);

    msg_u8(sb, (uint8_t)status);
    msg_end(sb, at);
}

void be_put_command_complete(struct strbuf *sb, const char *tag)
{
    size_t at = msg_begin(sb, BE_COMMAND_COMPLETE);

    msg_cstr(sb, span_str(tag));
    msg_end(sb, at);
}

void be_put_parameter_status(struct strbuf *sb, const char *name, const char *value)
{
    size_t at = msg_begin(sb, BE_PARAMETER_STATUS);

    msg_cstr(sb, span_str(name));
    msg_cstr(sb, span_str(value));
    msg_end(sb, at);
}

void be_put_key_data(struct strbuf *sb, uint32_t pid, uint32_t key)
{
    size_t at = msg_begin(sb, BE_BACKEND_KEY_DATA);

    msg_u32(sb, pid);
    msg_u32(sb, key);
    msg_end(sb, at);
}

void be_put_auth(struct strbuf *sb, uint32_t code, struct span data)
{
    size_t at = msg_begin(sb, BE_AUTHENTICATION);

    msg_u32(sb, code);
    strbuf_put(sb, data.ptr, data.len);
    msg_end(sb, at);
}

void be_put_negotiate(struct strbuf *sb, struct span startup_params)
{
    struct span rest = startup_params, name, value;
    size_t at = msg_begin(sb, BE_NEGOTIATE);
    size_t count_at;
    uint32_t n = 0;

    msg_u32(sb, PROTO_VERSION_3);
    count_at = sb->len;
    msg_u32(sb, 0);
    while (startup_next_param(&rest, &name, &value)) {
        if (name.len >= 5 && memcmp(name.ptr, "_pq_.", 5) == 0) {
            msg_cstr(sb, name);
            n++;
        }
    }
    sb->ptr[count_at + 2] = (char)(n >> 8);
    sb->ptr[count_at + 3] = (char)n;
    msg_end(sb, at);
}

void be_put_row_description(struct strbuf *sb, const struct be_column *cols, uint16_t n)
{
    size_t at = msg_begin(sb, BE_ROW_DESCRIPTION);

    msg_u16(sb, n);
    for (uint16_t i = 0; i < n; i++) {
        uint16_t typlen = cols[i].type == OID_INT8   ? 8
                          : cols[i].type == OID_INT4 ? 4
                          : cols[i].type == OID_BOOL ? 1
                                                     : 0xFFFF;

        msg_cstr(sb, span_str(cols[i].name));
        msg_u32(sb, 0);
        msg_u16(sb, 0);
        msg_u32(sb, cols[i].type);
        msg_u16(sb, typlen);
        msg_u32(sb, UINT32_MAX);
        msg_u16(sb, 0);
    }
    msg_end(sb, at);
}

void be_put_data_row(struct strbuf *sb, const struct span *values, uint16_t n)
{
    size_t at = msg_begin(sb, BE_DATA_ROW);

    msg_u16(sb, n);
    for (uint16_t i = 0; i < n; i++) {
        msg_u32(sb, values[i].ptr ? (uint32_t)values[i].len : UINT32_MAX);
        if (values[i].ptr)
            strbuf_put(sb, values[i].ptr, values[i].len);
    }
    msg_end(sb, at);
}

/* The position field as a number; 0 when it is none. */
static int position_of(struct span value)
{
    int n = 0;

    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9' || n > (INT_MAX - 9) / 10)
            return 0;
        n = n * 10 + (value.ptr[i] - '0');
    }
    return n;
}

bool be_decode_error(struct span body, struct be_error *out)
{
    struct reader r = rd_make(body);
    uint8_t code;

    *out = (struct be_error){ 0 };
    while ((code = rd_u8(&r)) != 0) {
        struct span value = rd_cstr(&r);

        switch (code) {
        case 'V':
            out->severity = value;
            break;
        case 'S':
            if (!out->severity.ptr)
                out->severity = value;
            break;
        case 'C':
            out->sqlstate = value;
            break;
        case 'M':
            out->message = value;
            break;
        case 'D':
            out->detail = value;
            break;
        case 'H':
            out->hint = value;
            break;
        case 'P':
            out->position = value;
            break;
        default:
            break;
        }
    }
    return rd_finish(&r);
}

static void copy_text(char *to, size_t cap, struct span from)
{
    size_t n = from.len < cap ? from.len : span_whole_utf8(span_make(from.ptr, cap - 1));

    if (n)
        memcpy(to, from.ptr, n);
    to[n] = '\0';
}

void be_error_to_err(struct span body, struct err *e)
{
    struct be_error f;

    if (!be_decode_error(body, &f) || f.sqlstate.len != 5) {
        err_set(e, PB0301, "a shard sent an error that cannot be read");
        return;
    }
    e->id = ERR_NONE;
    copy_text(e->sqlstate, sizeof(e->sqlstate), f.sqlstate);
    copy_text(e->message, sizeof(e->message), f.message);
    copy_text(e->detail, sizeof(e->detail), f.detail);
    copy_text(e->hint, sizeof(e->hint), f.hint);
    e->position = position_of(f.position);
}

/* A position that is none, or lies before the client's text, is left out. */
static void put_position(struct strbuf *sb, int position, int shift, bool drop)
{
    const long long shifted = (long long)position + shift;
    char text[24];

    if (drop || position == 0 || shifted <= 0)
        return;
    snprintf(text, sizeof(text), "%lld", shifted);
    put_field(sb, 'P', text);
}

void be_put_error_rewritten(struct strbuf *sb, char type, struct span body, int shift, bool drop_position,
                            const char *context)
{
    struct reader r = rd_make(body);
    size_t at = msg_begin(sb, type);
    bool context_done = !context;
    uint8_t code;

    while ((code = rd_u8(&r)) != 0) {
        struct span value = rd_cstr(&r);

        if (code == 'P') {
            put_position(sb, position_of(value), shift, drop_position);
            continue;
        }
        msg_u8(sb, code);
        if (code == 'W' && !context_done) {
            strbuf_put(sb, value.ptr, value.len);
            strbuf_putc(sb, '\n');
            msg_cstr(sb, span_str(context));
            context_done = true;
        } else {
            msg_cstr(sb, value);
        }
    }
    if (!context_done)
        put_field(sb, 'W', context);
    msg_u8(sb, 0);
    msg_end(sb, at);
}

bool be_tag_count(struct span tag, uint64_t *count, size_t *prefix_len)
{
    size_t i = tag.len;
    uint64_t n = 0;

    while (i > 0 && tag.ptr[i - 1] >= '0' && tag.ptr[i - 1] <= '9')
        i--;
    if (i == tag.len || i == 0 || tag.ptr[i - 1] != ' ')
        return false;
    for (size_t k = i; k < tag.len; k++) {
        unsigned digit = (unsigned)(tag.ptr[k] - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *count = n;
    *prefix_len = i;
    return true;
}

int be_decode_data_row(struct span body, struct span *values, int cap)
{
    struct reader r = rd_make(body);
    int n = rd_u16(&r);

    if (n > cap)
        return -1;
    for (int i = 0; i < n; i++) {
        uint32_t len = rd_u32(&r);

        values[i] = len == UINT32_MAX ? (struct span){ 0 } : rd_bytes(&r, len);
    }
    return rd_finish(&r) ? n : -1;
}
