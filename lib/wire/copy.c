/*
 * Rows are found by a scanner that follows PostgreSQL's CopyReadLineText byte for byte where line ends, escapes and the
 * end marker are concerned, so that what one server would refuse ("literal newline found in data") is refused here too:
 * split over shards, each shard might see a consistent stream of its own.
 *
 * Invariants: (1) `pending` holds the bytes of the unfinished row only, and scan_* tell how far they have been looked
 * at; (2) once ended, everything that comes is dropped, as PostgreSQL drops what follows "\.".
 */
#include "wire/copy.h"

#include "base/mem.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define COPY_MAX_ROW     ((size_t)1 << 30)
#define BINARY_SIGNATURE "PGCOPY\n\377\r\n" /* and its NUL */
#define BINARY_HEADER    19u

enum eol { EOL_UNKNOWN, EOL_LF, EOL_CR, EOL_CRLF };

struct copy_splitter {
    struct copy_options o;
    char *null_text; /* owned */
    size_t null_len;
    struct strbuf pending;          /* an unfinished row */
    size_t scanned;                 /* bytes of it that were looked at */
    bool in_quote, last_was_escape; /* CSV */
    bool ended;                     /* end marker seen */
    bool preamble_done;
    enum eol eol;
    uint64_t line, rows;
    struct strbuf key[COPY_MAX_KEYS]; /* decoded values */
};

struct copy_splitter *copy_splitter_new(const struct copy_options *o)
{
    struct copy_splitter *s = mem_zalloc(sizeof(*s));

    BUG_ON(o->nkey > COPY_MAX_KEYS);
    s->o = *o;
    if (s->o.max_row == 0 || s->o.max_row > COPY_MAX_ROW)
        s->o.max_row = COPY_MAX_ROW;
    s->null_text = mem_strdup(o->null_text ? o->null_text : "");
    s->null_len = strlen(s->null_text);
    s->preamble_done = o->format != 'b' && !o->header;
    return s;
}

void copy_splitter_free(struct copy_splitter *s)
{
    if (!s)
        return;
    free(s->null_text);
    strbuf_fini(&s->pending);
    for (size_t i = 0; i < COPY_MAX_KEYS; i++)
        strbuf_fini(&s->key[i]);
    free(s);
}

uint64_t copy_splitter_rows(const struct copy_splitter *s)
{
    return s->rows;
}

struct span copy_trailer(const struct copy_options *o)
{
    return o->format == 'b' ? span_make("\377\377", 2) : (struct span){ 0 };
}

static bool bad(const struct copy_splitter *s, struct err *e, const char *what, const char *hint)
{
    err_set(e, PB0104, "%s", what);
    err_detail(e, "COPY line %llu.", (unsigned long long)s->line + 1);
    if (hint)
        err_hint(e, "%s", hint);
    return false;
}

/* --- text: fields --- */

static int octal(char c)
{
    return c >= '0' && c <= '7' ? c - '0' : -1;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One escape after the backslash at p; returns where it ends. */
static const char *put_escape(struct strbuf *out, const char *p, const char *end)
{
    static const char letters[] = "bfnrtv", values[] = "\b\f\n\r\t\v";
    const char *letter;
    int v;

    if (octal(*p) >= 0) {
        for (v = 0; p < end && octal(*p) >= 0 && v < 64; p++)
            v = v * 8 + octal(*p);
        strbuf_putc(out, (char)v);
        return p;
    }
    if (*p == 'x' && p + 1 < end && hex(p[1]) >= 0) {
        v = hex(p[1]);
        p += 2;
        if (p < end && hex(*p) >= 0)
            v = v * 16 + hex(*p++);
        strbuf_putc(out, (char)v);
        return p;
    }
    letter = *p ? strchr(letters, *p) : NULL;
    strbuf_putc(out, letter ? values[letter - letters] : *p);
    return p + 1;
}

static const char *text_field_end(const struct copy_splitter *s, const char *p, const char *end)
{
    for (; p < end && *p != s->o.delimiter; p++) {
        if (*p == '\\' && p + 1 < end)
            p++;
    }
    return p;
}

/* The value of a field in its raw form. */
static struct span text_value(struct copy_splitter *s, struct span raw, struct strbuf *buf)
{
    const char *p = raw.ptr, *end = raw.ptr + raw.len;

    if (raw.len == s->null_len && memcmp(raw.ptr, s->null_text, raw.len) == 0)
        return (struct span){ 0 };
    if (!memchr(raw.ptr, '\\', raw.len))
        return raw;
    strbuf_reset(buf);
    while (p < end) {
        if (*p == '\\' && p + 1 < end)
            p = put_escape(buf, p + 1, end);
        else
            strbuf_putc(buf, *p++);
    }
    return span_make(strbuf_str(buf), buf->len);
}

/* --- CSV: fields --- */

/* Parse one field from p; returns its end. Quotes may stand anywhere in it. */
static const char *csv_field(struct copy_splitter *s, const char *p, const char *end, struct strbuf *buf, bool *quoted)
{
    bool in_quote = false;

    *quoted = false;
    if (buf)
        strbuf_reset(buf);
    for (; p < end; p++) {
        if (!in_quote && *p == s->o.delimiter)
            break;
        if (!in_quote && *p == s->o.quote) {
            in_quote = *quoted = true;
            continue;
        }
        if (in_quote && *p == s->o.escape && p + 1 < end && (p[1] == s->o.escape || p[1] == s->o.quote)) {
            p++;
        } else if (in_quote && *p == s->o.quote) {
            in_quote = false;
            continue;
        }
        if (buf)
            strbuf_putc(buf, *p);
    }
    return p;
}

static int key_of_field(const struct copy_splitter *s, uint32_t field)
{
    for (uint32_t i = 0; i < s->o.nkey; i++) {
        if (s->o.key_fields[i] == field)
            return (int)i;
    }
    return -1;
}

/* Fill keys from a line without its end; a field that is missing stays NULL: the server will complain. */
static void line_keys(struct copy_splitter *s, struct span line, struct span *keys)
{
    const char *p = line.ptr, *end = line.ptr + line.len;
    uint32_t left = s->o.nkey;

    for (uint32_t field = 0; left; field++) {
        const char *start = p;
        int k = key_of_field(s, field);

        if (s->o.format == 't') {
            p = text_field_end(s, p, end);
            if (k >= 0)
                keys[k] = text_value(s, span_make(start, (size_t)(p - start)), &s->key[k]);
        } else {
            bool quoted;

            p = csv_field(s, p, end, k >= 0 ? &s->key[k] : NULL, &quoted);
            if (k >= 0 &&
                (quoted || (size_t)(p - start) != s->null_len || memcmp(start, s->null_text, s->null_len) != 0))
                keys[k] = span_make(strbuf_str(&s->key[k]), s->key[k].len);
        }
        left -= k >= 0;
        if (p >= end)
            break;
        p++; /* the delimiter */
    }
}

/* --- lines --- */

static bool give_line(struct copy_splitter *s, struct span raw, size_t text_len, copy_row_fn *fn, void *arg,
                      struct err *e)
{
    struct span keys[COPY_MAX_KEYS] = { { 0 } };

    s->line++;
    if (!s->preamble_done) {
        s->preamble_done = true;
        return fn(arg, COPY_PREAMBLE, raw, keys, e);
    }
    line_keys(s, span_make(raw.ptr, text_len), keys);
    if (!fn(arg, COPY_ROW, raw, keys, e))
        return false;
    s->rows++;
    return true;
}

enum scan { SCAN_MORE, SCAN_LINE, SCAN_END, SCAN_BAD };

/* How long the line end at p is: 0: not one here, -1: more bytes are needed, -2: one that does not belong to this
 * stream. */
static int eol_at(struct copy_splitter *s, const char *p, const char *end, bool last)
{
    if (*p == '\n') {
        if (s->eol == EOL_UNKNOWN)
            s->eol = EOL_LF;
        return s->eol == EOL_LF ? 1 : -2;
    }
    if (*p != '\r')
        return 0;
    if (s->eol == EOL_UNKNOWN || s->eol == EOL_CRLF) {
        if (p + 1 == end && !last)
            return -1;
        if (p + 1 < end && p[1] == '\n') {
            s->eol = EOL_CRLF;
            return 2;
        }
        if (s->eol == EOL_CRLF)
            return -2;
        s->eol = EOL_CR;
    }
    return s->eol == EOL_CR ? 1 : -2;
}

/*
 * "\." at p. On a line of its own, or (text format) behind data, it ends everything. Returns SCAN_LINE when it is
 * ordinary data.
 */
static enum scan end_marker(struct copy_splitter *s, const char *line, const char *p, const char *end, bool last,
                            struct err *e)
{
    const char *after = p + 2;
    int n;

    if (s->o.format == 'c' && p != line)
        return SCAN_LINE;
    if (after == end)
        return last ? SCAN_END : SCAN_MORE;
    n = *after == '\n' || *after == '\r' ? eol_at(s, after, end, last) : 0;
    if (n == -1)
        return SCAN_MORE;
    if (n > 0)
        return SCAN_END;
    if (s->o.format == 'c')
        return SCAN_LINE;
    bad(s, e, n == 0 ? "end-of-copy marker corrupt" : "end-of-copy marker does not match previous newline style", NULL);
    return SCAN_BAD;
}

/* Look for the end of the line that starts at `line`, from *pos on; *eol_len is the length of its end. */
static enum scan scan_line(struct copy_splitter *s, const char *line, const char *end, size_t *pos, size_t *eol_len,
                           bool last, struct err *e)
{
    const char *p = line + *pos;
    const bool csv = s->o.format == 'c';

    for (; p < end; p++) {
        int n;

        if (csv) {
            if (s->in_quote && *p == s->o.escape)
                s->last_was_escape = !s->last_was_escape;
            if (*p == s->o.quote && !s->last_was_escape)
                s->in_quote = !s->in_quote;
            if (*p != s->o.escape)
                s->last_was_escape = false;
            if (s->in_quote)
                continue;
        }
        if (*p == '\n' || *p == '\r') {
            n = eol_at(s, p, end, last);
            if (n == -1)
                break;
            if (n == -2) {
                bool cr = *p == '\r';

                bad(s, e,
                    cr ? (csv ? "unquoted carriage return found in data" : "literal carriage return found in data")
                       : (csv ? "unquoted newline found in data" : "literal newline found in data"),
                    cr ? (csv ? "Use quoted CSV field to represent carriage return."
                              : "Use \"\\r\" to represent carriage return.")
                       : (csv ? "Use quoted CSV field to represent newline." : "Use \"\\n\" to represent newline."));
                return SCAN_BAD;
            }
            *pos = (size_t)(p - line);
            *eol_len = (size_t)n;
            return SCAN_LINE;
        }
        if (*p != '\\' || (csv && p != line))
            continue;
        if (p + 1 == end) {
            if (!last)
                break;
            continue;
        }
        if (p[1] == '.') {
            enum scan r = end_marker(s, line, p, end, last, e);

            if (r == SCAN_END)
                *pos = (size_t)(p - line);
            if (r == SCAN_MORE)
                break;
            if (r != SCAN_LINE)
                return r;
        } else if (!csv) {
            p++; /* the escaped byte, a line end included */
        }
    }
    *pos = (size_t)((p < end ? p : end) - line);
    return SCAN_MORE;
}

/* All whole lines in [data, data+len); returns how many bytes they are, or SIZE_MAX on error. */
static size_t feed_lines(struct copy_splitter *s, const char *data, size_t len, size_t scanned, bool last,
                         copy_row_fn *fn, void *arg, struct err *e)
{
    size_t at = 0, pos = scanned;

    while (at < len) {
        size_t eol_len = 0;
        enum scan r = scan_line(s, data + at, data + len, &pos, &eol_len, last, e);

        if (r == SCAN_BAD)
            return SIZE_MAX;
        if (r == SCAN_END) {
            s->ended = true;
            /* Text format takes the data before the marker as a last row. */
            if (pos && !give_line(s, span_make(data + at, pos), pos, fn, arg, e))
                return SIZE_MAX;
            return len;
        }
        if (r == SCAN_MORE)
            break;
        if (!give_line(s, span_make(data + at, pos + eol_len), pos, fn, arg, e))
            return SIZE_MAX;
        at += pos + eol_len;
        pos = 0;
    }
    s->scanned = at < len ? pos : 0;
    return at;
}

/* --- binary --- */

/* A tuple at p: its length, 0 when it is not complete, SIZE_MAX when malformed. keys are filled. */
static size_t binary_tuple(struct copy_splitter *s, const char *p, size_t len, struct span *keys, struct err *e)
{
    size_t at = 2;
    uint16_t n;

    if (len < 2)
        return 0;
    n = proto_get16(p);
    if (n == 0xFFFF)
        return 2;
    for (uint32_t field = 0; field < n; field++) {
        uint32_t size;
        int k = key_of_field(s, field);

        if (len - at < 4)
            return 0;
        size = proto_get32(p + at);
        at += 4;
        if (size == UINT32_MAX)
            continue;
        if (size > s->o.max_row) {
            bad(s, e, "unexpected field size in binary COPY data", NULL);
            return SIZE_MAX;
        }
        if (len - at < size)
            return 0;
        if (k >= 0)
            keys[k] = span_make(p + at, size);
        at += size;
    }
    return at;
}

static size_t binary_header(struct copy_splitter *s, const char *p, size_t len, struct err *e)
{
    size_t total;

    if (len < BINARY_HEADER)
        return 0;
    if (memcmp(p, BINARY_SIGNATURE, sizeof(BINARY_SIGNATURE)) != 0) {
        bad(s, e, "COPY file signature not recognized", NULL);
        return SIZE_MAX;
    }
    total = BINARY_HEADER + (size_t)proto_get32(p + 15);
    if (total > s->o.max_row) {
        bad(s, e, "invalid COPY file header (wrong length)", NULL);
        return SIZE_MAX;
    }
    return len < total ? 0 : total;
}

static size_t feed_binary(struct copy_splitter *s, const char *data, size_t len, copy_row_fn *fn, void *arg,
                          struct err *e)
{
    size_t at = 0;

    while (at < len && !s->ended) {
        struct span keys[COPY_MAX_KEYS] = { { 0 } };
        bool header = !s->preamble_done;
        size_t n = header ? binary_header(s, data + at, len - at, e) : binary_tuple(s, data + at, len - at, keys, e);

        if (n == SIZE_MAX)
            return n;
        if (n == 0)
            break;
        if (!header && proto_get16(data + at) == 0xFFFF) {
            s->ended = true;
            return len;
        }
        if (!fn(arg, header ? COPY_PREAMBLE : COPY_ROW, span_make(data + at, n), keys, e))
            return SIZE_MAX;
        s->rows += !header;
        s->line += !header;
        s->preamble_done = true;
        at += n;
    }
    return at;
}

/* --- chunks --- */

static bool feed(struct copy_splitter *s, bool last, copy_row_fn *fn, void *arg, struct span chunk, struct err *e)
{
    bool kept = s->pending.len > 0;
    size_t used;

    if (kept)
        strbuf_put(&s->pending, chunk.ptr, chunk.len);
    if (kept)
        chunk = strbuf_span(&s->pending);
    used = s->o.format == 'b' ? feed_binary(s, chunk.ptr, chunk.len, fn, arg, e)
                              : feed_lines(s, chunk.ptr, chunk.len, s->scanned, last, fn, arg, e);
    if (used == SIZE_MAX)
        return false;
    if (kept)
        strbuf_drop(&s->pending, used);
    else if (used < chunk.len)
        strbuf_put(&s->pending, chunk.ptr + used, chunk.len - used);
    if (s->pending.len > s->o.max_row)
        return bad(s, e, "COPY row is too long", "Is a quote or an end of line missing?");
    return true;
}

bool copy_splitter_feed(struct copy_splitter *s, struct span chunk, copy_row_fn *fn, void *arg, struct err *e)
{
    if (s->ended || chunk.len == 0)
        return true;
    return feed(s, false, fn, arg, chunk, e);
}

bool copy_splitter_finish(struct copy_splitter *s, copy_row_fn *fn, void *arg, struct err *e)
{
    struct span rest;

    if (s->ended || s->pending.len == 0)
        return s->preamble_done || s->o.format != 'b' || bad(s, e, "COPY file signature not recognized", NULL);
    if (s->o.format == 'b')
        return bad(s, e, "unexpected EOF in COPY data", NULL);
    /* With the end known, a carriage return or marker at the very end can be told apart. */
    if (!feed(s, true, fn, arg, (struct span){ 0 }, e))
        return false;
    if (s->in_quote)
        return bad(s, e, "unterminated CSV quoted field", NULL);
    if (s->ended || s->pending.len == 0)
        return true;
    rest = strbuf_span(&s->pending);
    if (!give_line(s, rest, rest.len, fn, arg, e))
        return false;
    strbuf_reset(&s->pending);
    return true;
}
