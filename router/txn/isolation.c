#include "router/txn/isolation.h"

#include "planner/catalog.h"
#include "router/schema.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/session/setting.h"

bool isolation_takes_all(const struct session *s)
{
    const struct txn *t = &s->txn;
    enum snapshot_shards which;

    if (LIKELY(!t->env || !txn_has_snapshot(t) || t->whole || t->placed || s->set->npool == 1))
        return false;
    which = setting_snapshot_shards(s);
    return which >= (t->modes.isolation == ISOLATION_SERIALIZABLE ? SNAPSHOT_ALL_SERIALIZABLE : SNAPSHOT_ALL) &&
           !setting_names_shard(s);
}

void isolation_taken(struct session *s)
{
    s->txn.whole = true;
    s->txn.map_epoch = s->set->map_epoch;
}

static bool refuse(const struct session *s, struct err *e)
{
    bool serializable = s->txn.env ? s->txn.modes.isolation == ISOLATION_SERIALIZABLE : true;

    err_set(e, PB0313, "a %s transaction over several shards is not supported",
            serializable ? "SERIALIZABLE" : "REPEATABLE READ");
    if (!serializable) {
        err_detail(e, "It has the snapshot of one shard only (pgbraid.snapshot_shards, pgbraid.key, pgbraid.shard).");
        return err_hint(e, "SET pgbraid.snapshot_shards = 'all' before it begins.");
    }
    err_detail(e, "Each shard is serializable by itself, but what several of them allow one server might refuse.");
    return err_hint(e, "Use REPEATABLE READ, or one sharding key a transaction; pgbraid.snapshot_shards = "
                       "'all_serializable' makes do with each shard by itself.");
}

static bool changed(const char *what, struct err *e)
{
    err_set(e, PB0313, "could not serialize access: %s since the transaction began", what);
    err_state(e, "40001");
    return err_hint(e, "Run the transaction again.");
}

/* The clock of a transaction is read on one shard. */
static bool allows_clock(struct txn *t, uint32_t shard, struct err *e)
{
    if (t->clocked && t->clock != shard) {
        err_set(e, PB0313, "a transaction over several shards cannot read its time on a second one");
        err_detail(
            e, "now() and column defaults like it would give each shard's own time, and a transaction has only one.");
        return err_hint(e, "Read now() once, and pass it as a constant or a parameter.");
    }
    t->clocked = true;
    t->clock = shard;
    return true;
}

bool isolation_allows(struct session *s, bool moment, uint32_t npart, uint32_t shard, struct err *e)
{
    struct txn *t = &s->txn;

    if (!t->env) {
        if (npart > 1 && s->env->defaults.isolation == ISOLATION_SERIALIZABLE &&
            setting_snapshot_shards(s) != SNAPSHOT_ALL_SERIALIZABLE)
            return refuse(s, e);
        return true;
    }
    if (moment && npart == 1 && !allows_clock(t, shard, e))
        return false;
    if (!txn_has_snapshot(t))
        return true;
    if (!t->whole && (npart > 1 || (t->placed && t->shard != shard)))
        return refuse(s, e);
    if (t->epoch != catalog_epoch(session_catalog(s)))
        return changed("the schema has changed", e);
    if (t->whole)
        return t->map_epoch == s->set->map_epoch || changed("the shards have changed", e);
    t->placed = true;
    t->shard = shard;
    return true;
}
