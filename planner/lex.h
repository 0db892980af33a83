/*
 * PostgreSQL's token boundaries, nothing more: where words, literals and comments begin and end, by the rules of
 * PostgreSQL 15's scan.l. One lexer for everything that reads statement text before the parser does (shape, splitting,
 * guard), so there is one thing to prove: tests compare it with pg_query_scan.
 *
 * Pure, never fails and always makes progress: what PostgreSQL's scanner would refuse is a LEX_BAD token, and lexing
 * goes on behind it. Any bytes are allowed; bytes from 0x80 are letters, as in PostgreSQL, so the encoding must be one
 * in which no byte of a multi-byte character is ASCII.
 */
#ifndef PLANNER_LEX_H
#define PLANNER_LEX_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum lex_kind {
    LEX_END,
    LEX_BAD,        /* unterminated, junk after a number, a byte no token starts with */
    LEX_WORD,       /* keyword or unquoted name */
    LEX_QUOTED,     /* "name" */
    LEX_ODD_QUOTED, /* U&"name" */
    LEX_PARAM,      /* $1 */
    LEX_PUNCT,      /* one byte of an operator or punctuation; ".." */
    /* literals: the type PostgreSQL gives them, since the type is part of a statement's shape */
    LEX_INT4,
    LEX_INT8,
    LEX_NUMERIC,
    LEX_STRING,
    LEX_ESCAPE,    /* E'...' */
    LEX_BITS,      /* B'...' */
    LEX_HEXBITS,   /* X'...' */
    LEX_DOLLAR,    /* $tag$...$tag$ */
    LEX_ODD_STRING /* value not to be read off the text: U&'...', continued on another line */
};

static inline bool lex_is_literal(enum lex_kind kind)
{
    return kind >= LEX_INT4;
}

struct lex_token {
    enum lex_kind kind;
    const unsigned char *start, *end; /* quotes and prefix included */
};

static inline bool lex_is_punct(const struct lex_token *t, char c)
{
    return t->kind == LEX_PUNCT && *t->start == (unsigned char)c;
}

struct lex {
    const unsigned char *pos, *end;
    bool nonstandard_strings; /* backslash escapes in '...': standard_conforming_strings is off */
    /* what the lexer met so far */
    bool saw_backslash;          /* in a '...' under nonstandard_strings */
    bool saw_comment_in_literal; /* 'a' -- x, newline, 'b': one literal for PostgreSQL, two for libpg_query */
};

static inline void lex_init(struct lex *l, struct span sql, bool nonstandard_strings)
{
    l->pos = (const unsigned char *)(sql.len ? sql.ptr : "");
    l->end = l->pos + sql.len;
    l->nonstandard_strings = nonstandard_strings;
    l->saw_backslash = l->saw_comment_in_literal = false;
}

/* What a token that starts with this byte can be. */
enum lex_class {
    LEX_CLASS_BAD,
    LEX_CLASS_BLANK,
    LEX_CLASS_PUNCT,
    LEX_CLASS_DOT,
    LEX_CLASS_DASH,
    LEX_CLASS_SLASH,
    LEX_CLASS_QUOTE,
    LEX_CLASS_DQUOTE,
    LEX_CLASS_DOLLAR, /* from here on: bytes that may continue a name */
    LEX_CLASS_DIGIT,
    LEX_CLASS_LETTER
};
extern const uint8_t lex_class[256];

/* For lex_next only: slow paths. Each reads the token at t->start, sets its kind and end. */
void lex_number(const struct lex *l, struct lex_token *t);
void lex_dot(const struct lex *l, struct lex_token *t);
void lex_string(struct lex *l, struct lex_token *t);
void lex_quoted_name(const struct lex *l, struct lex_token *t);
void lex_dollar(const struct lex *l, struct lex_token *t);
void lex_prefixed(struct lex *l, struct lex_token *t);
/* For '-' and '/': true if it was a comment, which ends at t->end and is no token. */
bool lex_comment(const struct lex *l, struct lex_token *t);

static inline bool lex_is_name_byte(unsigned char c)
{
    return lex_class[c] >= LEX_CLASS_DOLLAR;
}

static inline void lex_word(struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start + 1;

    while (p < l->end && lex_is_name_byte(*p))
        p++;
    t->kind = LEX_WORD;
    t->end = p;
    if (p - t->start == 1 && p < l->end && (*p == '\'' || *p == '&'))
        lex_prefixed(l, t);
}

/* A short integer with nothing behind it that could belong to it; all other numbers are lex_number's. */
static inline void lex_digits(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start + 1;

    while (p < l->end && lex_class[*p] == LEX_CLASS_DIGIT)
        p++;
    if (UNLIKELY(p - t->start > 9 || (p < l->end && (*p == '.' || lex_class[*p] == LEX_CLASS_LETTER)))) {
        lex_number(l, t);
        return;
    }
    t->kind = LEX_INT4;
    t->end = p;
}

/* The next token, blanks and comments skipped. LEX_END stays LEX_END, with start == end == the text's end. */
static inline void lex_next(struct lex *l, struct lex_token *t)
{
    const unsigned char *p = l->pos;

    for (;;) {
        while (p < l->end && lex_class[*p] == LEX_CLASS_BLANK)
            p++;
        t->start = p;
        if (UNLIKELY(p == l->end)) {
            t->kind = LEX_END;
            t->end = p;
            break;
        }
        switch ((enum lex_class)lex_class[*p]) {
        case LEX_CLASS_LETTER:
            lex_word(l, t);
            break;
        case LEX_CLASS_DOT:
            lex_dot(l, t);
            break;
        case LEX_CLASS_DIGIT:
            lex_digits(l, t);
            break;
        case LEX_CLASS_QUOTE:
            lex_string(l, t);
            break;
        case LEX_CLASS_DQUOTE:
            lex_quoted_name(l, t);
            break;
        case LEX_CLASS_DOLLAR:
            lex_dollar(l, t);
            break;
        case LEX_CLASS_DASH:
        case LEX_CLASS_SLASH:
            if (lex_comment(l, t)) {
                p = t->end;
                continue;
            }
            break;
        case LEX_CLASS_PUNCT:
            t->kind = LEX_PUNCT;
            t->end = p + 1;
            break;
        case LEX_CLASS_BAD:
        case LEX_CLASS_BLANK:
            t->kind = LEX_BAD;
            t->end = p + 1;
            break;
        }
        break;
    }
    l->pos = t->end;
}

#endif
