#include "base/list.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    int n;
    struct list node;
};

/* The list holds exactly these, forwards and backwards. */
static void check(const struct list *head, const int *expected, int count)
{
    const struct list *node = head;

    for (int i = 0; i < count; i++) {
        node = node->next;
        assert_int_equal(LIST_ENTRY((struct list *)(uintptr_t)node, struct item, node)->n, expected[i]);
        assert_ptr_equal(node->prev->next, node);
        assert_true(list_linked(node));
    }
    assert_ptr_equal(node->next, head);
    assert_ptr_equal(head->prev, node);
    assert_int_equal(list_empty(head), count == 0);
}

/* Random pushes, insertions and removals against an array. */
static void test_random_changes(void **state)
{
    enum { COUNT = 20 };
    static struct item items[COUNT];
    int model[COUNT], count = 0;
    struct list head;
    uint64_t seed = 1;

    (void)state;
    list_init(&head);
    for (int i = 0; i < COUNT; i++)
        items[i].n = i;
    for (int step = 0; step < 20000; step++) {
        int n = (int)random_below(&seed, COUNT), at = 0;

        while (at < count && model[at] != n)
            at++;
        if (at < count) {
            list_remove(&items[n].node);
            memmove(model + at, model + at + 1, (size_t)(count - at - 1) * sizeof(*model));
            count--;
            assert_false(list_linked(&items[n].node));
            list_remove(&items[n].node); /* harmless */
        } else {
            at = (int)random_below(&seed, (uint32_t)count + 1);
            if (at == 0)
                list_push_front(&head, &items[n].node);
            else if (at == count)
                list_push_back(&head, &items[n].node);
            else
                list_insert(&items[model[at - 1]].node, &items[n].node);
            memmove(model + at + 1, model + at, (size_t)(count - at) * sizeof(*model));
            model[at] = n;
            count++;
        }
        check(&head, model, count);
        if (count)
            assert_ptr_equal(list_first(&head), &items[model[0]].node);
        else
            assert_null(list_first(&head));
    }
}

static void test_removal_while_walking(void **state)
{
    struct item items[5] = { { 0 } };
    const int left[] = { 1, 3 };
    struct list head;
    int visited = 0;

    (void)state;
    list_init(&head);
    LIST_FOREACH(node, &head)
    {
        (void)node;
        fail();
    }
    for (int i = 0; i < 5; i++) {
        items[i].n = i;
        list_remove(&items[i].node); /* zeroed: not linked */
        assert_false(list_linked(&items[i].node));
        list_push_back(&head, &items[i].node);
    }
    LIST_FOREACH(node, &head)
    {
        struct item *it = LIST_ENTRY(node, struct item, node);

        assert_int_equal(it->n, visited++);
        if (it->n % 2 == 0)
            list_remove(node);
    }
    assert_int_equal(visited, 5);
    check(&head, left, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_removal_while_walking),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
