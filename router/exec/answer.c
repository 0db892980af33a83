/*
 * The running statement's answers: what its parts say, made into what the client hears, and the statement's end.
 */
#include "router/exec/answer.h"

#include "router/exec/clock.h"
#include "router/exec/commit.h"
#include "router/exec/copy.h"
#include "router/exec/cursor.h"
#include "router/exec/ddl.h"
#include "router/exec/estimate.h"
#include "router/exec/exec_int.h"
#include "router/exec/explain.h"
#include "router/exec/ext.h"
#include "router/exec/gate.h"
#include "router/exec/gather.h"
#include "router/exec/ids.h"
#include "router/exec/key.h"
#include "router/exec/merge.h"
#include "router/exec/part.h"
#include "router/exec/pieces.h"
#include "router/exec/returning.h"
#include "router/exec/setting.h"
#include "router/exec/txn.h"
#include "router/server/backend.h"
#include "router/server/pool.h"
#include "router/session/portal.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"
#include "wire/reader.h"

#include <string.h>

#define EXEC_WITHHOLD_MAX (64u << 20) /* bytes */

/* --- answers --- */

/* They work for nothing now. */
void exec_cancel_parts(struct exec *x, const struct part *except)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *other = &x->parts[i];

        if (other != except && other->started && !other->done && other->backend &&
            (x->task == TASK_STATEMENT || x->task == TASK_GATHER || x->task == TASK_ESTIMATE))
            backend_cancel(other->backend);
        if (other->backend)
            stream_resume(&other->backend->st, PAUSE_TURN);
    }
}

void exec_note_error(struct exec *x, struct part *p, struct span body)
{
    if (x->plan && x->plan->kind == PLAN_COPY_IN && !p->backend->fatal) {
        exec_copy_error(x, p, body);
        return;
    }
    p->failed = true;
    if (x->failed)
        return;
    x->failed = true;
    x->error_part = (uint32_t)(p - x->parts);
    strbuf_put(&x->error, body.ptr, body.len);
    exec_gate_failed(x);
    if (p->backend->fatal) {
        err_set(&x->own_error, PB0301, "shard \"%s\" ended the connection", p->backend->pool->shard_name);
        err_detail(&x->own_error, "The server said: %s", p->backend->fatal);
    }
    if (x->plan && x->plan->kind == PLAN_COPY_IN) {
        exec_copy_failed(x);
        return;
    }
    exec_cancel_parts(x, p);
}

/* Equal but for where they come from: table oids and column numbers are each shard's own (rules P31, P37). */
static bool row_desc_equal(struct span a, struct span b)
{
    struct reader ra = rd_make(a), rb = rd_make(b);
    uint16_t n = rd_u16(&ra);

    if (rd_u16(&rb) != n)
        return false;
    for (uint16_t i = 0; i < n; i++) {
        struct span na = rd_cstr(&ra), nb = rd_cstr(&rb);
        uint32_t ta, tb;
        bool same;

        (void)rd_bytes(&ra, 6);
        (void)rd_bytes(&rb, 6);
        ta = rd_u32(&ra);
        tb = rd_u32(&rb);
        same = span_eq(na, nb) && (ta == tb || (ta >= 16384 && tb >= 16384)) && rd_u16(&ra) == rd_u16(&rb) &&
               rd_u32(&ra) == rd_u32(&rb);
        if (!same || rd_u16(&ra) != rd_u16(&rb))
            return false;
    }
    return rd_finish(&ra) && rd_finish(&rb);
}

void exec_send_row_desc(struct exec *x)
{
    if (x->row_desc_sent)
        return;
    x->row_desc_sent = true;
    if (x->extended && !x->bind_sent && x->task == TASK_STATEMENT) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
        if (x->describe && x->row_desc_type == BE_COPY_OUT)
            strbuf_put(&x->out, "n\0\0\0\4", 5);
    }
    if (x->extended && !x->describe && x->row_desc_type != BE_COPY_OUT)
        return;
    if (!x->extended && x->row_desc_type == BE_NO_DATA)
        return;
    if (x->row_desc_type) {
        size_t at = msg_begin(&x->out, x->row_desc_type);
        struct span columns = strbuf_span(&x->row_desc);

        if (x->merge && x->row_desc_type == BE_ROW_DESCRIPTION)
            columns = exec_merge_own_columns(x, columns);
        strbuf_put(&x->out, columns.ptr, columns.len);
        if (x->formats)
            exec_put_formats(x, at);
        msg_end(&x->out, at);
    }
}

void exec_copy_out_begin(struct exec *x)
{
    if (!x->row_desc_sent)
        exec_send_row_desc(x);
}

/* Columns of a temporary table are no columns of a table that the client could know. */
static void forget_tables(struct strbuf *row_desc)
{
    struct reader r = rd_make(strbuf_span(row_desc));

    for (uint16_t n = rd_u16(&r); n > 0; n--) {
        struct span name = rd_cstr(&r), rest = rd_bytes(&r, 18);

        if (name.ptr && rest.ptr)
            memset((char *)(uintptr_t)rest.ptr, 0, 6);
    }
}

/* A part has said what its rows look like: 'T', 'n' or 'H'. Rows flow once all have. */
static enum exec_action exec_described(struct exec *x, struct part *p, char type, struct span body)
{
    if (p->described)
        return EXEC_SWALLOW;
    if (!x->failed && type == BE_ROW_DESCRIPTION && !exec_ids_described(x, p, body))
        x->failed = true;
    if (exec_is_copy_out(x))
        return EXEC_SWALLOW;
    p->described = true;
    if (x->pieces) /* the portal has been, for the client */
        return EXEC_SWALLOW;
    if (x->ndescribed++ == 0) {
        x->row_desc_type = type;
        x->row_desc_shard = p->backend->pool->shard_name;
        strbuf_put(&x->row_desc, body.ptr, body.len);
        if (x->gather && type == BE_ROW_DESCRIPTION)
            forget_tables(&x->row_desc);
        if (x->merge && !x->failed)
            exec_merge_described(x, body);
    } else if (!x->failed && (type != x->row_desc_type ||
                              (type == BE_ROW_DESCRIPTION && !row_desc_equal(strbuf_span(&x->row_desc), body)))) {
        err_set(&x->own_error, PB0310, "shard \"%s\" describes the result differently", p->backend->pool->shard_name);
        err_detail(&x->own_error, "Its table definition has diverged from shard \"%s\".", x->row_desc_shard);
        err_hint(&x->own_error, "Compare the table on the shards and make the definitions equal.");
        x->failed = true;
    }
    if (x->ndescribed == x->npart) {
        if (!x->failed && !x->checking)
            exec_send_row_desc(x);
        for (uint32_t i = 0; i < x->npart; i++) {
            if (x->parts[i].backend)
                stream_resume(&x->parts[i].backend->st, PAUSE_TURN);
        }
    }
    return EXEC_SWALLOW;
}

/* Sequential parts describe themselves one after another: only the first one's rows are shown, so nobody is waited for.
 */
static bool exec_rows_may_flow(const struct exec *x)
{
    return x->plan == NULL || x->plan->sequential || x->pieces || x->ndescribed == x->npart || x->npart == 1;
}

static void exec_put_frame(struct exec *x, char type, struct span body)
{
    size_t at = msg_begin(&x->out, type);

    strbuf_put(&x->out, body.ptr, body.len);
    msg_end(&x->out, at);
}

/* Rows of a change wait in memory until it is known that it stands. */
static void exec_check_withheld(struct exec *x)
{
    if (x->out.len < EXEC_WITHHOLD_MAX)
        return;
    err_set(&x->own_error, PB0308, "the rows that a change over several shards returns are too many");
    err_detail(&x->own_error, "They are kept until it has ended on all shards, and at most %u MB of them.",
               EXEC_WITHHOLD_MAX >> 20);
    err_hint(&x->own_error, "Leave RETURNING out, change fewer rows at once, or SET pgbraid.consistent_reads = off.");
    x->failed = true;
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].backend && x->parts[i].started && !x->parts[i].done)
            backend_cancel(x->parts[i].backend);
    }
}

static enum exec_action exec_row(struct exec *x, struct part *p, struct span body)
{
    if (x->failed)
        return EXEC_SWALLOW;
    if (!exec_rows_may_flow(x) || (x->speaker && x->speaker != p)) {
        stream_pause(&p->backend->st, PAUSE_TURN);
        return EXEC_WAIT;
    }
    if (x->plan && x->plan->combine == COMBINE_SAME && p != x->parts)
        return EXEC_SWALLOW;
    if (x->explain)
        return exec_explain_row(x, p, body);
    if (x->merge)
        return exec_merge_row(x, p, body);
    if (UNLIKELY(p->ids) && !exec_ids_replace(x, p, body))
        return EXEC_SWALLOW;
    if (UNLIKELY(exec_returns_split(x)))
        return exec_returning_row(x, p, body);
    if (!x->row_desc_sent)
        exec_send_row_desc(x);
    if (UNLIKELY(x->max_rows && x->npart > 1 && x->sent >= x->max_rows))
        return exec_row_beyond(x, body);
    x->sent++;
    if (exec_gate_withholds(x)) {
        exec_put_frame(x, BE_DATA_ROW, body);
        exec_check_withheld(x);
        return EXEC_SWALLOW;
    }
    exec_flush(x);
    return EXEC_RELAY;
}

enum exec_action exec_whole_row(struct exec *x, uint64_t frame, const char *purpose)
{
    if (frame <= EXEC_ROW_MAX)
        return EXEC_WAIT;
    err_set(&x->own_error, PB0308, "a row of %llu bytes is too long to be %s", (unsigned long long)frame, purpose);
    err_detail(&x->own_error, "The router keeps such a row in memory for a moment, at most %u MB of it.",
               EXEC_ROW_MAX >> 20);
    err_hint(&x->own_error, "Leave long columns out of the statement, and read them by key.");
    x->failed = true;
    BUG_ON(!x->parts); /* one of them sends the row */
    exec_cancel_parts(x, NULL);
    return EXEC_SWALLOW;
}

enum exec_action exec_chunk_begin(struct exec *x, struct backend *b, uint64_t size)
{
    struct part *p = &x->parts[b->part];
    enum exec_action action;

    if (x->failed)
        return EXEC_SWALLOW;
    if (x->task == TASK_GATHER)
        return exec_gather_long_row(x, size);
    if (x->task != TASK_STATEMENT) /* it is for the router itself: a setting's value, an estimate, the catalog */
        return exec_whole_row(x, size, "read by the router");
    if (x->hoard || exec_gate_withholds(x) || exec_returns_split(x))
        return exec_whole_row(x, size, "kept until the statement has ended on all shards");
    if (x->explain)
        return exec_explain_long_row(x, size);
    if (x->merge)
        return exec_merge_long_row(x, size);
    if (p->ids)
        return exec_ids_long_frame(x, size);
    action = exec_is_copy_out(x) ? exec_copy_long_frame(x, p, size) : exec_row(x, p, (struct span){ 0 });
    if (action == EXEC_RELAY)
        x->speaker = p;
    return action;
}

void exec_chunk_end(struct exec *x, struct backend *b)
{
    (void)b;
    x->speaker = NULL;
    exec_flush(x);
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].backend)
            stream_resume(&x->parts[i].backend->st, PAUSE_TURN);
    }
}

static void exec_note_tag(struct exec *x, struct part *p, struct span body)
{
    struct span tag = span_make(body.ptr, body.len ? body.len - 1 : 0);
    uint64_t count;
    size_t prefix;

    /* Of what DDL sends only the statement's own tag counts, and all shards must have done the same. */
    if (x->plan && x->plan->kind == PLAN_DDL) {
        if (p->ntag++ != p->tags_before)
            return;
        if (x->tag.len && !span_eq(tag, strbuf_span(&x->tag)) && !x->failed) {
            err_set(&x->own_error, PB0310, "shard \"%s\" answered \"%.*s\" where another answered \"%s\"",
                    p->backend->pool->shard_name, (int)tag.len, tag.ptr, strbuf_str(&x->tag));
            x->failed = true;
        }
        if (x->npart > 1) {
            strbuf_reset(&x->tag);
            strbuf_put(&x->tag, tag.ptr, tag.len);
            return;
        }
    }
    if (x->tag.len == 0) {
        strbuf_put(&x->tag, tag.ptr, tag.len);
        if (be_tag_count(tag, &count, &prefix)) {
            x->counted = true;
            x->rows = count;
            x->tag.len = prefix;
        }
        return;
    }
    if (!x->plan || x->plan->combine == COMBINE_SAME) {
        if (x->counted && be_tag_count(tag, &count, &prefix) && count != x->rows && !x->failed) {
            err_set(&x->own_error, PB0310, "shard \"%s\" changed %llu rows where another changed %llu",
                    p->backend->pool->shard_name, (unsigned long long)count, (unsigned long long)x->rows);
            err_detail(&x->own_error, "The copies of a reference table differ.");
            x->failed = true;
        }
        return;
    }
    if (x->counted && be_tag_count(tag, &count, &prefix))
        x->rows += count;
}

void exec_put_tag(struct exec *x)
{
    struct strbuf *out = exec_tag_out(x);
    char number[32];
    size_t at;

    if (x->suspended) {
        strbuf_put(out, "s\0\0\0\4", 5);
        return;
    }
    if (x->tag.len == 0 && !x->counted)
        return;
    at = msg_begin(out, BE_COMMAND_COMPLETE);
    strbuf_put(out, x->tag.ptr, x->tag.len);
    if (x->counted) {
        int n = snprintf(number, sizeof(number), "%llu", (unsigned long long)x->rows);

        strbuf_put(out, number, (size_t)n);
    }
    msg_u8(out, 0);
    msg_end(out, at);
}

static enum exec_action exec_statement_frame(struct exec *x, struct part *p, char type, struct span body)
{
    switch (type) {
    case BE_BIND_COMPLETE:
        p->bind_done = true;
        if (x->npart == 1 && x->extended && !x->bind_sent && !x->explain) {
            x->bind_sent = true;
            strbuf_put(&x->out, "2\0\0\0\4", 5);
            if (x->describe && exec_is_copy(x))
                strbuf_put(&x->out, "n\0\0\0\4", 5);
        }
        return EXEC_SWALLOW;
    case BE_CLOSE_COMPLETE:
        if (!x->plan && p == x->parts)
            exec_put_frame(x, type, body);
        return EXEC_SWALLOW;
    case BE_ROW_DESCRIPTION:
    case BE_NO_DATA:
        /* A simple string may describe several results in turn only in a session verb's place; here it is one
         * statement. */
        return exec_described(x, p, type, body);
    case BE_PARAMETER_DESCRIPTION:
        if (x->described)
            x->param_types = exec_copy_span(x, body);
        if (!x->checking && !x->hide_params && !exec_is_copy_out(x))
            exec_put_frame(x, type, body);
        return EXEC_SWALLOW;
    case BE_DATA_ROW:
        return exec_row(x, p, body);
    case BE_COMMAND_COMPLETE:
        exec_note_tag(x, p, body);
        if (x->explain)
            exec_explain_ended(x, p);
        if (x->pieces)
            exec_pieces_ended(x, p);
        if (x->merge)
            exec_merge_ended(x, p);
        return EXEC_SWALLOW;
    case BE_PORTAL_SUSPENDED:
        x->suspended = true;
        return EXEC_SWALLOW;
    case BE_EMPTY_QUERY:
        exec_put_frame(x, type, body);
        return EXEC_SWALLOW;
    case BE_NOTICE:
        if (p == x->parts || (x->plan && (x->plan->combine == COMBINE_CONCAT || x->merge)))
            exec_put_frame(x, type, body);
        return EXEC_SWALLOW;
    case BE_PARAMETER_STATUS:
        if (backend_note_parameter(p->backend, body) && p == x->parts)
            exec_put_frame(x, type, body);
        return EXEC_SWALLOW;
    case BE_COPY_IN:
    case BE_COPY_OUT:
        return exec_copy_response(x, p, type, body);
    case BE_COPY_DATA:
        return exec_copy_out(x, p, body);
    case BE_ERROR:
        exec_note_error(x, p, body);
        return EXEC_SWALLOW;
    default:
        return EXEC_SWALLOW;
    }
}

/* A part will say nothing more for this statement. */
void exec_part_ready(struct exec *x, struct part *p)
{
    BUG_ON(p->done);
    p->done = true;
    x->ndone++;
    if (x->pieces && x->task == TASK_STATEMENT) { /* else it has failed, and the transaction is being rolled back */
        exec_pieces_ready(x, p);
        return;
    }
    if (exec_fetch_is_done(x))
        x->npart = x->next_part;
    if (!x->failed && x->plan && x->plan->sequential && x->next_part < x->npart) {
        exec_start_parts(x);
        return;
    }
    if (x->ndone < x->next_part)
        return;
    if (!x->failed && x->next_part < x->npart)
        return;
    switch (x->task) {
    case TASK_TXN:
        exec_txn_done(x);
        break;
    case TASK_SETTING:
        exec_setting_done(x);
        break;
    case TASK_KEY:
        exec_key_done(x);
        break;
    case TASK_CLOCK:
        exec_clock_done(x);
        break;
    case TASK_ESTIMATE:
        exec_estimate_done(x);
        break;
    case TASK_CATALOG:
        exec_catalog_done(x);
        break;
    case TASK_GATHER:
        exec_gather_parts_done(x);
        break;
    case TASK_COMMIT:
        BUG_ON(true); /* exec_commit.c counts for itself */
        break;
    case TASK_NONE:
    case TASK_STATEMENT:
    case TASK_COPY_IN:
    case TASK_DESCRIBE:
    case TASK_JOB:
        exec_statement_done(x);
        break;
    }
}

size_t exec_rows(struct exec *x, struct backend *b, struct span frames)
{
    bool merging = x->merge && x->task == TASK_STATEMENT && !x->pieces && !x->explain && !exec_gate_busy(x);

    return merging && !x->parts[b->part].ids && exec_rows_may_flow(x) ? exec_merge_rows(x, &x->parts[b->part], frames)
                                                                      : 0;
}

enum exec_action exec_frame(struct exec *x, struct backend *b, char type, struct span body)
{
    struct part *p = &x->parts[b->part];
    enum exec_action action;

    if (exec_gate_frame(x, p, type, body))
        return EXEC_SWALLOW;
    if (type == BE_READY) {
        backend_expect_done(b);
        if (x->task == TASK_COMMIT) {
            exec_commit_ready(x, p);
            return EXEC_SWALLOW;
        }
        if (exec_gather_is_own(x, p)) {
            exec_gather_ready(x);
            return EXEC_SWALLOW;
        }
        /* Of the first part of a setting two answers come: the command's and the value's. */
        if (x->task == TASK_SETTING && p == x->parts && x->nsetting && !p->described)
            p->described = true;
        else
            exec_part_ready(x, p);
        return EXEC_SWALLOW;
    }
    if (x->task == TASK_TXN)
        return exec_txn_frame(x, p, type, body);
    if (x->task == TASK_SETTING)
        return exec_setting_frame(x, p, type, body);
    if (x->task == TASK_KEY)
        return exec_key_frame(x, p, type, body);
    if (x->task == TASK_CLOCK)
        return exec_clock_frame(x, p, type, body);
    if (x->task == TASK_ESTIMATE)
        return exec_estimate_frame(x, p, type, body);
    if (x->task == TASK_CATALOG)
        return exec_catalog_frame(x, p, type, body);
    if (x->task == TASK_GATHER)
        return exec_gather_frame(x, p, type, body);
    if (x->task == TASK_COMMIT)
        return exec_commit_frame(x, p, type, body);
    action = exec_statement_frame(x, p, type, body);
    if (x->out.len > 16384 && action != EXEC_WAIT)
        exec_flush(x);
    return action;
}

/* --- the end of a statement --- */

/* The statement's portal on a single shard can be used by later messages. */
static void exec_note_portal(struct exec *x)
{
    if (!x->extended || !x->plan || x->explain || exec_is_copy(x) || x->npart != 1 || !exec_in_txn(x) ||
        !x->parts[0].backend)
        return;
    portal_put(x->s, x->portal, x->parts[0].backend->pool);
    if (x->parts[0].ids)
        portal_note_embeds(x->s, x->portal);
}

/* Characters in the first n bytes of UTF-8 text: error positions count characters. */
static int count_characters(const char *text, size_t n)
{
    int chars = 0;

    for (size_t i = 0; i < n; i++)
        chars += ((unsigned char)text[i] & 0xC0) != 0x80;
    return chars;
}

int exec_characters_before(struct exec *x)
{
    return x->text_offset ? count_characters(strbuf_str(&x->sql), x->text_offset) : 0;
}

/* The statement failed after its Bind: the client hears of that one first, and of the columns if they are known. */
static void exec_answer_bind(struct exec *x, const struct part *p)
{
    if (!x->extended || x->bind_sent || !x->plan || !p || !p->bind_done)
        return;
    x->bind_sent = true;
    strbuf_put(&x->out, "2\0\0\0\4", 5);
    if (!x->describe)
        return;
    if (x->row_desc_type)
        exec_send_row_desc(x);
    else if (!x->plan->returns_rows)
        strbuf_put(&x->out, "n\0\0\0\4", 5);
}

void exec_emit_error(struct exec *x)
{
    char context[160] = "";
    struct part *p = x->error_part < x->npart ? &x->parts[x->error_part] : NULL;

    STAT_ADD(x->s->worker->stats.errors, 1);
    exec_answer_bind(x, p);
    if (UNLIKELY(x->s->own_cancel) && !x->own_error.message[0]) {
        struct err theirs = ERR_INIT;

        be_error_to_err(strbuf_span(&x->error), &theirs);
        (void)session_own_cancel(x->s, theirs.sqlstate, &x->own_error);
    }
    if (x->own_error.message[0]) {
        be_put_error(&x->out, "ERROR", &x->own_error);
        return;
    }
    if (x->npart > 1 && p && p->backend)
        snprintf(context, sizeof(context), "shard \"%s\"", p->backend->pool->shard_name);
    be_put_error_rewritten(&x->out, BE_ERROR, strbuf_span(&x->error), exec_characters_before(x),
                           x->plan && (x->plan->rewritten || x->timed || x->expanded || exec_split(x) || x->gather ||
                                       x->merge || x->explain || (x->plan->kind == PLAN_DDL && p && p != x->parts)),
                           context[0] ? context : NULL);
}

static bool exec_lost_a_part(const struct exec *x)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        if (!x->parts[i].backend)
            return true;
    }
    return false;
}

void exec_statement_done(struct exec *x)
{
    struct session *s = x->s;
    bool schema = x->plan && x->plan->kind == PLAN_DDL && x->plan->ddl->schema_change;

    if (exec_gate_repeats(x))
        return;
    if (x->merge && !x->failed && !x->piecewise)
        exec_merge_done(x);
    if (x->returning && !x->failed)
        exec_returning_done(x);
    if (x->failed) {
        bool lost = !x->gather && exec_lost_a_part(x);

        exec_copy_fini(x);
        exec_emit_error(x);
        exec_gather_fini(x);
        if (x->own_txn) {
            x->after_own_txn = true;
            exec_end_txn(x, false);
            return;
        }
        if (lost && s->txn.env)
            s->txn.doomed = true;
        /* Shards may have carried it out before one failed. */
        if (schema && !s->txn.env && (x->plan->ddl->no_transaction || exec_lost_a_part(x)))
            exec_reload_schema(x, true);
        else
            exec_after_error(x);
        return;
    }
    if (x->piecewise) {
        exec_pieces_begin(x);
        return;
    }
    if (x->plan && x->plan->kind == PLAN_COPY_OUT && x->row_desc_type == BE_COPY_OUT)
        exec_copy_out_end(x);
    else if (x->npart > 1 && x->task == TASK_STATEMENT)
        exec_send_row_desc(x);
    exec_copy_fini(x);
    if (x->explain)
        exec_explain_done(x);
    if (x->extended && x->task == TASK_STATEMENT && !x->bind_sent && x->plan) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
        if (x->describe && !x->row_desc_sent)
            strbuf_put(&x->out, "n\0\0\0\4", 5);
    }
    if (x->execute && x->extended)
        exec_pieces_done(x);
    if (x->finished)
        x->finished(x);
    if (x->gather)
        exec_gather_fini(x);
    else
        exec_note_portal(x);
    if (x->task == TASK_DESCRIBE) {
        exec_note_shape(x);
        if (!x->parts[0].backend->begun && !x->parts[0].backend->pins && x->parts[0].backend->pool != s->set->gather)
            pool_release(x->parts[0].backend);
        if (x->described) {
            void (*next)(struct exec * x) = x->described;

            x->described = NULL;
            next(x);
            return;
        }
    }
    if (schema && s->txn.env && !x->own_txn) {
        s->txn.ddl = true;
        exec_load_catalog(x);
        return;
    }
    if (x->own_txn) {
        x->after_own_txn = true;
        exec_end_txn(x, true);
        return;
    }
    if (schema && !s->txn.env) {
        exec_put_tag(x);
        exec_reload_schema(x, false);
        return;
    }
    exec_put_tag(x);
    exec_step_done(x);
}

/* The commit of a statement's own transaction is done. */
void exec_own_txn_done(struct exec *x, bool committed)
{
    bool schema = x->plan && x->plan->kind == PLAN_DDL && x->plan->ddl->schema_change;

    if (!committed) {
        if (schema && x->verb == SESSION_COMMIT)
            exec_reload_schema(x, true);
        else
            exec_after_error(x);
        return;
    }
    exec_put_tag(x);
    if (schema)
        exec_reload_schema(x, false);
    else
        exec_step_done(x);
}

/* A part is lost: the others work for nothing. */
static void exec_fail_parts(struct exec *x)
{
    if (x->failed)
        return;
    x->failed = true;
    if (x->task != TASK_TXN && x->plan && x->plan->kind == PLAN_COPY_IN) {
        exec_copy_failed(x);
        return;
    }
    for (uint32_t i = 0; i < x->npart; i++) {
        struct part *other = &x->parts[i];

        if (other->backend && other->started && !other->done && x->task != TASK_TXN)
            backend_cancel(other->backend);
        if (other->backend)
            stream_resume(&other->backend->st, PAUSE_TURN);
    }
}

/*
 * A connection on which nothing was running is gone. What the transaction had there is lost with it (begun), and a new
 * connection would be another transaction: the statement must not take one.
 */
static void exec_idle_lost(struct exec *x, struct part *p, bool begun, const struct err *cause)
{
    struct session *s = x->s;
    bool acquiring = s->state == SESSION_WAITING;

    if (begun && s->tx == 'T')
        s->tx = 'E';
    if (x->task == TASK_TXN || (p && p->done))
        return;
    if (acquiring && begun) {
        pool_cancel_wait(s);
        session_refused(s, cause);
    } else if (!acquiring && p) {
        if (!x->failed && x->error.len == 0)
            x->own_error = *cause;
        p->failed = true;
        exec_fail_parts(x);
    }
}

void exec_backend_lost(struct exec *x, struct backend *b, const struct err *cause)
{
    struct session *s = x->s;
    struct part *p = b->part < x->npart && x->parts[b->part].backend == b ? &x->parts[b->part] : NULL;
    bool waited = p && p->started && !p->done, gather = x->gather && b->pool == s->set->gather;
    bool begun = s->txn.env && b->begun, watched = waited || gather || (p && exec_gate_busy(x));

    if (exec_in_two_phase(x)) {
        exec_commit_lost(x, b, cause);
        return;
    }
    if (watched && !x->own_error.message[0] && x->error.len == 0)
        x->own_error = *cause;
    if (gather) {
        exec_gather_own_lost(x, b);
        return;
    }
    if (begun)
        s->txn.doomed = true;
    if (p)
        p->backend = NULL;
    backend_close(b);
    if (p && exec_gate_lost(x, p))
        return;
    if (!waited) {
        exec_idle_lost(x, p, begun, cause);
        return;
    }
    exec_fail_parts(x);
    if (x->task == TASK_GATHER)
        exec_gather_shard_lost(x);
    p->failed = true;
    exec_part_ready(x, p);
}
