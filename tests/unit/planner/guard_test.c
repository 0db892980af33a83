/*
 * The guard's promise: whatever passes it can be parsed, packed and unpacked with half of PLANNER_STACK_BYTES. Each
 * construct is tried at the largest size that passes, found by bisection, in a thread with that stack: a guard that is
 * too generous ends this program with a segmentation fault.
 */
#include "planner/guard.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "planner/parse.h"
#include "planner/planner.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* CPU time of one statement: seconds would be quadratic. A sanitizer makes it several times as slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CPU_MS 5000
#else
#define CPU_MS 1000
#endif

/* before, (repeated) left, middle, (repeated) right, after */
struct construct {
    const char *before, *left, *middle, *right, *after;
};

static const struct construct constructs[] = {
    { "select 1", "+1", "", "", "" },
    { "select 'a'", "||'a'", "", "", "" },
    { "select ", "not ", "x", "", "" },
    { "select ", "- ", "x", "", "" },
    { "select ", "@ ", "x", "", "" },
    { "select \"a\"", "+-1", "", "", "" },
    { "select \"a\"", "@>- \"a\"", "", "", "" },
    { "select ", "operator(pg_catalog.-) ", "x", "", "" },
    { "select ", "(", "1", ")", "" },
    { "select ", "array[", "1", "]", "" },
    { "select array", "[", "1", "]", "" },
    { "select ", "f(", "1", ")", "" },
    { "select ", "(1,", "1", ")", "" },
    { "select ", "(select ", "1", ")", "" },
    { "select * from t", ",(select * from t", "", ") x", "" },
    { "", "select * from (", "select 1", ") x", "" },
    { "select 1 from ", "(select 1 from ", "t", ")x", "" },
    { "select ", "case when ", "x", " then 1 end", "" },
    { "select ", "case when x then ", "1", " end", "" },
    { "select ", "case when x then 1 else ", "1", " end", "" },
    { "select ", "case ", "x", " when 1 then 1 end", "" },
    { "select ", "not case when ", "x", " then 1 end", "" },
    { "select case x.end when x.end then ", "case when x.end then ", "1", " end", " end" },
    { "select case x .  end when 1 then ", "case when y.\"end\" .end then ", "1", " end", " end" },
    { "select 1", " union select 1", "", "", "" },
    { "select 1, 2", " union all select 1, 2", "", "", "" },
    { "select 1 where a and b", " except select 1 where a or b", "", "", "" },
    { "", "(select 1 union ", "select 1", ")", "" },
    { "values (1)", " intersect values (1)", "", "", "" },
    { "select * from a", " join a on true", "", "", "" },
    { "select * from a", " join a on x and y or z", "", "", "" },
    { "select * from a", " natural join a", "", "", "" },
    { "select * from ", "a join ", "a", " on true", "" },
    { "select * from ", "(a cross join ", "a", ")", "" },
    { "", "with a as (", "select 1", ") select 1", "" },
    { "", "with a as (insert into t ", "select 1", ") select 1", "" },
    { "select a", " between 1 and not b", "", "", "" },
    { "select ", "a between 1 and not ", "b", "", "" },
    { "select ", "a not between symmetric 1 and not ", "b", "", "" },
    { "select 1", "::int", "", "", "" },
    { "select ", "cast(", "1", " as int)", "" },
    { "select x", " collate c", "", "", "" },
    { "select x", " at time zone 'u'", "", "", "" },
    { "select ", "x[", "1", "]", "" },
    { "select ", "(", "x", ").a", "" },
    { "select ", "exists(select ", "1", ")", "" },
    { "", "select x in (", "select 1", ")", "" },
    { "select 1 group by ", "grouping sets(", "x", ")", "" },
    { "select ", "xmlconcat(", "x", ")", "" },
    { "select ", "f() over (order by ", "x", ")", "" },
    { "select ", "f() filter (where ", "x", ")", "" },
    { "select ", "(select 1 where ", "x", ")", "" },
    { "", "select limit (", "select 1", ")", "" },
    { "", "select (", "select", ")", "" },
    { "update t set (a)=", "(select ", "1", ")", "" },
    { "select * from rows from(", "f(", "1", ")", ")" },
    { "create table t(a int check ", "(", "true", ")", ")" },
};

static void build(struct strbuf *out, const struct construct *c, uint32_t n)
{
    strbuf_reset(out);
    strbuf_puts(out, c->before);
    for (uint32_t i = 0; i < n; i++)
        strbuf_puts(out, c->left);
    strbuf_puts(out, c->middle);
    for (uint32_t i = 0; i < n; i++)
        strbuf_puts(out, c->right);
    strbuf_puts(out, c->after);
}

/* The largest size that passes, or `most`. */
static uint32_t largest(struct strbuf *out, const struct construct *c, uint32_t most)
{
    struct err e = ERR_INIT;
    uint32_t low = 0, high = most, middle;

    while (low < high) {
        middle = (low + high + 1) / 2;
        build(out, c, middle);
        if (guard_check(strbuf_span(out), &e))
            low = middle;
        else
            high = middle - 1;
    }
    build(out, c, low);
    return low;
}

struct parse_job {
    struct span sql;
    struct err e;
    bool ok;
    double cpu_ms;
};

static void *parse_main(void *arg)
{
    struct parse_job *job = arg;
    const PgQuery__ParseResult *tree;
    struct timespec t;
    struct arena a;

    arena_init(&a, 0);
    job->ok = parse_sql(job->sql, &a, &tree, &job->e);
    arena_fini(&a);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    job->cpu_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
    return NULL;
}

static void parse_in_thread(struct parse_job *job, size_t stack_size)
{
    pthread_attr_t attr;
    pthread_t thread;

    job->e = ERR_INIT;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, stack_size), 0);
    assert_int_equal(pthread_create(&thread, &attr, parse_main, job), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

static void test_largest_that_pass(void **state)
{
    struct strbuf sql = STRBUF_INIT;
    struct parse_job job;
    uint32_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(constructs); i++) {
        n = largest(&sql, &constructs[i], 60000);
        assert_true(n >= 500);
        job.sql = strbuf_span(&sql);
        parse_in_thread(&job, PLANNER_STACK_BYTES / 2);
        /* PostgreSQL's parser has a limit of its own for what is nested to the right */
        if (!job.ok && !strstr(job.e.message, "memory exhausted"))
            fail_msg("%s%s...: %s", constructs[i].before, constructs[i].left, job.e.message);
        if (job.cpu_ms > CPU_MS)
            fail_msg("%s%s...: %f ms", constructs[i].before, constructs[i].left, job.cpu_ms);
    }
    strbuf_fini(&sql);
}

static void test_deep_are_refused(void **state)
{
    struct strbuf sql = STRBUF_INIT;
    struct parse_job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(constructs); i++) {
        build(&sql, &constructs[i], 50000);
        job.sql = strbuf_span(&sql);
        parse_in_thread(&job, PLANNER_STACK_BYTES / 2);
        assert_false(job.ok);
        if (job.e.id != PB0203 || strcmp(job.e.sqlstate, "54001") != 0 || job.e.hint[0] == '\0')
            fail_msg("%s%s...: %s", constructs[i].before, constructs[i].left, job.e.message);
        /* unclosed brackets too */
        job.sql.len /= 2;
        parse_in_thread(&job, PLANNER_STACK_BYTES / 2);
        assert_false(job.ok);
    }
    strbuf_fini(&sql);
}

/* Wide statements are no business of the guard's. */
static void test_wide_pass(void **state)
{
    static const struct construct wide[] = {
        { "insert into t values (0)", ", (1, 'two', -3, now(), array[1,2])", "", "", "" },
        { "select * from t where id in (0", ", 1", "", "", ")" },
        { "select * from t where (a, b) in ((0, 0)", ", (1, 2)", "", "", ")" },
        { "select * from t where id = 0", " or id = 1", "", "", "" },
        { "select * from t where id = 0", " and id <> 1", "", "", "" },
        { "select * from t where id = 0", " or id = 1 and x between 1 and 2", "", "", "" },
        { "update t set x = case ", " when id = 1 then 'a'", "", "", " end where id in (1, 2)" },
        { "create table t (a int", ", b numeric(10,2) not null default 0", "", "", ")" },
        { "", "select 1; ", "", "", "" },
    };
    struct strbuf sql = STRBUF_INIT;
    struct parse_job job;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
        build(&sql, &wide[i], 20000);
        job.sql = strbuf_span(&sql);
        parse_in_thread(&job, PLANNER_STACK_BYTES);
        if (!job.ok)
            fail_msg("%s%s...: %s", wide[i].before, wide[i].left, job.e.message);
    }
    strbuf_fini(&sql);
}

/* Reports, generated CASEs, chains of a few hundred operators: what people do write. */
static void test_usual_pass(void **state)
{
    static const struct {
        struct construct c;
        uint32_t n;
    } usual[] = {
        { { "select a", " || ',' || coalesce(b, '')", "", "", " from t" }, 1000 },
        { { "select a, b, c from t0", " union all select a, b, c from t1 where x = 1 and y in (1, 2, 3)", "", "", "" },
          500 },
        { { "select * from t0", " join t1 on t0.id = t1.id and t1.x > 0", "", "", " where t0.id = 1" }, 200 },
        { { "select ", "case when a = 1 then b else ", "c", " end", " from t" }, 200 },
        { { "select * from t where ", "(a = 1 or ", "b = 2", ")", "" }, 300 },
        { { "", "select * from (", "select * from t", ") x where a = 1", "" }, 100 },
    };
    struct strbuf sql = STRBUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++) {
        build(&sql, &usual[i].c, usual[i].n);
        if (!guard_check(strbuf_span(&sql), &e))
            fail_msg("%s%s...: %s", usual[i].c.before, usual[i].c.left, e.message);
    }
    strbuf_fini(&sql);
}

/* Many long chains side by side are no deeper than one, but each costs quadratic time. */
static void test_time_is_bounded(void **state)
{
    struct strbuf sql = STRBUF_INIT;
    struct parse_job job;

    (void)state;
    strbuf_puts(&sql, "select 1");
    for (int chain = 0; chain < 100; chain++) {
        strbuf_puts(&sql, ", 1");
        for (int i = 0; i < 2000; i++)
            strbuf_puts(&sql, "+1");
    }
    job.sql = strbuf_span(&sql);
    parse_in_thread(&job, PLANNER_STACK_BYTES);
    assert_false(job.ok);
    assert_int_equal(job.e.id, PB0203);
    strbuf_fini(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_largest_that_pass), cmocka_unit_test(test_deep_are_refused),
        cmocka_unit_test(test_wide_pass),         cmocka_unit_test(test_usual_pass),
        cmocka_unit_test(test_time_is_bounded),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
