#include "planner/cache.h"

#include "base/strbuf.h"
#include "count_malloc.h"
#include "planner/normalise.h"
#include "planner/plan_int.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct cache_scope scope0 = { .epoch = 7, .env_id = 1 };

/* A text with its shape read. */
struct text {
    struct span sql;
    struct shape shape;
    struct literals lits;
};

static struct text *text_read(struct text *t, const char *sql)
{
    t->sql = span_str(sql);
    assert_int_equal(shape_read(&t->shape, t->sql, false), SHAPE_OK);
    t->lits = (struct literals){ .n = t->shape.nliteral, .v = t->shape.literals };
    return t;
}

static struct text current;

static struct plan *find_in(struct cache *c, const struct cache_scope *scope, const char *sql)
{
    struct text *t = text_read(&current, sql);

    return cache_find_shape(c, scope, span_make(t->shape.bytes, t->shape.shape_len), t->sql, &t->lits);
}

static struct plan *find(struct cache *c, const char *sql)
{
    return find_in(c, &scope0, sql);
}

/* Keep a new plan for `sql`; the result is borrowed from the cache, if that kept it. */
static struct plan *put_in(struct cache *c, const struct cache_scope *scope, const char *sql, bool exact,
                           struct plan_result r)
{
    struct text *t = text_read(&current, sql);
    struct plan *plan = plan_new();

    r.plan = plan;
    r.cacheable = true;
    cache_put(c, scope, span_make(t->shape.bytes, t->shape.shape_len), t->sql, &t->lits, exact, &r);
    plan_unref(plan);
    return plan;
}

static struct plan *put(struct cache *c, const char *sql)
{
    return put_in(c, &scope0, sql, false, (struct plan_result){ 0 });
}

static size_t entries(const struct cache *c)
{
    struct cache_stats s;

    cache_get_stats(c, &s);
    return s.entries;
}

static void test_by_shape(void **state)
{
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct plan *a = put(c, "select * from t where id = 1"), *b = put(c, "select * from t where id = '1'");

    (void)state;
    assert_ptr_equal(find(c, "select * from t where id = 2"), a);
    assert_ptr_equal(find(c, "select * from t where id = 'x'"), b);
    assert_null(find(c, "select * from t where id = 1.0"));
    assert_null(find(c, "select * from u where id = 1"));
    cache_free(c);
}

static void test_scope(void **state)
{
    const uint32_t types[] = { 23, 0, 25 };
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct cache_scope s = scope0;
    struct plan *plain = put(c, "select $1"), *typed;

    (void)state;
    s.types = types;
    s.ntype = 3;
    assert_null(find_in(c, &s, "select $1"));
    typed = put_in(c, &s, "select $1", false, (struct plan_result){ 0 });
    assert_ptr_equal(find_in(c, &s, "select $1"), typed);
    s.ntype = 1;
    assert_null(find_in(c, &s, "select $1"));
    assert_ptr_equal(find(c, "select $1"), plain);
    s = scope0;
    s.env_id++;
    assert_null(find_in(c, &s, "select $1"));
    s = scope0;
    s.epoch++;
    assert_null(find_in(c, &s, "select $1"));
    s = scope0;
    s.db_id++;
    assert_null(find_in(c, &s, "select $1"));
    cache_free(c);
}

/* ORDER BY 1 and ORDER BY 2 are plans of their own; the literal that does not matter is free. */
static void test_fixed_values(void **state)
{
    const uint32_t second[] = { 1 };
    const struct plan_result r = { .nfixed = 1, .fixed = second };
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct plan *one, *two;

    (void)state;
    one = put_in(c, &scope0, "select a from t where id = 5 order by 1", false, r);
    assert_ptr_equal(find(c, "select a from t where id = 6 order by 1"), one);
    assert_null(find(c, "select a from t where id = 6 order by 2"));
    two = put_in(c, &scope0, "select a from t where id = 6 order by 2", false, r);
    assert_ptr_equal(find(c, "select a from t where id = 7 order by 2"), two);
    assert_ptr_equal(find(c, "select a from t where id = 7 order by 1"), one);
    assert_null(find(c, "select a from t where id = 7 order by 10"));
    cache_free(c);
}

/* coalesce(x, 1) ... ORDER BY coalesce(x, 1) is the output column, coalesce(x, 9) is not (rule P12). */
static void test_equality_pattern(void **state)
{
    const uint32_t pairs[][2] = { { 0, 1 } };
    const struct plan_result r = { .npair = 1, .pairs = pairs };
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct plan *equal, *different;

    (void)state;
    equal = put_in(c, &scope0, "select coalesce(x, 1) from t order by coalesce(x, 1)", false, r);
    assert_ptr_equal(find(c, "select coalesce(x, 2) from t order by coalesce(x, 2)"), equal);
    assert_null(find(c, "select coalesce(x, 1) from t order by coalesce(x, 9)"));
    different = put_in(c, &scope0, "select coalesce(x, 1) from t order by coalesce(x, 9)", false, r);
    assert_ptr_equal(find(c, "select coalesce(x, 3) from t order by coalesce(x, 4)"), different);
    assert_ptr_equal(find(c, "select coalesce(x, 3) from t order by coalesce(x, 3)"), equal);
    /* 1 and 01 are equal values: the text does not tell, so neither plan is taken and none is kept */
    assert_null(find(c, "select coalesce(x, 1) from t order by coalesce(x, 01)"));
    put_in(c, &scope0, "select coalesce(x, 1) from t order by coalesce(x, 01)", false, r);
    assert_int_equal(entries(c), 2);
    cache_free(c);
}

/* Plans of one shape may depend on different literals: each is found by its own. */
static void test_several_selectors(void **state)
{
    const uint32_t first[] = { 0 }, second[] = { 1 };
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct plan *a, *b;

    (void)state;
    a = put_in(c, &scope0, "select f(1, 2)", false, (struct plan_result){ .nfixed = 1, .fixed = first });
    assert_null(find(c, "select f(3, 4)"));
    b = put_in(c, &scope0, "select f(3, 4)", false, (struct plan_result){ .nfixed = 1, .fixed = second });
    assert_ptr_equal(find(c, "select f(1, 9)"), a);
    assert_ptr_equal(find(c, "select f(9, 4)"), b);
    assert_null(find(c, "select f(9, 9)"));
    for (uint32_t i = 0; i < 40; i++) {
        struct strbuf sql = STRBUF_INIT;
        uint32_t fixed[40];

        for (uint32_t j = 0; j <= i; j++)
            fixed[j] = j;
        strbuf_puts(&sql, "select 0");
        for (uint32_t j = 0; j < 40; j++)
            strbuf_printf(&sql, ", %u", j);
        put_in(c, &scope0, strbuf_str(&sql), false, (struct plan_result){ .nfixed = i + 1, .fixed = fixed });
        strbuf_fini(&sql);
    }
    assert_true(entries(c) <= 2 + 8);
    cache_free(c);
}

static void test_by_text(void **state)
{
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
    struct literals lits;
    struct plan *plan, *other;

    (void)state;
    plan = put_in(c, &scope0, "select 1, $1, 'x'", true, (struct plan_result){ 0 });
    assert_ptr_equal(cache_find_text(c, &scope0, SPAN("select 1, $1, 'x'"), &lits), plan);
    assert_int_equal(lits.n, 2);
    assert_int_equal(lits.v[1].off, 14);
    assert_int_equal(lits.v[1].len, 3);
    assert_null(cache_find_text(c, &scope0, SPAN("select 2, $1, 'x'"), &lits));
    assert_ptr_equal(find(c, "select 2, $1, 'x'"), plan);
    /* long texts that differ only in their middle share a hash: only their bytes tell them apart */
    for (int i = 0; i < 20; i++) {
        strbuf_reset(&a);
        strbuf_printf(&a, "select %0100d, c%02d, %0100d", 0, i, 0);
        other = put_in(c, &scope0, strbuf_str(&a), true, (struct plan_result){ 0 });
        if (i < 4)
            assert_ptr_equal(cache_find_text(c, &scope0, strbuf_span(&a), &lits), other);
        assert_ptr_equal(find(c, strbuf_str(&a)), other);
    }
    strbuf_printf(&b, "select %0100d, cxx, %0100d", 0, 0);
    assert_null(cache_find_text(c, &scope0, strbuf_span(&b), &lits));
    strbuf_fini(&a);
    strbuf_fini(&b);
    cache_free(c);
}

static void test_least_recently_used_go(void **state)
{
    struct cache *c = cache_new(3, 1 << 20, 1);
    struct cache_stats s;
    struct literals lits;
    struct plan *a, *b;

    (void)state;
    a = put_in(c, &scope0, "select a", true, (struct plan_result){ 0 });
    b = put(c, "select b");
    put(c, "select c");
    assert_ptr_equal(cache_find_text(c, &scope0, SPAN("select a"), &lits), a);
    assert_ptr_equal(find(c, "select b"), b);
    put(c, "select d");
    assert_null(find(c, "select c"));
    put(c, "select e");
    assert_null(find(c, "select a"));
    assert_null(cache_find_text(c, &scope0, SPAN("select a"), &lits));
    assert_ptr_equal(find(c, "select b"), b);
    cache_get_stats(c, &s);
    assert_int_equal(s.entries, 3);
    assert_int_equal(s.evicted, 2);
    cache_free(c);
}

static void test_bytes_are_bounded(void **state)
{
    struct cache *c = cache_new(100000, 256 * 1024, 1);
    struct strbuf sql = STRBUF_INIT;
    struct cache_stats s;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        strbuf_reset(&sql);
        strbuf_printf(&sql, "select c%d from a_table_with_a_long_name where id = 1", i);
        put_in(c, &scope0, strbuf_str(&sql), true, (struct plan_result){ 0 });
        cache_get_stats(c, &s);
        assert_true(s.bytes <= 256 * 1024);
    }
    assert_true(s.entries > 10);
    assert_true(s.evicted > 1000);
    /* one text may not push out all others */
    strbuf_reset(&sql);
    strbuf_printf(&sql, "select %040000d, x", 0);
    put(c, strbuf_str(&sql));
    assert_null(find(c, strbuf_str(&sql)));
    strbuf_fini(&sql);
    cache_free(c);
}

/* A plan that somebody still holds outlives its place in the cache. */
static void test_references(void **state)
{
    struct cache *c = cache_new(1, 1 << 20, 1);
    struct plan *held = plan_ref(put(c, "select a"));

    (void)state;
    put(c, "select b");
    assert_int_equal(held->refs, 1);
    cache_free(c);
    plan_unref(held);
}

static void test_lookup_does_not_allocate(void **state)
{
    const uint32_t fixed[] = { 1 }, pairs[][2] = { { 0, 1 } };
    struct cache *c = cache_new(100, 1 << 20, 1);
    struct literals lits;
    struct plan *a, *b;
    uint64_t before;

    (void)state;
    a = put(c, "select * from t where id = 1 and x = $1");
    b = put_in(c, &scope0, "select 5 order by 5", true,
               (struct plan_result){ .nfixed = 1, .fixed = fixed, .npair = 1, .pairs = pairs });
    find(c, "select 1, 2, 3, 4");
    before = malloc_count;
    assert_true(before > 0);
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(find(c, "select * from t where id = 99999 and x = $1"), a);
        assert_ptr_equal(find(c, "select 5 order by 5"), b);
        assert_ptr_equal(cache_find_text(c, &scope0, SPAN("select 5 order by 5"), &lits), b);
    }
    assert_int_equal(malloc_count, before);
    cache_free(c);
}

static int free_text(void **state)
{
    (void)state;
    shape_fini(&current.shape);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_shape),
        cmocka_unit_test(test_scope),
        cmocka_unit_test(test_fixed_values),
        cmocka_unit_test(test_equality_pattern),
        cmocka_unit_test(test_several_selectors),
        cmocka_unit_test(test_by_text),
        cmocka_unit_test(test_least_recently_used_go),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_lookup_does_not_allocate),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, free_text);
}
