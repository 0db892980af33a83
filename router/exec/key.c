/*
 * SET pgbraid.idempotency_key = '...' inside a transaction: the key becomes a row in that transaction, so that only one
 * transaction with it can commit. A row of a sharded table, by the hash of the key (rule X34): a repeat finds it
 * whatever it does otherwise, through whatever router, and after the shards have been replaced. Its shard is a
 * participant like any other.
 *
 * The row is written at once: a repeat hears 23505 from SET, with the first outcome's gtid; of two at the same time the
 * second waits for the first, and goes on if that is rolled back.
 */
#include "router/exec/key.h"

#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/exec/snapshot.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/isolation.h"
#include "router/worker.h"
#include "shardmap/vhash.h"
#include "wire/proto.h"

#include <string.h>

#define KEY_MAX 255u /* bytes */

static bool key_refuse(struct err *e, const char *sqlstate, const char *message, const char *hint)
{
    err_set(e, PB0313, "%s", message);
    err_state(e, sqlstate);
    return err_hint(e, "%s", hint);
}

static bool key_check(const struct exec *x, const char *key, const char *has, struct err *e)
{
    if (!x->s->txn.env)
        return key_refuse(e, "25P01", "an idempotency key can only be set in a transaction block",
                          "BEGIN first, or send SET and the statement in one string.");
    if (*has && strcmp(has, key) != 0)
        return key_refuse(e, "55000", "the transaction has an idempotency key already", "One transaction has one key.");
    if (!*key || strlen(key) > KEY_MAX)
        return key_refuse(e, "22023", "an idempotency key has 1 to 255 bytes", "Use a UUID.");
    return true;
}

static uint32_t key_shard(const struct exec *x, const char *key)
{
    uint64_t hash;
    enum vhash_result r = vhash_text(KEY_TEXT, -1, VHASH_ASSIGN, span_str(key), 0, &hash);

    BUG_ON(r != VHASH_OK);
    return map_shard_of(x->s->db->map, vhash_keyspace_id(hash));
}

static void key_send(struct exec *x)
{
    struct strbuf sql = STRBUF_INIT;

    strbuf_puts(&sql, "SELECT pgbraid.remember_key(");
    strbuf_put_literal(&sql, span_str(x->setting_value));
    strbuf_printf(&sql, ", '%s')", txn_record(x->s));
    x->parts[0].backend->part = 0;
    x->parts[0].backend->wrote = true;
    x->next_part = 1;
    exec_send_query(x, &x->parts[0], strbuf_span(&sql));
    strbuf_fini(&sql);
}

static void key_resume(struct session *s)
{
    struct exec *x = s->exec;
    struct pool *pool = s->set->pools[x->parts[0].shard];
    struct backend *b = session_lease_of(s, pool);

    if (!b) {
        session_set_state(s, SESSION_WAITING);
        s->resume = key_resume;
        b = pool_acquire(pool, s, s->nheld > 0);
        if (!b) {
            exec_flush(x);
            return;
        }
        s->resume = NULL;
        session_set_state(s, SESSION_RUNNING);
    }
    x->parts[0].backend = b;
    key_send(x);
}

static void key_run(struct exec *x)
{
    struct err e = ERR_INIT;

    if (!exec_snapshot(x, key_run))
        return;
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->npart = 1;
    x->parts[0].shard = key_shard(x, x->setting_value);
    if (!isolation_allows(x->s, false, 1, x->parts[0].shard, &e)) {
        exec_fail(x, &e);
        return;
    }
    x->task = TASK_KEY;
    key_resume(x->s);
}

void exec_key(struct exec *x, const char *key)
{
    const char *has = setting_idempotency_key(x->s);
    struct err e = ERR_INIT;

    if (!key_check(x, key, has, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (*has) {
        exec_own_setting_done(x, key, true);
        return;
    }
    x->setting_value = arena_strdup(&x->arena, key);
    key_run(x);
}

enum exec_action exec_key_frame(struct exec *x, struct part *p, char type, struct span body)
{
    if (type == BE_ERROR && !x->failed) {
        strbuf_put(&x->error, body.ptr, body.len);
        x->error_part = 0;
        x->failed = p->failed = true;
    }
    return EXEC_SWALLOW;
}

void exec_key_done(struct exec *x)
{
    if (x->failed) {
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    /* As if by SET LOCAL: the key is this transaction's. */
    exec_own_setting_done(x, x->setting_value, true);
}
