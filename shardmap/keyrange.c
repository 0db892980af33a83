#include "shardmap/keyrange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1 to 16 hex digits, an even number, as the upper bits of an id. */
static bool parse_bound(const char *p, size_t n, uint64_t *id)
{
    uint64_t v = 0;

    if (n == 0 || n > 16 || n % 2)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned digit;

        if (p[i] >= '0' && p[i] <= '9')
            digit = (unsigned)(p[i] - '0');
        else if (p[i] >= 'a' && p[i] <= 'f')
            digit = (unsigned)(p[i] - 'a') + 10;
        else if (p[i] >= 'A' && p[i] <= 'F')
            digit = (unsigned)(p[i] - 'A') + 10;
        else
            return false;
        v |= (uint64_t)digit << (60 - 4 * i);
    }
    *id = v;
    return true;
}

static bool bad_range(struct span text, const char *why, struct err *e)
{
    err_set(e, PB0402, "invalid key range \"%.*s\"", (int)(text.len < 64 ? text.len : 64), text.ptr ? text.ptr : "");
    err_detail(e, "%s", why);
    return err_hint(e, "Ranges are written as \"-\", \"-80\", \"40-80\" or \"80-\".");
}

bool keyrange_parse(struct keyrange *r, struct span text, struct err *e)
{
    const char *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    struct keyrange out = { 0 };
    size_t low, high;

    if (!dash)
        return bad_range(text, "There is no \"-\" between the bounds.", e);
    low = (size_t)(dash - text.ptr);
    high = text.len - low - 1;
    if (low && !parse_bound(text.ptr, low, &out.start))
        return bad_range(text, "A bound has an even number of hexadecimal digits, at most 16.", e);
    out.unbounded = high == 0;
    if (high && !parse_bound(dash + 1, high, &out.end))
        return bad_range(text, "A bound has an even number of hexadecimal digits, at most 16.", e);
    if (!out.unbounded && out.start >= out.end)
        return bad_range(text, "The range is empty: its lower bound is not below its upper bound.", e);
    *r = out;
    return true;
}

static int print_bound(char *out, uint64_t id)
{
    int n = snprintf(out, 17, "%016" PRIx64, id);

    while (n > 2 && out[n - 1] == '0' && out[n - 2] == '0')
        n -= 2;
    out[n] = '\0';
    return n;
}

char *keyrange_print(const struct keyrange *r, char out[KEYRANGE_TEXT_MAX])
{
    int n = 0;

    if (r->start)
        n = print_bound(out, r->start);
    out[n++] = '-';
    out[n] = '\0';
    if (!r->unbounded)
        print_bound(out + n, r->end);
    return out;
}

bool keyrange_overlap(const struct keyrange *a, const struct keyrange *b)
{
    return (b->unbounded || a->start < b->end) && (a->unbounded || b->start < a->end);
}

static int compare_start(const void *pa, const void *pb)
{
    const struct keyrange *a = *(const struct keyrange *const *)pa, *b = *(const struct keyrange *const *)pb;

    return a->start < b->start ? -1 : a->start > b->start;
}

bool keyrange_covers(const struct keyrange *ranges, size_t n, struct err *e)
{
    const struct keyrange **sorted;
    char a[KEYRANGE_TEXT_MAX], b[KEYRANGE_TEXT_MAX];
    struct keyrange gap = { .unbounded = true };
    bool ok = true;

    if (n == 0)
        return err_set(e, PB0402, "there is no key range");
    sorted = calloc(n, sizeof(*sorted));
    BUG_ON(!sorted);
    for (size_t i = 0; i < n; i++)
        sorted[i] = &ranges[i];
    qsort(sorted, n, sizeof(*sorted), compare_start);
    for (size_t i = 0; ok && i < n; i++) {
        if (i && keyrange_overlap(sorted[i - 1], sorted[i])) {
            ok = err_set(e, PB0402, "key ranges %s and %s overlap", keyrange_print(sorted[i - 1], a),
                         keyrange_print(sorted[i], b));
        } else if (sorted[i]->start != gap.start) {
            gap.end = sorted[i]->start;
            gap.unbounded = false;
            ok = err_set(e, PB0402, "no shard owns key range %s", keyrange_print(&gap, a));
        }
        gap.start = sorted[i]->end;
    }
    if (ok && !sorted[n - 1]->unbounded)
        ok = err_set(e, PB0402, "no shard owns key range %s", keyrange_print(&gap, a));
    free(sorted);
    return ok;
}

void keyrange_split(struct keyrange *out, size_t n)
{
    unsigned __int128 space = (unsigned __int128)1 << 64;

    BUG_ON(n == 0 || n > 256);
    for (size_t i = 0; i < n; i++) {
        /* Bounds are whole bytes where that is as fair: 256 is a multiple of most n in use; else two bytes. */
        unsigned shift = 256 % n == 0 ? 56 : 48;

        out[i].start = (uint64_t)(space * i / n) >> shift << shift;
        out[i].unbounded = i + 1 == n;
        out[i].end = out[i].unbounded ? 0 : (uint64_t)(space * (i + 1) / n) >> shift << shift;
    }
}

bool keyrange_hash_bounds(const struct keyrange *r, int64_t *low, int64_t *high)
{
    *low = (int64_t)(r->start ^ UINT64_C(1) << 63);
    *high = (int64_t)(r->end ^ UINT64_C(1) << 63);
    return !r->unbounded;
}
