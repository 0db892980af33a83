/*
 * The front end with an analyser of our own making: what reaches the analyser, what comes from the cache, what it
 * costs.
 */
#include "planner/planner.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "count_malloc.h"
#include "planner/analyse.h"
#include "planner/parse.h"
#include "planner/plan_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the next analysis says, and what the last one was given. */
static struct {
    struct plan_result result;
    bool refuse;
    uint32_t calls, nliteral, ntype;
    size_t nstatement;
} fake;

/* Instead of the planner's own: the library's is not linked then. */
bool analyse(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    (void)scratch;
    fake.calls++;
    fake.nliteral = in->lits->n;
    fake.ntype = in->ntype;
    fake.nstatement = in->tree->n_stmts;
    if (fake.refuse)
        return err_set(e, PB0201, "not today");
    *out = fake.result;
    out->plan = plan_new();
    return true;
}

/* Likewise: all that the front end asks of a catalog. */
struct catalog {
    uint64_t epoch;
};

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->epoch;
}

static struct map_db db = { .name = "shop" }, other_db = { .name = "other" };
static const struct plan_env env = { .id = 1, .search_path = "public", .role = "app" };
static const struct catalog catalog = { .epoch = 7 }, *cat = &catalog;

static struct planner *new_planner(void)
{
    fake.result = (struct plan_result){ .cacheable = true };
    fake.refuse = false;
    fake.calls = 0;
    return planner_new(&(struct planner_options){ 0 });
}

static struct plan *plan_in(struct planner *p, const struct map_db *d, const struct plan_env *v, const char *sql,
                            struct err *e)
{
    struct literals lits;

    *e = ERR_INIT;
    return planner_plan(p, cat, d, v, span_str(sql), NULL, 0, &lits, e);
}

/* How often the analyser has been called after planning `sql`. */
static uint32_t calls_after(struct planner *p, const char *sql)
{
    struct err e;
    struct plan *plan = plan_in(p, &db, &env, sql, &e);

    if (!plan)
        fail_msg("%s: %s", sql, e.message);
    plan_unref(plan);
    return fake.calls;
}

static void test_cached(void **state)
{
    struct planner *p = new_planner();
    struct planner_stats stats;
    struct plan *plan;
    struct err e;

    (void)state;
    assert_int_equal(calls_after(p, "select * from t where id = 1"), 1);
    assert_int_equal(fake.nliteral, 1);
    assert_int_equal(calls_after(p, "select * from t where id = 2"), 1);
    assert_int_equal(calls_after(p, "select * from t where id = '2'"), 2);
    assert_int_equal(calls_after(p, "select * from t where id = $1"), 3);
    assert_int_equal(calls_after(p, "select * from t where id = $1"), 3);
    plan = plan_in(p, &other_db, &env, "select * from t where id = 1", &e);
    assert_int_equal(fake.calls, 4);
    plan_unref(plan);
    cat = &(struct catalog){ .epoch = 8 };
    assert_int_equal(calls_after(p, "select * from t where id = 1"), 5);
    cat = &catalog;
    planner_get_stats(p, &stats);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 5);
    assert_int_equal(stats.entries, 5);
    planner_free(p);
}

static void test_not_cached(void **state)
{
    struct planner *p = new_planner();
    struct err e;

    (void)state;
    assert_int_equal(calls_after(p, "select 'a'\n'b'"), 1);
    assert_int_equal(calls_after(p, "select 'a'\n'b'"), 2);
    fake.result.cacheable = false;
    assert_int_equal(calls_after(p, "select 1"), 3);
    assert_int_equal(calls_after(p, "select 1"), 4);
    fake.refuse = true;
    assert_null(plan_in(p, &db, &env, "select 2", &e));
    assert_int_equal(e.id, PB0201);
    fake.refuse = false;
    fake.result.cacheable = true;
    assert_int_equal(calls_after(p, "select 2"), 6);
    assert_int_equal(calls_after(p, "select 3"), 6);
    planner_free(p);
}

/* Zeros at the end of the declared types say nothing. */
static void test_types(void **state)
{
    const uint32_t types[] = { 23, 0 }, zeros[] = { 0, 0 };
    struct planner *p = new_planner();
    struct literals lits;
    struct err e = ERR_INIT;
    const struct span sql = SPAN("select $1, $2");

    (void)state;
    plan_unref(planner_plan(p, cat, &db, &env, sql, NULL, 0, &lits, &e));
    plan_unref(planner_plan(p, cat, &db, &env, sql, zeros, 2, &lits, &e));
    assert_int_equal(fake.calls, 1);
    plan_unref(planner_plan(p, cat, &db, &env, sql, types, 2, &lits, &e));
    assert_int_equal(fake.calls, 2);
    assert_int_equal(fake.ntype, 2);
    plan_unref(planner_plan(p, cat, &db, &env, sql, types, 1, &lits, &e));
    assert_int_equal(fake.calls, 2);
    planner_free(p);
}

static void test_statement_count(void **state)
{
    struct planner *p = new_planner();
    struct plan *plan;
    struct err e;

    (void)state;
    plan = plan_in(p, &db, &env, " /* nothing */ ", &e);
    assert_int_equal(plan->kind, PLAN_EMPTY);
    plan_unref(plan);
    assert_null(plan_in(p, &db, &env, "select 1; select 2", &e));
    assert_string_equal(e.message, "cannot insert multiple commands into a prepared statement");
    assert_string_equal(e.sqlstate, "42601");
    assert_int_equal(fake.calls, 0);
    assert_int_equal(calls_after(p, "select 1;"), 1);
    assert_int_equal(fake.nstatement, 1);
    planner_free(p);
}

static void test_nonstandard_strings(void **state)
{
    const struct plan_env off = { .id = 2, .nonstandard_strings = true };
    struct planner *p = new_planner();
    struct literals lits;
    struct plan *plan;
    struct err e;

    (void)state;
    assert_null(plan_in(p, &db, &off, "select 'it\\'s'", &e));
    assert_int_equal(e.id, PB0204);
    assert_false(planner_literals(p, &off, SPAN("select 'it\\'s'"), &lits));
    plan = plan_in(p, &db, &off, "select 'it''s'", &e);
    assert_non_null(plan);
    plan_unref(plan);
    assert_true(planner_literals(p, &off, SPAN("select 'it''s', 2"), &lits));
    assert_int_equal(lits.n, 2);
    planner_free(p);
}

/* Literals are those of the text at hand, whether the plan was made, found by text or found by shape. */
static void test_literals(void **state)
{
    static const char *const texts[] = { "select 1, $1, 'abc'", "select 1, $1, 'abc'", "select 123, $1, ''" };
    struct planner *p = new_planner();
    struct err e = ERR_INIT;
    struct literals lits;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        plan_unref(planner_plan(p, cat, &db, &env, span_str(texts[i]), NULL, 0, &lits, &e));
        assert_int_equal(lits.n, 2);
        assert_int_equal(texts[i][lits.v[0].off], '1');
        assert_int_equal(texts[i][lits.v[1].off], '\'');
        assert_int_equal(lits.v[1].off + lits.v[1].len, strlen(texts[i]));
    }
    assert_int_equal(fake.calls, 1);
    planner_free(p);
}

static void test_check(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_true(planner_check(SPAN("select 1; select 2"), &e));
    assert_false(planner_check(SPAN("select 1; select 2 from; select 3"), &e));
    assert_string_equal(e.message, "syntax error at or near \";\"");
    assert_int_equal(e.position, 24);
}

static void insert_text(struct strbuf *out, int rows)
{
    strbuf_puts(out, "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES ");
    for (int i = 0; i < rows; i++)
        strbuf_printf(out, "%s(%d, 1, %d, -%d, '2024-01-01 00:00:00', 'x')", i ? ", " : "", i, i * 17, i);
}

/* 20,000 rows: planned; too large to be kept. */
static void test_large(void **state)
{
    struct planner *p = new_planner();
    struct strbuf sql = STRBUF_INIT;
    struct planner_stats stats;

    (void)state;
    insert_text(&sql, 20000);
    assert_int_equal(calls_after(p, strbuf_str(&sql)), 1);
    assert_int_equal(fake.nliteral, 120000);
    planner_get_stats(p, &stats);
    assert_true(stats.bytes < 16 * 1024 * 1024);
    strbuf_fini(&sql);
    planner_free(p);
}

/* A hit allocates nothing. What it costs beside pg_query_scan is asserted by tests/gate/plan_cache.t. */
static void test_cost_of_a_hit(void **state)
{
    static const char *const texts[] = {
        "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;",
        "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
        "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 123456;",
        "SELECT aid, abalance FROM pgbench_accounts WHERE aid IN (1, 2, 3, 4, 5, 60, 700, 8000, 90000, 10)",
        "BEGIN",
    };
    struct planner *p = new_planner();
    struct strbuf insert = STRBUF_INIT;
    struct literals lits;
    struct err e = ERR_INIT;
    uint64_t before;

    (void)state;
    insert_text(&insert, 100);
    for (size_t i = 0; i <= ARRAY_LEN(texts); i++) {
        struct span sql = i < ARRAY_LEN(texts) ? span_str(texts[i]) : strbuf_span(&insert);

        calls_after(p, sql.ptr);
        fake.calls = 0;
        before = malloc_count;
        plan_unref(planner_plan(p, cat, &db, &env, sql, NULL, 0, &lits, &e));
        assert_int_equal(malloc_count, before);
        assert_int_equal(fake.calls, 0);
    }
    strbuf_fini(&insert);
    planner_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cached),
        cmocka_unit_test(test_not_cached),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_statement_count),
        cmocka_unit_test(test_nonstandard_strings),
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_cost_of_a_hit),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
