#include "planner/semijoin.h"

#include "planner/arrays.h"

#include <string.h>

enum { MAX_PARTS = 16, MAX_SEMIJOINS = 32, MAX_LOCALS = 2 };

/* Where the rows with the values are, if the column is the whole sharding key: as of parameter 1. */
static const struct key_class *keys_of(struct an *an, const struct cat_rel *rel, uint32_t column, enum key_type type)
{
    struct arena *a = plan_arena(an->plan);
    if (rel->dist != DIST_SHARDED || rel->nkey != 1 || rel->key[0] != column)
        return NULL;
    struct key_value *value = ARENA_NEW(a, struct key_value);
    struct key_column *key = ARENA_NEW(a, struct key_column);
    struct key_group *group = ARENA_NEW(a, struct key_group);
    struct key_class *keys = ARENA_NEW(a, struct key_class);
    *value = (struct key_value){ .source = VALUE_PARAM_ARRAY, .type = type, .index = 1 };
    *key = (struct key_column){ .type = rel->key_type[0], .typmod = -1, .nvalue = 1, .values = value };
    *group = (struct key_group){ .use = VHASH_COMPARE, .identity = rel->identity_vindex, .ncolumn = 1, .columns = key };
    *keys = (struct key_class){ .ngroup = 1, .groups = group };
    return keys;
}

static const char *qualified(struct an *an, const struct occurrence *occ, uint32_t column)
{
    struct strbuf sb = STRBUF_INIT;
    strbuf_put_ident(&sb, span_str(occ->name));
    strbuf_putc(&sb, '.');
    strbuf_put_ident(&sb, span_str(occ->rel->columns[column].name));
    const char *copy = arena_strdup(plan_arena(an->plan), strbuf_str(&sb));
    strbuf_fini(&sb);
    return copy;
}

/* Of the columns that follow a variable, one of this table: best its sharding key. NO_COLUMN: none does. */
static int follower(const bool *hit, const struct occurrence *occ)
{
    int found = NO_COLUMN;
    for (uint32_t c = 0; c < occ->rel->ncolumn; c++) {
        enum key_type type;
        if (!hit[occ->first_variable + (int)c] || !key_type_of_oid(occ->rel->columns[c].type, &type))
            continue;
        bool key = occ->rel->nkey == 1 && occ->rel->key[0] == c;
        if (found == NO_COLUMN || key)
            found = (int)c;
    }
    return found;
}

static bool leads_somewhere(const struct an *an, int variable)
{
    for (uint32_t i = 0; i < an->nedge; i++)
        if (an->edges[i].from == variable)
            return true;
    return false;
}

static void from_column(struct an *an, struct plan_gather *g, struct plan_semijoin *out,
                        const struct occurrence *const *occs, struct plan_semijoin one, enum key_type type,
                        const bool *hit)
{
    for (uint32_t to = 0; to < g->npart && g->nsemijoin < MAX_SEMIJOINS; to++) {
        int column = to == one.from ? NO_COLUMN : follower(hit, occs[to]);
        if (column == NO_COLUMN)
            continue;
        struct plan_semijoin *s = &out[g->nsemijoin++];
        *s = one;
        s->to = to;
        s->name = qualified(an, occs[to], (uint32_t)column);
        s->keys = keys_of(an, occs[to]->rel, (uint32_t)column, type);
    }
}

void semijoin_find(struct an *an, struct plan_gather *g, const struct occurrence *const *occs, uint16_t *const *places)
{
    struct plan_semijoin *out;
    if (g->npart < 2 || g->npart > MAX_PARTS)
        return;
    out = ARENA_ARRAY(plan_arena(an->plan), struct plan_semijoin, MAX_SEMIJOINS);
    for (uint32_t from = 0; from < g->npart; from++) {
        for (uint32_t c = 0; c < occs[from]->rel->ncolumn; c++) {
            enum key_type type;
            int variable = occs[from]->first_variable + (int)c;
            if (!places[from][c] || an->vars[variable].nondeterministic ||
                !key_type_of_oid(occs[from]->rel->columns[c].type, &type) || !leads_somewhere(an, variable))
                continue;
            struct plan_semijoin one = { .from = from,
                                         .column = places[from][c] - 1u,
                                         .type = key_type_oid(type),
                                         .array_type = arrays_type(key_type_oid(type), -1) };
            from_column(an, g, out, occs, one, type, prove_followers(an, variable));
        }
    }
    g->semijoins = out;
}

/* --- on one shard --- */

static const struct cat_column *single_key(const struct occurrence *occ)
{
    const struct cat_rel *rel = occ->rel;
    return rel->dist == DIST_SHARDED && rel->nkey == 1 && !rel->row_security ? &rel->columns[rel->key[0]] : NULL;
}

/* Can `to` be left with rows whose key some row of `from` has? Both are known by different names, as is the comparison.
 */
static bool can_follow(const struct occurrence *from, const struct occurrence *to)
{
    const struct cat_column *a = single_key(from), *b = single_key(to);
    return from != to && a && b && !a->collated && !b->collated && !a->nondeterministic && !b->nondeterministic &&
           prove_colocated(from->rel, to->rel) && strcmp(from->name, to->name) != 0;
}

void semijoin_find_local(struct an *an, struct gather_part *parts, uint32_t npart, const struct occurrence *const *occs)
{
    struct gather_local *locals = ARENA_ARRAY(plan_arena(an->plan), struct gather_local, MAX_PARTS * MAX_LOCALS);
    for (uint32_t from = 0; from < npart && npart <= MAX_PARTS; from++) {
        const struct occurrence *f = occs[from];
        const bool *hit = NULL;
        for (uint32_t to = 0; to < npart && parts[from].nfilter; to++) {
            const struct occurrence *t = occs[to];
            struct gather_local *mine = &locals[to * MAX_LOCALS];
            if (!can_follow(f, t) || parts[to].nlocal == MAX_LOCALS)
                continue;
            if (!hit)
                hit = prove_followers(an, f->first_variable + (int)f->rel->key[0]);
            if (!hit[t->first_variable + (int)t->rel->key[0]])
                continue;
            mine[parts[to].nlocal++] =
                (struct gather_local){ from, qualified(an, f, f->rel->key[0]), qualified(an, t, t->rel->key[0]) };
            parts[to].locals = mine;
        }
    }
}
