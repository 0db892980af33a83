#include "shardmap/keyrange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct keyrange parse(const char *text)
{
    struct keyrange r = { 0 };
    struct err e = ERR_INIT;

    if (!keyrange_parse(&r, span_str(text), &e))
        fail_msg("%s", e.message);
    return r;
}

static void test_parse(void **state)
{
    /* text, start, end, unbounded, printed */
    static const struct {
        const char *text;
        uint64_t start, end;
        bool unbounded;
        const char *printed;
    } cases[] = {
        { "-", 0, 0, true, "-" },
        { "-80", 0, UINT64_C(1) << 63, false, "-80" },
        { "80-", UINT64_C(1) << 63, 0, true, "80-" },
        { "40-80", UINT64_C(1) << 62, UINT64_C(1) << 63, false, "40-80" },
        { "4000-800000", UINT64_C(1) << 62, UINT64_C(1) << 63, false, "40-80" },
        { "00-80", 0, UINT64_C(1) << 63, false, "-80" },
        { "00-", 0, 0, true, "-" },
        { "aB-Ac", UINT64_C(0xab) << 56, UINT64_C(0xac) << 56, false, "ab-ac" },
        { "0001-0100", UINT64_C(1) << 48, UINT64_C(1) << 56, false, "0001-01" },
        { "0000000000000001-0000000000000002", 1, 2, false, "0000000000000001-0000000000000002" },
        { "ffffffffffffffff-", UINT64_MAX, 0, true, "ffffffffffffffff-" },
        { "-ffffffffffffffff", 0, UINT64_MAX, false, "-ffffffffffffffff" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct keyrange r = parse(cases[i].text);
        char printed[KEYRANGE_TEXT_MAX];

        assert_int_equal(r.start, cases[i].start);
        assert_int_equal(r.end, cases[i].end);
        assert_int_equal(r.unbounded, cases[i].unbounded);
        assert_string_equal(keyrange_print(&r, printed), cases[i].printed);
    }
}

static void test_refused(void **state)
{
    static const char *const malformed[] = {
        "",
        "8",
        "80",
        "8-",
        "-8",
        "808-",
        "--",
        "-80-",
        "40-60-80",
        " -80",
        "-80 ",
        "0x40-80",
        "g0-",
        "-80\n",
        "40 -80",
        "000000000000000000-",
        "-00000000000000000001",
        "\xc3\xa9-",
        "+40-80",
    };
    static const char *const empty[] = { "80-80", "80-40", "-00", "00-00", "8000-80", "ffffffffffffffff-ff" };
    struct keyrange r = { .start = 77 };
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(malformed); i++) {
        if (keyrange_parse(&r, span_str(malformed[i]), &e))
            fail_msg("taken: \"%s\"", malformed[i]);
        assert_int_equal(e.id, PB0402);
        assert_non_null(strstr(e.message, "invalid key range"));
        assert_true(e.hint[0] != '\0');
    }
    for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
        if (keyrange_parse(&r, span_str(empty[i]), &e))
            fail_msg("taken: \"%s\"", empty[i]);
        assert_non_null(strstr(e.detail, "empty"));
    }
    assert_false(keyrange_parse(&r, span_make("-80\0", 4), &e));
    assert_false(keyrange_parse(&r, span_make(NULL, 0), &e));
    assert_int_equal(r.start, 77); /* untouched */
}

static void test_contains_and_overlap(void **state)
{
    struct keyrange lower = parse("-80"), upper = parse("80-"), quarter = parse("40-80"), all = parse("-");
    struct keyrange one = parse("7fffffffffffffff-80"), top = parse("ffffffffffffffff-");

    (void)state;
    assert_true(keyrange_contains(&lower, 0));
    assert_true(keyrange_contains(&lower, (UINT64_C(1) << 63) - 1));
    assert_false(keyrange_contains(&lower, UINT64_C(1) << 63));
    assert_true(keyrange_contains(&upper, UINT64_C(1) << 63));
    assert_true(keyrange_contains(&upper, UINT64_MAX));
    assert_false(keyrange_contains(&upper, 0));
    assert_true(keyrange_contains(&top, UINT64_MAX));
    assert_false(keyrange_contains(&top, UINT64_MAX - 1));

    assert_false(keyrange_overlap(&lower, &upper));
    assert_false(keyrange_overlap(&upper, &quarter));
    assert_true(keyrange_overlap(&lower, &quarter));
    assert_true(keyrange_overlap(&one, &quarter));
    assert_false(keyrange_overlap(&one, &upper));
    assert_true(keyrange_overlap(&all, &top));
    assert_true(keyrange_overlap(&top, &upper));
    assert_true(keyrange_overlap(&all, &all));
}

static void covers_bad(const char *const *texts, size_t n, const char *message)
{
    struct keyrange ranges[8];
    struct err e = ERR_INIT;

    for (size_t i = 0; i < n; i++)
        ranges[i] = parse(texts[i]);
    assert_false(keyrange_covers(ranges, n, &e));
    assert_int_equal(e.id, PB0402);
    assert_string_equal(e.message, message);
}

#define COVERS_BAD(message, ...)                                                                                       \
    covers_bad((const char *const[]){ __VA_ARGS__ }, ARRAY_LEN(((const char *const[]){ __VA_ARGS__ })), message)

static void test_covers(void **state)
{
    struct keyrange ranges[] = { parse("80-"), parse("-40"), parse("40-80") };
    struct err e = ERR_INIT;

    (void)state;
    assert_true(keyrange_covers(ranges, 3, &e));
    assert_int_equal(ranges[0].start, UINT64_C(1) << 63); /* not reordered */
    COVERS_BAD("no shard owns key range 40-80", "80-", "-40");
    COVERS_BAD("no shard owns key range -40", "40-80", "80-");
    COVERS_BAD("no shard owns key range 80-", "40-80", "-40");
    COVERS_BAD("no shard owns key range ffffffffffffffff-", "-ffffffffffffffff");
    COVERS_BAD("no shard owns key range -0000000000000001", "0000000000000001-");
    COVERS_BAD("key ranges -41 and 40- overlap", "-41", "40-");
    COVERS_BAD("key ranges 40- and 80- overlap", "-40", "40-", "80-");
    COVERS_BAD("key ranges - and - overlap", "-", "-");
    COVERS_BAD("key ranges - and 40-80 overlap", "-", "40-80");
    assert_false(keyrange_covers(NULL, 0, &e));
    assert_string_equal(e.message, "there is no key range");
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 32 | *seed << 32;
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Random layouts: what covers contains every id once, prints and parses back, and stops covering when a range goes. */
static void test_random_layouts(void **state)
{
    uint64_t seed = 42;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t n = 1 + next_random(&seed) % 12;
        struct keyrange ranges[12], rest[12];
        uint64_t bounds[11];
        struct err e = ERR_INIT;

        for (size_t i = 0; i + 1 < n; i++)
            bounds[i] = next_random(&seed) << (8 * (next_random(&seed) % 8)) | (UINT64_C(1) << 63 >> i);
        qsort(bounds, n - 1, sizeof(bounds[0]), cmp_u64);
        for (size_t i = 0; i < n; i++) {
            ranges[i] = (struct keyrange){ .start = i ? bounds[i - 1] : 0,
                                           .end = i + 1 < n ? bounds[i] : 0,
                                           .unbounded = i + 1 == n };
            if (!ranges[i].unbounded && ranges[i].end == ranges[i].start)
                goto next_round; /* two equal bounds */
        }
        assert_true(keyrange_covers(ranges, n, &e));
        for (size_t i = 0; i < n; i++) {
            char printed[KEYRANGE_TEXT_MAX], again[KEYRANGE_TEXT_MAX];
            struct keyrange back;
            int64_t low, high;

            assert_true(strlen(keyrange_print(&ranges[i], printed)) < KEYRANGE_TEXT_MAX);
            assert_true(keyrange_parse(&back, span_str(printed), &e));
            assert_memory_equal(&back.start, &ranges[i].start, 8);
            assert_memory_equal(&back.end, &ranges[i].end, 8);
            assert_string_equal(keyrange_print(&back, again), printed);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(keyrange_overlap(&ranges[i], &ranges[k]), i == k);
            /* Signed hashes agree with ids. */
            for (int k = 0; k < 50; k++) {
                uint64_t id = next_random(&seed);
                int64_t hash = (int64_t)(id ^ UINT64_C(1) << 63);
                bool bounded = keyrange_hash_bounds(&ranges[i], &low, &high);

                assert_int_equal(keyrange_contains(&ranges[i], id), hash >= low && (!bounded || hash < high));
            }
            memcpy(rest, ranges, sizeof(rest));
            rest[i] = rest[n - 1];
            assert_false(keyrange_covers(rest, n - 1, &e));
            assert_non_null(strstr(e.message, n == 1 ? "there is no key range" : "no shard owns key range"));
            rest[n - 1] = ranges[(i + 1) % n];
            if (n > 1)
                assert_false(keyrange_covers(rest, n, &e));
        }
    next_round:;
    }
}

static void test_split(void **state)
{
    char printed[KEYRANGE_TEXT_MAX];
    struct keyrange ranges[256];
    struct err e = ERR_INIT;

    (void)state;
    for (size_t n = 1; n <= 256; n++) {
        uint64_t smallest = UINT64_MAX, largest = 0;

        keyrange_split(ranges, n);
        assert_true(keyrange_covers(ranges, n, &e));
        for (size_t i = 0; i < n; i++) {
            uint64_t size = ranges[i].end - ranges[i].start; /* the top is 2^64, that is 0 */

            smallest = size && size < smallest ? size : smallest;
            largest = size > largest ? size : largest;
        }
        if (n > 1)
            assert_true(largest - smallest <= UINT64_C(1) << 48);
    }
    keyrange_split(ranges, 3);
    assert_string_equal(keyrange_print(&ranges[0], printed), "-5555");
    assert_string_equal(keyrange_print(&ranges[1], printed), "5555-aaaa");
    keyrange_split(ranges, 4);
    assert_string_equal(keyrange_print(&ranges[2], printed), "80-c0");
    keyrange_split(ranges, 256);
    assert_string_equal(keyrange_print(&ranges[255], printed), "ff-");
    keyrange_split(ranges, 1);
    assert_string_equal(keyrange_print(&ranges[0], printed), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_contains_and_overlap),
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_random_layouts),
        cmocka_unit_test(test_split),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
