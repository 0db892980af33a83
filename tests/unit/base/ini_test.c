#include "base/ini.h"

#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void on_setting(void *arg, int line, const char *section, const char *name, const char *value)
{
    strbuf_printf(arg, "%d [%s] %s=%s\n", line, section, name, value);
}

static void on_problem(void *arg, int line, const char *message)
{
    strbuf_printf(arg, "%d! %s\n", line, message);
}

static const struct ini_callbacks callbacks = { .setting = on_setting, .problem = on_problem };

static void reads(struct span text, const char *expected)
{
    struct strbuf out = STRBUF_INIT;

    ini_read(text, &callbacks, &out);
    assert_string_equal(strbuf_str(&out), expected);
    strbuf_fini(&out);
}

static void test_settings(void **state)
{
    (void)state;
    reads(SPAN(""), "");
    reads(SPAN("\n\n   \n\t\n"), "");
    reads(SPAN("a=1"), "1 [] a=1\n");
    reads(SPAN("# x\n; y\n\n[s]\n\n a = 1 \r\nb: 2\nc=\n"), "6 [s] a=1\n7 [s] b=2\n8 [s] c=\n");
    reads(SPAN("[s] ; comment\na = 1 ; comment\nb = 1;2\nc = x#y # z"), "2 [s] a=1\n3 [s] b=1;2\n4 [s] c=x#y # z\n");
    reads(SPAN("a = 'x y'\nb = \" z \"\nc = 'x\"\nd = '\ne = ''\nf = it's"),
          "1 [] a=x y\n2 [] b= z \n3 [] c='x\"\n4 [] d='\n5 [] e=\n6 [] f=it's\n");
    reads(SPAN("a = b = c\n"), "1 [] a=b = c\n");
    reads(SPAN("\xEF\xBB\xBF# x\na=1"), "2 [] a=1\n");
    reads(SPAN("[a long name of a section, with more bytes than libinih would keep of it]\na=1\n[]\nb=2"),
          "2 [a long name of a section, with more bytes than libinih would keep of it] a=1\n4 [] b=2\n");
    reads(SPAN("[s]\na=1\n   b=2\n"), "2 [s] a=1\n3 [s] b=2\n"); /* an indented line is no continuation */
}

static void test_problems(void **state)
{
    (void)state;
    reads(SPAN("junk"), "1! expected \"name = value\"\n");
    reads(SPAN("junk\na=1\n junk\n\n"), "1! expected \"name = value\"\n2 [] a=1\n3! expected \"name = value\"\n");
    reads(SPAN("=1\na=1"), "1! expected \"name = value\"\n2 [] a=1\n");
    reads(SPAN("[s\na=1"), "1! expected \"[section]\"\n2 [] a=1\n");
    reads(SPAN("[s] x\na=1"), "1! expected \"[section]\"\n2 [] a=1\n");
    reads(SPAN("a=\0"
               "1\nb=2"),
          "1! the line holds a zero byte\n2 [] b=2\n");
    reads(SPAN("a ; = 1\nb=2"), "1! expected \"name = value\"\n2 [] b=2\n");
}

static void test_long_lines(void **state)
{
    struct strbuf text = STRBUF_INIT, expected = STRBUF_INIT;

    (void)state;
    for (size_t len = INI_MAX_LINE_LEN - 1; len <= INI_MAX_LINE_LEN + 1; len++) {
        strbuf_puts(&text, "a=");
        for (size_t i = 2; i < len; i++)
            strbuf_putc(&text, 'x');
        strbuf_puts(&text, "\nb=2\n");
        strbuf_reset(&expected);
        if (len > INI_MAX_LINE_LEN)
            strbuf_puts(&expected, "1! the line is too long\n");
        else
            strbuf_printf(&expected, "1 [] %.*s\n", (int)len, strbuf_str(&text));
        strbuf_puts(&expected, "2 [] b=2\n");
        reads(strbuf_span(&text), strbuf_str(&expected));
        strbuf_reset(&text);
    }
    strbuf_fini(&text);
    strbuf_fini(&expected);
}

/* Whatever the bytes: nothing crashes, and no line is reported twice or out of order. */
static void test_any_bytes(void **state)
{
    static const char alphabet[] = "a=[];#:'\" \n\n\r\t\xEF\0x1";
    char text[200];
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct strbuf out = STRBUF_INIT;
        int last = 0;

        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1103515245u + 12345u;
            text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
        }
        ini_read(span_make(text, sizeof(text)), &callbacks, &out);
        for (const char *p = strbuf_str(&out); p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
            int line = atoi(p);

            if (line <= last)
                fail_msg("line %d after %d in round %d:\n%s", line, last, round, strbuf_str(&out));
            last = line;
        }
        strbuf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_any_bytes),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
