/*
 * Object ids that clients see (rule P37). Types and tables made by users have ids of their own on each shard; a client
 * knows those of the home shard, since that is the one whose catalog it reads. On every other shard's connections the
 * ids in RowDescription, ParameterDescription and Parse are replaced, in place: they have the same length. So are those
 * inside binary values: an array names its elements' type, a row those of its fields. Servers take such values whatever
 * ids of users' types are in them, so in the other direction nothing is to be done.
 *
 * Ids below 16384 are PostgreSQL's own and the same everywhere. One that has no counterpart (the object was made by the
 * transaction that still runs, or behind the router's back) is shown as what PostgreSQL uses for "don't know":
 * 705 (unknown) for a type, 0 for a table.
 *
 * Maps are made on a control thread together with the catalog, and are immutable: any thread may read them.
 */
#ifndef ROUTER_SERVER_OIDS_H
#define ROUTER_SERVER_OIDS_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct map_db;

struct oid_maps; /* of one database */
struct oid_map;  /* of one of its shards */

/*
 * Ask all shards of a database, each with a timeout, in milliseconds; blocking. A shard that does not answer has an
 * empty map. The caller has the one reference.
 */
struct oid_maps *oid_maps_load(const struct map_db *db, uint32_t timeout_ms);
struct oid_maps *oid_maps_ref(struct oid_maps *m);
void oid_maps_unref(struct oid_maps *m); /* NULL is fine */

/* Of a shard, borrowed; NULL for the home shard, whose ids are the clients'. A shard that m does not know (m may be
 * NULL) has the empty map. */
const struct oid_map *oid_maps_find(const struct oid_maps *m, uint32_t shard_id, bool home);

/* Has the shard answered? The empty map of one that did not may be wrong. */
bool oid_map_known(const struct oid_map *m);

/* The body of a RowDescription or ParameterDescription from a shard; a malformed one is left as it is. */
void oids_to_client(const struct oid_map *m, char type, char *body, size_t len);
/* Is one of n big-endian type ids a user's? */
bool oids_of_users(const char *types, uint16_t n);
/* Type ids of a Parse message for a shard: n big-endian words. What the shard does not have becomes 0, "infer it". */
void oids_to_shard(const struct oid_map *m, char *types, uint16_t n);

#define OID_UNKNOWN      705u
#define OID_RECORD       2249u
#define OID_RECORD_ARRAY 2287u
#define OID_FIRST_USER   16384u /* PostgreSQL's FirstNormalObjectId */

/* Can a value of the type (a client's id) hold ids in binary, whatever the shard? True for what is not known. */
bool oid_map_embeds(const struct oid_map *m, uint32_t type);
/* What a value in binary is made of. */
enum oid_kind { OID_PLAIN, OID_ARRAY, OID_ROW, OID_RANGE, OID_MULTIRANGE };
/* Of a shard's type: what its values are made of, of what type their bounds or ranges are, and the client's id. False:
 * the type is not known. */
MUSTCHECK bool oid_map_type(const struct oid_map *m, uint32_t type, enum oid_kind *kind, uint32_t *inner,
                            uint32_t *to_client);
/* The shard's id of a client's type; 0: not known. */
uint32_t oid_map_to_shard(const struct oid_map *m, uint32_t type);

/* oid_value.c: replace the ids inside a binary value of a shard's type. */
MUSTCHECK bool oid_value_to_client(const struct oid_map *m, uint32_t type, char *value, size_t len, struct err *e);

#endif
