/* Lines of COPY data split over shards (P53), against a plain list. */
#include "router/exec/copy_lines.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

static void test_finds_lines(void **state)
{
    struct copy_lines l = { 0 };
    uint64_t client = 0;
    (void)state;
    assert_int_equal(copy_lines_find(&l, 1, 0), 1);
    copy_lines_add(&l, 1, client += 1);    /* shard 1 = client 1 */
    copy_lines_add(&l, 1, client += 5);    /* shard 2 = client 6 */
    copy_lines_add(&l, 3, client += 3);    /* shard 3..5 = client 7..9 */
    copy_lines_add(&l, 1, client += 1000); /* shard 6 = client 1009 */
    assert_int_equal(copy_lines_find(&l, 1, client), 1);
    assert_int_equal(copy_lines_find(&l, 2, client), 6);
    assert_int_equal(copy_lines_find(&l, 3, client), 7);
    assert_int_equal(copy_lines_find(&l, 5, client), 9);
    assert_int_equal(copy_lines_find(&l, 6, client), 1009);
    /* what the shard would get next is what the client would send next */
    assert_int_equal(copy_lines_find(&l, 7, 2000), 2001);
    copy_lines_fini(&l);
}

static void test_forgets_the_oldest(void **state)
{
    enum { ROWS = 3000000, RECENT = 900000 };
    uint32_t *lines = mem_alloc((ROWS + 1) * sizeof(*lines)), client = 0, wrong = 0, known = 0;
    struct copy_lines l = { 0 };
    (void)state;
    srand(1);
    for (uint32_t i = 1; i <= ROWS; i++) {
        client += 1 + (uint32_t)(rand() % 6);
        lines[i] = client;
        copy_lines_add(&l, 1, client);
    }
    for (uint32_t i = 1; i <= ROWS; i += 997) {
        uint64_t found = copy_lines_find(&l, i, client);
        wrong += found != 0 && found != lines[i];
        wrong += found == 0 && i > ROWS - RECENT;
        known += found != 0;
    }
    assert_int_equal(wrong, 0);
    assert_true(known < ROWS / 997); /* memory is bounded */
    copy_lines_fini(&l);
    free(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_finds_lines), cmocka_unit_test(test_forgets_the_oldest) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
