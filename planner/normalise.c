#include "planner/normalise.h"

#include "base/bug.h"
#include "base/mem.h"
#include "planner/lex.h"
#include "planner/moment.h"

#include <stdlib.h>
#include <string.h>

/* Buffers that one huge statement left behind are given back at the next small one. */
#define SHAPE_KEEP_BYTES    (256u * 1024u)
#define SHAPE_MIN_BYTES     1024u
#define SHAPE_LITERALS_STEP 64u

void shape_fini(struct shape *s)
{
    free(s->bytes);
    free(s->literals);
    s->bytes = NULL;
    s->literals = NULL;
    s->nliteral = 0;
    s->shape_len = s->bytes_cap = s->literals_cap = 0;
}

/* A shape is never longer than its text: a literal has at least one byte. */
static void shape_fit(struct shape *s, size_t len)
{
    if (len < SHAPE_KEEP_BYTES && (s->bytes_cap > SHAPE_KEEP_BYTES || s->literals_cap > SHAPE_KEEP_BYTES / 8))
        shape_fini(s);
    if (len > s->bytes_cap || !s->bytes) {
        free(s->bytes);
        s->bytes_cap = len + SHAPE_MIN_BYTES;
        s->bytes = mem_alloc(s->bytes_cap);
    }
}

static void shape_grow_literals(struct shape *s)
{
    s->literals_cap = s->literals_cap ? s->literals_cap * 2 : SHAPE_LITERALS_STEP;
    s->literals = mem_realloc(s->literals, s->literals_cap * sizeof(*s->literals));
}

static inline char marker(enum lex_kind kind)
{
    return (char)(1 + (int)(kind - LEX_INT4));
}

/*
 * Append text [from, to). Most runs are short, and a copy of constant size is much cheaper than a call: so 16 bytes are
 * copied where that many can be read; the buffer has room behind its end.
 */
static inline char *append(char *out, const unsigned char *from, const unsigned char *to, const unsigned char *end)
{
    size_t len = (size_t)(to - from);

    if (LIKELY(len <= 16 && end - from >= 16))
        memcpy(out, from, 16);
    else
        memcpy(out, from, len);
    return out + len;
}

/* E'...' with an escape that may stand for a letter: \x6e, \156, and \w, which is w. */
static bool spells_letters(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.ptr[i] == '\\' && !memchr("nrtbf'\\", text.ptr[++i], 7))
            return true;
    return false;
}

/*
 * A string constant that may read the clock makes another plan than other strings do (rule P13), so it must not share
 * theirs.
 */
static bool is_clock_string(const struct lex_token *t)
{
    const struct span text = span_make((const char *)t->start, (size_t)(t->end - t->start));

    if ((t->kind != LEX_STRING && t->kind != LEX_ESCAPE && t->kind != LEX_DOLLAR) || text.len <= 4)
        return false;
    return (t->kind == LEX_ESCAPE && spells_letters(text)) || moment_in(text);
}

enum shape_status shape_read(struct shape *s, struct span sql, bool nonstandard_strings)
{
    const unsigned char *text, *copied;
    enum shape_status status = SHAPE_OK;
    struct lex_token t;
    struct lex l;
    char *out;

    BUG_ON(sql.len >= 1u << 30);
    shape_fit(s, sql.len);
    out = s->bytes;
    s->nliteral = 0;
    lex_init(&l, sql, nonstandard_strings);
    text = copied = l.pos;
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (lex_is_literal(t.kind)) {
            if (UNLIKELY(s->nliteral == s->literals_cap))
                shape_grow_literals(s);
            s->literals[s->nliteral++] =
                (struct literal){ .off = (uint32_t)(t.start - text), .len = (uint32_t)(t.end - t.start) };
            out = append(out, copied, t.start, l.end);
            *out++ = marker(t.kind);
            copied = t.end;
            if (UNLIKELY(is_clock_string(&t)))
                status = SHAPE_UNCACHEABLE;
        }
        if (UNLIKELY(t.kind == LEX_BAD || t.kind == LEX_ODD_STRING || t.kind == LEX_ODD_QUOTED))
            status = SHAPE_UNCACHEABLE;
    }
    out = append(out, copied, l.end, l.end);
    s->shape_len = (size_t)(out - s->bytes);
    return l.saw_backslash ? SHAPE_BACKSLASH : status;
}
