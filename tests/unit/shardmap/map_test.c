#include "shardmap/map.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct map_shard shard(const char *name, const char *range)
{
    struct map_shard s = { .id = 7, .name = name, .conninfo = "host=h" };
    struct err e = ERR_INIT;

    assert_true(keyrange_parse(&s.range, span_str(range), &e));
    return s;
}

static void new_bad(const struct map_db_def *defs, size_t n, const char *message)
{
    struct err e = ERR_INIT;

    assert_null(map_new(1, defs, n, &e));
    assert_int_equal(e.id, PB0402);
    if (!strstr(e.message, message))
        fail_msg("got \"%s\"", e.message);
}

static void test_build(void **state)
{
    char name[] = "shop", conninfo[] = "host=a";
    struct map_shard shards[] = { shard("upper", "80-"), shard(NULL, "-40"), shard("mid", "40-80") };
    struct map_db_def defs[] = { { name, "mid", shards, 3 }, { "one", NULL, shards, 1 } };
    struct map_shard all = shard("all", "-");
    struct err e = ERR_INIT;
    struct map *m;

    (void)state;
    shards[0].conninfo = conninfo;
    defs[1].shards = &all;
    m = map_new(42, defs, 2, &e);
    assert_non_null(m);
    memset(name, 'x', sizeof(name)); /* everything was copied */
    memset(conninfo, 'x', sizeof(conninfo));
    memset(shards, 0, sizeof(shards));

    assert_int_equal(m->epoch, 42);
    assert_int_equal(m->ndb, 2);
    const struct map_db *db = map_find_db(m, SPAN("shop"));
    assert_ptr_equal(db, &m->dbs[0]);
    assert_int_equal(db->nshard, 3);
    assert_string_equal(db->shards[0].name, "-40"); /* named by its range */
    assert_string_equal(db->shards[1].name, "mid");
    assert_string_equal(db->shards[2].name, "upper");
    assert_string_equal(db->shards[2].conninfo, "host=a");
    assert_int_equal(db->shards[2].id, 7);
    assert_int_equal(db->home, 1);
    assert_int_equal(map_find_db(m, SPAN("one"))->home, 0);
    assert_null(map_find_db(m, SPAN("sho")));
    assert_null(map_find_db(m, SPAN("shops")));
    assert_null(map_find_db(m, SPAN("")));
    map_unref(m);
    map_unref(NULL);
}

static void test_refused(void **state)
{
    struct map_shard halves[] = { shard("a", "-80"), shard("b", "80-") };
    struct map_shard gap[] = { shard("a", "-80"), shard("b", "90-") };
    struct map_shard overlap[] = { shard("a", "-80"), shard("b", "70-") };
    struct map_shard clash[] = { shard("a", "-80"), shard("a", "80-") };
    struct map_shard implied[] = { shard("80-", "-80"), shard(NULL, "80-") };
    struct map_shard many[MAP_MAX_SHARDS + 1] = { 0 };
    struct map_db_def twice[] = { { "d", NULL, halves, 2 }, { "d", NULL, halves, 2 } };

    (void)state;
    new_bad(&(struct map_db_def){ "d", NULL, gap, 2 }, 1, "no shard owns key range 80-90");
    new_bad(&(struct map_db_def){ "d", NULL, overlap, 2 }, 1, "key ranges -80 and 70- overlap");
    new_bad(&(struct map_db_def){ "d", NULL, halves, 1 }, 1, "no shard owns key range 80-");
    new_bad(&(struct map_db_def){ "d", NULL, NULL, 0 }, 1, "database \"d\" has 0 shards");
    new_bad(&(struct map_db_def){ "d", NULL, many, MAP_MAX_SHARDS + 1 }, 1, "has 257 shards");
    new_bad(&(struct map_db_def){ "d", NULL, clash, 2 }, 1, "two shards of database \"d\" are named \"a\"");
    new_bad(&(struct map_db_def){ "d", NULL, implied, 2 }, 1, "are named \"80-\"");
    new_bad(&(struct map_db_def){ "d", "c", halves, 2 }, 1, "home shard \"c\" of database \"d\" does not exist");
    new_bad(&(struct map_db_def){ "", NULL, halves, 2 }, 1, "no name");
    new_bad(&(struct map_db_def){ NULL, NULL, halves, 2 }, 1, "no name");
    new_bad(twice, 2, "two databases are named \"d\"");
}

static void test_empty(void **state)
{
    struct err e = ERR_INIT;
    struct map *m = map_new(1, NULL, 0, &e);

    (void)state;
    assert_non_null(m);
    assert_int_equal(m->ndb, 0);
    assert_null(map_find_db(m, SPAN("d")));
    map_unref(m);
}

/* For every count of shards and ids at, before and after each bound: the owner is the one whose range holds the id. */
static void test_shard_of(void **state)
{
    static struct keyrange ranges[MAP_MAX_SHARDS];
    static struct map_shard shards[MAP_MAX_SHARDS];
    uint64_t id = 1;

    (void)state;
    for (size_t n = 1; n <= MAP_MAX_SHARDS; n++) {
        struct map_db_def def = { "d", NULL, shards, n };
        struct err e = ERR_INIT;
        struct map *m;

        keyrange_split(ranges, n);
        for (size_t i = 0; i < n; i++)
            shards[i] = (struct map_shard){ .range = ranges[n - 1 - i] };
        m = map_new(1, &def, 1, &e);
        assert_non_null(m);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(map_shard_of(m->dbs, ranges[i].start), i);
            assert_int_equal(map_shard_of(m->dbs, ranges[i].start - 1), i ? i - 1 : n - 1);
        }
        for (int i = 0; i < 1000; i++) {
            id = id * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            assert_true(keyrange_contains(&m->dbs[0].shards[map_shard_of(m->dbs, id)].range, id));
        }
        assert_int_equal(map_shard_of(m->dbs, 0), 0);
        assert_int_equal(map_shard_of(m->dbs, UINT64_MAX), n - 1);
        map_unref(m);
    }
}

static void test_shardset(void **state)
{
    struct shardset s = { 0 };

    (void)state;
    assert_int_equal(shardset_count(&s), 0);
    assert_int_equal(shardset_next(&s, 0), MAP_MAX_SHARDS);
    shardset_add(&s, 0);
    shardset_add(&s, 63);
    shardset_add(&s, 64);
    shardset_add(&s, 255);
    shardset_add(&s, 255);
    assert_int_equal(shardset_count(&s), 4);
    assert_true(shardset_has(&s, 63));
    assert_false(shardset_has(&s, 62));
    assert_int_equal(shardset_next(&s, 0), 0);
    assert_int_equal(shardset_next(&s, 1), 63);
    assert_int_equal(shardset_next(&s, 63), 63);
    assert_int_equal(shardset_next(&s, 64), 64);
    assert_int_equal(shardset_next(&s, 65), 255);
    assert_int_equal(shardset_next(&s, 256), MAP_MAX_SHARDS);

    for (uint32_t n = 0; n <= MAP_MAX_SHARDS; n++) {
        uint32_t seen = 0;

        shardset_all(&s, n);
        assert_int_equal(shardset_count(&s), n);
        for (uint32_t i = shardset_next(&s, 0); i < MAP_MAX_SHARDS; i = shardset_next(&s, i + 1))
            assert_int_equal(i, seen++);
        assert_int_equal(seen, n);
    }
}

static void *hold_and_drop(void *arg)
{
    for (int i = 0; i < 100000; i++)
        map_unref(map_ref(arg));
    map_unref(arg);
    return NULL;
}

/* Under ThreadSanitizer and AddressSanitizer this says something. */
static void test_threads(void **state)
{
    struct map_shard all = shard("all", "-");
    struct err e = ERR_INIT;
    struct map *m = map_new(1, &(struct map_db_def){ "d", NULL, &all, 1 }, 1, &e);
    pthread_t threads[3];

    (void)state;
    assert_non_null(m);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_and_drop, map_ref(m)), 0);
    map_unref(m);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build),    cmocka_unit_test(test_refused),  cmocka_unit_test(test_empty),
        cmocka_unit_test(test_shard_of), cmocka_unit_test(test_shardset), cmocka_unit_test(test_threads),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
