/*
 * Whole small files: configuration, rules, passwords. Blocks; any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bug.h"
#include "base/err.h"
#include "base/strbuf.h"

/* Append the file to out. On failure *e is PB0501; `what` is what messages call the file ("configuration file"). */
MUSTCHECK bool file_read(const char *what, const char *path, size_t max, struct strbuf *out, struct err *e);

/* The problems of a file: all in a report, one a line, and the first in an error. */
struct problems {
    struct strbuf *report; /* may be NULL */
    struct err *e;
    unsigned n;
};

/* One more: message and hint in *p. */
void problems_add(struct problems *ps, const char *path, int line, const struct err *p);

#endif
