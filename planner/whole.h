/*
 * Groups, windows and duplicates that no shard's border cuts: rows that agree in the sharding key of a table that
 * supplies them (a linear occurrence) are on one shard. So a level that groups, partitions or drops duplicates by it
 * is the sum of what shards make of it, as if it did nothing of the kind.
 */
#ifndef PLANNER_WHOLE_H
#define PLANNER_WHOLE_H

#include "planner/analyse_int.h"

/* Occurrences [first, end): those that supply the level's rows are among them. */
struct whole {
    const struct an *an;
    const struct scope *s;
    uint32_t first, end;
};

/* Have rows with equal values in these expressions (columns count, NULLs are skipped) one shard? */
bool whole_by(const struct whole *w, size_t n, const PgQuery__Node *const *exprs);
/* The column that an item of GROUP BY, a name or a number, stands for; NULL: not known, or not a column. */
const PgQuery__Node *whole_group_item(struct an *an, const struct scope *s, const PgQuery__SelectStmt *q,
                                      const PgQuery__Node *n);
/* Have equal rows of the answer? */
bool whole_answer(const struct whole *w, const struct collist *out);
/* Is every window of the level within one shard? */
bool whole_windows(const struct whole *w, const PgQuery__SelectStmt *q);
/*
 * Is a level that is not the statement's finished one (finish.h) whole in all it does: groups, windows, DISTINCT?
 * False, too, for what no key makes whole: order, limits, locks, set operations.
 */
bool whole_level(struct an *an, const struct whole *w, const PgQuery__SelectStmt *q, const struct collist *out,
                 bool grouped);

#endif
