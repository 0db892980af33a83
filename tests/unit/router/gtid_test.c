/* Names of distributed transactions: form, order, and what is not one of them. */
#include "router/txn/gtid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void names_grow(void **state)
{
    struct gtids *g = gtids_new();
    char before[GTID_MAX], after[GTID_MAX];

    (void)state;
    gtid_new(g, before);
    for (int i = 0; i < 1000; i++) {
        gtid_new(g, after);
        assert_true(gtid_ok(span_str(after)));
        assert_true(strcmp(before, after) < 0); /* the younger one is greater: whom the deadlock detector ends */
        memcpy(before, after, sizeof(before));
    }
    gtids_free(g);
}

static void live_until_end(void **state)
{
    struct gtids *g = gtids_new();
    char a[GTID_MAX], b[GTID_MAX];

    (void)state;
    gtid_new(g, a);
    gtid_new(g, b);
    assert_false(gtid_is_live(g, span_str(a)));
    gtid_begin(g, a);
    gtid_begin(g, b);
    assert_true(gtid_is_live(g, span_str(a)));
    gtid_end(g, a);
    assert_false(gtid_is_live(g, span_str(a)));
    assert_true(gtid_is_live(g, span_str(b)));
    gtids_free(g);
}

static void gid_and_back(void **state)
{
    struct gtids *g = gtids_new();
    char gtid[GTID_MAX], gid[GID_MAX];
    uint32_t decider, shard;
    struct span found;

    (void)state;
    gtid_new(g, gtid);
    gtid_gid(gtid, 4294967295u, 17, gid);
    assert_true(gid_parse(span_str(gid), &found, &decider, &shard));
    assert_true(span_eq_str(found, gtid));
    assert_int_equal(decider, 4294967295u);
    assert_int_equal(shard, 17);
    gtids_free(g);
}

#define GTID "00000000000001-0000000a-0000000b-00000000000000bb"

/* Anybody may prepare transactions, under any name of at most 199 bytes. */
static void not_ours(void **state)
{
    static const char *const gids[] = {
        "",
        "pgbraid:",
        "pgbraid:" GTID,
        "pgbraid:" GTID ":1",
        "pgbraid:" GTID ":1:",
        "pgbraid:" GTID "::1",
        "pgbraid:" GTID ":1:2:3",
        "pgbraid:" GTID ":1:4294967296",
        "pgbraid:" GTID ":-1:2",
        "pgbraid:" GTID ":1:2 ",
        "Pgbraid:" GTID ":1:2",
        "pgbraid:00000000000001-0000000A-0000000b-00000000000000bb:1:2",
        "pgbraid:00000000000001-0000000a-0000000b-00000000000000b':1:2",
        "pgbraid:00000000000001-0000000a-0000000b-0000000000000bb:1:2",
        "pgbraid:00000000000001-0000000a-0000000b-000000000000000bb:1:2",
        "not ours",
    };
    uint32_t decider, shard;
    struct span gtid;

    (void)state;
    for (size_t i = 0; i < sizeof(gids) / sizeof(gids[0]); i++) {
        if (gid_parse(span_str(gids[i]), &gtid, &decider, &shard))
            fail_msg("taken for one of ours: %s", gids[i]);
    }
    assert_true(gid_parse(span_str("pgbraid:" GTID ":1:2"), &gtid, &decider, &shard));
}

/* X25: what stands for a gtid in pg_locks, and who is the youngest by it. */
static void keys_of_locks(void **state)
{
    const uint64_t now = UINT64_C(0x5f5e1001234567);
    struct gtids *g = gtids_new();
    char a[GTID_MAX], b[GTID_MAX];
    uint64_t key = gtid_key(span_str("5f5e1001234567-0000000a-0000000b-00000000000000bb"));

    (void)state;
    assert_int_equal(key >> 48, 0);
    assert_int_equal(key & 0xFFF, 0x0BB);
    assert_int_equal(key & ~UINT64_C(0xFFF), gtid_key_at(now));
    assert_true(gtid_key_age(key, now + 128) > gtid_key_age(gtid_key_at(now + 128), now + 128));
    /* across the end of the range, and from a clock that is ahead */
    for (uint64_t at = 0; at < UINT64_C(1) << 44; at += UINT64_C(0x7654321000)) {
        uint64_t old = gtid_key_at(at), young = gtid_key_at(at + 256);

        assert_true(gtid_key_age(young, at + 1000000) < gtid_key_age(old, at + 1000000));
        assert_true(gtid_key_age(young, at) < gtid_key_age(old, at));
    }
    gtid_new(g, a);
    gtid_new(g, b);
    assert_true(gtid_key(span_str(a)) != gtid_key(span_str(b)));
    gtids_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_grow), cmocka_unit_test(live_until_end), cmocka_unit_test(gid_and_back),
        cmocka_unit_test(not_ours),   cmocka_unit_test(keys_of_locks),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
