#include "planner/semijoin.h"

enum { MAX_PARTS = 16, MAX_SEMIJOINS = 32 };

/* Array types of those that can be a key. */
static uint32_t array_type(enum key_type type)
{
    static const struct {
        uint32_t type, array;
    } arrays[] = { { 21, 1005 },   { 23, 1007 },   { 20, 1016 },   { 25, 1009 },   { 1043, 1015 },
                   { 1042, 1014 }, { 2950, 2951 }, { 1700, 1231 }, { 1114, 1115 }, { 1082, 1182 } };
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
        if (arrays[i].type == key_type_oid(type))
            return arrays[i].array;
    return 0;
}

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
                !key_type_of_oid(occs[from]->rel->columns[c].type, &type) || !array_type(type) ||
                !leads_somewhere(an, variable))
                continue;
            struct plan_semijoin one = {
                .from = from, .column = places[from][c] - 1u, .type = key_type_oid(type), .array_type = array_type(type)
            };
            from_column(an, g, out, occs, one, type, prove_followers(an, variable));
        }
    }
    g->semijoins = out;
}
