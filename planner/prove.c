/*
 * The proof: facts flow along edges until nothing changes; what then is known of each sharded occurrence's key becomes
 * its class of key groups, and if one occurrence leads all others, rows may be cut by it (analyse_int.h).
 */
#include "planner/analyse_int.h"
#include "planner/finish.h"
#include "planner/setop.h"

#include <string.h>

enum { MAX_FACTS = 16, MAX_GROUPS = 8, MAX_TUPLES = 256 };

static bool has_fact(const struct variable *v, const struct fact *f, uint32_t *count)
{
    *count = 0;
    for (const struct fact_link *l = v->facts; l; l = l->next) {
        if (l->fact == f)
            return true;
        (*count)++;
    }
    return false;
}

/* The fact on its own, without those of other columns that it belongs to. */
static const struct fact *fact_alone(struct an *an, const struct variable *to, const struct fact *f)
{
    for (const struct fact_link *l = to->facts; l; l = l->next)
        if (l->fact->values == f->values && l->fact->tuple == 0)
            return l->fact;
    struct fact *alone = ARENA_NEW(an->a, struct fact);
    *alone = *f;
    alone->tuple = 0;
    return alone;
}

static bool flow(struct an *an, struct edge e)
{
    bool changed = false;
    for (const struct fact_link *l = an->vars[e.from].facts; l; l = l->next) {
        uint32_t count;
        const struct fact *f = e.apart && l->fact->tuple ? fact_alone(an, &an->vars[e.to], l->fact) : l->fact;
        if (has_fact(&an->vars[e.to], f, &count) || count >= MAX_FACTS)
            continue;
        struct fact_link *copy = ARENA_NEW(an->a, struct fact_link);
        struct fact_link **end = &an->vars[e.to].facts;
        while (*end)
            end = &(*end)->next;
        copy->fact = f;
        *end = copy;
        changed = true;
    }
    return changed;
}

static void flow_all(struct an *an)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < an->nedge; i++)
            changed |= flow(an, an->edges[i]);
    }
}

/*
 * A parameter without a declared type gets its type where PostgreSQL's analysis meets it first, which may be elsewhere
 * in the statement: its value can be read only if every use is as a value of the same key type.
 */
static bool values_usable(const struct an *an, uint32_t n, const struct key_value *values)
{
    for (uint32_t i = 0; i < n; i++) {
        if (values[i].source != VALUE_PARAM && values[i].source != VALUE_PARAM_ARRAY)
            continue;
        uint32_t p = values[i].index - 1;
        if (p < an->in->ntype && an->in->types[p])
            continue;
        if (p >= an->inv.nparam || an->inv.param_uses[p] != an->param_key_uses[p])
            return false;
    }
    return true;
}

static struct key_group *group_new(struct an *an, const struct cat_rel *rel, enum vhash_use use)
{
    struct arena *a = plan_arena(an->plan);
    struct key_group *g = ARENA_NEW(a, struct key_group);
    struct key_column *cols = ARENA_ARRAY(a, struct key_column, rel->nkey);
    g->use = use;
    g->identity = rel->identity_vindex;
    g->ncolumn = rel->nkey;
    for (uint32_t k = 0; k < rel->nkey; k++) {
        cols[k].type = rel->key_type[k];
        cols[k].typmod = rel->columns[rel->key[k]].typmod;
    }
    g->columns = cols;
    return g;
}

static struct key_value *group_values(struct an *an, struct key_group *g, uint32_t column, uint32_t n)
{
    struct key_value *v = ARENA_ARRAY(plan_arena(an->plan), struct key_value, n);
    struct key_column *c = (struct key_column *)(uintptr_t)&g->columns[column];
    c->nvalue = n;
    c->values = v;
    return v;
}

struct groups {
    uint32_t n;
    struct key_group *v[MAX_GROUPS];
};

static void add_group(struct groups *gs, struct key_group *g)
{
    if (g && gs->n < MAX_GROUPS)
        gs->v[gs->n++] = g;
}

/* Facts of several columns, value by value if they belong together, else every combination. */
static struct key_group *combine(struct an *an, const struct cat_rel *rel, const struct fact *const *facts)
{
    uint32_t total = 1, before = 1;
    bool together = rel->nkey > 1 && facts[0]->tuple != 0;
    for (uint32_t k = 0; k < rel->nkey; k++)
        together = together && facts[k]->tuple == facts[0]->tuple;
    for (uint32_t k = 0; k < rel->nkey; k++) {
        if (!values_usable(an, facts[k]->nvalue, facts[k]->values))
            return NULL;
        total = together ? facts[k]->nvalue : total * facts[k]->nvalue;
        if (rel->nkey > 1 && total > MAX_TUPLES)
            return NULL;
    }
    struct key_group *g = group_new(an, rel, VHASH_COMPARE);
    for (uint32_t k = 0; k < rel->nkey; k++) {
        struct key_value *v = group_values(an, g, k, total);
        for (uint32_t i = 0; i < total; i++)
            v[i] = facts[k]->values[together ? i : i / before % facts[k]->nvalue];
        before *= facts[k]->nvalue;
    }
    /* An array is one entry that stands for many: fine alone, not in combination. */
    for (uint32_t k = 0; rel->nkey > 1 && k < rel->nkey; k++)
        for (uint32_t i = 0; i < total; i++)
            if (g->columns[k].values[i].source == VALUE_PARAM_ARRAY ||
                g->columns[k].values[i].source == VALUE_LITERAL_ARRAY)
                return NULL;
    return g;
}

static const struct fact *fact_with_tuple(const struct variable *v, uint32_t tuple)
{
    for (const struct fact_link *l = v->facts; l; l = l->next)
        if (l->fact->tuple == tuple)
            return l->fact;
    return NULL;
}

/* Groups from what is known of the given variables, one per key column. */
static void groups_of_variables(struct an *an, const struct cat_rel *rel, const int *vars, struct groups *gs)
{
    const struct fact *facts[CAT_MAX_KEY];
    for (const struct fact_link *l = an->vars[vars[0]].facts; l; l = l->next) {
        facts[0] = l->fact;
        uint32_t k = 1;
        for (; k < rel->nkey; k++) {
            const struct fact_link *first = an->vars[vars[k]].facts;
            facts[k] = l->fact->tuple ? fact_with_tuple(&an->vars[vars[k]], l->fact->tuple) : NULL;
            if (!facts[k])
                facts[k] = first ? first->fact : NULL;
            if (!facts[k])
                return;
        }
        add_group(gs, combine(an, rel, facts));
    }
}

static void groups_of_insert(struct an *an, const struct occurrence *occ, struct groups *gs)
{
    const struct assigned *a = occ->assigned;
    const struct cat_rel *rel = occ->rel;
    uint32_t nvar = 0;
    if (!a || a->unknown || rel->nkey == 0)
        return;
    for (uint32_t k = 0; k < rel->nkey; k++)
        nvar += a->variable[k] != NO_COLUMN;
    if (nvar == rel->nkey) {
        groups_of_variables(an, rel, a->variable, gs);
        return;
    }
    if (nvar > 0)
        return;
    struct key_group *g = group_new(an, rel, VHASH_ASSIGN);
    for (uint32_t k = 0; k < rel->nkey; k++) {
        if (!values_usable(an, a->nrow, a->values[k]))
            return;
        memcpy(group_values(an, g, k, a->nrow), a->values[k], a->nrow * sizeof *a->values[k]);
    }
    add_group(gs, g);
}

static void groups_of(struct an *an, const struct occurrence *occ, struct groups *gs)
{
    int vars[CAT_MAX_KEY];
    gs->n = 0;
    if (occ->use == USE_INSERT) {
        groups_of_insert(an, occ, gs);
        return;
    }
    if (occ->rel->nkey == 0)
        return;
    for (uint32_t k = 0; k < occ->rel->nkey; k++)
        vars[k] = occ->first_variable + (int)occ->rel->key[k];
    groups_of_variables(an, occ->rel, vars, gs);
}

void class_of_occurrence(struct an *an, const struct occurrence *occ, struct key_class *out)
{
    struct groups gs;
    groups_of(an, occ, &gs);
    struct key_group *groups = ARENA_ARRAY(plan_arena(an->plan), struct key_group, gs.n);
    for (uint32_t i = 0; i < gs.n; i++)
        groups[i] = *gs.v[i];
    *out = (struct key_class){ .ngroup = gs.n, .groups = groups };
}

static bool same_value(const struct key_value *a, const struct key_value *b)
{
    return a->source == b->source && a->type == b->type && a->negate == b->negate && a->index == b->index;
}

static bool same_group(const struct key_group *a, const struct key_group *b)
{
    if (a->use != b->use || a->identity != b->identity || a->ncolumn != b->ncolumn)
        return false;
    for (uint32_t k = 0; k < a->ncolumn; k++) {
        const struct key_column *x = &a->columns[k], *y = &b->columns[k];
        if (key_family(x->type) != key_family(y->type) || x->nvalue != y->nvalue)
            return false;
        if (a->use == VHASH_ASSIGN && (x->type != y->type || x->typmod != y->typmod))
            return false;
        for (uint32_t i = 0; i < x->nvalue; i++)
            if (!same_value(&x->values[i], &y->values[i]))
                return false;
    }
    return true;
}

/* Every group of a is one of b: b's shards are among a's. */
static bool subset(const struct groups *a, const struct groups *b)
{
    for (uint32_t i = 0; i < a->n; i++) {
        uint32_t k = 0;
        while (k < b->n && !same_group(a->v[i], b->v[k]))
            k++;
        if (k == b->n)
            return false;
    }
    return true;
}

static void plan_classes(struct an *an, uint32_t n, const struct groups *gs)
{
    struct arena *a = plan_arena(an->plan);
    struct key_class *classes = ARENA_ARRAY(a, struct key_class, n);
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool covered = false;
        for (uint32_t k = 0; k < n && !covered; k++)
            covered = k != i && subset(&gs[k], &gs[i]) && (k < i || !subset(&gs[i], &gs[k]));
        if (covered)
            continue;
        struct key_group *groups = ARENA_ARRAY(a, struct key_group, gs[i].n);
        for (uint32_t k = 0; k < gs[i].n; k++)
            groups[k] = *gs[i].v[k];
        classes[out++] = (struct key_class){ .ngroup = gs[i].n, .groups = groups };
    }
    an->plan->nclass = out;
    an->plan->classes = classes;
}

bool *prove_followers(struct an *an, int from)
{
    bool *hit = ARENA_ARRAY(an->a, bool, an->nvar);
    hit[from] = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < an->nedge; i++) {
            if (hit[an->edges[i].from] && !hit[an->edges[i].to]) {
                hit[an->edges[i].to] = true;
                changed = true;
            }
        }
    }
    return hit;
}

static bool is_sharded(const struct occurrence *o)
{
    return o->rel->dist == DIST_SHARDED;
}

bool prove_colocated(const struct cat_rel *a, const struct cat_rel *b)
{
    if (a->nkey == 0 || a->nkey != b->nkey || a->identity_vindex != b->identity_vindex)
        return false;
    for (uint32_t k = 0; k < a->nkey; k++)
        if (key_family(a->key_type[k]) != key_family(b->key_type[k]))
            return false;
    return true;
}

/* The first sharded occurrence among [first, end) that does not follow d; NULL: all do. */
static const struct occurrence *stray(struct an *an, const struct occurrence *d, uint32_t first, uint32_t end)
{
    bool *hit[CAT_MAX_KEY];
    if (d->rel->nkey == 0)
        return d;
    for (uint32_t k = 0; k < d->rel->nkey; k++)
        hit[k] = prove_followers(an, d->first_variable + (int)d->rel->key[k]);
    for (uint32_t i = first; i < end; i++) {
        const struct occurrence *o = an->occs[i];
        if (o == d || !is_sharded(o))
            continue;
        if (o->use == USE_INSERT || !prove_colocated(d->rel, o->rel))
            return o;
        for (uint32_t k = 0; k < d->rel->nkey; k++)
            if (!hit[k][o->first_variable + (int)o->rel->key[k]])
                return o;
    }
    return NULL;
}

/* An occurrence by which the statement can be cut; *apart tells one that got in the way. */
static const struct occurrence *find_driver(struct an *an, const struct occurrence **apart)
{
    bool changes = false;
    for (uint32_t i = 0; i < an->nocc; i++)
        changes |= an->occs[i]->use != USE_READ;
    for (uint32_t i = 0; i < an->nocc; i++) {
        const struct occurrence *o = an->occs[i];
        if (!is_sharded(o) || !o->linear || o->in_arm || (changes && o->use == USE_READ))
            continue;
        const struct occurrence *other = stray(an, o, 0, an->nocc);
        if (!other)
            return o;
        if (!*apart)
            *apart = other;
    }
    return NULL;
}

static bool drives_arm(struct an *an, const struct occurrence *o, uint32_t first, uint32_t end)
{
    return is_sharded(o) && o->linear && !stray(an, o, first, end);
}

/* The occurrences that rows are cut by: one, or those of a set operation's arms. */
static uint32_t find_drivers(struct an *an, const struct occurrence **drivers, const struct occurrence **apart)
{
    uint32_t n = 0;
    bool only_arms = an->setop && an->top.query == an->setop->query;
    const struct occurrence *one = only_arms ? NULL : find_driver(an, apart);
    if (one) {
        drivers[0] = one;
        return 1;
    }
    if (!an->setop)
        return 0;
    setop_prove(an, drives_arm);
    for (uint32_t i = 0; i < an->setop->narm && an->setop->kind != SETOP_NOTHING; i++)
        if (an->setop->arms[i].driver)
            drivers[n++] = an->setop->arms[i].driver;
    return n;
}

static void block_by_inventory(struct an *an)
{
    const struct inventory *inv = &an->inv;
    bool reference = false;
    for (uint32_t i = 0; i < an->nocc; i++)
        reference |= an->occs[i]->rel->dist == DIST_REFERENCE;
    if (inv->system_column)
        cut_blocked(an, arena_printf(an->a, "the system column %s", inv->system_column));
    if (inv->each_server)
        cut_blocked(an, arena_printf(an->a, "%s(), which every server answers for itself,", inv->each_server));
    if (inv->moment)
        cut_blocked(an, arena_printf(an->a, "%s(), which shards answer by clocks of their own,", inv->moment));
    if (inv->moment_literal)
        cut_blocked(an, "a date constant that reads the clock");
    if (inv->volatile_row)
        cut_blocked(an, arena_printf(an->a, "the volatile function %s()", inv->volatile_row));
    if (inv->tablesample)
        cut_blocked(an, "TABLESAMPLE");
    if (inv->locking && (!an->locks_top || an->locks_below))
        cut_blocked(an, "a row locking clause such as FOR UPDATE");
    if (an->sub_limit && reference)
        cut_blocked(an, "a LIMIT in a sub-query beside a reference table");
    if (an->default_moment)
        cut_blocked(an, "a column default that reads the clock");
}

/* The same, and what the statement's own level does; gives what is in the way of all of it but that. */
static const char *block_below(struct an *an)
{
    const char *before = an->blocked;
    block_by_inventory(an);
    const char *below = an->blocked;
    an->blocked = before ? before : an->top_blocker ? an->top_blocker : below;
    return below;
}

/* Look at the statement as if it were the query that all of its tables are in. */
static uint32_t try_inner(struct an *an, const struct occurrence **driver)
{
    struct inner_level *n = &an->inner;
    const struct top_level top = an->top;
    const struct occurrence *apart = NULL;
    if (!n->level.query || an->inv.locking || an->setop)
        return 0;
    for (uint32_t i = 0; i < an->nocc; i++)
        if (i < n->first_occ || i >= n->end_occ || an->occs[i]->use != USE_READ)
            return 0;
    for (uint32_t i = n->first_occ; i < n->end_occ; i++)
        an->occs[i]->linear = n->linear[i];
    an->top = n->level;
    *driver = find_driver(an, &apart);
    n->used = *driver != NULL;
    n->used = n->used && finish_try(an);
    if (n->used)
        return 1;
    an->top = top;
    return 0;
}

/* Why the statement is not proven for several shards. `unbound` is NULL when every key is bound. */
static void refuse_several(struct an *an, const struct occurrence *unbound, const struct occurrence *apart)
{
    struct err *r = &an->plan->refusal;
    struct strbuf how = STRBUF_INIT;
    if (an->key_unknown && unbound && unbound->use == USE_INSERT) {
        err_set(r, PB0206, "the shard of the new rows of table \"%s\" is not known", unbound->rel->name);
        err_detail(r, "%s", an->key_unknown);
        err_hint(r, "Give the sharding key as a constant or a parameter.");
        return;
    }
    if (an->blocked || an->inner_blocked)
        err_set(r, PB0201, "a statement with %s%s cannot be run across shards", an->blocked ? "" : "a sub-query with ",
                an->blocked ? an->blocked : an->inner_blocked);
    else if (apart)
        err_set(r, PB0201, "table \"%s\" does not follow the sharding key of the other tables", apart->name);
    else if (!unbound)
        err_set(r, PB0201, "the tables of the statement are bound to keys of different shards");
    else
        err_set(r, PB0201, "a statement that may answer without a row of a sharded table cannot be run across shards");
    if (!unbound) {
        err_detail(r, "Its rows are on several shards.");
        err_hint(r, "Use one key value, or several statements in one transaction.");
        return;
    }
    err_detail(r,
               "It needs rows of table \"%s\" on several shards, and the shards' answers do not add up to its answer.",
               unbound->name);
    for (uint32_t k = 0; k < unbound->rel->nkey; k++)
        strbuf_printf(&how, "%s%s.%s = ...", k ? " AND " : "", unbound->name,
                      unbound->rel->columns[unbound->rel->key[k]].name);
    err_hint(r, "Bind the sharding key to one value, as in \"%s\", in the query level that reads the table.",
             strbuf_str(&how));
    strbuf_fini(&how);
}

/* A WITH query that nothing mentions is not run: its rows make none of the answer's. */
static void forget_unused(struct an *an)
{
    for (const struct cte *c = an->ctes; c; c = c->following)
        for (uint32_t i = c->first_occ; i < c->end_occ && !c->used; i++)
            an->occs[i]->linear = false;
}

/* "orders are cut by customer_id, lines by customer_id" */
static const char *cuts(struct an *an, const struct occurrence *const *drivers, uint32_t n)
{
    struct strbuf sb = STRBUF_INIT;
    for (uint32_t i = 0; i < n; i++) {
        bool said = false;
        for (uint32_t k = 0; k < i; k++)
            said |= strcmp(drivers[k]->name, drivers[i]->name) == 0;
        if (!said)
            strbuf_printf(&sb, "%s%s %s %s", i ? ", " : "", drivers[i]->name, i ? "by" : "are cut by",
                          drivers[i]->rel->columns[drivers[i]->rel->key[0]].name);
    }
    const char *text = arena_strdup(an->a, strbuf_str(&sb));
    strbuf_fini(&sb);
    return text;
}

void prove(struct an *an)
{
    struct groups *gs = ARENA_ARRAY(an->a, struct groups, an->nocc);
    const struct occurrence **drivers = ARENA_ARRAY(an->a, const struct occurrence *, an->nocc + 1);
    const struct occurrence *unbound = NULL, *apart = NULL;
    uint32_t n = 0, ndriver = 0;
    forget_unused(an);
    flow_all(an);
    const char *blocked = block_below(an);
    if (!an->blocked)
        ndriver = find_drivers(an, drivers, &apart);
    if (ndriver && an->top.query && !finish_try(an))
        ndriver = 0;
    if (!ndriver && !blocked)
        ndriver = try_inner(an, drivers);
    if (!ndriver && an->top.query)
        cut_blocked(an, an->top.blocker);
    for (uint32_t i = 0; !ndriver && i < an->nocc; i++) {
        const struct occurrence *o = an->occs[i];
        if (!is_sharded(o))
            continue;
        groups_of(an, o, &gs[n]);
        if (gs[n++].n == 0 && !unbound)
            unbound = o;
    }
    bool bound = true; /* each driver's key */
    for (; n < ndriver; n++) {
        groups_of(an, drivers[n], &gs[n]);
        bound = bound && gs[n].n;
    }
    plan_classes(an, n, gs);
    an->plan->scope = SCOPE_KEYED;
    if (ndriver) {
        if (an->top.query && bound)
            plan_reason(an->plan, "one shard: every sharded table is bound by its key");
        else if (an->top.query)
            plan_reason(an->plan, "scatter: rows of %s", cuts(an, drivers, ndriver));
        else
            plan_reason(an->plan, "%s: rows of %s, the shards' answers concatenated", bound ? "by key" : "scatter",
                        cuts(an, drivers, ndriver));
        if (!an->top.query)
            an->plan->combine = COMBINE_CONCAT;
        return;
    }
    refuse_several(an, unbound, apart);
    if (unbound)
        plan_reason(an->plan, "the sharding key of %s is not bound", unbound->name);
    else
        plan_reason(an->plan, "one shard: every sharded table is bound by its key");
}
