/*
 * Appends to lists and reads of them, as in Elle: because every value is appended once, a list tells the order of its
 * writers, and a read tells which of them it has seen.
 *
 *   lists (id, v)        READ COMMITTED, keys of any shard in a transaction
 *   slists (id, k, v)    SERIALIZABLE, all keys of a transaction have the same id, so they are on one shard
 */
#include "load.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define LISTS_AT_A_TIME      12u
#define TRANSACTIONS_ON_THEM 400u /* then come other lists, so that none grows without end */
#define OPERATIONS           4u
#define SERIALIZABLE_GROUPS  6u
#define SERIALIZABLE_KEYS    3u

static _Atomic uint64_t ntransaction;

/* The key of one list as it stands in the history. */
struct key {
    int64_t id;
    uint32_t k;
};

static void put_key(struct strbuf *out, char op, const struct key *key, bool serializable)
{
    if (serializable)
        strbuf_printf(out, " %c:%" PRId64 ".%u:", op, key->id, key->k);
    else
        strbuf_printf(out, " %c:%" PRId64 ":", op, key->id);
}

static bool append(struct client *c, struct answer *a, const struct key *key, uint64_t value, bool serializable)
{
    put_key(&c->ops, 'a', key, serializable);
    strbuf_printf(&c->ops, "%" PRIu64, value);
    if (serializable)
        return client_query(c, a,
                            "INSERT INTO slists AS l (id, k, v) VALUES (%" PRId64 ", %u, ARRAY[%" PRIu64
                            "]::bigint[]) ON CONFLICT (id, k) DO UPDATE SET v = l.v || EXCLUDED.v",
                            key->id, key->k, value);
    return client_query(c, a,
                        "INSERT INTO lists AS l (id, v) VALUES (%" PRId64 ", ARRAY[%" PRIu64
                        "]::bigint[]) ON CONFLICT (id) DO UPDATE SET v = l.v || EXCLUDED.v",
                        key->id, value);
}

static bool read_list(struct client *c, struct answer *a, const struct key *key, bool serializable)
{
    bool ok;

    if (serializable) {
        ok = client_query(c, a, "SELECT v FROM slists WHERE id = %" PRId64 " AND k = %u", key->id, key->k);
    } else if (client_random(c, 2)) {
        int64_t id = key->id;

        ok = client_params(c, a, NULL, "SELECT v FROM lists WHERE id = $1", 1, &id);
    } else {
        ok = client_query(c, a, "SELECT v FROM lists WHERE id = %" PRId64, key->id);
    }
    if (!ok)
        return false; /* nothing was read */
    put_key(&c->ops, 'r', key, serializable);
    if (a->value.len > 2)
        strbuf_put(&c->ops, a->value.ptr + 1, a->value.len - 2); /* {1,2} */
    return true;
}

static void pick_key(struct client *c, int64_t round, bool serializable, struct key *key)
{
    uint64_t window = atomic_load(&ntransaction) / TRANSACTIONS_ON_THEM;

    key->id = round * 1000000 + (int64_t)window * 100 +
              client_random(c, serializable ? SERIALIZABLE_GROUPS : LISTS_AT_A_TIME);
    key->k = client_random(c, SERIALIZABLE_KEYS);
}

void lists_transaction(struct client *c, int64_t round, bool serializable)
{
    uint64_t id = (uint64_t)round * 100000000 + c->id * 1000000 + c->seq++;
    uint32_t nop = 1 + client_random(c, OPERATIONS);
    struct answer a = { 0 };
    struct key key;
    enum outcome outcome = OUTCOME_ABORTED;
    bool ok = client_query(c, &a, serializable ? "BEGIN ISOLATION LEVEL SERIALIZABLE" : "BEGIN");
    int64_t group;

    atomic_fetch_add(&ntransaction, 1);
    strbuf_reset(&c->ops);
    a.gtid[0] = '\0';
    pick_key(c, round, serializable, &key);
    group = key.id;
    for (uint32_t i = 0; ok && i < nop; i++) {
        pick_key(c, round, serializable, &key);
        if (serializable)
            key.id = group;
        ok = client_random(c, 2) ? append(c, &a, &key, id % 100000000 * 10 + i, serializable)
                                 : read_list(c, &a, &key, serializable);
    }
    if (ok)
        outcome = client_commit(c, &a);
    if (outcome != OUTCOME_COMMITTED)
        client_rollback(c);
    load_note_transaction(c, 'L', id, serializable ? "ser" : "rc", outcome, &a);
    answer_fini(&a);
}
