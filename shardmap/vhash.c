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

static uint32_t big16(const char *p)
{
    return (uint32_t)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static uint32_t big32(const char *p)
{
    return big16(p) << 16 | big16(p + 2);
}

static int64_t big64(const char *p)
{
    return (int64_t)((uint64_t)big32(p) << 32 | big32(p + 4));
}

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

bool vhash_integer(enum key_type type, bool binary, struct span value, int64_t *n)
{
    if (type > KEY_INT8)
        return false;
    if (!binary)
        return parse_int(value, n) && *n >= key_types[type].min && *n <= key_types[type].max;
    if (value.len != (type == KEY_INT2 ? 2 : type == KEY_INT4 ? 4 : 8))
        return false;
    *n = type == KEY_INT2 ? (int16_t)big16(value.ptr) : type == KEY_INT4 ? (int32_t)big32(value.ptr) : big64(value.ptr);
    return true;
}

static inline enum vhash_result hash_integer(enum key_type type, bool binary, struct span value, uint64_t seed,
                                             uint64_t *hash)
{
    int64_t n;

    if (!vhash_integer(type, binary, value, &n))
        return VHASH_DECLINE;
    *hash = hash_int8(n, seed);
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

/*
 * --- numeric: base-10000 digits without leading and trailing zeros, XOR their weight; the sign does not count ---
 *
 * What PostgreSQL does to a value before it is hashed is done on the same digits here: a binary value's digits behind
 * its display scale are cut off, numeric(p,s) rounds half away from zero.
 */

#define NUMERIC_MAX_DIGITS 1024u /* decimal digits; longer values are declined */

struct numeric {
    int16_t digits[NUMERIC_MAX_DIGITS / 4 + 2]; /* base 10000; the first one is 0, for a carry */
    size_t n;
    int weight; /* of digits[0]: times 10000 to this power */
};

static const int16_t powers_of_ten[] = { 1, 10, 100, 1000 };

static uint64_t hash_digits(const struct numeric *v, uint64_t seed)
{
    size_t first = 0, n = v->n;

    while (first < n && v->digits[first] == 0)
        first++;
    if (first == n)
        return seed - 1;
    while (v->digits[n - 1] == 0)
        n--;
    return hash_any(v->digits + first, (n - first) * sizeof(*v->digits), seed) ^
           (uint64_t)((int64_t)v->weight - (int64_t)first);
}

/* Drop the decimals behind `scale` (negative: also zero out digits before the point). Returns the first one dropped. */
static int numeric_cut(struct numeric *v, int scale)
{
    int keep = (v->weight + 1) * 4 + scale; /* decimal digits */
    size_t whole = keep > 0 ? (size_t)keep / 4 : 0;
    unsigned part = keep > 0 ? (unsigned)keep % 4 : 0;
    int dropped;

    if (keep < 0 || whole >= v->n) {
        v->n = keep < 0 ? 0 : v->n;
        return 0;
    }
    dropped = v->digits[whole] / powers_of_ten[3 - part] % 10;
    if (part)
        v->digits[whole] = (int16_t)(v->digits[whole] - v->digits[whole] % powers_of_ten[4 - part]);
    v->n = whole + (part > 0);
    return dropped;
}

/* One more in the last decimal that numeric_cut() left at `scale`. digits[0] takes the last carry. */
static void numeric_increment(struct numeric *v, int scale)
{
    int part = (scale % 4 + 4) % 4;
    int16_t add = powers_of_ten[part ? 4 - part : 0];

    for (size_t i = v->n; i-- > 0; add = 1) {
        v->digits[i] = (int16_t)(v->digits[i] + add);
        if (v->digits[i] < 10000)
            return;
        v->digits[i] = (int16_t)(v->digits[i] - 10000);
    }
}

static bool has_precision(enum vhash_use use, int32_t typmod)
{
    return use == VHASH_ASSIGN && typmod >= 4;
}

/* numeric(p,s). An overflow is the server's to report. */
static bool numeric_assign(struct numeric *v, int32_t typmod)
{
    int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024, precision = ((typmod - 4) >> 16) & 0xffff;
    size_t first = 0;
    int whole;

    if (numeric_cut(v, scale) >= 5)
        numeric_increment(v, scale);
    while (first < v->n && v->digits[first] == 0)
        first++;
    if (first == v->n)
        return true;
    whole = (v->weight - (int)first) * 4 + 1;
    for (int power = 1; power < 4; power++)
        whole += v->digits[first] >= powers_of_ten[power];
    return whole <= precision - scale;
}

/* [-]digits[.digits] */
static bool parse_numeric(struct span text, struct numeric *v)
{
    size_t start = text.len && text.ptr[0] == '-', point = text.len, digit;

    if (text.len > NUMERIC_MAX_DIGITS)
        return false;
    for (size_t i = start; i < text.len; i++) {
        if (text.ptr[i] == '.' && point == text.len)
            point = i;
        else if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    }
    if (point == start || point + 1 == text.len)
        return false;
    *v = (struct numeric){ .n = 1, .weight = (int)(point - start + 3) / 4 };
    digit = (4 - (point - start) % 4) % 4; /* decimals of the group that is begun: zeros in front */
    for (size_t i = start; i < text.len; i++) {
        if (i == point)
            continue;
        if (digit % 4 == 0 || i == start)
            v->n++;
        v->digits[v->n - 1] = (int16_t)(v->digits[v->n - 1] + (text.ptr[i] - '0') * powers_of_ten[3 - digit % 4]);
        digit++;
    }
    return true;
}

static enum vhash_result hash_numeric(int32_t typmod, enum vhash_use use, struct numeric *v, uint64_t seed,
                                      uint64_t *hash)
{
    if (has_precision(use, typmod) && !numeric_assign(v, typmod))
        return VHASH_DECLINE;
    *hash = hash_digits(v, seed);
    return VHASH_OK;
}

/* NaN and the infinities have one hash; numeric(p,s) holds no infinity. */
static enum vhash_result hash_special(int32_t typmod, enum vhash_use use, bool nan, uint64_t seed, uint64_t *hash)
{
    if (!nan && has_precision(use, typmod))
        return VHASH_DECLINE;
    *hash = seed;
    return VHASH_OK;
}

static enum vhash_result hash_numeric_text(int32_t typmod, enum vhash_use use, struct span text, uint64_t seed,
                                           uint64_t *hash)
{
    struct numeric v;

    if (span_eq_str(text, "NaN") || span_eq_str(text, "Infinity") || span_eq_str(text, "-Infinity"))
        return hash_special(typmod, use, text.ptr[0] == 'N', seed, hash);
    return parse_numeric(text, &v) ? hash_numeric(typmod, use, &v, seed, hash) : VHASH_DECLINE;
}

/* numeric_send(): int16 each of number of digits, weight, sign, display scale; then the digits. */
static enum vhash_result hash_numeric_binary(int32_t typmod, enum vhash_use use, struct span value, uint64_t seed,
                                             uint64_t *hash)
{
    enum { POSITIVE = 0, NEGATIVE = 0x4000, NAN_SIGN = 0xC000, PLUS_INFINITY = 0xD000, MINUS_INFINITY = 0xF000 };
    struct numeric v = { 0 };
    uint32_t n, sign, scale;

    if (value.len < 8)
        return VHASH_DECLINE;
    n = big16(value.ptr);
    sign = big16(value.ptr + 4);
    scale = big16(value.ptr + 6);
    if (n > NUMERIC_MAX_DIGITS / 4 || value.len != 8 + 2u * n || scale > 0x3fff)
        return VHASH_DECLINE;
    if (sign == NAN_SIGN || sign == PLUS_INFINITY || sign == MINUS_INFINITY)
        return n ? VHASH_DECLINE : hash_special(typmod, use, sign == NAN_SIGN, seed, hash);
    if (sign != POSITIVE && sign != NEGATIVE)
        return VHASH_DECLINE;
    v.n = 1 + n;
    v.weight = (int16_t)big16(value.ptr + 2) + 1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t digit = big16(value.ptr + 8 + 2 * i);

        if (digit > 9999)
            return VHASH_DECLINE;
        v.digits[1 + i] = (int16_t)digit;
    }
    (void)numeric_cut(&v, (int)scale);
    return hash_numeric(typmod, use, &v, seed, hash);
}

/* --- date and timestamp: days and microseconds since 2000-01-01 --- */

#define DAY_US        INT64_C(86400000000)
#define FIRST_DAY     (-2451545) /* 4714-11-24 BC, where both types begin */
#define DATE_END      2145031949 /* the day after 5874897-12-31 */
#define TIMESTAMP_END 106751983  /* the day after 294276-12-31 */

static bool two_digits(const char *p, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

/* Howard Hinnant's days_from_civil, shifted: the day of a date in the Gregorian calendar, year 0 being 1 BC. */
static int32_t days_of(int y, int m, int d)
{
    int era, yoe, doy;

    y -= m <= 2;
    era = (y >= 0 ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 730425;
}

/* "YYYY-MM-DD" at the start of v, the year of 4 to 7 digits. Returns its length, or 0. */
static size_t parse_date(struct span v, bool bc, int32_t *days)
{
    static const char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int year = 0, month, day;
    size_t n = 0;
    bool leap;

    for (; n < v.len && n < 7 && v.ptr[n] >= '0' && v.ptr[n] <= '9'; n++)
        year = year * 10 + (v.ptr[n] - '0');
    if (n < 4 || (n > 4 && v.ptr[0] == '0') || v.len - n < 6 || v.ptr[n] != '-' || !two_digits(v.ptr + n + 1, &month) ||
        v.ptr[n + 3] != '-' || !two_digits(v.ptr + n + 4, &day) || year < 1)
        return 0;
    year = bc ? 1 - year : year;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < -4713 || year > 5874897 || month < 1 || month > 12 || day < 1 ||
        day > month_days[month - 1] + (month == 2 && leap))
        return 0;
    *days = days_of(year, month, day);
    return *days >= FIRST_DAY ? n + 6 : 0;
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

/* Cut " BC" off the end. */
static bool take_bc(struct span *v)
{
    bool bc = v->len > 3 && memcmp(v->ptr + v->len - 3, " BC", 3) == 0;

    v->len -= bc ? 3 : 0;
    return bc;
}

static enum vhash_result hash_date(int32_t days, uint64_t seed, uint64_t *hash)
{
    if (days != INT32_MIN && days != INT32_MAX && (days < FIRST_DAY || days >= DATE_END))
        return VHASH_DECLINE;
    *hash = hash_word((uint32_t)days, seed);
    return VHASH_OK;
}

static enum vhash_result hash_date_text(struct span v, uint64_t seed, uint64_t *hash)
{
    int32_t days;
    bool bc = take_bc(&v);

    if (!bc && span_eq_str(v, "infinity"))
        days = INT32_MAX;
    else if (!bc && span_eq_str(v, "-infinity"))
        days = INT32_MIN;
    else if (!v.len || parse_date(v, bc, &days) != v.len)
        return VHASH_DECLINE;
    return hash_date(days, seed, hash);
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
    if (t != INT64_MIN && t != INT64_MAX && (t < FIRST_DAY * DAY_US || t >= TIMESTAMP_END * DAY_US))
        return VHASH_DECLINE;
    *hash = hash_int8(use == VHASH_ASSIGN ? round_timestamp(t, typmod) : t, seed);
    return VHASH_OK;
}

static enum vhash_result hash_timestamp_text(int32_t typmod, enum vhash_use use, struct span v, uint64_t seed,
                                             uint64_t *hash)
{
    int32_t days;
    int64_t us;
    size_t n;
    bool bc = take_bc(&v);

    if (!bc && span_eq_str(v, "infinity"))
        return hash_timestamp(INT64_MAX, typmod, use, seed, hash);
    if (!bc && span_eq_str(v, "-infinity"))
        return hash_timestamp(INT64_MIN, typmod, use, seed, hash);
    n = parse_date(v, bc, &days);
    if (!n || n >= v.len || v.ptr[n] != ' ' || !parse_time(v.ptr + n + 1, v.len - n - 1, &us) || days >= TIMESTAMP_END)
        return VHASH_DECLINE;
    return hash_timestamp(days * DAY_US + us, typmod, use, seed, hash);
}

/* --- entry points --- */

enum vhash_result vhash_text(enum key_type type, int32_t typmod, enum vhash_use use, struct span value, uint64_t seed,
                             uint64_t *hash)
{
    switch (type) {
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
        return hash_integer(type, false, value, seed, hash);
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
    switch (type) {
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
        return hash_integer(type, true, value, seed, hash);
    case KEY_TEXT:
    case KEY_VARCHAR:
    case KEY_BPCHAR:
        return hash_string(type, typmod, use, value, seed, hash);
    case KEY_UUID:
        if (value.len != 16)
            return VHASH_DECLINE;
        *hash = hash_any(value.ptr, 16, seed);
        return VHASH_OK;
    case KEY_NUMERIC:
        return hash_numeric_binary(typmod, use, value, seed, hash);
    case KEY_TIMESTAMP:
        if (value.len != 8)
            return VHASH_DECLINE;
        return hash_timestamp(big64(value.ptr), typmod, use, seed, hash);
    case KEY_DATE:
        if (value.len != 4)
            return VHASH_DECLINE;
        return hash_date((int32_t)big32(value.ptr), seed, hash);
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
    };
    /* Before PostgreSQL 18 no hash function takes a date: its number of days does, which the infinities have none of.
     */
    static const char date_format[] =
        "pg_catalog.hashint4extended(CASE WHEN pg_catalog.isfinite(%s) THEN %s OPERATOR(pg_catalog.-) "
        "'2000-01-01'::pg_catalog.date WHEN %s OPERATOR(pg_catalog.>) '2000-01-01'::pg_catalog.date THEN "
        "'2147483647'::integer ELSE '-2147483648'::integer END, %s)";
    int n = type == KEY_DATE ? snprintf(out, out_cap, date_format, column, column, column, seed)
                             : snprintf(out, out_cap, formats[type], column, seed);

    return n > 0 && (size_t)n < out_cap;
}
