/*
 * The error a fallible function fills as its last argument; it is set once, where the failure is understood, logged
 * once at the top, and sent to the client from the same struct. Untouched on success. Transparent, fixed size, lives on
 * the stack.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/bug.h"
#include "base/errcodes.h"

#include <stdbool.h>

struct err {
    enum err_id id;    /* ERR_NONE: no error, or an error relayed from a server */
    char sqlstate[6];  /* five characters and NUL */
    int position;      /* 1-based character position in the statement, 0: none */
    char message[640]; /* truncated when longer */
    char detail[640];  /* empty: none */
    char hint[320];    /* empty: none */
};

#define ERR_INIT ((struct err){ .id = ERR_NONE })
/* The same for the hot path: the texts become empty, their 1,600 bytes are not written. */
static inline void err_clear(struct err *e)
{
    e->id = ERR_NONE;
    e->sqlstate[0] = e->message[0] = e->detail[0] = e->hint[0] = '\0';
    e->position = 0;
}

/* Set id, its SQLSTATE and the message. Always returns false, so a caller can `return err_set(...)`. */
bool err_set(struct err *e, enum err_id id, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Replace the SQLSTATE (five characters). Returns false. */
bool err_state(struct err *e, const char *sqlstate);
bool err_detail(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* "PB0123" for an id; "" for ERR_NONE. Static storage. */
const char *err_id_name(enum err_id id);
/* Title of an id as in docs/errors.md. Static storage. */
const char *err_id_title(enum err_id id);

#endif
