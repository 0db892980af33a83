/*
 * Base64 (RFC 4648, section 4), strict: padding is required, blanks and unused bits are refused. Any thread.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/bug.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_LEN(n) (((n) + 2) / 3 * 4) /* characters for n bytes */

void base64_put(struct strbuf *out, const void *data, size_t len);
/* Decode into out, at most cap bytes; false when the text is no base64 or longer. */
MUSTCHECK bool base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len);

#endif
