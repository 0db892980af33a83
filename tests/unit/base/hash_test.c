#include "base/hash.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Only the bytes count, not where they stand. */
static void test_alignment(void **state)
{
    char text[64], moved[80];
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)random_next(&seed);
    for (size_t len = 0; len <= sizeof(text); len++) {
        uint64_t h = hash_seeded(text, len, 5);

        for (size_t offset = 0; offset < 16; offset++) {
            memset(moved, (int)offset, sizeof(moved));
            memcpy(moved + offset, text, len);
            assert_true(hash_seeded(moved + offset, len, 5) == h);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void all_differ(uint64_t *hashes, size_t n)
{
    qsort(hashes, n, sizeof(*hashes), compare);
    for (size_t i = 1; i < n; i++)
        assert_true(hashes[i - 1] != hashes[i]);
}

/* Texts that differ little, in one bit or in the number of zero bytes, and seeds that do. */
static void test_no_collisions(void **state)
{
    enum { LEN = 40 };
    static uint64_t hashes[(LEN + 1) * LEN * 8];
    unsigned char text[LEN] = { 0 };
    size_t n = 0;

    (void)state;
    for (size_t len = 0; len <= LEN; len++) {
        hashes[n++] = hash_seeded(text, len, 0);
        for (size_t bit = 0; bit < len * 8; bit++) {
            text[bit / 8] ^= (unsigned char)(1u << bit % 8);
            hashes[n++] = hash_seeded(text, len, 0);
            text[bit / 8] = 0;
        }
    }
    all_differ(hashes, n);
    for (n = 0; n < 1000; n++)
        hashes[n] = hash_seeded("x", 1, n);
    all_differ(hashes, n);
}

/* A bit of the input changes about half of the output's, whichever it is. */
static void test_avalanche(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (size_t len = 1; len <= 24; len++) {
        for (size_t bit = 0; bit < len * 8; bit++) {
            int flipped = 0;

            for (int i = 0; i < 64; i++) {
                unsigned char text[24];
                uint64_t h;

                for (size_t k = 0; k < len; k++)
                    text[k] = (unsigned char)random_next(&seed);
                h = hash_seeded(text, len, 0);
                text[bit / 8] ^= (unsigned char)(1u << bit % 8);
                flipped += __builtin_popcountll(h ^ hash_seeded(text, len, 0));
            }
            assert_in_range(flipped, 64 * 24, 64 * 40);
        }
    }
}

/* Numbers in a row spread over the buckets of a map, which are chosen by the low bits. */
static void test_spread(void **state)
{
    static unsigned buckets[1024];

    (void)state;
    for (uint64_t i = 0; i < 100 * 1024; i++)
        buckets[hash_seeded(&i, sizeof(i), 0) % 1024]++;
    for (size_t i = 0; i < 1024; i++)
        assert_in_range(buckets[i], 40, 180);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_no_collisions),
        cmocka_unit_test(test_avalanche),
        cmocka_unit_test(test_spread),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
