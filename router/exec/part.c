/*
 * The running statement: its parts, what is sent to them, and the connections they take.
 */
#include "router/exec/part.h"

#include "planner/moment.h"
#include "router/config/config.h"
#include "router/exec/answer.h"
#include "router/exec/clock.h"
#include "router/exec/commit.h"
#include "router/exec/control.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/ddl.h"
#include "router/exec/exec_int.h"
#include "router/exec/explain.h"
#include "router/exec/ext.h"
#include "router/exec/gate.h"
#include "router/exec/gather.h"
#include "router/exec/hint.h"
#include "router/exec/ids.h"
#include "router/exec/listen.h"
#include "router/exec/merge.h"
#include "router/exec/pass.h"
#include "router/exec/pieces.h"
#include "router/exec/returning.h"
#include "router/exec/snapshot.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/pin.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/txn/isolation.h"
#include "router/worker.h"
#include "shardmap/directory.h"
#include "wire/bemsg.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <string.h>

void exec_reset_statement(struct exec *x)
{
    exec_copy_fini(x);
    catalog_builder_free(x->builder);
    x->builder = NULL;
    exec_gate_fini(x);
    exec_gather_fini(x);
    exec_merge_fini(x);
    exec_returning_fini(x);
    exec_explain_fini(x);
    exec_commit_fini(x);
    exec_gate_committed(x, NULL);
    plan_unref(x->plan);
    x->plan = NULL;
    x->task = TASK_NONE;
    x->snapshot_then = NULL;
    x->timed = x->expanded = false;
    x->parts = NULL;
    x->npart = x->ndone = x->next_part = 0;
    x->own_txn = x->withheld = x->failed = false;
    x->bound = x->extended;
    x->gather_keep = x->fetching = x->piecewise = x->hoard = x->suspended = x->formats = false;
    x->pieces = NULL;
    x->sent = 0;
    strbuf_reset(&x->hoarded);
    x->max_rows = 0;
    x->finished = NULL;
    x->hide_params = false;
    x->described = NULL;
    x->after_own_txn = x->implicit_end = x->implicit_rollback = x->committed = x->warn_not_atomic = x->aside = false;
    x->row_desc_sent = x->counted = false;
    x->row_desc_type = '\0';
    x->ndescribed = x->error_part = x->nwriter = x->setting_phase = 0;
    x->rows = 0;
    x->speaker = NULL;
    x->own_error.id = ERR_NONE;
    x->own_error.message[0] = '\0';
    strbuf_reset(&x->error);
    strbuf_reset(&x->row_desc);
    strbuf_reset(&x->tag);
}

/* --- choosing shards and leases --- */

/* Parts for a set of shards, the home shard first: its locks serialise writers (rule P42). */
bool exec_make_parts(struct exec *x, const struct shardset *set, bool any)
{
    struct session *s = x->s;
    uint32_t n = 0;

    x->parts = ARENA_ARRAY(&x->arena, struct part, s->set->npool);
    if (any) {
        x->parts[n++].shard = query_any_shard(s);
    } else {
        if (shardset_has(set, s->set->home))
            x->parts[n++].shard = s->set->home;
        for (uint32_t i = shardset_next(set, 0); i < s->set->npool; i = shardset_next(set, i + 1)) {
            if (i != s->set->home)
                x->parts[n++].shard = i;
        }
    }
    x->npart = n;
    return n > 0;
}

void exec_parts_of_leases(struct exec *x)
{
    struct session *s = x->s;

    x->parts = ARENA_ARRAY(&x->arena, struct part, s->nheld ? s->nheld : 1);
    x->npart = 0;
    for (struct backend *b = s->held; b; b = b->next_held) {
        struct part *p = &x->parts[x->npart];

        if (!b->begun)
            continue;
        p->backend = b;
        b->part = x->npart++;
    }
}

static void exec_resume(struct session *s)
{
    exec_acquire(s->exec);
}

/* Take leases in part order; a wait comes back here. */
void exec_acquire(struct exec *x)
{
    struct session *s = x->s;

    if (x->failed) { /* cancelled while waiting */
        exec_stop_acquiring(x);
        return;
    }
    for (uint32_t i = 0; i < x->npart + (x->gather ? 1 : 0); i++) {
        struct part *p = &x->parts[i];
        struct pool *pool = i < x->npart ? s->set->pools[p->shard] : s->set->gather;

        if (p->backend)
            continue;
        p->backend = session_lease_of(s, pool);
        if (!p->backend) {
            session_set_state(s, SESSION_WAITING);
            s->resume = exec_resume;
            p->backend = pool_acquire(pool, s, s->nheld > 0);
            if (!p->backend) {
                exec_flush(x);
                return;
            }
            s->resume = NULL;
            session_set_state(s, SESSION_RUNNING);
        }
        p->backend->part = i;
    }
    if (x->gather && x->plan->pins && !pin_take(x->parts[x->npart].backend, x->plan, &x->own_error))
        exec_stop_acquiring(x);
    else
        x->acquired(x);
}

/* Nothing has been sent: leases taken for this statement go back with the transaction, or now. */
void exec_stop_acquiring(struct exec *x)
{
    struct err e = x->own_error;

    if (x->own_txn) {
        session_end_transaction(x->s, false);
        x->own_txn = false;
    }
    exec_fail(x, &e);
}

/* --- sending --- */

static uint32_t exec_expect_prefix(struct exec *x, struct part *p, struct strbuf *out, bool send_sync)
{
    uint32_t n = txn_put_prefix(x->s, p->backend, out) + exec_gate_put_savepoint(x, p, out);

    if (n) {
        struct expect *e = backend_expect(p->backend, EXPECT_PREFIX);

        e->count = n;
        e->send_sync = send_sync;
    }
    return n;
}

void exec_write(struct exec *x, struct part *p)
{
    struct strbuf *out = &x->s->worker->out;

    p->started = true;
    stream_write(&p->backend->st, out->ptr, out->len);
    strbuf_reset(out);
}

void exec_send_query(struct exec *x, struct part *p, struct span sql)
{
    struct strbuf *out = &x->s->worker->out;

    /* What has failed takes its end only; what it left of settings ends with it. */
    if (p->backend->tx != 'E' &&
        (exec_in_txn(x) || !x->plan || x->plan->kind != PLAN_DDL || !x->plan->ddl->no_transaction))
        (void)exec_expect_prefix(x, p, out, true);
    backend_expect(p->backend, EXPECT_EXEC);
    fe_put_query(out, sql);
    exec_write(x, p);
}

/* Settings of a connection before a statement that must be alone in its transaction. */
static void exec_settled(struct backend *b, bool ok)
{
    struct session *s = b->session;
    struct exec *x = s ? s->exec : NULL;
    struct part *p;

    if (!x)
        return;
    p = &x->parts[b->part];
    if (!ok) {
        err_set(&x->own_error, PB0310, "cannot bring the session's settings to shard \"%s\"", b->pool->shard_name);
        x->failed = p->failed = true;
        exec_part_ready(x, p);
        return;
    }
    backend_expect(b, EXPECT_EXEC);
    fe_put_query(&s->worker->out, exec_ddl_text(x, p));
    exec_write(x, p);
}

static void exec_send_alone(struct exec *x, struct part *p)
{
    struct strbuf *out = &x->s->worker->out;
    uint32_t n = txn_put_prefix(x->s, p->backend, out);

    p->started = true;
    if (n == 0) {
        backend_expect(p->backend, EXPECT_EXEC);
        fe_put_query(out, exec_ddl_text(x, p));
    } else {
        backend_expect(p->backend, EXPECT_INTERNAL)->fn = exec_settled;
        fe_put_sync(out);
    }
    exec_write(x, p);
}

void exec_put_types(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    for (uint32_t i = 0; i < n; i++)
        msg_u32(out, map[i] < x->prepared->ntype ? proto_get32(x->prepared->types + 4 * (size_t)map[i]) : 0);
}

size_t exec_begin_bind(const struct exec *x, struct span portal, const uint16_t *map, uint32_t n, uint32_t before,
                       uint32_t behind, struct strbuf *out)
{
    size_t at = msg_begin(out, FE_BIND);

    msg_cstr(out, portal);
    msg_cstr(out, (struct span){ 0 });
    msg_u16(out, (uint16_t)(before + n + behind));
    for (uint32_t i = 0; i < before; i++)
        msg_u16(out, 1);
    for (uint32_t i = 0; i < n; i++)
        msg_u16(out, x->binds.binary[map[i]]);
    for (uint32_t i = 0; i < behind; i++)
        msg_u16(out, 1);
    msg_u16(out, (uint16_t)(before + n + behind));
    return at;
}

void exec_put_values(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        struct span v = x->binds.values[map[i]];

        msg_u32(out, v.ptr ? (uint32_t)v.len : UINT32_MAX);
        if (v.ptr)
            strbuf_put(out, v.ptr, v.len);
    }
}

void exec_end_bind(const struct exec *x, size_t at, struct strbuf *out)
{
    struct reader results = rd_make(span_make(x->bind.results, x->bind.nresult * 2u));
    uint16_t n = x->bound ? x->bind.nresult : 0;

    msg_u16(out, n);
    for (uint32_t i = 0; i < n; i++)
        msg_u16(out, rd_u16(&results));
    msg_end(out, at);
}

void exec_put_bind_some(const struct exec *x, const uint16_t *map, uint32_t n, struct strbuf *out)
{
    size_t at = exec_begin_bind(x, x->portal, map, n, 0, 0, out);

    exec_put_values(x, map, n, out);
    exec_end_bind(x, at, out);
}

bool exec_split(const struct exec *x)
{
    return x->plan->kind == PLAN_INSERT && x->npart > 1;
}

struct span exec_text(struct exec *x)
{
    const struct plan *p = x->plan;
    char number[sizeof(PLAN_PID_BLANK)];
    char *text;

    if (!p->rewritten)
        return x->text;
    if (p->npid == 0)
        return span_str(p->rewritten);
    text = arena_strdup(&x->arena, p->rewritten);
    snprintf(number, sizeof(number), "%010u", x->s->id);
    for (uint32_t i = 0; i < p->npid; i++)
        memcpy(text + p->pids[i], number, sizeof(number) - 1);
    return span_str(text);
}

/* Parse and Bind of a part in the extended protocol. */
bool exec_put_bind(struct exec *x, struct part *p, struct strbuf *out, struct err *e)
{
    struct prepared *pr = x->prepared;
    struct backend *b = p->backend;
    char name[PREPARED_NAME_MAX];

    if (exec_split(x)) {
        struct strbuf text = STRBUF_INIT, types = STRBUF_INIT;
        uint32_t n = 0, cap = x->binds.n;
        uint16_t *map = ARENA_ARRAY(&x->arena, uint16_t, cap + 1);
        bool ok = plan_insert_text(x->plan, &x->route, p->shard, x->text, &x->lits_copy, &text, map, cap, &n, e);

        for (uint32_t i = 0; ok && i < n; i++)
            msg_u32(&types, map[i] < pr->ntype ? proto_get32(pr->types + 4 * (size_t)map[i]) : 0);
        if (ok) {
            backend_put_parse(b, out, (struct span){ 0 }, strbuf_span(&text), types.ptr ? types.ptr : "", (uint16_t)n);
            exec_put_bind_some(x, map, n, out);
        }
        strbuf_fini(&text);
        strbuf_fini(&types);
        return ok;
    }
    if (x->fetching) {
        backend_put_parse(b, out, (struct span){ 0 }, x->text, "", 0);
        fe_put_bind(out, exec_portal_there(x), (struct span){ 0 }, x->bind_rest);
        return true;
    }
    if (x->plan->rewritten || x->timed || x->expanded) {
        backend_put_parse(b, out, (struct span){ 0 }, exec_text(x), pr->types, pr->ntype);
        fe_put_bind(out, exec_portal_there(x), (struct span){ 0 }, x->bind_rest);
        return true;
    }
    if (!backend_has_statement(b, pr->serial)) {
        uint32_t closed = backend_add_statement(b, pr->serial, b->pool->worker->config_max_prepared, out);

        backend_put_parse(b, out, prepared_server_name(pr->serial, name), pr->sql, pr->types, pr->ntype);
        backend_expect_parse(b, pr->serial, closed + 1);
    }
    fe_put_bind(out, exec_portal_there(x), prepared_server_name(pr->serial, name), x->bind_rest);
    return true;
}

/* DDL has no parameters; as a Query it may carry what else its transaction has to do. */
static bool exec_as_query(const struct exec *x)
{
    return (!x->bound && !x->merge && !x->explain) || x->plan->kind == PLAN_DDL;
}

static bool exec_send_part(struct exec *x, struct part *p, struct err *e)
{
    struct strbuf *out = &x->s->worker->out;
    struct strbuf copy = STRBUF_INIT;
    bool ok = true;

    p->backend->wrote = p->backend->wrote || (x->plan->writes && txn_may_write(&x->s->txn));
    p->backend->unpreparable = p->backend->unpreparable || x->plan->unpreparable;
    p->backend->dirty = p->backend->dirty || x->plan->opaque;
    if (x->plan->kind == PLAN_DDL && x->plan->ddl->no_transaction) {
        exec_send_alone(x, p);
        return true;
    }
    if (x->fetching)
        exec_fetch_text(x);
    if (exec_is_copy_out(x) && exec_ids_put_copy(x, p, &copy)) {
        (void)exec_expect_prefix(x, p, out, false);
        backend_expect(p->backend, EXPECT_EXEC);
        strbuf_put(out, copy.ptr, copy.len);
        fe_put_sync(out);
        strbuf_fini(&copy);
        exec_write(x, p);
        return true;
    }
    (void)exec_expect_prefix(x, p, out, exec_as_query(x));
    if (x->piecewise)
        fe_put_close(out, 'P', x->piece_portal); /* of an unnamed one before it */
    if (exec_as_query(x)) {
        backend_expect(p->backend, EXPECT_EXEC);
        if (x->plan->kind == PLAN_DDL) {
            struct strbuf text = STRBUF_INIT;

            exec_put_ddl(x, p, &text);
            fe_put_query(out, strbuf_span(&text));
            strbuf_fini(&text);
        } else if (exec_split(x)) {
            struct strbuf text = STRBUF_INIT;
            uint32_t n;

            ok = plan_insert_text(x->plan, &x->route, p->shard, x->text, &x->lits_copy, &text, NULL, 0, &n, e);
            fe_put_query(out, strbuf_span(&text));
            strbuf_fini(&text);
        } else {
            fe_put_query(out, exec_text(x));
        }
    } else if (x->explain) {
        backend_expect(p->backend, EXPECT_EXEC);
        exec_explain_put(x, p, out);
        fe_put_sync(out);
    } else if (x->merge) {
        backend_expect(p->backend, EXPECT_EXEC);
        exec_merge_bind(x, p, out);
        if (!x->piecewise)
            fe_put_execute(out, exec_portal_there(x), 0);
        fe_put_sync(out);
    } else {
        ok = exec_put_bind(x, p, out, e);
        backend_expect(p->backend, EXPECT_EXEC);
        /* Of COPY it is known that it has no columns, and NoData would stand in the way of its own response. */
        if ((x->describe && !exec_is_copy(x)) || (x->npart > 1 && x->plan->returns_rows) || exec_ids_asks(x, p))
            fe_put_describe(out, 'P', exec_portal_there(x));
        if (x->execute && !x->piecewise)
            fe_put_execute(out, exec_portal_there(x), exec_limit_there(x));
        /* A server in COPY mode would take a Sync for noise: the one that counts follows the data. */
        if (x->plan->kind == PLAN_COPY_IN && x->execute)
            msg_empty(out, FE_FLUSH);
        else
            fe_put_sync(out);
    }
    BUG_ON(!ok); /* the route was made from the same plan and values */
    exec_write(x, p);
    return true;
}

void exec_start_parts(struct exec *x)
{
    struct err e = ERR_INIT;
    uint32_t limit = x->plan->sequential ? x->ndone + 1 : x->npart;

    x->s->run_aside = false;
    for (uint32_t i = 0; (x->plan->pins || x->plan->pin_check) && i < x->npart; i++) {
        if (pin_take(x->parts[i].backend, x->plan, &x->own_error))
            continue;
        x->failed = true;
        exec_stop_acquiring(x);
        return;
    }
    while (x->next_part < x->npart && x->next_part < limit && !x->failed)
        (void)exec_send_part(x, &x->parts[x->next_part++], &e);
}

/* Values that every shard of a reference table would read by its own clock (rule P42). */
static bool exec_check_moments(const struct exec *x, struct err *e)
{
    for (uint32_t i = 0; x->bound && x->plan->moment_params && i < x->binds.n; i++) {
        if (!x->binds.values[i].ptr || x->binds.binary[i] || !moment_in(x->binds.values[i]))
            continue;
        err_set(e, PB0201, "a write to a reference table cannot read the clock: parameter $%u", i + 1);
        err_detail(e, "Every shard reads the value by itself, and the copies would differ.");
        return err_hint(e, "Give the date itself.");
    }
    return true;
}

/* Another router would not hear of a schema that changes (rule P38). */
static bool exec_check_alone(const struct exec *x, struct err *e)
{
    return x->plan->kind != PLAN_DDL || !x->plan->ddl->schema_change ||
           directory_alone(x->s->worker->router->directory, e);
}

static bool exec_check_several(struct exec *x, struct err *e)
{
    if (x->npart <= 1)
        return true;
    if (!exec_check_scatter(x, e))
        return false;
    if (!exec_check_moments(x, e))
        return false;
    if (x->plan->kind == PLAN_DDL && x->plan->ddl->no_transaction && exec_in_txn(x) && !x->s->txn.implicit) {
        err_set(e, PB0204, "this statement cannot run inside a transaction block");
        return err_state(e, "25001");
    }
    return true;
}

/* Does the statement need a server to put rows of several shards together? Else, if it needs it, they are merged here.
 */
static bool exec_gathers(struct exec *x)
{
    if (x->plan->gather && x->plan->gather->always)
        return true;
    if (x->npart <= 1)
        return false;
    return x->plan->combine == COMBINE_GATHER || (x->plan->combine == COMBINE_MERGE && !exec_merge_begin(x));
}

bool exec_lacks_values(struct exec *x)
{
    if (LIKELY(x->bound || x->plan->nparam == 0 || x->plan->kind == PLAN_DDL))
        return false;
    x->parts[0].shard = x->s->set->home;
    x->npart = 1;
    return true;
}

void exec_run(struct exec *x)
{
    struct session *s = x->s;
    struct err e = ERR_INIT;
    const struct bind_values *binds = x->bound ? &x->binds : NULL;
    bool alone = x->plan->kind == PLAN_DDL && x->plan->ddl->no_transaction, gather, ok;

    if (UNLIKELY(x->plan->sets_locally) && exec_in_txn(x)) {
        err_set(&e, PB0313, "set_config() inside a statement is not supported in a transaction");
        err_detail(&e, "The router has to know the setting, to give it to every shard of the transaction.");
        err_hint(&e, "Use SELECT set_config('name', value, true) as a statement of its own.");
        exec_fail(x, &e);
        return;
    }
    if (!alone && !exec_snapshot(x, exec_run))
        return;
    ok = plan_route(x->plan, s->db->map, x->text, &x->lits_copy, binds, &x->arena, &x->route, &e) && exec_hint(x, &e);
    if (!exec_clock(x, ok, exec_run))
        return;
    if (!ok) {
        exec_fail(x, &e);
        return;
    }
    (void)exec_make_parts(x, &x->route.set, x->route.any);
    gather = !exec_lacks_values(x) && exec_gathers(x);
    if (x->plan->kind == PLAN_DDL && x->plan->ddl->once_per_server)
        exec_once_per_server(x);
    if (!exec_check_alone(x, &e) || !exec_check_several(x, &e) ||
        !isolation_allows(s, x->plan->moment, gather ? 2 : x->npart, x->parts[0].shard, &e) ||
        !exec_check_portal(x, &e) || !exec_pieces_plan(x, gather, &e)) {
        exec_fail(x, &e);
        return;
    }
    if (x->extended && !x->execute && (x->npart > 1 || gather)) {
        exec_keep_portal(x);
        return;
    }
    if (x->npart > 1)
        STAT_ADD(s->worker->stats.scattered, 1);
    if (gather && !x->plan->gather) {
        exec_fail(x, &x->plan->refusal);
        return;
    }
    if (x->plan->explain && (gather || (x->npart > 1 && x->plan->combine != COMBINE_SAME))) {
        exec_explain(x, gather);
        return;
    }
    if (gather && x->plan->gather->locks && !s->txn.env && x->execute) { /* held until all rows are here */
        txn_begin(s, NULL, true);
        x->own_txn = x->withheld = true;
    }
    if (gather) {
        exec_gather(x);
        return;
    }
    x->task = TASK_STATEMENT;
    if (x->npart > 1 && x->plan->kind == PLAN_COPY_OUT && !s->txn.env && exec_gate_on(x)) {
        struct txn_modes modes = { .isolation = ISOLATION_REPEATABLE_READ,
                                   .read_only = x->plan->writes || x->plan->opaque ? MODE_UNSAID : MODE_ON };

        txn_begin(s, &modes, true);
        x->own_txn = true;
    }
    if (x->npart > 1 && (x->plan->writes || x->plan->kind == PLAN_DDL || x->plan->kind == PLAN_COPY_IN) &&
        !s->txn.env && !alone && x->execute) {
        txn_begin(s, NULL, true);
        x->own_txn = x->withheld = true;
    }
    exec_hear_statement(x);
    if (exec_gate_hold(x, exec_acquire))
        exec_acquire(x);
}

/* --- portals and statements outside the running group --- */

static void exec_one_part(struct exec *x, struct backend *b)
{
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->parts[0].backend = b;
    x->npart = x->next_part = 1;
    b->part = 0;
    x->task = TASK_STATEMENT;
    x->bind_sent = true;
    backend_expect(b, EXPECT_EXEC);
    fe_put_sync(&x->s->worker->out);
    exec_write(x, &x->parts[0]);
}

void exec_run_portal(struct exec *x, struct backend *b, struct span name, bool execute, uint32_t max_rows)
{
    x->describe = !execute;
    if (!execute || portal_embeds(x->s, name))
        fe_put_describe(&x->s->worker->out, 'P', name);
    if (execute)
        fe_put_execute(&x->s->worker->out, name, max_rows);
    exec_one_part(x, b);
}

void exec_close_portal(struct exec *x, struct backend *b, struct span name)
{
    fe_put_close(&x->s->worker->out, 'P', name);
    exec_one_part(x, b);
}

static void exec_describe_on(struct exec *x, struct backend *b)
{
    struct session *s = x->s;
    struct prepared *p = x->prepared;
    struct strbuf *out = &s->worker->out;
    char name[PREPARED_NAME_MAX];

    x->parts[0].backend = b;
    b->part = 0;
    x->next_part = 1;
    x->task = TASK_DESCRIBE;
    x->describe = true;
    if (b->env_next != s->env && !b->begun) {
        uint32_t n = env_put_changes(out, b->env_next, s->env);

        env_unref(b->env_next);
        b->env_next = env_ref(s->env);
        if (n)
            backend_expect(b, EXPECT_PREFIX)->count = n;
    }
    if (exec_is_fetch(p->plan)) { /* a server notes the columns at Parse: those of another cursor of that name */
        backend_expect(b, EXPECT_EXEC);
        fe_put_parse(out, (struct span){ 0 }, p->sql, "", 0);
        fe_put_describe(out, 'S', (struct span){ 0 });
        fe_put_sync(out);
        exec_write(x, &x->parts[0]);
        return;
    }
    if (!backend_has_statement(b, p->serial)) {
        uint32_t closed = backend_add_statement(b, p->serial, s->worker->config_max_prepared, out);

        backend_put_parse(b, out, prepared_server_name(p->serial, name), p->sql, p->types, p->ntype);
        backend_expect_parse(b, p->serial, closed + 1);
    }
    backend_expect(b, EXPECT_EXEC);
    fe_put_describe(out, 'S', prepared_server_name(p->serial, name));
    fe_put_sync(out);
    exec_write(x, &x->parts[0]);
}

/*
 * Describe of a statement: on a lease of the transaction if that shard is in it, else on a connection aside, which does
 * not enlist the shard (rule P54).
 */
static void exec_describe_resume(struct session *s)
{
    struct exec *x = s->exec;
    struct pool *pool = s->set->pools[x->parts[0].shard];
    struct backend *b = session_lease_of(s, pool);

    if (!b) {
        session_set_state(s, SESSION_WAITING);
        s->resume = exec_describe_resume;
        b = pool_acquire(pool, s, s->nheld > 0);
        if (!b) {
            exec_flush(x);
            return;
        }
        s->resume = NULL;
        session_set_state(s, SESSION_RUNNING);
    }
    exec_describe_on(x, b);
}

void exec_describe_statement(struct exec *x, struct prepared *p)
{
    struct session *s = x->s;

    if (exec_describe_local(x, p))
        return;
    prepared_ref(p);
    prepared_unref(s->worker, x->prepared);
    x->prepared = p;
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->npart = 1;
    if (exec_is_fetch(p->plan)) {
        exec_describe_on(x, exec_fetch_backend(s, p->plan));
        return;
    }
    x->parts[0].shard =
        p->plan->scope == SCOPE_HOME || p->plan->kind == PLAN_GATHER || !s->held ? s->set->home : query_any_shard(s);
    exec_describe_resume(s);
}
