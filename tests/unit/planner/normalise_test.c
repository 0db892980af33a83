#include "planner/normalise.h"

#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct shape a, b;

static bool same_shape(const char *x, const char *y)
{
    assert_int_equal(shape_read(&a, span_str(x), false), SHAPE_OK);
    assert_int_equal(shape_read(&b, span_str(y), false), SHAPE_OK);
    return a.nliteral == b.nliteral && span_eq(span_make(a.bytes, a.shape_len), span_make(b.bytes, b.shape_len));
}

static void test_same(void **state)
{
    (void)state;
    assert_true(same_shape("select * from t where id = 1", "select * from t where id = 2147483647"));
    assert_true(same_shape("select 1", "select 0000000000000000001"));
    assert_true(same_shape("select 'a'", "select 'it''s'"));
    assert_true(same_shape("select 1.5", "select 99999999999999999999"));
    assert_true(same_shape("select 3000000000", "select 9223372036854775807"));
    assert_true(same_shape("select E'a'", "select e'\\''"));
    assert_true(same_shape("select $$a$$", "select $t$ $$ $t$"));
    assert_true(same_shape("select $1", "select $1"));
    assert_true(same_shape("", ""));
}

static void test_different(void **state)
{
    (void)state;
    /* the type of a literal is part of the shape */
    assert_false(same_shape("select 1", "select 3000000000"));
    assert_false(same_shape("select 1", "select 1.0"));
    assert_false(same_shape("select 1", "select '1'"));
    assert_false(same_shape("select 3000000000", "select 9223372036854775808"));
    assert_false(same_shape("select 'a'", "select E'a'"));
    assert_false(same_shape("select 'a'", "select $$a$$"));
    assert_false(same_shape("select B'1'", "select X'1'"));
    /* what is no literal stays as it is */
    assert_false(same_shape("select $1", "select $2"));
    assert_false(same_shape("select t1", "select t2"));
    assert_false(same_shape("select \"1\"", "select \"2\""));
    assert_false(same_shape("select 1, -1", "select 1, 1"));
    assert_false(same_shape("select 1 /* 1 */", "select 1 /* 2 */"));
    assert_false(same_shape("select 1, 2", "select 1, 2, 3"));
    assert_false(same_shape("select N'a'", "select 'a'"));
}

/* A byte that could stand for a marker may be part of a shape only where no marker can be. */
static void test_marker_bytes(void **state)
{
    (void)state;
    for (char c = 1; c <= 8; c++) {
        char outside[] = "select ?", inside[] = "select \"?\", 1";

        outside[7] = c;
        inside[8] = c;
        assert_int_equal(shape_read(&a, span_str(outside), false), SHAPE_UNCACHEABLE);
        assert_int_equal(shape_read(&a, span_str(inside), false), SHAPE_OK);
        assert_int_equal(a.nliteral, 1);
    }
    assert_false(same_shape("select \"\x01\", 1", "select \"1\", 1"));
}

static void test_uncacheable(void **state)
{
    static const char *const cases[] = { "select 'a'\n'b'", "select U&'a'",      "select U&\"a\"", "select 'open",
                                         "select 1a",       "select /* comment", "select $t$",     "select \"open" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (shape_read(&a, span_str(cases[i]), false) != SHAPE_UNCACHEABLE)
            fail_msg("%s", cases[i]);
    }
    assert_int_equal(shape_read(&a, span_make("select '\0', 1", 13), false), SHAPE_OK);
    assert_int_equal(shape_read(&a, span_make("select \0, 1", 11), false), SHAPE_UNCACHEABLE);
}

static void test_nonstandard_strings(void **state)
{
    static const struct {
        const char *sql;
        enum shape_status status;
        uint32_t nliteral;
    } cases[] = {
        { "select 'a', 1", SHAPE_OK, 2 },           { "select 'it''s', 1", SHAPE_OK, 2 },
        { "select E'a\\'b', 1", SHAPE_OK, 2 },      { "select $$\\$$, 1", SHAPE_OK, 2 },
        { "select \"\\\", 1", SHAPE_OK, 1 },        { "select 'a\\'b', 1", SHAPE_BACKSLASH, 2 },
        { "select 'a\\', 1", SHAPE_BACKSLASH, 0 },  { "select 'a\\\\', 1", SHAPE_BACKSLASH, 2 },
        { "select N'\\n', 1", SHAPE_BACKSLASH, 2 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (shape_read(&a, span_str(cases[i].sql), true) != cases[i].status || a.nliteral != cases[i].nliteral)
            fail_msg("%s", cases[i].sql);
    }
}

static void test_spans(void **state)
{
    const char *sql = "select 'a''b', -12, $1, E'\\'', 1.5 from t7 where x = $q$ 3 $q$";
    const char *expected[] = { "'a''b'", "12", "E'\\''", "1.5", "$q$ 3 $q$" };

    (void)state;
    assert_int_equal(shape_read(&a, span_str(sql), false), SHAPE_OK);
    assert_int_equal(a.nliteral, ARRAY_LEN(expected));
    for (uint32_t i = 0; i < a.nliteral; i++)
        assert_true(span_eq_str(span_make(sql + a.literals[i].off, a.literals[i].len), expected[i]));
}

/* 10,000 rows and more; the buffers go back afterwards. */
static void test_large(void **state)
{
    struct strbuf sql = STRBUF_INIT;

    (void)state;
    strbuf_puts(&sql, "insert into t values ");
    for (int i = 0; i < 20000; i++)
        strbuf_printf(&sql, "%s(%d, 'row %d', %d.5)", i ? ", " : "", i, i, i);
    assert_int_equal(shape_read(&a, strbuf_span(&sql), false), SHAPE_OK);
    assert_int_equal(a.nliteral, 60000);
    assert_true(a.bytes_cap > 200000);
    assert_int_equal(shape_read(&a, SPAN("select 1"), false), SHAPE_OK);
    assert_true(a.bytes_cap < 2000);
    strbuf_fini(&sql);
}

static int free_shapes(void **state)
{
    (void)state;
    shape_fini(&a);
    shape_fini(&b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_different),
        cmocka_unit_test(test_marker_bytes),
        cmocka_unit_test(test_uncacheable),
        cmocka_unit_test(test_nonstandard_strings),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_large),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, free_shapes);
}
