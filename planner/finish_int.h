/*
 * Inside finish: for planner/finish*.c only.
 */
#ifndef PLANNER_FINISH_INT_H
#define PLANNER_FINISH_INT_H

#include "planner/clauses.h"
#include "planner/finish.h"
#include "planner/op_merge.h"
#include "planner/typing.h"
#include "planner/whole.h"

/* A text being put together, in the plan's arena. */
struct text_builder {
    struct arena *a;
    struct text_piece *v;
    uint32_t n, cap;
};
void text_fixed(struct text_builder *t, const char *fixed);
void text_printf(struct text_builder *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_slice(struct text_builder *t, uint32_t start, uint32_t end);
void text_table(struct text_builder *t);
void text_all(struct text_builder *t, const struct plan_text *from);
struct plan_text text_done(const struct text_builder *t);

/* A sort key: an expression, or a column of the answer; then `expr` is that one's, NULL if it came from a star. */
struct sort_item {
    const PgQuery__Node *expr;
    struct tokrange range; /* the expression's */
    bool output;           /* it is this column of the answer */
    uint32_t column;
    bool desc, nulls_first;
};

struct finish {
    struct an *an;
    const PgQuery__SelectStmt *q;
    const struct scope *s;
    const struct collist *out;
    struct clauses c;
    uint32_t *column;        /* by target: its first column of the answer, 0-based */
    const char **names;      /* by column; NULL: not known */
    struct sort_item *sorts; /* ORDER BY's, then what DISTINCT ON has besides */
    uint32_t nsort;
    struct sort_item *ons; /* DISTINCT ON's */
    uint32_t non;
    uint32_t nkey;                /* so many of `sorts`, the first ones, are what DISTINCT ON has */
    const PgQuery__Node **groups; /* what GROUP BY's items mean, and where that is */
    uint32_t ngroup;
    struct tokrange *group_ranges;
    uint32_t *group_columns; /* of those that are numbers */
    uint32_t *sets;          /* grouping sets: BIT(group) */
    uint32_t nset;           /* 0: there are none, all groups are one */
    struct tokrange *gaps;   /* conditions of a set operation's arms, in the order of the text */
    uint32_t ngap;
};

/* The name of the temporary table in the remainder. */
#define PARTIAL_ROWS "pgbraid_rows"
void finish_put_from(struct text_builder *t);
/* Where ORDER BY, LIMIT and OFFSET of the remainder are put. */
void finish_put_limit(const struct finish *f, struct text_builder *t);
const char *finish_direction(const struct sort_item *s);
/* What a number in ORDER BY or GROUP BY means: the column (none: out->n), and its expression, NULL: a star's. */
const PgQuery__Node *finish_ordinal(struct finish *f, const PgQuery__AConst *c, struct tokrange *range,
                                    uint32_t *column);
void finish_read_direction(const PgQuery__SortBy *by, struct sort_item *item);
/* What an item of ORDER BY or DISTINCT ON means; its range is the item's own. False: not looked at. */
MUSTCHECK bool finish_find_sort(struct finish *f, const PgQuery__SortBy *by, struct sort_item *item);
/* What a shape is made of: tokens without the conditions of a set operation's arms. */
void finish_find_gaps(struct finish *f);
void finish_put_shape(const struct finish *f, struct text_builder *t, struct tokrange r);
bool finish_shape_has_param(const struct finish *f, struct tokrange r);
/* Where the text of what is finished begins. */
uint32_t finish_start(const struct finish *f);
/* Is there a parameter among the tokens? */
bool finish_has_param(const struct finish *f, struct tokrange r);
/* The plan of partial work; takes the texts. False: not allowed here. */
MUSTCHECK bool finish_push(struct finish *f, struct plan_push push, const char *how);
/* LIMIT and OFFSET: plan->bounds. */
void finish_find_bounds(struct finish *f);
bool finish_with_ties(const struct finish *f);
/* How a sort key of this type is merged; false: only PostgreSQL knows its order. */
MUSTCHECK bool finish_merge_key(const struct sort_item *s, struct typing t, struct merge_key *key);
/* ORDER BY the first columns; the answer's columns from the temporary table's behind `first`, with FROM. */
void finish_put_order(const struct finish *f, struct text_builder *t);
void finish_put_columns(const struct finish *f, struct text_builder *t, uint32_t first);
/* plan->merge is made: the rest of a plan that merges. */
void finish_merge_plan(struct finish *f);
/* What is done for an order that only PostgreSQL knows. */
const char *finish_how_ordered(const struct finish *f);

/* May it be a temporary table's column, as far as its type goes? */
bool finish_can_be_column(const struct finish *f, const PgQuery__Node *n);
/* Parameters have the same types in another text. */
bool finish_params_stand_alone(const struct an *an);

/* finish_on.c: DISTINCT ON's items, the sort keys that they are put in front of. False: not looked at. */
MUSTCHECK bool finish_find_ons(struct finish *f);
/* Are rows that DISTINCT ON takes for one on one shard? */
bool finish_ons_whole(const struct finish *f, const struct whole *w);

/* finish_group.c: what GROUP BY's items mean. False: not looked at. */
MUSTCHECK bool finish_group_items(struct finish *f);
const PgQuery__Node *finish_group_item(struct finish *f, const PgQuery__Node *n, struct tokrange *range,
                                       uint32_t *column);
/* finish_sets.c: ROLLUP, CUBE, GROUPING SETS in GROUP BY; what they stand for. False: not looked at. */
bool finish_has_sets(const PgQuery__SelectStmt *q);
MUSTCHECK bool finish_find_sets(struct finish *f);
void finish_put_sets(const struct finish *f, struct text_builder *t);
/* Partial aggregates. */
MUSTCHECK bool finish_groups(struct finish *f);
/* finish_setop.c: a statement that is a set operation. */
MUSTCHECK bool finish_setop(struct an *an);

#endif
