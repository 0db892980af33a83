/* Base64: what goes in comes out, and nothing but its one form is read. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_both_ways(void **state)
{
    static const char *const pairs[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct strbuf out = STRBUF_INIT;
        uint8_t bytes[8];
        size_t len = 99;

        base64_put(&out, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(strbuf_str(&out), pairs[i][1]);
        assert_true(base64_decode(strbuf_span(&out), bytes, sizeof(bytes), &len));
        assert_int_equal(len, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], len);
        strbuf_fini(&out);
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = { "Z",      "Zg",    "Zg=",       "Zg===", "Zh==", "Zm9=",
                                       "Zm9v\n", " Zm9v", "Zm9v Zm9v", "Zm-_",  "====", "Zg==Zg==" };
    uint8_t bytes[8];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(base64_decode(span_str(bad[i]), bytes, sizeof(bytes), &len));
    assert_false(base64_decode(span_str("Zm9vYmFyZm9v"), bytes, sizeof(bytes), &len)); /* nine bytes */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways), cmocka_unit_test(test_refused) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
