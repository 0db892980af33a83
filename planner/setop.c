#include "planner/setop.h"

#include "planner/types.h"
#include "planner/typing.h"

static bool is_setop(const PgQuery__SelectStmt *q)
{
    return q->op != PG_QUERY__SET_OPERATION__SETOP_NONE;
}

/* Nothing but the operation: no order, limit or lock of its rows. */
static bool is_bare(const PgQuery__SelectStmt *q)
{
    return !q->n_sort_clause && !q->limit_count && !q->limit_offset && !q->n_locking_clause && !q->with_clause;
}

/* --- analysis --- */

static uint32_t count_arms(const PgQuery__SelectStmt *q, bool below)
{
    if (!is_setop(q) || (below && !is_bare(q)))
        return 1;
    return count_arms(q->larg, true) + count_arms(q->rarg, true);
}

void setop_arm_begins(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, bool plain)
{
    struct arm *arm = an->arm;
    an->arm = NULL;
    if (!arm)
        return;
    arm->scope = s;
    arm->plain = plain || (q->n_values_lists && is_bare(q));
}

bool setop_note(struct an *an, const PgQuery__SelectStmt *q)
{
    struct setop *u;
    if (an->setop || q->n_locking_clause)
        return false;
    u = an->setop = ARENA_NEW(an->a, struct setop);
    u->query = q;
    u->all = u->unions = true;
    u->arms = ARENA_ARRAY(an->a, struct arm, count_arms(q, false));
    return true;
}

static void visit_arms(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, bool below)
{
    struct setop *u = an->setop;
    uint32_t outside = an->arm_first;
    if (is_setop(q) && (!below || is_bare(q))) {
        u->unions &= q->op == PG_QUERY__SET_OPERATION__SETOP_UNION;
        u->all &= u->unions && q->all;
        visit_arms(an, s, q->larg, true);
        visit_arms(an, s, q->rarg, true);
        return;
    }
    struct arm *arm = &u->arms[u->narm++];
    arm->query = q;
    arm->first_occ = an->arm_first = an->nocc;
    an->arm = arm;
    query_select(an, s, q, true, false, &arm->columns);
    an->arm_first = outside;
    arm->end_occ = an->nocc;
    for (uint32_t i = arm->first_occ; i < arm->end_occ; i++)
        an->occs[i]->in_arm = true;
}

static bool has_star(const PgQuery__SelectStmt *q)
{
    return tree_has_star(q->n_target_list, q->target_list);
}

static struct typing arm_typing(const struct an *an, const struct arm *arm, uint32_t column, int32_t *typmod)
{
    const struct typing unknown = { 0 };
    *typmod = -1;
    if (arm->columns.open || column >= arm->columns.n)
        return unknown;
    int v = arm->columns.cols[column].variable;
    if (v != NO_COLUMN) {
        *typmod = an->vars[v].typmod;
        return an->vars[v].mixed || an->vars[v].nondeterministic
                   ? unknown
                   : (struct typing){ an->vars[v].type, an->vars[v].by_bytes };
    }
    if (is_setop(arm->query) || arm->query->n_values_lists || column >= arm->query->n_target_list ||
        has_star(arm->query))
        return unknown;
    return typing_of(an, arm->scope, arm->query->target_list[column]->res_target->val);
}

static struct typing all_typing(const struct an *an, const struct setop *u, uint32_t column, int32_t *typmod)
{
    struct typing all = { 0 };
    for (uint32_t i = 0; i < u->narm; i++) {
        int32_t mod;
        struct typing one = arm_typing(an, &u->arms[i], column, &mod);
        *typmod = i && (mod != *typmod || one.type != all.type) ? -1 : mod;
        all = i ? typing_common(an, all, one) : one;
        if (!all.type)
            return all;
    }
    return all;
}

struct typing setop_typing(const struct an *an, const struct setop *u, uint32_t column)
{
    int32_t typmod;
    return all_typing(an, u, column, &typmod);
}

void setop_arms(struct an *an, const struct scope *s, struct collist *out)
{
    struct setop *u = an->setop;
    visit_arms(an, s, u->query, false);
    *out = u->arms[0].columns;
    out->cols = ARENA_ARRAY(an->a, struct outcol, out->n + 1);
    for (uint32_t i = 0; i < out->n; i++) {
        int32_t typmod = -1;
        struct typing t = all_typing(an, u, i, &typmod);
        out->cols[i] = (struct outcol){ .name = u->arms[0].columns.cols[i].name, .variable = NO_COLUMN };
        if (t.type)
            out->cols[i].variable =
                variable_new(an, (struct variable){ .type = t.type, .typmod = typmod, .by_bytes = t.by_bytes });
    }
}

/* --- proof --- */

/* A column of the arm's answer that is this one of a table; n: none. */
static uint32_t column_of(const struct an *an, const struct arm *arm, int variable, uint32_t first)
{
    for (uint32_t i = first; i < arm->columns.n; i++) {
        int v = arm->columns.cols[i].variable;
        if (v != NO_COLUMN && !an->vars[v].mixed && variable_root(an, v) == variable)
            return i;
    }
    return arm->columns.n;
}

static int key_variable(const struct occurrence *o, uint32_t k)
{
    return o->first_variable + (int)o->rel->key[k];
}

static bool same_placement(const struct cat_rel *a, const struct cat_rel *b)
{
    bool same = a->nkey == b->nkey && a->identity_vindex == b->identity_vindex;
    for (uint32_t k = 0; same && k < a->nkey; k++)
        same = key_family(a->key_type[k]) == key_family(b->key_type[k]);
    return same;
}

/* Is the arm's driver's key in the same columns as the first arm's is? */
static bool arm_aligned(const struct an *an, const struct arm *first, const struct arm *arm)
{
    const struct occurrence *a = first->driver, *b = arm->driver;
    if (first->columns.open || arm->columns.open || !same_placement(a->rel, b->rel))
        return false;
    for (uint32_t k = 0; k < a->rel->nkey; k++) {
        uint32_t i = column_of(an, first, key_variable(a, k), 0);
        while (i < first->columns.n && (i >= arm->columns.n || column_of(an, arm, key_variable(b, k), i) != i))
            i = column_of(an, first, key_variable(a, k), i + 1);
        if (i >= first->columns.n)
            return false;
    }
    return true;
}

struct unlike {
    const struct an *an;
    bool hit;
};

static void find_unlike(const ProtobufCMessage *m, void *arg)
{
    struct unlike *u = arg;
    const ProtobufCMessageDescriptor *d = m->descriptor;
    u->hit |= d == &pg_query__select_stmt__descriptor || d == &pg_query__sqlvalue_function__descriptor;
    if (d == &pg_query__func_call__descriptor) {
        const char *name;
        bool known = is_catalog_function(u->an, (const PgQuery__FuncCall *)(const void *)m, &name);
        const struct cat_func *f = catalog_builtin_function(u->an->in->cat, name);
        u->hit |= !known || (f && (f->volatility != CAT_IMMUTABLE || f->aggregate || f->window));
    }
    if (!u->hit)
        tree_children(m, find_unlike, arg);
}

/*
 * Has an arm without sharded tables the same rows on every shard, to the last digit? Aggregates, windows and limits
 * depend on the order that a copy's rows lie in, version() and current_setting() on the server.
 */
static bool is_copied(const struct an *an, const struct arm *arm)
{
    struct unlike u = { .an = an };
    for (uint32_t i = arm->first_occ; i < arm->end_occ; i++)
        if (an->occs[i]->rel->dist == DIST_SHARDED)
            return false;
    tree_children(&arm->query->base, find_unlike, &u);
    return arm->plain && !u.hit;
}

/* Prefer one whose key is where the first arm's is. */
static void find_arm_driver(struct an *an, struct arm *arm, setop_drives *drives)
{
    const struct arm *arms = an->setop->arms;
    const struct occurrence *first = NULL;
    for (uint32_t i = arm->first_occ; i < arm->end_occ; i++) {
        if (!drives(an, an->occs[i], arm->first_occ, arm->end_occ))
            continue;
        first = first ? first : an->occs[i];
        arm->driver = an->occs[i];
        if (arms[0].driver && arm_aligned(an, &arms[0], arm))
            return;
    }
    arm->driver = first;
}

void setop_prove(struct an *an, setop_drives *drives)
{
    struct setop *u = an->setop;
    bool driven = true, copied = true, aligned = true, any = false;
    for (uint32_t i = 0; i < an->nocc; i++)
        if (an->occs[i]->use != USE_READ || (!an->occs[i]->in_arm && an->occs[i]->rel->dist == DIST_SHARDED))
            return;
    for (uint32_t i = 0; i < u->narm; i++) {
        struct arm *arm = &u->arms[i];
        find_arm_driver(an, arm, drives);
        any |= arm->driver != NULL;
        driven &= arm->driver != NULL;
        copied &= arm->driver || is_copied(an, arm);
        aligned = aligned && driven && arm_aligned(an, &u->arms[0], arm);
    }
    if (driven && (u->all || aligned))
        u->kind = SETOP_SUM;
    else if (any && copied && u->unions && !u->query->all && an->top.query == u->query)
        u->kind = SETOP_DISTINCT;
}
