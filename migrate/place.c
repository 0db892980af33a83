#include "migrate/place.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "migrate/sql.h"
#include "migrate/table_def.h"
#include "planner/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOLD_WAIT_MS   5000u
#define RETRY_PAUSE_MS 500u

struct place {
    struct place_request *r;
    struct arena arena;
    struct pgconn **conns; /* by shard, owned */
    uint32_t home;
    struct table_def def;
    enum distribution to;
    uint64_t moved; /* rows copied between shards */
};

static void place_notice(struct place *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void place_notice(struct place *p, const char *fmt, ...)
{
    size_t len = strlen(p->r->notice);
    va_list ap;

    if (len && len + 2 < sizeof(p->r->notice))
        p->r->notice[len++] = '\n';
    va_start(ap, fmt);
    vsnprintf(p->r->notice + len, sizeof(p->r->notice) - len, fmt, ap);
    va_end(ap);
}

static bool exec(struct pgconn *c, const char *sql, struct err *e)
{
    struct pgresult *r = pgconn_query(c, sql, e);

    pgresult_free(r);
    return r != NULL;
}

/* Which shard an error came from, where the server has not said more. */
static bool on_shard(const struct place *p, uint32_t shard, struct err *e)
{
    if (!e->detail[0])
        err_detail(e, "On shard \"%s\".", p->r->db->shards[shard].name);
    return false;
}

static bool exec_on(struct place *p, uint32_t shard, const char *sql, struct err *e)
{
    return exec(p->conns[shard], sql, e) || on_shard(p, shard, e);
}

/* --- connections --- */

/* A shard that was down when the database was first used has nothing of ours yet. */
static bool bootstrap_shard(struct place *p, uint32_t shard, struct err *e)
{
    struct pgresult *r = pgconn_query(p->conns[shard], "SELECT pg_catalog.to_regclass('pgbraid.tables') IS NULL", e);
    bool missing = r && pgresult_value(r, 0, 0)[0] == 't';

    pgresult_free(r);
    return r && (!missing || exec(p->conns[shard], catalog_bootstrap_sql(), e));
}

static bool connect_shard(struct place *p, uint32_t shard, struct err *e)
{
    struct pgconn_target t = { .conninfo = p->r->db->shards[shard].conninfo,
                               .application_name = "pgbraid placement",
                               .timeout_ms = p->r->timeout_ms };

    p->conns[shard] = pgconn_open_blocking(&t, e);
    if (!p->conns[shard])
        return on_shard(p, shard, e);
    if (exec(p->conns[shard], sql_place_session, e) && bootstrap_shard(p, shard, e))
        return true;
    if (strcmp(e->sqlstate, "42501") == 0)
        err_hint(e, "Moving rows fires no triggers, which needs a superuser in the shard's connection string.");
    return on_shard(p, shard, e);
}

static void disconnect(struct place *p)
{
    struct err ignored = ERR_INIT;

    /* A server frees the locks of a closed connection some time later: too late for a change that follows at once. */
    if (p->conns[p->home])
        pgresult_free(
            pgconn_query(p->conns[p->home], "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()", &ignored));
    for (uint32_t i = 0; i < p->r->db->nshard; i++) {
        if (p->conns[i])
            pgconn_close_blocking(p->conns[i]);
        p->conns[i] = NULL;
    }
}

/* --- moving rows --- */

/* Stream SELECT columns FROM table [WHERE condition] of one shard into the same table of another. */
static bool copy_rows(struct place *p, uint32_t from, uint32_t to, const char *condition, struct err *e)
{
    struct strbuf out = STRBUF_INIT, in = STRBUF_INIT;
    struct pgresult *r, *w = NULL;
    char *data;
    int n = 0;
    bool ok;

    /* A table without columns that can be copied still has rows: COPY moves them as empty lines. */
    strbuf_printf(&out, "COPY (SELECT %s FROM ONLY %s%s%s) TO STDOUT", p->def.columns ? p->def.columns : "",
                  p->def.quoted, condition ? " WHERE " : "", condition ? condition : "");
    if (p->def.columns)
        strbuf_printf(&in, "COPY %s (%s) FROM STDIN", p->def.quoted, p->def.columns);
    else
        strbuf_printf(&in, "COPY %s FROM STDIN", p->def.quoted);
    r = pgconn_query(p->conns[from], out.ptr, e);
    ok = r || on_shard(p, from, e);
    w = ok ? pgconn_query(p->conns[to], in.ptr, e) : NULL;
    ok = ok && (w || on_shard(p, to, e));
    while (ok && (n = pgconn_copy_read(p->conns[from], &data, e)) > 0) {
        ok = pgconn_copy_write(p->conns[to], data, (size_t)n, e) || on_shard(p, to, e);
        pgconn_copy_free(data);
        p->moved++;
    }
    if (ok && n < 0)
        ok = on_shard(p, from, e);
    if (ok)
        ok = pgconn_copy_end(p->conns[to], e) || on_shard(p, to, e);
    pgresult_free(r);
    pgresult_free(w);
    strbuf_fini(&out);
    strbuf_fini(&in);
    return ok;
}

/* --- what the table is on a shard --- */

/* Make the key NOT NULL, add the placement constraint and note the distribution, in the open transaction (P19, P39). */
static bool mark(struct place *p, uint32_t shard, struct err *e)
{
    const struct placement_key *key = &p->def.key;
    struct strbuf sql = STRBUF_INIT;
    bool ok = true;

    if (p->to == DIST_SHARDED) {
        strbuf_printf(&sql, "ALTER TABLE ONLY %s ", p->def.quoted);
        for (uint32_t i = 0; i < key->ncolumn; i++) {
            strbuf_puts(&sql, "ALTER COLUMN ");
            strbuf_put_ident(&sql, span_str(key->columns[i]));
            strbuf_puts(&sql, " SET NOT NULL, ");
        }
        strbuf_puts(&sql, "ADD CONSTRAINT " PLACEMENT_CONSTRAINT " CHECK (");
        ok = placement_condition_sql(key, &p->r->db->shards[shard].range, &sql, e);
        strbuf_puts(&sql, ");\n");
    }
    strbuf_puts(&sql, "INSERT INTO pgbraid.tables (schema_name, table_name, dist, key_columns, vindex) VALUES (");
    strbuf_put_literal(&sql, span_str(p->def.schema));
    strbuf_puts(&sql, ", ");
    strbuf_put_literal(&sql, span_str(p->def.name));
    strbuf_printf(&sql, ", '%s', ARRAY[", distribution_name(p->to));
    for (uint32_t i = 0; p->to == DIST_SHARDED && i < key->ncolumn; i++) {
        strbuf_puts(&sql, i ? ", " : "");
        strbuf_put_literal(&sql, span_str(key->columns[i]));
    }
    strbuf_puts(&sql, "]::pg_catalog.text[], 'hash')");
    ok = ok && exec_on(p, shard, sql.ptr, e);
    strbuf_fini(&sql);
    return ok;
}

/* The name as a condition on pgbraid.tables. */
static void put_row_condition(const struct place *p, struct strbuf *sql)
{
    strbuf_puts(sql, "schema_name = ");
    strbuf_put_literal(sql, span_str(p->def.schema));
    strbuf_puts(sql, " AND table_name = ");
    strbuf_put_literal(sql, span_str(p->def.name));
}

static bool forget_row(struct place *p, uint32_t shard, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    bool ok;

    strbuf_puts(&sql, "DELETE FROM pgbraid.tables WHERE ");
    put_row_condition(p, &sql);
    ok = exec_on(p, shard, sql.ptr, e);
    strbuf_fini(&sql);
    return ok;
}

/*
 * A table of that name on another shard while the home shard calls it unsharded: ours, and left over from a change that
 * did not come to its end, if it has a row in pgbraid.tables; else somebody's, and not touched.
 */
static bool clear_shard(struct place *p, uint32_t shard, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r;
    bool exists, ours, ok;

    strbuf_puts(&sql, "SELECT pg_catalog.to_regclass(");
    strbuf_put_literal(&sql, span_str(p->def.quoted));
    strbuf_puts(&sql, ") IS NOT NULL, EXISTS (SELECT FROM pgbraid.tables WHERE ");
    put_row_condition(p, &sql);
    strbuf_putc(&sql, ')');
    r = pgconn_query(p->conns[shard], sql.ptr, e);
    strbuf_fini(&sql);
    if (!r)
        return on_shard(p, shard, e);
    exists = pgresult_value(r, 0, 0)[0] == 't';
    ours = pgresult_value(r, 0, 1)[0] == 't';
    pgresult_free(r);
    if (exists && !ours) {
        err_set(e, PB0207, "shard \"%s\" has a table %s that pgbraid did not make", p->r->db->shards[shard].name,
                p->def.quoted);
        return err_hint(e, "Look at it on the shard; drop or rename it there.");
    }
    strbuf_printf(&sql, "DROP TABLE IF EXISTS %s", p->def.quoted);
    ok = !exists || exec_on(p, shard, sql.ptr, e);
    strbuf_fini(&sql);
    return ok && (!ours || forget_row(p, shard, e));
}

/* --- unsharded to sharded or reference --- */

static bool exhaust_sequences(struct place *p, uint32_t shard, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r;
    const char *oid;
    bool ok;

    strbuf_puts(&sql, "SELECT ");
    strbuf_put_literal(&sql, span_str(p->def.quoted));
    strbuf_puts(&sql, "::pg_catalog.regclass::pg_catalog.oid");
    r = pgconn_query(p->conns[shard], sql.ptr, e);
    strbuf_fini(&sql);
    if (!r)
        return on_shard(p, shard, e);
    oid = arena_strdup(&p->arena, pgresult_value(r, 0, 0));
    pgresult_free(r);
    r = pgconn_query_params(p->conns[shard], sql_place_sequences, 1, &oid, e);
    ok = r || on_shard(p, shard, e);
    for (int i = 0; ok && i < pgresult_rows(r); i++)
        ok = exec_on(p, shard, pgresult_value(r, i, 0), e);
    pgresult_free(r);
    return ok;
}

static bool fill_shard(struct place *p, uint32_t shard, const char *pre, const char *post, struct err *e)
{
    struct strbuf condition = STRBUF_INIT;
    bool ok = exec_on(p, shard, "BEGIN", e) && clear_shard(p, shard, e) && exec_on(p, shard, pre, e) &&
              exec_on(p, shard, "SET search_path = pg_catalog; SET row_security = off; SET lock_timeout = '5s'", e);

    if (ok && p->to == DIST_SHARDED)
        ok = placement_condition_sql(&p->def.key, &p->r->db->shards[shard].range, &condition, e);
    ok = ok && copy_rows(p, p->home, shard, condition.len ? condition.ptr : NULL, e) && exec_on(p, shard, post, e) &&
         exhaust_sequences(p, shard, e) && mark(p, shard, e);
    FAULT("place.after_fill");
    strbuf_fini(&condition);
    return ok;
}

/* The rows that have been copied leave the home shard. */
static bool thin_home(struct place *p, struct err *e)
{
    struct strbuf condition = STRBUF_INIT, sql = STRBUF_INIT;
    bool ok = true;

    if (p->to == DIST_SHARDED && p->r->db->nshard > 1) {
        ok = placement_condition_sql(&p->def.key, &p->r->db->shards[p->home].range, &condition, e);
        strbuf_printf(&sql, "DELETE FROM ONLY %s WHERE NOT (%s)", p->def.quoted, strbuf_str(&condition));
        ok = ok && exec_on(p, p->home, sql.ptr, e);
    }
    strbuf_fini(&condition);
    strbuf_fini(&sql);
    return ok;
}

static bool distribute(struct place *p, struct err *e)
{
    struct strbuf pre = STRBUF_INIT, post = STRBUF_INIT, lock = STRBUF_INIT;
    uint32_t n = p->r->db->nshard;
    bool ok;

    /* pg_dump reads beside us: writers and other DDL are kept out now, readers (none of ours run) at ALTER TABLE. */
    strbuf_printf(&lock, "LOCK TABLE ONLY %s IN SHARE ROW EXCLUSIVE MODE", p->def.quoted);
    ok = exec_on(p, p->home, lock.ptr, e) && table_def_check(&p->def, p->conns[p->home], p->to, e);
    if (ok && n > 1)
        ok = table_def_dump(&p->def, p->r->db->shards[p->home].conninfo, DUMP_PRE_DATA, &pre, e) &&
             table_def_dump(&p->def, p->r->db->shards[p->home].conninfo, DUMP_POST_DATA, &post, e);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = i == p->home || fill_shard(p, i, strbuf_str(&pre), strbuf_str(&post), e);
    ok = ok && thin_home(p, e) && mark(p, p->home, e);
    FAULT("place.before_others_commit");
    /* All others first: until the home shard commits, what they hold counts for nothing. */
    for (uint32_t i = 0; ok && i < n; i++) {
        ok = i == p->home || exec_on(p, i, "COMMIT", e);
        FAULT("place.after_other_commit");
    }
    strbuf_fini(&pre);
    strbuf_fini(&post);
    strbuf_fini(&lock);
    return ok;
}

/* --- back to unsharded --- */

static bool gather(struct place *p, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    uint32_t n = p->r->db->nshard;
    bool ok = table_def_check(&p->def, p->conns[p->home], DIST_UNSHARDED, e);

    strbuf_printf(&sql, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", p->def.quoted);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = (i == p->home || exec_on(p, i, "BEGIN", e)) && exec_on(p, i, sql.ptr, e);
    strbuf_reset(&sql);
    strbuf_printf(&sql, "ALTER TABLE ONLY %s DROP CONSTRAINT " PLACEMENT_CONSTRAINT, p->def.quoted);
    if (ok && p->def.dist == DIST_SHARDED)
        ok = exec_on(p, p->home, sql.ptr, e);
    for (uint32_t i = 0; ok && i < n && p->def.dist == DIST_SHARDED; i++)
        ok = i == p->home || copy_rows(p, i, p->home, NULL, e);
    FAULT("place.after_gather");
    strbuf_reset(&sql);
    strbuf_printf(&sql, "DROP TABLE %s", p->def.quoted);
    for (uint32_t i = 0; ok && i < n; i++)
        ok = forget_row(p, i, e) && (i == p->home || exec_on(p, i, sql.ptr, e));
    strbuf_fini(&sql);
    return ok;
}

/* After the home shard's commit: what is left over is dropped by the next change of the table. */
static void drop_elsewhere(struct place *p)
{
    for (uint32_t i = 0; i < p->r->db->nshard; i++) {
        struct err e = ERR_INIT;

        if (i == p->home)
            continue;
        FAULT("place.before_drop");
        if (exec_on(p, i, "COMMIT", &e))
            continue;
        log_err(LOG_WARN, "place", "a table that is unsharded now could not be dropped on another shard", &e);
        place_notice(p, "the table could not be dropped on shard \"%s\"; its copy there is not used any more",
                     p->r->db->shards[i].name);
    }
}

/* --- the commit point --- */

enum outcome { OUTCOME_COMMITTED, OUTCOME_FAILED, OUTCOME_UNKNOWN };

/* What the home shard says the table is: the truth. */
static bool read_distribution(struct place *p, enum distribution *now, struct err *e)
{
    struct strbuf sql = STRBUF_INIT;
    struct pgresult *r;
    const char *dist;

    strbuf_puts(&sql, "SELECT dist FROM pgbraid.tables WHERE ");
    put_row_condition(p, &sql);
    r = pgconn_query(p->conns[p->home], sql.ptr, e);
    strbuf_fini(&sql);
    if (!r)
        return false;
    dist = pgresult_rows(r) ? pgresult_value(r, 0, 0) : "";
    *now = strcmp(dist, "sharded") == 0     ? DIST_SHARDED
           : strcmp(dist, "reference") == 0 ? DIST_REFERENCE
                                            : DIST_UNSHARDED;
    pgresult_free(r);
    return true;
}

/* COMMIT on the home shard; when its answer is lost, ask until it is known, statements being held meanwhile. */
static enum outcome commit_home(struct place *p, struct err *e)
{
    const struct timespec pause = { .tv_nsec = RETRY_PAUSE_MS * 1000000L };
    struct err lost = ERR_INIT;
    enum distribution now = DIST_UNSHARDED;

    FAULT("place.before_home_commit");
    if (exec_on(p, p->home, "COMMIT", &lost)) {
        FAULT("place.after_home_commit");
        return OUTCOME_COMMITTED;
    }
    if (lost.id == ERR_NONE) { /* the server's own word: it has rolled back */
        *e = lost;
        return OUTCOME_FAILED;
    }
    log_err(LOG_ERROR, "place", "the home shard's answer to COMMIT was lost; asking again", &lost);
    while (!p->r->stopping(p->r->arg)) {
        struct err again = ERR_INIT;

        if (p->conns[p->home])
            pgconn_close_blocking(p->conns[p->home]);
        p->conns[p->home] = NULL;
        if (connect_shard(p, p->home, &again) && read_distribution(p, &now, &again)) {
            if (now == p->to)
                return OUTCOME_COMMITTED;
            *e = lost;
            return OUTCOME_FAILED;
        }
        nanosleep(&pause, NULL);
    }
    *e = lost;
    return OUTCOME_UNKNOWN;
}

/* Nobody may go on with what was true before: publish until it works. */
static bool publish(struct place *p)
{
    const struct timespec pause = { .tv_nsec = RETRY_PAUSE_MS * 1000000L };

    FAULT("place.before_publish");
    while (!p->r->stopping(p->r->arg)) {
        struct err e = ERR_INIT;

        if (p->r->publish(p->r->arg, &e))
            return true;
        log_err(LOG_ERROR, "place", "the new distribution is not published yet; trying again", &e);
        nanosleep(&pause, NULL);
    }
    return false;
}

/* Take back what the other shards have committed already. */
static void undo_elsewhere(struct place *p)
{
    for (uint32_t i = 0; i < p->r->db->nshard; i++) {
        struct err e = ERR_INIT;

        if (i == p->home || !p->conns[i])
            continue;
        if (!exec(p->conns[i], "ROLLBACK", &e) || !exec(p->conns[i], "BEGIN", &e) || !clear_shard(p, i, &e) ||
            !exec(p->conns[i], "COMMIT", &e))
            log_err(LOG_WARN, "place", "a leftover copy of a table stays on a shard until the next change", &e);
    }
}

/* With every statement held: move, commit, publish. Sets *release when statements may go on. */
static bool change(struct place *p, bool *release, struct err *e)
{
    bool ok = p->to == DIST_UNSHARDED ? gather(p, e) : distribute(p, e);

    if (!ok) {
        if (p->to != DIST_UNSHARDED)
            undo_elsewhere(p);
        return false;
    }
    switch (commit_home(p, e)) {
    case OUTCOME_COMMITTED:
        break;
    case OUTCOME_FAILED:
        if (p->to != DIST_UNSHARDED)
            undo_elsewhere(p);
        return false;
    case OUTCOME_UNKNOWN:
        *release = false;
        return false;
    }
    if (p->to == DIST_UNSHARDED)
        drop_elsewhere(p);
    *release = publish(p);
    return true;
}

/* --- the whole --- */

/* Nothing to do, or a change that is not one step? */
static bool worth_it(struct place *p, bool *done, struct err *e)
{
    const struct place_request *r = p->r;
    struct table_def wanted = p->def;

    *done = false;
    if (p->def.dist == DIST_UNSHARDED && p->to == DIST_UNSHARDED) {
        *done = true;
        return true;
    }
    if (p->to == DIST_UNSHARDED || p->def.dist == DIST_UNSHARDED) {
        if (p->to == DIST_SHARDED)
            return table_def_key(&p->def, p->conns[p->home], &p->arena, r->ncolumn, r->columns, e);
        return true;
    }
    if (p->def.dist == p->to && p->to == DIST_REFERENCE) {
        *done = true;
        return true;
    }
    if (p->def.dist == p->to && table_def_key(&wanted, p->conns[p->home], &p->arena, r->ncolumn, r->columns, e)) {
        *done = wanted.key.ncolumn == p->def.key.ncolumn;
        for (uint32_t i = 0; *done && i < wanted.key.ncolumn; i++)
            *done = strcmp(wanted.key.columns[i], p->def.key.columns[i]) == 0;
        if (*done)
            return true;
    }
    err_set(e, PB0207, "table \"%s\" is %s already", p->def.name, distribution_name(p->def.dist));
    return err_hint(e, "Call pgbraid.unshard_table() first.");
}

static void describe(struct place *p, bool done)
{
    struct place_request *r = p->r;

    if (done)
        snprintf(r->message, sizeof(r->message), "table %s is %s already", p->def.quoted, distribution_name(p->to));
    else
        snprintf(r->message, sizeof(r->message), "table %s is %s now; %llu rows moved", p->def.quoted,
                 distribution_name(p->to), (unsigned long long)p->moved);
    if (done || p->to != DIST_SHARDED)
        return;
    if (p->def.key_was_nullable)
        place_notice(p, "the sharding key of table \"%s\" is NOT NULL now", p->def.name);
    if (!p->def.has_identity)
        place_notice(
            p,
            "table \"%s\" has no primary key that contains the sharding key: it cannot be resharded until it has one",
            p->def.name);
}

/* One change at a time, whichever router makes it: before the hold, which belongs to one change. */
static bool lock_changes(struct place *p, struct err *e)
{
    struct pgresult *lock =
        pgconn_query(p->conns[p->home], "SELECT pg_catalog.pg_try_advisory_lock(8098990427423602)", e);
    bool locked = lock && pgresult_value(lock, 0, 0)[0] == 't';

    pgresult_free(lock);
    if (!lock)
        return on_shard(p, p->home, e);
    if (locked)
        return true;
    err_set(e, PB0601, "another table's distribution is being changed");
    return err_hint(e, "Try again when it is done.");
}

static bool place_held(struct place *p, bool *release, struct err *e)
{
    struct place_request *r = p->r;
    struct pgconn *home = p->conns[p->home];
    bool done = false, ok;

    ok = exec_on(p, p->home, "BEGIN", e) &&
         table_def_read(&p->def, home, &p->arena, r->user, r->search_path, r->table, e) && worth_it(p, &done, e) &&
         (done || change(p, release, e));
    if (ok)
        describe(p, done);
    return ok;
}

bool place_table(struct place_request *r, struct err *e)
{
    static const enum distribution to[] = {
        [PLACE_SHARD] = DIST_SHARDED, [PLACE_REFERENCE] = DIST_REFERENCE, [PLACE_UNSHARD] = DIST_UNSHARDED
    };
    struct place p = { .r = r, .home = r->db->home, .to = to[r->verb] };
    bool ok = true, release = true;

    if (r->verb == PLACE_SHARD && r->ncolumn == 0)
        return err_set(e, PB0207, "the sharding key's column is missing");
    arena_init(&p.arena, 0);
    p.conns = mem_zalloc(r->db->nshard * sizeof(struct pgconn *));
    for (uint32_t i = 0; ok && i < r->db->nshard; i++)
        ok = connect_shard(&p, i, e);
    ok = ok && lock_changes(&p, e);
    if (ok && !r->hold(r->arg, HOLD_WAIT_MS)) {
        err_set(e, PB0601, "statements of the database still run after %u s", HOLD_WAIT_MS / 1000);
        ok = err_hint(e, "Try again at a quieter moment.");
    } else if (ok) {
        ok = place_held(&p, &release, e);
        /* Locks go before statements come. */
        disconnect(&p);
        if (release)
            r->release(r->arg);
    }
    disconnect(&p);
    free(p.conns);
    arena_fini(&p.arena);
    return ok;
}
