/*
 * Building plans: for planner/ only. A plan owns an arena; whatever it points at is allocated there.
 */
#ifndef PLANNER_PLAN_INT_H
#define PLANNER_PLAN_INT_H

#include "base/arena.h"
#include "planner/plan.h"

/* An empty PLAN_QUERY, SCOPE_ANY plan with one reference. Never NULL. */
struct plan *plan_new(void);
/* Where the plan's own data lives. */
struct arena *plan_arena(struct plan *p);
/* Bytes it holds, for the cache's budget. */
size_t plan_bytes(const struct plan *p);
/* Set plan->reason. */
void plan_reason(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Remember where the literals of the text are that offsets in the plan are about. A plan with offsets needs it.
 */
void plan_keep_literals(struct plan *p, const struct literals *lits);
/* An offset of the plan's own text, between tokens, as one of another text of the same shape, whose literals these are.
 */
uint32_t plan_offset(const struct plan *p, const struct literals *lits, uint32_t offset);

/* Set *index to the literal that starts at byte `location` of the text; false if there is none. */
MUSTCHECK bool literal_at(const struct literals *lits, int location, uint32_t *index);
/*
 * The same for a numeric A_Const, whose location is that of its minus signs when it has any; *negate tells whether the
 * literal's value is negated. False if anything but blanks stands between signs and digits.
 */
MUSTCHECK bool literal_number_at(struct span sql, const struct literals *lits, int location, uint32_t *index,
                                 bool *negate);

#endif
