#include "planner/plan_int.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct plan_box {
    struct plan pub;
    struct arena arena;
    struct literals literals; /* of its text; in the arena */
};

static struct plan_box *plan_box(struct plan *p)
{
    return CONTAINER_OF(p, struct plan_box, pub);
}

struct plan *plan_new(void)
{
    struct plan_box *box = mem_zalloc(sizeof *box);
    arena_init(&box->arena, 512);
    box->pub.refs = 1;
    box->pub.kind = PLAN_QUERY;
    box->pub.refusal = ERR_INIT;
    return &box->pub;
}

struct arena *plan_arena(struct plan *p)
{
    return &plan_box(p)->arena;
}

size_t plan_bytes(const struct plan *p)
{
    const struct plan_box *box = (const struct plan_box *)(const void *)p;
    return sizeof *box + box->arena.used;
}

void plan_reason(struct plan *p, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->reason = arena_strdup(plan_arena(p), text);
}

/* First literal that starts at or after `location`; lits->n if none. */
static uint32_t literal_from(const struct literals *lits, uint32_t location)
{
    uint32_t lo = 0, hi = lits->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (lits->v[mid].off < location)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void plan_keep_literals(struct plan *p, const struct literals *lits)
{
    struct plan_box *box = plan_box(p);
    struct literal *v = ARENA_ARRAY(&box->arena, struct literal, lits->n);
    if (lits->n)
        memcpy(v, lits->v, lits->n * sizeof *v);
    box->literals = (struct literals){ .n = lits->n, .v = v };
}

uint32_t plan_offset(const struct plan *p, const struct literals *lits, uint32_t offset)
{
    const struct literals *old = &((const struct plan_box *)(const void *)p)->literals;
    uint32_t n = literal_from(old, offset);
    if (n == 0)
        return offset;
    BUG_ON(n > lits->n);
    uint32_t old_end = old->v[n - 1].off + old->v[n - 1].len, new_end = lits->v[n - 1].off + lits->v[n - 1].len;
    return new_end + (offset - old_end);
}

struct plan *plan_ref(struct plan *p)
{
    p->refs++;
    return p;
}

void plan_unref(struct plan *p)
{
    if (!p)
        return;
    BUG_ON(p->refs == 0);
    if (--p->refs > 0)
        return;
    struct plan_box *box = plan_box(p);
    arena_fini(&box->arena);
    free(box);
}

bool literal_at(const struct literals *lits, int location, uint32_t *index)
{
    if (location < 0)
        return false;
    uint32_t i = literal_from(lits, (uint32_t)location);
    if (i == lits->n || lits->v[i].off != (uint32_t)location)
        return false;
    *index = i;
    return true;
}

bool literal_number_at(struct span sql, const struct literals *lits, int location, uint32_t *index, bool *negate)
{
    if (location < 0)
        return false;
    uint32_t i = literal_from(lits, (uint32_t)location);
    if (i == lits->n || lits->v[i].off >= sql.len)
        return false;
    /* Parity of the signs, not the sign of the value: "-0" has the shape of "-5". */
    bool minus = false;
    for (size_t at = (size_t)location; at < lits->v[i].off; at++) {
        char c = sql.ptr[at];
        if (c == '-')
            minus = !minus;
        else if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return false;
    }
    *index = i;
    *negate = minus;
    return true;
}
