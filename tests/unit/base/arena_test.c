#include "base/arena.h"

#include "base/strbuf.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Allocations of many sizes are aligned, do not overlap and keep their content until the reset. */
static void test_allocations(void **state)
{
    enum { COUNT = 2000 };
    static unsigned char *at[COUNT];
    static size_t len[COUNT];
    struct arena a;
    uint64_t seed = 1;

    (void)state;
    arena_init(&a, 0);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            len[i] = random_below(&seed, i % 100 == 0 ? 20000 : 100);
            at[i] = arena_alloc(&a, len[i]);
            assert_int_equal((uintptr_t)at[i] % _Alignof(max_align_t), 0);
            memset(at[i], i & 0xFF, len[i]);
        }
        for (int i = 0; i < COUNT; i++) {
            for (size_t k = 0; k < len[i]; k++)
                assert_int_equal(at[i][k], i & 0xFF);
        }
        assert_true(a.used > 0);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
        assert_null(a.head);
    }
    arena_fini(&a);
}

static void test_empty_allocations(void **state)
{
    struct arena a;
    void *first, *second;

    (void)state;
    arena_init(&a, 0);
    assert_null(a.head); /* nothing is allocated before it is needed */
    first = arena_alloc(&a, 0);
    second = arena_alloc(&a, 0);
    assert_non_null(first);
    assert_ptr_not_equal(first, second);
    arena_fini(&a);
    arena_fini(&a);
}

/* After a big statement a small one costs what it did before. */
static void test_reset_forgets_growth(void **state)
{
    struct arena a;
    size_t size;

    (void)state;
    arena_init(&a, 1024);
    size = a.block_size;
    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(&a, 1000);
    assert_true(a.block_size > size);
    arena_reset(&a);
    assert_int_equal(a.block_size, size);
    arena_fini(&a);
}

static void test_zeroed(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 64);
    for (int round = 0; round < 2; round++) {
        for (size_t size = 0; size < 300; size++) {
            unsigned char *p = arena_zalloc(&a, size);

            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xAA, size);
        }
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void test_strings(void **state)
{
    struct arena a;
    char *long_text, *copy;

    (void)state;
    arena_init(&a, 64);
    assert_string_equal(arena_strdup(&a, "hello"), "hello");
    assert_string_equal(arena_spandup(&a, span_make("hello", 2)), "he");
    assert_string_equal(arena_spandup(&a, (struct span){ 0 }), "");
    copy = arena_spandup(&a, SPAN("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    long_text = arena_printf(&a, "%0*d", 10000, 1);
    assert_int_equal(strlen(long_text), 10000);
    assert_string_equal(arena_printf(&a, "%s", ""), "");
    arena_fini(&a);
}

static struct strbuf log_text;

static void note_down(void *arg)
{
    strbuf_puts(&log_text, arg); /* lives in the arena that is being reset: it must still be there */
}

static void test_cleanups(void **state)
{
    static const char *const names[] = { "first ", "second ", "third " };
    struct arena a;

    (void)state;
    arena_init(&a, 0);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            arena_on_reset(&a, note_down, arena_strdup(&a, names[i]));
        arena_reset(&a);
        assert_string_equal(strbuf_str(&log_text), "third second first ");
        strbuf_reset(&log_text);
        arena_reset(&a); /* once only */
        assert_string_equal(strbuf_str(&log_text), "");
    }
    arena_fini(&a);
    strbuf_fini(&log_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations),
        cmocka_unit_test(test_empty_allocations),
        cmocka_unit_test(test_reset_forgets_growth),
        cmocka_unit_test(test_zeroed),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_cleanups),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
