/*
 * One line per event, key=value: time, level, module, msg, then what the caller adds. Never credentials, statement
 * texts with literals, or parameter values. Never called on the hot path. Any thread; lines are written whole.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bug.h"
#include "base/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Default: LOG_INFO to standard error. */
void log_set_level(enum log_level level);
/* fmt makes the key=value tail; quote free text with log_quote or %s of known words only. */
void log_line(enum log_level level, const char *module, const char *msg, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* The error as one line: sqlstate, id, message, detail. */
void log_err(enum log_level level, const char *module, const char *msg, const struct err *e);

#endif
