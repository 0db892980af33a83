#include "base/hash.h"

#include <string.h>

/* Multiply-fold over 8-byte words (the idea of wyhash): one multiplication per word, good avalanche. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t hash_seeded(const void *ptr, size_t len, uint64_t seed)
{
    const unsigned char *p = ptr;
    uint64_t h = seed ^ 0x9E3779B97F4A7C15u, w;
    size_t left = len;

    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&w, p, 8);
        h = hash_fold(h ^ w, 0xD6E8FEB86659FD93u);
    }
    w = 0;
    if (left)
        memcpy(&w, p, left);
    h = hash_fold(h ^ w, 0xA0761D6478BD642Fu);
    return hash_fold(h ^ (uint64_t)len, 0xE7037ED1A0B428DBu);
}
