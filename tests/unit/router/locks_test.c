/* Answers about locks (X25, X26): what is taken, and what is refused. */
#include "router/txn/locks.h"

#include "router/txn/gtid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

#define GTID "00062a5b3c4d5e-0000000a-0000000b-00000000000000bb"

static bool row(struct shard_locks *l, const char *kind, const char *pid, const char *vxid, const char *since,
                const char *blocker, const char *gid, const char *mode, const char *held)
{
    const char *v[LOCKS_COLUMNS] = { kind, pid, vxid, since, blocker, gid, mode, held, "ShareLock on transaction 7",
                                     "app" };
    struct err e = ERR_INIT;
    bool ok = locks_add(l, v, &e);

    assert_int_equal(ok, e.message[0] == '\0');
    return ok;
}

static void test_waits(void **state)
{
    struct shard_locks l;
    (void)state;
    locks_init(&l);
    assert_true(row(&l, "w", "11", "3/7", "1000", "12", NULL, NULL, NULL));
    assert_true(row(&l, "w", "11", "3/7", "1000", "13", NULL, NULL, NULL));
    assert_true(row(&l, "w", "11", "3/8", "1000", "12", NULL, NULL, NULL));
    assert_true(row(&l, "w", "11", "3/7", "1001", "12", NULL, NULL, NULL));
    assert_int_equal(l.nwait, 4);
    assert_int_equal(l.waits[0].id, l.waits[1].id); /* one wait, two blockers */
    assert_int_not_equal(l.waits[0].id, l.waits[2].id);
    assert_int_not_equal(l.waits[0].id, l.waits[3].id);
    assert_string_equal(l.waits[0].what, "ShareLock on transaction 7");
    assert_string_equal(l.waits[0].application, "app");
    locks_fini(&l);
}

static void test_prepared_blockers(void **state)
{
    static const char gid[] = "pgbraid:" GTID ":1:2";
    struct shard_locks l;
    (void)state;
    locks_init(&l);
    assert_true(row(&l, "w", "11", "3/7", "1", "0", gid, "ShareLock", "ExclusiveLock"));
    assert_int_equal(l.nwait, 1);
    assert_int_equal(l.waits[0].blocker_key, gtid_key(span_str(GTID)));
    /* it holds a lock that is not in the way */
    assert_true(row(&l, "w", "11", "3/7", "1", "0", gid, "RowExclusiveLock", "RowExclusiveLock"));
    assert_true(row(&l, "w", "11", "3/7", "1", "0", gid, "ShareLock", "RowShareLock"));
    assert_true(row(&l, "w", "11", "3/7", "1", "0", "pgbraid:of somebody else", "ShareLock", "ExclusiveLock"));
    assert_int_equal(l.nwait, 1);
    assert_true(row(&l, "p", gid, NULL, NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "p", "pgbraid:of somebody else", NULL, NULL, NULL, NULL, NULL, NULL));
    assert_int_equal(l.nprepared, 1);
    assert_int_equal(l.prepared[0], gtid_key(span_str(GTID)));
    locks_fini(&l);
}

static void test_owners(void **state)
{
    struct shard_locks l;
    (void)state;
    locks_init(&l);
    assert_true(row(&l, "o", "30", "300", NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "o", "10", "100", NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "o", "20", "200", NULL, NULL, NULL, NULL, NULL));
    /* a user's lock that looks like ours: shared by two, or beside ours */
    assert_true(row(&l, "o", "40", "777", NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "o", "41", "777", NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "o", "50", "500", NULL, NULL, NULL, NULL, NULL));
    assert_true(row(&l, "o", "50", "501", NULL, NULL, NULL, NULL, NULL));
    locks_settle(&l);
    assert_int_equal(l.nowner, 3);
    assert_int_equal(locks_owner(&l, 10)->key, 100);
    assert_int_equal(locks_owner(&l, 20)->key, 200);
    assert_int_equal(locks_owner(&l, 30)->key, 300);
    assert_null(locks_owner(&l, 40));
    assert_null(locks_owner(&l, 50));
    assert_null(locks_owner(&l, 11));
    locks_fini(&l);
}

static void test_refused(void **state)
{
    static const char gid[] = "pgbraid:" GTID ":1:2";
    struct shard_locks l;
    (void)state;
    locks_init(&l);
    assert_false(row(&l, NULL, "1", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "x", "1", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "ww", "1", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", NULL, "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "-1", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "4294967297", "3/7", "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "1", NULL, "1", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "1", "3/7", "1.5", "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "1", "3/7", NULL, "2", NULL, NULL, NULL));
    assert_false(row(&l, "w", "1", "3/7", "1", "2 ", NULL, NULL, NULL));
    assert_false(row(&l, "w", "1", "3/7", "1", "0", NULL, "ShareLock", "ShareLock"));
    assert_false(row(&l, "w", "1", "3/7", "1", "0", gid, "ShareLock", "sharelock"));
    assert_false(row(&l, "w", "1", "3/7", "1", "0", gid, NULL, "ShareLock"));
    assert_false(row(&l, "o", "1", "281474976710656", NULL, NULL, NULL, NULL, NULL));
    assert_false(row(&l, "o", "1", NULL, NULL, NULL, NULL, NULL, NULL));
    assert_false(row(&l, "p", NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    assert_int_equal(l.nwait + l.nowner + l.nprepared, 0);
    locks_settle(&l);
    locks_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_waits), cmocka_unit_test(test_prepared_blockers),
                                        cmocka_unit_test(test_owners), cmocka_unit_test(test_refused) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
