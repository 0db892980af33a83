#include "planner/cutter.h"

#include "base/mem.h"
#include "planner/lex.h"

#include <stdlib.h>

void cutter_init(struct cutter *c, struct strbuf *out, uint32_t nparam, uint16_t *map, uint32_t cap)
{
    *c = (struct cutter){ .out = out, .map = map, .cap = cap, .nparam = nparam };
    c->renumbered = nparam > ARRAY_LEN(c->few) ? mem_zalloc(nparam * sizeof *c->renumbered) : c->few;
}

void cutter_reserve(struct cutter *c, uint32_t n)
{
    c->reserved = n;
    c->full = n + c->nparam > UINT16_MAX;
}

static uint32_t renumber(struct cutter *c, uint32_t param)
{
    BUG_ON(param >= c->nparam);
    if (c->renumbered[param])
        return c->renumbered[param];
    if (c->n == c->cap) {
        c->full = true;
        return 1;
    }
    c->map[c->n++] = (uint16_t)param;
    c->renumbered[param] = (uint16_t)(c->reserved + c->n);
    return c->reserved + c->n;
}

void cutter_copy(struct cutter *c, struct span sql, uint32_t from, uint32_t to)
{
    struct lex l;
    struct lex_token t;
    const struct span piece = span_make(sql.ptr + from, to - from);
    const unsigned char *done = (const unsigned char *)piece.ptr;
    /* A backslash in '...' with standard_conforming_strings off has been refused, so either way of lexing is right. */
    lex_init(&l, piece, false);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (t.kind != LEX_PARAM)
            continue;
        uint32_t number = 0;
        for (const unsigned char *p = t.start + 1; p < t.end && number <= UINT16_MAX; p++)
            number = number * 10 + (uint32_t)(*p - '0');
        if (number == 0 || number > c->nparam || number > UINT16_MAX) {
            c->full = true;
            return;
        }
        strbuf_put(c->out, done, (size_t)(t.start - done));
        strbuf_printf(c->out, "$%u", renumber(c, number - 1));
        done = t.end;
    }
    strbuf_put(c->out, done, (size_t)((const unsigned char *)piece.ptr + piece.len - done));
}

bool cutter_fini(struct cutter *c, uint32_t *n, struct err *e)
{
    *n = c->n;
    if (c->renumbered != c->few)
        free(c->renumbered);
    if (!c->full)
        return true;
    err_set(e, PB0203, "too many parameters in one statement");
    return false;
}
