#include "planner/parse.h"

#include "base/strbuf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *sql, size_t len, struct err *e)
{
    const PgQuery__ParseResult *tree;
    struct arena a;
    bool ok;

    *e = ERR_INIT;
    arena_init(&a, 0);
    ok = parse_sql(span_make(sql, len), &a, &tree, e);
    arena_fini(&a);
    return ok;
}

/* Message, SQLSTATE, position and hint as PostgreSQL 15.20 answers them; positions count characters. */
static void test_errors_are_postgresqls(void **state)
{
    static const struct {
        const char *sql, *sqlstate, *message;
        int position;
        const char *hint;
    } cases[] = {
        { "selct 1", "42601", "syntax error at or near \"selct\"", 1, "" },
        { "select 1 from", "42601", "syntax error at end of input", 14, "" },
        { "select 1 from; select 2", "42601", "syntax error at or near \";\"", 14, "" },
        { "select '\xc3\xa9' '\xc3\xbc'", "42601", "syntax error at or near \"'\xc3\xbc'\"", 12, "" },
        { "select '\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80', x from", "42601", "syntax error at end of input", 21, "" },
        { "select 'abc", "42601", "unterminated quoted string at or near \"'abc\"", 8, "" },
        { "select \"\"", "42601", "zero-length delimited identifier at or near \"\"\"\"", 8, "" },
        { "select /* x", "42601", "unterminated /* comment at or near \"/* x\"", 8, "" },
        { "select \xc3\xa9, 0x1f, 2", "42601", "trailing junk after numeric literal at or near \"0x1f\"", 11, "" },
        { "select 1e+", "42601", "trailing junk after numeric literal at or near \"1e+\"", 8, "" },
        { "select $1abc, 2", "42601", "trailing junk after parameter at or near \"$1abc\"", 8, "" },
        { "select E'\\u12'", "22025", "invalid Unicode escape", 10, "Unicode escapes must be \\uXXXX or \\UXXXXXXXX." },
        { "select U&'\\zzzz'", "42601", "invalid Unicode escape", 11, "Unicode escapes must be \\XXXX or \\+XXXXXX." },
        { "select * from (select 1)", "42601", "subquery in FROM must have an alias", 15,
          "For example, FROM (SELECT ...) [AS] foo." },
        { "select * from t limit 1,2", "42601", "LIMIT #,# syntax is not supported", 17,
          "Use separate LIMIT and OFFSET clauses." },
        { "create assertion a check (true)", "0A000", "CREATE ASSERTION is not yet implemented", 0, "" },
        { "select sum(x) over (rows unbounded following)", "42P20", "frame start cannot be UNBOUNDED FOLLOWING", 26,
          "" },
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(parse(cases[i].sql, strlen(cases[i].sql), &e));
        assert_int_equal(e.id, PB0202);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.sqlstate, cases[i].sqlstate);
        assert_string_equal(e.hint, cases[i].hint);
        assert_int_equal(e.position, cases[i].position);
    }
}

static void test_any_bytes(void **state)
{
    struct err e;
    char bytes[256];

    (void)state;
    assert_false(parse("select '\0'", 10, &e));
    assert_string_equal(e.sqlstate, "22021");
    assert_true(parse("select '\xff\xfe'", 11, &e));
    assert_true(parse("", 0, &e));
    assert_true(parse("-- x", 4, &e));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    assert_false(parse(bytes, sizeof(bytes), &e));
    assert_false(parse(bytes + 1, sizeof(bytes) - 1, &e));
    /* not NUL-terminated: the byte behind the span is not read */
    assert_true(parse("select 1!!!", 8, &e));
}

/* PostgreSQL takes it as one literal, libpg_query cannot. */
static void test_literal_behind_comment(void **state)
{
    static const char sql[] = "select 'a' -- x\n 'b'";
    struct err e;

    (void)state;
    assert_false(parse(sql, strlen(sql), &e));
    assert_int_equal(e.id, PB0204);
    assert_true(parse("select 'a'\n 'b' -- c", 20, &e));
}

static void test_tree(void **state)
{
    const PgQuery__ParseResult *tree;
    const PgQuery__SelectStmt *select;
    struct err e = ERR_INIT;
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    assert_true(parse_sql(SPAN("select 1; select 'b' where x = -5"), &a, &tree, &e));
    assert_int_equal(tree->n_stmts, 2);
    assert_int_equal(tree->stmts[1]->stmt_location, 9);
    select = tree->stmts[1]->stmt->select_stmt;
    assert_int_equal(select->target_list[0]->res_target->val->a_const->location, 17);
    assert_int_equal(select->where_clause->a_expr->rexpr->a_const->ival->ival, -5);
    arena_fini(&a);
}

/* Workers parse at the same time: each thread must get its own trees and errors. */
static void *parse_many(void *arg)
{
    struct strbuf sql = STRBUF_INIT;
    uintptr_t wrong = 0, thread = (uintptr_t)arg;
    struct err e;

    for (uintptr_t i = 0; i < 2000; i++) {
        const PgQuery__ParseResult *tree;
        struct arena a;

        arena_init(&a, 0);
        e = ERR_INIT;
        strbuf_reset(&sql);
        strbuf_printf(&sql, "select %u from t%u where x = 'y%u'", (unsigned)(i % 1000), (unsigned)thread, (unsigned)i);
        if (!parse_sql(strbuf_span(&sql), &a, &tree, &e) ||
            tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val->a_const->ival->ival != (int)(i % 1000))
            wrong++;
        strbuf_reset(&sql);
        strbuf_printf(&sql, "select 1 fro%u_%u x", (unsigned)thread, (unsigned)i);
        if (parse_sql(strbuf_span(&sql), &a, &tree, &e) || strcmp(e.message, "syntax error at or near \"x\"") != 0)
            wrong++;
        arena_fini(&a);
    }
    strbuf_fini(&sql);
    return (void *)wrong;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    void *wrong;

    (void)state;
    for (uintptr_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parse_many, (void *)i), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_postgresqls),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_literal_behind_comment),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
