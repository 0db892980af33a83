#include "planner/locks.h"

#include "planner/gather.h"

#include <string.h>

static bool names(const PgQuery__LockingClause *c, const char *name)
{
    bool hit = c->n_locked_rels == 0;
    for (size_t i = 0; i < c->n_locked_rels; i++)
        hit |= strcmp(c->locked_rels[i]->range_var->relname, name) == 0;
    return hit;
}

/* A query in FROM: a clause without names locks its tables, too. */
static bool has_query(const PgQuery__Node *item)
{
    if (item->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR)
        return item->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT;
    return has_query(item->join_expr->larg) || has_query(item->join_expr->rarg);
}

static const char *alias_of_query(const PgQuery__Node *item, const char *name)
{
    if (item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        const char *left = alias_of_query(item->join_expr->larg, name);
        return left ? left : alias_of_query(item->join_expr->rarg, name);
    }
    if (item->node_case != PG_QUERY__NODE__NODE_RANGE_SUBSELECT || !item->range_subselect->alias)
        return NULL;
    return strcmp(item->range_subselect->alias->aliasname, name) == 0 ? name : NULL;
}

/* A side of an outer join that may be filled with NULLs. */
static bool locks_filled(const struct an *an, const PgQuery__SelectStmt *q, const PgQuery__LockingClause *c)
{
    bool hit = false;
    for (uint32_t k = 0; k < an->nocc; k++)
        for (size_t i = 0; i < q->n_from_clause && an->occs[k]->mention && names(c, an->occs[k]->name); i++) {
            bool found = false;
            hit |= gather_is_filled(q->from_clause[i], an->occs[k]->mention, false, &found);
        }
    return hit;
}

/* Does the clause reach into a query in FROM? */
static bool locks_query(const PgQuery__SelectStmt *q, const PgQuery__LockingClause *c)
{
    bool hit = false;
    for (size_t i = 0; i < q->n_from_clause; i++) {
        hit |= c->n_locked_rels == 0 && has_query(q->from_clause[i]);
        for (size_t k = 0; k < c->n_locked_rels; k++)
            hit |= alias_of_query(q->from_clause[i], c->locked_rels[k]->range_var->relname) != NULL;
    }
    return hit;
}

const char *locks_why_not(const struct an *an, const PgQuery__Node *stmt)
{
    const PgQuery__Node *whole = an->in->tree->stmts[0]->stmt;
    if (!an->inv.locking)
        return NULL;
    if (an->locks_below || stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !stmt->select_stmt->n_locking_clause)
        return "a query in it locks rows";
    if (whole != stmt && whole->node_case != PG_QUERY__NODE__NODE_EXPLAIN_STMT)
        return "it locks rows";
    const PgQuery__SelectStmt *q = stmt->select_stmt;
    if (q->op != PG_QUERY__SET_OPERATION__SETOP_NONE || q->n_group_clause || q->having_clause || q->n_distinct_clause)
        return "PostgreSQL locks no rows of groups, DISTINCT and set operations";
    for (size_t i = 0; i < q->n_locking_clause; i++) {
        const PgQuery__LockingClause *c = q->locking_clause[i]->locking_clause;
        if (c->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitSkip)
            return "with SKIP LOCKED others would skip rows that are not of the answer";
        if (locks_query(q, c))
            return "it locks rows of a query in FROM";
        if (locks_filled(an, q, c))
            return "PostgreSQL locks no rows of the nullable side of an outer join";
    }
    return NULL;
}

const char *locks_of(struct an *an, const PgQuery__Node *stmt, const struct occurrence *occ)
{
    static const char *const clauses[] = {
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORKEYSHARE] = " FOR KEY SHARE",
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORSHARE] = " FOR SHARE",
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORNOKEYUPDATE] = " FOR NO KEY UPDATE",
        [PG_QUERY__LOCK_CLAUSE_STRENGTH__LCS_FORUPDATE] = " FOR UPDATE",
    };
    const PgQuery__SelectStmt *q = stmt->select_stmt;
    uint32_t strength = 0;
    bool nowait = false, here = false;
    for (size_t i = 0; i < q->n_from_clause; i++)
        (void)gather_is_filled(q->from_clause[i], occ->mention, false, &here);
    for (size_t i = 0; here && i < q->n_locking_clause; i++) {
        const PgQuery__LockingClause *c = q->locking_clause[i]->locking_clause;
        if (!names(c, occ->name))
            continue;
        strength = (uint32_t)c->strength > strength ? (uint32_t)c->strength : strength;
        nowait |= c->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitError;
    }
    if (strength >= ARRAY_LEN(clauses) || !clauses[strength])
        return NULL;
    return arena_printf(plan_arena(an->plan), "%s%s", clauses[strength], nowait ? " NOWAIT" : "");
}
