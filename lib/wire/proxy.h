/*
 * The PROXY protocol's header, versions 1 and 2: what a load balancer puts in front of a connection to say whose it is
 * (haproxy's proxy-protocol.txt). Pure.
 */
#ifndef WIRE_PROXY_H
#define WIRE_PROXY_H

#include "base/address.h"
#include "base/bug.h"
#include "base/span.h"

#include <stddef.h>
#include <stdint.h>

#define PROXY_HEADER_MAX 2048u /* bytes taken, extensions of version 2 included */

struct proxy_header {
    struct address source; /* len 0: the balancer's own connection, or one it cannot tell the address of */
    uint16_t port;
};

enum proxy_result { PROXY_OK, PROXY_MORE, PROXY_BAD };
/* Look at the first bytes of a connection. PROXY_OK: *used bytes are the header. */
MUSTCHECK enum proxy_result proxy_parse(struct span in, struct proxy_header *out, size_t *used);

#endif
