/*
 * Rows are found by a scanner that follows PostgreSQL's CopyReadLineText byte for byte where line ends, escapes and the
 * end marker are concerned, so that what one server would refuse ("literal newline found in data") is refused here too:
 * split over shards, each shard might see a consistent stream of its own. Fields are read as its CopyReadAttributesText
 * and CopyReadAttributesCSV read them.
 *
 * Invariants: (1) `pending` holds the bytes of the unfinished row only, and `scanned` tells how many of them have been
 * looked at; (2) a byte is looked at once everything is there that its meaning depends on, so that the rows do not
 * depend on how the stream is cut; (3) once a text or CSV stream has ended, everything that comes is dropped, as
 * PostgreSQL drops what follows "\."; after the trailer of a binary stream anything is an error, as there.
 */
#include "wire/copy.h"

#include "base/mem.h"
#include "wire/proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_MAX_ROW     ((size_t)1 << 30)
#define BINARY_SIGNATURE "PGCOPY\n\377\r\n" /* and its NUL */
#define BINARY_HEADER    19u
#define BINARY_FLAG_OIDS                                                                                               \
    ((uint32_t)1 << 16) /* gone since PostgreSQL 12; the other high bits are not known to anybody */
#define MARKER_SLACK 4u /* bytes of an end marker or line end that may be pending behind a row */

enum eol { EOL_UNKNOWN, EOL_LF, EOL_CR, EOL_CRLF };

struct copy_splitter {
    struct copy_options o;
    char *null_text; /* owned */
    size_t null_len;
    struct strbuf pending;          /* an unfinished row */
    size_t scanned;                 /* bytes of it that were looked at */
    bool in_quote, last_was_escape; /* CSV */
    bool special[256];              /* bytes that scan_line must look at */
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
    s->special['\n'] = s->special['\r'] = s->special['\\'] = true;
    if (o->format == 'c')
        s->special[(unsigned char)o->quote] = s->special[(unsigned char)o->escape] = true;
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

static bool too_long(const struct copy_splitter *s, struct err *e)
{
    return bad(s, e, "COPY row is too long", s->o.format == 'b' ? NULL : "Is a quote or an end of line missing?");
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

/* The byte that the escape after the backslash at p stands for; returns where it ends. p < end. */
static const char *read_escape(const char *p, const char *end, char *out)
{
    static const char letters[] = "bfnrtv", values[] = "\b\f\n\r\t\v";
    const char *letter;
    int v = 0;

    if (octal(*p) >= 0) {
        for (const char *stop = end - p > 3 ? p + 3 : end; p < stop && octal(*p) >= 0; p++)
            v = v * 8 + octal(*p);
        *out = (char)v;
        return p;
    }
    if (*p == 'x' && p + 1 < end && hex(p[1]) >= 0) {
        v = hex(p[1]);
        p += 2;
        if (p < end && hex(*p) >= 0)
            v = v * 16 + hex(*p++);
        *out = (char)v;
        return p;
    }
    letter = *p ? strchr(letters, *p) : NULL;
    *out = letter ? values[letter - letters] : *p;
    return p + 1;
}

/*
 * One field from p; its value goes to buf unless that is NULL. Returns where it ends; *raw_end is where PostgreSQL sees
 * the end of its raw form, which is before a lone backslash at the end of the data.
 */
static const char *text_field(const struct copy_splitter *s, const char *p, const char *end, struct strbuf *buf,
                              const char **raw_end)
{
    while (p < end && *p != s->o.delimiter) {
        char c = *p;

        *raw_end = p;
        if (c == '\\' && p + 1 == end)
            return end;
        p = c == '\\' ? read_escape(p + 1, end, &c) : p + 1;
        if (buf)
            strbuf_putc(buf, c);
    }
    *raw_end = p;
    return p;
}

/* The field at p, which is a key; returns where it ends. */
static const char *text_key(struct copy_splitter *s, const char *p, const char *end, struct strbuf *buf,
                            struct span *value)
{
    const char *raw_end, *field_end = text_field(s, p, end, NULL, &raw_end);
    size_t raw_len = (size_t)(raw_end - p);

    if (raw_len == s->null_len && memcmp(p, s->null_text, raw_len) == 0)
        return field_end;
    *value = span_make(p, raw_len);
    if (memchr(p, '\\', raw_len)) {
        strbuf_reset(buf);
        (void)text_field(s, p, end, buf, &raw_end);
        *value = span_make(strbuf_str(buf), buf->len);
    }
    return field_end;
}

/* --- CSV: fields --- */

/* Parse one field from p; returns its end. Quotes may stand anywhere in it. */
static const char *csv_field(const struct copy_splitter *s, const char *p, const char *end, struct strbuf *buf,
                             bool *quoted)
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

/* The field at p, which is key k; returns where it ends. */
static const char *csv_key(struct copy_splitter *s, const char *p, const char *end, uint32_t k, struct span *value)
{
    struct span null_text = span_make(s->null_text, s->null_len);
    bool quoted;
    const char *field_end = csv_field(s, p, end, &s->key[k], &quoted);
    struct span text = span_make(strbuf_str(&s->key[k]), s->key[k].len);

    if (!quoted && span_eq(span_make(p, (size_t)(field_end - p)), null_text)) {
        if (s->o.force_not_null & BIT(k))
            *value = null_text;
    } else if (!(s->o.force_null & BIT(k)) || !span_eq(text, null_text)) {
        *value = text;
    }
    return field_end;
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
        int k = key_of_field(s, field);
        const char *raw_end;
        bool quoted;

        if (s->o.format == 't')
            p = k >= 0 ? text_key(s, p, end, &s->key[k], &keys[k]) : text_field(s, p, end, NULL, &raw_end);
        else
            p = k >= 0 ? csv_key(s, p, end, (uint32_t)k, &keys[k]) : csv_field(s, p, end, NULL, &quoted);
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

    if (raw.len > s->o.max_row)
        return too_long(s, e);
    s->in_quote = s->last_was_escape = false;
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

/* How long the line end at p is, 0: it is not of this stream's kind. Behind a CR another byte or the end is known. */
static size_t eol_at(struct copy_splitter *s, const char *p, const char *end)
{
    if (*p == '\n') {
        if (s->eol == EOL_UNKNOWN)
            s->eol = EOL_LF;
        return s->eol == EOL_LF;
    }
    if ((s->eol == EOL_UNKNOWN || s->eol == EOL_CRLF) && p + 1 < end && p[1] == '\n') {
        s->eol = EOL_CRLF;
        return 2;
    }
    if (s->eol == EOL_UNKNOWN)
        s->eol = EOL_CR;
    return s->eol == EOL_CR;
}

static enum scan wrong_eol(const struct copy_splitter *s, bool cr, struct err *e)
{
    if (s->o.format == 'c')
        bad(s, e, cr ? "unquoted carriage return found in data" : "unquoted newline found in data",
            cr ? "Use quoted CSV field to represent carriage return." : "Use quoted CSV field to represent newline.");
    else
        bad(s, e, cr ? "literal carriage return found in data" : "literal newline found in data",
            cr ? "Use \"\\r\" to represent carriage return." : "Use \"\\n\" to represent newline.");
    return SCAN_BAD;
}

/*
 * "\." at p, which in CSV begins a line. With a line end behind it, it ends the data; in text also behind data, which
 * is then the last row. SCAN_LINE: ordinary data. What does not fit is for CSV ordinary data, for text an error.
 */
static enum scan end_marker(const struct copy_splitter *s, const char *p, const char *end, bool last, struct err *e)
{
    static const char corrupt[] = "end-of-copy marker corrupt";
    static const char mismatch[] = "end-of-copy marker does not match previous newline style";
    const bool csv = s->o.format == 'c';
    const char *after = p + 2;
    const char *wrong = NULL;

    if (s->eol == EOL_CRLF) {
        if (after == end && !last)
            return SCAN_MORE;
        if (after < end && *after == '\r')
            after++;
        else
            wrong = after < end && *after == '\n' ? mismatch : corrupt;
    }
    if (!wrong && after == end && !last)
        return SCAN_MORE;
    if (!wrong && (after == end || (*after != '\r' && *after != '\n')))
        wrong = corrupt;
    if (wrong && csv)
        return SCAN_LINE;
    if (!wrong && s->eol != EOL_UNKNOWN && (*after == '\r') != (s->eol == EOL_CR))
        wrong = mismatch;
    if (!wrong)
        return SCAN_END;
    bad(s, e, wrong, NULL);
    return SCAN_BAD;
}

/* The state of quoting after a byte of a CSV line. An escape counts within quotes only, not when it is the quote. */
static bool csv_in_quote(struct copy_splitter *s, char c)
{
    const bool is_escape = c == s->o.escape && s->o.escape != s->o.quote;

    if (s->in_quote && is_escape)
        s->last_was_escape = !s->last_was_escape;
    if (c == s->o.quote && !s->last_was_escape)
        s->in_quote = !s->in_quote;
    if (!is_escape)
        s->last_was_escape = false;
    return s->in_quote;
}

/* Look for the end of the line that starts at `line`, from *pos on; *eol_len is the length of its end. */
static enum scan scan_line(struct copy_splitter *s, const char *line, const char *end, size_t *pos, size_t *eol_len,
                           bool last, struct err *e)
{
    const char *p = line + *pos;
    const bool csv = s->o.format == 'c';

    for (; p < end; p++) {
        const char *start = p;

        while (p < end && !s->special[(unsigned char)*p])
            p++;
        if (p > start)
            s->last_was_escape = false;
        if (p == end || ((*p == '\\' || *p == '\r') && p + 1 == end && !last))
            break;
        if (*p == '\\' && p + 1 < end && (!csv || p == line)) {
            enum scan r = p[1] == '.' ? end_marker(s, p, end, last, e) : SCAN_LINE;

            *pos = (size_t)(p - line);
            if (r != SCAN_LINE)
                return r;
            if (!csv) {
                p++; /* the escaped byte, a line end included */
                continue;
            }
        }
        if ((csv && csv_in_quote(s, *p)) || (*p != '\n' && *p != '\r'))
            continue;
        *eol_len = eol_at(s, p, end);
        *pos = (size_t)(p - line);
        return *eol_len ? SCAN_LINE : wrong_eol(s, *p == '\r', e);
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
    if (n > COPY_MAX_COLUMNS || (s->o.ncolumn && n != s->o.ncolumn)) {
        char what[64];

        if (s->o.ncolumn)
            snprintf(what, sizeof(what), "row field count is %d, expected %u", (int16_t)n, s->o.ncolumn);
        else
            snprintf(what, sizeof(what), "row field count is %d", (int16_t)n);
        bad(s, e, what, NULL);
        return SIZE_MAX;
    }
    for (uint32_t field = 0; field < n; field++) {
        uint32_t size;
        int k = key_of_field(s, field);

        if (len - at < 4)
            return 0;
        size = proto_get32(p + at);
        at += 4;
        if (size == UINT32_MAX)
            continue;
        if (size > INT32_MAX) {
            bad(s, e, "invalid field size", NULL);
            return SIZE_MAX;
        }
        if (size > s->o.max_row) {
            too_long(s, e);
            return SIZE_MAX;
        }
        if (len - at < size)
            return 0;
        if (k >= 0)
            keys[k] = span_make(p + at, size);
        at += size;
    }
    if (at > s->o.max_row) {
        too_long(s, e);
        return SIZE_MAX;
    }
    return at;
}

static size_t binary_header(struct copy_splitter *s, const char *p, size_t len, struct err *e)
{
    const char *wrong = NULL;
    uint32_t flags, extension;

    if (len < BINARY_HEADER)
        return 0;
    flags = proto_get32(p + 11);
    extension = proto_get32(p + 15);
    if (memcmp(p, BINARY_SIGNATURE, sizeof(BINARY_SIGNATURE)) != 0)
        wrong = "COPY file signature not recognized";
    else if (flags & BINARY_FLAG_OIDS)
        wrong = "invalid COPY file header (WITH OIDS)";
    else if (flags >> 16)
        wrong = "unrecognized critical flags in COPY file header";
    else if (extension > INT32_MAX)
        wrong = "invalid COPY file header (missing length)";
    else if (extension > s->o.max_row)
        wrong = "invalid COPY file header (wrong length)";
    if (wrong) {
        bad(s, e, wrong, NULL);
        return SIZE_MAX;
    }
    return len - BINARY_HEADER < extension ? 0 : BINARY_HEADER + (size_t)extension;
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
            at += n;
            break;
        }
        if (!fn(arg, header ? COPY_PREAMBLE : COPY_ROW, span_make(data + at, n), keys, e))
            return SIZE_MAX;
        s->rows += !header;
        s->line += !header;
        s->preamble_done = true;
        at += n;
    }
    if (s->ended && at < len) {
        bad(s, e, "received copy data after EOF marker", NULL);
        return SIZE_MAX;
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
    if (s->pending.len > s->o.max_row + (s->preamble_done ? MARKER_SLACK : BINARY_HEADER))
        return too_long(s, e);
    return true;
}

bool copy_splitter_feed(struct copy_splitter *s, struct span chunk, copy_row_fn *fn, void *arg, struct err *e)
{
    if (chunk.len == 0 || (s->ended && s->o.format != 'b'))
        return true;
    return feed(s, false, fn, arg, chunk, e);
}

bool copy_splitter_finish(struct copy_splitter *s, copy_row_fn *fn, void *arg, struct err *e)
{
    struct span rest;

    if (s->o.format == 'b') {
        if (!s->preamble_done)
            return bad(s, e, "COPY file signature not recognized", NULL);
        /* The trailer may be missing, and half a field count is no more than that to PostgreSQL. */
        return s->ended || s->pending.len < 2 || bad(s, e, "unexpected EOF in COPY data", NULL);
    }
    if (s->ended || s->pending.len == 0)
        return true;
    /* With the end known, a carriage return or marker at the very end can be told apart. */
    if (!feed(s, true, fn, arg, (struct span){ 0 }, e))
        return false;
    /* Nobody looks at the quotes of a header line. */
    if (s->in_quote && s->preamble_done)
        return bad(s, e, "unterminated CSV quoted field", NULL);
    if (s->ended || s->pending.len == 0)
        return true;
    rest = strbuf_span(&s->pending);
    if (!give_line(s, rest, rest.len, fn, arg, e))
        return false;
    strbuf_reset(&s->pending);
    return true;
}
