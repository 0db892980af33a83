/* Messages, deferred work and timers of a loop. */
#include "net/loop.h"

#include "base/mem.h"
#include "turn.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- messages --- */

enum { THREADS = 4, MESSAGES = 5000 };

struct numbered {
    struct loop_message message;
    int thread, n;
};

static struct {
    struct loop *loop;
    pthread_t thread;
    int next[THREADS]; /* of each thread: the number that comes next */
    int total;
} got;

static void receive(struct loop_message *m)
{
    struct numbered *n = CONTAINER_OF(m, struct numbered, message);

    assert_true(pthread_equal(pthread_self(), got.thread));
    assert_int_equal(n->n, got.next[n->thread]++);
    free(n);
    if (++got.total == THREADS * MESSAGES)
        loop_stop(got.loop);
}

static void *send_all(void *arg)
{
    for (int i = 0; i < MESSAGES; i++) {
        struct numbered *n = mem_zalloc(sizeof(*n));

        n->message.fn = receive;
        n->thread = (int)(intptr_t)arg;
        n->n = i;
        loop_post(got.loop, &n->message);
    }
    return NULL;
}

/* From many threads at once: each message once, on the loop's thread, in the order of its sender. */
static void test_messages(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    memset(&got, 0, sizeof(got));
    got.loop = loop_new();
    got.thread = pthread_self();
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, (void *)i), 0);
    loop_run(got.loop);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(got.next[i], MESSAGES);
    }
    loop_free(got.loop);
}

static void receive_and_post(struct loop_message *m)
{
    struct numbered *n = CONTAINER_OF(m, struct numbered, message);

    got.total++;
    if (n->n-- > 0)
        loop_post(got.loop, m);
    else
        free(n);
}

/* A loop that is given up runs what it was sent, and what that sends: nothing is lost. */
static void test_messages_at_the_end(void **state)
{
    struct numbered *n = mem_zalloc(sizeof(*n));

    (void)state;
    memset(&got, 0, sizeof(got));
    got.loop = loop_new();
    n->message.fn = receive_and_post;
    n->n = 3;
    loop_post(got.loop, &n->message);
    loop_free(got.loop);
    assert_int_equal(got.total, 4);
}

/* --- deferred work --- */

static char order[64];

static void note(void *arg)
{
    strncat(order, arg, sizeof(order) - strlen(order) - 1);
}

static void note_and_defer(void *arg)
{
    note("a");
    loop_defer(arg, note, "c");
    note("b");
}

static void defer_from_message(struct loop_message *m)
{
    struct numbered *n = CONTAINER_OF(m, struct numbered, message);

    loop_defer(got.loop, note_and_defer, got.loop);
    loop_defer(got.loop, note, "x");
    note("m");
    (void)n;
}

/* At the end of the turn, in order; what is deferred meanwhile belongs to the same turn. */
static void test_deferred(void **state)
{
    struct numbered n = { .message = { .fn = defer_from_message } };

    (void)state;
    order[0] = '\0';
    got.loop = loop_new();
    loop_post(got.loop, &n.message);
    turn_once(got.loop);
    assert_string_equal(order, "mabxc");
    turn_once(got.loop);
    assert_string_equal(order, "mabxc");
    /* Deferred while the loop does not run: done before it waits for anything. */
    loop_defer(got.loop, note, "y");
    loop_defer(got.loop, turn_end, got.loop);
    loop_defer(got.loop, note, "z");
    loop_run(got.loop);
    assert_string_equal(order, "mabxcyz");
    for (int i = 0; i < 20; i++)
        loop_defer(got.loop, note, "."); /* more than there was room for, at the very end */
    loop_free(got.loop);
    assert_string_equal(order, "mabxcyz....................");
}

/* --- timers --- */

struct clock_test {
    struct loop_timer timer;
    struct loop *loop;
    int fired;
    bool again, gone;
};

static void fire(struct loop_timer *t)
{
    struct clock_test *c = CONTAINER_OF(t, struct clock_test, timer);

    c->fired++;
    if (c->again) {
        c->again = false;
        loop_timer_start(t, 0);
    } else if (c->gone) {
        loop_timer_fini(t);
    }
}

static void test_timers(void **state)
{
    struct clock_test c = { .again = true }, never = { .fired = 0 };
    struct loop_timer unused = { 0 };

    (void)state;
    c.loop = loop_new();
    loop_timer_stop(&unused); /* zeroed is stopped */
    loop_timer_fini(&unused);
    loop_timer_init(&c.timer, c.loop, fire);
    loop_timer_init(&never.timer, c.loop, fire);
    loop_timer_start(&never.timer, 0);
    loop_timer_stop(&never.timer);
    loop_timer_stop(&never.timer);
    loop_timer_start(&c.timer, 1000000);
    loop_timer_start(&c.timer, 0);    /* restarted: the later call counts */
    TURN_UNTIL(c.loop, c.fired == 2); /* once more from its own callback */
    for (int i = 0; i < 3; i++)
        turn_once(c.loop);
    assert_int_equal(c.fired, 2); /* once each */
    assert_int_equal(never.fired, 0);
    c.gone = true;
    loop_timer_start(&c.timer, 1);
    TURN_UNTIL(c.loop, c.fired == 3);
    assert_null(c.timer.event);
    loop_timer_start(&never.timer, 1000000);
    loop_timer_fini(&never.timer); /* running */
    loop_free(c.loop);
}

/* --- the rest --- */

static uint64_t first_us, second_us;

static void read_twice(struct loop_message *m)
{
    (void)m;
    first_us = loop_now_us(got.loop);
    second_us = loop_now_us(got.loop);
}

static void test_time_and_scratch(void **state)
{
    struct loop_message m = { .fn = read_twice };
    uint64_t before;

    (void)state;
    got.loop = loop_new();
    loop_post(got.loop, &m);
    turn_once(got.loop);
    assert_true(first_us > 0 && first_us == second_us); /* the same all through a turn */
    before = first_us;
    loop_post(got.loop, &m);
    turn_once(got.loop);
    assert_true(first_us >= before);
    memset(loop_scratch(got.loop), 0x55, LOOP_SCRATCH_CAP);
    loop_free(got.loop);
    loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages), cmocka_unit_test(test_messages_at_the_end), cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_timers),   cmocka_unit_test(test_time_and_scratch),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
