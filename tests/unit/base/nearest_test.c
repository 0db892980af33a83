#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *of(const char *typed)
{
    static const char *const known[] = { "port", "pool_size", "pool_mode", "pidfile", "server_lifetime" };
    struct nearest n = nearest_make(typed);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        nearest_offer(&n, known[i]);
    return nearest_get(&n);
}

static void test_nearest(void **state)
{
    char lengthy[200];

    (void)state;
    assert_string_equal(of("port"), "port");
    assert_string_equal(of("prt"), "port");
    assert_string_equal(of("pool_sizes"), "pool_size");
    assert_string_equal(of("pool_moed"), "pool_mode");
    assert_string_equal(of("serverlifetime"), "server_lifetime");
    assert_string_equal(of("prot"), "port"); /* a swap is one edit */
    assert_null(of("trop"));
    assert_null(of("x"));
    assert_null(of(""));
    assert_null(of("listen_addr"));
    memset(lengthy, 'p', sizeof(lengthy) - 1);
    lengthy[sizeof(lengthy) - 1] = '\0';
    assert_null(of(lengthy));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_nearest) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
