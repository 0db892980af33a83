#include "base/err.h"

#include "base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *sqlstate, *title;
} err_table[ERR_ID_COUNT] = { [ERR_NONE] = { "", "00000", "" },
#define X(id, state, title) [id] = { #id, state, title },
                              ERRCODES(X)
#undef X
};

/* What is too long is cut between characters: a client would refuse half of one. */
static void format(char *to, size_t cap, const char *fmt, va_list ap)
{
    int len = vsnprintf(to, cap, fmt, ap);

    if (len < 0)
        to[0] = '\0';
    else if ((size_t)len >= cap)
        to[span_whole_utf8(span_make(to, cap - 1))] = '\0';
}

bool err_set(struct err *e, enum err_id id, const char *fmt, ...)
{
    va_list ap;

    BUG_ON(id >= ERR_ID_COUNT);
    e->id = id;
    memcpy(e->sqlstate, err_table[id].sqlstate, sizeof(e->sqlstate));
    e->position = 0;
    e->detail[0] = '\0';
    e->hint[0] = '\0';
    va_start(ap, fmt);
    format(e->message, sizeof(e->message), fmt, ap);
    va_end(ap);
    return false;
}

bool err_state(struct err *e, const char *sqlstate)
{
    BUG_ON(strlen(sqlstate) != 5);
    memcpy(e->sqlstate, sqlstate, 6);
    return false;
}

bool err_detail(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format(e->detail, sizeof(e->detail), fmt, ap);
    va_end(ap);
    return false;
}

bool err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    format(e->hint, sizeof(e->hint), fmt, ap);
    va_end(ap);
    return false;
}

const char *err_id_name(enum err_id id)
{
    BUG_ON(id >= ERR_ID_COUNT);
    return err_table[id].name;
}

const char *err_id_title(enum err_id id)
{
    BUG_ON(id >= ERR_ID_COUNT);
    return err_table[id].title;
}
