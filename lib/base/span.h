/*
 * A borrowed run of bytes. The owner is somebody else and outlives the span; copying is a visible act (arena_strdup,
 * strbuf_put). Spans from the wire may hold any byte, NUL included.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *ptr; /* borrowed; may be NULL when len is 0 */
    size_t len;      /* bytes */
};

#define SPAN(literal) ((struct span){ .ptr = (literal), .len = sizeof(literal) - 1 })

static inline struct span span_make(const char *ptr, size_t len)
{
    return (struct span){ .ptr = ptr, .len = len };
}

static inline struct span span_str(const char *str)
{
    return (struct span){ .ptr = str, .len = str ? strlen(str) : 0 };
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool span_eq_str(struct span a, const char *b)
{
    return span_eq(a, span_str(b));
}

/* ASCII case-insensitive equality. */
bool span_ieq(struct span a, struct span b);

/* The length of s without a UTF-8 character at its end that is cut off. Bytes that are no UTF-8 stay. */
size_t span_whole_utf8(struct span s);

#endif
