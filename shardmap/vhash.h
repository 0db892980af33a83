/*
 * The hash vindex: PostgreSQL's extended hash functions (hashint8extended, hashtextextended, uuid_hash_extended,
 * hash_numeric_extended, timestamp_hash_extended, hashint4extended for date; src/common/hashfn.c, Bob Jenkins' lookup3)
 * on values in text or binary wire form. Pure; checked value by value against a server in tests/differential/vhash.t.
 *
 * Equal values hash equally whatever form they came in. The hash of a value that the server would refuse means nothing:
 * whatever shard gets it refuses it. A form that this module does not know for certain is declined,
 * never guessed (rule P18): the caller asks a shard, scatters or refuses.
 *
 * Composite keys chain the seed: hash(column n) is called with seed = hash of column n-1; the first seed is 0.
 */
#ifndef SHARDMAP_VHASH_H
#define SHARDMAP_VHASH_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum key_type {
    KEY_INT2,
    KEY_INT4,
    KEY_INT8,
    KEY_TEXT,
    KEY_VARCHAR,
    KEY_BPCHAR,
    KEY_UUID,
    KEY_NUMERIC,
    KEY_TIMESTAMP, /* without time zone */
    KEY_DATE,
    KEY_TYPE_COUNT
};

enum vhash_use {
    VHASH_COMPARE, /* the value stands in a comparison: hashed uncast (typmod ignored) */
    VHASH_ASSIGN   /* the value is stored: the column's assignment cast and typmod apply first (rule P17) */
};

enum vhash_result {
    VHASH_OK,
    VHASH_DECLINE /* valid or not, we do not know its hash: not canonical, out of range, infinity we cannot assign, ...
                   */
};

/* The type of a pg_type oid (built-in oids), or false for types that cannot be a sharding key. */
bool key_type_of_oid(uint32_t oid, enum key_type *type);
uint32_t key_type_oid(enum key_type type);
/* "bigint", "character varying", ...: as format_type prints it. */
const char *key_type_name(enum key_type type);

/*
 * Hash a non-null value in text form (server encoding, UTF-8). typmod is atttypmod (-1: none), used by VHASH_ASSIGN
 * only. Text forms taken: integers [-]digits in the type's range without needless zeros; uuid in lower or upper case
 * with the four hyphens; numeric [-]digits[.digits] and NaN, Infinity, -Infinity; date YYYY-MM-DD and timestamp
 * YYYY-MM-DD HH:MM:SS[.f{1,6}] as DateStyle ISO prints them, with longer years and " BC", and infinity, -infinity;
 * strings as they are.
 */
MUSTCHECK enum vhash_result vhash_text(enum key_type type, int32_t typmod, enum vhash_use use, struct span value,
                                       uint64_t seed, uint64_t *hash);
/* The same for the type's binary send/recv form. What the type's recv function refuses may be declined or hashed. */
MUSTCHECK enum vhash_result vhash_binary(enum key_type type, int32_t typmod, enum vhash_use use, struct span value,
                                         uint64_t seed, uint64_t *hash);

/*
 * The value of an integer type, in the forms above: what the identity vindex takes in place of a hash. False: not an
 * integer type, not canonical, out of range or of a wrong length.
 */
MUSTCHECK bool vhash_integer(enum key_type type, bool binary, struct span value, int64_t *n);

/*
 * SQL text that computes the same hash of a column on a server: "hashint8extended(%s, 0)" and so on, `column` being
 * quoted already and `seed` an SQL expression ("0" or the previous column's expression). It means the same under every
 * search_path and is allowed in a publication's row filter. Written into out, returns false if it does not fit.
 */
MUSTCHECK bool vhash_sql(enum key_type type, const char *column, const char *seed, char *out, size_t out_cap);

static inline uint64_t vhash_keyspace_id(uint64_t hash)
{
    return hash ^ (UINT64_C(1) << 63);
}

#endif
