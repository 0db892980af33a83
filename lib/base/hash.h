/*
 * Hash for our own tables (plan cache, prepared statements). Not the sharding hash: that is shardmap/vhash.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* 64-bit hash of bytes (libpg_query has the name hash_bytes for another one); the seed should be random per process
 * where the bytes come from outside. Pure. */
uint64_t hash_seeded(const void *ptr, size_t len, uint64_t seed);

#endif
