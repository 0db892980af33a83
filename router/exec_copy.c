/*
 * COPY over shards. IN: each part has its own COPY; the client's data is cut into rows and each row's bytes go to the
 * shard that owns its key, gathered per shard into CopyData messages. OUT: the shards' data one after another's
 * message, with one header and one trailer.
 */
#include "base/mem.h"
#include "router/backend.h"
#include "router/config.h"
#include "router/exec_int.h"
#include "router/pool.h"
#include "router/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define COPY_FLUSH         32768u /* bytes gathered for a shard before they are sent */
#define COPY_BINARY_HEADER 19u

/* --- in --- */

static void copy_options_of(const struct plan_copy *pc, struct copy_options *o, size_t max_row)
{
    *o = (struct copy_options){
        .format = pc->format == COPY_FORMAT_TEXT  ? 't'
                  : pc->format == COPY_FORMAT_CSV ? 'c'
                                                  : 'b',
        .delimiter = pc->delimiter,
        .quote = pc->quote,
        .escape = pc->escape,
        .header = pc->header,
        .null_text = pc->null_text,
        .ncolumn = pc->ncolumn,
        .nkey = pc->nkey,
        .max_row = max_row,
    };
    for (uint32_t i = 0; i < pc->nkey; i++)
        o->key_fields[i] = pc->keys[i].field;
}

static void copy_put(struct exec *x, uint32_t part, struct span raw)
{
    struct strbuf *sb = &x->copy_out[part];

    if (sb->len == 0)
        (void)msg_begin(sb, FE_COPY_DATA);
    strbuf_put(sb, raw.ptr, raw.len);
}

static void copy_flush(struct exec *x, uint32_t part)
{
    struct strbuf *sb = &x->copy_out[part];
    struct backend *b = x->parts[part].backend;

    if (sb->len == 0)
        return;
    msg_end(sb, 0);
    if (b) {
        stream_write(&b->st, sb->ptr, sb->len);
        if (stream_queued(&b->st) > STREAM_HIGH_WATER)
            stream_pause(&x->s->st, PAUSE_PEER_SLOW);
    }
    strbuf_reset(sb);
}

/* Hash of a row's key, none of it NULL. The identity vindex takes the integer itself. */
static bool copy_row_hash(const struct plan_copy *pc, const struct span *keys, uint64_t *hash)
{
    bool binary = pc->format == COPY_FORMAT_BINARY;
    enum vhash_result r = VHASH_OK;
    int64_t n;

    *hash = 0;
    if (pc->identity) {
        if (!vhash_integer(pc->keys[0].type, binary, keys[0], &n))
            return false;
        *hash = (uint64_t)n;
        return true;
    }
    for (uint32_t i = 0; i < pc->nkey && r == VHASH_OK; i++) {
        if (binary)
            r = vhash_binary(pc->keys[i].type, pc->keys[i].typmod, VHASH_ASSIGN, keys[i], *hash, hash);
        else
            r = vhash_text(pc->keys[i].type, pc->keys[i].typmod, VHASH_ASSIGN, keys[i], *hash, hash);
    }
    return r == VHASH_OK;
}

/* The part that owns a row. */
static bool copy_row_part(struct exec *x, const struct span *keys, uint32_t *part, struct err *e)
{
    const struct plan_copy *pc = x->plan->copy;
    uint64_t hash;
    uint32_t shard;

    for (uint32_t i = 0; i < pc->nkey; i++) {
        if (!keys[i].ptr) { /* NULL: any shard says 23502 */
            *part = 0;
            return true;
        }
    }
    if (!copy_row_hash(pc, keys, &hash)) {
        err_set(e, PB0206, "the sharding key of a COPY row is not in a form the router can place");
        err_detail(e, "Table %s, row %llu.", pc->table, (unsigned long long)copy_splitter_rows(x->splitter) + 1);
        return err_hint(e, "Write the value in the form PostgreSQL prints it.");
    }
    shard = map_shard_of(x->s->db->map, vhash_keyspace_id(hash));
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].shard == shard) {
            *part = i;
            return true;
        }
    }
    return err_set(e, PB0310, "no connection to the shard of a COPY row");
}

static bool copy_row(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e)
{
    struct exec *x = arg;
    uint32_t part = 0;

    if (kind == COPY_PREAMBLE || x->plan->copy->nkey == 0) {
        for (uint32_t i = 0; i < x->npart; i++)
            copy_put(x, i, raw);
        return true;
    }
    if (!copy_row_part(x, keys, &part, e))
        return false;
    copy_put(x, part, raw);
    if (x->copy_out[part].len > COPY_FLUSH)
        copy_flush(x, part);
    return true;
}

/* End every part's COPY: with what was gathered, or with a failure. */
static void copy_end(struct exec *x, const char *failure)
{
    struct span trailer = copy_trailer(&x->copy_options);
    struct strbuf *out = &x->s->worker->out;

    x->copy_ended = true;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (!failure) {
            if (trailer.len && x->splitter)
                copy_put(x, i, trailer);
            copy_flush(x, i);
        }
        if (!b || x->parts[i].done)
            continue;
        if (failure) {
            size_t at = msg_begin(out, FE_COPY_FAIL);

            msg_cstr(out, span_str(failure));
            msg_end(out, at);
        } else {
            msg_empty(out, FE_COPY_DONE);
        }
        if (x->extended)
            fe_put_sync(out);
        stream_write(&b->st, out->ptr, out->len);
        strbuf_reset(out);
    }
}

static void copy_fail(struct exec *x, const struct err *e)
{
    if (!x->failed) {
        x->own_error = *e;
        x->failed = true;
    }
    copy_end(x, "the router refused a row");
}

static void copy_begin(struct exec *x)
{
    struct worker *w = x->s->worker;

    x->copying = true;
    x->copy_ended = false;
    x->task = TASK_COPY_IN;
    copy_options_of(x->plan->copy, &x->copy_options, (size_t)w->config->max_message_size);
    x->copy_out = mem_zalloc(x->npart * sizeof(*x->copy_out));
    if (x->plan->copy->nkey)
        x->splitter = copy_splitter_new(&x->copy_options);
    /* A server in COPY mode ignores a Sync sent along with Execute; the client sends another one after the data. */
    if (x->extended) {
        x->nstep = x->cur;
        x->has_sync = false;
    }
}

/* Part `failed` has failed: the others must not wait for data. */
void exec_copy_failed(struct exec *x)
{
    x->copying = false;
    if (!x->copy_ended)
        copy_end(x, "another shard refused the data");
}

enum exec_action exec_copy_response(struct exec *x, struct part *p, char type, struct span body)
{
    if (type == BE_COPY_IN && x->plan && x->plan->kind == PLAN_COPY_IN) {
        if (p->described)
            return EXEC_SWALLOW;
        p->described = true;
        if (x->ndescribed++ == 0)
            strbuf_put(&x->row_desc, body.ptr, body.len);
        if (x->ndescribed == x->npart) {
            size_t at;

            if (x->extended && !x->bind_sent) {
                x->bind_sent = true;
                strbuf_put(&x->out, "2\0\0\0\4", 5);
                if (x->describe)
                    strbuf_put(&x->out, "n\0\0\0\4", 5);
            }
            x->row_desc_sent = true;
            at = msg_begin(&x->out, type);
            strbuf_put(&x->out, x->row_desc.ptr, x->row_desc.len);
            msg_end(&x->out, at);
            exec_flush(x);
            copy_begin(x);
            session_continue_later(x->s);
        }
        return EXEC_SWALLOW;
    }
    if (p->described)
        return EXEC_SWALLOW;
    p->described = true;
    if (x->ndescribed++ == 0) {
        x->row_desc_type = type;
        strbuf_put(&x->row_desc, body.ptr, body.len);
    }
    for (uint32_t i = 0; x->ndescribed == x->npart && i < x->npart; i++) {
        if (x->parts[i].backend)
            stream_resume(&x->parts[i].backend->st, PAUSE_TURN);
    }
    return EXEC_SWALLOW;
}

bool exec_wants_input(const struct exec *x)
{
    return x->copying;
}

static size_t copy_data(struct exec *x, struct span body, size_t frame)
{
    struct err e = ERR_INIT;

    if (x->copy_ended)
        return frame; /* after a failure: discarded */
    if (!x->splitter) {
        for (uint32_t i = 0; i < x->npart; i++) {
            copy_put(x, i, body);
            copy_flush(x, i);
        }
    } else if (!copy_splitter_feed(x->splitter, body, copy_row, x, &e)) {
        copy_fail(x, &e);
    }
    return frame;
}

static void copy_done(struct exec *x)
{
    struct err e = ERR_INIT;

    x->copying = false;
    if (x->copy_ended)
        return;
    if (x->splitter && !copy_splitter_finish(x->splitter, copy_row, x, &e))
        copy_fail(x, &e);
    else
        copy_end(x, NULL);
}

/* Messages of the client during COPY FROM STDIN. */
size_t exec_input(struct exec *x, const char *data, size_t len)
{
    size_t frame;
    uint32_t body_len;
    struct err e = ERR_INIT;
    struct session *s = x->s;

    if (len < PROTO_HEADER)
        return 0;
    body_len = proto_get32(data + 1);
    frame = (size_t)body_len + 1;
    if (body_len < 4 || body_len > (size_t)s->worker->config->max_message_size) {
        err_set(&e, PB0101, "invalid message length");
        session_fatal(s, &e);
        return len;
    }
    if (frame > len)
        return 0;
    switch (data[0]) {
    case FE_COPY_DATA:
        return copy_data(x, span_make(data + PROTO_HEADER, frame - PROTO_HEADER), frame);
    case FE_COPY_DONE:
        copy_done(x);
        return frame;
    case FE_COPY_FAIL:
        x->copying = false;
        if (!x->copy_ended) {
            char reason[256];
            struct span text = span_make(data + PROTO_HEADER, frame - PROTO_HEADER);

            snprintf(reason, sizeof(reason), "%.*s", text.len ? (int)(text.len - 1) : 0, text.ptr);
            copy_end(x, reason);
        }
        return frame;
    case FE_FLUSH:
    case FE_SYNC:
        return frame; /* ignored during COPY, as the protocol says */
    case FE_TERMINATE:
        session_close(s);
        return len;
    default:
        err_set(&e, PB0101, "unexpected message type 0x%02x during COPY from stdin", (unsigned char)data[0]);
        session_fatal(s, &e);
        return len;
    }
}

void exec_copy_fini(struct exec *x)
{
    for (uint32_t i = 0; x->copy_out && i < x->npart; i++)
        strbuf_fini(&x->copy_out[i]);
    free(x->copy_out);
    x->copy_out = NULL;
    copy_splitter_free(x->splitter);
    x->splitter = NULL;
    x->copying = x->copy_ended = false;
}

/* --- out --- */

/* The bytes of a part's CopyData that are a header or trailer, to be left out. */
static bool copy_out_trim(struct exec *x, struct part *p, struct span *body)
{
    const struct plan_copy *pc = x->plan->copy;

    if (pc->format == COPY_FORMAT_BINARY) {
        if (!p->preamble_seen && body->len >= COPY_BINARY_HEADER) {
            size_t header = COPY_BINARY_HEADER + proto_get32(body->ptr + 15);

            p->preamble_seen = true;
            if (header > body->len)
                return false;
            if (x->copy_ended) { /* somebody else's header went out */
                body->ptr += header;
                body->len -= header;
            }
            x->copy_ended = true;
        }
        /* The trailer is a message of its own, or follows a header without rows. */
        if (body->len >= 2 && (body->len == 2 || body->len == COPY_BINARY_HEADER + 2) &&
            proto_get16(body->ptr + body->len - 2) == 0xFFFF)
            body->len -= 2;
        return body->len > 0;
    }
    if (pc->header && !p->preamble_seen) {
        bool first = !x->copy_ended;

        p->preamble_seen = true;
        x->copy_ended = true;
        return first;
    }
    return true;
}

enum exec_action exec_copy_out(struct exec *x, struct part *p, struct span body)
{
    struct span rest = body;
    size_t at;

    if (x->failed)
        return EXEC_SWALLOW;
    if (x->npart > 1 && x->ndescribed < x->npart) {
        stream_pause(&p->backend->st, PAUSE_TURN);
        return EXEC_WAIT;
    }
    exec_copy_out_begin(x);
    if (x->npart == 1 || !x->plan->copy || (x->plan->copy->format != COPY_FORMAT_BINARY && !x->plan->copy->header)) {
        exec_flush(x);
        return EXEC_RELAY;
    }
    if (!copy_out_trim(x, p, &rest))
        return EXEC_SWALLOW;
    if (rest.len == body.len) {
        exec_flush(x);
        return EXEC_RELAY;
    }
    at = msg_begin(&x->out, BE_COPY_DATA);
    strbuf_put(&x->out, rest.ptr, rest.len);
    msg_end(&x->out, at);
    exec_flush(x);
    return EXEC_SWALLOW;
}

void exec_copy_out_end(struct exec *x)
{
    exec_copy_out_begin(x);
    if (x->npart > 1 && x->plan->copy->format == COPY_FORMAT_BINARY) {
        size_t at = msg_begin(&x->out, BE_COPY_DATA);

        msg_u16(&x->out, 0xFFFF);
        msg_end(&x->out, at);
    }
    msg_empty(&x->out, BE_COPY_DONE);
}
