#include "base/strbuf.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Content as expected, with a NUL behind it, within the capacity. */
static void check(const struct strbuf *sb, const char *expected, size_t len)
{
    assert_int_equal(sb->len, len);
    assert_int_equal(strbuf_span(sb).len, len);
    if (sb->ptr) {
        assert_true(sb->len < sb->cap);
        assert_memory_equal(sb->ptr, expected, len);
        assert_int_equal(sb->ptr[len], '\0');
    } else {
        assert_int_equal(len, 0);
    }
}

/* Random appends and drops against a plain array. */
static void test_random_changes(void **state)
{
    enum { MAX = 100000 };
    static char model[MAX + 1], bytes[3000];
    struct strbuf sb = STRBUF_INIT;
    uint64_t seed = 1;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) {
        size_t n = random_below(&seed, i % 50 == 0 ? sizeof(bytes) : 20);

        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)random_next(&seed);
        switch (random_below(&seed, 6)) {
        case 0:
            n = n < len ? n : len;
            strbuf_drop(&sb, n);
            memmove(model, model + n, len - n);
            len -= n;
            break;
        case 1:
            if (len + 1 > MAX)
                break;
            strbuf_putc(&sb, bytes[0]);
            model[len++] = bytes[0];
            break;
        case 2:
            if (len + n > MAX)
                break;
            memcpy(strbuf_reserve(&sb, n), bytes, n); /* what is reserved may be used, or only a part of it */
            sb.len += n;
            sb.ptr[sb.len] = '\0';
            memcpy(model + len, bytes, n);
            len += n;
            break;
        case 3:
            if (i % 400 == 3) {
                strbuf_reset(&sb);
                len = 0;
            }
            break;
        default:
            if (len + n > MAX)
                break;
            strbuf_put(&sb, bytes, n);
            memcpy(model + len, bytes, n);
            len += n;
            break;
        }
        check(&sb, model, len);
    }
    strbuf_fini(&sb);
}

static void test_empty(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    char *taken;

    (void)state;
    assert_string_equal(strbuf_str(&sb), "");
    strbuf_reset(&sb);
    strbuf_drop(&sb, 0);
    strbuf_put(&sb, NULL, 0);
    check(&sb, "", 0);
    strbuf_fini(&sb);
    strbuf_fini(&sb);
    taken = strbuf_take(&sb);
    assert_string_equal(taken, "");
    free(taken);
}

static void test_take(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    char *taken;

    (void)state;
    strbuf_puts(&sb, "mine");
    taken = strbuf_take(&sb);
    check(&sb, "", 0);
    assert_int_equal(sb.cap, 0);
    strbuf_puts(&sb, "other");
    assert_string_equal(taken, "mine");
    assert_string_equal(strbuf_str(&sb), "other");
    free(taken);
    strbuf_fini(&sb);
}

static void test_printf(void **state)
{
    struct strbuf sb = STRBUF_INIT;

    (void)state;
    for (int width = 0; width < 200; width++) { /* at every distance from the capacity */
        strbuf_reset(&sb);
        strbuf_puts(&sb, "x");
        strbuf_printf(&sb, "%0*d", width, 7);
        strbuf_printf(&sb, "%s", "");
        assert_int_equal(sb.len, 1 + (width ? width : 1));
        assert_int_equal(strlen(strbuf_str(&sb)), sb.len);
        strbuf_fini(&sb);
    }
}

static void quotes(struct span s, const char *ident, const char *literal)
{
    struct strbuf sb = STRBUF_INIT;

    strbuf_put_ident(&sb, s);
    assert_string_equal(strbuf_str(&sb), ident);
    strbuf_reset(&sb);
    strbuf_put_literal(&sb, s);
    assert_string_equal(strbuf_str(&sb), literal);
    strbuf_fini(&sb);
}

static void test_quoting(void **state)
{
    (void)state;
    quotes(SPAN(""), "\"\"", "''");
    quotes(SPAN("Ab c"), "\"Ab c\"", "'Ab c'");
    quotes(SPAN("a\"b'c"), "\"a\"\"b'c\"", "'a\"b''c'");
    quotes(SPAN("\"'"), "\"\"\"'\"", "'\"'''");
    /* A backslash means the same whatever standard_conforming_strings is; the blank keeps E apart from a word before.
     */
    quotes(SPAN("a\\'b"), "\"a\\'b\"", " E'a\\\\''b'");
    quotes(SPAN("\\"), "\"\\\"", " E'\\\\'");
    quotes(SPAN("\xC3\xA9"), "\"\xC3\xA9\"", "'\xC3\xA9'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes), cmocka_unit_test(test_empty),   cmocka_unit_test(test_take),
        cmocka_unit_test(test_printf),         cmocka_unit_test(test_quoting),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
