/*
 * Any bytes as the first packet of a connection: spans stay within the packet, a piece of a packet asks for more, the
 * pairs fill it, and the answer to a negotiation names as many options as were counted.
 */
#include "base/mem.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct span s, struct span packet)
{
    BUG_ON(s.len && (s.ptr < packet.ptr || s.ptr + s.len > packet.ptr + packet.len));
}

static void check_v3(const struct startup *s, struct span packet)
{
    struct span rest = s->params, name, value;
    struct strbuf out = STRBUF_INIT;
    size_t pairs = 0;

    check_inside(s->user, packet);
    check_inside(s->database, packet);
    check_inside(s->options, packet);
    check_inside(s->replication, packet);
    while (startup_next_param(&rest, &name, &value)) {
        BUG_ON(name.len == 0 || memchr(name.ptr, 0, name.len) || memchr(value.ptr, 0, value.len));
        pairs += name.len + value.len + 2;
    }
    BUG_ON(pairs + 1 != packet.len - 8); /* and the terminator */
    be_put_negotiate(&out, s->params);
    BUG_ON(proto_get32(out.ptr + 9) != s->unknown_protocol_options || proto_get32(out.ptr + 1) != out.len - 1);
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_alloc(size);
    struct startup s, ignored;
    size_t used = 0, ignored_used;
    enum startup_result result;

    if (size)
        memcpy(copy, data, size);
    result = startup_parse(span_make(copy, size), &s, &used);
    if (result == STARTUP_OK) {
        struct span packet = span_make(copy, used);

        BUG_ON(used < 8 || used > size || used > PROTO_STARTUP_MAX);
        check_inside(s.cancel_key, packet);
        if (s.kind == STARTUP_V3)
            check_v3(&s, packet);
        for (size_t len = 0; len < used; len = len * 2 + 1)
            BUG_ON(startup_parse(span_make(copy, len), &ignored, &ignored_used) != STARTUP_MORE);
        BUG_ON(startup_parse(packet, &ignored, &ignored_used) != STARTUP_OK || ignored_used != used);
    }
    BUG_ON(result == STARTUP_MORE && size > PROTO_STARTUP_MAX);
    free(copy);
    return 0;
}
