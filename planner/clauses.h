/*
 * Where the clauses of a plain SELECT and the items of its lists are in the text. The tree says how many there must be
 * and where each begins; a text that does not fit is not cut at all.
 */
#ifndef PLANNER_CLAUSES_H
#define PLANNER_CLAUSES_H

#include "planner/tokens.h"

/* Tokens [first, end). */
struct tokrange {
    uint32_t first, end;
};

struct clauses {
    struct tokens ts;
    struct tokrange head;                              /* WITH ... and SELECT, without ALL and DISTINCT [ON ...] */
    struct tokrange from, where, group, having, order; /* with their keywords; empty if there are none */
    struct tokrange limit;                             /* LIMIT, OFFSET and FETCH, in any order */
    struct tokrange lock;                              /* FOR UPDATE and its kin, behind it */
    struct tokrange body;                              /* from the first target up to ORDER BY and LIMIT */
    uint32_t where_begin, where_end;                   /* of WHERE in it, or of where it would be */
    uint32_t end;
    /* Expressions alone: without aliases, ASC, NULLS FIRST ... */
    struct tokrange *targets, *groups, *sorts, *ons; /* ons: of DISTINCT ON */
    struct tokrange having_expr;
};

/* False: the text is not plain enough. */
MUSTCHECK bool clauses_find(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c);

/*
 * The same for a set operation: of `c` only the tokens, `order`, `limit`, `end` and `sorts` are filled in, and `body`:
 * all in front of ORDER BY and LIMIT.
 */
MUSTCHECK bool clauses_find_setop(struct an *an, const PgQuery__SelectStmt *q, struct clauses *c);
/*
 * Cut [first, end), in so many brackets, at its commas into n items, each of which holds the place that its node begins
 * at. NULL: it does not fit. In the scratch arena.
 */
struct tokrange *clauses_items(struct an *an, const struct clauses *c, struct tokrange r, int depth, size_t n,
                               PgQuery__Node *const *nodes);
/* WHERE and its condition, of any query level. */
MUSTCHECK bool clauses_where(const struct clauses *c, const PgQuery__Node *where, struct tokrange *r);

/* Bytes of a range of tokens. */
uint32_t clause_start(const struct clauses *c, struct tokrange r);
uint32_t clause_end(const struct clauses *c, struct tokrange r);

#endif
