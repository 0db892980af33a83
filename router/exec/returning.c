/*
 * RETURNING of an INSERT whose rows are split over shards: the rows come back in the order of VALUES, as they do on one
 * server. Each shard returns those of its rows in their order, so the route tells which one's is next. Until all have
 * answered they wait here, at most RETURNING_MAX bytes.
 *
 * A row that a trigger leaves out is not known to be which: then the statement fails, unless a shard has returned none.
 */
#include "router/exec/returning.h"

#include "base/mem.h"
#include "router/exec/answer.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/exec/pieces.h"
#include "router/session/session.h"
#include "wire/bemsg.h"
#include "wire/reader.h"

#include <stdlib.h>

#define RETURNING_MAX   (64u << 20) /* bytes */
#define RETURNING_FLUSH 32768u

struct exec_returning {
    uint32_t npart;
    size_t len;
    struct returned {
        struct strbuf frames;
        size_t at;  /* of the next one */
        uint32_t n; /* frames that are there */
    } parts[];
};

bool exec_returns_split(const struct exec *x)
{
    return x->task == TASK_STATEMENT && x->plan && exec_split(x) && x->plan->returns_rows;
}

enum exec_action exec_returning_row(struct exec *x, const struct part *p, struct span body)
{
    struct exec_returning *r = x->returning;
    struct returned *of;
    size_t at;

    if (!r) {
        r = x->returning = mem_zalloc(sizeof(*r) + x->npart * sizeof(r->parts[0]));
        r->npart = x->npart;
    }
    of = &r->parts[p - x->parts];
    at = msg_begin(&of->frames, BE_DATA_ROW);
    strbuf_put(&of->frames, body.ptr, body.len);
    msg_end(&of->frames, at);
    of->n++;
    r->len += body.len + PROTO_HEADER;
    if (r->len <= RETURNING_MAX)
        return EXEC_SWALLOW;
    err_set(&x->own_error, PB0308, "the rows that an INSERT over several shards returns are too many");
    err_detail(&x->own_error,
               "They are put in the order of VALUES when all shards have answered, at most %u MB of them.",
               RETURNING_MAX >> 20);
    err_hint(&x->own_error, "Insert fewer rows at once, or return fewer columns.");
    x->failed = true;
    exec_cancel_parts(x, NULL);
    return EXEC_SWALLOW;
}

/* Which part has the next row; UINT32_MAX: one that has returned none. */
static uint32_t part_of_row(const struct exec *x, uint32_t row)
{
    for (uint32_t i = 0; i < x->npart; i++) {
        if (x->parts[i].shard == x->route.row_shard[row])
            return x->returning->parts[i].n ? i : UINT32_MAX;
    }
    BUG_ON(true); /* the parts were made of the route */
}

/* Does each part have a row for each of its own in VALUES, or none? */
static bool all_there(struct exec *x)
{
    uint32_t *wanted = ARENA_ARRAY(&x->arena, uint32_t, x->npart);
    uint32_t part;

    for (uint32_t row = 0; row < x->plan->insert->nrow; row++) {
        part = part_of_row(x, row);
        if (part != UINT32_MAX)
            wanted[part]++;
    }
    for (uint32_t i = 0; i < x->npart; i++) {
        if (wanted[i] != x->returning->parts[i].n)
            return false;
    }
    return true;
}

static void put_row(struct exec *x, struct returned *of)
{
    const char *frame = of->frames.ptr + of->at;
    size_t len = (size_t)proto_get32(frame + 1) + 1;

    of->at += len;
    if (x->max_rows && x->sent >= x->max_rows) {
        (void)exec_row_beyond(x, span_make(frame + PROTO_HEADER, len - PROTO_HEADER));
        return;
    }
    x->sent++;
    strbuf_put(&x->out, frame, len);
    if (x->out.len >= RETURNING_FLUSH)
        exec_flush(x);
}

void exec_returning_done(struct exec *x)
{
    if (!x->returning)
        return;
    if (!all_there(x)) {
        err_set(&x->own_error, PB0201, "an INSERT of rows for several shards has not returned all of them");
        err_detail(&x->own_error, "A trigger has left some out, and the order of the others is not known.");
        err_hint(&x->own_error, "Insert the rows of one key at a time, in one transaction.");
        x->failed = true;
        return;
    }
    exec_send_row_desc(x);
    for (uint32_t row = 0; row < x->plan->insert->nrow && !x->failed; row++) {
        uint32_t part = part_of_row(x, row);

        if (part != UINT32_MAX)
            put_row(x, &x->returning->parts[part]);
    }
}

void exec_returning_fini(struct exec *x)
{
    struct exec_returning *r = x->returning;

    x->returning = NULL;
    for (uint32_t i = 0; r && i < r->npart; i++)
        strbuf_fini(&r->parts[i].frames);
    free(r);
}
