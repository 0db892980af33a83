/* Backend messages: golden frames of what the router answers, and how what servers send is read and rewritten. */
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void is_frame(struct strbuf *sb, struct span expected)
{
    assert_int_equal(sb->len, expected.len);
    assert_memory_equal(sb->ptr, expected.ptr, expected.len);
    strbuf_reset(sb);
}

static void test_builders(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    const struct be_column columns[] = { { "n", OID_INT8 }, { "t", OID_TEXT }, { "i", OID_INT4 }, { "b", OID_BOOL } };
    const struct span values[] = { SPAN("12"), { 0 }, SPAN("") };

    (void)state;
    be_put_ready(&sb, 'T');
    is_frame(&sb, SPAN("Z\0\0\0\5T"));
    be_put_command_complete(&sb, "SELECT 1");
    is_frame(&sb, SPAN("C\0\0\0\x0DSELECT 1\0"));
    be_put_parameter_status(&sb, "TimeZone", "UTC");
    is_frame(&sb, SPAN("S\0\0\0\x11TimeZone\0UTC\0"));
    be_put_key_data(&sb, 0x01020304, 0xFFFEFDFC);
    is_frame(&sb, SPAN("K\0\0\0\x0C\1\2\3\4\xFF\xFE\xFD\xFC"));
    be_put_auth(&sb, AUTH_OK, (struct span){ .ptr = NULL });
    is_frame(&sb, SPAN("R\0\0\0\x08\0\0\0\0"));
    be_put_row_description(&sb, columns, 4);
    is_frame(&sb, SPAN("T\0\0\0\x56\0\4"
                       "n\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xFF\xFF\xFF\xFF\0\0"
                       "t\0\0\0\0\0\0\0\0\0\0\x19\xFF\xFF\xFF\xFF\xFF\xFF\0\0"
                       "i\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xFF\xFF\xFF\xFF\0\0"
                       "b\0\0\0\0\0\0\0\0\0\0\x10\0\x01\xFF\xFF\xFF\xFF\0\0"));
    be_put_row_description(&sb, NULL, 0);
    is_frame(&sb, SPAN("T\0\0\0\6\0\0"));
    be_put_data_row(&sb, values, 3);
    is_frame(&sb, SPAN("D\0\0\0\x14\0\3\0\0\0\2"
                       "12\xFF\xFF\xFF\xFF\0\0\0\0"));
    be_put_data_row(&sb, NULL, 0);
    is_frame(&sb, SPAN("D\0\0\0\6\0\0"));
    strbuf_fini(&sb);
}

static void test_error(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, PB0104, "no");
    be_put_error(&sb, "ERROR", &e); /* the stable id is in the detail, alone or behind it */
    is_frame(&sb, SPAN("E\0\0\0\x28SERROR\0VERROR\0C22P04\0Mno\0D[PB0104]\0\0"));
    err_detail(&e, "why");
    err_hint(&e, "do");
    e.position = 12;
    be_put_error(&sb, "FATAL", &e);
    is_frame(&sb, SPAN("E\0\0\0\x34SFATAL\0VFATAL\0C22P04\0Mno\0Dwhy [PB0104]\0Hdo\0P12\0\0"));
    e.id = ERR_NONE; /* a server's: nothing of ours in it */
    be_put_error(&sb, "ERROR", &e);
    is_frame(&sb, SPAN("E\0\0\0\x2BSERROR\0VERROR\0C22P04\0Mno\0Dwhy\0Hdo\0P12\0\0"));
    e.detail[0] = e.hint[0] = '\0';
    e.position = 0;
    be_put_notice(&sb, "WARNING", &e);
    is_frame(&sb, SPAN("N\0\0\0\x22SWARNING\0VWARNING\0C22P04\0Mno\0\0"));
    strbuf_fini(&sb);
}

static void test_decode_error(void **state)
{
    static const struct span body = SPAN("SFEHLER\0VERROR\0C42P01\0Mno table\0Dd\0Hh\0P8\0Wwhere\0Ffile.c\0\0");
    struct be_error f;
    struct err e = ERR_INIT;

    (void)state;
    assert_true(be_decode_error(body, &f));
    assert_true(span_eq(f.severity, SPAN("ERROR"))); /* not the translated one */
    assert_true(span_eq(f.sqlstate, SPAN("42P01")));
    assert_true(span_eq(f.message, SPAN("no table")));
    assert_true(span_eq(f.detail, SPAN("d")));
    assert_true(span_eq(f.hint, SPAN("h")));
    assert_true(span_eq(f.position, SPAN("8")));
    be_error_to_err(body, &e);
    assert_int_equal(e.id, ERR_NONE);
    assert_string_equal(e.sqlstate, "42P01");
    assert_string_equal(e.message, "no table");
    assert_string_equal(e.detail, "d");
    assert_string_equal(e.hint, "h");
    assert_int_equal(e.position, 8);
    assert_true(be_decode_error(SPAN("SFATAL\0\0"), &f));
    assert_true(span_eq(f.severity, SPAN("FATAL"))); /* old servers have no V */
    assert_null(f.message.ptr);
    for (size_t len = 0; len < body.len; len++) {
        char *piece = malloc(len ? len : 1);

        memcpy(piece, body.ptr, len);
        assert_false(be_decode_error(span_make(piece, len), &f));
        be_error_to_err(span_make(piece, len), &e);
        assert_int_equal(e.id, PB0301);
        free(piece);
    }
    assert_false(be_decode_error(SPAN("SFATAL\0\0x"), &f));
    be_error_to_err(SPAN("C42P\0Mx\0\0"), &e); /* an SQLSTATE of four letters */
    assert_int_equal(e.id, PB0301);
}

/* What does not fit is cut between characters. */
static void test_long_error(void **state)
{
    struct strbuf body = STRBUF_INIT;
    struct err e = ERR_INIT;
    size_t room = sizeof(e.message) - 1;

    (void)state;
    for (size_t ascii = 0; ascii < 4; ascii++) {
        size_t euros = (room - ascii) / 3;

        strbuf_reset(&body);
        strbuf_put(&body, "C42P01\0M", 8);
        for (size_t i = 0; i < ascii; i++)
            strbuf_putc(&body, 'x');
        for (size_t i = 0; i < room; i++)
            strbuf_puts(&body, "\xE2\x82\xAC");
        strbuf_put(&body, "\0", 2);
        be_error_to_err(strbuf_span(&body), &e);
        assert_int_equal(strlen(e.message), ascii + 3 * euros);
        assert_memory_equal(e.message + strlen(e.message) - 3, "\xE2\x82\xAC", 3);
    }
    strbuf_reset(&body);
    strbuf_put(&body, "C42P01\0M", 8);
    for (size_t i = 0; i < room; i++)
        strbuf_putc(&body, 'x');
    strbuf_put(&body, "\0", 2);
    be_error_to_err(strbuf_span(&body), &e);
    assert_int_equal(strlen(e.message), room); /* it just fits */
    strbuf_fini(&body);
}

static void rewrites(struct span body, int shift, bool drop, const char *context, struct span expected)
{
    struct strbuf sb = STRBUF_INIT;
    char *copy = malloc(body.len ? body.len : 1);

    memcpy(copy, body.ptr, body.len);
    be_put_error_rewritten(&sb, 'E', span_make(copy, body.len), shift, drop, context);
    free(copy);
    assert_int_equal(sb.ptr[0], 'E');
    assert_int_equal((unsigned char)sb.ptr[4], sb.len - 1);
    assert_int_equal(sb.len - 5, expected.len);
    assert_memory_equal(sb.ptr + 5, expected.ptr, expected.len);
    strbuf_fini(&sb);
}

/* Rule P53: positions are the client's text's, the context says where. */
static void test_rewrite(void **state)
{
    (void)state;
    rewrites(SPAN("SERROR\0Mx\0P8\0\0"), 0, false, NULL, SPAN("SERROR\0Mx\0P8\0\0"));
    rewrites(SPAN("SERROR\0Mx\0P8\0Ff\0\0"), 12, false, NULL, SPAN("SERROR\0Mx\0P20\0Ff\0\0"));
    rewrites(SPAN("SERROR\0Mx\0P8\0\0"), -7, false, NULL, SPAN("SERROR\0Mx\0P1\0\0"));
    rewrites(SPAN("SERROR\0Mx\0P8\0\0"), -8, false, NULL, SPAN("SERROR\0Mx\0\0")); /* before the client's text */
    rewrites(SPAN("SERROR\0Mx\0P8\0\0"), 1, true, NULL, SPAN("SERROR\0Mx\0\0"));
    rewrites(SPAN("SERROR\0P2147483647\0\0"), 2147483647, false, NULL,
             SPAN("SERROR\0\0")); /* no server counts so far */
    rewrites(SPAN("SERROR\0P2147483639\0\0"), 2147483647, false, NULL, SPAN("SERROR\0P4294967286\0\0"));
    rewrites(SPAN("SERROR\0Px\0\0"), 1, false, NULL, SPAN("SERROR\0\0"));
    rewrites(SPAN("Mx\0\0"), 0, false, "shard 2", SPAN("Mx\0Wshard 2\0\0"));
    rewrites(SPAN("Mx\0Wline 1\0Ff\0\0"), 0, false, "shard 2", SPAN("Mx\0Wline 1\nshard 2\0Ff\0\0"));
    /* Cut off anywhere, it is still a whole message. */
    rewrites(SPAN(""), 1, false, NULL, SPAN("\0"));
    rewrites(SPAN("Mx"), 1, false, NULL, SPAN("M\0\0"));
    rewrites(SPAN("P"), 1, false, NULL, SPAN("\0"));
    rewrites(SPAN("P8"), 1, false, "c", SPAN("Wc\0\0"));
    rewrites(SPAN("W"), 1, false, "c", SPAN("W\nc\0\0"));
}

static void tag(const char *text, bool ok, uint64_t count, const char *prefix)
{
    uint64_t n = 7;
    size_t prefix_len = 7;

    assert_int_equal(be_tag_count(span_str(text), &n, &prefix_len), ok);
    if (ok) {
        assert_int_equal(n, count);
        assert_true(span_eq(span_make(text, prefix_len), span_str(prefix)));
    } else {
        assert_true(n == 7 && prefix_len == 7);
    }
}

static void test_tags(void **state)
{
    (void)state;
    tag("INSERT 0 5", true, 5, "INSERT 0 ");
    tag("UPDATE 0", true, 0, "UPDATE ");
    tag("SELECT 18446744073709551615", true, UINT64_MAX, "SELECT ");
    tag("SELECT 18446744073709551616", false, 0, NULL);
    tag("SELECT 99999999999999999999999999", false, 0, NULL);
    tag("COPY 007", true, 7, "COPY ");
    tag("BEGIN", false, 0, NULL);
    tag("CREATE TABLE", false, 0, NULL);
    tag("", false, 0, NULL);
    tag("5", false, 0, NULL);
    tag("X5", false, 0, NULL);
    tag("SELECT 5 ", false, 0, NULL);
    tag(" 5", true, 5, " ");
}

static void test_data_row(void **state)
{
    static const struct span body = SPAN("\0\3\0\0\0\2ab\377\377\377\377\0\0\0\0");
    struct span v[3];

    (void)state;
    assert_int_equal(be_decode_data_row(body, v, 3), 3);
    assert_true(span_eq(v[0], SPAN("ab")));
    assert_null(v[1].ptr);
    assert_true(v[2].ptr && v[2].len == 0);
    assert_int_equal(be_decode_data_row(body, v, 2), -1); /* more than there is room for */
    assert_int_equal(be_decode_data_row(SPAN("\0\0"), v, 0), 0);
    for (size_t len = 0; len < body.len; len++) {
        char *piece = malloc(len ? len : 1);

        memcpy(piece, body.ptr, len);
        assert_int_equal(be_decode_data_row(span_make(piece, len), v, 3), -1);
        free(piece);
    }
    assert_int_equal(be_decode_data_row(SPAN("\0\0x"), v, 3), -1);
    assert_int_equal(be_decode_data_row(SPAN("\0\1\377\377\377\376xx"), v, 3), -1);
    assert_int_equal(be_decode_data_row(SPAN("\0\1\177\377\377\377xx"), v, 3), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builders),   cmocka_unit_test(test_error),   cmocka_unit_test(test_decode_error),
        cmocka_unit_test(test_long_error), cmocka_unit_test(test_rewrite), cmocka_unit_test(test_tags),
        cmocka_unit_test(test_data_row),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
