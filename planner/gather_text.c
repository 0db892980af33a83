/*
 * The texts of a gather's execution: each part's query, the shape of its temporary table, and the statement over those.
 */
#include "planner/cutter.h"
#include "planner/plan_int.h"

static void put_head(const struct gather_part *part, struct strbuf *out)
{
    strbuf_printf(out, "SELECT %s FROM %s AS %s", part->columns, part->table, part->alias);
}

bool plan_gather_part_text(const struct plan *p, const struct gather_part *part, struct span sql,
                           const struct literals *lits, struct strbuf *out, uint16_t *param_map, uint32_t cap,
                           uint32_t *nparam_map, struct err *e)
{
    struct cutter c;
    cutter_init(&c, out, p->nparam, param_map, cap);
    put_head(part, out);
    for (uint32_t i = 0; i < part->nfilter; i++) {
        strbuf_puts(out, i ? " AND (" : " WHERE (");
        cutter_copy(&c, sql, plan_offset(p, lits, part->filters[i].start), plan_offset(p, lits, part->filters[i].end));
        strbuf_putc(out, ')');
    }
    return cutter_fini(&c, nparam_map, e);
}

void plan_gather_shape(const struct gather_part *part, struct strbuf *out)
{
    put_head(part, out);
}

void plan_gather_text(const struct plan *p, struct span sql, const struct literals *lits, const char *const *names,
                      struct strbuf *out)
{
    const struct plan_gather *g = p->gather;
    uint32_t done = 0;
    for (uint32_t i = 0; i < g->npart; i++) {
        const struct gather_part *part = &g->parts[i];
        uint32_t start = plan_offset(p, lits, part->start);
        strbuf_put(out, sql.ptr + done, start - done);
        strbuf_puts(out, "pg_temp.");
        strbuf_put_ident(out, span_str(names[i]));
        if (part->put_alias)
            strbuf_printf(out, " AS %s", part->alias);
        done = plan_offset(p, lits, part->end);
    }
    strbuf_put(out, sql.ptr + done, sql.len - done);
}
