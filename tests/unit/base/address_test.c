/* Addresses and networks. */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool in(const char *network, const char *address)
{
    struct network n;
    struct address a;

    assert_true(network_parse(network, &n));
    assert_true(address_parse(address, &a));
    return network_contains(&n, &a);
}

static void test_networks(void **state)
{
    (void)state;
    assert_true(in("10.0.0.0/8", "10.255.1.2"));
    assert_false(in("10.0.0.0/8", "11.0.0.0"));
    assert_true(in("192.168.1.77", "192.168.1.77"));
    assert_false(in("192.168.1.77", "192.168.1.78"));
    assert_true(in("0.0.0.0/0", "255.255.255.255"));
    assert_true(in("192.168.1.128/25", "192.168.1.129"));
    assert_false(in("192.168.1.128/25", "192.168.1.127"));
    assert_true(in("::1/128", "::1"));
    assert_true(in("fe80::/10", "febf::1"));
    assert_false(in("fe80::/10", "fec0::1"));
    assert_false(in("::/0", "1.2.3.4"));
    assert_false(in("0.0.0.0/0", "::1"));
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",           "10",      "10.0.0.0/33", "10.0.0.0/-1",   "10.0.0.0/", "10.0.0.0/8x",
        "10.0.0.256", "::1/129", "localhost",   "10.0.0.0/08/8", " 10.0.0.1"
    };
    struct network n;
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(network_parse(bad[i], &n));
    assert_false(address_parse("10.0.0.0/8", &a));
}

static void test_print(void **state)
{
    static const char *const texts[] = { "10.1.2.3", "::1", "2001:db8::ff00:42:8329" };
    char out[ADDRESS_TEXT_LEN];
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(address_parse(texts[i], &a));
        address_print(&a, out);
        assert_string_equal(out, texts[i]);
    }
    a.len = 0;
    address_print(&a, out);
    assert_string_equal(out, "[local]");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_networks), cmocka_unit_test(test_refused),
                                        cmocka_unit_test(test_print) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
