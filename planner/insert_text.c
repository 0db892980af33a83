/*
 * The text of a split INSERT for one shard: what stands before the rows, that shard's rows, what stands behind them.
 */
#include "planner/cutter.h"
#include "planner/plan_int.h"

bool plan_insert_text(const struct plan *p, const struct route *r, uint32_t shard, struct span sql,
                      const struct literals *lits, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                      uint32_t *nparam_map, struct err *e)
{
    const struct plan_insert *x = p->insert;
    struct cutter c;
    bool first = true;
    BUG_ON(p->kind != PLAN_INSERT || !r->row_shard);
    cutter_init(&c, out, p->nparam, param_map, cap);
    cutter_copy(&c, sql, 0, plan_offset(p, lits, x->rows[0].start));
    for (uint32_t i = 0; i < x->nrow; i++) {
        if (r->row_shard[i] != shard)
            continue;
        if (!first)
            strbuf_puts(out, ", ");
        first = false;
        cutter_copy(&c, sql, plan_offset(p, lits, x->rows[i].start), plan_offset(p, lits, x->rows[i].end));
    }
    cutter_copy(&c, sql, plan_offset(p, lits, x->rows[x->nrow - 1].end), (uint32_t)sql.len);
    return cutter_fini(&c, nparam_map, e);
}
