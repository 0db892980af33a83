/*
 * Routing hints (planner/hint.h): what the planner has found is compared with what the client says.
 *
 *   one shard by its keys   the same, or refused
 *   any shard               the hint's
 *   several shards          the hint's alone: the explicit choice of a part of the rows. Not for writes that every
 * shard does (reference tables, DDL), nor for new rows, which have a place by their keys the home shard          the
 * same, or refused (a setting does not concern it)
 */
#include "router/exec/hint.h"

#include "router/exec/exec_int.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/worker.h"

static bool contradicts(const struct exec *x, uint32_t hinted, uint32_t placed, struct err *e)
{
    const struct map_shard *shards = x->s->db->map->shards;

    err_set(e, PB0206, "the routing hint contradicts the statement");
    err_detail(e, "The hint is for shard \"%s\", the statement for shard \"%s\".", shards[hinted].name,
               shards[placed].name);
    return err_hint(e, "Leave the hint out where the statement says by itself where it belongs.");
}

static bool no_choice(struct err *e)
{
    err_set(e, PB0206, "a routing hint cannot choose the shard of this statement");
    err_detail(e, "It concerns all its shards: rows of one shard alone would be wrong.");
    return err_hint(e, "Leave the hint out.");
}

bool exec_hint(struct exec *x, struct err *e)
{
    struct route *r = &x->route;
    uint32_t shard;

    if (LIKELY(!x->plan->hint))
        return true;
    if (!plan_hint_shard(x->plan, x->s->db->map, &shard, e))
        return false;
    if (!r->any && r->n == 1 && r->first == shard)
        return true;
    if (x->plan->kind == PLAN_COPY_IN || x->plan->kind == PLAN_DDL || x->plan->combine == COMBINE_SAME ||
        (x->plan->gather && x->plan->gather->always) || (x->plan->kind == PLAN_INSERT && r->n > 1))
        return no_choice(e);
    if (!r->any && (r->n == 1 || !shardset_has(&r->set, shard)))
        return contradicts(x, shard, r->first, e);
    *r = (struct route){ .n = 1, .first = shard };
    shardset_add(&r->set, shard);
    return true;
}

bool exec_check_scatter(const struct exec *x, struct err *e)
{
    if (x->plan->kind == PLAN_DDL || x->plan->combine == COMBINE_SAME || setting_allows_scatter(x->s))
        return true;
    err_set(e, PB0201, "the statement needs several shards");
    err_detail(e, "pgbraid.allow_scatter is off.");
    return err_hint(e, "Give the sharding key, or SET pgbraid.allow_scatter = on.");
}
