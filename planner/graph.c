#include "planner/analyse_int.h"

#include <string.h>

/* Double an arena array when it is full. */
static void *grow(struct arena *a, void *old, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return old;
    *cap = *cap ? *cap * 2 : 16;
    void *v = arena_zalloc(a, *cap * size);
    if (n)
        memcpy(v, old, n * size);
    return v;
}

int variable_new(struct an *an, struct variable v)
{
    an->vars = grow(an->a, an->vars, an->nvar, &an->var_cap, sizeof *an->vars);
    an->vars[an->nvar] = v;
    return (int)an->nvar++;
}

int variable_derived(struct an *an, int of)
{
    struct variable v = an->vars[of];
    v.occ = NULL;
    v.facts = NULL;
    v.from = of + 1;
    return variable_new(an, v);
}

int variable_root(const struct an *an, int v)
{
    while (an->vars[v].from)
        v = an->vars[v].from - 1;
    return v;
}

void edge_add(struct an *an, int from, int to)
{
    an->edges = grow(an->a, an->edges, an->nedge, &an->edge_cap, sizeof *an->edges);
    an->edges[an->nedge++] = (struct edge){ .from = from, .to = to };
}

struct occurrence *occurrence_new(struct an *an, const struct cat_rel *rel, const char *name, enum use use)
{
    struct occurrence *occ = ARENA_NEW(an->a, struct occurrence);
    occ->rel = rel;
    occ->name = name;
    occ->use = use;
    occ->first_variable = (int)an->nvar;
    for (uint32_t i = 0; i < rel->ncolumn; i++) {
        const struct cat_column *c = &rel->columns[i];
        (void)variable_new(an, (struct variable){ .occ = occ,
                                                  .type = c->type,
                                                  .typmod = c->typmod,
                                                  .nondeterministic = c->nondeterministic,
                                                  .by_bytes = c->by_bytes });
    }
    an->occs = grow(an->a, an->occs, an->nocc, &an->occ_cap, sizeof *an->occs);
    an->occs[an->nocc++] = occ;
    return occ;
}

struct fact *fact_new(struct an *an, int variable, enum key_type type, uint32_t nvalue)
{
    struct fact *f = ARENA_NEW(an->a, struct fact);
    f->type = type;
    f->nvalue = nvalue;
    f->values = ARENA_ARRAY(an->a, struct key_value, nvalue);
    struct fact_link *link = ARENA_NEW(an->a, struct fact_link);
    link->fact = f;
    /* At the end: plans list conditions as the statement does. */
    struct fact_link **end = &an->vars[variable].facts;
    while (*end)
        end = &(*end)->next;
    *end = link;
    return f;
}

void param_key_use(struct an *an, const struct constant *c, enum key_type type)
{
    if (c->kind != CONSTANT_PARAM || c->index > an->inv.nparam)
        return;
    uint32_t i = c->index - 1;
    if (an->param_key_uses[i] == 0)
        an->param_key_type[i] = c->cast ? c->cast_type : type;
    if (an->param_key_type[i] == (c->cast ? c->cast_type : type))
        an->param_key_uses[i]++;
}

void cut_blocked(struct an *an, const char *why)
{
    if (!an->blocked)
        an->blocked = why;
}

void depend_on_value(struct an *an, uint32_t literal)
{
    an->fixed = grow(an->a, an->fixed, an->nfixed, &an->fixed_cap, sizeof *an->fixed);
    an->fixed[an->nfixed++] = literal;
}

void depend_on_pair(struct an *an, uint32_t a, uint32_t b)
{
    an->pairs = grow(an->a, an->pairs, an->npair, &an->pair_cap, sizeof *an->pairs);
    an->pairs[an->npair][0] = a;
    an->pairs[an->npair++][1] = b;
}
