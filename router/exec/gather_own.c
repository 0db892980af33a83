/*
 * The gatherer of a gathered statement: its temporary tables, the COPY that fills them, the statement over them.
 *
 *   [CREATE TEMP TABLE ...]   settings, BEGIN READ WRITE   COPY t1 FROM STDIN, COPY t2 ...   [ANALYZE]   the statement
 *
 * What comes from the shards meanwhile is gather.c's; gather->phase says how far this connection is.
 */
#include "router/exec/gather_int.h"

#include "router/exec/answer.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/gather.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <string.h>

#define GATHER_KEPT_MAX 32u   /* temporary tables kept on a connection, but for those of a statement that has more */
#define GATHER_ANALYZE  2000u /* rows from which the server's planner should know how many there are */

static void gather_send(struct exec *x, struct strbuf *out)
{
    struct part *p = gather_own(x);

    backend_expect(p->backend, EXPECT_EXEC);
    x->gather->quiet = false;
    stream_write(&p->backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

/* Making tables may wait for locks, as the statement on one server would: no longer than the session wants. */
static void put_timeouts(const struct exec *x, struct strbuf *sql)
{
    static const char *const names[] = { "statement_timeout", "lock_timeout" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = env_get(x->s->env, names[i]);

        if (!value)
            continue;
        strbuf_printf(sql, "SET LOCAL %s = ", names[i]);
        strbuf_put_literal(sql, span_str(value));
        strbuf_puts(sql, ";");
    }
}

/* The SQL that makes the tables which this connection lacks; a connection with too many begins anew. */
static bool gather_put_create(struct exec *x, struct strbuf *sql)
{
    struct gather *g = x->gather;
    struct backend *b = gather_own(x)->backend;
    uint32_t missing = 0;

    for (uint32_t i = 0; i < g->plan->npart; i++)
        missing += !kept_has(&b->kept, g->tables[i].id);
    if (missing == 0)
        return false;
    strbuf_puts(sql, "BEGIN READ WRITE; SET LOCAL client_min_messages = error;");
    put_timeouts(x, sql);
    if (b->kept.unknown || b->kept.n + missing > GATHER_KEPT_MAX) {
        strbuf_puts(sql, "DISCARD TEMP;");
        kept_clear(&b->kept);
    }
    for (uint32_t i = 0; i < g->plan->npart; i++) {
        const struct gather_part *part = g->tables[i].part;

        if (kept_has(&b->kept, g->tables[i].id))
            continue;
        /* It may be there: one that was made for a statement that failed meanwhile is not known. */
        strbuf_printf(sql, "DROP TABLE IF EXISTS pg_temp.\"%s\";", g->tables[i].name);
        strbuf_printf(sql, "CREATE TEMP TABLE \"%s\"", g->tables[i].name);
        for (uint32_t k = 0; g->plan->push && k < g->plan->push->ncolumn; k++)
            strbuf_printf(sql, "%sc%u", k ? ", " : " (", k + 1);
        strbuf_puts(sql, g->plan->push ? ") AS " : " AS ");
        plan_gather_shape(x->plan, part, x->text, &x->lits_copy, sql);
        strbuf_puts(sql, " WITH NO DATA;");
        /* Made by the login role, used by the session's; nobody else sees this connection's tables (rule P35). */
        strbuf_printf(sql, "GRANT ALL ON pg_temp.\"%s\" TO PUBLIC;", g->tables[i].name);
        if (part->primary_key)
            strbuf_printf(sql, "ALTER TABLE pg_temp.\"%s\" ADD PRIMARY KEY (%s);", g->tables[i].name,
                          part->primary_key);
    }
    strbuf_puts(sql, "COMMIT");
    return true;
}

static void gather_start_copy(struct exec *x)
{
    struct gather *g = x->gather;
    struct strbuf sql = STRBUF_INIT, *out = &x->s->worker->out;

    g->phase = GATHER_COPY;
    g->open = false;
    strbuf_printf(&sql, "COPY pg_temp.\"%s\" FROM STDIN (FORMAT binary)", g->tables[g->current].name);
    fe_put_query(out, strbuf_span(&sql));
    strbuf_fini(&sql);
    gather_send(x, out);
}

/* The settings of env, and the beginning of a transaction. */
static void put_settings(struct exec *x, struct env *env, bool begin, bool alone)
{
    struct backend *b = gather_own(x)->backend;
    struct strbuf *out = &x->s->worker->out;
    uint32_t n = 0;

    /* What was set before may make this transaction read-only, and after the first query that cannot be changed. */
    if (b->env_next != env && alone) {
        fe_put_statement(out, SPAN("SET transaction_read_only = off"), NULL, 0);
        n = 1;
    }
    n += env_put_changes(out, b->env_next, env);
    env_unref(b->env_next);
    b->env_next = env_ref(env);
    if (begin)
        fe_put_statement(out, SPAN("BEGIN READ WRITE"), NULL, 0);
    if (n + begin) {
        struct expect *e = backend_expect(b, EXPECT_PREFIX);

        e->count = n + begin;
        e->send_sync = alone;
    }
}

void gather_put_settings(struct exec *x, bool begin, bool alone)
{
    put_settings(x, x->s->env, begin, alone);
}

/*
 * Where the names in a table's making are the session's, so are the settings. Else the login role makes it, by none of
 * the settings that the connection was left with.
 */
static void put_create_settings(struct exec *x)
{
    struct env *base = env_base(x->s->set->envs);

    put_settings(x, x->gather->plan->push ? x->s->env : base, false, true);
    env_unref(base);
}

/* Settings, then the transaction in which everything happens. */
static void gather_begin(struct exec *x)
{
    gather_put_settings(x, true, true);
    gather_start_copy(x);
}

void gather_load(struct exec *x)
{
    struct gather *g = x->gather;
    struct strbuf sql = STRBUF_INIT;

    g->holds = false;
    g->current = 0;
    if (gather_put_create(x, &sql)) {
        g->phase = GATHER_CREATE;
        put_create_settings(x);
        fe_put_query(&x->s->worker->out, strbuf_span(&sql));
        gather_send(x, &x->s->worker->out);
    } else {
        gather_begin(x);
    }
    strbuf_fini(&sql);
}

/* Parse, Bind, Describe and Execute of the statement over the temporary tables. */
static void gather_put_statement(struct exec *x, const struct backend *b, struct span text, const uint16_t *map,
                                 uint32_t n, bool commit, struct strbuf *out)
{
    struct strbuf types = STRBUF_INIT;

    exec_put_types(x, map, n, &types);
    backend_put_parse(b, out, (struct span){ 0 }, text, strbuf_str(&types), (uint16_t)n);
    exec_put_bind_some(x, map, n, out);
    if (x->describe && !exec_is_copy(x))
        fe_put_describe(out, 'P', x->portal);
    fe_put_execute(out, x->portal, x->max_rows);
    if (commit)
        fe_put_statement(out, SPAN("COMMIT"), NULL, 0);
    fe_put_sync(out);
    strbuf_fini(&types);
}

void gather_became_statement(struct exec *x)
{
    struct part *p = gather_own(x);

    x->task = TASK_STATEMENT;
    x->parts = p;
    p->backend->part = 0;
    p->done = p->described = false;
    x->npart = x->next_part = 1;
    x->ndone = x->ndescribed = 0;
    strbuf_fini(&x->gather->out);
    backend_expect(p->backend, EXPECT_EXEC);
    exec_write(x, p);
}

/* The statement over the temporary tables. */
static void gather_run_statement(struct exec *x)
{
    struct gather *g = x->gather;
    struct strbuf text = STRBUF_INIT, *out = &x->s->worker->out;
    struct gather_source *sources = ARENA_ARRAY(&x->arena, struct gather_source, g->plan->npart);
    struct part *p = gather_own(x);
    struct err e = ERR_INIT;
    uint32_t cap = x->bound ? x->binds.n : 0, n = 0;
    uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
    bool hold;

    for (uint32_t i = 0; i < g->plan->npart; i++)
        sources[g->tables[i].number].table = g->tables[i].name;
    BUG_ON(!plan_gather_text(x->plan, x->text, &x->lits_copy, sources, &text, map, cap, &n, &e));
    hold = x->gather_keep && exec_is_declare(x->plan) && x->plan->session->hold;
    if (hold && !x->bound)
        strbuf_puts(&text, "\n;\nCOMMIT");
    if (x->bound)
        gather_put_statement(x, p->backend, strbuf_span(&text), map, n, hold, out);
    else
        fe_put_query(out, strbuf_span(&text));
    strbuf_fini(&text);
    gather_became_statement(x);
}

void gather_run(struct exec *x)
{
    if (x->gather->holds)
        gather_hold_run(x);
    else
        gather_run_statement(x);
}

enum exec_action gather_own_frame(struct exec *x, char type, struct span body)
{
    static const char header[] = { FE_COPY_DATA, 0,    0,    0, 23, 'P', 'G', 'C', 'O', 'P', 'Y', '\n',
                                   '\xFF',       '\r', '\n', 0, 0,  0,   0,   0,   0,   0,   0,   0 };
    struct gather *g = x->gather;
    struct strbuf *held = &g->tables[g->current].held;

    switch (type) {
    case BE_COPY_IN:
        if (x->failed) {
            g->open = true; /* so that gather_failed ends it */
            gather_failed(x);
            return EXEC_SWALLOW;
        }
        g->open = true;
        strbuf_put(&g->out, header, sizeof(header));
        strbuf_put(&g->out, held->ptr, held->len);
        gather_hold_let_go(x, &g->tables[g->current]);
        gather_pause_shards(x, false, PAUSE_TURN);
        gather_check_loaded(x);
        return EXEC_SWALLOW;
    case BE_ERROR:
        g->open = false;
        exec_note_error(x, gather_own(x), body);
        gather_failed(x);
        return EXEC_SWALLOW;
    default:
        return EXEC_SWALLOW;
    }
}

/*
 * With several tables the server's planner has to choose an order and kinds of joins: a tenth of the usual sample tells
 * it enough. Of one table it sees the size, and that is all there is to choose by.
 */
static void gather_analyze(struct exec *x)
{
    static const char less[] =
        "SELECT pg_catalog.set_config('pgbraid.statistics', pg_catalog.current_setting('default_statistics_target'), "
        "true), pg_catalog.set_config('default_statistics_target', '10', true);";
    static const char again[] = "SELECT pg_catalog.set_config('default_statistics_target', "
                                "pg_catalog.current_setting('pgbraid.statistics'), true)";
    struct gather *g = x->gather;
    struct strbuf sql = STRBUF_INIT, *out = &x->s->worker->out;
    bool owner = strcmp(x->s->env->plan.role, x->s->set->user) == 0; /* others get a warning instead */

    for (uint32_t i = 0; i < g->plan->npart && owner && g->plan->npart > 1; i++) {
        if (g->tables[i].rows >= GATHER_ANALYZE)
            strbuf_printf(&sql, "%sANALYZE pg_temp.\"%s\";", sql.len ? "" : less, g->tables[i].name);
    }
    g->phase = GATHER_LOADED;
    if (sql.len) {
        strbuf_puts(&sql, again);
        fe_put_query(out, strbuf_span(&sql));
        gather_send(x, out);
    }
    strbuf_fini(&sql);
    if (g->quiet && x->ndone == x->next_part)
        gather_run(x);
}

/* ReadyForQuery from the gatherer. */
void exec_gather_ready(struct exec *x)
{
    struct gather *g = x->gather;
    struct kept *kept = &gather_own(x)->backend->kept;

    g->quiet = true;
    if (x->failed) {
        gather_check_end(x);
        return;
    }
    switch (g->phase) {
    case GATHER_CREATE:
        for (uint32_t i = 0; i < g->plan->npart; i++) {
            if (!kept_has(kept, g->tables[i].id))
                kept_add(kept, g->tables[i].id, GATHER_PARTS_MAX);
        }
        gather_begin(x);
        break;
    case GATHER_COPY:
        if (++g->current == g->plan->npart) {
            gather_keys_seen(g);
            gather_analyze(x);
            break;
        }
        if (g->tables[g->current].round > g->round)
            gather_ask_round(x);
        gather_start_copy(x);
        break;
    case GATHER_LOADED:
        if (x->ndone == x->next_part)
            gather_run(x);
        break;
    case GATHER_LEASE:
    case GATHER_HOLD:
    case GATHER_FAILED:
        BUG_ON(true); /* the gatherer answered what nobody asked */
    }
}

/* Every shard is ready. */
void exec_gather_parts_done(struct exec *x)
{
    if (x->failed)
        gather_check_end(x);
    else if (x->gather->phase == GATHER_LOADED && x->gather->quiet)
        gather_run(x);
}

/* The gatherer's connection is gone. That is not the client's transaction's loss: it took no part in it. */
void exec_gather_own_lost(struct exec *x, struct backend *b)
{
    struct gather *g = x->gather;
    struct part *p = x->task == TASK_GATHER ? gather_own(x) : x->parts;

    backend_close(b);
    p->backend = NULL;
    if (x->task != TASK_GATHER) {
        x->failed = p->failed = true;
        exec_part_ready(x, p);
        return;
    }
    if (!x->gate && !x->parts[0].started) { /* connections are still being taken: another one will do */
        if (!x->failed)
            x->own_error = ERR_INIT;
        return;
    }
    g->quiet = true;
    g->open = false;
    x->failed = true;
    for (uint32_t i = 0; i < g->nshard; i++) {
        if (x->parts[i].backend && x->parts[i].started && !x->parts[i].done)
            backend_cancel(x->parts[i].backend);
    }
    gather_failed(x);
    gather_check_end(x);
}
