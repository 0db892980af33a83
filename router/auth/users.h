/*
 * The user list, in the syntax of PgBouncer's userlist.txt:
 *
 *   "user" "SCRAM-SHA-256$4096:...$...:..."     a verifier as in pg_authid; "md5..." likewise
 *   "user" "password"                           a password in the clear: made into a verifier while loading (2 ms each)
 *   "user" ""                                   no password: such a login fails
 *
 * A double quote inside is doubled; a line that begins with ; or # is a comment; what follows the two words is ignored.
 * Immutable once parsed; any thread.
 */
#ifndef ROUTER_AUTH_USERS_H
#define ROUTER_AUTH_USERS_H

#include "base/bug.h"
#include "base/file.h"
#include "base/span.h"
#include "net/secret.h"

struct users;

/* NULL and *problems.e when anything is wrong with the text. Costs 2 ms for each password in the clear. */
MUSTCHECK struct users *users_parse(struct span text, const char *path, struct problems *problems);
void users_free(struct users *u); /* NULL is fine */
/* NULL: not in the list. Borrowed. u may be NULL. */
const struct secret *users_find(const struct users *u, const char *name);

#endif
