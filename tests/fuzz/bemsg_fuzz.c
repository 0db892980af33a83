/*
 * A server's message: the first byte is its type, the second a choice of options, the rest its body. A rewritten error
 * is well-formed whatever it was made of, and says the same but for what was changed.
 */
#include "base/mem.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span message_body(const struct strbuf *sb)
{
    BUG_ON(sb->len < PROTO_HEADER || proto_get32(sb->ptr + 1) != sb->len - 1);
    return span_make(sb->ptr + PROTO_HEADER, sb->len - PROTO_HEADER);
}

static void check_error(struct span body, uint8_t options)
{
    static const int shifts[] = { 0, 1, -1, 1000, -2147483647, 2147483647 };
    struct strbuf sb = STRBUF_INIT;
    struct err e = ERR_INIT;
    struct be_error before, after;
    bool good = be_decode_error(body, &before);
    const char *context = options & 1 ? "shard 1" : NULL;

    be_put_error_rewritten(&sb, BE_ERROR, body, shifts[options / 4 % ARRAY_LEN(shifts)], options & 2, context);
    BUG_ON(!be_decode_error(message_body(&sb), &after));
    if (good)
        BUG_ON(!span_eq(before.sqlstate, after.sqlstate) || !span_eq(before.message, after.message) ||
               !span_eq(before.detail, after.detail) || !span_eq(before.hint, after.hint));
    BUG_ON((options & 2) && after.position.ptr);
    strbuf_reset(&sb);
    be_error_to_err(body, &e);
    BUG_ON(e.position < 0 || strlen(e.sqlstate) != 5);
    be_put_error(&sb, "ERROR", &e);
    BUG_ON(!be_decode_error(message_body(&sb), &after) || !span_eq_str(after.message, e.message));
    strbuf_fini(&sb);
}

static void check_row(struct span body, int cap)
{
    struct span *values = mem_zalloc((size_t)cap * sizeof(*values));
    struct strbuf sb = STRBUF_INIT;
    int n = be_decode_data_row(body, values, cap);

    BUG_ON(n > cap);
    if (n >= 0) {
        be_put_data_row(&sb, values, (uint16_t)n);
        BUG_ON(!span_eq(message_body(&sb), body));
    }
    strbuf_fini(&sb);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body;
    uint64_t count;
    size_t prefix;
    char *copy;

    if (size < 2)
        return 0;
    copy = mem_alloc(size - 2);
    memcpy(copy, data + 2, size - 2);
    body = span_make(copy, size - 2);
    switch (data[0]) {
    case BE_ERROR:
        check_error(body, data[1]);
        break;
    case BE_DATA_ROW:
        check_row(body, data[1]);
        break;
    case BE_COMMAND_COMPLETE:
        if (be_tag_count(body, &count, &prefix))
            BUG_ON(prefix == 0 || prefix >= body.len || body.ptr[prefix - 1] != ' ');
        break;
    default:
        break;
    }
    free(copy);
    return 0;
}
