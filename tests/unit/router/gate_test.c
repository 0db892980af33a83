/* The gate's counting: which windows are torn, who waits for whom, and what recovery clears (rules X13, X16-X20, X33).
 */
#include "router/txn/gate.h"

#include "net/loop.h"
#include "shardmap/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct loop *loop;
static struct gate *gate;

/* What the last call of a ticket said. */
struct told {
    int calls;
    bool expired;
};

static void tell(void *arg, bool expired)
{
    struct told *t = arg;

    t->calls++;
    t->expired = expired;
    loop_stop(loop);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    gate = gate_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_drain(loop);
    gate_free(gate);
    loop_free(loop);
    return 0;
}

static struct gate_ticket *ticket(struct told *told, uint32_t n, uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t shards[] = { a, b, c };

    *told = (struct told){ 0 };
    return gate_ticket_new(gate, loop, shards, n, tell, told);
}

static enum gate_begin begin(struct gate_ticket *read)
{
    return gate_read_begin(read, true, 10000);
}

static void test_nobody(void **state)
{
    struct told r, w;
    struct gate_ticket *read = ticket(&r, 3, 3, 1, 2), *one = ticket(&w, 1, 2, 0, 0);

    (void)state;
    assert_true(gate_quiet(gate));
    assert_int_equal(begin(read), GATE_OPEN);
    assert_false(gate_quiet(gate));
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    assert_true(gate_quiet(gate));
    assert_true(gate_commit_begin(one));
    gate_ticket_free(one);
    gate_ticket_free(read);
}

/* X16: the commit goes on, the read takes its snapshots again and waits for this commit, not for a later one. */
static void test_overlap(void **state)
{
    struct told r, w, later;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *commit = ticket(&w, 3, 2, 1, 9),
                       *next = ticket(&later, 2, 1, 2, 0);

    (void)state;
    assert_int_equal(begin(read), GATE_OPEN);
    assert_true(gate_commit_begin(commit));
    assert_int_equal(gate_read_end(read), GATE_TORN);
    assert_int_equal(begin(read), GATE_WAIT);
    assert_true(gate_commit_begin(next));
    gate_ticket_free(commit);
    loop_run(loop);
    assert_int_equal(r.calls, 1);
    assert_false(r.expired);
    assert_int_equal(begin(read), GATE_WAIT); /* now for the later one */
    gate_ticket_free(next);
    loop_run(loop);
    assert_int_equal(begin(read), GATE_OPEN); /* after GATE_TRIES: committers are asked to wait */
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    gate_ticket_free(read);
}

/* A commit that shares one shard only, or none, tears nothing. */
static void test_elsewhere(void **state)
{
    struct told r, w, v;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *none = ticket(&w, 2, 3, 4, 0), *before = ticket(&v, 2, 2, 3, 0);

    (void)state;
    assert_true(gate_commit_begin(none));
    assert_true(gate_commit_begin(before));
    assert_int_equal(begin(read), GATE_OPEN);
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    gate_ticket_free(none);
    gate_ticket_free(before);
    gate_ticket_free(read);
}

/* After GATE_TRIES committers wait, but not for ever. */
static void test_urgent(void **state)
{
    struct told r, w[GATE_TRIES + 2];
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *commit;

    (void)state;
    for (uint32_t i = 0; i < GATE_TRIES; i++) {
        assert_int_equal(begin(read), GATE_OPEN);
        commit = ticket(&w[i], 2, 1, 2, 0);
        assert_true(gate_commit_begin(commit));
        gate_ticket_free(commit);
        assert_int_equal(gate_read_end(read), GATE_TORN);
    }
    assert_int_equal(begin(read), GATE_OPEN);
    commit = ticket(&w[GATE_TRIES], 2, 1, 2, 0);
    assert_false(gate_commit_begin(commit));
    loop_run(loop);
    assert_true(w[GATE_TRIES].expired);
    assert_true(gate_commit_begin(commit)); /* it has waited */
    gate_ticket_free(commit);
    assert_int_equal(gate_read_end(read), GATE_TORN);
    assert_int_equal(begin(read), GATE_OPEN);
    commit = ticket(&w[GATE_TRIES + 1], 2, 1, 2, 0);
    assert_false(gate_commit_begin(commit));
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    loop_run(loop);
    assert_false(w[GATE_TRIES + 1].expired);
    assert_true(gate_commit_begin(commit));
    gate_ticket_free(commit);
    gate_ticket_free(read);
}

/* X20: a commit of one shard waits for windows that were open when it came; one that does not any more is noted. */
static void test_order(void **state)
{
    struct told r, q, w, v;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *other = ticket(&q, 2, 1, 2, 0), *one = ticket(&w, 1, 2, 0, 0),
                       *two = ticket(&v, 1, 2, 0, 0);

    (void)state;
    assert_int_equal(begin(read), GATE_OPEN);
    assert_false(gate_commit_begin(one));
    assert_int_equal(begin(other), GATE_OPEN); /* opened after the commit came */
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    loop_run(loop);
    assert_false(w.expired);
    assert_true(gate_commit_begin(one));
    assert_int_equal(gate_read_end(other), GATE_WHOLE);
    assert_int_equal(begin(read), GATE_OPEN);
    assert_false(gate_commit_begin(two));
    loop_run(loop);
    assert_true(v.expired);
    assert_true(gate_commit_begin(two));
    assert_int_equal(gate_read_end(read), GATE_TORN);
    gate_ticket_free(one);
    gate_ticket_free(two);
    gate_ticket_free(read);
    gate_ticket_free(other);
}

/* A window as long as a statement holds nobody. */
static void test_watch(void **state)
{
    struct told r, w;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *one = ticket(&w, 1, 2, 0, 0), *both;

    (void)state;
    assert_int_equal(gate_read_begin(read, false, 10000), GATE_OPEN);
    assert_true(gate_quiet(gate));
    assert_true(gate_commit_begin(one));
    gate_ticket_free(one);
    both = ticket(&w, 2, 1, 2, 0);
    assert_true(gate_commit_begin(both));
    gate_ticket_free(both);
    assert_int_equal(gate_read_end(read), GATE_TORN);
    gate_ticket_free(read);
}

/* X18: in doubt until recovery has looked at all its shards, since; reads that wait longer than they may are refused.
 */
static void test_doubt(void **state)
{
    struct told r, w;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *commit = ticket(&w, 2, 1, 2, 0);
    uint64_t early, late;

    (void)state;
    assert_true(gate_commit_begin(commit));
    early = gate_now(gate);
    gate_commit_doubt(commit, "g");
    late = gate_now(gate);
    assert_true(gate_in_doubt(gate));
    gate_shard_clean(gate, 1, early);
    gate_shard_clean(gate, 2, early);
    assert_int_equal(gate_read_begin(read, true, 1), GATE_WAIT);
    loop_run(loop);
    assert_true(r.expired);
    assert_int_equal(gate_read_begin(read, true, 1), GATE_REFUSED);
    gate_ticket_free(read);
    read = ticket(&r, 2, 1, 2, 0);
    assert_int_equal(begin(read), GATE_WAIT);
    gate_shard_clean(gate, 1, late);
    gate_doubt_again(gate, SPAN("g")); /* not finished on shard 2 */
    gate_shard_clean(gate, 2, late);
    assert_true(gate_in_doubt(gate));
    gate_shard_clean(gate, 2, gate_now(gate));
    assert_false(gate_in_doubt(gate));
    loop_run(loop);
    assert_false(r.expired);
    assert_int_equal(begin(read), GATE_OPEN);
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    gate_ticket_free(read);
}

/* X18: a router starts, a shard comes back, a prepared transaction is found: which shards may differ is not known. */
static void test_unknown(void **state)
{
    struct map_shard shards[] = { { .id = 1 }, { .id = 2 }, { .id = 3 } };
    const struct map_db db = { .nshard = 3, .shards = shards };
    struct told r, q;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *elsewhere = ticket(&q, 2, 7, 8, 0);
    uint64_t since;

    (void)state;
    gate_doubt_database(gate, &db);
    assert_int_equal(begin(elsewhere), GATE_OPEN);
    assert_int_equal(gate_read_end(elsewhere), GATE_WHOLE);
    assert_int_equal(begin(read), GATE_WAIT);
    since = gate_now(gate);
    gate_shard_clean(gate, 1, since);
    gate_shard_clean(gate, 3, since);
    assert_int_equal(r.calls, 0);
    gate_shard_clean(gate, 2, since);
    loop_run(loop);
    assert_int_equal(begin(read), GATE_OPEN);
    gate_shard_lost(gate, 2);
    assert_int_equal(gate_read_end(read), GATE_TORN);
    assert_int_equal(begin(read), GATE_WAIT);
    gate_shard_lost(gate, 2);
    gate_shard_clean(gate, 2, gate_now(gate));
    loop_run(loop);
    assert_int_equal(begin(read), GATE_OPEN);
    assert_int_equal(gate_read_end(read), GATE_WHOLE);
    since = gate_now(gate);
    gate_doubt_found(gate, &db, SPAN("g"), since);
    gate_doubt_found(gate, &db, SPAN("g"), since);
    assert_int_equal(begin(read), GATE_WAIT);
    for (uint32_t i = 1; i <= 3; i++)
        gate_shard_clean(gate, i, gate_now(gate));
    loop_run(loop);
    assert_false(gate_in_doubt(gate));
    gate_ticket_free(read);
    gate_ticket_free(elsewhere);
}

/* X33: the rows of a shard have another owner. */
static void test_bump(void **state)
{
    const uint32_t moved[] = { 5, 2 };
    struct told r, q;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *elsewhere = ticket(&q, 2, 1, 3, 0);

    (void)state;
    assert_int_equal(begin(read), GATE_OPEN);
    assert_int_equal(begin(elsewhere), GATE_OPEN);
    gate_bump(gate, moved, 2);
    assert_int_equal(gate_read_end(read), GATE_TORN);
    assert_int_equal(gate_read_end(elsewhere), GATE_WHOLE);
    gate_ticket_free(read);
    gate_ticket_free(elsewhere);
}

/* Whoever goes away while a message to him is on its way is not called. */
static void test_gone(void **state)
{
    struct told r, w, v;
    struct gate_ticket *read = ticket(&r, 2, 1, 2, 0), *commit = ticket(&w, 2, 1, 2, 0), *one = ticket(&v, 1, 1, 0, 0);
    struct gate_stats stats;

    (void)state;
    assert_true(gate_commit_begin(commit));
    assert_int_equal(begin(read), GATE_WAIT);
    gate_ticket_free(commit);
    gate_ticket_free(read);
    read = ticket(&r, 2, 1, 2, 0);
    assert_int_equal(begin(read), GATE_OPEN);
    assert_false(gate_commit_begin(one));
    gate_ticket_free(one);
    gate_ticket_free(read);
    loop_drain(loop);
    assert_int_equal(r.calls + v.calls, 0);
    gate_stats(gate, &stats);
    assert_int_equal(stats.open + stats.partly + stats.in_doubt, 0);
    assert_true(gate_quiet(gate));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_nobody), TEST(test_overlap), TEST(test_elsewhere), TEST(test_urgent),
                                        TEST(test_order),  TEST(test_watch),   TEST(test_doubt),     TEST(test_unknown),
                                        TEST(test_bump),   TEST(test_gone) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
