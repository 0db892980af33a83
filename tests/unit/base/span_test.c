#include "base/span.h"

#include "base/bug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_equality(void **state)
{
    (void)state;
    assert_true(span_eq((struct span){ 0 }, SPAN("")));
    assert_true(span_eq(SPAN("a\0b"), SPAN("a\0b")));
    assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_eq(SPAN("a"), SPAN("ab")));
    assert_true(span_eq_str(SPAN("ab"), "ab"));
    assert_false(span_eq_str(SPAN("a\0"), "a"));
    assert_true(span_eq_str((struct span){ 0 }, ""));
    assert_int_equal(span_str(NULL).len, 0);
}

/* ASCII letters only, whatever the locale; bytes behind a NUL count. */
static void test_case(void **state)
{
    (void)state;
    assert_true(span_ieq(SPAN("SeLeCt"), SPAN("select")));
    assert_true(span_ieq((struct span){ 0 }, SPAN("")));
    assert_false(span_ieq(SPAN("a\0b"), SPAN("a\0c")));
    assert_false(span_ieq(SPAN("abc"), SPAN("ab")));
    for (int a = 0; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            const char x = (char)a, y = (char)b;
            bool letters = (a | 32) >= 'a' && (a | 32) <= 'z' && (a | 32) == (b | 32);

            assert_int_equal(span_ieq(span_make(&x, 1), span_make(&y, 1)), a == b || letters);
        }
    }
}

/* Cut anywhere, a text of characters of every length ends at the last whole one. */
static void test_whole_utf8(void **state)
{
    static const char *const characters[] = { "x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x90\x98" };
    char text[64];

    (void)state;
    for (unsigned order = 0; order < 256; order++) {
        size_t ends[5] = { 0 }, len = 0;

        for (unsigned i = 0; i < 4; i++) {
            const char *c = characters[order >> (2 * i) & 3];

            memcpy(text + len, c, strlen(c));
            ends[i + 1] = len += strlen(c);
        }
        for (size_t cut = 0; cut <= len; cut++) {
            size_t expected = 0;

            for (unsigned i = 0; i < 5; i++)
                expected = ends[i] <= cut ? ends[i] : expected;
            assert_int_equal(span_whole_utf8(span_make(text, cut)), expected);
        }
    }
    /* What is no UTF-8 is left as it is. */
    assert_int_equal(span_whole_utf8(SPAN("\x80\x80")), 2);
    assert_int_equal(span_whole_utf8(SPAN("\x80\x80\x80\x80\x80")), 5);
    assert_int_equal(span_whole_utf8(SPAN("x\x80\x80")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_whole_utf8),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
