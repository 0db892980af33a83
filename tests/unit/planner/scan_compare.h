/*
 * Our lexer against PostgreSQL's scanner: for the lexer's test and its fuzz target.
 */
#ifndef TESTS_SCAN_COMPARE_H
#define TESTS_SCAN_COMPARE_H

#include "planner/lex.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdbool.h>
#include <stddef.h>

enum scan_verdict {
    SCAN_AGREES,    /* the same literals and names at the same places */
    SCAN_DECLINED,  /* we do not vouch for it (U&'', continued strings, bytes that no token starts with) and need not */
    SCAN_REFUSED,   /* PostgreSQL refuses it and we decline it */
    SCAN_UNNOTICED, /* PostgreSQL refuses it and we do not see why */
    SCAN_DIFFERS
};

/* What PostgreSQL's token must be in ours; LEX_END for tokens that have no counterpart (operators, keywords). */
static inline bool scan_same_kind(enum lex_kind ours, PgQuery__Token theirs)
{
    switch ((int)theirs) {
    case PG_QUERY__TOKEN__ICONST:
        return ours == LEX_INT4;
    case PG_QUERY__TOKEN__FCONST:
        return ours == LEX_INT8 || ours == LEX_NUMERIC;
    case PG_QUERY__TOKEN__SCONST:
        return ours == LEX_STRING || ours == LEX_ESCAPE || ours == LEX_DOLLAR || ours == LEX_ODD_STRING;
    case PG_QUERY__TOKEN__USCONST:
        return ours == LEX_ODD_STRING;
    case PG_QUERY__TOKEN__BCONST:
        return ours == LEX_BITS || ours == LEX_ODD_STRING;
    case PG_QUERY__TOKEN__XCONST:
        return ours == LEX_HEXBITS || ours == LEX_ODD_STRING;
    default:
        return false;
    }
}

static inline bool scan_is_literal(PgQuery__Token t)
{
    return t == PG_QUERY__TOKEN__ICONST || t == PG_QUERY__TOKEN__FCONST || t == PG_QUERY__TOKEN__SCONST ||
           t == PG_QUERY__TOKEN__USCONST || t == PG_QUERY__TOKEN__BCONST || t == PG_QUERY__TOKEN__XCONST;
}

/* The scanner gives a U&'...' no length. */
static inline bool scan_same_token(const struct lex_token *ours, const unsigned char *text,
                                   const PgQuery__ScanToken *theirs)
{
    return ours->start - text == theirs->start &&
           (ours->end - text == theirs->end || theirs->token == PG_QUERY__TOKEN__USCONST) &&
           scan_same_kind(ours->kind, theirs->token);
}

static inline bool scan_same_literals(struct span sql, const PgQuery__ScanResult *theirs)
{
    size_t i = 0;
    struct lex_token t;
    struct lex l;

    lex_init(&l, sql, false);
    for (;;) {
        const unsigned char *text = (const unsigned char *)sql.ptr;

        do
            lex_next(&l, &t);
        while (t.kind != LEX_END && !lex_is_literal(t.kind));
        while (i < theirs->n_tokens && !scan_is_literal(theirs->tokens[i]->token))
            i++;
        if (t.kind == LEX_END || i == theirs->n_tokens)
            return t.kind == LEX_END && i == theirs->n_tokens;
        if (!scan_same_token(&t, text, theirs->tokens[i]))
            return false;
        i++;
    }
}

/* `sql` must be followed by a NUL and hold none. */
static inline enum scan_verdict scan_compare(struct span sql)
{
    bool declined = false, bad = false;
    enum scan_verdict verdict;
    PgQuery__ScanResult *theirs;
    PgQueryScanResult r;
    struct lex_token t;
    struct lex l;

    lex_init(&l, sql, false);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        bad = bad || t.kind == LEX_BAD;
        declined = declined || t.kind == LEX_ODD_STRING || t.kind == LEX_ODD_QUOTED;
    }
    if (l.saw_comment_in_literal)
        return SCAN_DECLINED;
    r = pg_query_scan(sql.ptr);
    if (r.error) {
        verdict = bad || declined ? SCAN_REFUSED : SCAN_UNNOTICED;
    } else {
        theirs = pg_query__scan_result__unpack(NULL, r.pbuf.len, (const uint8_t *)r.pbuf.data);
        verdict = scan_same_literals(sql, theirs) ? (bad || declined ? SCAN_DECLINED : SCAN_AGREES) : SCAN_DIFFERS;
        pg_query__scan_result__free_unpacked(theirs, NULL);
    }
    pg_query_free_scan_result(r);
    return verdict;
}

#endif
