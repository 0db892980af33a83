#include "router/exec/gather_row.h"

#include "wire/reader.h"

bool gather_row_part(struct span body, uint32_t *part)
{
    struct reader r = rd_make(body);

    if (rd_u16(&r) == 0 || rd_u32(&r) != sizeof(*part))
        return false;
    *part = rd_u32(&r);
    return !r.bad;
}

static void skip_columns(struct reader *r, uint32_t n)
{
    for (; n && !r->bad; n--) {
        uint32_t len = rd_u32(r);

        if (len != UINT32_MAX)
            (void)rd_bytes(r, len);
    }
}

bool gather_row_cut(struct span body, uint32_t at, uint32_t ncolumn, struct span *fields, bool *present)
{
    struct reader r = rd_make(body);
    uint32_t n = rd_u16(&r);
    const char *begin;

    if (at >= n || n - at - 1 < ncolumn)
        return false;
    skip_columns(&r, at);
    *present = rd_u32(&r) == 1;
    if (*present)
        (void)rd_u8(&r);
    begin = r.pos;
    skip_columns(&r, ncolumn);
    *fields = span_make(begin, (size_t)(r.pos - begin));
    return !r.bad;
}
