/* The PROXY protocol's header, as golden bytes. */
#include "wire/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of its own size. */
static enum proxy_result parse(const void *bytes, size_t len, struct proxy_header *out, size_t *used)
{
    char *copy = malloc(len ? len : 1);
    enum proxy_result result;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    result = proxy_parse(span_make(copy, len), out, used);
    free(copy);
    return result;
}

static void good(const void *bytes, size_t len, size_t header, const char *source, unsigned port)
{
    struct proxy_header h;
    size_t used = 0;
    char text[ADDRESS_TEXT_LEN];

    for (size_t n = 0; n < header; n++)
        assert_int_equal(parse(bytes, n, &h, &used), PROXY_MORE);
    assert_int_equal(parse(bytes, len, &h, &used), PROXY_OK);
    assert_int_equal(used, header);
    address_print(&h.source, text);
    assert_string_equal(text, source);
    assert_int_equal(h.port, port);
}

static void test_version_1(void **state)
{
    static const struct {
        const char *line, *source;
        unsigned port;
    } lines[] = {
        { "PROXY TCP4 192.168.0.1 10.0.0.7 56324 443\r\n", "192.168.0.1", 56324 },
        { "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n", "2001:db8::1", 65535 },
        { "PROXY UNKNOWN\r\n", "[local]", 0 },
        { "PROXY UNKNOWN ffff::1 whatever it says\r\n", "[local]", 0 },
    };
    static const char *const bad[] = {
        "PROXY \r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    };
    char all[160];
    struct proxy_header h;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t n = strlen(lines[i].line);

        memcpy(all, lines[i].line, n);
        memcpy(all + n, "next", 4);
        good(all, n + 4, n, lines[i].source, lines[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse(bad[i], strlen(bad[i]), &h, &used), PROXY_BAD);
    memset(all, 'x', sizeof(all));
    memcpy(all, "PROXY UNKNOWN ", 14);
    assert_int_equal(parse(all, 106, &h, &used), PROXY_MORE);
    assert_int_equal(parse(all, sizeof(all), &h, &used), PROXY_BAD); /* a line without an end */
}

static const char head[] = "\r\n\r\n\0\r\nQUIT\n";

static size_t version_2(char *out, const char *rest, size_t n)
{
    memcpy(out, head, 12);
    memcpy(out + 12, rest, n);
    return 12 + n;
}

static void test_version_2(void **state)
{
    static const char v4[] = "\x21\x11\0\x0c"
                             "\x0a\1\2\3"
                             "\x0a\0\0\1"
                             "\x12\x34\x15\x38";
    static const char v4_more[] = "\x21\x11\0\x10"
                                  "\x0a\1\2\3"
                                  "\x0a\0\0\1"
                                  "\x12\x34\x15\x38"
                                  "\4\0\1x";
    static const char v6[] = "\x21\x21\0\x24"
                             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
                             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"
                             "\0\7\0\1";
    static const char local[] = "\x20\0\0\0", unix_socket[] = "\x21\x31\0\0";
    static const char short_v4[] = "\x21\x11\0\x0b"
                                   "\x0a\1\2\3"
                                   "\x0a\0\0\1"
                                   "\x12\x34\x15";
    static const char version_3[] = "\x31\x11\0\0", command_2[] = "\x22\x11\0\0", long_one[] = "\x21\x11\x08\0";
    char all[128];
    struct proxy_header h;
    size_t used, n;

    (void)state;
    n = version_2(all, v4, sizeof(v4) - 1);
    good(all, n, n, "10.1.2.3", 0x1234);
    n = version_2(all, v4_more, sizeof(v4_more) - 1);
    good(all, n, n, "10.1.2.3", 0x1234);
    n = version_2(all, v6, sizeof(v6) - 1);
    good(all, n, n, "::1", 7);
    n = version_2(all, local, sizeof(local) - 1);
    good(all, n, n, "[local]", 0);
    n = version_2(all, unix_socket, sizeof(unix_socket) - 1);
    good(all, n, n, "[local]", 0);
    n = version_2(all, short_v4, sizeof(short_v4) - 1);
    assert_int_equal(parse(all, n, &h, &used), PROXY_BAD);
    n = version_2(all, version_3, 4);
    assert_int_equal(parse(all, n, &h, &used), PROXY_BAD);
    n = version_2(all, command_2, 4);
    assert_int_equal(parse(all, n, &h, &used), PROXY_BAD);
    n = version_2(all, long_one, 4);
    assert_int_equal(parse(all, n, &h, &used), PROXY_BAD);
    all[11] = ' ';
    assert_int_equal(parse(all, n, &h, &used), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_version_1), cmocka_unit_test(test_version_2) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
