/*
 * Semi-joins of a gathered statement: a table waits until the rows of a smaller one are there, and then only rows are
 * asked for whose column has one of the values in those (planner/semijoin.h). If that column is the sharding key, only
 * shards that can have them are asked.
 *
 * Which table is the smaller one is known from what the statement's shape has shown before, at first from the shards'
 * planners (estimate.c), else guessed from its conditions.
 * A wrong guess costs a round trip, or rows that nobody needs. Values are kept up to a bound; beyond it the other table
 * is asked for all its rows.
 *
 * Not in a READ COMMITTED transaction, where one query of a shard has to give all the rows (rule X15).
 */
#include "router/exec/gather_int.h"

#include "base/hash.h"
#include "base/mem.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS_MAX = 10000,        /* values of one semi-join */
    KEYS_BYTES = 256 * 1024, /* ... and their bytes */
    KEYS_WORTH = 10,         /* how much larger the waiting table has to be */
    ROWS_BOUND = 10,         /* guesses: a table whose sharding key is bound */
    ROWS_FILTERED = 1000,    /* ... with other conditions */
    ROWS_ALL = 1000000
};

/* The distinct values of a column, as elements of a binary array: length and bytes. */
struct gather_keys {
    bool wanted, full;
    uint32_t n;
    struct strbuf values;
    uint32_t *slots; /* open addressing: 1 + offset of the value; owned */
    uint32_t nslot;  /* power of two */
};

static uint64_t expected_rows(const struct plan_gather *plan, uint32_t part)
{
    uint64_t seen = atomic_load_explicit(&plan->seen[part], memory_order_relaxed);

    if (seen)
        return seen - 1;
    if (plan->parts[part].keys.ngroup)
        return ROWS_BOUND;
    return plan->parts[part].nfilter ? ROWS_FILTERED : ROWS_ALL;
}

/* Does table i come before table k? */
static bool comes_before(const struct gather_table *a, const struct gather_table *b)
{
    return a->round < b->round || (a->round == b->round && a->number < b->number);
}

static void sort_tables(struct gather *g)
{
    for (uint32_t i = 1; i < g->plan->npart; i++) {
        for (uint32_t k = i; k > 0 && comes_before(&g->tables[k], &g->tables[k - 1]); k--) {
            struct gather_table t = g->tables[k];

            g->tables[k] = g->tables[k - 1];
            g->tables[k - 1] = t;
        }
    }
}

static uint32_t round_of(const struct gather *g, uint32_t part)
{
    for (uint32_t i = 0; i < g->plan->npart; i++) {
        if (g->tables[i].number == part)
            return g->tables[i].round;
    }
    return 0;
}

/*
 * As Prim's algorithm does: next comes the table that takes least to have, all of its rows, or those that go with a far
 * smaller one that is there already.
 */
static void plan_rounds(struct gather *g, uint64_t *cost, bool *there)
{
    const struct plan_gather *plan = g->plan;

    for (uint32_t n = 0; n < plan->npart; n++) {
        struct gather_table *t = NULL;

        for (uint32_t i = 0; i < plan->npart; i++) {
            if (!there[i] && (!t || cost[i] < cost[t->number]))
                t = &g->tables[i];
        }
        BUG_ON(!t);
        there[t->number] = true;
        for (uint32_t k = 0; k < plan->nsemijoin && cost[t->number] <= KEYS_MAX; k++) {
            const struct plan_semijoin *j = &plan->semijoins[k];

            if (j->from == t->number && !there[j->to] && cost[j->to] > ROWS_BOUND &&
                cost[j->to] / KEYS_WORTH >= cost[t->number]) {
                cost[j->to] = cost[t->number];
                g->tables[j->to].round = t->round + 1;
                g->nround = t->round + 2 > g->nround ? t->round + 2 : g->nround;
            }
        }
    }
}

void gather_keys_plan(struct exec *x)
{
    struct gather *g = x->gather;
    uint64_t *cost;

    g->nround = 1;
    if (!g->plan->nsemijoin || (exec_in_txn(x) && !txn_has_snapshot(&x->s->txn)))
        return;
    cost = ARENA_ARRAY(&x->arena, uint64_t, g->plan->npart);
    for (uint32_t i = 0; i < g->plan->npart; i++)
        cost[i] = expected_rows(g->plan, i);
    plan_rounds(g, cost, ARENA_ARRAY(&x->arena, bool, g->plan->npart));
    if (g->nround == 1)
        return;
    sort_tables(g);
    g->keys = ARENA_ARRAY(&x->arena, struct gather_keys, g->plan->nsemijoin);
    for (uint32_t k = 0; k < g->plan->nsemijoin; k++)
        g->keys[k].wanted = round_of(g, g->plan->semijoins[k].from) < round_of(g, g->plan->semijoins[k].to);
}

/* --- values --- */

static void keys_drop(struct gather_keys *keys)
{
    strbuf_fini(&keys->values);
    free(keys->slots);
    keys->slots = NULL;
    keys->nslot = 0;
}

/* The place of an element among the slots: where it is, or where it would be. */
static uint32_t *keys_slot(const struct gather_keys *keys, const char *element, size_t len, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (keys->nslot - 1);; i = (i + 1) & (keys->nslot - 1)) {
        uint32_t *slot = &keys->slots[i];

        if (!*slot ||
            (keys->values.len - (*slot - 1) >= len && memcmp(keys->values.ptr + *slot - 1, element, len) == 0))
            return slot;
    }
}

static void keys_add(struct gather_keys *keys, const char *element, size_t len, uint64_t seed)
{
    uint32_t *slot;

    if (!keys->slots) {
        keys->nslot = 2 * 16384;
        keys->slots = mem_zalloc(keys->nslot * sizeof(*keys->slots));
    }
    slot = keys_slot(keys, element, len, hash_seeded(element, len, seed));
    if (*slot)
        return;
    if (keys->n == KEYS_MAX || keys->values.len + len > KEYS_BYTES) {
        keys_drop(keys);
        keys->full = true;
        return;
    }
    *slot = (uint32_t)keys->values.len + 1;
    strbuf_put(&keys->values, element, len);
    keys->n++;
}

void gather_keys_take(struct exec *x, const struct gather_table *t, struct span fields)
{
    struct gather *g = x->gather;

    for (uint32_t k = 0; g->keys && k < g->plan->nsemijoin; k++) {
        const struct plan_semijoin *j = &g->plan->semijoins[k];
        size_t at = 0, len = 0;

        if (j->from != t->number || !g->keys[k].wanted || g->keys[k].full)
            continue;
        for (uint32_t column = 0; column <= j->column; column++) {
            at += len;
            len = fields.len - at < 4 ? SIZE_MAX : proto_get32(fields.ptr + at);
            len = len == UINT32_MAX ? 4 : len + 4;
            if (fields.len - at < len)
                return; /* malformed: the gathering server will not take it either */
        }
        if (proto_get32(fields.ptr + at) != UINT32_MAX)
            keys_add(&g->keys[k], fields.ptr + at, len, x->s->worker->hash_seed);
    }
}

/* The semi-join with the fewest values for a table of a later round; NULL: all rows are asked for. */
const struct plan_semijoin *gather_keys_best(const struct gather *g, const struct gather_table *t)
{
    const struct plan_semijoin *best = NULL;

    for (uint32_t k = 0; g->keys && k < g->plan->nsemijoin; k++) {
        const struct plan_semijoin *j = &g->plan->semijoins[k];

        if (j->to == t->number && g->keys[k].wanted && !g->keys[k].full &&
            (!best || g->keys[k].n < g->keys[best - g->plan->semijoins].n))
            best = j;
    }
    return best;
}

void gather_keys_put(const struct gather *g, const struct plan_semijoin *j, struct strbuf *out)
{
    const struct gather_keys *keys = &g->keys[j - g->plan->semijoins];

    msg_u32(out, keys->n ? 1 : 0);
    msg_u32(out, 0); /* no NULLs */
    msg_u32(out, j->type);
    if (keys->n == 0)
        return;
    msg_u32(out, keys->n);
    msg_u32(out, 1);
    strbuf_put(out, keys->values.ptr, keys->values.len);
}

/* How many rows the tables had: for the next time. */
void gather_keys_seen(const struct gather *g)
{
    for (uint32_t i = 0; i < g->plan->npart; i++) {
        const struct gather_table *t = &g->tables[i];

        if (!t->narrow)
            atomic_store_explicit(&g->plan->seen[t->number], t->rows + 1, memory_order_relaxed);
    }
}

void gather_keys_fini(struct gather *g)
{
    for (uint32_t k = 0; g->keys && k < g->plan->nsemijoin; k++)
        keys_drop(&g->keys[k]);
}
