/*
 * Statements that read views over distributed tables: they are planned anew with the views' texts in the place of their
 * names (planner/view.h), as often as there are views in those.
 */
#include "router/exec/view.h"

#include "planner/planner.h"
#include "router/exec/exec_int.h"
#include "router/schema.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <string.h>

#define VIEW_DEPTH 64u

static bool plan_expanded(struct exec *x, struct err *e)
{
    struct session *s = x->s;
    uint32_t n = x->bound ? x->prepared->ntype : 0;
    uint32_t *types = ARENA_ARRAY(&x->arena, uint32_t, n + 1);
    struct literals lits;
    struct plan *plan;

    for (uint32_t i = 0; i < n; i++)
        types[i] = proto_get32(x->prepared->types + 4 * (size_t)i);
    x->text = exec_copy_span(x, span_str(x->plan->expanded));
    plan = planner_plan(s->worker->planner, session_catalog(s), s->db->map, &s->env->plan, x->text, types, n, &lits, e);
    if (!plan)
        return false;
    plan_unref(x->plan);
    x->plan = plan;
    x->expanded = true;
    x->lits_copy.n = lits.n;
    x->lits_copy.v = ARENA_ARRAY(&x->arena, struct literal, lits.n + 1);
    if (lits.n)
        memcpy((void *)(uintptr_t)x->lits_copy.v, lits.v, lits.n * sizeof(*lits.v));
    return true;
}

bool exec_expand_views(struct exec *x)
{
    struct err e = ERR_INIT;
    bool ok = true;

    for (uint32_t i = 0; ok && x->plan->expanded && i < VIEW_DEPTH; i++)
        ok = plan_expanded(x, &e);
    if (ok && x->plan->expanded)
        ok = err_set(&e, PB0203, "views are nested too deeply");
    if (ok)
        return true;
    e.position = 0; /* of another text */
    exec_fail(x, &e);
    return false;
}
