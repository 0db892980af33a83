/* The first packet of a connection, as golden bytes. */
#include "wire/femsg.h"

#include "wire/bemsg.h"
#include "wire/proto.h"
#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A packet with its length in front, followed by `after` bytes of the next message. In memory of its own size. */
static enum startup_result parse(uint32_t code, struct span body, struct startup *out, struct strbuf *packet)
{
    size_t used = 0;
    enum startup_result result;

    strbuf_reset(packet);
    msg_u32(packet, (uint32_t)(8 + body.len));
    msg_u32(packet, code);
    strbuf_put(packet, body.ptr, body.len);
    strbuf_puts(packet, "next");
    result = startup_parse(strbuf_span(packet), out, &used);
    if (result == STARTUP_OK) {
        assert_int_equal(used, packet->len - 4);
        /* Every shorter piece asks for more. */
        for (size_t len = 0; len < used; len++) {
            char *piece = malloc(len + 1);
            struct startup ignored;

            memcpy(piece, packet->ptr, len);
            assert_int_equal(startup_parse(span_make(piece, len), &ignored, &used), STARTUP_MORE);
            free(piece);
        }
    }
    return result;
}

static void test_requests(void **state)
{
    struct strbuf p = STRBUF_INIT;
    struct startup s;
    size_t used = 0;

    (void)state;
    assert_int_equal(startup_parse(SPAN("\0\0\0\10\4\xD2\x16\x2F"), &s, &used), STARTUP_OK);
    assert_int_equal(s.kind, STARTUP_SSL);
    assert_int_equal(used, 8);
    assert_int_equal(startup_parse(SPAN("\0\0\0\10\4\xD2\x16\x30"), &s, &used), STARTUP_OK);
    assert_int_equal(s.kind, STARTUP_GSSENC);
    assert_int_equal(parse(PROTO_SSL, SPAN("x"), &s, &p), STARTUP_MALFORMED);
    assert_int_equal(parse(PROTO_GSSENC, SPAN("x"), &s, &p), STARTUP_MALFORMED);
    strbuf_fini(&p);
}

static void test_cancel(void **state)
{
    struct strbuf p = STRBUF_INIT;
    struct startup s;

    (void)state;
    assert_int_equal(parse(PROTO_CANCEL, SPAN("\0\1\2\3\xFA\xFB\xFC\xFD"), &s, &p), STARTUP_OK);
    assert_int_equal(s.kind, STARTUP_CANCEL);
    assert_int_equal(s.cancel_pid, 0x00010203);
    assert_true(span_eq(s.cancel_key, SPAN("\xFA\xFB\xFC\xFD")));
    /* Protocol 3.2 has longer keys. */
    assert_int_equal(parse(PROTO_CANCEL, SPAN("\0\1\2\3 0123456789012345678901234567890"), &s, &p), STARTUP_OK);
    assert_int_equal(s.cancel_key.len, 32);
    assert_int_equal(parse(PROTO_CANCEL, SPAN("\0\1\2\3"), &s, &p), STARTUP_MALFORMED);
    assert_int_equal(parse(PROTO_CANCEL, SPAN(""), &s, &p), STARTUP_MALFORMED);
    strbuf_fini(&p);
}

static void test_v3(void **state)
{
    struct strbuf p = STRBUF_INIT;
    struct startup s;
    struct span rest, name, value;

    (void)state;
    assert_int_equal(
        parse(PROTO_VERSION_3,
              SPAN("user\0bob\0database\0shop\0options\0-c x=1\0replication\0true\0application_name\0\0\0"), &s, &p),
        STARTUP_OK);
    assert_int_equal(s.kind, STARTUP_V3);
    assert_int_equal(s.version, PROTO_VERSION_3);
    assert_true(span_eq(s.user, SPAN("bob")));
    assert_true(span_eq(s.database, SPAN("shop")));
    assert_true(span_eq(s.options, SPAN("-c x=1")));
    assert_true(span_eq(s.replication, SPAN("true")));
    assert_int_equal(s.unknown_protocol_options, 0);
    rest = s.params;
    for (int i = 0; i < 4; i++)
        assert_true(startup_next_param(&rest, &name, &value));
    assert_true(startup_next_param(&rest, &name, &value));
    assert_true(span_eq(name, SPAN("application_name")));
    assert_true(value.ptr && value.len == 0);
    assert_false(startup_next_param(&rest, &name, &value));

    /* Nothing but the end; no user: that is for the session to refuse, as PostgreSQL words it. */
    assert_int_equal(parse(PROTO_VERSION_3, SPAN("\0"), &s, &p), STARTUP_OK);
    assert_null(s.user.ptr);
    /* Names twice: the last one counts, as in PostgreSQL. */
    assert_int_equal(parse(PROTO_VERSION_3, SPAN("user\0a\0user\0b\0database\0x\0database\0y\0\0"), &s, &p),
                     STARTUP_OK);
    assert_true(span_eq(s.user, SPAN("b")));
    assert_true(span_eq(s.database, SPAN("y")));
    strbuf_fini(&p);
}

static void test_bad_layout(void **state)
{
    static const struct {
        const char *body;
        size_t len;
    } bad[] = {
#define BODY(text) { text, sizeof(text) - 1 }
        BODY(""),                     /* no terminator */
        BODY("user\0bob\0"),          /* none after a pair */
        BODY("user\0bob"),            /* none after a value */
        BODY("user\0"),               /* a name without a value */
        BODY("user"),                 /* not even its end */
        BODY("user\0bob\0\0x"),       /* something behind the terminator */
        BODY("user\0bob\0\0\0"),      /* two of them */
        BODY("\0user\0bob\0\0"),      /* in front */
        BODY("user\0bob\0database\0") /* the value is the terminator */
#undef BODY
    };
    struct strbuf p = STRBUF_INIT;
    struct startup s;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(parse(PROTO_VERSION_3, span_make(bad[i].body, bad[i].len), &s, &p), STARTUP_MALFORMED);
    strbuf_fini(&p);
}

static void test_lengths(void **state)
{
    static const uint32_t bad[] = { 0, 1, 4, 7, PROTO_STARTUP_MAX + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF };
    struct strbuf p = STRBUF_INIT;
    struct startup s;
    size_t used;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        strbuf_reset(&p);
        msg_u32(&p, bad[i]);
        assert_int_equal(startup_parse(strbuf_span(&p), &s, &used), STARTUP_MALFORMED);
    }
    /* Eight bytes are a packet without even a terminator; one letter more is still none. */
    assert_int_equal(startup_parse(SPAN("\0\0\0\10\0\3\0\0"), &s, &used), STARTUP_MALFORMED);
    assert_int_equal(startup_parse(SPAN("\0\0\0\11\0\3\0\0u"), &s, &used), STARTUP_MALFORMED);
    assert_int_equal(startup_parse(SPAN("GET / HTTP/1.1\r\n"), &s, &used), STARTUP_MALFORMED);
    /* The longest one that PostgreSQL takes. */
    strbuf_reset(&p);
    strbuf_puts(&p, "user");
    strbuf_putc(&p, '\0');
    while (p.len < PROTO_STARTUP_MAX - 8 - 2)
        strbuf_putc(&p, 'x');
    strbuf_put(&p, "\0\0", 2);
    {
        struct strbuf packet = STRBUF_INIT;

        assert_int_equal(parse(PROTO_VERSION_3, strbuf_span(&p), &s, &packet), STARTUP_OK);
        assert_int_equal(s.user.len, PROTO_STARTUP_MAX - 8 - 2 - 5);
        strbuf_fini(&packet);
    }
    strbuf_fini(&p);
}

static void test_versions(void **state)
{
    static const uint32_t bad[] = { 0, 1, 0x00020000, 0x00040000, 0x04D20000, 0x04D2162D, 0x04D21631, 0xFFFFFFFF };
    struct strbuf p = STRBUF_INIT;
    struct startup s;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(parse(bad[i], SPAN("user\0bob\0\0"), &s, &p), STARTUP_OK);
        assert_int_equal(s.kind, STARTUP_BAD_VERSION);
        assert_int_equal(s.version, bad[i]);
    }
    strbuf_fini(&p);
}

/* A newer minor version and protocol options are answered with what is spoken and what is not understood. */
static void test_negotiation(void **state)
{
    struct strbuf p = STRBUF_INIT, out = STRBUF_INIT;
    struct startup s;

    (void)state;
    assert_int_equal(parse(0x00030002, SPAN("user\0bob\0_pq_.a\0b\0_pq_.\0c\0_pq\0d\0_pq_.zz\0\0\0"), &s, &p),
                     STARTUP_OK);
    assert_int_equal(s.kind, STARTUP_V3);
    assert_int_equal(s.version, 0x00030002);
    assert_int_equal(s.unknown_protocol_options, 3);
    be_put_negotiate(&out, s.params);
    assert_true(span_eq(strbuf_span(&out), SPAN("v\0\0\0\x21\0\3\0\0\0\0\0\3_pq_.a\0_pq_.\0_pq_.zz\0")));
    strbuf_reset(&out);
    assert_int_equal(parse(0x00030002, SPAN("user\0bob\0\0"), &s, &p), STARTUP_OK);
    be_put_negotiate(&out, s.params);
    assert_true(span_eq(strbuf_span(&out), SPAN("v\0\0\0\x0C\0\3\0\0\0\0\0\0")));
    strbuf_fini(&out);
    strbuf_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),    cmocka_unit_test(test_cancel),  cmocka_unit_test(test_v3),
        cmocka_unit_test(test_bad_layout),  cmocka_unit_test(test_lengths), cmocka_unit_test(test_versions),
        cmocka_unit_test(test_negotiation),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
