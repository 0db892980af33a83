/*
 * A growable byte buffer: owns its bytes, always NUL-terminated after the content (the NUL is not counted).
 * Zero-initialised is valid and empty. Not thread-safe.
 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include "base/bug.h"
#include "base/span.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
    char *ptr;  /* owned; NULL while cap is 0 */
    size_t len; /* bytes of content */
    size_t cap; /* bytes allocated, the NUL included */
};

#define STRBUF_INIT ((struct strbuf){ 0 })

void strbuf_fini(struct strbuf *sb);
/* Empty it, keep the memory. */
void strbuf_reset(struct strbuf *sb);
/* Make room for `more` bytes and return where they go; the caller then adds to len (strbuf_commit). */
char *strbuf_reserve(struct strbuf *sb, size_t more);
void strbuf_put(struct strbuf *sb, const void *ptr, size_t len);
void strbuf_puts(struct strbuf *sb, const char *str);
void strbuf_putc(struct strbuf *sb, char c);
void strbuf_printf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vprintf(struct strbuf *sb, const char *fmt, va_list ap);
/* Remove the first n bytes. */
void strbuf_drop(struct strbuf *sb, size_t n);
/* Content as a C string; "" when empty. Borrowed until the next change. */
const char *strbuf_str(const struct strbuf *sb);
/* Content to be freed by the caller (never NULL); the buffer is empty afterwards. */
char *strbuf_take(struct strbuf *sb);
/* SQL quoting, always quoted: "a""b" and 'a''b' (E'' form when a backslash is present). */
void strbuf_put_ident(struct strbuf *sb, struct span name);
void strbuf_put_literal(struct strbuf *sb, struct span value);

static inline struct span strbuf_span(const struct strbuf *sb)
{
    return span_make(sb->ptr, sb->len);
}

#endif
