/*
 * Key ranges: intervals of the circle cut open at 0.
 *
 * A keyspace id is a number of 64 bits, and a bound is written as its first hexadecimal digits, two by two, as if a
 * byte string were compared: "8", as a byte string, would lie between "7f" and "80", which is why digits come in pairs.
 * The digits left out are zeros, so "80" and "8000" are one bound; the shortest is printed.
 *
 *     text        start               end                  unbounded
 *     "-"         0                   -                    yes
 *     "-40"       0                   0x4000000000000000   no
 *     "40-80"     0x4000000000000000  0x8000000000000000   no
 *     "80-"       0x8000000000000000  -                    yes
 *
 * Invariants: (1) no range is empty: keyrange_parse refuses them, so two ranges overlap iff each starts before the
 * other ends. (2) The top of the space cannot be written as a number of 64 bits: `unbounded` says it and `end` is then
 * 0, so that equal ranges have equal fields.
 *
 * On a shard the same interval is one of signed hashes: flipping the upper bit (id = hash XOR 2^63) maps the one order
 * to the other, so "-80" is hash < 0.
 */
#include "shardmap/keyrange.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BOUND_MAX_DIGITS 16u
#define SIGN_BIT         (UINT64_C(1) << 63)

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Digits, the last ones left out, to a number. No digits: 0. */
static bool parse_bound(struct span digits, uint64_t *bound)
{
    if (digits.len > BOUND_MAX_DIGITS || digits.len % 2)
        return false;
    *bound = 0;
    for (size_t i = 0; i < BOUND_MAX_DIGITS; i++) {
        int value = i < digits.len ? hex_value(digits.ptr[i]) : 0;

        if (value < 0)
            return false;
        *bound = *bound << 4 | (unsigned)value;
    }
    return true;
}

bool keyrange_parse(struct keyrange *r, struct span text, struct err *e)
{
    const char *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    struct span low = { 0 }, high = { 0 };
    struct keyrange parsed;

    if (dash) {
        low = span_make(text.ptr, (size_t)(dash - text.ptr));
        high = span_make(dash + 1, text.len - low.len - 1);
    }
    if (!dash || !parse_bound(low, &parsed.start) || !parse_bound(high, &parsed.end)) {
        err_set(e, PB0402, "\"%.*s\" is not a key range", (int)(text.len < 100 ? text.len : 100), text.ptr);
        return err_hint(e,
                        "Write the hexadecimal prefixes of its bounds, two digits each or more: -40, 40-80, 80-; - is "
                        "everything.");
    }
    parsed.unbounded = high.len == 0;
    if (!parsed.unbounded && parsed.end <= parsed.start) {
        err_set(e, PB0402, "key range \"%.*s\" is empty", (int)text.len, text.ptr);
        return err_detail(e, "It ends where it starts, or before.");
    }
    *r = parsed;
    return true;
}

/* The digits of a bound without trailing pairs of zeros; returns how many. */
static size_t print_bound(uint64_t bound, char *out)
{
    size_t len = 0;

    for (; bound; bound <<= 8)
        len += (size_t)sprintf(out + len, "%02x", (unsigned)(bound >> 56));
    return len;
}

char *keyrange_print(const struct keyrange *r, char out[KEYRANGE_TEXT_MAX])
{
    size_t len = print_bound(r->start, out);

    out[len++] = '-';
    if (!r->unbounded)
        len += print_bound(r->end, out + len);
    out[len] = '\0';
    return out;
}

bool keyrange_overlap(const struct keyrange *a, const struct keyrange *b)
{
    return (a->unbounded || b->start < a->end) && (b->unbounded || a->start < b->end);
}

static int cmp_start(const void *a, const void *b)
{
    const struct keyrange *x = a, *y = b;

    return (x->start > y->start) - (x->start < y->start);
}

/* Sorted ranges: each starts where the one before ends. */
static bool check_sorted(const struct keyrange *ranges, size_t n, struct err *e)
{
    char one[KEYRANGE_TEXT_MAX], two[KEYRANGE_TEXT_MAX];
    struct keyrange gap = { 0 }; /* between what is covered so far and the next range */

    for (size_t i = 0; i < n; i++) {
        if (i && keyrange_overlap(&ranges[i - 1], &ranges[i]))
            return err_set(e, PB0402, "key ranges \"%s\" and \"%s\" overlap", keyrange_print(&ranges[i - 1], one),
                           keyrange_print(&ranges[i], two));
        gap.end = ranges[i].start;
        if (gap.end > gap.start)
            return err_set(e, PB0402, "no shard has key range \"%s\"", keyrange_print(&gap, one));
        if (!ranges[i].unbounded)
            gap.start = ranges[i].end;
    }
    if (n && ranges[n - 1].unbounded)
        return true;
    gap.unbounded = true;
    return err_set(e, PB0402, "no shard has key range \"%s\"", keyrange_print(&gap, one));
}

bool keyrange_covers(const struct keyrange *ranges, size_t n, struct err *e)
{
    struct keyrange *sorted = mem_alloc(n * sizeof(*sorted));
    bool ok;

    if (n) {
        memcpy(sorted, ranges, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), cmp_start);
    }
    ok = check_sorted(sorted, n, e);
    free(sorted);
    return ok;
}

void keyrange_split(struct keyrange *out, size_t n)
{
    BUG_ON(n < 1 || n > 256);
    for (size_t i = 0; i < n; i++) {
        /* Rounded to 16 bits: 4 digits. */
        out[i].start = (uint64_t)(i * 0x10000 / n) << 48;
        out[i].unbounded = i + 1 == n;
        out[i].end = out[i].unbounded ? 0 : (uint64_t)((i + 1) * 0x10000 / n) << 48;
    }
}

bool keyrange_hash_bounds(const struct keyrange *r, int64_t *low, int64_t *high)
{
    *low = (int64_t)(r->start ^ SIGN_BIT);
    *high = (int64_t)(r->end ^ SIGN_BIT);
    return !r->unbounded;
}
