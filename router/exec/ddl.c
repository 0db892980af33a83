/*
 * DDL: what each shard is sent, and the catalogs that follow from it.
 *
 * A transaction that changes the schema goes on with a catalog of its own, read through its own connection to the home
 * shard, so that its next statements are planned with what it has made (P12). When the change is committed the catalog
 * is loaded again for everybody, and the answer waits until every worker has it.
 */
#include "router/exec/ddl.h"

#include "base/log.h"
#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "shardmap/placement.h"
#include "wire/bemsg.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- texts --- */

/* CREATE TABLE of a table that a rule shards: key NOT NULL, placement CHECK and distribution in the same transaction
 * (P19, P39). */
static void put_rule(struct exec *x, const struct part *p, struct strbuf *out)
{
    const struct plan_ddl *d = x->plan->ddl;
    struct placement_key key = { .ncolumn = 1, .columns = { d->shard_column }, .types = { d->shard_type } };
    struct strbuf name = STRBUF_INIT;
    struct err e = ERR_INIT;

    strbuf_put_ident(&name, span_str(d->shard_schema));
    strbuf_putc(&name, '.');
    strbuf_put_ident(&name, span_str(d->shard_table));
    strbuf_printf(out, "\n;\nALTER TABLE %s ALTER COLUMN ", name.ptr);
    strbuf_put_ident(out, span_str(d->shard_column));
    strbuf_puts(out, " SET NOT NULL, ADD CONSTRAINT " PLACEMENT_CONSTRAINT " CHECK (");
    BUG_ON(!placement_condition_sql(&key, &x->s->db->map->shards[p->shard].range, out, &e));
    strbuf_puts(out, ");\nCALL pgbraid.note_sharded(");
    strbuf_put_literal(out, span_str(d->shard_schema));
    strbuf_puts(out, ", ");
    strbuf_put_literal(out, span_str(d->shard_table));
    strbuf_puts(out, ", ");
    strbuf_put_literal(out, span_str(d->shard_column));
    strbuf_printf(out, ", %s)", p->shard == x->s->db->map->home ? "true" : "false");
    strbuf_fini(&name);
}

struct span exec_ddl_text(const struct exec *x, const struct part *p)
{
    if (x->plan->ddl->elsewhere && p->shard != x->s->db->map->home)
        return span_str(x->plan->ddl->elsewhere);
    return x->plan->rewritten ? span_str(x->plan->rewritten) : x->text;
}

/* Settings for shards other than the first, in whose way no setting of the session's stands; how many. */
static uint32_t put_local_settings(const struct exec *x, const struct part *p, struct strbuf *out)
{
    const struct plan_ddl *d = x->plan->ddl;

    if (p == x->parts)
        return 0;
    /* Bodies of functions may name tables that exist on the home shard only. */
    if (d->bodies)
        strbuf_puts(out, "SET LOCAL check_function_bodies = off;\n");
    /* Shards on one server (perhaps under two names) would wait for each other, seen by nobody. */
    if (d->shared)
        strbuf_puts(out, "SET LOCAL lock_timeout = '5s';\n");
    return d->bodies + (uint32_t)d->shared;
}

void exec_put_ddl(struct exec *x, struct part *p, struct strbuf *out)
{
    struct span sql = exec_ddl_text(x, p);

    p->tags_before = put_local_settings(x, p, out);
    strbuf_put(out, sql.ptr, sql.len);
    /* A line end first: the text may end in a comment. */
    if (x->plan->ddl->shard_table)
        put_rule(x, p, out);
    if (x->plan->ddl->after)
        strbuf_printf(out, "\n;\n%s", x->plan->ddl->after);
}

/* --- once per server (P41) --- */

/* Which server a conninfo leads to, as far as its text tells: host, address, port and service, or a URI's authority. */
static void put_server(const char *conninfo, struct strbuf *out)
{
    static const char *const keys[] = { "host", "hostaddr", "port", "service" };
    const char *authority = strstr(conninfo, "://");

    if (authority) {
        const char *start = authority + 3, *end = start + strcspn(start, "/?"),
                   *at = memchr(start, '@', (size_t)(end - start));

        start = at ? at + 1 : start;
        strbuf_put(out, start, (size_t)(end - start));
        return;
    }
    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        size_t n = strlen(keys[k]);

        strbuf_putc(out, '|');
        for (const char *p = conninfo; (p = strstr(p, keys[k])); p++) {
            if ((p > conninfo && !isspace((unsigned char)p[-1])) || p[n] != '=')
                continue;
            strbuf_put(out, p + n + 1, strcspn(p + n + 1, " \t\n"));
            break;
        }
    }
}

static bool same_server(const char *a, const char *b)
{
    struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;
    bool same;

    put_server(a, &x);
    put_server(b, &y);
    same = span_eq(strbuf_span(&x), strbuf_span(&y));
    strbuf_fini(&x);
    strbuf_fini(&y);
    return same;
}

void exec_once_per_server(struct exec *x)
{
    const struct map_shard *shards = x->s->db->map->shards;
    uint32_t n = 0;

    for (uint32_t i = 0; i < x->npart; i++) {
        bool seen = false;

        for (uint32_t k = 0; k < n && !seen; k++)
            seen = same_server(shards[x->parts[k].shard].conninfo, shards[x->parts[i].shard].conninfo);
        if (!seen)
            x->parts[n++].shard = x->parts[i].shard;
    }
    x->npart = n;
}

/* --- the catalog after DDL --- */

#define RELOAD_RETRY_MS 1000u

struct reload_wait {
    struct loop_timer retry;
    struct worker *worker;
    uint32_t session_id;
    char *database;
};

static void reload_done(void *arg, const struct err *e)
{
    struct reload_wait *rw = arg;
    struct session *s = session_find(rw->worker, rw->session_id);

    if (e) {
        /* Plans made with the old catalog could be wrong: the client goes on waiting, whatever it takes. */
        log_err(LOG_ERROR, "schema", "cannot load the catalog after DDL; trying again", e);
        loop_timer_start(&rw->retry, RELOAD_RETRY_MS);
        return;
    }
    loop_timer_fini(&rw->retry);
    free(rw->database);
    free(rw);
    if (!s || !s->exec)
        return;
    s->in_job = false;
    if (s->exec->reload_failed)
        exec_after_error(s->exec);
    else
        exec_step_done(s->exec);
}

static void reload_again(struct loop_timer *t)
{
    struct reload_wait *rw = CONTAINER_OF(t, struct reload_wait, retry);

    schema_reload(rw->worker, rw->database, reload_done, rw);
}

void exec_reload_schema(struct exec *x, bool failed)
{
    struct reload_wait *rw = mem_zalloc(sizeof(*rw));

    rw->worker = x->s->worker;
    rw->session_id = x->s->id;
    rw->database = mem_strdup(x->s->db->name);
    loop_timer_init(&rw->retry, rw->worker->loop, reload_again);
    x->task = TASK_JOB;
    x->reload_failed = failed;
    x->s->in_job = true;
    /* What has been committed is answered only when every worker plans with the new catalog. */
    schema_reload(rw->worker, rw->database, reload_done, rw);
}

/* --- the catalog of a transaction --- */

/* Read under a search_path of its own, which is the transaction's again afterwards. */
#define CATALOG_BEGIN "SAVEPOINT pgbraid_catalog; SET LOCAL search_path = pg_catalog; SET LOCAL jit = off;\n"
#define CATALOG_END   ";\nROLLBACK TO SAVEPOINT pgbraid_catalog; RELEASE SAVEPOINT pgbraid_catalog"

void exec_load_catalog(struct exec *x)
{
    struct session *s = x->s;
    struct backend *b = session_lease_of(s, s->set->pools[s->set->home]);
    struct strbuf sql = STRBUF_INIT;

    if (!b || !b->begun) { /* nothing has been changed there */
        exec_put_tag(x);
        exec_step_done(x);
        return;
    }
    catalog_builder_free(x->builder);
    x->builder = catalog_builder_new(atomic_fetch_add(&s->worker->router->catalog_epoch, 1) + 1);
    x->parts = ARENA_ARRAY(&x->arena, struct part, 1);
    x->parts[0].backend = b;
    b->part = 0;
    x->npart = x->next_part = 1;
    x->ndone = 0;
    x->task = TASK_CATALOG;
    strbuf_printf(&sql, CATALOG_BEGIN "%s" CATALOG_END, catalog_sql());
    exec_send_query(x, x->parts, strbuf_span(&sql));
    strbuf_fini(&sql);
}

enum exec_action exec_catalog_frame(struct exec *x, struct part *p, char type, struct span body)
{
    struct span cols[16];
    int n;

    if (type == BE_DATA_ROW && !x->failed) {
        n = be_decode_data_row(body, cols, (int)ARRAY_LEN(cols));
        if (!catalog_builder_row(x->builder, n < 0 ? 0 : (uint32_t)n, cols, &x->own_error))
            x->failed = true;
    } else if (type == BE_ERROR) {
        if (!x->failed)
            strbuf_put(&x->error, body.ptr, body.len);
        x->failed = p->failed = true;
    }
    return EXEC_SWALLOW;
}

void exec_catalog_done(struct exec *x)
{
    struct session *s = x->s;
    struct catalog_builder *b = x->builder;
    struct catalog *c = NULL;

    x->builder = NULL;
    if (x->failed)
        catalog_builder_free(b);
    else
        c = catalog_builder_finish(b, &x->own_error);
    if (!c) {
        if (!x->parts[0].backend)
            s->txn.doomed = true;
        exec_emit_error(x);
        exec_after_error(x);
        return;
    }
    catalog_unref(s->txn.catalog);
    s->txn.catalog = c;
    exec_put_tag(x);
    exec_step_done(x);
}
