/*
 * Cursors in SQL. A DECLARE has the plan of its query; what the router does with it follows from how many shards that
 * runs on (router/exec/cursor.c).
 */
#include "planner/analyse_int.h"
#include "planner/plan_int.h"
#include "planner/utility_int.h"

#include <limits.h>

bool utility_declare_plan(const struct plan_input *in, const PgQuery__DeclareCursorStmt *stmt, struct arena *scratch,
                          struct plan_result *out, struct err *e)
{
    if (!analyse_query(in, stmt->query, scratch, out, e))
        return false;
    struct plan *p = out->plan;
    struct plan_session *s = ARENA_NEW(plan_arena(p), struct plan_session);
    s->verb = SESSION_DECLARE;
    s->name = arena_strdup(plan_arena(p), tree_str(stmt->portalname));
    s->hold = stmt->options & CURSOR_HOLD;
    s->scroll = stmt->options & CURSOR_SCROLL;
    p->kind = PLAN_SESSION;
    p->session = s;
    p->returns_rows = false;
    p->pins = s->hold ? PIN_CURSOR : p->pins;
    /* Like WITH HOLD cursors themselves. */
    p->unpreparable = p->unpreparable || s->hold;
    out->cacheable = false;
    return true;
}

bool utility_fetch_plan(const PgQuery__FetchStmt *stmt, struct plan_result *out)
{
    struct plan_session *s = session_plan(out, SESSION_FETCH, stmt->portalname);
    struct plan *p = out->plan;
    s->move = stmt->ismove;
    if (stmt->direction == PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD && stmt->how_many > 0)
        s->count = stmt->how_many == LONG_MAX ? UINT64_MAX : (uint64_t)stmt->how_many;
    p->returns_rows = !s->move;
    p->combine = COMBINE_CONCAT;
    p->sequential = true;
    out->cacheable = false;
    return true;
}

bool utility_close_plan(const PgQuery__ClosePortalStmt *stmt, struct plan_result *out)
{
    session_plan(out, SESSION_CLOSE, stmt->portalname);
    out->plan->combine = COMBINE_SAME;
    out->cacheable = false;
    return true;
}
