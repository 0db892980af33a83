#include "shardmap/vhash.h"

#include <stdio.h>
#include <string.h>

/* --- the hash function: Bob Jenkins' lookup3, as PostgreSQL sets it up --- */

#define HASH_INIT     0x9e3779b9u
#define HASH_POSTGRES 3923095u

struct hash_state {
    uint32_t a, b, c;
};

static inline uint32_t rot(uint32_t x, unsigned k)
{
    return x << k | x >> (32 - k);
}

static inline void hash_mix(struct hash_state *s)
{
    uint32_t a = s->a, b = s->b, c = s->c;

    a -= c, a ^= rot(c, 4), c += b;
    b -= a, b ^= rot(a, 6), a += c;
    c -= b, c ^= rot(b, 8), b += a;
    a -= c, a ^= rot(c, 16), c += b;
    b -= a, b ^= rot(a, 19), a += c;
    c -= b, c ^= rot(b, 4), b += a;
    *s = (struct hash_state){ a, b, c };
}

static inline uint64_t hash_final(struct hash_state s)
{
    uint32_t a = s.a, b = s.b, c = s.c;

    c ^= b, c -= rot(b, 14);
    a ^= c, a -= rot(c, 11);
    b ^= a, b -= rot(a, 25);
    c ^= b, c -= rot(b, 16);
    a ^= c, a -= rot(c, 4);
    b ^= a, b -= rot(a, 14);
    c ^= b, c -= rot(b, 24);
    return (uint64_t)b << 32 | c;
}

static inline struct hash_state hash_start(size_t len, uint64_t seed)
{
    uint32_t init = HASH_INIT + (uint32_t)len + HASH_POSTGRES;
    struct hash_state s = { init, init, init };

    if (seed) {
        s.a += (uint32_t)(seed >> 32);
        s.b += (uint32_t)seed;
        hash_mix(&s);
    }
    return s;
}

static inline uint32_t word(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Up to three trailing bytes of a word, starting at bit `shift`. */
static inline uint32_t tail(const unsigned char *p, size_t n, unsigned shift)
{
    uint32_t v = 0;

    for (size_t i = 0; i < n; i++, shift += 8)
        v |= (uint32_t)p[i] << shift;
    return v;
}

static uint64_t hash_any(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *p = data;
    struct hash_state s = hash_start(len, seed);

    for (; len >= 12; len -= 12, p += 12) {
        s.a += word(p);
        s.b += word(p + 4);
        s.c += word(p + 8);
        hash_mix(&s);
    }
    /* The lowest byte of c is kept for the length, so its tail starts at bit 8. */
    if (len > 8)
        s.c += tail(p + 8, len - 8, 8);
    if (len >= 8)
        s.b += word(p + 4);
    else if (len > 4)
        s.b += tail(p + 4, len - 4, 0);
    if (len >= 4)
        s.a += word(p);
    else
        s.a += tail(p, len, 0);
    return hash_final(s);
}

static inline uint64_t hash_word(uint32_t k, uint64_t seed)
{
    struct hash_state s = hash_start(sizeof(k), seed);

    s.a += k;
    return hash_final(s);
}

/* hashint8extended: folded so that equal int2, int4 and int8 hash alike. */
static inline uint64_t hash_int8(int64_t v, uint64_t seed)
{
    uint32_t low = (uint32_t)v, high = (uint32_t)((uint64_t)v >> 32);

    return hash_word(low ^ (v >= 0 ? high : ~high), seed);
}

/* --- types --- */

static const struct {
    uint32_t oid;
    const char *name;
    int64_t min, max; /* integers */
} key_types[KEY_TYPE_COUNT] = {
    [KEY_INT2] = { 21, "smallint", INT16_MIN, INT16_MAX },
    [KEY_INT4] = { 23, "integer", INT32_MIN, INT32_MAX },
    [KEY_INT8] = { 20, "bigint", INT64_MIN, INT64_MAX },
    [KEY_TEXT] = { 25, "text", 0, 0 },
    [KEY_VARCHAR] = { 1043, "character varying", 0, 0 },
    [KEY_BPCHAR] = { 1042, "character", 0, 0 },
    [KEY_UUID] = { 2950, "uuid", 0, 0 },
    [KEY_NUMERIC] = { 1700, "numeric", 0, 0 },
    [KEY_TIMESTAMP] = { 1114, "timestamp without time zone", 0, 0 },
    [KEY_DATE] = { 1082, "date", 0, 0 },
};

bool key_type_of_oid(uint32_t oid, enum key_type *type)
{
    for (unsigned i = 0; i < KEY_TYPE_COUNT; i++) {
        if (key_types[i].oid == oid) {
            *type = (enum key_type)i;
            return true;
        }
    }
    return false;
}

uint32_t key_type_oid(enum key_type type)
{
    return key_types[type].oid;
}

const char *key_type_name(enum key_type type)
{
    return key_types[type].name;
}

/* --- integers --- */

static inline bool parse_int(struct span v, int64_t *out)
{
    bool negative = v.len && v.ptr[0] == '-';
    size_t i = negative;
    uint64_t n = 0;

    /* Canonical only: no blanks, plus, or leading zeros (rule P18). Eighteen digits and a few cannot overflow 64 bits.
     */
    if (v.len == i || v.len - i > 19 || (v.ptr[i] == '0' && (negative || v.len > 1)))
        return false;
    for (; i < v.len; i++) {
        unsigned digit = (unsigned)(unsigned char)v.ptr[i] - '0';

        if (digit > 9)
            return false;
        n = n * 10 + digit;
    }
    if (n > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

static inline enum vhash_result hash_int(enum key_type type, int64_t v, uint64_t seed, uint64_t *hash)
{
    if (v < key_types[type].min || v > key_types[type].max)
        return VHASH_DECLINE;
    *hash = hash_int8(v, seed);
    return VHASH_OK;
}

/* --- strings --- */

/* Length of the first n characters of UTF-8 text; the whole length if there are not more. */
static size_t prefix_of_characters(struct span v, size_t n)
{
    size_t i = 0;

    while (i < v.len && n > 0) {
        i++;
        while (i < v.len && ((unsigned char)v.ptr[i] & 0xC0) == 0x80)
            i++;
        n--;
    }
    return i;
}

/* varchar(n) and char(n): what is too long must be blanks, which are cut off. */
static bool assign_length(int32_t typmod, struct span *v)
{
    size_t keep;

    if (typmod < 4)
        return true;
    keep = prefix_of_characters(*v, (size_t)(typmod - 4));
    for (size_t i = keep; i < v->len; i++) {
        if (v->ptr[i] != ' ')
            return false;
    }
    v->len = keep;
    return true;
}

static enum vhash_result hash_string(enum key_type type, int32_t typmod, enum vhash_use use, struct span v,
                                     uint64_t seed, uint64_t *hash)
{
    if (type != KEY_TEXT && use == VHASH_ASSIGN && !assign_length(typmod, &v))
        return VHASH_DECLINE;
    while (type == KEY_BPCHAR && v.len && v.ptr[v.len - 1] == ' ')
        v.len--;
    *hash = hash_any(v.ptr, v.len, seed);
    return VHASH_OK;
}

/* --- uuid --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static enum vhash_result hash_uuid_text(struct span v, uint64_t seed, uint64_t *hash)
{
    unsigned char bytes[16];
    size_t n = 0;

    if (v.len != 36)
        return VHASH_DECLINE;
    for (size_t i = 0; i < 36;) {
        int high, low;

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (v.ptr[i++] != '-')
                return VHASH_DECLINE;
            continue;
        }
        high = hex_digit(v.ptr[i]);
        low = hex_digit(v.ptr[i + 1]);
        if (high < 0 || low < 0)
            return VHASH_DECLINE;
        bytes[n++] = (unsigned char)(high << 4 | low);
        i += 2;
    }
    *hash = hash_any(bytes, sizeof(bytes), seed);
    return VHASH_OK;
}

/* --- numeric: base-10000 digits without leading and trailing zeros, XOR their weight; the sign does not count --- */

#define NUMERIC_MAX_DIGITS 1024u /* decimal digits; longer ones are declined */

static uint64_t hash_numeric_digits(const int16_t *digits, size_t n, int weight, uint64_t seed)
{
    size_t first = 0;

    while (first < n && digits[first] == 0) {
        first++;
        weight--;
    }
    if (first == n)
        return seed - 1;
    while (digits[n - 1] == 0)
        n--;
    return hash_any(digits + first, (n - first) * sizeof(*digits), seed) ^ (uint64_t)(int64_t)weight;
}

struct decimal {
    char digits[NUMERIC_MAX_DIGITS + 2]; /* 0..9, one more in front for a carry */
    size_t whole, fraction;              /* digits before and after the point; digits[0] is the carry's */
};

static bool parse_decimal(struct span v, struct decimal *d)
{
    size_t i = v.len && v.ptr[0] == '-';
    size_t n = 1, point = 0;
    bool seen_point = false;

    if (v.len == i || v.len > NUMERIC_MAX_DIGITS)
        return false;
    d->digits[0] = 0;
    for (; i < v.len; i++) {
        if (v.ptr[i] == '.' && !seen_point) {
            seen_point = true;
            point = n;
        } else if (v.ptr[i] >= '0' && v.ptr[i] <= '9') {
            d->digits[n++] = (char)(v.ptr[i] - '0');
        } else {
            return false;
        }
    }
    if (!seen_point)
        point = n;
    d->whole = point - 1;
    d->fraction = n - point;
    return d->whole > 0 && (!seen_point || d->fraction > 0);
}

/* numeric(p,s): round half away from zero to s digits; an overflow is the server's to report. */
static bool round_decimal(struct decimal *d, int32_t typmod)
{
    int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024, precision = ((typmod - 4) >> 16) & 0xffff;
    size_t keep, lead = 0;

    if (scale < 0)
        return false;
    if (d->fraction > (size_t)scale) {
        keep = 1 + d->whole + (size_t)scale;
        if (d->digits[keep] >= 5) {
            size_t i = keep - 1;

            while (d->digits[i] == 9)
                d->digits[i--] = 0;
            d->digits[i]++;
        }
        d->fraction = (size_t)scale;
    }
    while (lead <= d->whole && d->digits[lead] == 0)
        lead++;
    return (int)(1 + d->whole - lead) <= precision - scale;
}

static uint64_t hash_decimal(const struct decimal *d, uint64_t seed)
{
    int16_t digits[NUMERIC_MAX_DIGITS / 4 + 3];
    size_t total = 1 + d->whole + d->fraction, n = 0;
    size_t lead = (4 - (1 + d->whole) % 4) % 4; /* zeros that fill the first group of four */
    int weight = (int)((1 + d->whole + lead) / 4) - 1;

    for (size_t at = 0; at < lead + total; at += 4) {
        int group = 0;

        for (size_t k = at; k < at + 4; k++)
            group = group * 10 + (k >= lead && k < lead + total ? d->digits[k - lead] : 0);
        digits[n++] = (int16_t)group;
    }
    return hash_numeric_digits(digits, n, weight, seed);
}

static enum vhash_result hash_numeric_text(int32_t typmod, enum vhash_use use, struct span v, uint64_t seed,
                                           uint64_t *hash)
{
    struct decimal d;

    if (span_eq_str(v, "NaN") || span_eq_str(v, "Infinity") || span_eq_str(v, "-Infinity")) {
        if (use == VHASH_ASSIGN && typmod >= 4 && v.ptr[0] != 'N')
            return VHASH_DECLINE; /* numeric(p,s) holds no infinity */
        *hash = seed;
        return VHASH_OK;
    }
    if (!parse_decimal(v, &d) || (use == VHASH_ASSIGN && typmod >= 4 && !round_decimal(&d, typmod)))
        return VHASH_DECLINE;
    *hash = hash_decimal(&d, seed);
    return VHASH_OK;
}

static uint32_t big16(const char *p)
{
    return (uint32_t)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static uint32_t big32(const char *p)
{
    return big16(p) << 16 | big16(p + 2);
}

static enum vhash_result hash_numeric_binary(int32_t typmod, enum vhash_use use, struct span v, uint64_t seed,
                                             uint64_t *hash)
{
    int16_t digits[NUMERIC_MAX_DIGITS];
    uint32_t n, sign;

    if (v.len < 8)
        return VHASH_DECLINE;
    n = big16(v.ptr);
    sign = big16(v.ptr + 4);
    if (v.len != 8 + 2u * n || n > NUMERIC_MAX_DIGITS)
        return VHASH_DECLINE;
    if (sign == 0xC000 || sign == 0xD000 || sign == 0xF000) {
        if (n || (use == VHASH_ASSIGN && typmod >= 4 && sign != 0xC000))
            return VHASH_DECLINE;
        *hash = seed;
        return VHASH_OK;
    }
    if (sign != 0 && sign != 0x4000)
        return VHASH_DECLINE;
    /* Digits that the type's scale would round away: the text form knows how, here they are declined. */
    if (use == VHASH_ASSIGN && typmod >= 4) {
        int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;

        if (scale < 0 || (int)big16(v.ptr + 6) > scale)
            return VHASH_DECLINE;
    }
    for (uint32_t i = 0; i < n; i++) {
        digits[i] = (int16_t)big16(v.ptr + 8 + 2 * i);
        if (digits[i] < 0 || digits[i] > 9999)
            return VHASH_DECLINE;
    }
    *hash = hash_numeric_digits(digits, n, (int16_t)big16(v.ptr + 2), seed);
    return VHASH_OK;
}

/* --- date and timestamp --- */

#define DAY_US INT64_C(86400000000)

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

/* Days since 2000-01-01 of a date in the Gregorian calendar: Howard Hinnant's days_from_civil, shifted. */
static int32_t days_of(int y, int m, int d)
{
    int era, yoe, doy;

    y -= m <= 2;
    era = y / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 730425;
}

/* "YYYY-MM-DD", years 1 to 9999. */
static bool parse_date(const char *p, int32_t *days)
{
    static const char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int century, year, month, day, y;
    bool leap;

    if (!two_digits(p, &century) || !two_digits(p + 2, &year) || p[4] != '-' || !two_digits(p + 5, &month) ||
        p[7] != '-' || !two_digits(p + 8, &day))
        return false;
    y = century * 100 + year;
    leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 1 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1] + (month == 2 && leap))
        return false;
    *days = days_of(y, month, day);
    return true;
}

/* "HH:MM:SS[.f{1,6}]" */
static bool parse_time(const char *p, size_t len, int64_t *us)
{
    int h, m, s;
    int64_t fraction = 0, unit = 100000;

    if (len < 8 || !two_digits(p, &h) || p[2] != ':' || !two_digits(p + 3, &m) || p[5] != ':' ||
        !two_digits(p + 6, &s) || h > 23 || m > 59 || s > 59)
        return false;
    if (len > 8) {
        if (p[8] != '.' || len < 10 || len > 15)
            return false;
        for (size_t i = 9; i < len; i++, unit /= 10) {
            if (p[i] < '0' || p[i] > '9')
                return false;
            fraction += (p[i] - '0') * unit;
        }
    }
    *us = ((int64_t)h * 3600 + m * 60 + s) * 1000000 + fraction;
    return true;
}

static enum vhash_result hash_date_text(struct span v, uint64_t seed, uint64_t *hash)
{
    int32_t days;

    if (span_eq_str(v, "infinity"))
        days = INT32_MAX;
    else if (span_eq_str(v, "-infinity"))
        days = INT32_MIN;
    else if (v.len != 10 || !parse_date(v.ptr, &days))
        return VHASH_DECLINE;
    *hash = hash_word((uint32_t)days, seed);
    return VHASH_OK;
}

static int64_t round_timestamp(int64_t t, int32_t typmod)
{
    int64_t scale = 1;

    if (typmod < 0 || typmod >= 6 || t == INT64_MAX || t == INT64_MIN)
        return t;
    for (int32_t i = typmod; i < 6; i++)
        scale *= 10;
    return t >= 0 ? (t + scale / 2) / scale * scale : -((-t + scale / 2) / scale * scale);
}

static enum vhash_result hash_timestamp(int64_t t, int32_t typmod, enum vhash_use use, uint64_t seed, uint64_t *hash)
{
    *hash = hash_int8(use == VHASH_ASSIGN ? round_timestamp(t, typmod) : t, seed);
    return VHASH_OK;
}

static enum vhash_result hash_timestamp_text(int32_t typmod, enum vhash_use use, struct span v, uint64_t seed,
                                             uint64_t *hash)
{
    int32_t days;
    int64_t us;

    if (span_eq_str(v, "infinity"))
        return hash_timestamp(INT64_MAX, typmod, use, seed, hash);
    if (span_eq_str(v, "-infinity"))
        return hash_timestamp(INT64_MIN, typmod, use, seed, hash);
    if (v.len < 19 || v.ptr[10] != ' ' || !parse_date(v.ptr, &days) || !parse_time(v.ptr + 11, v.len - 11, &us))
        return VHASH_DECLINE;
    return hash_timestamp(days * DAY_US + us, typmod, use, seed, hash);
}

/* --- entry points --- */

enum vhash_result vhash_text(enum key_type type, int32_t typmod, enum vhash_use use, struct span value, uint64_t seed,
                             uint64_t *hash)
{
    int64_t n;

    switch (type) {
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
        return parse_int(value, &n) ? hash_int(type, n, seed, hash) : VHASH_DECLINE;
    case KEY_TEXT:
    case KEY_VARCHAR:
    case KEY_BPCHAR:
        return hash_string(type, typmod, use, value, seed, hash);
    case KEY_UUID:
        return hash_uuid_text(value, seed, hash);
    case KEY_NUMERIC:
        return hash_numeric_text(typmod, use, value, seed, hash);
    case KEY_TIMESTAMP:
        return hash_timestamp_text(typmod, use, value, seed, hash);
    case KEY_DATE:
        return hash_date_text(value, seed, hash);
    case KEY_TYPE_COUNT:
        break;
    }
    return VHASH_DECLINE;
}

enum vhash_result vhash_binary(enum key_type type, int32_t typmod, enum vhash_use use, struct span value, uint64_t seed,
                               uint64_t *hash)
{
    static const size_t lengths[KEY_TYPE_COUNT] = {
        [KEY_INT2] = 2, [KEY_INT4] = 4, [KEY_INT8] = 8, [KEY_UUID] = 16, [KEY_TIMESTAMP] = 8, [KEY_DATE] = 4
    };

    if (type >= KEY_TYPE_COUNT || (lengths[type] && value.len != lengths[type]))
        return VHASH_DECLINE;
    switch (type) {
    case KEY_INT2:
        return hash_int(type, (int16_t)big16(value.ptr), seed, hash);
    case KEY_INT4:
        return hash_int(type, (int32_t)big32(value.ptr), seed, hash);
    case KEY_INT8:
        return hash_int(type, (int64_t)((uint64_t)big32(value.ptr) << 32 | big32(value.ptr + 4)), seed, hash);
    case KEY_TEXT:
    case KEY_VARCHAR:
    case KEY_BPCHAR:
        return hash_string(type, typmod, use, value, seed, hash);
    case KEY_UUID:
        *hash = hash_any(value.ptr, 16, seed);
        return VHASH_OK;
    case KEY_NUMERIC:
        return hash_numeric_binary(typmod, use, value, seed, hash);
    case KEY_TIMESTAMP:
        return hash_timestamp((int64_t)((uint64_t)big32(value.ptr) << 32 | big32(value.ptr + 4)), typmod, use, seed,
                              hash);
    case KEY_DATE:
        *hash = hash_word(big32(value.ptr), seed);
        return VHASH_OK;
    case KEY_TYPE_COUNT:
        break;
    }
    return VHASH_DECLINE;
}

bool vhash_sql(enum key_type type, const char *column, const char *seed, char *out, size_t out_cap)
{
    static const char *const formats[KEY_TYPE_COUNT] = {
        [KEY_INT2] = "pg_catalog.hashint8extended(%s, %s)",
        [KEY_INT4] = "pg_catalog.hashint8extended(%s, %s)",
        [KEY_INT8] = "pg_catalog.hashint8extended(%s, %s)",
        [KEY_TEXT] = "pg_catalog.hashtextextended(%s, %s)",
        [KEY_VARCHAR] = "pg_catalog.hashtextextended(%s, %s)",
        [KEY_BPCHAR] = "pg_catalog.hashbpcharextended(%s, %s)",
        [KEY_UUID] = "pg_catalog.uuid_hash_extended(%s, %s)",
        [KEY_NUMERIC] = "pg_catalog.hash_numeric_extended(%s, %s)",
        [KEY_TIMESTAMP] = "pg_catalog.timestamp_hash_extended(%s, %s)",
        [KEY_DATE] = "pg_catalog.hashint4extended(%s - date '2000-01-01', %s)",
    };
    int n = snprintf(out, out_cap, formats[type], column, seed);

    return n > 0 && (size_t)n < out_cap;
}
