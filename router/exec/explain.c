/*
 * EXPLAIN of a statement over several shards: each shard explains what it would be asked for, and what they say becomes
 * one document: how the answers are put together and where, then for each part its SQL, and for each shard its rows,
 * the bytes they would be, the time, and the plan.
 *
 * A shard gets all its parts in one write: Parse, Bind and Execute each, whatever the client used. EXPLAIN ANALYZE runs
 * the parts; what a combining server would do with their rows is not run, and the document says so. The planner refuses
 * ANALYZE of changes (planner/utility_explain.c).
 *
 * Invariants: (1) nothing but the description reaches the client before every shard has ended well; (2) what is kept is
 * bounded by EXPLAIN_MAX.
 */
#include "router/exec/explain.h"

#include "net/loop.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/gate.h"
#include "router/exec/merge.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EXPLAIN_MAX (32u << 20) /* bytes, of all shards */

/* What shards are asked. */
struct explained {
    struct shardset set;
    struct span text; /* with EXPLAIN; in the statement's arena */
    uint16_t *map;    /* its parameters are these of the client's */
    uint32_t nmap;
};

struct exec_explain {
    enum { WAY_CONCAT, WAY_MERGE, WAY_GATHER } way;
    uint32_t npart;
    struct explained *parts;
    struct strbuf *said; /* owned: of shard i about part k at [i * npart + k] */
    uint64_t *took_us;
    uint32_t *at; /* by shard: the part that it is about to explain; npart at the end */
    uint64_t *since_us;
    size_t kept;
    char *rest; /* WAY_GATHER: what the combining server would run */
};

/* --- what is asked --- */

/* EXPLAIN and its options, then a query. */
static void part_text(struct exec *x, struct explained *part, const struct strbuf *query)
{
    struct strbuf sb = STRBUF_INIT;

    strbuf_put(&sb, x->text.ptr, x->plan->explain->start);
    strbuf_put(&sb, query->ptr, query->len);
    part->text = exec_copy_span(x, strbuf_span(&sb));
    strbuf_fini(&sb);
}

static uint64_t rows_wanted(const struct exec *x)
{
    return plan_bounds_wanted(x->plan, x->text, &x->lits_copy, x->bound ? &x->binds : NULL);
}

static void ask_same(struct exec *x, struct exec_explain *ex)
{
    struct explained *part = &ex->parts[0];

    part->set = x->route.set;
    part->text = exec_text(x);
    part->nmap = x->bound ? x->binds.n : 0;
    for (uint32_t i = 0; i < part->nmap; i++)
        part->map[i] = (uint16_t)i;
}

static void ask_merge(struct exec *x, struct exec_explain *ex)
{
    struct strbuf query = STRBUF_INIT;
    struct explained *part = &ex->parts[0];
    struct err e = ERR_INIT;

    part->set = x->route.set;
    BUG_ON(!plan_merge_text(x->plan, x->text, &x->lits_copy, rows_wanted(x), &query, part->map,
                            x->bound ? x->binds.n : 0, &part->nmap, &e));
    part_text(x, part, &query);
    strbuf_fini(&query);
}

/* The statement over the parts, which are named by their numbers. */
static void name_rest(struct exec *x, struct exec_explain *ex)
{
    struct gather_source *sources = ARENA_ARRAY(&x->arena, struct gather_source, ex->npart);
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, (x->bound ? x->binds.n : 0) + 1);
    struct strbuf text = STRBUF_INIT;
    struct err e = ERR_INIT;
    uint32_t n, start = x->plan->gather->push ? 0 : x->plan->explain->start;

    for (uint32_t i = 0; i < ex->npart; i++)
        sources[i].table = arena_printf(&x->arena, "part_%u", i + 1);
    BUG_ON(!plan_gather_text(x->plan, x->text, &x->lits_copy, sources, &text, map, x->bound ? x->binds.n : 0, &n, &e));
    ex->rest = arena_strdup(&x->arena, strbuf_str(&text) + start);
    strbuf_fini(&text);
}

static void ask_parts(struct exec *x, struct exec_explain *ex)
{
    const struct plan_gather *g = x->plan->gather;
    uint64_t wanted = rows_wanted(x);

    for (uint32_t i = 0; i < ex->npart; i++) {
        struct explained *part = &ex->parts[i];
        struct strbuf query = STRBUF_INIT;
        struct err e = ERR_INIT;
        struct route r = { 0 };

        plan_gather_route(x->plan, &g->parts[i], x->s->db->map, x->text, &x->lits_copy, x->bound ? &x->binds : NULL,
                          &r);
        if (r.any) /* a reference table: any shard's copy */
            shardset_add(&r.set, x->s->set->home);
        part->set = r.set;
        BUG_ON(!plan_gather_part_text(x->plan, &g->parts[i], x->text, &x->lits_copy, wanted, &query, part->map,
                                      x->bound ? x->binds.n : 0, &part->nmap, &e));
        strbuf_puts(&query, g->parts[i].lock ? g->parts[i].lock : "");
        part_text(x, part, &query);
        strbuf_fini(&query);
    }
    name_rest(x, ex);
}

static uint32_t next_part(const struct exec_explain *ex, uint32_t from, uint32_t shard)
{
    while (from < ex->npart && !shardset_has(&ex->parts[from].set, shard))
        from++;
    return from;
}

static void prepare(struct exec *x, struct exec_explain *ex)
{
    uint32_t cap = x->bound ? x->binds.n : 0;

    ex->npart = ex->way == WAY_GATHER ? x->plan->gather->npart : 1;
    ex->parts = ARENA_ARRAY(&x->arena, struct explained, ex->npart);
    for (uint32_t i = 0; i < ex->npart; i++)
        ex->parts[i].map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    if (ex->way == WAY_GATHER)
        ask_parts(x, ex);
    else if (ex->way == WAY_MERGE)
        ask_merge(x, ex);
    else
        ask_same(x, ex);
}

/* Its parts are executed, each by a statement of its own: they see one snapshot of all shards, as what is explained. */
static void explain_at_gate(struct exec *x)
{
    exec_gate_snapshot(x, exec_start_parts);
}

void exec_explain(struct exec *x, bool gather)
{
    struct exec_explain *ex = ARENA_NEW(&x->arena, struct exec_explain);
    struct shardset all = { 0 };

    ex->way = gather ? WAY_GATHER : x->plan->combine == COMBINE_MERGE ? WAY_MERGE : WAY_CONCAT;
    exec_merge_fini(x); /* no rows will come */
    prepare(x, ex);
    for (uint32_t i = 0; i < ex->npart; i++) {
        for (size_t w = 0; w < ARRAY_LEN(all.w); w++)
            all.w[w] |= ex->parts[i].set.w[w];
    }
    (void)exec_make_parts(x, &all, shardset_count(&all) == 0);
    if (shardset_count(&all) == 0) /* no shard can have rows: any one may say so */
        shardset_add(&ex->parts[0].set, x->parts[0].shard);
    ex->said = ARENA_ARRAY(&x->arena, struct strbuf, x->npart * ex->npart);
    ex->took_us = ARENA_ARRAY(&x->arena, uint64_t, x->npart * ex->npart);
    ex->since_us = ARENA_ARRAY(&x->arena, uint64_t, x->npart);
    ex->at = ARENA_ARRAY(&x->arena, uint32_t, x->npart);
    for (uint32_t i = 0; i < x->npart; i++)
        ex->at[i] = next_part(ex, 0, x->parts[i].shard);
    x->explain = ex;
    x->task = TASK_STATEMENT;
    x->acquired = exec_start_parts;
    if (x->plan->explain->analyse && x->npart > 1 && exec_gate_on(x) && !x->s->txn.env) {
        const struct txn_modes modes = { .isolation = ISOLATION_REPEATABLE_READ,
                                         .read_only = x->plan->opaque ? MODE_UNSAID : MODE_ON };

        txn_begin(x->s, &modes, true);
        x->own_txn = true;
        x->acquired = explain_at_gate;
    }
    exec_acquire(x);
}

void exec_explain_fini(struct exec *x)
{
    for (uint32_t i = 0; x->explain && i < x->npart * x->explain->npart; i++)
        strbuf_fini(&x->explain->said[i]);
    x->explain = NULL;
}

void exec_explain_put(struct exec *x, struct part *p, struct strbuf *out)
{
    struct exec_explain *ex = x->explain;

    ex->since_us[p - x->parts] = loop_now_us(x->s->worker->loop);
    for (uint32_t i = next_part(ex, 0, p->shard); i < ex->npart; i = next_part(ex, i + 1, p->shard)) {
        const struct explained *part = &ex->parts[i];
        struct strbuf types = STRBUF_INIT;
        size_t at;

        exec_put_types(x, part->map, part->nmap, &types);
        backend_put_parse(p->backend, out, (struct span){ 0 }, part->text, strbuf_str(&types), (uint16_t)part->nmap);
        at = exec_begin_bind(x, (struct span){ 0 }, part->map, part->nmap, 0, 0, out);
        exec_put_values(x, part->map, part->nmap, out);
        exec_end_bind(x, at, out);
        if (i == ex->at[p - x->parts])
            fe_put_describe(out, 'P', (struct span){ 0 });
        fe_put_execute(out, (struct span){ 0 }, 0);
        strbuf_fini(&types);
    }
}

/* --- what comes --- */

static void too_much(struct exec *x)
{
    err_set(&x->own_error, PB0308, "the plans of the shards are too long");
    err_detail(&x->own_error, "The router keeps at most %u MB of them.", EXPLAIN_MAX >> 20);
    err_hint(&x->own_error, "Explain the statement for one sharding key.");
    x->failed = true;
    exec_cancel_parts(x, NULL);
}

enum exec_action exec_explain_long_row(struct exec *x, uint64_t frame)
{
    if (frame <= EXPLAIN_MAX)
        return EXEC_WAIT;
    too_much(x);
    return EXEC_SWALLOW;
}

enum exec_action exec_explain_row(struct exec *x, struct part *p, struct span body)
{
    struct exec_explain *ex = x->explain;
    uint32_t i = (uint32_t)(p - x->parts);
    struct reader r = rd_make(body);
    struct strbuf *said;
    uint32_t len;

    if (ex->at[i] == ex->npart || rd_u16(&r) != 1)
        return EXEC_SWALLOW;
    said = &ex->said[i * ex->npart + ex->at[i]];
    len = rd_u32(&r);
    if (len == UINT32_MAX || len > (size_t)(r.end - r.pos))
        return EXEC_SWALLOW;
    strbuf_put(said, r.pos, len);
    strbuf_putc(said, '\n');
    ex->kept += len + 1;
    if (ex->kept > EXPLAIN_MAX)
        too_much(x);
    return EXEC_SWALLOW;
}

void exec_explain_ended(struct exec *x, const struct part *p)
{
    struct exec_explain *ex = x->explain;
    uint32_t i = (uint32_t)(p - x->parts);
    uint64_t now = loop_now_us(x->s->worker->loop);

    if (ex->at[i] == ex->npart)
        return;
    ex->took_us[i * ex->npart + ex->at[i]] = now - ex->since_us[i];
    ex->since_us[i] = now;
    ex->at[i] = next_part(ex, ex->at[i] + 1, p->shard);
}

/* --- the document --- */

/* The number behind a name at the beginning of a line (JSON, YAML) or in the first line (TEXT); false: there is none.
 */
static bool find_number(const char *text, const char *end, const char *name, double *value)
{
    const char *at = text;
    char *stop;

    while ((at = strstr(at, name)) != NULL && at < end) {
        at += strlen(name);
        *value = strtod(at, &stop);
        if (stop != at)
            return true;
    }
    return false;
}

/*
 * Rows and width of the plan's uppermost node. Its numbers come before those of the nodes below; in JSON and YAML no
 * name of a table can look like them, since quotes and ends of line are escaped in it.
 */
static void read_numbers(const struct plan_explain *plan, const struct strbuf *said, double *rows, double *width)
{
    const char *text = strbuf_str(said), *end = text + said->len;
    bool json = plan->format == EXPLAIN_JSON;

    *rows = *width = -1;
    if (plan->format == EXPLAIN_TEXT) {
        const char *line = strchr(text, '\n'), *actual = NULL, *costs = NULL;

        end = line ? line : end;
        for (const char *at = text; (at = strstr(at, "(actual ")) != NULL && at < end; at++)
            actual = at;
        for (const char *at = text; (at = strstr(at, "(cost=")) != NULL && at < end; at++)
            costs = at;
        if (costs)
            (void)find_number(costs, end, " width=", width);
        if (plan->analyse ? actual != NULL : costs != NULL)
            (void)find_number(plan->analyse ? actual : costs, end, " rows=", rows);
        return;
    }
    (void)find_number(text, end, json ? "  \"Plan Width\": " : "  Plan Width: ", width);
    if (plan->analyse)
        (void)find_number(text, end, json ? "  \"Actual Rows\": " : "  Actual Rows: ", rows);
    else
        (void)find_number(text, end, json ? "  \"Plan Rows\": " : "  Plan Rows: ", rows);
}

double exec_explain_rows(struct span said)
{
    struct strbuf text = STRBUF_INIT;
    double rows = -1;

    strbuf_put(&text, said.ptr, said.len);
    (void)find_number(strbuf_str(&text), text.ptr + text.len, "  \"Plan Rows\": ", &rows);
    strbuf_fini(&text);
    return rows;
}

/* A string as JSON has it, which YAML reads, too. */
static void put_string(struct strbuf *out, const char *text)
{
    strbuf_putc(out, '"');
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\')
            strbuf_printf(out, "\\%c", c);
        else if (c == '\n')
            strbuf_puts(out, "\\n");
        else if (c < 0x20)
            strbuf_printf(out, "\\u%04x", c);
        else
            strbuf_putc(out, *p);
    }
    strbuf_putc(out, '"');
}

/* Each line of a text, indented. */
static void put_lines(struct strbuf *out, const char *text, size_t len, const char *indent)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;

        strbuf_printf(out, "%s%.*s\n", indent, (int)n, text);
        text += n + (end ? 1 : 0);
        len -= n + (end ? 1 : 0);
    }
}

static const char *way_name(const struct exec *x)
{
    if (x->explain->way == WAY_MERGE)
        return x->plan->merge->nunique ? "merged, the first of equal ones" : "merged";
    return x->explain->way == WAY_GATHER ? "gathered" : "concatenated";
}

/* Without EXPLAIN. */
static const char *part_query(const struct exec *x, const struct explained *part)
{
    return part->text.ptr + x->plan->explain->start;
}

/* "column IN part n, ...": what may narrow the part when it runs. */
static bool semijoins_of(struct exec *x, uint32_t part, struct strbuf *out)
{
    const struct plan_gather *g = x->explain->way == WAY_GATHER ? x->plan->gather : NULL;
    bool any = false;

    for (uint32_t i = 0; g && i < g->nsemijoin; i++) {
        const struct plan_semijoin *j = &g->semijoins[i];

        if (j->to != part)
            continue;
        strbuf_printf(out, "%s%s IN part %u", any ? ", " : "", j->name, j->from + 1);
        any = true;
    }
    return any;
}

static void put_text_shard(struct exec *x, uint32_t i, uint32_t k, struct strbuf *out)
{
    const struct exec_explain *ex = x->explain;
    const struct strbuf *said = &ex->said[i * ex->npart + k];
    bool analyse = x->plan->explain->analyse;
    double rows, width;

    read_numbers(x->plan->explain, said, &rows, &width);
    strbuf_printf(out, "    Shard %s", x->s->set->pools[x->parts[i].shard]->shard_name);
    if (rows >= 0)
        strbuf_printf(out, "  (%s rows=%.0f", analyse ? "actual" : "estimated", rows);
    if (rows >= 0 && width >= 0)
        strbuf_printf(out, " estimated bytes=%.0f", rows * width);
    if (rows >= 0 && analyse)
        strbuf_printf(out, " time=%.3f ms", (double)ex->took_us[i * ex->npart + k] / 1000);
    strbuf_puts(out, rows >= 0 ? ")\n" : "\n");
    put_lines(out, strbuf_str(said), said->len, "      ");
}

static void put_text(struct exec *x, struct strbuf *out)
{
    const struct exec_explain *ex = x->explain;

    strbuf_printf(out, "Rows of %u shard%s, %s\n", x->npart, x->npart == 1 ? "" : "s", way_name(x));
    strbuf_printf(out, "  Combining Server: %s\n",
                  ex->way == WAY_GATHER ? x->s->set->pools[x->s->set->home]->shard_name : "router");
    if (ex->rest) {
        strbuf_printf(out, "  Combining Statement%s:\n", x->plan->explain->analyse ? " (not executed)" : "");
        put_lines(out, ex->rest, strlen(ex->rest), "    ");
    }
    for (uint32_t k = 0; k < ex->npart; k++) {
        const char *query = part_query(x, &ex->parts[k]);
        struct strbuf keys = STRBUF_INIT;

        strbuf_printf(out, "  Part %u:\n", k + 1);
        put_lines(out, query, strlen(query), "    ");
        if (semijoins_of(x, k, &keys))
            strbuf_printf(out, "    Narrowed, if that is far smaller: %s\n", strbuf_str(&keys));
        strbuf_fini(&keys);
        for (uint32_t i = 0; i < x->npart; i++) {
            if (shardset_has(&ex->parts[k].set, x->parts[i].shard))
                put_text_shard(x, i, k, out);
        }
    }
}

/* Marks of the two formats, so that the document is written once. */
struct marks {
    const char *quote, *comma, *open_list, *close_list;
};

static const char *put_shard(struct exec *x, const struct marks *m, uint32_t i, uint32_t k, struct strbuf *out)
{
    const struct exec_explain *ex = x->explain;
    const struct plan_explain *plan = x->plan->explain;
    const struct strbuf *said = &ex->said[i * ex->npart + k];
    bool json = plan->format == EXPLAIN_JSON;
    const char *q = m->quote;
    double rows, width;

    read_numbers(plan, said, &rows, &width);
    strbuf_printf(out, json ? "            {\n              \"Shard\": " : "          - Shard: ");
    put_string(out, x->s->set->pools[x->parts[i].shard]->shard_name);
    if (rows >= 0)
        strbuf_printf(out, "%s\n%s%s%s Rows%s: %.0f", m->comma, json ? "              " : "            ", q,
                      plan->analyse ? "Actual" : "Estimated", q, rows);
    if (rows >= 0 && width >= 0)
        strbuf_printf(out, "%s\n%s%sEstimated Bytes%s: %.0f", m->comma, json ? "              " : "            ", q, q,
                      rows * width);
    if (plan->analyse)
        strbuf_printf(out, "%s\n%s%sTime%s: %.3f", m->comma, json ? "              " : "            ", q, q,
                      (double)ex->took_us[i * ex->npart + k] / 1000);
    strbuf_printf(out, "%s\n%s%sShard Plan%s:\n", m->comma, json ? "              " : "            ", q, q);
    put_lines(out, strbuf_str(said), said->len, "              ");
    return json ? "            }" : "";
}

static void put_part(struct exec *x, const struct marks *m, uint32_t k, struct strbuf *out)
{
    const struct exec_explain *ex = x->explain;
    bool json = x->plan->explain->format == EXPLAIN_JSON, first = true;
    struct strbuf keys = STRBUF_INIT;

    strbuf_puts(out, json ? "        {\n          \"Statement\": " : "      - Statement: ");
    put_string(out, part_query(x, &ex->parts[k]));
    if (semijoins_of(x, k, &keys)) {
        strbuf_printf(out, "%s\n%s%sNarrowed If Far Smaller%s: ", m->comma, json ? "          " : "        ", m->quote,
                      m->quote);
        put_string(out, strbuf_str(&keys));
    }
    strbuf_fini(&keys);
    strbuf_printf(out, "%s\n%s%sShards%s:%s\n", m->comma, json ? "          " : "        ", m->quote, m->quote,
                  m->open_list);
    for (uint32_t i = 0; i < x->npart; i++) {
        if (!shardset_has(&ex->parts[k].set, x->parts[i].shard))
            continue;
        strbuf_puts(out, first || !json ? "" : ",\n");
        strbuf_puts(out, put_shard(x, m, i, k, out));
        first = false;
    }
    strbuf_puts(out, json ? "\n          ]\n        }" : "");
}

static void put_document(struct exec *x, struct strbuf *out)
{
    static const struct marks json_marks = { "\"", ",", " [", "]" }, yaml_marks = { "", "", "", "" };
    const struct exec_explain *ex = x->explain;
    bool json = x->plan->explain->format == EXPLAIN_JSON;
    const struct marks *m = json ? &json_marks : &yaml_marks;
    const char *in = json ? "      " : "    ", *q = m->quote;

    strbuf_puts(out, json ? "[\n  {\n    \"Plan\": {\n" : "- Plan:\n");
    strbuf_printf(out, "%s%sNode Type%s: \"Shards\"%s\n", in, q, q, m->comma);
    strbuf_printf(out, "%s%sAnswers%s: \"%s\"%s\n", in, q, q, way_name(x), m->comma);
    strbuf_printf(out, "%s%sNumber of Shards%s: %u%s\n", in, q, q, x->npart, m->comma);
    strbuf_printf(out, "%s%sCombining Server%s: ", in, q, q);
    put_string(out, ex->way == WAY_GATHER ? x->s->set->pools[x->s->set->home]->shard_name : "router");
    if (ex->rest) {
        strbuf_printf(out, "%s\n%s%sCombining Statement%s: ", m->comma, in, q, q);
        put_string(out, ex->rest);
        strbuf_printf(out, "%s\n%s%sCombining Statement Executed%s: false", m->comma, in, q, q);
    }
    strbuf_printf(out, "%s\n%s%sParts%s:%s\n", m->comma, in, q, q, m->open_list);
    for (uint32_t k = 0; k < ex->npart; k++) {
        strbuf_puts(out, k && json ? ",\n" : "");
        put_part(x, m, k, out);
    }
    strbuf_puts(out, json ? "\n      ]\n    }\n  }\n]" : "");
}

static void put_row(struct exec *x, struct span value)
{
    be_put_data_row(&x->out, &value, 1);
}

void exec_explain_done(struct exec *x)
{
    struct strbuf doc = STRBUF_INIT;

    exec_send_row_desc(x);
    if (x->plan->explain->format == EXPLAIN_TEXT) {
        const char *at, *end;

        put_text(x, &doc);
        for (at = strbuf_str(&doc); (end = strchr(at, '\n')) != NULL; at = end + 1)
            put_row(x, span_make(at, (size_t)(end - at)));
    } else {
        put_document(x, &doc);
        if (doc.len && doc.ptr[doc.len - 1] == '\n')
            doc.len--;
        put_row(x, strbuf_span(&doc));
    }
    strbuf_fini(&doc);
}
