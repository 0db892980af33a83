/*
 * Object ids inside the binary values of a shard's rows become the home shard's (rule P37). Which columns have some is
 * told by the rows' description. Where the client has not asked for one, the part is described all the same, unless it
 * is known already that the statement's columns have none (prepared.h). COPY TO describes no rows: a table's columns
 * are those of the catalog, a query is prepared and described in front of it.
 *
 * What is gathered needs none of it: rows come from the home shard, which takes the shards' values whatever is inside.
 */
#include "router/exec/ids.h"

#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/server/backend.h"
#include "router/server/oids.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "wire/reader.h"

#include <string.h>

static const char copy_signature[11] = "PGCOPY\n\377\r\n";

struct part_ids {
    uint32_t n;
    struct {
        uint16_t column;
        uint32_t type; /* the shard's */
    } v[];
};

static struct part_ids *ids_new(struct exec *x, uint16_t cap)
{
    struct part_ids *ids = arena_alloc(&x->arena, sizeof(*ids) + cap * sizeof(ids->v[0]));

    ids->n = 0;
    return ids;
}

static void ids_add(struct part_ids *ids, const struct oid_map *m, uint16_t column, uint32_t type)
{
    if (!oid_map_embeds(m, type))
        return;
    ids->v[ids->n].column = column;
    ids->v[ids->n++].type = oid_map_to_shard(m, type);
}

/* --- which columns --- */

/* Are these the columns of the prepared statement itself? */
static bool describes_prepared(const struct exec *x)
{
    const struct plan *plan = x->extended && x->task == TASK_STATEMENT && x->prepared ? x->plan : NULL;

    return plan && (plan->kind == PLAN_QUERY || plan->kind == PLAN_INSERT) && x->prepared->plan->kind == plan->kind &&
           !x->prepared->typed && !x->merge && !x->gather && !x->explain && !x->pieces;
}

bool exec_ids_described(struct exec *x, struct part *p, struct span row_desc)
{
    const struct oid_map *m = p->backend->pool->oids;
    struct reader r = rd_make(row_desc);
    struct part_ids *ids;
    uint16_t n = rd_u16(&r);

    if (describes_prepared(x))
        prepared_note_columns(x->prepared, BE_ROW_DESCRIPTION, row_desc);
    p->ids = NULL;
    if (!m)
        return true;
    ids = ids_new(x, n);
    for (uint16_t i = 0; i < n; i++) {
        struct span name = rd_cstr(&r);
        uint32_t type;
        bool binary;

        (void)rd_bytes(&r, 6);
        type = rd_u32(&r);
        (void)rd_bytes(&r, 6);
        binary = rd_u16(&r) == 1 || exec_is_copy_out(x);
        if (r.bad || !binary)
            continue;
        if (type == OID_UNKNOWN) {
            err_set(&x->own_error, PB0313, "the type of column \"%.*s\" is not known to the router yet", (int)name.len,
                    name.ptr);
            err_detail(&x->own_error, "Types become known when the transaction that makes them has ended.");
            return err_hint(&x->own_error, "Run it again, cast the column to text, or ask for it in text format.");
        }
        ids_add(ids, m, i, type);
    }
    if (ids->n)
        p->ids = ids;
    return true;
}

bool exec_ids_asks(const struct exec *x, const struct part *p)
{
    return x->extended && p->backend->pool->oids && fe_bind_wants_binary(&x->bind) &&
           (x->plan->returns_rows || exec_is_fetch(x->plan)) && prepared_embeds(x->prepared, x->s->set);
}

/* --- COPY TO --- */

/* The query alone, where it stands in the text: errors tell the same position. */
static void put_query_alone(const struct exec *x, struct strbuf *text)
{
    const struct plan_copy *copy = x->plan->copy;

    for (uint32_t i = 0; i < copy->start; i++) {
        if (((unsigned char)x->text.ptr[i] & 0xC0) != 0x80)
            strbuf_putc(text, ' ');
    }
    strbuf_put(text, x->text.ptr + copy->start, copy->end - copy->start);
}

bool exec_ids_put_copy(struct exec *x, struct part *p, struct strbuf *out)
{
    static const char nothing[6] = { 0 }; /* no parameters, no formats */
    const struct oid_map *m = p->backend->pool->oids;
    const struct plan_copy *copy = x->plan->copy;
    struct strbuf text = STRBUF_INIT;

    if (!m || !exec_is_copy_out(x) || copy->format != COPY_FORMAT_BINARY)
        return false;
    if (copy->types) {
        struct part_ids *ids = ids_new(x, (uint16_t)copy->ncolumn);

        for (uint32_t i = 0; i < copy->ncolumn; i++)
            ids_add(ids, m, (uint16_t)i, copy->types[i]);
        p->ids = ids->n ? ids : NULL;
        return false;
    }
    put_query_alone(x, &text);
    backend_put_parse(p->backend, out, (struct span){ 0 }, strbuf_span(&text), "", 0);
    strbuf_fini(&text);
    fe_put_describe(out, 'S', (struct span){ 0 });
    backend_put_parse(p->backend, out, (struct span){ 0 }, exec_text(x), "", 0);
    fe_put_bind(out, (struct span){ 0 }, (struct span){ 0 }, span_make(nothing, sizeof(nothing)));
    fe_put_execute(out, (struct span){ 0 }, 0);
    return true;
}

/* --- rows --- */

/* The fields of a DataRow or a tuple of COPY: their number, then elements. */
static bool replace_in(struct part *p, char *at, size_t len, struct err *e)
{
    const struct oid_map *m = p->backend->pool->oids;
    char *end = at + len;
    uint16_t n, column = 0;
    uint32_t i = 0;

    if (len < 2)
        return true;
    n = proto_get16(at);
    at += 2;
    for (; column < n && i < p->ids->n; column++) {
        uint32_t field;

        if ((size_t)(end - at) < 4)
            break;
        field = proto_get32(at);
        at += 4;
        if (field == UINT32_MAX)
            field = 0;
        else if ((size_t)(end - at) < field)
            break;
        else if (p->ids->v[i].column == column && !oid_value_to_client(m, p->ids->v[i].type, at, field, e))
            return false;
        i += p->ids->v[i].column == column;
        at += field;
    }
    if (i == p->ids->n)
        return true;
    return err_set(e, PB0310, "shard \"%s\" sent a row that is not as it was described", p->backend->pool->shard_name);
}

static bool give_up(struct exec *x, const struct err *e)
{
    x->own_error = *e;
    x->failed = true;
    exec_cancel_parts(x, NULL);
    return false;
}

bool exec_ids_replace(struct exec *x, struct part *p, struct span body)
{
    char *at = (char *)(uintptr_t)body.ptr;
    struct err e = ERR_INIT;
    size_t len = body.len;

    if (exec_is_copy_out(x)) {
        if (len >= COPY_BINARY_HEADER && memcmp(at, copy_signature, sizeof(copy_signature)) == 0) {
            size_t header = COPY_BINARY_HEADER + proto_get32(at + 15);

            if (header > len)
                return true;
            at += header;
            len -= header;
        }
        if (len < 2 || proto_get16(at) == 0xFFFF) /* the trailer */
            return true;
    }
    return replace_in(p, at, len, &e) || give_up(x, &e);
}

enum exec_action exec_ids_long_frame(struct exec *x, uint64_t frame)
{
    struct err e = ERR_INIT;

    if (frame <= EXEC_ROW_MAX)
        return EXEC_WAIT;
    err_set(&e, PB0308, "a row of %llu bytes is too long for a binary value with object ids to be sent on",
            (unsigned long long)frame);
    err_detail(&e, "Such a row is looked through in memory, and may have at most %u MB.", EXEC_ROW_MAX >> 20);
    err_hint(&e, "Ask for it in text format.");
    (void)give_up(x, &e);
    return EXEC_SWALLOW;
}
