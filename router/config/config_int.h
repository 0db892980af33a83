/* For the files of this folder: the tables of settings. */
#ifndef ROUTER_CONFIG_CONFIG_INT_H
#define ROUTER_CONFIG_CONFIG_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "router/config/config.h"

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

/* Those of sections [user NAME]: offsets in struct config_user; def NULL is the [pgbraid] section's of the same name.
 */
extern const struct setting config_user_settings[];
extern const size_t config_nuser_setting;

#define CONFIG_USER_SETTINGS 16u

/* A section [user NAME] that is being read. */
struct user_section {
    struct config_user user;
    int line;                       /* of its heading */
    int seen[CONFIG_USER_SETTINGS]; /* per setting: line that set it, 0: none */
};

/* The user's name if this is the heading of a user's section, else NULL; in the arena. False: there is none, or a bad
 * one. */
MUSTCHECK bool user_section_name(const char *section, struct arena *a, const char **name, struct err *e);
MUSTCHECK bool user_options_check(const char *options, struct err *e);
/* In the order that config_user() searches. */
void users_sort(struct config_user *users, size_t n);
/* What the section does not say, from c or the defaults. */
void user_section_fill(const struct config *c, struct user_section *us, struct arena *a);

/* Name of a type for people. */
const char *setting_type_name(enum setting_type type);
/* Parse a value into the field at `field`. Strings go to the arena. On failure the message does not name the setting.
 */
MUSTCHECK bool setting_parse(const struct setting *s, const char *value, const char *folder, struct arena *a,
                             void *field, struct err *e);
/* The field's value as it would stand in the file, in the arena. */
const char *setting_print(const struct setting *s, const void *field, struct arena *a);

#endif
