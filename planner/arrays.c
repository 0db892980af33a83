#include "planner/arrays.h"

#include "planner/tree.h"

#include <string.h>

#define ARRAYS_MAX 256u /* of all parts */

enum modifier { NONE, LENGTH, SCALE, PRECISION };

static const struct array_of {
    uint32_t oid, array;
    const char *name;
    enum modifier modifier; /* what a typmod means */
} types[] = {
    { 16, 1000, "bool", NONE },
    { 17, 1001, "bytea", NONE },
    { 18, 1002, "char", NONE },
    { 20, 1016, "int8", NONE },
    { 21, 1005, "int2", NONE },
    { 23, 1007, "int4", NONE },
    { 25, 1009, "text", NONE },
    { 114, 199, "json", NONE },
    { 650, 651, "cidr", NONE },
    { 700, 1021, "float4", NONE },
    { 701, 1022, "float8", NONE },
    { 869, 1041, "inet", NONE },
    { 1042, 1014, "bpchar", LENGTH },
    { 1043, 1015, "varchar", LENGTH },
    { 1082, 1182, "date", NONE },
    { 1083, 1183, "time", PRECISION },
    { 1114, 1115, "timestamp", PRECISION },
    { 1184, 1185, "timestamptz", PRECISION },
    { 1186, 1187, "interval", NONE },
    { 1266, 1270, "timetz", PRECISION },
    { 1700, 1231, "numeric", SCALE },
    { 2950, 2951, "uuid", NONE },
    { 3802, 3807, "jsonb", NONE },
};

static const struct array_of *type_find(uint32_t oid)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].oid == oid)
            return &types[i];
    return NULL;
}

uint32_t arrays_type(uint32_t oid, int32_t typmod)
{
    const struct array_of *t = type_find(oid);
    return t && (typmod < 0 || t->modifier != NONE) ? t->array : 0;
}

void arrays_put_cast(struct strbuf *out, uint32_t oid, int32_t typmod)
{
    const struct array_of *t = type_find(oid);
    if (typmod < 0)
        return;
    strbuf_printf(out, "::pg_catalog.%s(", t->name);
    if (t->modifier == SCALE) { /* 11 bits, signed, as numeric.c packs them */
        const int32_t scale = ((typmod - 4) & 0x7ff);
        strbuf_printf(out, "%d,%d)", ((typmod - 4) >> 16) & 0xffff, (scale ^ 1024) - 1024);
    } else {
        strbuf_printf(out, "%d)", t->modifier == LENGTH ? typmod - 4 : typmod);
    }
}

/* --- statements --- */

static bool is_known_name(const PgQuery__TypeName *n)
{
    const char *schema, *name = tree_name(n->n_names, n->names, &schema);
    if (schema && strcmp(schema, "pg_catalog") != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return true;
    return false;
}

/* What may give text another collation than the default one. */
static void collation_visit(const ProtobufCMessage *m, void *arg)
{
    bool *other = arg;
    const void *v = m;
    if (m->descriptor == &pg_query__collate_clause__descriptor ||
        (m->descriptor == &pg_query__type_name__descriptor && !is_known_name(v)))
        *other = true;
    else
        tree_children(m, collation_visit, arg);
}

static bool is_plain_part(const struct gather_part *p)
{
    if (p->primary_key || p->collated || !p->plain)
        return false;
    for (uint32_t i = 0; i < p->ncolumn; i++)
        if (!arrays_type(p->types[i].oid, p->types[i].typmod))
            return false;
    return true;
}

bool arrays_decide(const struct an *an, const struct plan_gather *g)
{
    bool other = an->inv.opaque != NULL;
    uint32_t ncolumn = 0;
    collation_visit(an->stmt, &other);
    for (uint32_t i = 0; i < an->nocc && g->push; i++)
        for (uint32_t k = 0; k < an->occs[i]->rel->ncolumn; k++)
            other |= an->occs[i]->rel->columns[k].collated;
    for (uint32_t i = 0; !g->push && i < g->npart; i++) {
        other |= !is_plain_part(&g->parts[i]);
        ncolumn += g->parts[i].ncolumn;
    }
    return !other && ncolumn <= ARRAYS_MAX;
}
