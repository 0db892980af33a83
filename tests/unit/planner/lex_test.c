/*
 * The lexer against PostgreSQL's own scanner, over every SQL file that PostgreSQL installs and over texts made to trip
 * it up.
 */
#include "installed_sql.h"
#include "planner/lex.h"
#include "scan_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check_file(const char *path, struct strbuf *text)
{
    switch (scan_compare(strbuf_span(text))) {
    case SCAN_AGREES:
    case SCAN_DECLINED:
        break;
    case SCAN_REFUSED:
    case SCAN_UNNOTICED:
    case SCAN_DIFFERS:
        fail_msg("%s", path);
    }
}

/* psql's backslash commands in them are bytes no token starts with, so most files are "declined": the spans still
 * agree. */
static void test_installed_files(void **state)
{
    (void)state;
    assert_true(installed_sql_each(check_file) > 100);
}

static void test_tricky_texts(void **state)
{
    static const struct {
        const char *sql;
        enum scan_verdict verdict;
    } cases[] = {
        { "select 1, 2.5, .5, 5., 1e3, 1.e-3, .5E+2", SCAN_AGREES },
        { "select 1..2", SCAN_AGREES },
        { "select 1...2", SCAN_AGREES },
        { "select 1.2.3, a.5, a .5, a. 5", SCAN_AGREES },
        { "select 2147483647, 2147483648, 0000000000000002147483647, 00000000002147483648", SCAN_AGREES },
        { "select 9223372036854775807, 9223372036854775808, 0", SCAN_AGREES },
        { "select 1a", SCAN_REFUSED },
        { "select 1_000", SCAN_REFUSED },
        { "select 0x1f", SCAN_REFUSED },
        { "select 1e", SCAN_REFUSED },
        { "select 1e+", SCAN_REFUSED },
        { "select 1.5e", SCAN_REFUSED },
        { "select 1e5e", SCAN_REFUSED },
        { "select 1\xc3\xa9", SCAN_REFUSED },
        { "select $1, $2::int, $10", SCAN_AGREES },
        { "select $1a", SCAN_REFUSED },
        { "select $1$$a$$", SCAN_AGREES },
        { "select 1$$a$$", SCAN_AGREES },
        { "select a$1, a$b$c$, t1, _2, x9y8", SCAN_AGREES },
        { "select 'a''b', '', '''', 'a\\'", SCAN_AGREES },
        { "select 'a' 'b'", SCAN_AGREES },
        { "select 'a'\n'b'", SCAN_DECLINED },
        { "select 'a'\r'b', 2", SCAN_DECLINED },
        { "select 'a' -- 'b'", SCAN_AGREES },
        { "select 'a' /* x */\n 'b'", SCAN_AGREES },
        { "select 'a'\n- 'b'", SCAN_AGREES },
        { "select 'a'\n--\n", SCAN_AGREES },
        { "select 'a'\nE'b'", SCAN_AGREES },
        { "select E'a'\n'b\\'c', 4", SCAN_DECLINED },
        { "select B'01'\n'10', X'1f' 'x'", SCAN_DECLINED },
        { "select E'a\\'b', e'\\\\', E'''', E'\\\\'''", SCAN_AGREES },
        { "select E'\\'", SCAN_REFUSED },
        { "select 'open", SCAN_REFUSED },
        { "select 'open''", SCAN_REFUSED },
        { "select 'a'\n'open", SCAN_REFUSED },
        { "select b'01', B'', x'ff', X'1'", SCAN_AGREES },
        { "select b'1''0'", SCAN_AGREES },
        { "select n'a', N'a''b', nn'a', xx'a', ee'a\\', bb'1'", SCAN_AGREES },
        { "select U&'a', 1", SCAN_DECLINED },
        { "select u&'!0061' uescape '!', 1", SCAN_DECLINED },
        { "select U&\"a\", 1", SCAN_DECLINED },
        { "select u & 1, u&1, U&x, xu&'a'", SCAN_AGREES },
        { "select U&\"a", SCAN_REFUSED },
        { "select $$a$b$$, $a$ $$ $b$ $a$, $x1$$x1$, $_$'$_$", SCAN_AGREES },
        { "select $a$ $ba$a$, 1", SCAN_AGREES },
        { "select $a$ $$a$, 1", SCAN_AGREES },
        { "select $a$ $A$ $a$", SCAN_AGREES },
        { "select $\xc3\xa9$x$\xc3\xa9$", SCAN_AGREES },
        { "select $a$ open", SCAN_REFUSED },
        { "select $$ open $", SCAN_REFUSED },
        { "select $ 1", SCAN_DECLINED },
        { "select $a 1", SCAN_DECLINED },
        { "select $1$ 1", SCAN_DECLINED },
        { "select \"a\"\"1\", \"'\", \"--\" from \"/*\"", SCAN_AGREES },
        { "select \"open", SCAN_REFUSED },
        { "select 1 -- 2 'x\n, 3", SCAN_AGREES },
        { "select 1 -- 2\r, 3", SCAN_AGREES },
        { "select 1--2", SCAN_AGREES },
        { "select 1 /* 2 /* 3 */ 4 */ , 5", SCAN_AGREES },
        { "select 1 /*/ 2 */ , 5", SCAN_AGREES },
        { "select 1 /**/ , 5 /***/, 6 /* **/, 7", SCAN_AGREES },
        { "select 1 /* /*/ */ */ , 5", SCAN_AGREES },
        { "select 1 /* '*/ , 'x' /* */", SCAN_AGREES },
        { "select 1 /* open", SCAN_REFUSED },
        { "select 1 /* /* */", SCAN_REFUSED },
        { "select 1 */*x*/ 2, 1 +--\n 3, 1*-/**/4, @-1, 1/ *2", SCAN_AGREES },
        { "select -1, - 1, +1, 1-1, 1 - -1", SCAN_AGREES },
        { "select x::int4, y:=1, z=>2, a[1:2], a->'b'->>0, a?'k', a@>'{1}'", SCAN_AGREES },
        { "select 1\v2", SCAN_DECLINED },
        { "select \x01, 1", SCAN_DECLINED },
        { "select {1}", SCAN_DECLINED },
        { "\\echo 1", SCAN_DECLINED },
        { "select '\xff\xfe', \"\xff\", \xff", SCAN_AGREES },
        { "", SCAN_AGREES },
        { "   ", SCAN_AGREES },
        { "-- only", SCAN_AGREES },
        { "interval '1' day, date '2020-01-01', 1::numeric(10,2)", SCAN_AGREES },
    };

    uint32_t failed = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum scan_verdict got = scan_compare(span_str(cases[i].sql));

        if (got != cases[i].verdict)
            print_error("%s: verdict %d, expected %d\n", cases[i].sql, (int)got, (int)cases[i].verdict), failed++;
    }
    assert_int_equal(failed, 0);
}

/*
 * A -- comment among the blanks does not end a continued literal. Here pg_query_scan differs from PostgreSQL, so the
 * expectations are a server's.
 */
static void test_comment_in_literal(void **state)
{
    static const char *const cases[] = { "'a' -- 'x'\n 'b'", "'a'--\r'b'", "E'a'\n-- x\n\t\f-- y\n 'b\\'c'" };
    struct lex_token t;
    struct lex l;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        lex_init(&l, span_str(cases[i]), false);
        lex_next(&l, &t);
        assert_int_equal(t.kind, LEX_ODD_STRING);
        assert_ptr_equal(t.end, l.end);
        assert_true(l.saw_comment_in_literal);
    }
}

/* Integer types by value, as make_const does: pg_query_scan does not tell int8 from numeric. */
static void test_integer_types(void **state)
{
    static const struct {
        const char *sql;
        enum lex_kind kind;
    } cases[] = {
        { "0", LEX_INT4 },
        { "000000000000000000000000000001", LEX_INT4 },
        { "2147483647", LEX_INT4 },
        { "2147483648", LEX_INT8 },
        { "9223372036854775807", LEX_INT8 },
        { "00009223372036854775807", LEX_INT8 },
        { "9223372036854775808", LEX_NUMERIC },
        { "12345678901234567890123", LEX_NUMERIC },
        { "1.0", LEX_NUMERIC },
        { "1e0", LEX_NUMERIC },
        { ".5", LEX_NUMERIC },
    };
    struct lex_token t;
    struct lex l;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        lex_init(&l, span_str(cases[i].sql), false);
        lex_next(&l, &t);
        assert_int_equal(t.kind, cases[i].kind);
        lex_next(&l, &t);
        assert_int_equal(t.kind, LEX_END);
    }
}

/* Any cut of a text must be read within its bounds: the end of the buffer is the end of the span. */
static void test_every_prefix(void **state)
{
    static const char sql[] =
        "select E'a\\'b', U&'x', $t$ y $t$, 1.5e+3, /* c /* d */ */ 'p'\n'q' -- z\n, u&\"n\", \"m\"\"\"";
    struct lex_token t;
    struct lex l;

    (void)state;
    for (size_t len = 0; len < sizeof(sql); len++) {
        char *exact = test_malloc(len ? len : 1);
        size_t tokens = 0;

        memcpy(exact, sql, len);
        lex_init(&l, span_make(exact, len), false);
        for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
            assert_true(t.end > t.start && t.end <= l.end);
            tokens++;
        }
        assert_true(tokens <= len);
        test_free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_installed_files),    cmocka_unit_test(test_tricky_texts),
        cmocka_unit_test(test_comment_in_literal), cmocka_unit_test(test_integer_types),
        cmocka_unit_test(test_every_prefix),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
