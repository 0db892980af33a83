/*
 * Known values and hostile input. That whole classes of values hash as on a server is shown by
 * tests/differential/vhash.t; the hashes here were taken from PostgreSQL 15.
 */
#include "shardmap/placement.h"
#include "shardmap/vhash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A value in a block of its own size, so that a sanitizer sees what is read beyond it. */
static enum vhash_result hash(enum key_type type, bool binary, int32_t typmod, const void *bytes, size_t len,
                              uint64_t *out)
{
    enum vhash_use use = typmod < 0 ? VHASH_COMPARE : VHASH_ASSIGN;
    char *copy = malloc(len ? len : 1);
    enum vhash_result r;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    r = binary ? vhash_binary(type, typmod, use, span_make(copy, len), 0, out)
               : vhash_text(type, typmod, use, span_make(copy, len), 0, out);
    free(copy);
    return r;
}

static int64_t text(enum key_type type, const char *value)
{
    uint64_t out = 0;

    if (hash(type, false, -1, value, strlen(value), &out) != VHASH_OK)
        fail_msg("%s is declined", value);
    return (int64_t)out;
}

static bool declines(enum key_type type, bool binary, int32_t typmod, const void *bytes, size_t len)
{
    uint64_t out = 77;

    if (hash(type, binary, typmod, bytes, len, &out) == VHASH_OK)
        return false;
    assert_int_equal(out, 77); /* untouched */
    return true;
}

#define BINARY(type, literal, out)     hash(type, true, -1, literal, sizeof(literal) - 1, out)
#define DECLINES_BINARY(type, literal) assert_true(declines(type, true, -1, literal, sizeof(literal) - 1))

/* SELECT hashint8extended(1, 0), ... */
static void test_known(void **state)
{
    static const struct {
        enum key_type type;
        const char *value;
        int64_t hash;
    } cases[] = {
        { KEY_INT2, "1", INT64_C(-3670598878359251130) },
        { KEY_INT8, "1", INT64_C(-3670598878359251130) },
        { KEY_INT4, "-1", INT64_C(-1888257769727981238) },
        { KEY_INT8, "-9223372036854775808", INT64_C(-9109110466470504941) },
        { KEY_TEXT, "", INT64_C(-6939563903564495251) },
        { KEY_TEXT, "abc", INT64_C(-6747756470228489321) },
        { KEY_VARCHAR, "twelve bytes", INT64_C(-7123776401673968163) },
        { KEY_BPCHAR, "ab  ", INT64_C(2833316173711343549) },
        { KEY_UUID, "00000000-0000-0000-0000-000000000001", INT64_C(3419970005924668665) },
        { KEY_NUMERIC, "1.00", INT64_C(-7507508252608306360) },
        { KEY_NUMERIC, "0.000", INT64_C(-1) },
        { KEY_NUMERIC, "-12345.678", INT64_C(-7224554725567017098) },
        { KEY_NUMERIC, "NaN", INT64_C(0) },
        { KEY_TIMESTAMP, "2001-02-03 04:05:06.789", INT64_C(5827361161899119831) },
        { KEY_TIMESTAMP, "0044-03-15 12:00:00 BC", INT64_C(3357059557649059141) },
        { KEY_DATE, "2001-02-03", INT64_C(-6119732232358814676) },
        { KEY_DATE, "0044-03-15 BC", INT64_C(-1399449866377390411) },
        { KEY_DATE, "infinity", INT64_C(-9109110466470504941) },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (text(cases[i].type, cases[i].value) != cases[i].hash)
            fail_msg("%s '%s': %lld", key_type_name(cases[i].type), cases[i].value,
                     (long long)text(cases[i].type, cases[i].value));
    }
}

/* hashtextextended('eu', hashint8extended(42, 0)) */
static void test_composite(void **state)
{
    uint64_t out = 0;

    (void)state;
    assert_int_equal(vhash_text(KEY_INT8, -1, VHASH_COMPARE, SPAN("42"), 0, &out), VHASH_OK);
    assert_int_equal(vhash_text(KEY_TEXT, -1, VHASH_COMPARE, SPAN("eu"), out, &out), VHASH_OK);
    assert_int_equal((int64_t)out, INT64_C(3869971519076757371));
}

static void test_types(void **state)
{
    enum key_type type;

    (void)state;
    for (unsigned i = 0; i < KEY_TYPE_COUNT; i++) {
        assert_true(key_type_of_oid(key_type_oid((enum key_type)i), &type));
        assert_int_equal(type, i);
        assert_non_null(key_type_name(type));
    }
    assert_false(key_type_of_oid(0, &type));
    assert_false(key_type_of_oid(1184, &type)); /* timestamptz */
    assert_false(key_type_of_oid(701, &type));  /* float8 */
}

static void test_wrong_lengths(void **state)
{
    static const char zeros[64];
    static const size_t right[KEY_TYPE_COUNT] = {
        [KEY_INT2] = 2, [KEY_INT4] = 4, [KEY_INT8] = 8, [KEY_UUID] = 16, [KEY_TIMESTAMP] = 8, [KEY_DATE] = 4
    };

    (void)state;
    for (unsigned i = 0; i < KEY_TYPE_COUNT; i++) {
        for (size_t len = 0; len < sizeof(zeros) && right[i]; len++)
            assert_int_equal(declines((enum key_type)i, true, -1, zeros, len), len != right[i]);
    }
    assert_true(declines(KEY_TYPE_COUNT, true, -1, zeros, 4));
    assert_true(declines(KEY_TYPE_COUNT, false, -1, zeros, 4));
}

static void test_integer_of_identity(void **state)
{
    int64_t n;

    (void)state;
    assert_true(vhash_integer(KEY_INT8, false, SPAN("-9223372036854775808"), &n));
    assert_int_equal(n, INT64_MIN);
    assert_true(vhash_integer(KEY_INT8, true, SPAN("\x7f\xff\xff\xff\xff\xff\xff\xff"), &n));
    assert_int_equal(n, INT64_MAX);
    assert_true(vhash_integer(KEY_INT2, true, SPAN("\xff\xfe"), &n));
    assert_int_equal(n, -2);
    assert_false(vhash_integer(KEY_INT8, false, SPAN("9223372036854775808"), &n));
    assert_false(vhash_integer(KEY_INT8, false, SPAN("01"), &n));
    assert_false(vhash_integer(KEY_INT8, false, span_make(NULL, 0), &n));
    assert_false(vhash_integer(KEY_INT2, false, SPAN("32768"), &n));
    assert_false(vhash_integer(KEY_INT8, true, SPAN("1234"), &n));
    assert_false(vhash_integer(KEY_TEXT, false, SPAN("1"), &n));
}

static void test_empty(void **state)
{
    uint64_t a = 0, b = 0;

    (void)state;
    assert_int_equal(vhash_text(KEY_TEXT, -1, VHASH_COMPARE, span_make(NULL, 0), 0, &a), VHASH_OK);
    assert_int_equal(vhash_binary(KEY_BPCHAR, 5, VHASH_ASSIGN, SPAN("   "), 0, &b), VHASH_OK);
    assert_int_equal(a, b);
    for (unsigned i = 0; i < KEY_TYPE_COUNT; i++) {
        if (i != KEY_TEXT && i != KEY_VARCHAR && i != KEY_BPCHAR)
            assert_true(declines((enum key_type)i, false, -1, "", 0));
    }
}

/* Characters count, not bytes; a text that ends inside a character is the server's to refuse. */
static void test_string_length(void **state)
{
    uint64_t a = 0, b = 0;

    (void)state;
    assert_int_equal(hash(KEY_VARCHAR, false, 4 + 2, "\xc3\xa9\xc3\xa9   ", 7, &a), VHASH_OK);
    assert_int_equal(hash(KEY_VARCHAR, false, -1, "\xc3\xa9\xc3\xa9", 4, &b), VHASH_OK);
    assert_int_equal(a, b);
    assert_true(declines(KEY_VARCHAR, false, 4 + 2, "\xc3\xa9\xc3\xa9\xc3\xa9", 6));
    assert_true(declines(KEY_BPCHAR, false, 4 + 2, "abc", 3));
    assert_int_equal(hash(KEY_VARCHAR, false, 4 + 1, "\xf0\x9f", 2, &a), VHASH_OK);
    assert_int_equal(hash(KEY_VARCHAR, false, 4 + 1, "\xbf\xbf", 2, &a), VHASH_OK);
}

#define NUMERIC_TYPMOD(precision, scale) ((((precision) << 16) | ((scale)&0x7ff)) + 4)

static void test_numeric_binary(void **state)
{
    uint64_t out = 0, want;

    (void)state;
    want = (uint64_t)text(KEY_NUMERIC, "12.5");
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\2\0\0\0\0\0\1\0\x0c\x13\x88", &out), VHASH_OK);
    assert_int_equal(out, want);
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\2\0\0\x40\0\0\1\0\x0c\x13\x88", &out), VHASH_OK); /* -12.5 */
    assert_int_equal(out, want);
    /* Zeros in front and behind, which no server sends. */
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\4\0\1\0\0\0\4\0\0\0\x0c\x13\x88\0\0", &out), VHASH_OK);
    assert_int_equal(out, want);
    /* A display scale that hides digits: numeric_recv() cuts them off. */
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\2\0\0\0\0\0\0\0\x0c\x13\x88", &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_NUMERIC, "12"));
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\1\xff\xff\0\0\0\1\x13\x92", &out), VHASH_OK); /* .5010 to .5 */
    assert_int_equal((int64_t)out, text(KEY_NUMERIC, "0.5"));
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\1\x80\0\0\0\0\1\x13\x88", &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_NUMERIC, "0"));
    /* Stored: the scale first, then the column's rounding. 1.005 is 1.01, cut to 1.00 it is 1.00. */
    want = (uint64_t)text(KEY_NUMERIC, "1.01");
    assert_int_equal(hash(KEY_NUMERIC, true, NUMERIC_TYPMOD(6, 2), "\0\2\0\0\0\0\0\3\0\1\0\x32", 12, &out), VHASH_OK);
    assert_int_equal(out, want);
    assert_int_equal(hash(KEY_NUMERIC, true, NUMERIC_TYPMOD(6, 2), "\0\2\0\0\0\0\0\2\0\1\0\x32", 12, &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_NUMERIC, "1"));
    assert_true(declines(KEY_NUMERIC, true, NUMERIC_TYPMOD(2, 0), "\0\1\0\0\0\0\0\0\0\x64", 10)); /* 100 */
    assert_int_equal(BINARY(KEY_NUMERIC, "\0\0\0\0\xc0\0\0\0", &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_NUMERIC, "NaN"));
}

static void test_numeric_hostile(void **state)
{
    char many[8 + 2 * 257] = { 1, 1 };

    (void)state;
    DECLINES_BINARY(KEY_NUMERIC, "");
    DECLINES_BINARY(KEY_NUMERIC, "\0\0\0\0\0\0\0");
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\0\0");         /* a digit less than it says */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\0\0\0");       /* half a digit */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\0\0\0\1\0\1"); /* one more */
    DECLINES_BINARY(KEY_NUMERIC, "\xff\xff\0\0\0\0\0\0\0\1"); /* 65535 */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\0\0\x27\x10"); /* digit 10000 */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\0\0\xff\xff"); /* digit -1 */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\1\0\0\0\1");     /* sign 1 */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\x80\0\0\0\0\1");   /* sign of the short form */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\0\0\x40\0\0\1");   /* scale 16384 */
    DECLINES_BINARY(KEY_NUMERIC, "\0\1\0\0\xc0\0\0\0\0\1");   /* NaN with a digit */
    assert_true(declines(KEY_NUMERIC, true, NUMERIC_TYPMOD(6, 2), "\0\0\0\0\xd0\0\0\0", 8)); /* infinity in (6,2) */
    assert_true(declines(KEY_NUMERIC, true, -1, many, sizeof(many)));
    many[1] = 0;
    assert_false(declines(KEY_NUMERIC, true, -1, many, sizeof(many) - 2));
}

/* The longest that is read, all nines: rounding carries through every digit. */
static void test_numeric_longest(void **state)
{
    char nines[1026];
    uint64_t out = 0, want = 0;

    (void)state;
    memset(nines, '9', sizeof(nines));
    assert_false(declines(KEY_NUMERIC, false, -1, nines, 1024));
    assert_true(declines(KEY_NUMERIC, false, -1, nines, 1025));
    nines[1000] = '.';
    assert_true(declines(KEY_NUMERIC, false, NUMERIC_TYPMOD(1000, 2), nines, 1004));
    nines[990] = '.';
    assert_int_equal(hash(KEY_NUMERIC, false, NUMERIC_TYPMOD(1000, 5), nines, 1000, &out), VHASH_OK);
    nines[0] = '1';
    memset(nines + 1, '0', 990);
    assert_int_equal(hash(KEY_NUMERIC, false, -1, nines, 991, &want), VHASH_OK);
    assert_int_equal(out, want);
}

static void test_bounds_of_time(void **state)
{
    uint64_t out;

    (void)state;
    assert_int_equal(BINARY(KEY_DATE, "\xff\xda\x97\xa7", &out), VHASH_OK); /* 4714-11-24 BC */
    assert_int_equal((int64_t)out, text(KEY_DATE, "4714-11-24 BC"));
    DECLINES_BINARY(KEY_DATE, "\xff\xda\x97\xa6");
    DECLINES_BINARY(KEY_DATE, "\x7f\xff\xff\xfe");
    assert_int_equal(BINARY(KEY_DATE, "\x7f\xff\xff\xff", &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_DATE, "infinity"));
    assert_int_equal(BINARY(KEY_DATE, "\x80\0\0\0", &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_DATE, "-infinity"));
    /* Rounding would overflow: no such timestamp can be. */
    assert_true(declines(KEY_TIMESTAMP, true, 0, "\x7f\xff\xff\xff\xff\xff\xff\xfe", 8));
    assert_true(declines(KEY_TIMESTAMP, true, 0, "\x80\0\0\0\0\0\0\1", 8));
    assert_int_equal(hash(KEY_TIMESTAMP, true, 0, "\x80\0\0\0\0\0\0\0", 8, &out), VHASH_OK);
    assert_int_equal((int64_t)out, text(KEY_TIMESTAMP, "-infinity"));
    assert_true(declines(KEY_DATE, false, -1, " BC", 3));
    assert_true(declines(KEY_DATE, false, -1, "infinity BC", 11));
    assert_true(declines(KEY_DATE, false, -1, "99999999-01-01", 14));
    assert_true(declines(KEY_TIMESTAMP, false, -1, "2001-02-03", 10));
    assert_true(declines(KEY_TIMESTAMP, false, -1, "2001-02-03 ", 11));
    assert_true(declines(KEY_TIMESTAMP, false, -1, "5874897-01-01 00:00:00", 22));
}

static void test_uuid_text(void **state)
{
    static const char good[] = "01234567-89ab-CDEF-0123-456789abcdef";
    char bad[sizeof(good)];
    uint64_t a = 0, b = 0;

    (void)state;
    assert_int_equal(hash(KEY_UUID, false, -1, good, 36, &a), VHASH_OK);
    assert_int_equal(BINARY(KEY_UUID, "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef", &b),
                     VHASH_OK);
    assert_int_equal(a, b);
    for (size_t i = 0; i < 36; i++) {
        memcpy(bad, good, sizeof(good));
        bad[i] = bad[i] == '-' ? '0' : '-';
        assert_true(declines(KEY_UUID, false, -1, bad, 36));
        assert_true(declines(KEY_UUID, false, -1, good, i));
    }
    assert_true(declines(KEY_UUID, false, -1, good, 37)); /* its NUL */
}

static void test_sql(void **state)
{
    char out[64], column[64];
    struct placement_key key = { .ncolumn = 1, .columns = { "k" }, .types = { KEY_INT8 } };
    struct keyrange range = { .start = UINT64_C(1) << 63, .unbounded = true };
    struct strbuf sb = STRBUF_INIT;
    struct err e = ERR_INIT;
    char *longest = malloc(6000);

    (void)state;
    assert_true(vhash_sql(KEY_INT4, "\"k\"", "0", out, sizeof(out)));
    assert_string_equal(out, "pg_catalog.hashint8extended(\"k\", 0)");
    memset(column, 'x', 63);
    column[63] = '\0';
    assert_false(vhash_sql(KEY_INT4, column, "0", out, sizeof(out)));

    assert_true(placement_condition_sql(&key, &range, &sb, &e));
    assert_string_equal(sb.ptr, "pg_catalog.hashint8extended(\"k\", 0) OPERATOR(pg_catalog.>=) '0'::bigint");
    strbuf_reset(&sb);
    key.identity = true;
    range = (struct keyrange){ .start = 0, .end = UINT64_C(1) << 63 };
    assert_true(placement_condition_sql(&key, &range, &sb, &e));
    assert_string_equal(sb.ptr, "\"k\" OPERATOR(pg_catalog.<) '0'::bigint");
    strbuf_reset(&sb);
    range = (struct keyrange){ .start = 0, .unbounded = true };
    assert_true(placement_condition_sql(&key, &range, &sb, &e));
    assert_string_equal(sb.ptr, "true");

    /* A name that no server has. */
    assert_non_null(longest);
    memset(longest, 'x', 5999);
    longest[5999] = '\0';
    key = (struct placement_key){ .ncolumn = 1, .columns = { longest }, .types = { KEY_INT8 } };
    assert_false(placement_condition_sql(&key, &range, &sb, &e));
    key.identity = true;
    range.start = 1;
    assert_false(placement_condition_sql(&key, &range, &sb, &e));
    free(longest);
    strbuf_fini(&sb);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_composite),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_wrong_lengths),
        cmocka_unit_test(test_integer_of_identity),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_string_length),
        cmocka_unit_test(test_numeric_binary),
        cmocka_unit_test(test_numeric_hostile),
        cmocka_unit_test(test_numeric_longest),
        cmocka_unit_test(test_bounds_of_time),
        cmocka_unit_test(test_uuid_text),
        cmocka_unit_test(test_sql),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
