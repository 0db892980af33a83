/*
 * The modes of a transaction: isolation level, READ ONLY, DEFERRABLE. What BEGIN and SET TRANSACTION say of them, what
 * a session's defaults are, and what a running transaction has. Pure.
 */
#ifndef PLANNER_MODES_H
#define PLANNER_MODES_H

#include "base/strbuf.h"

#include <stdbool.h>

/* In the order of strength: from REPEATABLE READ on a transaction has one snapshot. */
enum isolation {
    ISOLATION_UNSAID,
    ISOLATION_READ_UNCOMMITTED,
    ISOLATION_READ_COMMITTED,
    ISOLATION_REPEATABLE_READ,
    ISOLATION_SERIALIZABLE
};

enum mode_switch { MODE_UNSAID, MODE_OFF, MODE_ON };

/* All zero: nothing is said. */
struct txn_modes {
    enum isolation isolation;
    enum mode_switch read_only, deferrable;
};

/*
 * Note the setting `name` (transaction_isolation, transaction_read_only, transaction_deferrable, or the same with
 * default_ before it), with its value as SET takes it. False: another setting, or a value that the setting does not
 * have.
 */
bool modes_take(struct txn_modes *m, const char *name, const char *value);
bool modes_say_something(const struct txn_modes *m);
/* What `said` says counts, the rest of `m` stays. */
void modes_merge(struct txn_modes *m, const struct txn_modes *said);
/* Do both say something of a mode, and not the same? */
bool modes_contradict(const struct txn_modes *a, const struct txn_modes *b);
bool modes_equal(const struct txn_modes *a, const struct txn_modes *b);
/* The part of `to` that differs from `from`; what `to` does not say does not differ. */
struct txn_modes modes_changes(const struct txn_modes *from, const struct txn_modes *to);
/* As BEGIN and SET TRANSACTION take them, each with a blank before it: " ISOLATION LEVEL SERIALIZABLE, READ ONLY". */
void modes_put(const struct txn_modes *m, struct strbuf *out);
/* The value of transaction_isolation. */
const char *isolation_value(enum isolation isolation);

#endif
