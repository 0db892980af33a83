#include "router/isolation.h"

#include "planner/catalog.h"
#include "router/schema.h"
#include "router/session.h"

static bool refuse(struct err *e, const char *what)
{
    err_set(e, PB0313, "%s over several shards is not supported", what);
    err_detail(e, "Each shard takes its own snapshot at its own first statement, so the statements of the transaction "
                  "would not see "
                  "the same moment.");
    return err_hint(e, "Use READ COMMITTED, or one sharding key a transaction.");
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
        if (npart > 1 && s->env->defaults.isolation == ISOLATION_SERIALIZABLE)
            return refuse(e, "a SERIALIZABLE statement");
        return true;
    }
    if (moment && npart == 1 && !allows_clock(t, shard, e))
        return false;
    if (!txn_has_snapshot(t))
        return true;
    if (npart > 1 || (t->placed && t->shard != shard))
        return refuse(e, "a REPEATABLE READ or SERIALIZABLE transaction");
    if (t->epoch != catalog_epoch(session_catalog(s))) {
        err_set(e, PB0313, "could not serialize access: the schema has changed since the transaction began");
        err_state(e, "40001");
        return err_hint(e, "Run the transaction again.");
    }
    t->placed = true;
    t->shard = shard;
    return true;
}
