#include "base/hmap.h"

#include "base/bug.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    struct hmap_node node;
    uint64_t hash;
    int seen;
    bool in;
};

enum { COUNT = 3000 };
static struct item items[COUNT];

static size_t with_hash(const struct hmap *m, uint64_t hash)
{
    size_t n = 0;

    for (struct hmap_node *node = hmap_first(m, hash); node; node = hmap_next(node)) {
        struct item *it = CONTAINER_OF(node, struct item, node);

        assert_true(it->in);
        assert_int_equal(it->hash, hash);
        n++;
    }
    return n;
}

static void count_seen(struct hmap_node *node, void *arg)
{
    CONTAINER_OF(node, struct item, node)->seen++;
    ++*(size_t *)arg;
}

/* Each node that is in, and no other, is visited once and found under its hash. */
static void check(const struct hmap *m)
{
    size_t visited = 0, expected = 0;

    for (int i = 0; i < COUNT; i++)
        items[i].seen = 0;
    hmap_each(m, count_seen, &visited);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(items[i].seen, items[i].in);
        expected += (size_t)items[i].in;
    }
    assert_int_equal(visited, expected);
    assert_int_equal(m->count, expected);
}

static void test_empty(void **state)
{
    struct hmap m = { 0 };
    size_t visited = 0;

    (void)state;
    assert_null(hmap_first(&m, 0));
    assert_null(hmap_any(&m));
    hmap_each(&m, count_seen, &visited);
    assert_int_equal(visited, 0);
    hmap_fini(&m);
    hmap_fini(&m);
}

/* Random insertions and removals against a model; hashes are taken from few values, so that many collide. */
static void random_changes(uint64_t values, uint64_t step)
{
    struct hmap m = { 0 };
    uint64_t seed = values;

    memset(items, 0, sizeof(items));
    for (int i = 0; i < 20000; i++) {
        struct item *it = &items[random_below(&seed, COUNT)];

        if (it->in) {
            it->in = false;
            hmap_remove(&m, &it->node);
        } else {
            it->hash = random_next(&seed) % values * step;
            it->in = true;
            hmap_insert(&m, &it->node, it->hash);
        }
        if (i % 2500 == 0)
            check(&m);
    }
    check(&m);
    for (uint64_t v = 0; v < 50 && v < values; v++) {
        size_t expected = 0;

        for (int i = 0; i < COUNT; i++)
            expected += items[i].in && items[i].hash == v * step ? 1 : 0;
        assert_int_equal(with_hash(&m, v * step), expected);
    }
    while (m.count) {
        struct item *it = CONTAINER_OF(hmap_any(&m), struct item, node);

        assert_true(it->in);
        it->in = false;
        hmap_remove(&m, &it->node);
    }
    assert_null(hmap_any(&m));
    check(&m);
    hmap_fini(&m);
}

static void test_random_changes(void **state)
{
    (void)state;
    random_changes(UINT64_MAX, 1);
    random_changes(50, 1);
    random_changes(50, (uint64_t)1 << 32); /* the same bucket, other hashes */
    random_changes(1, 1);
}

static void test_reinsert(void **state)
{
    struct hmap m = { 0 };
    struct hmap_node in;

    (void)state;
    hmap_insert(&m, &in, 1);
    hmap_remove(&m, &in);
    assert_int_equal(m.count, 0);
    assert_null(hmap_first(&m, 1));
    hmap_insert(&m, &in, 1); /* a removed node may come back */
    assert_ptr_equal(hmap_first(&m, 1), &in);
    assert_null(hmap_next(&in));
    hmap_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_reinsert),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
