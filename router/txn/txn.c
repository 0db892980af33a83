#include "router/txn/txn.h"

#include "base/mem.h"
#include "planner/catalog.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/env.h"
#include "router/session/session.h"
#include "router/txn/gtid.h"
#include "router/worker.h"
#include "wire/femsg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- life --- */

static void begin(struct session *s, const struct txn_modes *start, bool implicit)
{
    BUG_ON(s->txn.env);
    s->txn.env = env_ref(s->env);
    s->txn.epoch = catalog_epoch(session_catalog(s));
    s->txn.since_us = loop_now_us(s->worker->loop);
    s->txn.implicit = implicit;
    s->txn.start = s->txn.modes = *start;
}

void txn_begin(struct session *s, const struct txn_modes *said, bool implicit)
{
    begin(s, &s->env->defaults, implicit);
    if (said)
        modes_merge(&s->txn.modes, said);
}

void txn_begin_chained(struct session *s, const struct txn_modes *modes)
{
    begin(s, modes, false);
}

/* A failed one has undone what was said in it, as far as it was undone (PostgreSQL's AbortTransaction). */
struct txn_modes txn_handed_on(const struct session *s)
{
    if (s->tx != 'E')
        return s->txn.modes;
    return s->txn.savepoint ? s->txn.savepoint->modes : s->txn.start;
}

void txn_reset(struct session *s)
{
    free(s->txn.gtid);
    free(s->txn.constraints);
    while (s->txn.savepoint)
        txn_release(s, s->txn.savepoint);
    env_unref(s->txn.env);
    catalog_unref(s->txn.catalog);
    s->txn = (struct txn){ 0 };
}

const char *txn_gtid(struct session *s)
{
    BUG_ON(!s->txn.env);
    if (!s->txn.gtid) {
        s->txn.gtid = mem_alloc(GTID_MAX);
        gtid_new(s->worker->router->gtids, s->txn.gtid);
    }
    return s->txn.gtid;
}

const char *txn_record(struct session *s)
{
    s->txn.recorded = true;
    return txn_gtid(s);
}

/* --- what is said in it --- */

void txn_note_constraints(struct txn *t, struct span sql)
{
    size_t old = t->constraints_len;

    t->constraints = mem_realloc(t->constraints, old + sql.len + 1);
    memcpy(t->constraints + old, sql.ptr, sql.len);
    t->constraints[old + sql.len] = '\0';
    t->constraints_len = old + sql.len + 1;
}

void txn_savepoint(struct session *s, const char *name)
{
    size_t len = strlen(name);
    struct savepoint *sp = mem_zalloc(sizeof(*sp) + len + 1);

    memcpy(sp->name, name, len);
    sp->env = env_ref(s->env);
    sp->modes = s->txn.modes;
    sp->constraints_len = s->txn.constraints_len;
    sp->nsaid = channels_said(s);
    sp->outer = s->txn.savepoint;
    s->txn.savepoint = sp;
}

struct savepoint *txn_find_savepoint(const struct session *s, const char *name)
{
    struct savepoint *sp = s->txn.savepoint;

    while (sp && strcmp(sp->name, name) != 0)
        sp = sp->outer;
    return sp;
}

static void drop_innermost(struct txn *t)
{
    struct savepoint *sp = t->savepoint;

    t->savepoint = sp->outer;
    env_unref(sp->env);
    free(sp);
}

void txn_rollback_to(struct session *s, const struct savepoint *to)
{
    while (s->txn.savepoint != to)
        drop_innermost(&s->txn);
    s->txn.modes = to->modes;
    s->txn.constraints_len = to->constraints_len;
    channels_unsay(s, to->nsaid);
}

void txn_release(struct session *s, struct savepoint *released)
{
    while (s->txn.savepoint != released)
        drop_innermost(&s->txn);
    drop_innermost(&s->txn);
}

/* --- what a shard that joins is told --- */

/* Bring the connection from the environment it is in to another one. */
static uint32_t put_env(struct backend *b, struct env *to, struct strbuf *out)
{
    uint32_t n;

    if (b->env_next == to)
        return 0;
    n = env_put_changes(out, b->env_next, to);
    env_unref(b->env_next);
    b->env_next = env_ref(to);
    return n;
}

static uint32_t put_modes(const char *verb, const struct txn_modes *from, const struct txn_modes *to,
                          struct strbuf *out)
{
    struct txn_modes changes = modes_changes(from, to);
    struct strbuf sql = STRBUF_INIT;

    strbuf_puts(&sql, verb);
    modes_put(&changes, &sql);
    fe_put_statement(out, strbuf_span(&sql), NULL, 0);
    strbuf_fini(&sql);
    return 1;
}

/* SET CONSTRAINTS given up to `until`. */
static uint32_t put_constraints(const struct txn *t, size_t *at, size_t until, struct strbuf *out)
{
    uint32_t n = 0;

    for (; *at < until; *at += strlen(t->constraints + *at) + 1) {
        fe_put_statement(out, span_str(t->constraints + *at), NULL, 0);
        n++;
    }
    return n;
}

static uint32_t put_savepoint(struct backend *b, const struct savepoint *sp, struct strbuf *out)
{
    struct strbuf sql = STRBUF_INIT;
    uint32_t n = put_env(b, sp->env, out) + 1;

    strbuf_puts(&sql, "SAVEPOINT ");
    strbuf_put_ident(&sql, span_str(sp->name));
    fe_put_statement(out, strbuf_span(&sql), NULL, 0);
    strbuf_fini(&sql);
    return n;
}

/* The transaction has savepoints: what was said before the first, it, what was said before the next ... */
static uint32_t put_savepoints(const struct txn *t, struct backend *b, size_t *at, struct strbuf *out)
{
    const struct savepoint *few[16], **chain = few;
    uint32_t n, depth = 0, i;

    for (const struct savepoint *sp = t->savepoint; sp; sp = sp->outer)
        depth++;
    if (depth > ARRAY_LEN(few))
        chain = mem_alloc(depth * sizeof(struct savepoint *));
    i = depth;
    for (const struct savepoint *sp = t->savepoint; sp; sp = sp->outer)
        chain[--i] = sp;
    n = put_modes("BEGIN", &b->env_next->defaults, &chain[0]->modes, out);
    for (i = 0; i < depth; i++) {
        const struct txn_modes *then = i + 1 < depth ? &chain[i + 1]->modes : &t->modes;

        n += put_constraints(t, at, chain[i]->constraints_len, out);
        n += put_savepoint(b, chain[i], out);
        if (!modes_equal(&chain[i]->modes, then))
            n += put_modes("SET TRANSACTION", &chain[i]->modes, then, out);
    }
    if (chain != few)
        free(chain);
    return n;
}

void txn_announcement(struct session *s, char out[TXN_ANNOUNCEMENT_MAX])
{
    snprintf(out, TXN_ANNOUNCEMENT_MAX, "SELECT pg_catalog.pg_try_advisory_xact_lock_shared(%llu)",
             (unsigned long long)gtid_lock(span_str(txn_gtid(s))));
}

bool txn_announces(const struct session *s, const struct backend *b)
{
    return (s->nheld > 1 || s->txn.recorded) && b->begun && b->announced == ANNOUNCED_NOT && s->tx == 'T' &&
           b->tx == 'T' && s->txn.env;
}

/* After what it has said: some of that must come before the first query. */
static uint32_t put_announcement(struct session *s, struct backend *b, struct strbuf *out)
{
    char sql[TXN_ANNOUNCEMENT_MAX];

    txn_announcement(s, sql);
    fe_put_statement(out, span_str(sql), NULL, 0);
    b->announced = s->txn.savepoint ? ANNOUNCED_IN_SAVEPOINT : ANNOUNCED;
    return 1;
}

/* BEGIN and all that the transaction has said since, in its order. */
static uint32_t put_begin(struct session *s, struct backend *b, struct strbuf *out)
{
    const struct txn *t = &s->txn;
    size_t at = 0;
    uint32_t n = 1;

    b->begun = true;
    if (UNLIKELY(t->savepoint))
        n = put_savepoints(t, b, &at, out);
    else if (UNLIKELY(!modes_equal(&b->env_next->defaults, &t->modes)))
        n = put_modes("BEGIN", &b->env_next->defaults, &t->modes, out);
    else
        fe_put_statement(out, SPAN("BEGIN"), NULL, 0);
    n += put_constraints(t, &at, t->constraints_len, out);
    return s->nheld > 1 || t->recorded ? n + put_announcement(s, b, out) : n;
}

/*
 * Without BEGIN: a statement by itself takes its modes from the defaults that the connection has when it begins, which
 * is before the settings in front of it. So these modes are set for it by name (without a warning, and before the first
 * query).
 */
static uint32_t put_defaults(const struct txn_modes *from, const struct txn_modes *to, struct strbuf *out)
{
    struct txn_modes changes = modes_changes(from, to);
    uint32_t n = 0;

    if (changes.isolation != ISOLATION_UNSAID) {
        struct strbuf sql = STRBUF_INIT;

        strbuf_printf(&sql, "SET transaction_isolation TO '%s'", isolation_value(changes.isolation));
        fe_put_statement(out, strbuf_span(&sql), NULL, 0);
        strbuf_fini(&sql);
        n++;
    }
    if (changes.read_only != MODE_UNSAID) {
        fe_put_statement(out,
                         changes.read_only == MODE_ON ? SPAN("SET transaction_read_only TO on")
                                                      : SPAN("SET transaction_read_only TO off"),
                         NULL, 0);
        n++;
    }
    if (changes.deferrable != MODE_UNSAID) {
        fe_put_statement(out,
                         changes.deferrable == MODE_ON ? SPAN("SET transaction_deferrable TO on")
                                                       : SPAN("SET transaction_deferrable TO off"),
                         NULL, 0);
        n++;
    }
    return n;
}

uint32_t txn_put_settings(struct session *s, struct backend *b, struct strbuf *out)
{
    return put_env(b, s->env, out);
}

uint32_t txn_put_prefix(struct session *s, struct backend *b, struct strbuf *out)
{
    uint32_t n = 0;

    if (b->pool == s->set->gather) /* no participant: at most a cursor is there (exec_cursor.c) */
        return put_env(b, s->env, out);
    if (s->txn.env && !b->begun)
        n = put_begin(s, b, out);
    else if (UNLIKELY(txn_announces(s, b)))
        n = put_announcement(s, b, out);
    else if (!s->txn.env && b->env_next != s->env)
        n = put_defaults(&b->env_next->defaults, &s->env->defaults, out);
    return n + put_env(b, s->env, out);
}
