/*
 * Keyed hashes (HMAC-SHA-256, RFC 2104), by OpenSSL. Any thread.
 */
#ifndef NET_HMAC_H
#define NET_HMAC_H

#include "base/span.h"

#define HMAC_TEXT_LEN 64 /* hexadecimal digits, without a NUL */

/* The hash of `data` under `key` in lower-case hexadecimal, NUL-terminated. */
void hmac_text(struct span key, struct span data, char out[HMAC_TEXT_LEN + 1]);
/* Constant-time comparison of two such texts. */
bool hmac_equal(const char a[HMAC_TEXT_LEN + 1], struct span b);

#endif
