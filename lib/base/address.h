/*
 * Internet addresses and networks as values. An IPv4 address in IPv6's clothes (::ffff:a.b.c.d) is the IPv4 address.
 * Any thread.
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/bug.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct address {
    uint8_t len;       /* bytes: 4 or 16; 0: none (a Unix socket) */
    uint8_t bytes[16]; /* network order; those beyond len are 0 */
};

struct network {
    struct address base, mask;
};

#define ADDRESS_TEXT_LEN 46u /* with NUL */

/* Numeric text; false when it is none. */
MUSTCHECK bool address_parse(const char *text, struct address *out);
void address_print(const struct address *a, char out[ADDRESS_TEXT_LEN]);
/* From the bytes of the wire or of a sockaddr. */
struct address address_make(const void *bytes, uint8_t len);

/* "10.0.0.0/8", "::1/128", or an address alone. */
MUSTCHECK bool network_parse(const char *text, struct network *out);
/* The mask of so many leading bits. */
MUSTCHECK bool network_mask(uint8_t len, unsigned bits, struct address *out);
bool network_contains(const struct network *n, const struct address *a);

#endif
