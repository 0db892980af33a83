/*
 * Rows of several shards in one order, and LIMIT counted (planner/finish.h, planner/op_merge.h).
 *
 * Each shard runs the plan's text by Parse, Bind, Describe and Execute, whatever the client used: its first columns are
 * sort keys in binary, the others are the client's in the formats that it asked for. What the shards describe tells how
 * the keys are compared.
 *
 * Invariants: (1) nothing is merged before every shard has described its rows (rule P31); (2) a shard whose rows wait
 * here is paused at MERGE_KEEP bytes, so with what is read at once no shard has more than 128 KiB here, a row that is
 * longer alone excepted; (3) while the client is slow all shards are paused, and nothing is merged; what is left when
 * all shards have ended is less than (2) allows.
 */
#include "router/exec/merge.h"

#include "base/mem.h"
#include "planner/op_merge.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/ids.h"
#include "router/exec/part.h"
#include "router/exec/pieces.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/reader.h"

#include <stdlib.h>

#define MERGE_KEEP  32768u
#define MERGE_FLUSH 32768u

struct exec_merge {
    struct merge *rows;  /* owned; NULL: keys are not known yet */
    uint64_t skip, left; /* rows still to be skipped, and wanted after that */
    uint64_t sent;       /* rows */
    uint64_t wanted;     /* of each shard */
    bool paused;         /* a shard is, because its rows wait */
    struct plan *owner;  /* owned reference */
    const struct plan_merge *plan;
};

/* The client's result formats are none, one, or one for each column. */
static bool formats_fit(const struct exec *x)
{
    return !x->bound || x->bind.nresult <= 1 || x->bind.nresult == x->plan->merge->ncolumn;
}

bool exec_merge_begin(struct exec *x)
{
    struct exec_merge *m;
    uint64_t skip, left;

    if (!formats_fit(x) ||
        !plan_bounds_read(x->plan, x->text, &x->lits_copy, x->bound ? &x->binds : NULL, &skip, &left))
        return false;
    m = mem_zalloc(sizeof(*m));
    m->owner = plan_ref(x->plan);
    m->plan = x->plan->merge;
    m->skip = skip;
    m->left = left;
    m->wanted = left > INT64_MAX - skip ? UINT64_MAX : skip + left; /* rule P29 */
    x->merge = m;
    return true;
}

void exec_merge_limit(struct exec *x, uint32_t n)
{
    struct exec_merge *m = x->merge;

    if (n < m->left)
        m->left = n;
    m->wanted = m->left > INT64_MAX - m->skip ? UINT64_MAX : m->skip + m->left;
}

void exec_merge_fini(struct exec *x)
{
    exec_merge_free(x->merge);
    x->merge = NULL;
}

void exec_merge_free(struct exec_merge *m)
{
    if (!m)
        return;
    merge_free(m->rows);
    plan_unref(m->owner);
    free(m);
}

struct exec_merge *exec_merge_take(struct exec *x)
{
    struct exec_merge *m = x->merge;

    x->merge = NULL;
    return m;
}

void exec_merge_give(struct exec *x, struct exec_merge *m)
{
    x->merge = m;
}

/* --- asking --- */

static void put_formats(const struct exec *x, struct strbuf *out)
{
    const struct plan_merge *plan = x->merge->plan;
    struct reader results = rd_make(span_make(x->bind.results, x->bind.nresult * 2u));
    uint16_t n = x->bound ? x->bind.nresult : 0, all = n == 1 ? rd_u16(&results) : 0;

    msg_u16(out, (uint16_t)(plan->nkey + plan->ncolumn));
    for (uint32_t i = 0; i < plan->nkey; i++)
        msg_u16(out, 1);
    for (uint32_t i = 0; i < plan->ncolumn; i++)
        msg_u16(out, n > 1 ? rd_u16(&results) : all);
}

void exec_merge_bind(struct exec *x, const struct part *p, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT, types = STRBUF_INIT;
    struct err e = ERR_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0;
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    size_t at;

    BUG_ON(!plan_merge_text(x->plan, x->text, &x->lits_copy, x->merge->wanted, &text, map, cap, &n, &e));
    exec_put_types(x, map, n, &types);
    backend_put_parse(p->backend, out, (struct span){ 0 }, strbuf_span(&text), strbuf_str(&types), (uint16_t)n);
    at = exec_begin_bind(x, exec_portal_there(x), map, n, 0, 0, out);
    exec_put_values(x, map, n, out);
    put_formats(x, out);
    msg_end(out, at);
    if (!p->described)
        fe_put_describe(out, 'P', exec_portal_there(x));
    strbuf_fini(&text);
    strbuf_fini(&types);
}

/* --- what the rows are --- */

static void diverged(struct exec *x, const char *why)
{
    err_set(&x->own_error, PB0310, "rows of several shards cannot be merged: %s", why);
    x->failed = true;
}

void exec_merge_described(struct exec *x, struct span row_desc)
{
    const struct plan_merge *plan = x->merge->plan;
    struct merge_key *keys = ARENA_ARRAY(&x->arena, struct merge_key, plan->nkey + 1);
    struct reader r = rd_make(row_desc);
    bool known = rd_u16(&r) == plan->nkey + plan->ncolumn;

    for (uint32_t i = 0; known && i < plan->nkey; i++) {
        bool text = false;
        uint32_t oid;

        (void)rd_cstr(&r);
        (void)rd_bytes(&r, 6);
        oid = rd_u32(&r);
        (void)rd_bytes(&r, 8);
        keys[i] = plan->keys[i];
        known = !r.bad && merge_type_of(oid, &keys[i].type, &text) && (!text || plan->by_bytes[i]);
    }
    if (known) {
        x->merge->rows = merge_new(x->npart, plan->nkey, keys);
        merge_unique(x->merge->rows, plan->nunique);
    } else {
        diverged(x, "their columns are not those that the catalog says");
    }
}

struct span exec_merge_own_columns(struct exec *x, struct span row_desc)
{
    struct reader r = rd_make(row_desc);
    struct strbuf own = STRBUF_INIT;

    (void)rd_u16(&r);
    for (uint32_t i = 0; i < x->merge->plan->nkey; i++) {
        (void)rd_cstr(&r);
        (void)rd_bytes(&r, 18);
    }
    msg_u16(&own, (uint16_t)x->merge->plan->ncolumn);
    strbuf_put(&own, r.pos, (size_t)(r.end - r.pos));
    struct span kept = exec_copy_span(x, strbuf_span(&own));
    strbuf_fini(&own);
    return kept;
}

/* --- rows --- */

static void merge_pause_all(struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].backend)
            stream_pause(&x->parts[i].backend->st, PAUSE_PEER_SLOW);
    }
}

/* Who was ahead may go on; when no more rows are wanted everybody, to the end of what was asked for. */
static void merge_resume(struct exec *x)
{
    if (!x->merge->paused)
        return;
    x->merge->paused = false;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (!b || !(b->st.paused & PAUSE_TURN))
            continue;
        if (x->merge->left == 0 || merge_kept(x->merge->rows, i) < MERGE_KEEP / 2)
            stream_resume(&b->st, PAUSE_TURN);
        else
            x->merge->paused = true;
    }
}

static void merge_is_bad(struct exec *x)
{
    diverged(x, "they come in another order than their types and collations say");
    exec_cancel_parts(x, NULL);
}

/* Up to n rows that are in order go to x->out, and from there on. */
static enum merge_result merge_send(struct exec *x, uint64_t *n)
{
    struct exec_merge *m = x->merge;
    uint64_t want = *n < m->left ? *n : m->left, left = want;
    enum merge_result got;

    if (!x->row_desc_sent)
        exec_send_row_desc(x);
    got = merge_take(m->rows, &m->skip, &left, &x->out, MERGE_FLUSH);
    m->left -= want - left;
    m->sent += want - left;
    *n -= want - left;
    if (x->out.len >= MERGE_FLUSH)
        exec_flush(x);
    return got;
}

/* Send on what is in order. `end`: whatever the client's queue looks like. */
static void merge_run(struct exec *x, bool end)
{
    struct exec_merge *m = x->merge;
    enum merge_result got = MERGE_ROW;
    uint64_t all = UINT64_MAX;

    if (!m->rows || x->failed)
        return;
    while (got == MERGE_ROW && m->left > 0 && (end || stream_queued(&x->s->st) <= STREAM_HIGH_WATER))
        got = merge_send(x, &all);
    if (got == MERGE_BAD) {
        merge_is_bad(x);
        return;
    }
    if (!end && stream_queued(&x->s->st) > STREAM_HIGH_WATER)
        merge_pause_all(x);
    merge_resume(x);
}

size_t exec_merge_rows(struct exec *x, struct part *p, struct span frames)
{
    struct exec_merge *m = x->merge;
    uint32_t i = (uint32_t)(p - x->parts);
    size_t kept, taken = 0;
    bool waited;

    if (m->left == 0 || !m->rows || x->failed) /* not in bulk */
        return 0;
    if (merge_kept(m->rows, i) >= MERGE_KEEP)
        merge_run(x, false);
    kept = merge_kept(m->rows, i);
    if (kept >= MERGE_KEEP || x->failed)
        return 0;
    waited = merge_waits_for(m->rows, i);
    if (!merge_push(m->rows, i, frames, MERGE_KEEP - kept, &taken)) {
        if (taken)
            merge_is_bad(x);
        return taken; /* a malformed first one is met again */
    }
    if (waited || m->plan->nkey == 0) /* else nothing else can go out than before */
        merge_run(x, false);
    return taken;
}

enum exec_action exec_merge_row(struct exec *x, struct part *p, struct span body)
{
    struct exec_merge *m = x->merge;
    uint32_t i = (uint32_t)(p - x->parts);
    size_t taken;
    bool waited;

    if (m->left == 0) /* LIMIT is reached */
        return EXEC_SWALLOW;
    if (!x->pieces && merge_kept(m->rows, i) >= MERGE_KEEP)
        merge_run(x, false);
    if (!x->pieces && merge_kept(m->rows, i) >= MERGE_KEEP) {
        m->paused = true;
        stream_pause(&p->backend->st, PAUSE_TURN);
        return EXEC_WAIT;
    }
    if (UNLIKELY(p->ids) && !exec_ids_replace(x, p, body))
        return EXEC_SWALLOW;
    waited = merge_waits_for(m->rows, i);
    if (!merge_push(m->rows, i, span_make(body.ptr - PROTO_HEADER, body.len + PROTO_HEADER), 0, &taken)) {
        merge_is_bad(x);
        return EXEC_SWALLOW;
    }
    if (!x->pieces && (waited || m->plan->nkey == 0))
        merge_run(x, false);
    return EXEC_SWALLOW;
}

/* The client takes rows again: shards that are paused because theirs wait here would never say so. */
void exec_merge_drained(struct exec *x)
{
    if (x->merge && !x->pieces)
        merge_run(x, false);
}

/* A shard has sent its last row. */
void exec_merge_ended(struct exec *x, const struct part *p)
{
    struct exec_merge *m = x->merge;

    if (!m->rows || x->failed)
        return;
    merge_end(m->rows, (uint32_t)(p - x->parts));
    if (!x->pieces)
        merge_run(x, false);
}

bool exec_merge_piece(struct exec *x, uint64_t *n)
{
    struct exec_merge *m = x->merge;
    enum merge_result got = MERGE_ROW;

    while (got == MERGE_ROW && *n > 0 && m->left > 0)
        got = merge_send(x, n);
    if (got == MERGE_BAD)
        merge_is_bad(x);
    return got != MERGE_WAIT;
}

uint64_t exec_merge_wants(const struct exec *x, uint64_t n)
{
    uint64_t skip = x->merge->skip;

    return n > UINT64_MAX - skip ? UINT64_MAX : n + skip;
}

bool exec_merge_is_small(const struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        if (!exec_merge_needs(x, i))
            return false;
    }
    return true;
}

bool exec_merge_needs(const struct exec *x, uint32_t part)
{
    return merge_kept(x->merge->rows, part) < MERGE_KEEP / 2;
}

void exec_merge_done(struct exec *x)
{
    merge_run(x, true);
    x->rows = x->sent = x->merge->sent;
}

enum exec_action exec_merge_long_row(struct exec *x, uint64_t frame)
{
    if (x->merge->left == 0)
        return EXEC_SWALLOW;
    return exec_whole_row(x, frame, "merged with those of other shards");
}
