#include "planner/op_merge.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "wire/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USECS_PER_DAY INT64_C(86400000000)
#define COMPACT_BYTES 16384u

bool merge_type_of(uint32_t oid, enum merge_type *type, bool *text)
{
    static const struct {
        uint32_t oid;
        enum merge_type type;
        bool text;
    } types[] = {
        { 16, MERGE_UINT1, false },     { 17, MERGE_BYTES, false },      { 18, MERGE_UINT1, false },
        { 19, MERGE_BYTES, true },      { 20, MERGE_INT8, false },       { 21, MERGE_INT2, false },
        { 23, MERGE_INT4, false },      { 25, MERGE_BYTES, true },       { 26, MERGE_UINT4, false },
        { 700, MERGE_FLOAT4, false },   { 701, MERGE_FLOAT8, false },    { 790, MERGE_INT8, false },
        { 829, MERGE_BYTES, false },    { 1042, MERGE_PADDED, true },    { 1043, MERGE_BYTES, true },
        { 1082, MERGE_INT4, false },    { 1083, MERGE_INT8, false },     { 1114, MERGE_INT8, false },
        { 1184, MERGE_INT8, false },    { 1186, MERGE_INTERVAL, false }, { 1266, MERGE_TIMETZ, false },
        { 1700, MERGE_NUMERIC, false }, { 2950, MERGE_BYTES, false },    { 3220, MERGE_UINT8, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (types[i].oid == oid) {
            *type = types[i].type;
            *text = types[i].text;
            return true;
        }
    }
    return false;
}

/* A key of the first row kept: numbers as such, the rest where it stands, from the row's beginning. */
struct value {
    bool null;
    union {
        struct {
            int64_t high, low;
        } i;
        uint64_t u;
        double d;
        struct {
            uint32_t at, len;
        } bytes;
    };
};

/* Rows as u32 length and DataRow body. The first one starts at `at`, the one before it, if there was one, at `last`. */
struct source {
    struct strbuf rows;
    size_t at, last;
    bool ended, had;
    struct value *keys, *last_keys; /* of the first row, if it stands in the heap, and of the one before it */
    uint32_t columns;               /* offset of what is behind the keys in the first row */
};

struct merge {
    uint32_t nsource, nkey;
    struct merge_key *keys;
    struct source *sources;
    uint32_t *heap, nheap; /* sources with a first row, the least one on top */
    uint32_t nwaited;      /* sources without a row that have not ended */
    bool taken;            /* the top's first row went out last */
};

struct merge *merge_new(uint32_t nsource, uint32_t nkey, const struct merge_key *keys)
{
    struct merge *m = mem_zalloc(sizeof *m);
    m->nsource = m->nwaited = nsource;
    m->nkey = nkey;
    m->keys = mem_zalloc((nkey + 1) * sizeof *m->keys);
    if (nkey)
        memcpy(m->keys, keys, nkey * sizeof *keys);
    m->sources = mem_zalloc((nsource + 1) * sizeof *m->sources);
    for (uint32_t i = 0; i < nsource; i++) {
        m->sources[i].keys = mem_zalloc((nkey + 1) * sizeof(struct value));
        m->sources[i].last_keys = mem_zalloc((nkey + 1) * sizeof(struct value));
    }
    m->heap = mem_zalloc((nsource + 1) * sizeof *m->heap);
    return m;
}

void merge_free(struct merge *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->nsource; i++) {
        strbuf_fini(&m->sources[i].rows);
        free(m->sources[i].keys);
        free(m->sources[i].last_keys);
    }
    free(m->sources);
    free(m->heap);
    free(m->keys);
    free(m);
}

/* --- values --- */

static size_t type_length(enum merge_type type)
{
    switch (type) {
    case MERGE_UINT1:
        return 1;
    case MERGE_INT2:
        return 2;
    case MERGE_INT4:
    case MERGE_UINT4:
    case MERGE_FLOAT4:
        return 4;
    case MERGE_INT8:
    case MERGE_UINT8:
    case MERGE_FLOAT8:
        return 8;
    case MERGE_TIMETZ:
        return 12;
    case MERGE_INTERVAL:
        return 16;
    case MERGE_NUMERIC:
    case MERGE_BYTES:
    case MERGE_PADDED:
        break;
    }
    return 0; /* any */
}

static uint64_t get64(const char *p)
{
    return (uint64_t)proto_get32(p) << 32 | proto_get32(p + 4);
}

/* Days of 24 hours, as interval_cmp_value() counts: a month has 30 days. */
static void read_interval(const char *p, struct value *v)
{
    int64_t time = (int64_t)get64(p);
    int64_t days = (int64_t)(int32_t)proto_get32(p + 12) * 30 + (int32_t)proto_get32(p + 8) + time / USECS_PER_DAY;
    time %= USECS_PER_DAY;
    if (time < 0) {
        time += USECS_PER_DAY;
        days--;
    }
    v->i.high = days;
    v->i.low = time;
}

static bool numeric_valid(struct span s)
{
    return s.len >= 8 && s.len == 8 + 2 * (size_t)proto_get16(s.ptr);
}

static bool read_value(enum merge_type type, struct span s, const char *row, struct value *v)
{
    const char *p = s.ptr;
    size_t want = type_length(type);
    *v = (struct value){ .null = false };
    if (want && s.len != want)
        return false;
    switch (type) {
    case MERGE_UINT1:
        v->u = (unsigned char)*p;
        return true;
    case MERGE_INT2:
        v->i.high = (int16_t)proto_get16(p);
        return true;
    case MERGE_INT4:
        v->i.high = (int32_t)proto_get32(p);
        return true;
    case MERGE_INT8:
        v->i.high = (int64_t)get64(p);
        return true;
    case MERGE_UINT4:
        v->u = proto_get32(p);
        return true;
    case MERGE_UINT8:
        v->u = get64(p);
        return true;
    case MERGE_FLOAT4: {
        uint32_t bits = proto_get32(p);
        float f;
        memcpy(&f, &bits, sizeof f);
        v->d = (double)f;
        return true;
    }
    case MERGE_FLOAT8: {
        uint64_t bits = get64(p);
        memcpy(&v->d, &bits, sizeof v->d);
        return true;
    }
    case MERGE_TIMETZ:
        v->i.low = (int32_t)proto_get32(p + 8);
        v->i.high = (int64_t)get64(p) + v->i.low * 1000000;
        return true;
    case MERGE_INTERVAL:
        read_interval(p, v);
        return true;
    case MERGE_PADDED:
        while (s.len > 0 && p[s.len - 1] == ' ')
            s.len--;
        break;
    case MERGE_NUMERIC:
        if (!numeric_valid(s))
            return false;
        break;
    case MERGE_BYTES:
        break;
    }
    v->bytes.at = (uint32_t)(p - row);
    v->bytes.len = (uint32_t)s.len;
    return true;
}

static int order(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int order_unsigned(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int order_double(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    return (a > b) - (a < b);
}

static int order_bytes(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : order_unsigned(a.len, b.len);
}

/* numeric_send(): digits, weight of the first, sign, scale; then digits to the base of 10,000. */
struct number {
    int rank; /* -2: -Infinity, 0: finite, 2: Infinity, 3: NaN */
    int sign; /* of a finite one: -1, 0, 1 */
    int weight;
    uint32_t n;
    const char *digits;
};

static struct number number_read(struct span s)
{
    struct number x = { .n = proto_get16(s.ptr), .weight = (int16_t)proto_get16(s.ptr + 2), .digits = s.ptr + 8 };
    switch (proto_get16(s.ptr + 4)) {
    case 0xC000:
        x.rank = 3;
        return x;
    case 0xD000:
        x.rank = 2;
        return x;
    case 0xF000:
        x.rank = -2;
        return x;
    case 0x4000:
        x.sign = -1;
        break;
    default:
        x.sign = 1;
        break;
    }
    for (; x.n > 0 && proto_get16(x.digits) == 0; x.n--, x.weight--)
        x.digits += 2;
    while (x.n > 0 && proto_get16(x.digits + 2 * (size_t)(x.n - 1)) == 0)
        x.n--;
    if (x.n == 0)
        x.sign = 0;
    return x;
}

static int order_numeric(struct span sa, struct span sb)
{
    struct number a = number_read(sa), b = number_read(sb);
    if (a.rank != b.rank || a.rank != 0)
        return order(a.rank, b.rank);
    if (a.sign != b.sign || a.sign == 0)
        return order(a.sign, b.sign);
    if (a.weight != b.weight)
        return a.weight > b.weight ? a.sign : -a.sign;
    for (uint32_t i = 0; i < a.n && i < b.n; i++) {
        int c = order(proto_get16(a.digits + 2 * (size_t)i), proto_get16(b.digits + 2 * (size_t)i));
        if (c)
            return c * a.sign;
    }
    return order(a.n, b.n) * a.sign;
}

static struct span bytes_of(const char *row, const struct value *v)
{
    return span_make(row + v->bytes.at, v->bytes.len);
}

static int order_key(const struct merge_key *k, const char *ra, const struct value *a, const char *rb,
                     const struct value *b)
{
    int c = 0;
    if (a->null || b->null) {
        c = (a->null ? 1 : 0) - (b->null ? 1 : 0);
        return k->nulls_first ? -c : c;
    }
    switch (k->type) {
    case MERGE_INT2:
    case MERGE_INT4:
    case MERGE_INT8:
        c = order(a->i.high, b->i.high);
        break;
    case MERGE_TIMETZ:
    case MERGE_INTERVAL:
        c = order(a->i.high, b->i.high);
        c = c ? c : order(a->i.low, b->i.low);
        break;
    case MERGE_UINT1:
    case MERGE_UINT4:
    case MERGE_UINT8:
        c = order_unsigned(a->u, b->u);
        break;
    case MERGE_FLOAT4:
    case MERGE_FLOAT8:
        c = order_double(a->d, b->d);
        break;
    case MERGE_NUMERIC:
        c = order_numeric(bytes_of(ra, a), bytes_of(rb, b));
        break;
    case MERGE_BYTES:
    case MERGE_PADDED:
        c = order_bytes(bytes_of(ra, a), bytes_of(rb, b));
        break;
    }
    return k->desc ? -c : c;
}

static int order_rows(const struct merge *m, const char *ra, const struct value *a, const char *rb,
                      const struct value *b)
{
    int c = 0;
    for (uint32_t i = 0; i < m->nkey && c == 0; i++)
        c = order_key(&m->keys[i], ra, &a[i], rb, &b[i]);
    return c;
}

static const char *row_at(const struct source *s, size_t at)
{
    return s->rows.ptr + at + 4;
}

/* Does source a's first row come before b's? */
static bool before(const struct merge *m, uint32_t a, uint32_t b)
{
    const struct source *sa = &m->sources[a], *sb = &m->sources[b];
    int c = order_rows(m, row_at(sa, sa->at), sa->keys, row_at(sb, sb->at), sb->keys);
    return c ? c < 0 : a < b;
}

/* --- the heap --- */

static void sift_down(struct merge *m)
{
    uint32_t i = 0, moved = m->heap[0];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= m->nheap)
            break;
        if (child + 1 < m->nheap && before(m, m->heap[child + 1], m->heap[child]))
            child++;
        if (!before(m, m->heap[child], moved))
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = moved;
}

static void sift_up(struct merge *m, uint32_t source)
{
    uint32_t i = m->nheap++;
    while (i > 0 && before(m, source, m->heap[(i - 1) / 2])) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = source;
}

/*
 * Read the keys of a source's first row. False: it is malformed, or comes before the one that came before it: the
 * source sorts in another way than this module.
 */
static bool read_keys(const struct merge *m, struct source *s)
{
    const char *row = row_at(s, s->at);
    struct value *last = s->keys;
    s->keys = s->last_keys;
    s->last_keys = last;
    struct reader r = rd_make(span_make(row, proto_get32(s->rows.ptr + s->at)));
    if (rd_u16(&r) < m->nkey)
        return false;
    for (uint32_t i = 0; i < m->nkey; i++) {
        uint32_t len = rd_u32(&r);
        if (len == UINT32_MAX) {
            s->keys[i] = (struct value){ .null = true };
            continue;
        }
        struct span v = rd_bytes(&r, len);
        if (r.bad || !read_value(m->keys[i].type, v, row, &s->keys[i]))
            return false;
    }
    s->columns = (uint32_t)(r.pos - row);
    bool ordered = !s->had || order_rows(m, row_at(s, s->last), s->last_keys, row, s->keys) <= 0;
    s->had = true;
    return !r.bad && ordered;
}

static bool has_row(const struct source *s)
{
    return s->at < s->rows.len;
}

/* --- rows in and out --- */

bool merge_push(struct merge *m, uint32_t source, struct span body)
{
    struct source *s = &m->sources[source];
    bool waited = !has_row(s); /* a row that went out last is still there */
    BUG_ON(source >= m->nsource || s->ended);
    if (body.len < 2 || body.len > UINT32_MAX - 4)
        return false;
    if (s->last > COMPACT_BYTES && s->last > s->rows.len / 2) {
        strbuf_drop(&s->rows, s->last);
        s->at -= s->last;
        s->last = 0;
    }
    char *p = strbuf_reserve(&s->rows, body.len + 4);
    proto_put32(p, (uint32_t)body.len);
    memcpy(p + 4, body.ptr, body.len);
    p[4 + body.len] = '\0';
    s->rows.len += body.len + 4;
    if (!waited)
        return true;
    m->nwaited--;
    if (!read_keys(m, s))
        return false;
    sift_up(m, source);
    return true;
}

void merge_end(struct merge *m, uint32_t source)
{
    struct source *s = &m->sources[source];
    BUG_ON(source >= m->nsource || s->ended);
    s->ended = true;
    if (!has_row(s))
        m->nwaited--;
}

bool merge_waits_for(const struct merge *m, uint32_t source)
{
    return !m->sources[source].ended && !has_row(&m->sources[source]);
}

size_t merge_kept(const struct merge *m, uint32_t source)
{
    return m->sources[source].rows.len - m->sources[source].at;
}

/* The top's first row has gone out: on to its next one. */
static bool advance(struct merge *m)
{
    struct source *s = &m->sources[m->heap[0]];
    s->last = s->at;
    s->at += 4 + (size_t)proto_get32(s->rows.ptr + s->at);
    m->taken = false;
    if (has_row(s)) {
        if (!read_keys(m, s))
            return false;
    } else {
        m->nwaited += !s->ended;
        m->heap[0] = m->heap[--m->nheap];
    }
    if (m->nheap > 1)
        sift_down(m);
    return true;
}

enum merge_result merge_next(struct merge *m, uint16_t *ncolumn, struct span *columns)
{
    if (m->taken && !advance(m))
        return MERGE_BAD;
    if (m->nheap == 0)
        return m->nwaited ? MERGE_WAIT : MERGE_DONE;
    if (m->nwaited && m->nkey)
        return MERGE_WAIT;
    const struct source *s = &m->sources[m->heap[0]];
    const char *row = s->rows.ptr + s->at;
    m->taken = true;
    *ncolumn = (uint16_t)(proto_get16(row + 4) - m->nkey);
    *columns = span_make(row + 4 + s->columns, proto_get32(row) - s->columns);
    return MERGE_ROW;
}
