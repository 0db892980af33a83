/*
 * INI text to callbacks: "[section]", "name = value", comments from '#' or ';' at the start of a line and from " ;"
 * inside one. A value may stand in single or double quotes, which are stripped. No continuation lines. Uses libinih,
 * whose Debian build does not tell the handler the line, and cuts headings at 49 bytes; the reader that feeds it counts
 * the lines and reads the headings. Pure; any thread.
 */
#ifndef BASE_INI_H
#define BASE_INI_H

#include "base/span.h"

#define INI_MAX_LINE_LEN 4000u /* bytes of one line, blanks included */

struct ini_callbacks {
    /* A heading; NULL: of no interest. Strings are valid during the call, lines count from 1. */
    void (*heading)(void *arg, int line, const char *section);
    /* One setting; section is "" before the first heading. */
    void (*setting)(void *arg, int line, const char *section, const char *name, const char *value);
    /* A line that is not INI. Reading goes on behind it. */
    void (*problem)(void *arg, int line, const char *message);
};

void ini_read(struct span text, const struct ini_callbacks *cb, void *arg);

#endif
