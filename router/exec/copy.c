/*
 * COPY over shards. IN: each part has its own COPY; the client's data is cut into rows and each row's bytes go to the
 * shard that owns its key, gathered per shard into CopyData messages. OUT: the shards' data one after another's
 * message, with one header and one trailer.
 */
#include "router/exec/copy.h"

#include "base/mem.h"
#include "planner/moment.h"
#include "router/config/config.h"
#include "router/exec/answer.h"
#include "router/exec/copy_lines.h"
#include "router/exec/exec_int.h"
#include "router/exec/ids.h"
#include "router/exec/pass.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "shardmap/placement.h"
#include "wire/bemsg.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <stdlib.h>
#include <string.h>

#define COPY_FLUSH        32768u /* bytes gathered for a shard before they are sent */
#define COPY_OTHER_FAILED "another part of the data was refused"

/* --- in --- */

bool exec_is_copy(const struct exec *x)
{
    return x->plan->kind == PLAN_COPY_IN || x->plan->kind == PLAN_COPY_OUT;
}

bool exec_is_copy_out(const struct exec *x)
{
    return x->plan && x->plan->kind == PLAN_COPY_OUT;
}

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
        .force_null = pc->force_null,
        .force_not_null = pc->force_not_null,
        .ncolumn = pc->ncolumn,
        .nkey = pc->nkey,
        .max_row = max_row,
    };
    for (uint32_t i = 0; i < pc->nkey; i++)
        o->key_fields[i] = pc->keys[i].field;
    for (uint32_t i = 0; i < pc->nmoment; i++)
        o->key_fields[o->nkey++] = pc->moments[i];
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

/*
 * Integers in data written by hand: blanks around them, a plus, zeros in front, as every PostgreSQL takes them. Where
 * such a key is not canonical after that, or is of another type, copy_row_part() leaves it to a shard.
 */
static struct span copy_tidy_integer(struct span v, char buf[24])
{
    bool negative = false;

    while (v.len && memchr(" \t\n\v\f\r", v.ptr[0], 6))
        v = span_make(v.ptr + 1, v.len - 1);
    while (v.len && memchr(" \t\n\v\f\r", v.ptr[v.len - 1], 6))
        v.len--;
    if (v.len > 1 && (v.ptr[0] == '+' || v.ptr[0] == '-')) {
        negative = v.ptr[0] == '-';
        v = span_make(v.ptr + 1, v.len - 1);
    }
    while (v.len > 1 && v.ptr[0] == '0')
        v = span_make(v.ptr + 1, v.len - 1);
    if (v.len == 0 || v.len > 20 || v.ptr[0] < '0' || v.ptr[0] > '9')
        return (struct span){ 0 };
    if (v.ptr[0] == '0')
        negative = false;
    buf[0] = '-';
    memcpy(buf + 1, v.ptr, v.len);
    return negative ? span_make(buf, v.len + 1) : span_make(buf + 1, v.len);
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

static bool copy_row_hash_tidied(const struct plan_copy *pc, const struct span *keys, uint64_t *hash)
{
    char buf[COPY_MAX_KEYS][24];
    struct span tidy[COPY_MAX_KEYS] = { { 0 } };

    if (copy_row_hash(pc, keys, hash))
        return true;
    if (pc->format == COPY_FORMAT_BINARY)
        return false;
    for (uint32_t i = 0; i < pc->nkey; i++) {
        tidy[i] = pc->keys[i].type <= KEY_INT8 ? copy_tidy_integer(keys[i], buf[i]) : keys[i];
        if (!tidy[i].ptr)
            return false;
    }
    return copy_row_hash(pc, tidy, hash);
}

/*
 * The part that owns a row. Of a key that is NULL, or that cannot be hashed here, any shard says what is wrong; if
 * nothing is, its placement CHECK keeps the row out, and exec_copy_error() tells why.
 */
static bool copy_row_part(struct exec *x, const struct span *keys, uint32_t *part, struct err *e)
{
    const struct plan_copy *pc = x->plan->copy;
    uint64_t hash;
    uint32_t shard;
    bool placed = true;

    *part = 0;
    for (uint32_t i = 0; i < pc->nkey; i++)
        placed = placed && keys[i].ptr;
    if (!placed || !copy_row_hash_tidied(pc, keys, &hash))
        return true;
    shard = map_shard_of(x->s->db->map, vhash_keyspace_id(hash));
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].shard == shard) {
            *part = i;
            return true;
        }
    }
    return err_set(e, PB0310, "no connection to the shard of a COPY row");
}

/*
 * Lines of a row as PostgreSQL counts them: in CSV those within quotes count, if they end as the first line of the
 * stream did; while that line is being read nobody knows, and only carriage returns are counted.
 */
static uint64_t copy_row_lines(const struct plan_copy *pc, struct span raw, bool first)
{
    uint64_t lines = 1;
    char eol;

    if (pc->format != COPY_FORMAT_CSV || raw.len == 0)
        return lines;
    eol = raw.ptr[raw.len - 1];
    raw.len--;
    if (eol == '\n' && raw.len && raw.ptr[raw.len - 1] == '\r') {
        eol = '\r';
        raw.len--;
    }
    if (first || (eol != '\r' && eol != '\n'))
        eol = first ? '\r' : '\n';
    for (const char *p = raw.ptr, *end = raw.ptr + raw.len; (p = memchr(p, eol, (size_t)(end - p))); p++)
        lines++;
    return lines;
}

static void copy_note_lines(struct exec *x, uint32_t part, struct span raw)
{
    struct copy_lines *l = &x->copy_lines[part];

    copy_lines_add(l, copy_row_lines(x->plan->copy, raw, l->shard_line == 0), x->copy_line);
}

static void copy_put_row(struct exec *x, uint32_t part, struct span raw)
{
    copy_put(x, part, raw);
    copy_note_lines(x, part, raw);
    if (x->copy_out[part].len > COPY_FLUSH)
        copy_flush(x, part);
}

/* A row of a reference table with dates, `values` (rule P42). */
static bool copy_row_everywhere(struct exec *x, struct span raw, const struct span *values, struct err *e)
{
    for (uint32_t i = 0; i < x->plan->copy->nmoment; i++) {
        if (!values[i].ptr || !moment_in(values[i]))
            continue;
        err_set(e, PB0201, "COPY into a reference table cannot read the clock: \"%.*s\"", (int)values[i].len,
                values[i].ptr);
        err_detail(e, "Every shard reads the data by itself, and the copies would differ.");
        return err_hint(e, "Give the date itself.");
    }
    for (uint32_t i = 0; i < x->npart; i++)
        copy_put_row(x, i, raw);
    return true;
}

static bool copy_row(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e)
{
    struct exec *x = arg;
    uint32_t part = 0;

    if (kind == COPY_ROW || x->plan->copy->format != COPY_FORMAT_BINARY)
        x->copy_line += copy_row_lines(x->plan->copy, raw, x->copy_line == 0);
    if (kind == COPY_PREAMBLE) {
        for (uint32_t i = 0; i < x->npart; i++) {
            copy_put(x, i, raw);
            if (x->plan->copy->format != COPY_FORMAT_BINARY)
                copy_note_lines(x, i, raw);
        }
        return true;
    }
    if (x->plan->copy->nmoment)
        return copy_row_everywhere(x, raw, keys, e);
    if (!copy_row_part(x, keys, &part, e))
        return false;
    copy_put_row(x, part, raw);
    return true;
}

/* End every part's COPY, after what was gathered: with a failure if something is wrong elsewhere. */
static void copy_end(struct exec *x, const char *failure)
{
    struct span trailer = copy_trailer(&x->copy_options);
    struct strbuf *out = &x->s->worker->out;

    x->copy_ended = true;
    for (uint32_t i = 0; i < x->npart; i++) {
        struct backend *b = x->parts[i].backend;

        if (!failure && trailer.len && x->splitter)
            copy_put(x, i, trailer);
        if (x->copy_out)
            copy_flush(x, i);
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
        x->copy_error_line = x->copy_line + 1;
    }
    copy_end(x, COPY_OTHER_FAILED);
}

static void copy_begin(struct exec *x)
{
    struct worker *w = x->s->worker;

    x->copying = true;
    x->copy_ended = false;
    x->task = TASK_COPY_IN;
    copy_options_of(x->plan->copy, &x->copy_options, (size_t)w->config->max_message_size);
    x->copy_out = mem_zalloc(x->npart * sizeof(*x->copy_out));
    if ((x->plan->copy->nkey || x->plan->copy->nmoment) && x->npart > 1) {
        x->splitter = copy_splitter_new(&x->copy_options);
        x->copy_lines = mem_zalloc(x->npart * sizeof(*x->copy_lines));
        x->copy_line = 0;
    }
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
        copy_end(x, COPY_OTHER_FAILED);
}

/* --- errors of parts --- */

/*
 * The client's line number in place of the shard's in "COPY table, line 7, column c: ...", whatever the language.
 * False: it is not in there.
 */
static bool copy_map_context(struct exec *x, struct part *p, struct span where, struct strbuf *out, uint64_t *line)
{
    const struct copy_lines *l = &x->copy_lines[p - x->parts];
    const char *name = x->plan->copy->name, *end = where.ptr + where.len, *digits, *rest;
    size_t name_len = strlen(name);
    uint64_t shard_line = 0;

    for (const char *at = where.ptr; at; at = memchr(at, '\n', (size_t)(end - at))) {
        at += *at == '\n';
        if ((size_t)(end - at) < name_len + 5 || memcmp(at, "COPY ", 5) != 0 || memcmp(at + 5, name, name_len) != 0)
            continue;
        digits = at + 5 + name_len;
        while (digits < end && *digits != '\n' && (*digits < '0' || *digits > '9'))
            digits++;
        for (rest = digits; rest < end && *rest >= '0' && *rest <= '9'; rest++)
            shard_line = shard_line * 10 + (uint64_t)(*rest - '0');
        if (rest == digits)
            return false;
        *line = copy_lines_find(l, shard_line, x->copy_line);
        strbuf_put(out, where.ptr, (size_t)(digits - where.ptr));
        if (*line)
            strbuf_printf(out, "%llu", (unsigned long long)*line);
        else
            strbuf_putc(out, '?');
        strbuf_put(out, rest, (size_t)(end - rest));
        return true;
    }
    return false;
}

/* The ErrorResponse with the client's line; *ours: it is only about our having ended the COPY. */
static uint64_t copy_map_error(struct exec *x, struct part *p, struct span body, struct strbuf *out, bool *ours,
                               bool *misplaced)
{
    struct reader r = rd_make(body);
    uint64_t line = 0;
    uint8_t code;

    *ours = *misplaced = false;
    while ((code = rd_u8(&r)) != 0) {
        struct span value = rd_cstr(&r);
        size_t before = out->len;

        *ours = *ours || (code == 'M' && value.len > strlen(COPY_OTHER_FAILED) &&
                          memcmp(value.ptr + value.len - strlen(COPY_OTHER_FAILED), COPY_OTHER_FAILED,
                                 strlen(COPY_OTHER_FAILED)) == 0);
        *misplaced = *misplaced || (code == 'n' && span_eq_str(value, PLACEMENT_CONSTRAINT));
        msg_u8(out, code);
        if (code == 'W' && x->copy_lines && copy_map_context(x, p, value, out, &line)) {
            msg_u8(out, 0);
            continue;
        }
        out->len = before + 1;
        msg_cstr(out, value);
    }
    msg_u8(out, 0);
    return line;
}

/*
 * A part has failed. The others are told, but take first what was gathered for them: of all errors in the data the
 * client hears of the one that comes first in it, as from one server.
 */
void exec_copy_error(struct exec *x, struct part *p, struct span body)
{
    struct strbuf mapped = STRBUF_INIT;
    bool ours, misplaced, first = !x->failed;
    uint64_t line = copy_map_error(x, p, body, &mapped, &ours, &misplaced);

    p->failed = true;
    if (first || (!ours && line && line < x->copy_error_line)) {
        x->failed = true;
        x->error_part = (uint32_t)(p - x->parts);
        x->copy_error_line = line ? line : UINT64_MAX;
        x->own_error = ERR_INIT;
        strbuf_reset(&x->error);
        strbuf_put(&x->error, mapped.ptr, mapped.len);
        if (misplaced) {
            err_set(&x->own_error, PB0206, "the sharding key of a COPY row is not in a form that can be placed");
            err_detail(&x->own_error, "Table %s, line %llu.", x->plan->copy->table, (unsigned long long)line);
            err_hint(&x->own_error, "Write the value in the form in which PostgreSQL prints it.");
        }
    }
    strbuf_fini(&mapped);
    exec_copy_failed(x);
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

static void copy_data(struct exec *x, struct span body)
{
    struct err e = ERR_INIT;

    if (x->copy_ended)
        return; /* after a failure: discarded */
    if (!x->splitter) {
        for (uint32_t i = 0; i < x->npart; i++) {
            copy_put(x, i, body);
            copy_flush(x, i);
        }
    } else if (!copy_splitter_feed(x->splitter, body, copy_row, x, &e)) {
        copy_fail(x, &e);
    }
}

/* On one shard by itself the end of the data is its commit, which may have waited. */
static void copy_commit(struct exec *x)
{
    if (!x->copy_ended)
        copy_end(x, NULL);
}

static void copy_done(struct exec *x)
{
    struct err e = ERR_INIT;

    x->copying = false;
    if (x->copy_ended)
        return;
    if (x->splitter && !copy_splitter_finish(x->splitter, copy_row, x, &e))
        copy_fail(x, &e);
    else if (exec_gate_hold(x, copy_commit))
        copy_commit(x);
}

/* Messages of the client during COPY FROM STDIN. */
size_t exec_input(struct exec *x, const char *data, size_t len)
{
    size_t frame;
    uint32_t body_len;
    struct err e = ERR_INIT;
    struct session *s = x->s;

    if (s->copy_left) {
        len = len < s->copy_left ? len : s->copy_left;
        s->copy_left -= (uint32_t)len;
        copy_data(x, span_make(data, len));
        return len;
    }
    if (len < PROTO_HEADER)
        return 0;
    body_len = proto_get32(data + 1);
    frame = (size_t)body_len + 1;
    if (body_len < 4 || body_len > (size_t)s->worker->config->max_message_size) {
        err_set(&e, PB0101, "invalid message length");
        session_fatal(s, &e);
        return len;
    }
    if (data[0] == FE_COPY_DATA) { /* its end is nothing to wait for: data may be cut into messages anywhere */
        s->copy_left = body_len - 4;
        return PROTO_HEADER;
    }
    if (frame > len)
        return 0;
    switch (data[0]) {
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
    for (uint32_t i = 0; x->copy_lines && i < x->npart; i++)
        copy_lines_fini(&x->copy_lines[i]);
    free(x->copy_lines);
    x->copy_lines = NULL;
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

/* Do frames of several parts begin, or end, with what only one may say? */
static bool copy_out_trims(const struct exec *x)
{
    const struct plan_copy *pc = x->plan->copy;

    return x->npart > 1 && pc && (pc->format == COPY_FORMAT_BINARY || pc->header);
}

/* It is another part's turn: false. */
static bool copy_out_may_flow(struct exec *x, struct part *p)
{
    if (x->npart == 1 || (x->ndescribed == x->npart && (!x->speaker || x->speaker == p)))
        return true;
    stream_pause(&p->backend->st, PAUSE_TURN);
    return false;
}

enum exec_action exec_copy_out(struct exec *x, struct part *p, struct span body)
{
    struct span rest = body;
    size_t at;

    if (x->failed)
        return EXEC_SWALLOW;
    if (!copy_out_may_flow(x, p))
        return EXEC_WAIT;
    if (UNLIKELY(p->ids) && !exec_ids_replace(x, p, body))
        return EXEC_SWALLOW;
    exec_copy_out_begin(x);
    if (copy_out_trims(x) && !copy_out_trim(x, p, &rest))
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

enum exec_action exec_copy_long_frame(struct exec *x, struct part *p, uint64_t frame)
{
    if (!copy_out_may_flow(x, p))
        return EXEC_WAIT;
    if (copy_out_trims(x) && !p->preamble_seen)
        return exec_whole_row(x, frame, "the first one of a COPY from several shards");
    exec_copy_out_begin(x);
    exec_flush(x);
    return EXEC_RELAY;
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
