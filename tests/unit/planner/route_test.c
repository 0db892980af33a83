/* Routes of plans made by hand: what a statement's shape cannot show, and that the hot path allocates nothing. */
#include "planner/plan_int.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "count_malloc.h"

static struct map *map;
static const struct map_db *db;

static int set_up(void **state)
{
    static struct map_shard shards[4];
    struct keyrange ranges[4];
    struct err e = ERR_INIT;
    static const char *const names[] = { "a", "b", "c", "d" };
    (void)state;
    keyrange_split(ranges, 4);
    for (uint32_t i = 0; i < 4; i++)
        shards[i] = (struct map_shard){ .id = i + 1, .name = names[i], .conninfo = "", .range = ranges[i] };
    const struct map_db_def def = { .name = "db", .home = "c", .shards = shards, .nshard = 4 };
    map = map_new(1, &def, 1, &e);
    assert_non_null(map);
    db = &map->dbs[0];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    map_unref(map);
    return 0;
}

/* A plan whose one class has one group of these values for one key column. */
static struct plan *keyed(enum key_type type, enum vhash_use use, bool identity, uint32_t n,
                          const struct key_value *values)
{
    struct plan *p = plan_new();
    struct key_column *col = ARENA_NEW(plan_arena(p), struct key_column);
    struct key_group *g = ARENA_NEW(plan_arena(p), struct key_group);
    struct key_class *c = ARENA_NEW(plan_arena(p), struct key_class);
    *col = (struct key_column){ .type = type, .typmod = -1, .nvalue = n, .values = values };
    *g = (struct key_group){ .use = use, .identity = identity, .ncolumn = 1, .columns = col };
    *c = (struct key_class){ .ngroup = 1, .groups = g };
    p->scope = SCOPE_KEYED;
    p->nclass = 1;
    p->classes = c;
    err_set(&p->refusal, PB0201, "refused");
    return p;
}

static uint32_t shard_of_int(int64_t value)
{
    char text[24];
    uint64_t hash;
    snprintf(text, sizeof text, "%lld", (long long)value);
    assert_int_equal(vhash_text(KEY_INT8, -1, VHASH_COMPARE, span_str(text), 0, &hash), VHASH_OK);
    return map_shard_of(db, vhash_keyspace_id(hash));
}

static bool go(const struct plan *p, const char *literal, const struct bind_values *binds, struct route *r,
               struct err *e)
{
    const struct literal lit = { .off = 0, .len = (uint32_t)strlen(literal) };
    const struct literals lits = { .n = 1, .v = &lit };
    *e = ERR_INIT;
    return plan_route(p, db, span_str(literal), &lits, binds, NULL, r, e);
}

static void test_literal(void **state)
{
    const struct key_value v = { .source = VALUE_LITERAL, .type = KEY_INT8 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &v);
    struct route r;
    struct err e;
    char text[24];
    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "%d", i);
        assert_true(go(p, text, NULL, &r, &e));
        assert_int_equal(r.n, 1);
        assert_int_equal(r.first, shard_of_int(i));
        assert_true(shardset_has(&r.set, r.first));
    }
    plan_unref(p);
}

static void test_declined(void **state)
{
    const struct key_value v = { .source = VALUE_LITERAL, .type = KEY_INT8 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &v);
    struct route r;
    struct err e;
    static const char *const odd[] = {
        "'+5'", "' 5'", "'0x5'", "5.0", "99999999999999999999", "E'\\065'", "U&'5'", "''"
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        p->combine = COMBINE_NONE;
        assert_false(go(p, odd[i], NULL, &r, &e));
        assert_int_equal(e.id, PB0206);
        p->combine = COMBINE_CONCAT;
        assert_true(go(p, odd[i], NULL, &r, &e));
        assert_int_equal(r.n, 4);
    }
    plan_unref(p);
}

static void test_params(void **state)
{
    const struct key_value v = { .source = VALUE_PARAM, .type = KEY_INT4, .index = 1 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &v);
    static const uint8_t text = 0, binary = 1;
    struct route r;
    struct err e;
    struct span value = SPAN("5");
    uint32_t type = 0;
    struct bind_values b = { .n = 1, .values = &value, .types = &type, .binary = &text };
    (void)state;
    assert_true(go(p, "", &b, &r, &e));
    assert_int_equal(r.first, shard_of_int(5));
    b.binary = &binary;
    value = span_make("\0\0\0\5", 4);
    assert_true(go(p, "", &b, &r, &e));
    assert_int_equal(r.first, shard_of_int(5));
    type = 20; /* bound as bigint after all */
    value = span_make("\377\377\377\377\377\377\377\373", 8);
    assert_true(go(p, "", &b, &r, &e));
    assert_int_equal(r.first, shard_of_int(-5));
    value = span_make("\0\0\0\5", 4); /* not a bigint */
    assert_false(go(p, "", &b, &r, &e));
    type = 1700; /* numeric: the column would be cast */
    assert_false(go(p, "", &b, &r, &e));
    value = span_make(NULL, 0);
    type = 0;
    assert_true(go(p, "", &b, &r, &e));
    assert_true(r.any);
    assert_int_equal(r.n, 0);
    b.n = 0; /* fewer values than the statement has */
    assert_false(go(p, "", &b, &r, &e));
    plan_unref(p);
}

static void test_null_is_stored_at_home(void **state)
{
    const struct key_value v = { .source = VALUE_NULL, .type = KEY_INT8 };
    struct plan *p = keyed(KEY_INT8, VHASH_ASSIGN, false, 1, &v);
    struct route r;
    struct err e;
    (void)state;
    assert_true(go(p, "", NULL, &r, &e));
    assert_int_equal(r.n, 1);
    assert_int_equal(r.first, db->home);
    plan_unref(p);
}

static void test_identity(void **state)
{
    const struct key_value v = { .source = VALUE_LITERAL, .type = KEY_INT8 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, true, 1, &v);
    struct route r;
    struct err e;
    (void)state;
    assert_true(go(p, "0", NULL, &r, &e)); /* hash 0 is the middle of the space */
    assert_int_equal(r.first, 2);
    assert_true(go(p, "'-9223372036854775808'", NULL, &r, &e));
    assert_int_equal(r.first, 0);
    assert_true(go(p, "9223372036854775807", NULL, &r, &e));
    assert_int_equal(r.first, 3);
    assert_false(go(p, "9223372036854775808", NULL, &r, &e));
    plan_unref(p);
}

static void test_binary_array(void **state)
{
    const struct key_value v = { .source = VALUE_PARAM_ARRAY, .type = KEY_INT8, .index = 1 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &v);
    /* one dimension, has NULLs, int4, three elements from 1: 5, NULL, 7 */
    char bytes[] = "\0\0\0\1\0\0\0\1\0\0\0\27\0\0\0\3\0\0\0\1"
                   "\0\0\0\4\0\0\0\5\377\377\377\377\0\0\0\4\0\0\0\7";
    static const uint8_t binary = 1;
    struct span value = span_make(bytes, sizeof bytes - 1);
    const struct bind_values b = { .n = 1, .values = &value, .binary = &binary };
    struct route r;
    struct err e;
    (void)state;
    p->combine = COMBINE_CONCAT;
    assert_true(go(p, "", &b, &r, &e));
    assert_true(shardset_has(&r.set, shard_of_int(5)) && shardset_has(&r.set, shard_of_int(7)));
    assert_true(r.n <= 2);
    for (size_t len = 0; len < sizeof bytes - 1;
         len++) { /* cut short: anything but 12 bytes of no dimension declines */
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        value = span_make(copy, len);
        assert_true(go(p, "", &b, &r, &e));
        assert_int_equal(r.n, 4);
        free(copy);
    }
    bytes[11] = 25; /* text[] */
    value = span_make(bytes, sizeof bytes - 1);
    assert_true(go(p, "", &b, &r, &e));
    assert_int_equal(r.n, 4);
    plan_unref(p);
}

static void test_no_malloc(void **state)
{
    const struct key_value lit = { .source = VALUE_LITERAL, .type = KEY_INT8 };
    const struct key_value par = { .source = VALUE_PARAM, .type = KEY_INT8, .index = 1 };
    struct plan *p = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &lit);
    struct plan *q = keyed(KEY_INT8, VHASH_COMPARE, false, 1, &par);
    struct span value = SPAN("123456");
    const struct bind_values b = { .n = 1, .values = &value };
    struct route r;
    struct err e;
    uint64_t before = malloc_count;
    uint64_t start = clock_mono_us();
    (void)state;
    for (int i = 0; i < 200000; i++)
        assert_true(go(p, "123456", NULL, &r, &e) && go(q, "", &b, &r, &e));
    printf("# a route takes %.0f ns\n", (double)(clock_mono_us() - start) * 1000 / 400000);
    assert_int_equal(malloc_count, before);
    plan_unref(p);
    plan_unref(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literal),   cmocka_unit_test(test_declined),
        cmocka_unit_test(test_params),    cmocka_unit_test(test_null_is_stored_at_home),
        cmocka_unit_test(test_identity),  cmocka_unit_test(test_binary_array),
        cmocka_unit_test(test_no_malloc),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
