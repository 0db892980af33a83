#include "base/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

struct address address_make(const void *bytes, uint8_t len)
{
    struct address a = { .len = len };

    BUG_ON(len != 4 && len != 16);
    if (len == 16 && memcmp(bytes, mapped, sizeof(mapped)) == 0) {
        a.len = 4;
        bytes = (const uint8_t *)bytes + sizeof(mapped);
    }
    memcpy(a.bytes, bytes, a.len);
    return a;
}

bool address_parse(const char *text, struct address *out)
{
    uint8_t bytes[16];

    if (inet_pton(AF_INET, text, bytes) == 1)
        *out = address_make(bytes, 4);
    else if (inet_pton(AF_INET6, text, bytes) == 1)
        *out = address_make(bytes, 16);
    else
        return false;
    return true;
}

void address_print(const struct address *a, char out[ADDRESS_TEXT_LEN])
{
    if (a->len == 0 || !inet_ntop(a->len == 4 ? AF_INET : AF_INET6, a->bytes, out, ADDRESS_TEXT_LEN))
        memcpy(out, "[local]", sizeof("[local]"));
}

bool network_mask(uint8_t len, unsigned bits, struct address *out)
{
    if (bits > len * 8u)
        return false;
    *out = (struct address){ .len = len };
    for (unsigned i = 0; i < bits; i++)
        out->bytes[i / 8] |= (uint8_t)(0x80u >> i % 8);
    return true;
}

/* Decimal digits only: strtoul would take blanks and signs. */
static bool parse_bits(const char *text, unsigned *bits)
{
    size_t n = strlen(text);

    if (n == 0 || n > 3 || strspn(text, "0123456789") != n)
        return false;
    *bits = (unsigned)strtoul(text, NULL, 10);
    return true;
}

bool network_parse(const char *text, struct network *out)
{
    const char *slash = strchr(text, '/');
    char base[ADDRESS_TEXT_LEN];
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    unsigned bits;

    if (len >= sizeof(base))
        return false;
    memcpy(base, text, len);
    base[len] = '\0';
    if (!address_parse(base, &out->base))
        return false;
    bits = out->base.len * 8u;
    if (slash) {
        if (!parse_bits(slash + 1, &bits))
            return false;
        /* ::ffff:10.0.0.0/104 is 10.0.0.0/8 */
        if (out->base.len == 4 && strchr(base, ':')) {
            if (bits < 96)
                return false;
            bits -= 96;
        }
    }
    return network_mask(out->base.len, bits, &out->mask);
}

bool network_contains(const struct network *n, const struct address *a)
{
    if (a->len != n->base.len)
        return false;
    for (unsigned i = 0; i < a->len; i++) {
        if ((a->bytes[i] ^ n->base.bytes[i]) & n->mask.bytes[i])
            return false;
    }
    return true;
}
