#include "planner/op_merge.h"

#include "base/mem.h"
#include "wire/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USECS_PER_DAY INT64_C(86400000000)
#define COMPACT_BYTES 16384u
#define ROW_HEADER    (PROTO_HEADER + 2u) /* type, length, number of columns */

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

/*
 * DataRow frames, whole ones. The first row that has not gone out starts at `at`, the one before it, if there was one,
 * at `last`. Of the first row is known how its first key sorts (rank, then prefix): rows whose prefixes are equal are
 * compared in full, unless the prefix is all of the key.
 */
struct source {
    struct strbuf rows;
    size_t at, last;
    uint64_t prefix;
    uint32_t size, columns; /* of the first row: bytes, and offset of what is behind the keys */
    uint8_t rank;           /* 1; of NULL: 0 or 2, before or behind all others */
    bool ended, had;
};

struct merge {
    uint32_t nsource, nkey;
    struct merge_key *keys;
    struct source *sources;
    uint32_t *heap, nheap; /* sources with a first row, the least one on top */
    uint32_t nwaited;      /* sources without a row that have not ended */
    bool exact;            /* equal prefixes are equal rows */
    uint32_t nunique;      /* rows that agree in so many keys are one; 0: none are */
    struct strbuf put;     /* nunique: the row that went out last, up to its keys' end */
};

static bool prefix_is_exact(enum merge_type type)
{
    return type != MERGE_NUMERIC && type != MERGE_TIMETZ && type != MERGE_INTERVAL && type != MERGE_BYTES &&
           type != MERGE_PADDED;
}

struct merge *merge_new(uint32_t nsource, uint32_t nkey, const struct merge_key *keys)
{
    struct merge *m = mem_zalloc(sizeof *m);
    m->nsource = m->nwaited = nsource;
    m->nkey = nkey;
    m->keys = mem_zalloc((nkey + 1) * sizeof *m->keys);
    if (nkey)
        memcpy(m->keys, keys, nkey * sizeof *keys);
    m->exact = nkey == 0 || (nkey == 1 && prefix_is_exact(keys[0].type));
    m->sources = mem_zalloc((nsource + 1) * sizeof *m->sources);
    m->heap = mem_zalloc((nsource + 1) * sizeof *m->heap);
    return m;
}

void merge_unique(struct merge *m, uint32_t nkey)
{
    BUG_ON(nkey > m->nkey);
    m->nunique = nkey;
}

void merge_free(struct merge *m)
{
    if (!m)
        return;
    strbuf_fini(&m->put);
    for (uint32_t i = 0; i < m->nsource; i++)
        strbuf_fini(&m->sources[i].rows);
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

/* A key: numbers as such, the rest where it stands. */
struct value {
    bool null;
    union {
        struct {
            int64_t high, low;
        } i;
        uint64_t u;
        double d;
        struct span bytes;
    };
};

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

static bool value_valid(enum merge_type type, struct span s)
{
    size_t want = type_length(type);
    return want ? s.len == want : type != MERGE_NUMERIC || numeric_valid(s);
}

/* Of a valid one. */
static struct value read_value(enum merge_type type, struct span s)
{
    const char *p = s.ptr;
    struct value v = { .null = false };
    switch (type) {
    case MERGE_UINT1:
        v.u = (unsigned char)*p;
        return v;
    case MERGE_INT2:
        v.i.high = (int16_t)proto_get16(p);
        return v;
    case MERGE_INT4:
        v.i.high = (int32_t)proto_get32(p);
        return v;
    case MERGE_INT8:
        v.i.high = (int64_t)get64(p);
        return v;
    case MERGE_UINT4:
        v.u = proto_get32(p);
        return v;
    case MERGE_UINT8:
        v.u = get64(p);
        return v;
    case MERGE_FLOAT4: {
        uint32_t bits = proto_get32(p);
        float f;
        memcpy(&f, &bits, sizeof f);
        v.d = (double)f;
        return v;
    }
    case MERGE_FLOAT8: {
        uint64_t bits = get64(p);
        memcpy(&v.d, &bits, sizeof v.d);
        return v;
    }
    case MERGE_TIMETZ:
        v.i.low = (int32_t)proto_get32(p + 8);
        v.i.high = (int64_t)get64(p) + v.i.low * 1000000;
        return v;
    case MERGE_INTERVAL:
        read_interval(p, &v);
        return v;
    case MERGE_PADDED:
        while (s.len > 0 && p[s.len - 1] == ' ')
            s.len--;
        break;
    case MERGE_NUMERIC:
    case MERGE_BYTES:
        break;
    }
    v.bytes = s;
    return v;
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

static int order_values(const struct merge_key *k, const struct value *a, const struct value *b)
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
        c = order_numeric(a->bytes, b->bytes);
        break;
    case MERGE_BYTES:
    case MERGE_PADDED:
        c = order_bytes(a->bytes, b->bytes);
        break;
    }
    return k->desc ? -c : c;
}

/* The next key of a row whose keys have been found valid. */
static struct value next_value(enum merge_type type, const char **p)
{
    uint32_t len = proto_get32(*p);
    struct span s = span_make(*p + 4, len);
    if (len == UINT32_MAX) {
        *p += 4;
        return (struct value){ .null = true };
    }
    *p = s.ptr + len;
    return read_value(type, s);
}

/* By their first nkey keys. */
static int order_rows(const struct merge *m, uint32_t nkey, const char *a, const char *b)
{
    int c = 0;
    a += ROW_HEADER;
    b += ROW_HEADER;
    for (uint32_t i = 0; i < nkey && c == 0; i++) {
        struct value va = next_value(m->keys[i].type, &a), vb = next_value(m->keys[i].type, &b);
        c = order_values(&m->keys[i], &va, &vb);
    }
    return c;
}

#define SIGN (UINT64_C(1) << 63)

static uint64_t prefix_of_double(double d)
{
    uint64_t bits;
    if (isnan(d))
        return UINT64_MAX;
    d += 0.0; /* -0 is 0 */
    memcpy(&bits, &d, sizeof bits);
    return bits & SIGN ? ~bits : bits | SIGN;
}

static uint64_t prefix_of_bytes(struct span s)
{
    char first[8] = { 0 };
    memcpy(first, s.ptr, s.len < sizeof first ? s.len : sizeof first);
    return get64(first);
}

/* A number that sorts as the key does, as far as it goes; equal ones say nothing unless prefix_is_exact(). */
static uint64_t prefix_of(const struct merge_key *k, struct span s)
{
    struct value v;
    uint64_t prefix = 0;
    if (k->type == MERGE_INT4 || k->type == MERGE_INT8) { /* most keys: without the detour */
        prefix = (k->type == MERGE_INT8 ? get64(s.ptr) : (uint64_t)(int64_t)(int32_t)proto_get32(s.ptr)) ^ SIGN;
        return k->desc ? ~prefix : prefix;
    }
    v = read_value(k->type, s);
    switch (k->type) {
    case MERGE_INT2:
    case MERGE_INT4:
    case MERGE_INT8:
    case MERGE_TIMETZ:
    case MERGE_INTERVAL:
        prefix = (uint64_t)v.i.high ^ SIGN;
        break;
    case MERGE_UINT1:
    case MERGE_UINT4:
    case MERGE_UINT8:
        prefix = v.u;
        break;
    case MERGE_FLOAT4:
    case MERGE_FLOAT8:
        prefix = prefix_of_double(v.d);
        break;
    case MERGE_BYTES:
    case MERGE_PADDED:
        prefix = prefix_of_bytes(v.bytes);
        break;
    case MERGE_NUMERIC:
        break;
    }
    return k->desc ? ~prefix : prefix;
}

/* Does source a's first row come before b's? */
static inline bool before(const struct merge *m, uint32_t a, uint32_t b)
{
    const struct source *sa = &m->sources[a], *sb = &m->sources[b];
    int c;
    if (sa->rank != sb->rank)
        return sa->rank < sb->rank;
    if (sa->prefix != sb->prefix)
        return sa->prefix < sb->prefix;
    c = m->exact ? 0 : order_rows(m, m->nkey, sa->rows.ptr + sa->at, sb->rows.ptr + sb->at);
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
 * Look at a source's first row. False: it is malformed, or comes before the one that came before it: the source sorts
 * in another way than this module.
 */
static bool read_first(const struct merge *m, struct source *s)
{
    const char *row = s->rows.ptr + s->at, *p = row + ROW_HEADER, *end;
    uint64_t prefix = s->prefix;
    uint8_t rank = s->rank;
    s->size = proto_get32(row + 1) + 1;
    end = row + s->size;
    if (proto_get16(row + PROTO_HEADER) < m->nkey)
        return false;
    for (uint32_t i = 0; i < m->nkey; i++) {
        const struct merge_key *k = &m->keys[i];
        uint32_t len = end - p < 4 ? 0 : proto_get32(p);
        if (end - p < 4 || (len != UINT32_MAX && len > (size_t)(end - p) - 4))
            return false;
        p += 4;
        if (len == UINT32_MAX) {
            if (i == 0) {
                s->rank = k->nulls_first ? 0 : 2;
                s->prefix = 0;
            }
            continue;
        }
        if (!value_valid(k->type, span_make(p, len)))
            return false;
        if (i == 0) {
            s->rank = 1;
            s->prefix = prefix_of(k, span_make(p, len));
        }
        p += len;
    }
    s->columns = (uint32_t)(p - row);
    if (!s->had) {
        s->had = true;
        return true;
    }
    if (rank != s->rank || prefix != s->prefix)
        return rank < s->rank || (rank == s->rank && prefix < s->prefix);
    return m->exact || order_rows(m, m->nkey, s->rows.ptr + s->last, row) <= 0;
}

static bool has_row(const struct source *s)
{
    return s->at < s->rows.len;
}

/* --- rows in and out --- */

bool merge_push(struct merge *m, uint32_t source, struct span frames, size_t room, size_t *taken)
{
    struct source *s = &m->sources[source];
    bool waited = !has_row(s);
    size_t n = 0;
    BUG_ON(source >= m->nsource || s->ended);
    while (frames.len - n >= ROW_HEADER && frames.ptr[n] == BE_DATA_ROW) {
        size_t frame = (size_t)proto_get32(frames.ptr + n + 1) + 1;
        if (frame < ROW_HEADER)
            return false;
        if (frame > frames.len - n || (n > 0 && n + frame > room))
            break;
        n += frame;
    }
    *taken = n;
    if (n == 0)
        return false; /* not even one */
    if (s->last > COMPACT_BYTES && s->last > 2 * (s->rows.len - s->last)) {
        strbuf_drop(&s->rows, s->last);
        s->at -= s->last;
        s->last = 0;
    }
    strbuf_put(&s->rows, frames.ptr, n);
    if (!waited)
        return true;
    m->nwaited--;
    if (!read_first(m, s))
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
    s->at += s->size;
    if (has_row(s)) {
        if (!read_first(m, s))
            return false;
    } else {
        m->nwaited += !s->ended;
        m->heap[0] = m->heap[--m->nheap];
    }
    if (m->nheap > 1)
        sift_down(m);
    return true;
}

static void put_row(const struct merge *m, const struct source *s, struct strbuf *out)
{
    const char *row = s->rows.ptr + s->at;
    uint32_t n = s->size - s->columns;
    uint16_t ncolumn = (uint16_t)(proto_get16(row + PROTO_HEADER) - m->nkey);
    char *p = strbuf_reserve(out, n + ROW_HEADER);
    p[0] = BE_DATA_ROW;
    proto_put32(p + 1, n + ROW_HEADER - 1);
    p[5] = (char)(ncolumn >> 8);
    p[6] = (char)ncolumn;
    memcpy(p + ROW_HEADER, row + s->columns, n);
    p[ROW_HEADER + n] = '\0';
    out->len += n + ROW_HEADER;
}

/* Is the top's first row the same, as far as rows may not repeat, as the one that went out last? If not, it is that. */
static bool repeats(struct merge *m)
{
    const struct source *s = &m->sources[m->heap[0]];
    const char *row = s->rows.ptr + s->at;
    if (m->nunique == 0)
        return false;
    if (m->put.len && order_rows(m, m->nunique, m->put.ptr, row) == 0)
        return true;
    strbuf_reset(&m->put);
    strbuf_put(&m->put, row, s->columns);
    return false;
}

enum merge_result merge_take(struct merge *m, uint64_t *skip, uint64_t *left, struct strbuf *out, size_t full)
{
    while (*left > 0 && out->len < full) {
        if (m->nheap == 0)
            return m->nwaited ? MERGE_WAIT : MERGE_DONE;
        if (m->nwaited && m->nkey)
            return MERGE_WAIT;
        if (repeats(m)) {
            /* left out */
        } else if (*skip > 0) {
            (*skip)--;
        } else {
            put_row(m, &m->sources[m->heap[0]], out);
            (*left)--;
        }
        if (!advance(m))
            return MERGE_BAD;
    }
    return MERGE_ROW;
}
