#include "router/server/kept.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT_DEAD (256u << 10)

void kept_name(const uint64_t id[2], char name[KEPT_NAME_MAX])
{
    snprintf(name, KEPT_NAME_MAX, "pgbraid_%016llx%016llx", (unsigned long long)id[0], (unsigned long long)id[1]);
}

static struct kept_table *kept_find(const struct kept *k, const uint64_t id[2])
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->v[i].id[0] == id[0] && k->v[i].id[1] == id[1])
            return &k->v[i];
    }
    return NULL;
}

bool kept_has(const struct kept *k, const uint64_t id[2])
{
    return kept_find(k, id) != NULL;
}

void kept_add(struct kept *k, const uint64_t id[2], uint32_t most)
{
    if (!k->v)
        k->v = mem_zalloc(most * sizeof(*k->v));
    BUG_ON(k->n >= most);
    k->v[k->n++] = (struct kept_table){ .id = { id[0], id[1] } };
}

void kept_fill(struct kept *k, const uint64_t id[2], size_t bytes)
{
    struct kept_table *t = kept_find(k, id);

    k->filled = true;
    if (!t)
        return;
    t->dead += bytes;
    k->full |= t->dead >= KEPT_DEAD;
}

void kept_ended(struct kept *k, bool lost)
{
    if (k->filled && !lost) {
        kept_clear(k);
        k->unknown = true;
    }
    k->filled = false;
}

void kept_sweep(struct kept *k, struct strbuf *sql)
{
    const char *before = "BEGIN READ WRITE; TRUNCATE ";

    for (uint32_t i = 0; i < k->n; i++) {
        char name[KEPT_NAME_MAX];

        if (k->v[i].dead < KEPT_DEAD)
            continue;
        kept_name(k->v[i].id, name);
        strbuf_printf(sql, "%spg_temp.\"%s\"", before, name);
        before = ", ";
        k->v[i].dead = 0;
    }
    strbuf_puts(sql, "; COMMIT");
    k->full = false;
}

void kept_clear(struct kept *k)
{
    k->n = 0;
    k->full = k->unknown = false;
}

void kept_fini(struct kept *k)
{
    free(k->v);
    *k = (struct kept){ 0 };
}
