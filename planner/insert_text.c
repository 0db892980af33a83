/*
 * The text of a split INSERT for one shard: what stands before the rows, that shard's rows, what stands behind them.
 * Parameters are renumbered in the order of their first mention.
 */
#include "base/mem.h"
#include "planner/lex.h"
#include "planner/plan_int.h"

#include <stdlib.h>

struct cutter {
    struct strbuf *out;
    uint16_t *map; /* new number - 1 to the client's */
    uint32_t cap, n;
    uint16_t *renumbered; /* the client's to the new number, 0: not yet; nparam entries */
    uint32_t nparam;
    bool full;
};

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
    c->renumbered[param] = (uint16_t)c->n;
    return c->n;
}

/* Copy sql[from, to), which begins and ends between tokens. */
static void copy_piece(struct cutter *c, struct span sql, uint32_t from, uint32_t to)
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

bool plan_insert_text(const struct plan *p, const struct route *r, uint32_t shard, struct span sql,
                      const struct literals *lits, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                      uint32_t *nparam_map, struct err *e)
{
    const struct plan_insert *x = p->insert;
    uint16_t few[64] = { 0 };
    uint16_t *many = p->nparam > ARRAY_LEN(few) ? mem_zalloc(p->nparam * sizeof *many) : NULL;
    struct cutter c = {
        .out = out, .map = param_map, .cap = cap, .renumbered = many ? many : few, .nparam = p->nparam
    };
    bool first = true;
    BUG_ON(p->kind != PLAN_INSERT || !r->row_shard);
    copy_piece(&c, sql, 0, plan_offset(p, lits, x->rows[0].start));
    for (uint32_t i = 0; i < x->nrow; i++) {
        if (r->row_shard[i] != shard)
            continue;
        if (!first)
            strbuf_puts(out, ", ");
        first = false;
        copy_piece(&c, sql, plan_offset(p, lits, x->rows[i].start), plan_offset(p, lits, x->rows[i].end));
    }
    copy_piece(&c, sql, plan_offset(p, lits, x->rows[x->nrow - 1].end), (uint32_t)sql.len);
    *nparam_map = c.n;
    free(many);
    if (!c.full)
        return true;
    err_set(e, PB0203, "too many parameters in one INSERT");
    return false;
}
