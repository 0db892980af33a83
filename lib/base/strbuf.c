#include "base/strbuf.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void strbuf_fini(struct strbuf *sb)
{
    free(sb->ptr);
    *sb = STRBUF_INIT;
}

void strbuf_reset(struct strbuf *sb)
{
    sb->len = 0;
    if (sb->ptr)
        sb->ptr[0] = '\0';
}

char *strbuf_reserve(struct strbuf *sb, size_t more)
{
    size_t need = sb->len + more + 1;

    if (need > sb->cap) {
        size_t cap = sb->cap ? sb->cap : 64;

        while (cap < need)
            cap *= 2;
        sb->ptr = mem_realloc(sb->ptr, cap);
        sb->cap = cap;
    }
    return sb->ptr + sb->len;
}

void strbuf_put(struct strbuf *sb, const void *ptr, size_t len)
{
    char *to = strbuf_reserve(sb, len);

    if (len)
        memcpy(to, ptr, len);
    to[len] = '\0';
    sb->len += len;
}

void strbuf_puts(struct strbuf *sb, const char *str)
{
    strbuf_put(sb, str, strlen(str));
}

void strbuf_putc(struct strbuf *sb, char c)
{
    strbuf_put(sb, &c, 1);
}

void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list ap)
{
    va_list again;
    int len;

    va_copy(again, ap);
    len = vsnprintf(NULL, 0, fmt, ap);
    BUG_ON(len < 0);
    vsnprintf(strbuf_reserve(sb, (size_t)len), (size_t)len + 1, fmt, again);
    va_end(again);
    sb->len += (size_t)len;
}

void strbuf_printf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    strbuf_vprintf(sb, fmt, ap);
    va_end(ap);
}

void strbuf_drop(struct strbuf *sb, size_t n)
{
    BUG_ON(n > sb->len);
    if (n == 0)
        return;
    memmove(sb->ptr, sb->ptr + n, sb->len - n + 1);
    sb->len -= n;
}

const char *strbuf_str(const struct strbuf *sb)
{
    return sb->ptr ? sb->ptr : "";
}

char *strbuf_take(struct strbuf *sb)
{
    char *out = sb->ptr ? sb->ptr : mem_strdup("");

    *sb = STRBUF_INIT;
    return out;
}

void strbuf_put_ident(struct strbuf *sb, struct span name)
{
    strbuf_putc(sb, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '"')
            strbuf_putc(sb, '"');
        strbuf_putc(sb, name.ptr[i]);
    }
    strbuf_putc(sb, '"');
}

void strbuf_put_literal(struct strbuf *sb, struct span value)
{
    if (value.len && memchr(value.ptr, '\\', value.len))
        strbuf_puts(sb, " E");
    strbuf_putc(sb, '\'');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\'' || value.ptr[i] == '\\')
            strbuf_putc(sb, value.ptr[i]);
        strbuf_putc(sb, value.ptr[i]);
    }
    strbuf_putc(sb, '\'');
}
