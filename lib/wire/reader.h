/*
 * Sticky reader over one message body: after a short read every further read gives 0 or an empty span, and rd_finish()
 * is false. Pure.
 */
#ifndef WIRE_READER_H
#define WIRE_READER_H

#include "base/bug.h"
#include "base/span.h"
#include "wire/proto.h"

#include <stdbool.h>
#include <stdint.h>

struct reader {
    const char *pos, *end;
    bool bad;
};

static inline struct reader rd_make(struct span body)
{
    return (struct reader){ .pos = body.ptr, .end = body.ptr + body.len, .bad = false };
}

static inline bool rd_need(struct reader *r, size_t n)
{
    if (UNLIKELY(r->bad || (size_t)(r->end - r->pos) < n)) {
        r->bad = true;
        r->pos = r->end;
        return false;
    }
    return true;
}

static inline uint8_t rd_u8(struct reader *r)
{
    return rd_need(r, 1) ? (uint8_t)*r->pos++ : 0;
}

static inline uint16_t rd_u16(struct reader *r)
{
    uint16_t v = 0;

    if (rd_need(r, 2)) {
        v = proto_get16(r->pos);
        r->pos += 2;
    }
    return v;
}

static inline uint32_t rd_u32(struct reader *r)
{
    uint32_t v = 0;

    if (rd_need(r, 4)) {
        v = proto_get32(r->pos);
        r->pos += 4;
    }
    return v;
}

static inline struct span rd_bytes(struct reader *r, size_t n)
{
    struct span s = { 0 };

    if (rd_need(r, n)) {
        s = span_make(r->pos, n);
        r->pos += n;
    }
    return s;
}

/* A NUL-terminated string, without the NUL; a missing NUL makes the reader bad. */
static inline struct span rd_cstr(struct reader *r)
{
    const char *nul = r->bad || !r->pos ? NULL : memchr(r->pos, 0, (size_t)(r->end - r->pos));
    struct span s = { 0 };

    if (UNLIKELY(!nul)) {
        r->bad = true;
        r->pos = r->end;
        return s;
    }
    s = span_make(r->pos, (size_t)(nul - r->pos));
    r->pos = nul + 1;
    return s;
}

static inline MUSTCHECK bool rd_finish(const struct reader *r)
{
    return !r->bad && r->pos == r->end;
}

#endif
