/*
 * Texts in pieces.
 */
#include "planner/finish_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct text_piece *add(struct text_builder *t, enum piece_kind kind)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 16;
        struct text_piece *v = ARENA_ARRAY(t->a, struct text_piece, t->cap);
        if (t->n)
            memcpy(v, t->v, t->n * sizeof *v);
        t->v = v;
    }
    t->v[t->n] = (struct text_piece){ .kind = kind };
    return &t->v[t->n++];
}

void text_fixed(struct text_builder *t, const char *fixed)
{
    add(t, PIECE_FIXED)->fixed = arena_strdup(t->a, fixed);
}

void text_printf(struct text_builder *t, const char *fmt, ...)
{
    struct strbuf sb = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vprintf(&sb, fmt, ap);
    va_end(ap);
    text_fixed(t, strbuf_str(&sb));
    strbuf_fini(&sb);
}

void text_slice(struct text_builder *t, uint32_t start, uint32_t end)
{
    if (start >= end)
        return;
    struct text_piece *p = add(t, PIECE_SLICE);
    p->start = start;
    p->end = end;
}

void text_table(struct text_builder *t)
{
    (void)add(t, PIECE_TABLE);
}

void text_all(struct text_builder *t, const struct plan_text *from)
{
    for (uint32_t i = 0; i < from->n; i++)
        *add(t, PIECE_FIXED) = from->v[i];
}

struct plan_text text_done(const struct text_builder *t)
{
    return (struct plan_text){ .n = t->n, .v = t->v };
}
