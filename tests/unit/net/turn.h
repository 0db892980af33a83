/*
 * Running a loop turn by turn: what a test looks at between turns has happened, and nothing waits for a clock.
 */
#ifndef TESTS_UNIT_NET_TURN_H
#define TESTS_UNIT_NET_TURN_H

#include "base/bug.h"
#include "net/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct turn {
    struct loop_message message;
    struct loop *loop;
};

static inline void turn_end(void *arg)
{
    loop_stop(arg);
}

static inline void turn_message(struct loop_message *m)
{
    struct turn *t = CONTAINER_OF(m, struct turn, message);

    loop_defer(t->loop, turn_end, t->loop); /* behind everything else that this turn does */
}

/* One turn, in which every event that is ready now is handled. */
static inline void turn_once(struct loop *l)
{
    struct turn t = { .message = { .fn = turn_message }, .loop = l };

    loop_post(l, &t.message);
    loop_run(l);
}

/* Turns until a condition holds: what it waits for must be on its way. */
#define TURN_UNTIL(loop, condition)                                                                                    \
    do {                                                                                                               \
        for (int turn_left = 1000000; !(condition); turn_left--) {                                                     \
            assert_true(turn_left > 0);                                                                                \
            turn_once(loop);                                                                                           \
        }                                                                                                              \
    } while (0)

#endif
