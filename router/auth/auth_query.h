/*
 * Passwords of users that the user list has not: auth_query, asked on the home shard of the client's database by
 * auth_user, as PgBouncer does. Answers count for auth_cache_time, also that there is no such user; a table of fixed
 * size keeps them.
 */
#ifndef ROUTER_AUTH_AUTH_QUERY_H
#define ROUTER_AUTH_AUTH_QUERY_H

#include "base/bug.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct auth_answers;
struct config;
struct router;
struct secret;

struct auth_answers *auth_answers_new(void);
void auth_answers_free(struct auth_answers *a);

/* What was answered not longer than max_age_ms ago; false: nothing. Any thread. */
MUSTCHECK bool auth_answer_kept(struct auth_answers *a, const char *database, const char *user, uint64_t max_age_ms,
                                struct secret *out);
/* The user's login has failed: the next one asks again. Any thread. */
void auth_answer_forget(struct auth_answers *a, const char *database, const char *user);
/* Ask, and keep the answer. out->kind is SECRET_NONE for an unknown user or database, or one without a password. False
 * with the error: nobody could be asked. On a helper thread; bounded by server_connect_timeout. */
MUSTCHECK bool auth_query_blocking(struct router *r, const struct config *c, const char *database, const char *user,
                                   struct secret *out, struct err *e);

#endif
