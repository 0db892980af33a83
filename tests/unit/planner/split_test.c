#include "base/strbuf.h"
#include "installed_sql.h"
#include "planner/planner.h"

#include <pg_query.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MAX_SLICES 4096

static const struct plan_env standard = { .nonstandard_strings = false };
static const struct plan_env nonstandard = { .nonstandard_strings = true };
static struct literal slices[MAX_SLICES];

/* The slices, joined by '|'. */
static const char *split(struct strbuf *out, const char *sql, const struct plan_env *env)
{
    int n = planner_split(span_str(sql), env, slices, MAX_SLICES);

    strbuf_reset(out);
    if (n < 0)
        return "?";
    for (int i = 0; i < n; i++) {
        strbuf_puts(out, i ? "|" : "");
        strbuf_put(out, sql + slices[i].off, slices[i].len);
    }
    return strbuf_str(out);
}

static void test_cases(void **state)
{
    static const struct {
        const char *sql, *slices;
    } cases[] = {
        { "", "" },
        { "  \n", "" },
        { ";", "" },
        { " ; ;; ", "" },
        { "-- only a comment", "" },
        { "/* a */ ; -- b ;", "" },
        { "select 1", "select 1" },
        { "select 1;", "select 1" },
        { "\t select 1 ; \n", "select 1" },
        { "select 1;select 2", "select 1|select 2" },
        { "/* a */ select 1 /* b */ ; -- c\n select 2 -- d", "select 1|select 2" },
        { "select 1;;; select 2;;", "select 1|select 2" },
        /* comments that may be routing hints stay with their statement */
        { "/* pgbraid:key=1 */ select 1; select 2 /* b */", "/* pgbraid:key=1 */ select 1| select 2 /* b */" },
        { "select 1 -- pgbraid:key=1\n ;; select 2; /* pgbraid:key=2 */;", "select 1 -- pgbraid:key=1\n | select 2" },
        { "begin atomic; select 1 /* pgbraid:key=1 */; select 2", "?" },
        { "select ';', \";\", $$;$$, $a$;$$;$a$, E'\\';' ; select 2",
          "select ';', \";\", $$;$$, $a$;$$;$a$, E'\\';'|select 2" },
        { "select 1 /* ; /* ; */ ; */, 2; select 3 -- ;\n+ 4", "select 1 /* ; /* ; */ ; */, 2|select 3 -- ;\n+ 4" },
        { "select 'a\\'; select 2", "select 'a\\'|select 2" },
        { "create rule r as on insert to t do also (insert into u values (1); delete from v;); select 2",
          "create rule r as on insert to t do also (insert into u values (1); delete from v;)|select 2" },
        { "create function f() returns int begin atomic select 1; select case when true then 2 end; end; select 3",
          "create function f() returns int begin atomic select 1; select case when true then 2 end; end|select 3" },
        { "create function f() returns int begin atomic select 1 end; select 2 \"end\"; end",
          "create function f() returns int begin atomic select 1 end; select 2 \"end\"; end" },
        { "create or replace procedure p() BEGIN /* x */ ATOMIC insert into t values (1); END; call p()",
          "create or replace procedure p() BEGIN /* x */ ATOMIC insert into t values (1); END|call p()" },
        { "begin; select 1; end; select 2", "begin|select 1|end|select 2" },
        { "do $$ begin perform 1; end $$; select 1", "do $$ begin perform 1; end $$|select 1" },
        { "select 1); select 2", "select 1)|select 2" },
        /* cannot be cut: the parser is to tell what is wrong with the whole */
        { "select 1; select 'open", "?" },
        { "select 1; /* open", "?" },
        { "select 1; select $a$ ;", "?" },
        { "select 1; select 1a", "?" },
        { "create function f() begin atomic select; selct; end", "?" },
        /* one statement with nothing behind it is not looked at */
        { "select 'open;", "select 'open" },
    };
    struct strbuf out = STRBUF_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(split(&out, cases[i].sql, &standard), cases[i].slices);
    strbuf_fini(&out);
}

static void test_nonstandard_strings(void **state)
{
    struct strbuf out = STRBUF_INIT;

    (void)state;
    assert_string_equal(split(&out, "select 'a\\'; select 2 -- '; select 3", &nonstandard),
                        "select 'a\\'; select 2 -- '|select 3");
    strbuf_fini(&out);
}

static void test_cap(void **state)
{
    struct literal two[2];

    (void)state;
    assert_int_equal(planner_split(SPAN("a;b;c"), &standard, two, 2), 3);
    assert_int_equal(two[1].off, 2);
    assert_int_equal(planner_split(SPAN("a;b;c"), &standard, NULL, 0), 3);
}

/* psql's own lines are nothing for the server. */
static void drop_psql_lines(struct strbuf *text)
{
    for (char *line = text->ptr; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (*line == '\\')
            memset(line, ' ', strcspn(line, "\n"));
    }
}

static uint32_t compared;

/* The parser's slices begin and end with blanks and comments, ours do not: compare what is between them. */
static void check_file(const char *path, struct strbuf *text)
{
    PgQuerySplitResult theirs;
    int ours;

    drop_psql_lines(text);
    theirs = pg_query_split_with_parser(strbuf_str(text));
    if (!theirs.error) {
        ours = planner_split(strbuf_span(text), &standard, slices, MAX_SLICES);
        if (ours != theirs.n_stmts)
            fail_msg("%s: %d statements, not %d", path, ours, theirs.n_stmts);
        for (int i = 0; i < ours; i++) {
            int start = theirs.stmts[i]->stmt_location, end = start + theirs.stmts[i]->stmt_len;

            if ((int)slices[i].off < start || (int)(slices[i].off + slices[i].len) > end)
                fail_msg("%s: statement %d is at %u, not at %d", path, i, slices[i].off, start);
        }
        compared++;
    }
    pg_query_free_split_result(theirs);
}

static void test_installed_files(void **state)
{
    (void)state;
    assert_true(installed_sql_each(check_file) > 100);
    assert_true(compared > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_nonstandard_strings),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_installed_files),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
