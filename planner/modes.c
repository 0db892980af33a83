#include "planner/modes.h"

#include "base/bug.h"
#include "base/span.h"

#include <string.h>
#include <strings.h>

static const char *const isolation_values[] = { NULL, "read uncommitted", "read committed", "repeatable read",
                                                "serializable" };

const char *isolation_value(enum isolation isolation)
{
    BUG_ON(isolation == ISOLATION_UNSAID);
    return isolation_values[isolation];
}

/* PostgreSQL's parse_bool(): beginnings count where they are unambiguous. */
static enum mode_switch read_switch(const char *value)
{
    static const struct {
        const char *word;
        size_t least;
        enum mode_switch means;
    } words[] = { { "true", 1, MODE_ON },   { "yes", 1, MODE_ON }, { "on", 2, MODE_ON },   { "1", 1, MODE_ON },
                  { "false", 1, MODE_OFF }, { "no", 1, MODE_OFF }, { "off", 2, MODE_OFF }, { "0", 1, MODE_OFF } };
    size_t len = strlen(value);

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (len >= words[i].least && len <= strlen(words[i].word) && strncasecmp(value, words[i].word, len) == 0)
            return words[i].means;
    }
    return MODE_UNSAID;
}

static bool take_switch(enum mode_switch *to, const char *value)
{
    enum mode_switch said = read_switch(value);

    if (said != MODE_UNSAID)
        *to = said;
    return said != MODE_UNSAID;
}

bool modes_take(struct txn_modes *m, const char *name, const char *value)
{
    if (strncasecmp(name, "default_", 8) == 0)
        name += 8;
    if (strcasecmp(name, "transaction_read_only") == 0)
        return take_switch(&m->read_only, value);
    if (strcasecmp(name, "transaction_deferrable") == 0)
        return take_switch(&m->deferrable, value);
    if (strcasecmp(name, "transaction_isolation") != 0)
        return false;
    for (size_t i = ISOLATION_READ_UNCOMMITTED; i < ARRAY_LEN(isolation_values); i++) {
        if (strcasecmp(value, isolation_values[i]) == 0) {
            m->isolation = (enum isolation)i;
            return true;
        }
    }
    return false;
}

bool modes_say_something(const struct txn_modes *m)
{
    return m->isolation != ISOLATION_UNSAID || m->read_only != MODE_UNSAID || m->deferrable != MODE_UNSAID;
}

void modes_merge(struct txn_modes *m, const struct txn_modes *said)
{
    if (said->isolation != ISOLATION_UNSAID)
        m->isolation = said->isolation;
    if (said->read_only != MODE_UNSAID)
        m->read_only = said->read_only;
    if (said->deferrable != MODE_UNSAID)
        m->deferrable = said->deferrable;
}

bool modes_contradict(const struct txn_modes *a, const struct txn_modes *b)
{
    return (a->isolation && b->isolation && a->isolation != b->isolation) ||
           (a->read_only && b->read_only && a->read_only != b->read_only) ||
           (a->deferrable && b->deferrable && a->deferrable != b->deferrable);
}

bool modes_equal(const struct txn_modes *a, const struct txn_modes *b)
{
    return a->isolation == b->isolation && a->read_only == b->read_only && a->deferrable == b->deferrable;
}

struct txn_modes modes_changes(const struct txn_modes *from, const struct txn_modes *to)
{
    struct txn_modes changes = *to;

    if (from->isolation == to->isolation)
        changes.isolation = ISOLATION_UNSAID;
    if (from->read_only == to->read_only)
        changes.read_only = MODE_UNSAID;
    if (from->deferrable == to->deferrable)
        changes.deferrable = MODE_UNSAID;
    return changes;
}

static void put_mode(struct strbuf *out, const char **before, const char *mode)
{
    strbuf_puts(out, *before);
    strbuf_puts(out, mode);
    *before = ", ";
}

void modes_put(const struct txn_modes *m, struct strbuf *out)
{
    static const char *const levels[] = { NULL, "ISOLATION LEVEL READ UNCOMMITTED", "ISOLATION LEVEL READ COMMITTED",
                                          "ISOLATION LEVEL REPEATABLE READ", "ISOLATION LEVEL SERIALIZABLE" };
    const char *before = " ";

    if (m->isolation != ISOLATION_UNSAID)
        put_mode(out, &before, levels[m->isolation]);
    if (m->read_only != MODE_UNSAID)
        put_mode(out, &before, m->read_only == MODE_ON ? "READ ONLY" : "READ WRITE");
    if (m->deferrable != MODE_UNSAID)
        put_mode(out, &before, m->deferrable == MODE_ON ? "DEFERRABLE" : "NOT DEFERRABLE");
}
