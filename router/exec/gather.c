/*
 * Gathered statements: rows of several shards go into temporary tables of one server, the statement runs there
 * (planner/gather.h).
 *
 *   shards:    [BEGIN RR READ ONLY] part, part ... [COMMIT] Sync      all at once, rows in binary
 *   gatherer:  [CREATE TEMP TABLE ...]  BEGIN READ WRITE, COPY t1 FROM STDIN ... COPY t2 ...   the statement (rollback
 * on release)
 *
 * The gatherer is a connection of a pool of its own to the home shard (poolset.gather): never a participant of the
 * client's transaction, whose own connections run the parts, so that its own writes are seen (rules P5, P6). Its
 * temporary tables are kept by signature. A binary DataRow is a tuple of COPY BINARY: only the frame's type changes
 * (rule P2).
 *
 * Invariants: (1) one COPY at a time, tables in the order of parts; a shard that is ahead is paused (PAUSE_TURN); (2)
 * parts of one shard see one snapshot: by REPEATABLE READ; inside a READ COMMITTED transaction one query gives the
 * rows of them all (rule X15; gather_row.h); (3) nothing reaches the client before every part has ended well; (4) after
 * an error the statement ends when every shard and the gatherer are quiet.
 */
#include "router/exec/gather_int.h"

#include "base/hash.h"
#include "router/exec/answer.h"
#include "router/exec/cursor.h"
#include "router/exec/estimate.h"
#include "router/exec/gate.h"
#include "router/exec/gather_row.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <stdlib.h>
#include <string.h>

#define GATHER_FLUSH   32768u
#define GATHER_COLUMNS 1600u /* that a query may give; the server's limit is 1664 */

struct part *gather_own(const struct exec *x)
{
    return &x->parts[x->gather->nshard];
}

/* Does this shard run the part? */
bool gather_runs(const struct gather *g, uint32_t table, uint32_t shard)
{
    return shardset_has(&g->tables[table].route.set, shard);
}

uint32_t gather_count(const struct gather *g, uint32_t shard)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < g->plan->npart; i++)
        n += gather_runs(g, i, shard);
    return n;
}

uint32_t gather_next(const struct gather *g, uint32_t from, uint32_t shard)
{
    while (from < g->plan->npart && !gather_runs(g, from, shard))
        from++;
    return from;
}

bool gather_asks_later(const struct gather *g, uint32_t round, uint32_t shard)
{
    for (uint32_t i = gather_next(g, 0, shard); i < g->plan->npart; i = gather_next(g, i + 1, shard)) {
        if (g->tables[i].round > round)
            return true;
    }
    return false;
}

/* In a READ COMMITTED transaction: its parts there are one query. */
bool gather_joins(const struct exec *x, uint32_t shard)
{
    return exec_in_txn(x) && !txn_has_snapshot(&x->s->txn) && gather_count(x->gather, shard) > 1;
}

/* Columns of that query before those of `part`. */
static uint32_t gather_joined_columns(const struct gather *g, uint32_t part, uint32_t shard)
{
    uint32_t n = 1;

    for (uint32_t i = gather_next(g, 0, shard); i < part; i = gather_next(g, i + 1, shard))
        n += 1 + g->tables[i].part->ncolumn;
    return n;
}

/* --- beginning --- */

static bool gather_refuse(struct exec *x, const char *what, const char *detail, const char *hint)
{
    struct err e = ERR_INIT;

    err_set(&e, PB0313, "%s", what);
    err_detail(&e, "%s", detail);
    err_hint(&e, "%s", hint);
    exec_fail(x, &e);
    return false;
}

/* Where each part runs; reference tables where something runs anyway. */
static void gather_route(struct exec *x, struct gather *g)
{
    struct session *s = x->s;
    struct shardset all = { 0 };
    uint32_t first;

    for (uint32_t i = 0; i < g->plan->npart; i++) {
        plan_gather_route(x->plan, g->tables[i].part, s->db->map, x->text, &x->lits_copy, x->bound ? &x->binds : NULL,
                          &g->tables[i].route);
        for (size_t w = 0; w < ARRAY_LEN(all.w); w++)
            all.w[w] |= g->tables[i].route.set.w[w];
    }
    first = shardset_next(&all, 0);
    if (first == MAP_MAX_SHARDS)
        first = query_any_shard(s);
    for (uint32_t i = 0; i < g->plan->npart; i++) {
        if (g->tables[i].route.any)
            shardset_add(&g->tables[i].route.set, first);
        g->tables[i].left = shardset_count(&g->tables[i].route.set);
        for (size_t w = 0; w < ARRAY_LEN(all.w); w++)
            all.w[w] |= g->tables[i].route.set.w[w];
    }
    x->parts = ARENA_ARRAY(&x->arena, struct part, s->set->npool + 1);
    x->npart = 0;
    for (uint32_t i = shardset_next(&all, 0); i < s->set->npool; i = shardset_next(&all, i + 1))
        x->parts[x->npart++].shard = i;
    g->nshard = x->npart;
    gather_own(x)->shard = s->set->home;
}

/*
 * A temporary table is known by what it is made of, under this catalog; the nth one of its kind in a statement is
 * another one.
 */
static void gather_name(struct exec *x, struct gather *g, uint32_t i)
{
    const struct plan_env *env = &x->s->env->plan;
    struct gather_table *t = &g->tables[i];
    struct strbuf sb = STRBUF_INIT;
    uint32_t nth = 0;

    plan_gather_shape(x->plan, t->part, x->text, &x->lits_copy, &sb);
    strbuf_puts(&sb, t->part->primary_key ? t->part->primary_key : "");
    if (g->plan->push) /* names in it mean what they mean in this environment */
        strbuf_printf(&sb, "\n%s\n%s\n%s", env->role, env->search_path, env->parse_settings);
    t->id[0] = hash_seeded(sb.ptr, sb.len, x->s->worker->hash_seed ^ catalog_epoch(x->s->db->catalog));
    t->id[1] = hash_seeded(sb.ptr, sb.len, ~x->s->worker->hash_seed + catalog_epoch(x->s->db->catalog));
    strbuf_fini(&sb);
    for (uint32_t k = 0; k < i; k++)
        nth += (g->tables[k].id[0] ^ t->id[0]) < GATHER_PARTS_MAX && g->tables[k].id[1] == t->id[1];
    t->id[0] ^= nth; /* less than a power of two, so it is not another one's */
    kept_name(t->id, t->name);
}

static bool gather_allowed(struct exec *x, struct gather *g)
{
    const struct session *s = x->s;

    if (session_lease_of(s, s->set->gather))
        return gather_refuse(x, "rows cannot be gathered while a cursor over several shards is open",
                             "The cursor is on the connection that gathers.", "Close the cursor first.");
    if (s->txn.env && g->plan->moment)
        return gather_refuse(x, "a statement over several shards that reads the clock cannot run in a transaction",
                             "It would read the statement's time instead of the transaction's.",
                             "Read the time in a statement of its own and pass it as a constant.");
    for (uint32_t i = 0; i < g->nshard; i++) {
        if (gather_joins(x, x->parts[i].shard) &&
            gather_joined_columns(g, g->plan->npart, x->parts[i].shard) > GATHER_COLUMNS)
            return gather_refuse(x, "a statement that gathers so many columns cannot run in a transaction",
                                 "One query has to give them all, so that they come from one snapshot of the shard.",
                                 "Run it outside the transaction or in REPEATABLE READ.");
    }
    return true;
}

/* All connections are there. */
static void gather_start(struct exec *x)
{
    gather_ask(x);
    if (gather_hold_allowed(x))
        gather_hold_begin(x);
    else
        gather_load(x);
}

void exec_gather(struct exec *x)
{
    const struct plan_gather *plan = x->plan->gather;
    struct gather *g;
    struct span unnamed = { 0 };

    if (!exec_estimate(x))
        return;

    /* The unnamed portal lives until the next one, or a simple query. */
    if (!(x->extended && x->portal.len) && portal_find(x->s, unnamed) == x->s->set->gather) {
        portal_drop(x->s, unnamed);
        exec_cursor_tidy(x->s);
    }

    g = ARENA_NEW(&x->arena, struct gather);
    g->plan = plan;
    g->tables = ARENA_ARRAY(&x->arena, struct gather_table, plan->npart);
    for (uint32_t i = 0; i < plan->npart; i++) {
        g->tables[i].part = &plan->parts[i];
        g->tables[i].number = i;
    }
    g->wanted = plan_bounds_wanted(x->plan, x->text, &x->lits_copy, x->bound ? &x->binds : NULL);
    x->gather = g;
    gather_keys_plan(x);
    gather_route(x, g);
    g->at = ARENA_ARRAY(&x->arena, uint32_t, g->nshard + 1);
    g->later = ARENA_ARRAY(&x->arena, bool, g->nshard);
    g->waiting = ARENA_ARRAY(&x->arena, bool, g->nshard);
    for (uint32_t i = 0; i < plan->npart; i++)
        gather_name(x, g, i);
    for (uint32_t i = 0; i < g->nshard; i++)
        g->at[i] = gather_next(g, 0, x->parts[i].shard);
    for (uint32_t i = 0; i < g->nshard; i++)
        g->later[i] = gather_asks_later(g, 0, x->parts[i].shard);
    if (!gather_allowed(x, g)) {
        x->gather = NULL;
        return;
    }
    g->quiet = true;
    x->task = TASK_GATHER;
    x->acquired = gather_start;
    exec_acquire(x);
}

/* --- rows --- */

void gather_pause_shards(struct exec *x, bool pause, enum stream_pause why)
{
    for (uint32_t i = 0; i < x->gather->nshard; i++) {
        struct backend *b = x->parts[i].backend;

        if (!b)
            continue;
        if (pause)
            stream_pause(&b->st, why);
        else
            stream_resume(&b->st, why);
    }
}

/* The gatherer takes many rows in one message: reading one for each costs it a tenth of a gather of narrow rows. */
static void gather_begin_data(struct gather *g)
{
    if (!g->in_data)
        g->data = msg_begin(&g->out, FE_COPY_DATA);
    g->in_data = true;
}

static void gather_end_data(struct gather *g)
{
    if (g->in_data)
        msg_end(&g->out, g->data);
    g->in_data = false;
}

static void gather_flush(struct exec *x)
{
    struct gather *g = x->gather;
    struct backend *b = gather_own(x)->backend;

    if (g->out.len == 0 || !b)
        return;
    gather_end_data(g);
    stream_write(&b->st, g->out.ptr, g->out.len);
    kept_fill(&b->kept, g->tables[g->current].id, g->out.len);
    strbuf_reset(&g->out);
    if (stream_queued(&b->st) > STREAM_HIGH_WATER)
        gather_pause_shards(x, true, PAUSE_PEER_SLOW);
}

void exec_gather_drained(struct exec *x)
{
    if (x->gather && x->task == TASK_GATHER)
        gather_pause_shards(x, false, PAUSE_PEER_SLOW);
}

/* The current table has all its rows when every shard of it has ended the part. */
void gather_check_loaded(struct exec *x)
{
    static const char end[] = { FE_COPY_DONE, 0, 0, 0, 4 };
    struct gather *g = x->gather;

    if (x->failed || !g->open || g->tables[g->current].left)
        return;
    g->open = false;
    gather_begin_data(g);
    msg_u16(&g->out, UINT16_MAX); /* no row: the last one was before */
    gather_end_data(g);
    strbuf_put(&g->out, end, sizeof(end));
    gather_flush(x);
}

/* The shard has sent all rows of its part. */
static void gather_part_ended(struct exec *x, const struct part *p)
{
    struct gather *g = x->gather;
    uint32_t *at = &g->at[p - x->parts];

    g->tables[*at].left--;
    *at = gather_next(g, *at + 1, p->shard);
    if (g->holds)
        gather_hold_check(x);
    else
        gather_check_loaded(x);
}

/* A row of a query of several parts; false: malformed. */
static bool gather_cut(struct exec *x, const struct part *p, struct span body, struct span *fields, bool *present)
{
    struct gather *g = x->gather;
    const uint32_t *at = &g->at[p - x->parts];
    uint32_t part;

    if (!gather_row_part(body, &part) || part >= g->plan->npart || !gather_runs(g, part, p->shard) || part < *at)
        return false;
    while (*at < part)
        gather_part_ended(x, p);
    return gather_row_cut(body, gather_joined_columns(g, part, p->shard), g->tables[part].part->ncolumn, fields,
                          present);
}

static void gather_shard_is_wrong(struct exec *x, const struct part *p)
{
    x->failed = true;
    exec_cancel_parts(x, p);
    gather_failed(x);
}

/* What a shard sends has to fit the temporary table, and bytes of another type may well fit: all shards must say the
 * same, and what the catalog, which is the home shard's, says (rule P31). */
static bool gather_shape_fits(struct exec *x, struct gather_table *t, const struct part *p, struct span columns)
{
    const char *shard = p->backend->pool->shard_name;
    bool other = t->described && !gather_columns_equal(columns, t->columns);

    if (!other && (!t->part->types || gather_columns_are(columns, t->part->types))) {
        if (!t->described) {
            t->columns = exec_copy_span(x, columns);
            t->described = shard;
        }
        return true;
    }
    err_set(&x->own_error, PB0310, "shard \"%s\" describes the result differently", shard);
    err_detail(&x->own_error, "Its table definition has diverged from %s%s%s.", other ? "shard \"" : "the home shard's",
               other ? t->described : "", other ? "\"" : "");
    err_hint(&x->own_error, "Compare the table on the shards and make the definitions equal.");
    return false;
}

static void gather_described(struct exec *x, struct part *p, struct span body)
{
    struct gather *g = x->gather;
    uint32_t i = g->at[p - x->parts], n = g->plan->npart;
    bool ok = true, joined = gather_joins(x, p->shard);

    for (bool more = i < n && !x->failed; more && ok; more = joined && i < n) {
        struct gather_table *t = &g->tables[i];
        struct span columns = { 0 };

        ok = gather_columns_cut(body, joined ? gather_joined_columns(g, i, p->shard) + 1 : 0,
                                g->plan->push ? g->plan->push->ncolumn : t->part->ncolumn, &columns);
        if (!ok)
            err_set(&x->own_error, PB0310, "shard \"%s\" describes columns that were not asked for",
                    p->backend->pool->shard_name);
        ok = ok && gather_shape_fits(x, t, p, columns);
        if (ok)
            gather_hold_described(x, t);
        i = gather_next(g, i + 1, p->shard);
    }
    if (!ok)
        gather_shard_is_wrong(x, p);
}

static void gather_row_is_wrong(struct exec *x, const struct part *p)
{
    err_set(&x->own_error, PB0310, "shard \"%s\" sent a row that was not asked for", p->backend->pool->shard_name);
    gather_shard_is_wrong(x, p);
}

static enum exec_action gather_row(struct exec *x, struct part *p, struct span body)
{
    struct gather *g = x->gather;
    uint32_t i = (uint32_t)(p - x->parts);
    struct span fields = body.len < 2 ? body : span_make(body.ptr + 2, body.len - 2);
    uint16_t ncolumn = body.len < 2 ? 0 : proto_get16(body.ptr);
    bool present = true, ok = body.len >= 2;
    struct gather_table *t;

    if (x->failed)
        return EXEC_SWALLOW;
    ok = ok && g->at[i] < g->plan->npart;
    if (ok && gather_joins(x, p->shard)) {
        ok = gather_cut(x, p, body, &fields, &present);
        ncolumn = ok ? (uint16_t)g->tables[g->at[i]].part->ncolumn : 0;
    }
    if (!ok) {
        gather_row_is_wrong(x, p);
        return EXEC_SWALLOW;
    }
    if (!present)
        return EXEC_SWALLOW;
    if (!g->holds && (!g->open || g->at[i] != g->current)) {
        stream_pause(&p->backend->st, PAUSE_TURN);
        return EXEC_WAIT;
    }
    t = &g->tables[g->at[i]];
    if (g->keys)
        gather_keys_take(x, t, fields);
    t->rows++;
    if (g->holds) {
        if (!gather_hold_row(x, t, ncolumn, fields))
            gather_row_is_wrong(x, p);
        return EXEC_SWALLOW;
    }
    gather_begin_data(g);
    msg_u16(&g->out, ncolumn);
    strbuf_put(&g->out, fields.ptr, fields.len);
    if (g->out.len > GATHER_FLUSH)
        gather_flush(x);
    return EXEC_SWALLOW;
}

enum exec_action exec_gather_long_row(struct exec *x, uint64_t frame)
{
    enum exec_action action = exec_whole_row(x, frame, "gathered with those of other shards");

    if (action == EXEC_SWALLOW)
        gather_failed(x);
    return action;
}

static enum exec_action gather_shard_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct gather *g = x->gather;
    uint32_t i = (uint32_t)(p - x->parts);

    switch (type) {
    case BE_BIND_COMPLETE:
        p->bind_done = true;
        return EXEC_SWALLOW;
    case BE_ROW_DESCRIPTION:
        gather_described(x, p, body);
        return EXEC_SWALLOW;
    case BE_DATA_ROW:
        return gather_row(x, p, body);
    case BE_COMMAND_COMPLETE:
        if (x->failed || g->at[i] >= g->plan->npart) /* the COMMIT */
            return EXEC_SWALLOW;
        do
            gather_part_ended(x, p);
        while (gather_joins(x, p->shard) && g->at[i] < g->plan->npart);
        return EXEC_SWALLOW;
    case BE_ERROR:
        exec_note_error(x, p, body);
        gather_failed(x);
        return EXEC_SWALLOW;
    default:
        return EXEC_SWALLOW;
    }
}

enum exec_action exec_gather_frame(struct exec *x, struct part *p, char type, struct span body)
{
    return p == gather_own(x) ? gather_own_frame(x, type, body) : gather_shard_frame(x, p, type, body);
}

bool exec_gather_is_own(const struct exec *x, const struct part *p)
{
    return x->task == TASK_GATHER && p == gather_own(x);
}

/* --- ends --- */

/* A failed statement ends when nobody has anything to say any more. */
void gather_check_end(struct exec *x)
{
    if (x->failed && !exec_gate_busy(x) && x->ndone == x->next_part && x->gather->quiet)
        exec_statement_done(x);
}

/* Everybody is to stop: shards have been cancelled, rows are swallowed, a COPY is ended with an error. */
void gather_failed(struct exec *x)
{
    struct gather *g = x->gather;
    struct part *p = gather_own(x);

    /* It may wait for a lock to make a table like another, or be at ANALYZE. */
    if ((g->phase == GATHER_CREATE || g->phase == GATHER_LOADED) && !g->quiet && p->backend)
        backend_cancel(p->backend);
    g->phase = GATHER_FAILED;
    exec_gate_failed(x);
    strbuf_reset(&g->out);
    g->in_data = false;
    gather_pause_shards(x, false, PAUSE_TURN);
    gather_pause_shards(x, false, PAUSE_PEER_SLOW);
    gather_let_go(x);
    if (g->open && p->backend) {
        struct strbuf *out = &x->s->worker->out;
        size_t at = msg_begin(out, FE_COPY_FAIL);

        msg_cstr(out, SPAN("gathering was given up"));
        msg_end(out, at);
        stream_write(&p->backend->st, out->ptr, out->len);
        strbuf_reset(out);
    }
    g->open = false;
}

void exec_gather_shard_lost(struct exec *x)
{
    gather_failed(x);
}

void exec_gather_fini(struct exec *x)
{
    struct gather *g = x->gather;
    struct backend *b;

    if (!g)
        return;
    gather_let_go(x); /* a client that has gone */
    gather_keys_fini(g);
    strbuf_fini(&g->out);
    for (uint32_t i = 0; i < g->plan->npart; i++)
        gather_hold_let_go(x, &g->tables[i]);
    x->gather = NULL;
    b = session_lease_of(x->s, x->s->set->gather);
    if (b && !(x->gather_keep && !x->failed))
        pool_release(b);
}
