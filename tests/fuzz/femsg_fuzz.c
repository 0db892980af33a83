/*
 * A client's message: the first byte is its type, the rest its body. What a decoder takes, the builders make again,
 * byte for byte; the values of a Bind lie in the body one behind another.
 */
#include "base/mem.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct strbuf *built, struct span body)
{
    BUG_ON(built->len != body.len + PROTO_HEADER || proto_get32(built->ptr + 1) != body.len + 4);
    BUG_ON(body.len && memcmp(built->ptr + PROTO_HEADER, body.ptr, body.len) != 0);
}

static void check_bind(const struct fe_bind *b, struct span body, struct strbuf *sb)
{
    struct span *values = mem_zalloc(b->nparam * sizeof(*values));
    uint8_t *binary = mem_zalloc(b->nparam);
    size_t names = b->portal.len + b->statement.len + 2;
    const char *at = b->params;

    fe_put_bind(sb, b->portal, b->statement, span_make(body.ptr + names, body.len - names));
    check_same(sb, body);
    if (fe_bind_values(b, values, binary)) {
        for (uint32_t i = 0; i < b->nparam; i++) {
            BUG_ON(binary[i] > 1 || (values[i].ptr && values[i].ptr != at + 4));
            at += 4 + values[i].len;
        }
        BUG_ON(at + 2 != b->results);
    }
    free(values);
    free(binary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strbuf sb = STRBUF_INIT;
    struct fe_execute execute;
    struct fe_target target;
    struct fe_parse parse;
    struct fe_bind bind;
    struct span body, sql;
    char *copy;

    if (size == 0)
        return 0;
    copy = mem_alloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    body = span_make(copy, size - 1);
    switch (data[0]) {
    case FE_QUERY:
        if (fe_decode_query(body, &sql)) {
            fe_put_query(&sb, sql);
            check_same(&sb, body);
        }
        break;
    case FE_PARSE:
        if (fe_decode_parse(body, &parse)) {
            fe_put_parse(&sb, parse.name, parse.sql, parse.types, parse.ntype);
            check_same(&sb, body);
        }
        break;
    case FE_BIND:
        if (fe_decode_bind(body, &bind))
            check_bind(&bind, body, &sb);
        break;
    case FE_DESCRIBE:
        if (fe_decode_target(body, &target)) {
            fe_put_describe(&sb, target.kind, target.name);
            check_same(&sb, body);
        }
        break;
    case FE_EXECUTE:
        if (fe_decode_execute(body, &execute)) {
            fe_put_execute(&sb, execute.portal, proto_get32(body.ptr + body.len - 4));
            check_same(&sb, body);
            BUG_ON(execute.max_rows > INT32_MAX);
        }
        break;
    default:
        break;
    }
    strbuf_fini(&sb);
    free(copy);
    return 0;
}
