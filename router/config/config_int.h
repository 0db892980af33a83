/* For config.c and config_table.c: the table of settings. */
#ifndef ROUTER_CONFIG_CONFIG_INT_H
#define ROUTER_CONFIG_CONFIG_INT_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum setting_type {
    SETTING_INTEGER,  /* uint32_t */
    SETTING_DURATION, /* uint64_t, ms; a bare number is seconds, as in PgBouncer */
    SETTING_SIZE,     /* uint64_t, bytes */
    SETTING_STRING,   /* const char * */
    SETTING_FILE,     /* const char *, resolved against the configuration file's folder unless empty */
    SETTING_LIST,     /* const char *const *, NULL-terminated */
    SETTING_CHOICE    /* an enum whose values count from 0 */
};

struct setting {
    const char *name;
    enum setting_type type;
    size_t offset;                                  /* of the field in struct config */
    const char *def;                                /* as it would stand in the file */
    uint64_t min, max;                              /* numbers only, in the field's unit */
    const char *const *choices;                     /* SETTING_CHOICE: NULL-terminated, in the order of the enum */
    bool restart;                                   /* a change needs a restart */
    const char *pgbouncer;                          /* PgBouncer's name for it where that is another one; NULL */
    bool (*check)(const char *item, struct err *e); /* lists: each item; NULL */
    const char *doc;
};

extern const struct setting config_settings[];
extern const size_t config_nsetting;

/* Name of a type for people. */
const char *setting_type_name(enum setting_type type);
/* Parse a value into the field at `field`. Strings go to the arena. On failure the message does not name the setting.
 */
MUSTCHECK bool setting_parse(const struct setting *s, const char *value, const char *folder, struct arena *a,
                             void *field, struct err *e);
/* The field's value as it would stand in the file, in the arena. */
const char *setting_print(const struct setting *s, const void *field, struct arena *a);

#endif
