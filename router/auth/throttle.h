/*
 * Failed logins by address: who fails too often within a minute is refused before anything is computed for him. A table
 * of fixed size; when it is full the entry that is oldest among its neighbours is forgotten. An IPv6 address counts by
 * its /64. Any thread.
 */
#ifndef ROUTER_AUTH_THROTTLE_H
#define ROUTER_AUTH_THROTTLE_H

#include "base/address.h"
#include "base/bug.h"

#include <stdbool.h>
#include <stdint.h>

struct throttle;

struct throttle *throttle_new(void);
void throttle_free(struct throttle *t); /* NULL is fine */
/* May this address try? max 0: always. */
MUSTCHECK bool throttle_allows(struct throttle *t, const struct address *a, uint32_t max, uint64_t now_us);
/* One more failure of it. Returns how many that makes in this minute. */
uint32_t throttle_fail(struct throttle *t, const struct address *a, uint64_t now_us);

#endif
