/*
 * A COPY stream, after four bytes that choose the options and the cuts. However it is cut, rows, keys and errors are
 * the same; the rows are the stream, one behind another; and some of them alone are the same rows again, which is what
 * a shard relies on.
 */
#include "base/mem.h"
#include "wire/copy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct strbuf rows;  /* kind, raw bytes and keys of every row, each with its length */
    struct strbuf raw;   /* the raw bytes alone */
    struct strbuf dealt; /* raw bytes of the preamble and of the rows that are not left out */
    struct strbuf dealt_rows;
    uint32_t nkey, nrow;
    unsigned leave_out; /* rows whose number has one of these bits */
    bool ok;
    char message[sizeof(((struct err *)NULL)->message)];
};

static void put_span(struct strbuf *sb, struct span s)
{
    const size_t len = s.ptr ? s.len : SIZE_MAX;

    strbuf_put(sb, &len, sizeof(len));
    strbuf_put(sb, s.ptr, s.len);
}

static bool on_row(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e)
{
    struct seen *seen = arg;
    size_t start = seen->rows.len;

    (void)e;
    strbuf_putc(&seen->rows, kind == COPY_ROW ? 'r' : 'p');
    put_span(&seen->rows, raw);
    for (uint32_t i = 0; i < seen->nkey; i++)
        put_span(&seen->rows, keys[i]);
    strbuf_put(&seen->raw, raw.ptr, raw.len);
    if (kind == COPY_PREAMBLE || !(seen->nrow++ & seen->leave_out)) {
        strbuf_put(&seen->dealt, raw.ptr, raw.len);
        strbuf_put(&seen->dealt_rows, seen->rows.ptr + start, seen->rows.len - start);
    }
    return true;
}

/* cut 0: all at once; else pieces of so many bytes. Each is a copy of its own. */
static void split(const struct copy_options *o, struct span data, size_t cut, unsigned leave_out, struct seen *seen)
{
    struct copy_splitter *s = copy_splitter_new(o);
    struct err e = ERR_INIT;
    size_t n;

    *seen = (struct seen){ .nkey = o->nkey, .leave_out = leave_out, .ok = true };
    for (size_t at = 0; seen->ok && at < data.len; at += n) {
        char *piece;

        n = cut && cut < data.len - at ? cut : data.len - at;
        piece = mem_strndup(data.ptr + at, n);
        seen->ok = copy_splitter_feed(s, span_make(piece, n), on_row, seen, &e);
        free(piece);
    }
    seen->ok = seen->ok && copy_splitter_finish(s, on_row, seen, &e);
    BUG_ON(seen->ok && copy_splitter_rows(s) != seen->nrow);
    memcpy(seen->message, e.message, sizeof(e.message));
    copy_splitter_free(s);
}

static void seen_fini(struct seen *seen)
{
    strbuf_fini(&seen->rows);
    strbuf_fini(&seen->raw);
    strbuf_fini(&seen->dealt);
    strbuf_fini(&seen->dealt_rows);
}

static void choose(struct copy_options *o, const uint8_t *data)
{
    static const char formats[] = "tcb", delimiters[] = "\t,|A", quotes[] = "\"'\\q", escapes[] = "\"\\^q";
    static const char *const nulls[] = { "\\N", "", "NULL", "a\\\\" };

    *o = (struct copy_options){
        .format = formats[data[0] % 3],
        .header = data[0] / 3 % 2,
        .force_null = data[0] / 6 % 4,
        .force_not_null = data[0] / 24 % 4,
        .delimiter = delimiters[data[1] % 4],
        .quote = quotes[data[1] / 4 % 4],
        .escape = escapes[data[1] / 16 % 4],
        .null_text = nulls[data[1] / 64],
        .nkey = data[2] % 3,
        .key_fields = { data[2] / 3 % 3, 3 },
        .ncolumn = data[2] / 9 % 3,
        .max_row = data[2] & 128 ? 24 : 0,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t cuts[] = { 1, 3, 19 };
    struct copy_options o;
    struct seen whole, other;
    struct span stream;

    if (size < 4)
        return 0;
    choose(&o, data);
    stream = span_make((const char *)data + 4, size - 4);
    split(&o, stream, 0, data[3] & 3, &whole);
    BUG_ON(whole.raw.len > stream.len || (whole.raw.len && memcmp(whole.raw.ptr, stream.ptr, whole.raw.len) != 0));
    for (size_t i = 0; i <= ARRAY_LEN(cuts); i++) {
        split(&o, stream, i < ARRAY_LEN(cuts) ? cuts[i] : (size_t)data[3] + 1, 0, &other);
        BUG_ON(!span_eq(strbuf_span(&whole.rows), strbuf_span(&other.rows)));
        BUG_ON(whole.ok != other.ok);
        /* What else is wrong with a row that is too long depends on when that is noticed. */
        if (!strstr(whole.message, "too long") && !strstr(other.message, "too long"))
            BUG_ON(strcmp(whole.message, other.message) != 0);
        seen_fini(&other);
    }
    if (whole.ok) {
        split(&o, strbuf_span(&whole.dealt), 0, 0, &other);
        BUG_ON(!other.ok || !span_eq(strbuf_span(&whole.dealt_rows), strbuf_span(&other.rows)));
        seen_fini(&other);
    }
    seen_fini(&whole);
    return 0;
}
