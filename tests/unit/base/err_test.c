#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_set(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(e.id, ERR_NONE);
    assert_false(err_set(&e, PB0104, "no %s at %d", "way", 7));
    assert_int_equal(e.id, PB0104);
    assert_string_equal(e.sqlstate, "22P04");
    assert_string_equal(e.message, "no way at 7");
    assert_false(err_detail(&e, "d%d", 1));
    assert_false(err_hint(&e, "h%d", 2));
    assert_false(err_state(&e, "42601"));
    e.position = 9;
    assert_string_equal(e.detail, "d1");
    assert_string_equal(e.hint, "h2");
    assert_string_equal(e.sqlstate, "42601");
    /* A new error has nothing of the old one. */
    (void)err_set(&e, PB0301, "other");
    assert_string_equal(e.sqlstate, "08006");
    assert_string_equal(e.message, "other");
    assert_string_equal(e.detail, "");
    assert_string_equal(e.hint, "");
    assert_int_equal(e.position, 0);
}

/* Too long is cut between characters, at every offset of the characters. */
static void test_truncation(void **state)
{
    struct err e = ERR_INIT;
    char text[4 * sizeof(e.message)];

    (void)state;
    for (size_t ascii = 0; ascii < 4; ascii++) {
        size_t len = 0;

        for (size_t i = 0; i < ascii; i++)
            text[len++] = 'x';
        while (len + 4 < sizeof(text)) {
            memcpy(text + len, "\xF0\x9F\x90\x98", 4);
            len += 4;
        }
        text[len] = '\0';
        (void)err_set(&e, PB0104, "%s", text);
        (void)err_detail(&e, "%s", text);
        (void)err_hint(&e, "%s", text);
        assert_int_equal((strlen(e.message) - ascii) % 4, 0);
        assert_int_equal((strlen(e.detail) - ascii) % 4, 0);
        assert_int_equal((strlen(e.hint) - ascii) % 4, 0);
        assert_true(strlen(e.message) + 4 >= sizeof(e.message));
        assert_true(strlen(e.hint) + 4 >= sizeof(e.hint));
    }
}

/* Every id has a name of its own, a title, and an SQLSTATE as PostgreSQL makes them. */
static void test_table(void **state)
{
    (void)state;
    assert_string_equal(err_id_name(ERR_NONE), "");
    for (int id = ERR_NONE + 1; id < ERR_ID_COUNT; id++) {
        struct err e = ERR_INIT;

        assert_int_equal(strlen(err_id_name((enum err_id)id)), 6);
        assert_true(strlen(err_id_title((enum err_id)id)) > 0);
        (void)err_set(&e, (enum err_id)id, "x");
        assert_int_equal(strspn(e.sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 5);
        for (int other = ERR_NONE + 1; other < id; other++)
            assert_string_not_equal(err_id_name((enum err_id)id), err_id_name((enum err_id)other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_table),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
