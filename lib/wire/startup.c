/*
 * The first packet of a connection: int32 length (itself included), int32 code; for protocol 3 then name\0value\0 pairs
 * and a final \0. PostgreSQL documentation, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest,
 * CancelRequest.
 */
#include "wire/femsg.h"

#include "wire/proto.h"

#define PACKET_HEADER 8u

bool startup_next_param(struct span *rest, struct span *name, struct span *value)
{
    const char *end = rest->ptr + rest->len;
    const char *name_end, *value_end;

    if (rest->len == 0 || rest->ptr[0] == '\0')
        return false;
    name_end = memchr(rest->ptr, 0, rest->len);
    if (!name_end)
        return false;
    value_end = memchr(name_end + 1, 0, (size_t)(end - name_end - 1));
    if (!value_end)
        return false;
    *name = span_make(rest->ptr, (size_t)(name_end - rest->ptr));
    *value = span_make(name_end + 1, (size_t)(value_end - name_end - 1));
    *rest = span_make(value_end + 1, (size_t)(end - value_end - 1));
    return true;
}

/* The pairs must fill the packet up to its final NUL. */
static bool startup_params(struct span params, struct startup *out)
{
    struct span rest = params, name, value;

    while (startup_next_param(&rest, &name, &value)) {
        if (span_eq_str(name, "user"))
            out->user = value;
        else if (span_eq_str(name, "database"))
            out->database = value;
        else if (span_eq_str(name, "options"))
            out->options = value;
        else if (span_eq_str(name, "replication"))
            out->replication = value;
        else if (name.len >= 5 && memcmp(name.ptr, "_pq_.", 5) == 0)
            out->unknown_protocol_options++;
    }
    out->params = params;
    return rest.len == 1 && rest.ptr[0] == '\0';
}

enum startup_result startup_parse(struct span in, struct startup *out, size_t *used)
{
    uint32_t len, code;

    *out = (struct startup){ 0 };
    if (in.len < 4)
        return STARTUP_MORE;
    len = proto_get32(in.ptr);
    if (len < PACKET_HEADER || len > PROTO_STARTUP_MAX)
        return STARTUP_MALFORMED;
    if (in.len < len)
        return STARTUP_MORE;
    code = proto_get32(in.ptr + 4);
    *used = len;
    out->version = code;
    switch (code) {
    case PROTO_SSL:
        out->kind = STARTUP_SSL;
        return len == PACKET_HEADER ? STARTUP_OK : STARTUP_MALFORMED;
    case PROTO_GSSENC:
        out->kind = STARTUP_GSSENC;
        return len == PACKET_HEADER ? STARTUP_OK : STARTUP_MALFORMED;
    case PROTO_CANCEL:
        out->kind = STARTUP_CANCEL;
        if (len <= PACKET_HEADER + 4)
            return STARTUP_MALFORMED;
        out->cancel_pid = proto_get32(in.ptr + PACKET_HEADER);
        out->cancel_key = span_make(in.ptr + PACKET_HEADER + 4, len - PACKET_HEADER - 4);
        return STARTUP_OK;
    default:
        break;
    }
    if (code >> 16 != PROTO_VERSION_3 >> 16) {
        out->kind = STARTUP_BAD_VERSION;
        return STARTUP_OK;
    }
    out->kind = STARTUP_V3;
    return startup_params(span_make(in.ptr + PACKET_HEADER, len - PACKET_HEADER), out) ? STARTUP_OK : STARTUP_MALFORMED;
}
