#include "planner/lex.h"

#include <string.h>

#define BLANK  LEX_CLASS_BLANK
#define PUNCT  LEX_CLASS_PUNCT
#define DIGIT  LEX_CLASS_DIGIT
#define LETTER LEX_CLASS_LETTER

/* Vertical tab is no blank before PostgreSQL 16. */
const uint8_t lex_class[256] = {
    ['\t'] = BLANK,
    ['\n'] = BLANK,
    ['\f'] = BLANK,
    ['\r'] = BLANK,
    [' '] = BLANK,
    ['!'] = PUNCT,
    ['"'] = LEX_CLASS_DQUOTE,
    ['#'] = PUNCT,
    ['$'] = LEX_CLASS_DOLLAR,
    ['%'] = PUNCT,
    ['&'] = PUNCT,
    ['\''] = LEX_CLASS_QUOTE,
    ['('] = PUNCT,
    [')'] = PUNCT,
    ['*'] = PUNCT,
    ['+'] = PUNCT,
    [','] = PUNCT,
    ['-'] = LEX_CLASS_DASH,
    ['.'] = LEX_CLASS_DOT,
    ['/'] = LEX_CLASS_SLASH,
    ['0' ... '9'] = DIGIT,
    [':'] = PUNCT,
    [';'] = PUNCT,
    ['<'] = PUNCT,
    ['='] = PUNCT,
    ['>'] = PUNCT,
    ['?'] = PUNCT,
    ['@'] = PUNCT,
    ['A' ... 'Z'] = LETTER,
    ['['] = PUNCT,
    [']'] = PUNCT,
    ['^'] = PUNCT,
    ['_'] = LETTER,
    ['`'] = PUNCT,
    ['a' ... 'z'] = LETTER,
    ['|'] = PUNCT,
    ['~'] = PUNCT,
    [0x80 ... 0xFF] = LETTER,
};

static inline bool is_digit(const unsigned char *p, const unsigned char *end)
{
    return p < end && lex_class[*p] == DIGIT;
}

static const unsigned char *skip_digits(const unsigned char *p, const unsigned char *end)
{
    while (is_digit(p, end))
        p++;
    return p;
}

/* Integers that fit in no smaller type are int8, then numeric, by value: leading zeros do not count. */
static enum lex_kind integer_kind(const unsigned char *p, const unsigned char *end)
{
    static const char max4[] = "2147483647", max8[] = "9223372036854775807";
    size_t len;

    while (p < end && *p == '0')
        p++;
    len = (size_t)(end - p);
    if (len < 10 || (len == 10 && memcmp(p, max4, 10) <= 0))
        return LEX_INT4;
    if (len < 19 || (len == 19 && memcmp(p, max8, 19) <= 0))
        return LEX_INT8;
    return LEX_NUMERIC;
}

/* integer | decimal | real of scan.l; "1..2" is 1, "..", 2; a letter right behind a number is an error since 15. */
void lex_number(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = skip_digits(t->start, l->end), *exponent;
    bool integer = true;

    if (p < l->end && *p == '.' && !(p > t->start && p + 1 < l->end && p[1] == '.')) {
        p = skip_digits(p + 1, l->end);
        integer = false;
    }
    if (p < l->end && (*p == 'e' || *p == 'E')) {
        exponent = p + 1;
        if (exponent < l->end && (*exponent == '+' || *exponent == '-'))
            exponent++;
        if (is_digit(exponent, l->end)) {
            p = skip_digits(exponent, l->end);
            integer = false;
        }
    }
    t->end = p;
    if (p < l->end && lex_class[*p] == LETTER)
        t->kind = LEX_BAD;
    else
        t->kind = integer ? integer_kind(t->start, p) : LEX_NUMERIC;
}

/* ".." is a token, so that "1..5" has no ".5" in it. */
void lex_dot(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start + 1;

    if (is_digit(p, l->end)) {
        lex_number(l, t);
        return;
    }
    t->kind = LEX_PUNCT;
    t->end = p < l->end && *p == '.' ? p + 1 : p;
}

/* quotecontinue of scan.l: blanks and -- comments with a newline among them, then a quote. Behind that quote, or NULL.
 */
static const unsigned char *continued(struct lex *l, const unsigned char *p)
{
    const unsigned char *end = l->end;
    bool newline = false, comment = false;

    while (p < end) {
        if (*p == '\n' || *p == '\r') {
            newline = true;
        } else if (*p == '-' && p + 1 < end && p[1] == '-') {
            comment = true;
            while (p < end && *p != '\n' && *p != '\r')
                p++;
            continue;
        } else if (lex_class[*p] != BLANK) {
            break;
        }
        p++;
    }
    if (!newline || p == end || *p != '\'')
        return NULL;
    if (comment)
        l->saw_comment_in_literal = true;
    return p + 1;
}

enum escapes { ESCAPES_NONE, ESCAPES_DOUBLING, ESCAPES_BACKSLASH };

/* Behind the quote that closes the literal whose text begins at p; NULL if none does. */
static const unsigned char *close_quote(const unsigned char *p, const unsigned char *end, enum escapes escapes)
{
    for (; p < end; p++) {
        if (*p == '\\' && escapes == ESCAPES_BACKSLASH) {
            p++;
        } else if (*p == '\'') {
            if (escapes == ESCAPES_NONE || p + 1 >= end || p[1] != '\'')
                return p + 1;
            p++;
        }
    }
    return NULL;
}

/* The rest of a quoted literal, p behind its opening quote, continuation lines included. */
static void quoted(struct lex *l, struct lex_token *t, const unsigned char *p, enum escapes escapes, enum lex_kind kind)
{
    t->kind = kind;
    while ((p = close_quote(p, l->end, escapes)) != NULL) {
        t->end = p;
        p = continued(l, p);
        if (!p)
            return;
        t->kind = LEX_ODD_STRING;
    }
    t->kind = LEX_BAD;
    t->end = l->end;
}

void lex_string(struct lex *l, struct lex_token *t)
{
    quoted(l, t, t->start + 1, l->nonstandard_strings ? ESCAPES_BACKSLASH : ESCAPES_DOUBLING, LEX_STRING);
    if (UNLIKELY(l->nonstandard_strings) && memchr(t->start, '\\', (size_t)(t->end - t->start)))
        l->saw_backslash = true;
}

void lex_quoted_name(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start;

    do {
        p = memchr(p + 1, '"', (size_t)(l->end - p - 1));
        if (!p) {
            t->kind = LEX_BAD;
            t->end = l->end;
            return;
        }
        p++;
    } while (p < l->end && *p == '"');
    t->kind = LEX_QUOTED;
    t->end = p;
}

/* A word of one letter in front of a quote or '&': the prefixes of scan.l. N'...' is the word N and a plain string. */
void lex_prefixed(struct lex *l, struct lex_token *t)
{
    struct lex_token name;

    if (*t->end == '\'') {
        switch (*t->start) {
        case 'e':
        case 'E':
            quoted(l, t, t->end + 1, ESCAPES_BACKSLASH, LEX_ESCAPE);
            break;
        case 'b':
        case 'B':
            quoted(l, t, t->end + 1, ESCAPES_NONE, LEX_BITS);
            break;
        case 'x':
        case 'X':
            quoted(l, t, t->end + 1, ESCAPES_NONE, LEX_HEXBITS);
            break;
        }
    } else if ((*t->start == 'u' || *t->start == 'U') && t->end + 1 < l->end) {
        if (t->end[1] == '\'') {
            quoted(l, t, t->end + 2, ESCAPES_DOUBLING, LEX_ODD_STRING);
        } else if (t->end[1] == '"') {
            name.start = t->end + 1;
            lex_quoted_name(l, &name);
            t->kind = name.kind == LEX_QUOTED ? LEX_ODD_QUOTED : LEX_BAD;
            t->end = name.end;
        }
    }
}

/* dolqdelim of scan.l at p: behind its second '$', or NULL. */
static const unsigned char *dollar_delimiter(const unsigned char *p, const unsigned char *end)
{
    for (p++; p < end && *p != '$'; p++) {
        if (!lex_is_name_byte(*p))
            return NULL;
    }
    return p < end ? p + 1 : NULL;
}

/* $1, $$...$$, $tag$...$tag$. A tag does not begin with a digit, so the two cannot be confused. */
void lex_dollar(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start + 1, *body;
    size_t len;

    if (is_digit(p, l->end)) {
        t->end = skip_digits(p, l->end);
        t->kind = t->end < l->end && lex_class[*t->end] == LETTER ? LEX_BAD : LEX_PARAM;
        return;
    }
    t->kind = LEX_BAD;
    t->end = p;
    body = dollar_delimiter(t->start, l->end);
    if (!body)
        return;
    len = (size_t)(body - t->start);
    for (p = body; (size_t)(l->end - p) >= len; p++) {
        p = memchr(p, '$', (size_t)(l->end - p) - len + 1);
        if (!p)
            break;
        if (memcmp(p, t->start, len) == 0) {
            t->kind = LEX_DOLLAR;
            t->end = p + len;
            return;
        }
    }
    t->end = l->end;
}

/* Comments of both kinds; block comments nest. */
bool lex_comment(const struct lex *l, struct lex_token *t)
{
    const unsigned char *p = t->start;
    uint32_t depth = 0;

    t->kind = LEX_PUNCT;
    t->end = p + 1;
    if (l->end - p < 2 || p[1] != (*p == '-' ? '-' : '*'))
        return false;
    if (*p == '-') {
        for (p += 2; p < l->end && *p != '\n' && *p != '\r'; p++)
            ;
        t->end = p;
        return true;
    }
    while (l->end - p >= 2) {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            p += 2;
            if (--depth == 0) {
                t->end = p;
                return true;
            }
        } else {
            p++;
        }
    }
    t->kind = LEX_BAD;
    t->end = l->end;
    return false;
}
