/*
 * Extended protocol, the short way: a batch of messages up to Sync that all runs on one shard.
 *
 * First look (batch_look): decode the messages, find each Bind's route, decide the shard or that the long way is
 * needed. Nothing of the session changes, so the batch may be looked at again after a wait. Second look (batch_send):
 * statement names are replaced by server names, Parse messages are put in front for statements that the connection does
 * not have yet, and all goes out in one write. When no name occurs the client's bytes go out untouched.
 *
 * A Parse of a named statement that the connection has already is sent as a Parse of the unnamed statement, so that
 * ParseComplete (or the error) comes from the server in its place; a Close of a statement is sent as one of a name that
 * does not exist, for the same reason. So a name must mean one statement throughout the batch: one that parses several
 * of which any is named, or closes statements elsewhere than at its head (where an error may skip the Close), goes the
 * long way.
 */
#include "router/session/query.h"

#include "base/mem.h"
#include "router/config/config.h"
#include "router/exec/exec.h"
#include "router/schema.h"
#include "router/server/backend.h"
#include "router/server/oids.h"
#include "router/server/pool.h"
#include "router/session/channels.h"
#include "router/session/portal.h"
#include "router/session/prepared.h"
#include "router/session/session.h"
#include "router/txn/isolation.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_MAX_PARAMS 256u           /* parameters of a Bind on the short way */
#define BATCH_MAX_USED   8u             /* statements of earlier batches that one batch may use on the short way */
#define BATCH_MAX_CLOSED 8u             /* statements that one batch may close on the short way */
#define BATCH_KEEP_MAX   (256u * 1024u) /* bytes of a pipeline without Sync kept before it is started */

struct batch {
    size_t len; /* bytes, Sync included */
    uint32_t nexecute, nbind, nmessage;
    bool describes_home;   /* a statement that only the home shard understands */
    bool slow;             /* needs the long way */
    bool embeds;           /* ... on other shards than the home shard: ids inside of values (rule P37) */
    bool rewrite;          /* names must be replaced */
    bool shard_known, any; /* `any`: something runs that may run anywhere */
    uint32_t shard;
    bool writes, unpreparable, opaque, moment, answers; /* answers: a message that a server must answer */
    uint32_t nparsed;
    struct {
        struct span name;
        struct prepared *prepared; /* owned reference until committed */
    } parsed[SESSION_MAX_PARSE];
    bool describes;
    struct span described; /* the statement described; one if it is named */
    uint32_t nclosed;
    struct span closed[BATCH_MAX_CLOSED]; /* at the head of the batch */
    uint32_t nused;
    struct prepared *used[BATCH_MAX_USED]; /* borrowed: not parsed in this batch */
    struct plan *plan;                     /* borrowed: what the last Bind or Describe was about */
};

/* What may stand before the Sync of a pipeline. Anything else ends it: data may be for a COPY that an Execute before it
 * begins. */
static bool is_batch_message(char type)
{
    return memchr("PBDECS", type, 6) != NULL;
}

size_t query_batch_length(struct session *s, const char *data, size_t len)
{
    size_t pos = s->scanned <= len ? s->scanned : 0;

    while (len - pos >= PROTO_HEADER) {
        size_t frame = (size_t)proto_get32(data + pos + 1) + 1;

        if (!is_batch_message(data[pos]) || !session_frame_ok(s, data + pos) || frame > len - pos)
            break;
        pos += frame;
        if (data[pos - frame] == FE_SYNC)
            return pos;
    }
    s->scanned = pos;
    return 0;
}

/* What a name means behind the batch's first nparsed Parse messages; *here: it was parsed by one of them. */
static struct prepared *batch_find(struct session *s, struct batch *b, struct span name, uint32_t nparsed, bool *here)
{
    struct session_statement *st;

    *here = true;
    for (uint32_t i = nparsed; i > 0; i--) {
        if (span_eq(b->parsed[i - 1].name, name))
            return b->parsed[i - 1].prepared;
    }
    *here = false;
    if (name.len == 0)
        return s->unnamed;
    st = session_find_statement(s, name);
    return st ? st->prepared : NULL;
}

static bool batch_closed(const struct batch *b, struct span name)
{
    for (uint32_t i = 0; i < b->nclosed; i++) {
        if (span_eq(b->closed[i], name))
            return true;
    }
    return false;
}

/* The statement of an earlier batch, brought up to the current catalog and noted as used. */
static struct prepared *batch_use(struct session *s, struct batch *b, struct span name, struct err *e)
{
    struct session_statement *st = name.len ? session_find_statement(s, name) : NULL;
    struct prepared **slot = name.len ? (st ? &st->prepared : NULL) : &s->unnamed;

    if (UNLIKELY(b->nclosed) && batch_closed(b, name))
        slot = NULL;
    if (!slot || !*slot || b->nused >= BATCH_MAX_USED || !prepared_refresh(s, slot, e)) {
        b->slow = true;
        return NULL;
    }
    if (UNLIKELY(st && st->shape && st->shape != (*slot)->shape)) { /* the schema has changed (rule P13) */
        b->slow = true;
        return NULL;
    }
    b->rewrite = true;
    for (uint32_t i = 0; i < b->nused; i++) {
        if (b->used[i] == *slot)
            return *slot;
    }
    b->used[b->nused++] = *slot;
    return *slot;
}

static struct prepared *batch_statement(struct session *s, struct batch *b, struct span name, struct err *e)
{
    bool here;
    struct prepared *p = batch_find(s, b, name, b->nparsed, &here);

    return here ? p : batch_use(s, b, name, e);
}

static void batch_shard(struct batch *b, uint32_t shard)
{
    if (b->shard_known && b->shard != shard)
        b->slow = true;
    b->shard = shard;
    b->shard_known = true;
}

static bool batch_route(struct session *s, struct batch *b, struct prepared *p, const struct fe_bind *bind,
                        struct err *e)
{
    struct span values[BATCH_MAX_PARAMS];
    uint8_t binary[BATCH_MAX_PARAMS];
    uint32_t types[BATCH_MAX_PARAMS];
    struct bind_values binds = { .n = bind->nparam, .values = values, .types = types, .binary = binary };
    struct literals lits = { .n = p->nliteral, .v = p->literals };
    struct route route;

    b->plan = p->plan;
    /* What is malformed is the long way's to say; what is not a plain statement goes there, too. */
    if ((p->plan->kind != PLAN_QUERY && p->plan->kind != PLAN_INSERT) || p->plan->long_way ||
        (s->channels && channels_plan_notifies(p->plan)) || bind->nparam > BATCH_MAX_PARAMS ||
        bind->nparam != prepared_nparam(p) || (bind->portal.len && portal_exists(s, bind->portal)) ||
        !fe_bind_values(bind, values, binary)) {
        b->slow = true;
        return true;
    }
    for (uint32_t i = 0; i < bind->nparam; i++)
        types[i] = i < p->ntype ? proto_get32(p->types + 4 * (size_t)i) : 0;
    if (!plan_route(p->plan, s->db->map, p->sql, &lits, &binds, &s->worker->scratch, &route, e)) {
        b->slow = true;
        return true;
    }
    b->writes = b->writes || p->plan->writes;
    b->unpreparable = b->unpreparable || p->plan->unpreparable;
    b->opaque = b->opaque || p->plan->opaque;
    b->moment = b->moment || p->plan->moment;
    b->embeds = b->embeds || (fe_bind_wants_binary(bind) && p->plan->returns_rows && prepared_embeds(p, s->set));
    if (route.any)
        b->any = true;
    else if (route.n == 1)
        batch_shard(b, route.first);
    else
        b->slow = true;
    return true;
}

static void batch_portal(struct session *s, struct batch *b, struct span name)
{
    struct pool *pool;

    if (b->nbind)
        return; /* bound in this batch, or the server says that it does not exist */
    pool = portal_find(s, name);
    b->slow = b->slow || portal_embeds(s, name);
    for (uint32_t i = 0; pool && i < s->set->npool; i++) {
        if (s->set->pools[i] == pool) {
            batch_shard(b, i);
            return;
        }
    }
    b->slow = true;
}

static void batch_parse(struct session *s, struct batch *b, const struct fe_parse *parse, struct err *e)
{
    struct prepared *p;

    bool taken = parse->name.len && session_find_statement(s, parse->name) && !batch_closed(b, parse->name);

    if (taken || b->nparsed >= SESSION_MAX_PARSE || (b->nparsed && (parse->name.len || b->parsed[0].name.len))) {
        b->slow = true;
        return;
    }
    p = prepared_get(s, parse->sql, parse->types, parse->ntype, e);
    if (!p) {
        b->slow = true; /* errors keep their place in the batch on the long way */
        return;
    }
    if (parse->name.len)
        b->rewrite = true;
    b->parsed[b->nparsed].name = parse->name;
    b->parsed[b->nparsed++].prepared = p;
    if (!b->plan)
        b->plan = p->plan;
}

/* False: malformed, the connection ends with the error. */
static bool batch_message(struct session *s, struct batch *b, char type, struct span body, struct err *e)
{
    struct fe_target target;
    struct fe_parse parse;
    struct fe_bind bind;
    struct fe_execute execute;
    struct plan *plan;
    struct prepared *p;

    switch (type) {
    case FE_PARSE:
        if (!fe_decode_parse(body, &parse))
            return err_set(e, PB0101, "invalid Parse message");
        b->answers = true;
        batch_parse(s, b, &parse, e);
        return true;
    case FE_BIND:
        if (!fe_decode_bind(body, &bind))
            return err_set(e, PB0101, "invalid Bind message");
        b->answers = true;
        p = batch_statement(s, b, bind.statement, e);
        b->nbind++;
        return p ? batch_route(s, b, p, &bind, e) : true;
    case FE_DESCRIBE:
    case FE_CLOSE:
        if (!fe_decode_target(body, &target))
            return err_set(e, PB0101, "invalid Describe or Close message");
        if (target.kind == 'P') {
            if (type == FE_CLOSE && b->nbind == 0 && !portal_exists(s, target.name))
                return true;
            b->answers = true;
            batch_portal(s, b, target.name);
        } else if (type == FE_DESCRIBE) {
            b->answers = true;
            p = batch_statement(s, b, target.name, e);
            plan = p ? p->plan : NULL;
            if (!b->plan)
                b->plan = plan;
            if (plan && plan->kind == PLAN_SESSION && plan->session->verb != SESSION_SHOW)
                b->slow = true; /* what it is about may be on a shard of its own */
            b->describes_home = b->describes_home || (plan && plan->scope == SCOPE_HOME);
            if (b->describes && (target.name.len || b->described.len))
                b->slow = true; /* one name can be noted */
            b->describes = true;
            b->described = target.name;
        } else if (b->nmessage > b->nclosed || b->nclosed == BATCH_MAX_CLOSED) {
            b->slow = true;
        } else {
            b->closed[b->nclosed++] = target.name;
            b->rewrite = true;
        }
        return true;
    case FE_EXECUTE:
        if (!fe_decode_execute(body, &execute))
            return err_set(e, PB0101, "invalid Execute message");
        b->answers = true;
        b->nexecute++;
        batch_portal(s, b, execute.portal);
        return true;
    case FE_SYNC:
        return true;
    default:
        b->slow = true; /* Flush, or something that does not belong here */
        return true;
    }
}

static void batch_drop(struct session *s, struct batch *b)
{
    for (uint32_t i = 0; i < b->nparsed; i++)
        prepared_unref(s->worker, b->parsed[i].prepared);
    b->nparsed = 0;
}

static bool batch_look(struct session *s, struct batch *b, const char *data, size_t len, struct err *e)
{
    size_t pos = 0;

    while (pos < len && !b->slow) {
        size_t frame = (size_t)proto_get32(data + pos + 1) + 1;

        if (!batch_message(s, b, data[pos], span_make(data + pos + PROTO_HEADER, frame - PROTO_HEADER), e))
            return false;
        b->nmessage++;
        pos += frame;
    }
    return true;
}

/* Parse messages for statements that the connection lacks; their ParseCompletes are swallowed. */
static void batch_put_missing(struct backend *be, const struct batch *b, struct strbuf *out)
{
    for (uint32_t i = 0; i < b->nused; i++) {
        const struct prepared *p = b->used[i];
        char name[PREPARED_NAME_MAX];
        uint32_t closed;

        if (backend_has_statement(be, p->serial))
            continue;
        closed = backend_add_statement(be, p->serial, be->pool->worker->config_max_prepared, out);
        backend_put_parse(be, out, prepared_server_name(p->serial, name), p->sql, p->types, p->ntype);
        backend_expect_parse(be, p->serial, closed + 1);
    }
}

static void batch_put_parse(struct session *s, struct backend *be, struct batch *b, uint32_t index, struct strbuf *out)
{
    struct prepared *p = b->parsed[index].prepared;
    char name[PREPARED_NAME_MAX];

    BUG_ON(!p); /* batch_parse went the long way otherwise */
    s->run_parse[index].ordinal = index + 1;
    s->run_parse[index].serial = 0;
    s->run_parse[index].proves = p->serial;
    s->run_parse[index].name = NULL;
    s->run_nparse = (uint8_t)(index + 1);
    if (b->parsed[index].name.len == 0) {
        backend_put_parse(be, out, (struct span){ 0 }, p->sql, p->types, p->ntype);
        return;
    }
    s->run_parse[index].name = mem_strndup(b->parsed[index].name.ptr, b->parsed[index].name.len);
    if (backend_has_statement(be, p->serial) || be->nstatement >= be->pool->worker->config_max_prepared) {
        backend_put_parse(be, out, (struct span){ 0 }, p->sql, p->types, p->ntype);
        return;
    }
    (void)backend_add_statement(be, p->serial, be->pool->worker->config_max_prepared, out);
    s->run_parse[index].serial = p->serial;
    backend_put_parse(be, out, prepared_server_name(p->serial, name), p->sql, p->types, p->ntype);
}

/* The server's name for a statement that a message behind nparsed Parse messages means; empty for an unnamed one parsed
 * here. */
static struct span batch_name(struct session *s, struct backend *be, struct batch *b, struct span name,
                              uint32_t nparsed, char *buf)
{
    bool here;
    struct prepared *p = batch_find(s, b, name, nparsed, &here);

    if (here && (name.len == 0 || !backend_has_statement(be, p->serial)))
        return (struct span){ 0 }; /* it was sent as the unnamed statement */
    return prepared_server_name(p->serial, buf);
}

static void batch_close(struct session *s, struct span name)
{
    if (name.len) {
        (void)session_drop_statement(s, name);
    } else {
        prepared_unref(s->worker, s->unnamed);
        s->unnamed = NULL;
    }
}

static void batch_put(struct session *s, struct backend *be, struct batch *b, const char *data, struct strbuf *out)
{
    char name[PREPARED_NAME_MAX];
    uint32_t nparse = 0;
    size_t pos = 0;

    while (pos < b->len) {
        size_t frame = (size_t)proto_get32(data + pos + 1) + 1;
        struct span body = span_make(data + pos + PROTO_HEADER, frame - PROTO_HEADER);
        struct fe_target target;
        struct fe_bind bind;

        if (data[pos] == FE_PARSE) {
            batch_put_parse(s, be, b, nparse++, out);
        } else if (data[pos] == FE_BIND && fe_decode_bind(body, &bind)) {
            size_t names = bind.portal.len + bind.statement.len + 2;

            fe_put_bind(out, bind.portal, batch_name(s, be, b, bind.statement, nparse, name),
                        span_make(body.ptr + names, body.len - names));
        } else if (data[pos] == FE_DESCRIBE && fe_decode_target(body, &target) && target.kind == 'S') {
            fe_put_describe(out, 'S', batch_name(s, be, b, target.name, nparse, name));
        } else if (data[pos] == FE_CLOSE && fe_decode_target(body, &target) && target.kind == 'S') {
            batch_close(s, target.name);
            fe_put_close(out, 'S', SPAN("pgbraid_none"));
        } else {
            strbuf_put(out, data + pos, frame);
        }
        pos += frame;
    }
}

/* The batch is on its way: its statements and portals become the session's. */
static void batch_commit(struct session *s, struct batch *b, struct backend *be, const char *data)
{
    for (uint32_t i = 0; i < b->nparsed; i++) {
        struct prepared *p = b->parsed[i].prepared;

        if (b->parsed[i].name.len) {
            session_put_statement(s, b->parsed[i].name, p);
        } else {
            prepared_unref(s->worker, s->unnamed);
            s->unnamed = p;
        }
    }
    b->nparsed = 0;
    if (!s->txn.env || b->nbind == 0)
        return;
    for (size_t pos = 0; pos < b->len;) {
        size_t frame = (size_t)proto_get32(data + pos + 1) + 1;
        struct fe_bind bind;

        if (data[pos] == FE_BIND && fe_decode_bind(span_make(data + pos + PROTO_HEADER, frame - PROTO_HEADER), &bind))
            portal_put(s, bind.portal, be->pool);
        pos += frame;
    }
}

/* Nothing but unnamed statements are parsed: what to forget if that fails. */
static void batch_note_parses(struct session *s, const struct batch *b)
{
    for (uint32_t i = 0; i < b->nparsed; i++) {
        s->run_parse[i].ordinal = i + 1;
        s->run_parse[i].serial = 0;
        s->run_parse[i].proves = b->parsed[i].prepared->serial;
        s->run_parse[i].name = NULL;
    }
    s->run_nparse = (uint8_t)b->nparsed;
}

/* Does a statement parsed here name types of users? Their ids are another's on this shard (rule P37). */
static bool batch_declares_types(const struct batch *b)
{
    for (uint32_t i = 0; i < b->nparsed; i++) {
        const struct prepared *p = b->parsed[i].prepared;

        if (oids_of_users(p->types, p->ntype))
            return true;
    }
    return false;
}

static void batch_send(struct session *s, struct batch *b, struct backend *be, const char *data)
{
    struct strbuf *out = &s->worker->out;
    struct plan *plan = b->plan;

    if (!s->run_aside && ((s->txn.env && !be->begun) || be->env_next != s->env || txn_announces(s, be))) {
        uint32_t n = txn_put_prefix(s, be, out);

        if (n)
            backend_expect(be, EXPECT_PREFIX)->count = n;
    }
    if (b->nused)
        batch_put_missing(be, b, out);
    b->rewrite = b->rewrite || (be->pool->oids && batch_declares_types(b));
    if (b->rewrite)
        batch_put(s, be, b, data, out);
    else
        batch_note_parses(s, b);
    if (b->described.len) {
        free(s->run_describe);
        s->run_describe = mem_strndup(b->described.ptr, b->described.len);
    }
    be->shape_next = false;
    backend_expect(be, EXPECT_RELAY);
    if (plan)
        plan_ref(plan);
    batch_commit(s, b, be, data);
    query_start(s, be, plan, true);
    be->wrote = be->wrote || (b->writes && txn_may_write(&s->txn));
    be->unpreparable = be->unpreparable || b->unpreparable;
    be->dirty = be->dirty || b->opaque;
    if (b->rewrite) {
        stream_write(&be->st, out->ptr, out->len);
    } else if (out->len) {
        stream_write2(&be->st, out->ptr, out->len, data, b->len);
    } else {
        stream_write(&be->st, data, b->len);
    }
    strbuf_reset(out);
}

/* Nothing in the batch needs a server: Close and Sync. */
static size_t batch_answer(struct session *s, struct batch *b, const char *data)
{
    struct strbuf *out = &s->worker->out;

    for (size_t pos = 0; pos < b->len;) {
        size_t frame = (size_t)proto_get32(data + pos + 1) + 1;
        struct fe_target target;

        if (data[pos] == FE_CLOSE &&
            fe_decode_target(span_make(data + pos + PROTO_HEADER, frame - PROTO_HEADER), &target)) {
            if (target.kind == 'S')
                batch_close(s, target.name);
            strbuf_put(out, "3\0\0\0\4", 5);
        }
        pos += frame;
    }
    session_put_ready(s, out);
    session_send(s, out->ptr, out->len);
    strbuf_reset(out);
    return b->len;
}

/* A batch that only parses and describes does not enlist a shard in the transaction (rule P54). */
static uint32_t batch_aside_shard(const struct session *s, const struct batch *b)
{
    if (b->plan && b->plan->scope == SCOPE_HOME)
        return s->set->home;
    return s->held ? query_any_shard(s) : s->set->home;
}

/*
 * Parse messages that the router answers: of its own statements (BEGIN, COMMIT, SET ...), which its parser has
 * accepted, and in a transaction that holds no connection of the shard (`aside`) those that a server has accepted
 * before. Waiting for a connection could be for ever: some clients (libpq's PQprepare) do nothing else meanwhile, and
 * the connections may be held by other transactions of the same program (rule P50).
 */
static bool batch_needs_no_server(const struct batch *b, bool aside)
{
    if (b->nparsed == 0 || b->nmessage != b->nparsed + 1)
        return false;
    for (uint32_t i = 0; i < b->nparsed; i++) {
        const struct prepared *p = b->parsed[i].prepared;
        bool own;

        BUG_ON(!p->plan); /* it would not have been prepared */
        own = p->plan->kind == PLAN_SESSION && p->plan->session->verb != SESSION_SET_CONFIG;

        if (!own && !(aside && p->proved == p->serial))
            return false;
    }
    return true;
}

static size_t batch_answer_parses(struct session *s, struct batch *b, const char *data)
{
    struct strbuf *out = &s->worker->out;

    for (uint32_t i = 0; i < b->nparsed; i++)
        strbuf_put(out, "1\0\0\0\4", 5);
    batch_commit(s, b, NULL, data); /* binds nothing, so needs no connection */
    session_put_ready(s, out);
    session_send(s, out->ptr, out->len);
    strbuf_reset(out);
    return b->len;
}

static size_t batch_long_way(struct session *s, struct batch *b, const char *data, size_t len)
{
    batch_drop(s, b);
    s->scanned = 0;
    exec_start_batch(s, span_make(data, len));
    return len;
}

static size_t batch_run(struct session *s, struct batch *b, const char *data)
{
    struct backend *be;
    struct err e;
    uint32_t shard;
    bool aside = false;

    err_clear(&e);
    if (b->shard_known)
        shard = b->shard;
    else if (b->nbind || b->nexecute)
        shard = query_any_shard(s);
    else
        shard = batch_aside_shard(s, b);
    if (UNLIKELY(b->describes_home) && shard != s->set->home)
        return batch_long_way(s, b, data, b->len);
    if (UNLIKELY(b->embeds) && s->set->pools[shard]->oids)
        return batch_long_way(s, b, data, b->len);
    if (UNLIKELY(txn_has_snapshot(&s->txn) || b->moment) && b->nbind &&
        (isolation_takes_all(s) || !isolation_allows(s, b->moment, 1, shard, &e)))
        return batch_long_way(s, b, data, b->len); /* which says so at the right place */
    if (!b->nbind && !b->nexecute && !b->shard_known && s->txn.env) {
        be = session_lease_of(s, s->set->pools[shard]);
        aside = !be || !be->begun;
    }
    if (UNLIKELY(b->nexecute == 0) && batch_needs_no_server(b, aside))
        return batch_answer_parses(s, b, data);
    if ((b->writes || b->opaque) && !s->txn.env && UNLIKELY(query_hold_commit(s, s->set->pools[shard]->shard_id))) {
        batch_drop(s, b);
        return 0;
    }
    be = query_lease(s, shard);
    if (!be) {
        batch_drop(s, b);
        return 0;
    }
    s->run_aside = aside;
    batch_send(s, b, be, data);
    return b->len;
}

/*
 * Before the long way: may the batch start (query_hold)? `plan`: of the statement that sent it there, NULL: it was not
 * looked at. What binds nothing runs nothing.
 */
static bool batch_hold(struct session *s, const char *data, size_t len, const struct plan *plan)
{
    uint32_t n = 0;

    if (LIKELY(s->db->hold == HOLD_NONE) || s->tx == 'E')
        return false;
    for (size_t pos = 0; pos < len; pos += (size_t)proto_get32(data + pos + 1) + 1)
        n += data[pos] == FE_BIND || data[pos] == FE_EXECUTE;
    return n && query_hold(s, n > 2 ? NULL : plan);
}

size_t query_extended(struct session *s, const char *data, size_t len)
{
    struct batch b = { 0 };
    struct err e;

    err_clear(&e);
    b.len = query_batch_length(s, data, len);
    if (b.len == 0) {
        size_t whole = s->scanned;
        bool more = len - whole < PROTO_HEADER || (is_batch_message(data[whole]) && session_frame_ok(s, data + whole));

        /* A Flush asks for answers now, a simple Query, Terminate or something malformed ends the pipeline, and a long
         * one is started before it is all here. */
        if (!more && data[whole] == FE_FLUSH && session_frame_ok(s, data + whole))
            whole += PROTO_HEADER;
        else if (!whole || (more && whole <= BATCH_KEEP_MAX))
            return 0;
        return batch_hold(s, data, whole, NULL) ? 0 : batch_long_way(s, &b, data, whole);
    }
    if (UNLIKELY(s->skip_to_sync)) {
        s->scanned = 0;
        s->skip_to_sync = false;
        session_ready(s);
        return b.len;
    }
    if (UNLIKELY(s->tx == 'E' || (s->txn.env && s->txn.implicit)))
        return batch_hold(s, data, b.len, NULL) ? 0 : batch_long_way(s, &b, data, b.len);
    if (UNLIKELY(!batch_look(s, &b, data, b.len, &e))) {
        batch_drop(s, &b);
        session_fatal(s, &e);
        return len;
    }
    if (UNLIKELY(s->db->hold != HOLD_NONE) &&
        (b.slow ? batch_hold(s, data, b.len, b.plan) : b.plan && query_hold(s, b.plan))) {
        batch_drop(s, &b);
        return 0;
    }
    if (b.slow)
        return batch_long_way(s, &b, data, b.len);
    s->scanned = 0;
    if (!b.answers)
        return batch_answer(s, &b, data);
    return batch_run(s, &b, data);
}

/* --- outcomes of Parse and Describe --- */

void query_note_shape(struct session *s, char type, struct span body)
{
    struct session_statement *st = session_find_statement(s, span_str(s->run_describe));

    free(s->run_describe);
    s->run_describe = NULL;
    if (!st)
        return;
    st->shape = st->prepared->shape = prepared_shape(type, body);
    prepared_note_columns(st->prepared, type, body);
}

void query_forget_parses(struct session *s)
{
    for (uint32_t i = 0; i < s->run_nparse; i++)
        free(s->run_parse[i].name);
    s->run_nparse = 0;
    free(s->run_describe);
    s->run_describe = NULL;
}

static void parse_succeeded(struct session *s, uint32_t i)
{
    struct session_statement *st =
        s->run_parse[i].name ? session_find_statement(s, span_str(s->run_parse[i].name)) : NULL;
    struct prepared *p = s->run_parse[i].name ? (st ? st->prepared : NULL) : s->unnamed;

    if (p && p->serial == s->run_parse[i].proves)
        p->proved = p->serial;
}

void query_parses_done(struct session *s, struct backend *b)
{
    for (uint32_t i = 0; i < s->run_nparse; i++) {
        if (s->run_parse[i].ordinal <= b->nparsed) {
            parse_succeeded(s, i);
            continue;
        }
        if (s->run_parse[i].serial)
            backend_forget_statement(b, s->run_parse[i].serial);
        if (s->run_parse[i].name) {
            (void)session_drop_statement(s, span_str(s->run_parse[i].name));
        } else {
            prepared_unref(s->worker, s->unnamed);
            s->unnamed = NULL;
        }
    }
    query_forget_parses(s);
}
