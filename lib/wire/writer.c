#include "wire/writer.h"

static void put32(char *p, uint32_t v)
{
    p[0] = (char)(v >> 24);
    p[1] = (char)(v >> 16);
    p[2] = (char)(v >> 8);
    p[3] = (char)v;
}

size_t msg_begin(struct strbuf *sb, char type)
{
    size_t start = sb->len;
    char *p = strbuf_reserve(sb, PROTO_HEADER);

    p[0] = type;
    put32(p + 1, 0);
    p[PROTO_HEADER] = '\0';
    sb->len += PROTO_HEADER;
    return start;
}

void msg_end(struct strbuf *sb, size_t start)
{
    BUG_ON(sb->len < start + PROTO_HEADER || sb->len - start - 1 > INT32_MAX);
    put32(sb->ptr + start + 1, (uint32_t)(sb->len - start - 1));
}

void msg_u8(struct strbuf *sb, uint8_t v)
{
    strbuf_putc(sb, (char)v);
}

void msg_u16(struct strbuf *sb, uint16_t v)
{
    const char bytes[2] = { (char)(v >> 8), (char)v };

    strbuf_put(sb, bytes, sizeof(bytes));
}

void msg_u32(struct strbuf *sb, uint32_t v)
{
    char bytes[4];

    put32(bytes, v);
    strbuf_put(sb, bytes, sizeof(bytes));
}

void msg_cstr(struct strbuf *sb, struct span s)
{
    strbuf_put(sb, s.ptr, s.len);
    strbuf_putc(sb, '\0');
}

void msg_empty(struct strbuf *sb, char type)
{
    msg_end(sb, msg_begin(sb, type));
}
