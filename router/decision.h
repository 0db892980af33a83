/*
 * Decision rows: pgbraid.decisions on the shard that decided, one a distributed transaction. The row of a commit is
 * written by the transaction itself and signed with the directory's key; a row without a valid signature may only abort
 * (rule X8). Any thread.
 */
#ifndef ROUTER_DECISION_H
#define ROUTER_DECISION_H

#include "net/hmac.h"

#include <stdint.h>

struct router;

/* The signature of a commit: participants as they stand in the row, separated by commas. */
void decision_sign(const struct router *r, const char *gtid, uint32_t decider, const char *participants,
                   char mac[HMAC_TEXT_LEN + 1]);

#endif
