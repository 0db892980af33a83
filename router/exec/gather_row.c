#include "router/exec/gather_row.h"

#include "wire/reader.h"

#define FIRST_USER_OID   16384u
#define FIRST_DOMAIN_OID 10000u /* information_schema has some; below are types of pg_catalog only */

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

/* --- what the rows are --- */

struct column {
    struct span name;
    uint32_t type;
    int32_t typmod;
};

static struct column read_column(struct reader *r)
{
    struct column c = { .name = rd_cstr(r) };

    (void)rd_bytes(r, 6);
    c.type = rd_u32(r);
    (void)rd_u16(r);
    c.typmod = (int32_t)rd_u32(r);
    (void)rd_u16(r);
    return c;
}

bool gather_columns_cut(struct span row_desc, uint32_t at, uint32_t ncolumn, struct span *columns)
{
    struct reader r = rd_make(row_desc);
    uint32_t n = rd_u16(&r);
    const char *begin;

    if (at > n || n - at < ncolumn)
        return false;
    while (at-- > 0)
        (void)read_column(&r);
    begin = r.pos;
    while (ncolumn-- > 0)
        (void)read_column(&r);
    *columns = span_make(begin, (size_t)(r.pos - begin));
    return !r.bad;
}

bool gather_columns_equal(struct span a, struct span b)
{
    struct reader ra = rd_make(a), rb = rd_make(b);

    while (ra.pos < ra.end && rb.pos < rb.end) {
        struct column ca = read_column(&ra), cb = read_column(&rb);

        if (ra.bad || rb.bad || !span_eq(ca.name, cb.name) || ca.typmod != cb.typmod ||
            (ca.type != cb.type && !(ca.type >= FIRST_USER_OID && cb.type >= FIRST_USER_OID)))
            return false;
    }
    return ra.pos == ra.end && rb.pos == rb.end;
}

void gather_columns_read(struct span columns, struct gather_type *types, uint32_t n)
{
    struct reader r = rd_make(columns);

    for (uint32_t i = 0; i < n; i++) {
        struct column c = read_column(&r);

        types[i].oid = c.type;
        types[i].typmod = c.typmod;
    }
}

/* A domain's column is described as its base type's, so only types of pg_catalog are compared. */
bool gather_columns_are(struct span columns, const struct gather_type *types)
{
    struct reader r = rd_make(columns);

    for (; r.pos < r.end && !r.bad; types++) {
        struct column c = read_column(&r);

        if (types->oid < FIRST_DOMAIN_OID && (types->oid != c.type || types->typmod != c.typmod))
            return false;
    }
    return !r.bad;
}
