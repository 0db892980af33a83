/*
 * Version 1: "PROXY TCP4 <source> <destination> <source port> <destination port>\r\n", TCP6 likewise, or "PROXY UNKNOWN
 * ...\r\n"; at most 107 bytes. Version 2: 12 bytes of signature, version and command, family, int16 length, then as
 * many bytes: addresses and ports in network order, and extensions, which are skipped.
 */
#include "wire/proxy.h"

#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

#define V1_MAX  107u
#define V2_HEAD 16u

static const char v1_start[] = "PROXY ";
static const char v2_start[] = "\r\n\r\n\0\r\nQUIT\n";

/* The next word of version 1, up to a single blank or the end. */
static bool v1_word(struct span *rest, char *out, size_t cap)
{
    const char *blank = memchr(rest->ptr, ' ', rest->len);
    size_t len = blank ? (size_t)(blank - rest->ptr) : rest->len;

    if (len == 0 || len >= cap)
        return false;
    memcpy(out, rest->ptr, len);
    out[len] = '\0';
    *rest = span_make(rest->ptr + len + (blank != NULL), rest->len - len - (blank != NULL));
    return true;
}

static bool v1_port(const char *text, uint16_t *out)
{
    size_t len = strlen(text);
    unsigned long n;

    if (len > 5 || strspn(text, "0123456789") != len)
        return false;
    n = strtoul(text, NULL, 10);
    *out = (uint16_t)n;
    return n <= UINT16_MAX;
}

static enum proxy_result v1_line(struct span line, struct proxy_header *out)
{
    char family[16], source[ADDRESS_TEXT_LEN], destination[ADDRESS_TEXT_LEN], port[8], other[8];
    struct address unused;
    uint16_t unused_port;
    bool is6;

    if (memchr(line.ptr, 0, line.len) || !v1_word(&line, family, sizeof(family)))
        return PROXY_BAD;
    if (strcmp(family, "UNKNOWN") == 0)
        return PROXY_OK;
    is6 = strcmp(family, "TCP6") == 0;
    if ((!is6 && strcmp(family, "TCP4") != 0) || !v1_word(&line, source, sizeof(source)) ||
        !v1_word(&line, destination, sizeof(destination)) || !v1_word(&line, port, sizeof(port)) ||
        !v1_word(&line, other, sizeof(other)) || line.len)
        return PROXY_BAD;
    if ((strchr(source, ':') != NULL) != is6 || !address_parse(source, &out->source) ||
        !address_parse(destination, &unused) || !v1_port(port, &out->port) || !v1_port(other, &unused_port))
        return PROXY_BAD;
    return PROXY_OK;
}

static enum proxy_result v1_parse(struct span in, struct proxy_header *out, size_t *used)
{
    size_t look = in.len < V1_MAX ? in.len : V1_MAX;
    const char *end = memchr(in.ptr, '\n', look);

    if (!end)
        return in.len >= V1_MAX ? PROXY_BAD : PROXY_MORE;
    if (end[-1] != '\r')
        return PROXY_BAD;
    *used = (size_t)(end + 1 - in.ptr);
    return v1_line(span_make(in.ptr + 6, *used - 8), out);
}

static enum proxy_result v2_parse(struct span in, struct proxy_header *out, size_t *used)
{
    const unsigned char *head = (const unsigned char *)in.ptr;
    const char *body = in.ptr + V2_HEAD;
    size_t len, addresses;
    uint8_t alen;

    if (in.len < V2_HEAD)
        return PROXY_MORE;
    len = proto_get16(in.ptr + 14);
    if (head[12] >> 4 != 2 || (head[12] & 15) > 1 || V2_HEAD + len > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (in.len < V2_HEAD + len)
        return PROXY_MORE;
    *used = V2_HEAD + len;
    if ((head[12] & 15) == 0) /* LOCAL: the balancer's own, a health check */
        return PROXY_OK;
    switch (head[13]) {
    case 0x11: /* TCP over IPv4 */
        alen = 4;
        break;
    case 0x21:
        alen = 16;
        break;
    default:
        return PROXY_OK;
    }
    addresses = 2u * alen + 4;
    if (len < addresses)
        return PROXY_BAD;
    out->source = address_make(body, alen);
    out->port = proto_get16(body + 2u * alen);
    return PROXY_OK;
}

enum proxy_result proxy_parse(struct span in, struct proxy_header *out, size_t *used)
{
    size_t n1 = sizeof(v1_start) - 1, n2 = sizeof(v2_start) - 1;

    *out = (struct proxy_header){ .port = 0 };
    if (in.len == 0)
        return PROXY_MORE;
    if (memcmp(in.ptr, v1_start, in.len < n1 ? in.len : n1) == 0)
        return in.len < n1 + 2 ? PROXY_MORE : v1_parse(in, out, used);
    if (memcmp(in.ptr, v2_start, in.len < n2 ? in.len : n2) == 0)
        return in.len < n2 ? PROXY_MORE : v2_parse(in, out, used);
    return PROXY_BAD;
}
