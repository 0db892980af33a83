/*
 * Set operations whose rows need not meet on one server. Their arms are queries of their own, each a sum over the rows
 * of a table of its own (prove.c). What stands over the arms is then
 *
 *   UNION ALL alone       the sum of the arms' sums: each shard runs all of it
 *   aligned               in each arm the same columns of the answer are its table's sharding key, all of one family:
 * equal rows of all arms are on one shard, so each shard's UNION, INTERSECT or EXCEPT is a part of the answer UNION,
 * others below   each shard drops duplicates, what is left is gathered and loses the rest of them; rows that every
 *                         shard has (reference tables, constants) come in once
 *
 * One set operation of a statement is looked at: the statement itself, or a query in FROM that supplies its rows.
 */
#ifndef PLANNER_SETOP_H
#define PLANNER_SETOP_H

#include "planner/analyse_int.h"

struct arm {
    const PgQuery__SelectStmt *query;
    const struct scope *scope;
    struct collist columns;
    uint32_t first_occ, end_occ;
    bool plain;                      /* no groups, windows, order or limits */
    const struct occurrence *driver; /* cuts its rows; NULL: none does */
};

enum setop_kind {
    SETOP_NOTHING, /* not proven */
    SETOP_SUM,     /* each shard's answer is a part of the answer */
    SETOP_DISTINCT /* ... but for duplicates */
};

struct setop {
    const PgQuery__SelectStmt *query;
    struct arm *arms;
    uint32_t narm;
    bool all;    /* nothing but UNION ALL */
    bool unions; /* nothing but UNION, with ALL or without */
    enum setop_kind kind;
};

/* query.c: may it be looked at? Then an->setop is set, and the arms are to be analysed by setop_arms(). */
MUSTCHECK bool setop_note(struct an *an, const PgQuery__SelectStmt *q);
/* query.c: a query level begins, which may be an arm's; plain: as in struct arm, but for VALUES. */
void setop_arm_begins(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q, bool plain);
/* Analyse the arms; the answer's columns. */
void setop_arms(struct an *an, const struct scope *s, struct collist *out);
/* prove.c: find the arms' drivers, and what the operation is then; an->setop->kind. */
typedef bool setop_drives(struct an *an, const struct occurrence *o, uint32_t first, uint32_t end);
void setop_prove(struct an *an, setop_drives *drives);
/* What type a column of the answer has: that of all arms, else not known. */
struct typing setop_typing(const struct an *an, const struct setop *u, uint32_t column);

#endif
