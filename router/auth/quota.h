/*
 * How many sessions each user has, all workers together: for max_client_conn of a user. All functions: any thread.
 */
#ifndef ROUTER_AUTH_QUOTA_H
#define ROUTER_AUTH_QUOTA_H

#include "base/bug.h"

#include <stdbool.h>
#include <stdint.h>

struct quota;

struct quota *quota_new(void);
void quota_free(struct quota *q); /* NULL is fine */

/* Count one more session of the user, if it has fewer than `limit`; 0 is no limit. */
MUSTCHECK bool quota_take(struct quota *q, const char *user, uint32_t limit);
/* One that was counted has ended. */
void quota_give(struct quota *q, const char *user);

#endif
