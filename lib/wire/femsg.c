#include "wire/femsg.h"

#include "wire/proto.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define SPAN_NULL ((struct span){ 0 })

bool fe_decode_query(struct span body, struct span *sql)
{
    struct reader r = rd_make(body);

    *sql = rd_cstr(&r);
    return rd_finish(&r);
}

bool fe_decode_parse(struct span body, struct fe_parse *out)
{
    struct reader r = rd_make(body);

    out->name = rd_cstr(&r);
    out->sql = rd_cstr(&r);
    out->ntype = rd_u16(&r);
    out->types = rd_bytes(&r, out->ntype * 4u).ptr;
    return rd_finish(&r);
}

bool fe_decode_bind(struct span body, struct fe_bind *out)
{
    struct reader r = rd_make(body);

    out->portal = rd_cstr(&r);
    out->statement = rd_cstr(&r);
    out->nformat = rd_u16(&r);
    out->formats = rd_bytes(&r, out->nformat * 2u).ptr;
    out->nparam = rd_u16(&r);
    out->params = r.pos;
    for (uint32_t i = 0; i < out->nparam && !r.bad; i++) {
        uint32_t len = rd_u32(&r);

        if (len != UINT32_MAX)
            (void)rd_bytes(&r, len);
    }
    out->nresult = rd_u16(&r);
    out->results = rd_bytes(&r, out->nresult * 2u).ptr;
    return rd_finish(&r);
}

bool fe_decode_target(struct span body, struct fe_target *out)
{
    struct reader r = rd_make(body);

    out->kind = (char)rd_u8(&r);
    out->name = rd_cstr(&r);
    return rd_finish(&r) && (out->kind == 'S' || out->kind == 'P');
}

bool fe_decode_execute(struct span body, struct fe_execute *out)
{
    struct reader r = rd_make(body);

    out->portal = rd_cstr(&r);
    out->max_rows = rd_u32(&r);
    /* A negative count means no limit, as zero does. */
    if (out->max_rows > INT32_MAX)
        out->max_rows = 0;
    return rd_finish(&r);
}

/* No format codes: all text; one: for all; else one each. */
bool fe_bind_values(const struct fe_bind *b, struct span *values, uint8_t *binary)
{
    const char *p = b->params;

    if (b->nformat > 1 && b->nformat != b->nparam)
        return false;
    for (uint32_t i = 0; i < b->nparam; i++) {
        uint32_t len = proto_get32(p);
        uint16_t format = b->nformat == 0 ? 0 : proto_get16(b->formats + 2u * (b->nformat == 1 ? 0 : i));

        if (format > 1)
            return false;
        binary[i] = (uint8_t)format;
        p += 4;
        if (len == UINT32_MAX) {
            values[i] = SPAN_NULL;
            continue;
        }
        values[i] = span_make(p, len);
        p += len;
    }
    return true;
}

bool fe_bind_wants_binary(const struct fe_bind *b)
{
    for (uint32_t i = 0; i < b->nresult; i++) {
        if (proto_get16(b->results + 2u * i))
            return true;
    }
    return false;
}

void fe_put_query(struct strbuf *sb, struct span sql)
{
    size_t at = msg_begin(sb, FE_QUERY);

    msg_cstr(sb, sql);
    msg_end(sb, at);
}

void fe_put_parse(struct strbuf *sb, struct span name, struct span sql, const char *types, uint16_t ntype)
{
    size_t at = msg_begin(sb, FE_PARSE);

    msg_cstr(sb, name);
    msg_cstr(sb, sql);
    msg_u16(sb, ntype);
    strbuf_put(sb, types, ntype * 4u);
    msg_end(sb, at);
}

void fe_put_bind(struct strbuf *sb, struct span portal, struct span statement, struct span rest)
{
    size_t at = msg_begin(sb, FE_BIND);

    msg_cstr(sb, portal);
    msg_cstr(sb, statement);
    strbuf_put(sb, rest.ptr, rest.len);
    msg_end(sb, at);
}

static void put_target(struct strbuf *sb, char type, char kind, struct span name)
{
    size_t at = msg_begin(sb, type);

    msg_u8(sb, (uint8_t)kind);
    msg_cstr(sb, name);
    msg_end(sb, at);
}

void fe_put_describe(struct strbuf *sb, char kind, struct span name)
{
    put_target(sb, FE_DESCRIBE, kind, name);
}

void fe_put_close(struct strbuf *sb, char kind, struct span name)
{
    put_target(sb, FE_CLOSE, kind, name);
}

void fe_put_execute(struct strbuf *sb, struct span portal, uint32_t max_rows)
{
    size_t at = msg_begin(sb, FE_EXECUTE);

    msg_cstr(sb, portal);
    msg_u32(sb, max_rows);
    msg_end(sb, at);
}

void fe_put_sync(struct strbuf *sb)
{
    msg_empty(sb, FE_SYNC);
}

void fe_put_statement(struct strbuf *sb, struct span sql, const struct span *params, uint16_t nparam)
{
    size_t at;

    fe_put_parse(sb, SPAN_NULL, sql, NULL, 0);
    at = msg_begin(sb, FE_BIND);
    msg_cstr(sb, SPAN_NULL);
    msg_cstr(sb, SPAN_NULL);
    msg_u16(sb, 0);
    msg_u16(sb, nparam);
    for (uint16_t i = 0; i < nparam; i++) {
        msg_u32(sb, params[i].ptr ? (uint32_t)params[i].len : UINT32_MAX);
        if (params[i].ptr)
            strbuf_put(sb, params[i].ptr, params[i].len);
    }
    msg_u16(sb, 0);
    msg_end(sb, at);
    fe_put_execute(sb, SPAN_NULL, 0);
}
