/*
 * Any bytes as a sharding key's value, in text and binary form: never a crash, the same answer twice, nothing written
 * when declined, and rules that hold whatever the bytes are.
 *
 * Input: byte 0 type, byte 1 bit 0 form, bit 1 use; bytes 2-5 typmod; the value.
 */
#include "shardmap/vhash.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEADER = 6 };

static enum vhash_result hash(enum key_type type, bool binary, int32_t typmod, enum vhash_use use, struct span v,
                              uint64_t seed, uint64_t *out)
{
    return binary ? vhash_binary(type, typmod, use, v, seed, out) : vhash_text(type, typmod, use, v, seed, out);
}

static bool is_integer(enum key_type type)
{
    return type == KEY_INT2 || type == KEY_INT4 || type == KEY_INT8;
}

/* An integer hashes as the identity vindex reads it, as its decimal text and as its widest type. */
static void check_integer(enum key_type type, bool binary, struct span v, enum vhash_result r, uint64_t got)
{
    int64_t n;
    uint64_t again;
    char text[24];

    BUG_ON(vhash_integer(type, binary, v, &n) != (r == VHASH_OK));
    if (r != VHASH_OK)
        return;
    snprintf(text, sizeof(text), "%lld", (long long)n);
    BUG_ON(vhash_text(KEY_INT8, -1, VHASH_COMPARE, span_str(text), 0, &again) != VHASH_OK || again != got);
    BUG_ON(!binary && !span_eq_str(v, text)); /* canonical: only what is printed is read */
}

/* Blanks and signs around a value that is not a string void it. */
static void check_canonical(enum key_type type, int32_t typmod, enum vhash_use use, struct span v)
{
    char *longer = malloc(v.len + 1);
    uint64_t out;

    BUG_ON(!longer);
    if (v.len)
        memcpy(longer, v.ptr, v.len);
    longer[v.len] = ' ';
    BUG_ON(vhash_text(type, typmod, use, span_make(longer, v.len + 1), 0, &out) == VHASH_OK);
    memmove(longer + 1, longer, v.len);
    longer[0] = '+';
    BUG_ON(vhash_text(type, typmod, use, span_make(longer, v.len + 1), 0, &out) == VHASH_OK);
    free(longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t untouched = UINT64_C(0x5555aaaa5555aaaa);
    uint64_t first = untouched, second = untouched;
    enum vhash_result r;
    int32_t typmod;
    char *copy;

    if (size < HEADER)
        return 0;
    enum key_type type = (enum key_type)(data[0] % KEY_TYPE_COUNT);
    bool binary = data[1] & 1, string = type == KEY_TEXT || type == KEY_VARCHAR || type == KEY_BPCHAR;
    enum vhash_use use = data[1] & 2 ? VHASH_ASSIGN : VHASH_COMPARE;
    memcpy(&typmod, data + 2, sizeof(typmod));
    /* a block that ends where the value does */
    copy = malloc(size - HEADER ? size - HEADER : 1);
    BUG_ON(!copy);
    memcpy(copy, data + HEADER, size - HEADER);
    struct span v = span_make(copy, size - HEADER);

    r = hash(type, binary, typmod, use, v, 0, &first);
    BUG_ON(r != hash(type, binary, typmod, use, v, 0, &second) || first != second);
    BUG_ON(r == VHASH_DECLINE && first != untouched);
    BUG_ON(r == VHASH_DECLINE && string && use == VHASH_COMPARE);
    if (is_integer(type))
        check_integer(type, binary, v, r, first);
    if (!string && !binary && r == VHASH_OK)
        check_canonical(type, typmod, use, v);
    /* The seed of a composite: any. */
    (void)!hash(type, binary, typmod, use, v, UINT64_MAX, &second);
    free(copy);
    return 0;
}
