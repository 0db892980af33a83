/* Deadlocks and their victims (X26, P50): by hand, and random graphs against what follows from the definitions. */
#include "router/txn/waitgraph.h"

#include "../base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

enum { MOST = 12, EDGES = 40 };

/* The same graph, plainly. */
struct plain {
    uint32_t n, nedge;
    uint64_t id[MOST], age[MOST];
    bool candidate[MOST];
    struct {
        uint32_t from, to;
        enum wait_kind kind;
    } edge[EDGES];
};

static uint32_t solve(const struct plain *p, const uint32_t *order, uint64_t victims[MOST], struct waitgraph **keep)
{
    struct waitgraph *g = waitgraph_new();
    struct waitgraph_victim found[MOST];
    uint32_t n;

    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t v = order[i], node = waitgraph_node(g, p->id[v]);

        if (p->candidate[v])
            waitgraph_candidate(g, node, p->age[v]);
    }
    for (uint32_t i = 0; i < p->nedge; i++)
        (void)waitgraph_wait(g, waitgraph_node(g, p->id[p->edge[i].from]), waitgraph_node(g, p->id[p->edge[i].to]),
                             p->edge[i].kind);
    n = waitgraph_solve(g, found, MOST);
    for (uint32_t i = 0; i < n; i++)
        victims[i] = waitgraph_id(g, found[i].node);
    if (keep)
        *keep = g;
    else
        waitgraph_free(g);
    return n;
}

/* --- by hand --- */

static uint32_t in_order[MOST] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };

static void add(struct plain *p, uint32_t from, uint32_t to, enum wait_kind kind)
{
    p->edge[p->nedge].from = from;
    p->edge[p->nedge].to = to;
    p->edge[p->nedge++].kind = kind;
}

/* Ages: node 0 is the youngest. */
static struct plain fresh(uint32_t n)
{
    struct plain p = { .n = n };

    for (uint32_t i = 0; i < n; i++) {
        p.id[i] = 100 + i;
        p.age[i] = i;
        p.candidate[i] = true;
    }
    return p;
}

static void test_two_cross(void **state)
{
    struct plain p = fresh(2);
    uint64_t v[MOST];
    (void)state;
    add(&p, 0, 1, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 0);
    add(&p, 1, 0, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 1);
    assert_int_equal(v[0], 100);
    p.candidate[0] = false; /* it is committing */
    assert_int_equal(solve(&p, in_order, v, NULL), 1);
    assert_int_equal(v[0], 101);
    p.candidate[1] = false;
    assert_int_equal(solve(&p, in_order, v, NULL), 0);
}

static void test_who_waits_behind_is_no_victim(void **state)
{
    struct plain p = fresh(4);
    uint64_t v[MOST];
    (void)state;
    add(&p, 0, 2, WAIT_ALL); /* the youngest waits behind a deadlock of 2 and 3; 1 does so behind it */
    add(&p, 2, 3, WAIT_ALL);
    add(&p, 3, 2, WAIT_ALL);
    add(&p, 1, 0, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 1);
    assert_int_equal(v[0], 102);
}

static void test_two_deadlocks_at_once(void **state)
{
    struct plain p = fresh(4);
    uint64_t v[MOST];
    (void)state;
    add(&p, 0, 1, WAIT_ALL);
    add(&p, 1, 0, WAIT_ALL);
    add(&p, 0, 2, WAIT_ALL); /* one waits for the other */
    add(&p, 2, 3, WAIT_ALL);
    add(&p, 3, 2, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 2);
    assert_int_equal(v[0], 102);
    assert_int_equal(v[1], 100);
}

static void test_any_one_is_enough(void **state)
{
    struct plain p = fresh(4);
    uint64_t v[MOST];
    (void)state;
    add(&p, 0, 1, WAIT_ANY);
    add(&p, 0, 2, WAIT_ANY);
    add(&p, 1, 0, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 0); /* 2 goes on */
    add(&p, 2, 0, WAIT_ALL);
    assert_int_equal(solve(&p, in_order, v, NULL), 1);
    assert_int_equal(v[0], 100);
    add(&p, 0, 3, WAIT_ANY);
    assert_int_equal(solve(&p, in_order, v, NULL), 0);
}

static void test_cycle_is_told(void **state)
{
    struct waitgraph *g = waitgraph_new();
    struct waitgraph_victim v[2];
    uint32_t a = waitgraph_node(g, 1), b = waitgraph_node(g, 2), c = waitgraph_node(g, 3), edges[4];
    (void)state;
    edges[0] = waitgraph_wait(g, a, b, WAIT_ALL);
    edges[1] = waitgraph_wait(g, b, c, WAIT_ALL);
    edges[2] = waitgraph_wait(g, c, a, WAIT_ALL);
    waitgraph_candidate(g, b, 7);
    assert_int_equal(waitgraph_solve(g, v, 2), 1);
    assert_int_equal(v[0].node, b);
    assert_int_equal(v[0].nedge, 3);
    assert_int_equal(v[0].edges[0], edges[1]);
    assert_int_equal(v[0].edges[1], edges[2]);
    assert_int_equal(v[0].edges[2], edges[0]);
    waitgraph_spare(g, b);
    assert_int_equal(waitgraph_solve(g, v, 2), 0);
    assert_true(waitgraph_stuck(g, a));
    edges[3] = waitgraph_wait(g, a, a, WAIT_ALL);
    waitgraph_candidate(g, a, 1);
    assert_int_equal(waitgraph_solve(g, v, 2), 1);
    assert_int_equal(v[0].nedge, 1);
    assert_int_equal(v[0].edges[0], edges[3]);
    waitgraph_free(g);
}

static void test_long_cycle(void **state)
{
    enum { N = 5000 };
    struct waitgraph *g = waitgraph_new();
    struct waitgraph_victim v[4];
    (void)state;
    for (uint32_t i = 0; i < N; i++) {
        waitgraph_candidate(g, waitgraph_node(g, i), N - i);
        (void)waitgraph_wait(g, waitgraph_node(g, i), waitgraph_node(g, (i + 1) % N), WAIT_ALL);
    }
    assert_int_equal(waitgraph_solve(g, v, 4), 1);
    assert_int_equal(waitgraph_id(g, v[0].node), N - 1);
    assert_int_equal(v[0].nedge, WAITGRAPH_CYCLE_MAX);
    waitgraph_free(g);
}

/* --- random --- */

/* Who can never go on when those in `out` have ended: what is left when whoever can go on has, again and again. */
static uint32_t plain_stuck(const struct plain *p, uint32_t out)
{
    uint32_t live = out, before;

    do {
        before = live;
        for (uint32_t i = 0; i < p->n; i++) {
            bool all = true, any = false, wants_any = false;

            for (uint32_t k = 0; k < p->nedge; k++) {
                bool to = live & (1u << p->edge[k].to);

                if (p->edge[k].from != i)
                    continue;
                if (p->edge[k].kind == WAIT_ALL) {
                    all = all && to;
                } else {
                    wants_any = true;
                    any = any || to;
                }
            }
            if (all && (any || !wants_any))
                live |= 1u << i;
        }
    } while (live != before);
    return ~live & ((1u << p->n) - 1);
}

/* Which nodes each of the stuck waits for, over others, by waits that keep it back. */
static void plain_reach(const struct plain *p, uint32_t stuck, uint32_t reach[MOST])
{
    memset(reach, 0, MOST * sizeof(*reach));
    for (uint32_t i = 0; i < p->n; i++) {
        bool any_live = false;

        for (uint32_t k = 0; k < p->nedge; k++)
            any_live |= p->edge[k].from == i && p->edge[k].kind == WAIT_ANY && !(stuck & (1u << p->edge[k].to));
        for (uint32_t k = 0; k < p->nedge; k++) {
            if (p->edge[k].from == i && (stuck & (1u << i)) && (stuck & (1u << p->edge[k].to)) &&
                (p->edge[k].kind == WAIT_ALL || !any_live))
                reach[i] |= 1u << p->edge[k].to;
        }
    }
    for (uint32_t k = 0; k < p->n; k++) {
        for (uint32_t i = 0; i < p->n; i++) {
            if (reach[i] & (1u << k))
                reach[i] |= reach[k];
        }
    }
}

static uint32_t number_of(const struct plain *p, uint64_t id)
{
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->id[i] == id)
            return i;
    }
    fail();
    return 0;
}

/* All victims, by the definitions, as a set. */
static uint32_t plain_victims(const struct plain *p)
{
    uint32_t out = 0, victims = 0, stuck, reach[MOST];

    while ((stuck = plain_stuck(p, out))) {
        uint32_t now = 0;

        plain_reach(p, stuck, reach);
        for (uint32_t i = 0; i < p->n; i++) {
            uint32_t knot = 0, best = MOST;

            if (!(stuck & (1u << i)))
                continue;
            for (uint32_t k = 0; k < p->n; k++) {
                if ((reach[i] & (1u << k)) && (reach[k] & (1u << i)))
                    knot |= 1u << k;
            }
            if (!(knot & (1u << i)) || (reach[i] & ~knot))
                continue; /* it waits for somebody outside, or is on no cycle */
            for (uint32_t k = 0; k < p->n; k++) {
                if ((knot & (1u << k)) && p->candidate[k] &&
                    (best == MOST || p->age[k] < p->age[best] || (p->age[k] == p->age[best] && p->id[k] > p->id[best])))
                    best = k;
            }
            now |= best == MOST ? knot : 1u << best;
            victims |= best == MOST ? 0 : 1u << best;
        }
        assert_true(now != 0);
        out |= now;
    }
    return victims;
}

static void shuffle(uint64_t *seed, uint32_t *v, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = random_below(seed, i), swap = v[i - 1];

        v[i - 1] = v[k];
        v[k] = swap;
    }
}

static struct plain random_graph(uint64_t *seed)
{
    struct plain p = { .n = 1 + random_below(seed, MOST) };
    uint32_t nedge = random_below(seed, p.n * 2 + 1), any = random_below(seed, 4);

    for (uint32_t i = 0; i < p.n; i++) {
        p.id[i] = random_next(seed);
        p.age[i] = random_below(seed, 6);
        p.candidate[i] = random_below(seed, 5) != 0;
    }
    for (uint32_t i = 0; i < nedge && i < EDGES; i++)
        add(&p, random_below(seed, p.n), random_below(seed, p.n), random_below(seed, 4) < any ? WAIT_ANY : WAIT_ALL);
    return p;
}

static void test_random(void **state)
{
    uint64_t seed = 26;
    uint32_t with = 0, several = 0;
    (void)state;
    for (uint32_t round = 0; round < 30000; round++) {
        struct plain p = random_graph(&seed);
        uint32_t order[MOST], victims = 0, expected = plain_victims(&p), stuck = plain_stuck(&p, 0);
        uint64_t v[MOST];
        struct waitgraph *g;

        memcpy(order, in_order, sizeof(order));
        shuffle(&seed, order, p.n);
        for (uint32_t n = solve(&p, order, v, &g); n > 0; n--) {
            uint32_t bit = 1u << number_of(&p, v[n - 1]);

            assert_false(victims & bit); /* nobody twice */
            victims |= bit;
        }
        assert_int_equal(victims, expected);
        for (uint32_t i = 0; i < p.n; i++)
            assert_int_equal(waitgraph_stuck(g, waitgraph_node(g, p.id[i])), (stuck >> i) & 1);
        waitgraph_free(g);
        with += victims != 0;
        several += (victims & (victims - 1)) != 0;
    }
    assert_true(with > 5000 && several > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_cross),
        cmocka_unit_test(test_who_waits_behind_is_no_victim),
        cmocka_unit_test(test_two_deadlocks_at_once),
        cmocka_unit_test(test_any_one_is_enough),
        cmocka_unit_test(test_cycle_is_told),
        cmocka_unit_test(test_long_cycle),
        cmocka_unit_test(test_random),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
