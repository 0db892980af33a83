#include "router/session/prepared.h"

#include "base/hash.h"
#include "base/mem.h"
#include "router/schema.h"
#include "router/server/oids.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct span prepared_server_name(uint32_t serial, char out[PREPARED_NAME_MAX])
{
    static const char digits[] = "0123456789abcdef";
    char *p = out + 8;

    memcpy(out, "pgbraid_", 8);
    for (int shift = 28; shift >= 0; shift -= 4) {
        if (serial >> shift || shift == 0)
            *p++ = digits[(serial >> shift) & 15];
    }
    *p = '\0';
    return span_make(out, (size_t)(p - out));
}

static uint64_t prepared_hash(const struct session *s, struct span sql, const char *types, uint16_t ntype)
{
    uint64_t h = hash_seeded(sql.ptr, sql.len, s->worker->hash_seed ^ (uintptr_t)s->set ^ s->env->plan.id);

    return ntype ? hash_seeded(types, ntype * 4u, h) : h;
}

static void prepared_free(struct worker *w, struct prepared *p)
{
    /* Only what nobody refers to gets here, which the analyser cannot see. */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    if (p->shared) {
        hmap_remove(&w->prepared, &p->node);
        w->nprepared--;
    }
    list_remove(&p->lru);
    plan_unref(p->plan);
    free(p->literals);
    free(p->users);
    free(p);
}

static bool prepared_plan(struct session *s, struct prepared *p, struct err *e)
{
    struct worker *w = s->worker;
    uint32_t types[64];
    uint32_t *t = p->ntype <= ARRAY_LEN(types) ? types : mem_alloc(p->ntype * sizeof(*t));
    struct literals lits;
    struct plan *plan;

    for (uint32_t i = 0; i < p->ntype; i++)
        t[i] = proto_get32(p->types + 4 * i);
    plan = planner_plan(w->planner, session_catalog(s), s->db->map, &s->env->plan, p->sql, t, p->ntype, &lits, e);
    if (t != types)
        free(t);
    if (!plan)
        return false;
    plan_unref(p->plan);
    p->plan = plan;
    p->epoch = catalog_epoch(session_catalog(s));
    p->serial = ++w->next_serial;
    p->shape = 0;
    p->typed = false;
    p->nliteral = lits.n;
    p->literals = mem_realloc(p->literals, (lits.n ? lits.n : 1) * sizeof(*p->literals));
    if (lits.n)
        memcpy(p->literals, lits.v, lits.n * sizeof(*p->literals));
    return true;
}

struct prepared *prepared_get(struct session *s, struct span sql, const char *types, uint16_t ntype, struct err *e)
{
    struct worker *w = s->worker;
    uint64_t hash = prepared_hash(s, sql, types, ntype);
    struct prepared *p;
    char *tail;

    for (struct hmap_node *node = hmap_first(&w->prepared, hash); node; node = hmap_next(node)) {
        p = CONTAINER_OF(node, struct prepared, node);
        if (p->set == s->set && p->env_id == s->env->plan.id && p->ntype == ntype && span_eq(p->sql, sql) &&
            memcmp(p->types, types, ntype * 4u) == 0) {
            prepared_ref(p);
            if (LIKELY(p->epoch == catalog_epoch(session_catalog(s))) || prepared_refresh(s, &p, e))
                return p;
            prepared_unref(w, p);
            return NULL;
        }
    }
    p = mem_zalloc(sizeof(*p) + sql.len + 1 + ntype * 4u);
    tail = (char *)(p + 1);
    memcpy(tail, sql.ptr, sql.len);
    p->sql = span_make(tail, sql.len);
    if (ntype)
        memcpy(tail + sql.len + 1, types, ntype * 4u);
    p->types = tail + sql.len + 1;
    p->ntype = ntype;
    p->refs = 1;
    p->env_id = s->env->plan.id;
    p->set = s->set;
    list_init(&p->lru);
    if (!prepared_plan(s, p, e)) {
        prepared_free(w, p);
        return NULL;
    }
    p->shared = !p->plan->no_share;
    if (p->shared) {
        hmap_insert(&w->prepared, &p->node, hash);
        w->nprepared++;
    }
    return p;
}

bool prepared_refresh(struct session *s, struct prepared **pp, struct err *e)
{
    struct prepared *p = *pp;
    struct prepared *fresh;

    if (p->env_id == s->env->plan.id && p->epoch == catalog_epoch(session_catalog(s)))
        return true;
    if (p->env_id == s->env->plan.id)
        return prepared_plan(s, p, e);
    /* The session's environment for parse analysis changed since: PostgreSQL would re-resolve names at the next
     * execution, so prepare the same text under the new one. */
    fresh = prepared_get(s, p->sql, p->types, p->ntype, e);
    if (!fresh)
        return false;
    prepared_unref(s->worker, p);
    *pp = fresh;
    return true;
}

uint64_t prepared_shape(char type, struct span body)
{
    struct reader r = rd_make(body);
    uint16_t n = type == BE_ROW_DESCRIPTION ? rd_u16(&r) : 0;
    uint64_t shape = n;

    for (uint16_t i = 0; i < n; i++) {
        struct span name = rd_cstr(&r), rest;

        (void)rd_bytes(&r, 6); /* table and column number */
        rest = rd_bytes(&r, 10);
        if (r.bad)
            break;
        shape = hash_seeded(name.ptr, name.len, shape);
        /* The same type of a user's has a number of its own on each shard. */
        if (proto_get32(rest.ptr) >= 16384)
            rest = span_make(rest.ptr + 4, 6);
        shape = hash_seeded(rest.ptr, rest.len, shape);
    }
    return shape | 1;
}

void prepared_note_columns(struct prepared *p, char type, struct span body)
{
    struct reader r = rd_make(body);
    uint16_t n = type == BE_ROW_DESCRIPTION ? rd_u16(&r) : 0;
    bool known = true;

    p->nuser = 0;
    p->users = mem_realloc(p->users, (n + 1u) * sizeof(*p->users));
    for (uint16_t i = 0; i < n; i++) {
        uint32_t oid;

        (void)rd_cstr(&r);
        (void)rd_bytes(&r, 6); /* table and column number */
        oid = rd_u32(&r);
        (void)rd_bytes(&r, 8);
        if (oid >= OID_FIRST_USER || oid == OID_RECORD || oid == OID_RECORD_ARRAY)
            p->users[p->nuser++] = oid;
        known = known && oid != OID_UNKNOWN;
    }
    p->typed = known && !r.bad;
}

bool prepared_embeds(const struct prepared *p, const struct poolset *set)
{
    const struct oid_map *m = NULL;

    if (p->typed && p->nuser == 0)
        return false;
    for (uint32_t i = 0; !m && i < set->npool; i++)
        m = set->pools[i]->oids;
    for (uint32_t i = 0; m && p->typed && i < p->nuser; i++) {
        if (oid_map_embeds(m, p->users[i]))
            return true;
    }
    return m && !p->typed;
}

uint32_t prepared_nparam(const struct prepared *p)
{
    return p->ntype > p->plan->nparam ? p->ntype : p->plan->nparam;
}

struct prepared *prepared_ref(struct prepared *p)
{
    if (p->refs++ == 0)
        list_remove(&p->lru);
    return p;
}

void prepared_unref(struct worker *w, struct prepared *p)
{
    if (!p)
        return;
    BUG_ON(p->refs == 0);
    if (--p->refs)
        return;
    if (!p->shared) {
        prepared_free(w, p);
        return;
    }
    list_push_front(&w->prepared_lru, &p->lru);
    if (w->nprepared > PREPARED_KEEP)
        prepared_trim(w, PREPARED_KEEP);
}

void prepared_trim(struct worker *w, uint32_t keep)
{
    while (w->nprepared > keep && !list_empty(&w->prepared_lru))
        prepared_free(w, LIST_ENTRY(w->prepared_lru.prev, struct prepared, lru));
}

static uint64_t name_hash(const struct session *s, struct span name)
{
    return hash_seeded(name.ptr, name.len, s->worker->hash_seed);
}

struct session_statement *session_find_statement(const struct session *s, struct span name)
{
    for (struct hmap_node *node = hmap_first(&s->statements, name_hash(s, name)); node; node = hmap_next(node)) {
        struct session_statement *st = CONTAINER_OF(node, struct session_statement, node);

        if (span_eq_str(name, st->name))
            return st;
    }
    return NULL;
}

void session_put_statement(struct session *s, struct span name, struct prepared *p)
{
    struct session_statement *st = mem_zalloc(sizeof(*st) + name.len + 1);

    memcpy(st->name, name.ptr, name.len);
    st->prepared = p;
    hmap_insert(&s->statements, &st->node, name_hash(s, name));
}

bool session_drop_statement(struct session *s, struct span name)
{
    struct session_statement *st = session_find_statement(s, name);

    if (!st)
        return false;
    hmap_remove(&s->statements, &st->node);
    prepared_unref(s->worker, st->prepared);
    free(st);
    return true;
}

void session_drop_statements(struct session *s)
{
    struct hmap_node *node;

    while ((node = hmap_any(&s->statements))) {
        struct session_statement *st = CONTAINER_OF(node, struct session_statement, node);

        hmap_remove(&s->statements, node);
        prepared_unref(s->worker, st->prepared);
        free(st);
    }
    hmap_fini(&s->statements);
}
