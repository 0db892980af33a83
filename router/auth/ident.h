/*
 * Maps from the names of certificates and operating-system users to database users, in pg_ident.conf's syntax:
 *
 *   MAPNAME  SYSTEM-NAME  DATABASE-USER
 *
 * A system name that begins with a slash is a POSIX extended regular expression (PostgreSQL's own are richer); \1 in
 * the database user is then what its first parentheses matched. Immutable once parsed; any thread.
 */
#ifndef ROUTER_AUTH_IDENT_H
#define ROUTER_AUTH_IDENT_H

#include "base/bug.h"
#include "base/file.h"
#include "base/span.h"

#include <stdbool.h>

struct ident;

/* NULL and *problems.e when anything is wrong with the text. */
MUSTCHECK struct ident *ident_parse(struct span text, const char *path, struct problems *problems);
void ident_free(struct ident *i); /* NULL is fine */
/* Is there such a map? i may be NULL. */
bool ident_has_map(const struct ident *i, const char *map);
/* May `system` log in as `user`? map NULL: only when they are equal. i may be NULL. */
MUSTCHECK bool ident_allows(const struct ident *i, const char *map, const char *system, const char *user);

#endif
