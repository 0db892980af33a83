/*
 * Names of distributed transactions, and which of them this router is committing now.
 *
 *   gtid  DECIDER-ROUTER-NUMBER-RANDOM      decider: id of the shard that has the decision, in decimal; the rest
 * hexadecimal gid   pgbraid:GTID:SHARD                the name of a prepared transaction on one shard (rule X7: servers
 * share the names of their databases)
 *
 * Any thread. Never on the path of a transaction of one shard.
 */
#ifndef ROUTER_GTID_H
#define ROUTER_GTID_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define GTID_MAX 80u
#define GID_MAX  (GTID_MAX + 24u)

struct router;
struct gtids;

struct gtids *gtids_new(void);
void gtids_free(struct gtids *g); /* NULL is fine */

/* A new name; it is live until gtid_end. */
void gtid_begin(struct gtids *g, uint32_t decider, char out[GTID_MAX]);
void gtid_end(struct gtids *g, const char *gtid);
bool gtid_is_live(struct gtids *g, struct span gtid);

void gtid_gid(const char *gtid, uint32_t shard, char out[GID_MAX]);
/* Take a gid apart; false if it is not one of ours. */
MUSTCHECK bool gid_parse(struct span gid, struct span *gtid, uint32_t *decider, uint32_t *shard);

#endif
