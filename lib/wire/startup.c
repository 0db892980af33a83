/*
 * The first packet of a connection: int32 length (itself included), int32 code; for protocol 3 then name\0value\0 pairs
 * and a final \0. PostgreSQL documentation, "Message Formats": StartupMessage, SSLRequest, GSSENCRequest,
 * CancelRequest.
 */
#include "wire/femsg.h"

#include "wire/proto.h"

#include <ctype.h>
#include <string.h>

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

bool startup_put_options(struct strbuf *out, struct span options)
{
    struct strbuf item = STRBUF_INIT;
    const char *p = options.ptr, *end = options.ptr + options.len;
    bool ok = true, want_value = false;

    while (ok && p < end) {
        const char *text;
        char *eq;

        while (p < end && isspace((unsigned char)*p))
            p++;
        strbuf_reset(&item);
        for (; p < end && !isspace((unsigned char)*p); p++) {
            if (*p == '\\' && p + 1 < end)
                p++;
            strbuf_putc(&item, *p);
        }
        if (item.len == 0)
            break;
        text = strbuf_str(&item);
        if (!want_value && strcmp(text, "-c") == 0) {
            want_value = true;
            continue;
        }
        if (!want_value && strncmp(text, "-c", 2) == 0)
            text += 2;
        else if (!want_value && strncmp(text, "--", 2) == 0)
            text += 2;
        else if (!want_value)
            ok = false;
        want_value = false;
        eq = ok ? strchr(text, '=') : NULL;
        if (!eq) {
            ok = false;
            break;
        }
        for (const char *n = text; n < eq; n++)
            strbuf_putc(out, *n == '-' ? '_' : *n);
        strbuf_putc(out, '\0');
        strbuf_put(out, eq + 1, strlen(eq + 1) + 1);
    }
    strbuf_fini(&item);
    return ok && !want_value;
}
