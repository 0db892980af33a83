#include "planner/modes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_take(void **state)
{
    static const struct {
        const char *name, *value;
        bool ok;
        struct txn_modes is;
    } cases[] = {
        { "transaction_isolation", "serializable", true, { .isolation = ISOLATION_SERIALIZABLE } },
        { "DEFAULT_transaction_isolation", "Repeatable Read", true, { .isolation = ISOLATION_REPEATABLE_READ } },
        { "transaction_isolation", "read", false, { 0 } },
        { "transaction_isolation", "", false, { 0 } },
        { "transaction_read_only", "on", true, { .read_only = MODE_ON } },
        { "transaction_read_only", "TR", true, { .read_only = MODE_ON } },
        { "transaction_read_only", "0", true, { .read_only = MODE_OFF } },
        { "transaction_read_only", "of", true, { .read_only = MODE_OFF } },
        { "transaction_read_only", "o", false, { 0 } },
        { "transaction_read_only", "offf", false, { 0 } },
        { "transaction_read_only", "", false, { 0 } },
        { "default_transaction_deferrable", "no", true, { .deferrable = MODE_OFF } },
        { "transaction_timeout", "1", false, { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct txn_modes m = { 0 };

        assert_int_equal(modes_take(&m, cases[i].name, cases[i].value), cases[i].ok);
        assert_true(modes_equal(&m, &cases[i].is));
    }
}

static void test_put(void **state)
{
    struct txn_modes from = { ISOLATION_READ_COMMITTED, MODE_OFF, MODE_OFF }, to = from, changes;
    struct strbuf sb = STRBUF_INIT;

    (void)state;
    changes = modes_changes(&from, &to);
    assert_false(modes_say_something(&changes));
    modes_put(&changes, &sb);
    assert_string_equal(strbuf_str(&sb), "");
    to.isolation = ISOLATION_SERIALIZABLE;
    to.deferrable = MODE_ON;
    changes = modes_changes(&from, &to);
    modes_put(&changes, &sb);
    assert_string_equal(strbuf_str(&sb), " ISOLATION LEVEL SERIALIZABLE, DEFERRABLE");
    modes_merge(&from, &changes);
    assert_true(modes_equal(&from, &to));
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_take), cmocka_unit_test(test_put) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
