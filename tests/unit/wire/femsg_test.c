/* Frontend messages: golden frames of what the router sends, and what decoders take and refuse. */
#include "wire/femsg.h"

#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What was built is exactly this; the buffer is empty afterwards. */
static void is_frame(struct strbuf *sb, struct span expected)
{
    assert_int_equal(sb->len, expected.len);
    assert_memory_equal(sb->ptr, expected.ptr, expected.len);
    strbuf_reset(sb);
}

static void test_builders(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    const struct span params[] = { SPAN("ab"), { 0 }, SPAN("") };

    (void)state;
    fe_put_query(&sb, SPAN("SELECT 1"));
    is_frame(&sb, SPAN("Q\0\0\0\x0DSELECT 1\0"));
    fe_put_query(&sb, SPAN(""));
    is_frame(&sb, SPAN("Q\0\0\0\5\0"));
    fe_put_parse(&sb, SPAN("s"), SPAN("SELECT $1"), "\0\0\0\x17\0\0\0\x19", 2);
    is_frame(&sb, SPAN("P\0\0\0\x1As\0SELECT $1\0\0\2\0\0\0\x17\0\0\0\x19"));
    fe_put_parse(&sb, SPAN(""), SPAN("x"), NULL, 0);
    is_frame(&sb, SPAN("P\0\0\0\x09\0x\0\0\0"));
    fe_put_bind(&sb, SPAN("p"), SPAN("st"), SPAN("\0\0\0\0\0\0"));
    is_frame(&sb, SPAN("B\0\0\0\x0Fp\0st\0\0\0\0\0\0\0"));
    fe_put_describe(&sb, 'S', SPAN("s"));
    is_frame(&sb, SPAN("D\0\0\0\7Ss\0"));
    fe_put_describe(&sb, 'P', SPAN(""));
    is_frame(&sb, SPAN("D\0\0\0\6P\0"));
    fe_put_close(&sb, 'S', SPAN("s"));
    is_frame(&sb, SPAN("C\0\0\0\7Ss\0"));
    fe_put_execute(&sb, SPAN("p"), 258);
    is_frame(&sb, SPAN("E\0\0\0\x0Ap\0\0\0\1\2"));
    fe_put_sync(&sb);
    is_frame(&sb, SPAN("S\0\0\0\4"));
    fe_put_statement(&sb, SPAN("x"), params, 3);
    is_frame(&sb, SPAN("P\0\0\0\x09\0x\0\0\0"
                       "B\0\0\0\x1A\0\0\0\0\0\3\0\0\0\2ab\377\377\377\377\0\0\0\0\0\0"
                       "E\0\0\0\x09\0\0\0\0\0"));
    strbuf_fini(&sb);
}

/* A decoder on the body in memory of its own size, so that a read behind it is seen; then on every shorter body. */
typedef bool decoder(struct span body, void *out);

static bool query(struct span body, void *out)
{
    return fe_decode_query(body, out);
}
static bool parse(struct span body, void *out)
{
    return fe_decode_parse(body, out);
}
static bool bind(struct span body, void *out)
{
    return fe_decode_bind(body, out);
}
static bool target(struct span body, void *out)
{
    return fe_decode_target(body, out);
}
static bool execute(struct span body, void *out)
{
    return fe_decode_execute(body, out);
}

static bool on_copy(decoder *decode, struct span body, void *out)
{
    char *copy = malloc(body.len ? body.len : 1);
    bool ok;

    memcpy(copy, body.ptr, body.len);
    ok = decode(span_make(copy, body.len), out);
    free(copy);
    return ok;
}

/* Good as it is, and bad with a byte less anywhere or a byte more. */
static void is_exact(decoder *decode, struct span body)
{
    union {
        struct span sql;
        struct fe_parse parse;
        struct fe_bind bind;
        struct fe_target target;
        struct fe_execute execute;
    } out;
    struct strbuf longer = STRBUF_INIT;

    assert_true(on_copy(decode, body, &out));
    for (size_t len = 0; len < body.len; len++)
        assert_false(on_copy(decode, span_make(body.ptr, len), &out));
    strbuf_put(&longer, body.ptr, body.len);
    strbuf_putc(&longer, '\0');
    assert_false(on_copy(decode, strbuf_span(&longer), &out));
    strbuf_fini(&longer);
}

static void test_exact_lengths(void **state)
{
    (void)state;
    is_exact(query, SPAN("SELECT 1\0"));
    is_exact(query, SPAN("\0"));
    is_exact(parse, SPAN("s\0SELECT $1\0\0\2\0\0\0\x17\0\0\0\x19"));
    is_exact(parse, SPAN("\0\0\0\0"));
    is_exact(bind, SPAN("p\0s\0\0\2\0\0\0\1\0\2\0\0\0\2ab\377\377\377\377\0\1\0\1"));
    is_exact(bind, SPAN("\0\0\0\0\0\0\0\0"));
    is_exact(target, SPAN("Ss\0"));
    is_exact(execute, SPAN("p\0\0\0\0\5"));
}

static void test_query(void **state)
{
    struct span sql;

    (void)state;
    assert_true(fe_decode_query(SPAN("SELECT 1\0"), &sql));
    assert_true(span_eq(sql, SPAN("SELECT 1")));
    assert_false(fe_decode_query(SPAN("SELECT 1\0; DROP TABLE t\0"), &sql)); /* nothing hides behind a NUL */
}

static void test_parse(void **state)
{
    struct fe_parse p;

    (void)state;
    assert_true(fe_decode_parse(SPAN("s\0SELECT $1\0\0\2\0\0\0\x17\0\0\0\x19"), &p));
    assert_true(span_eq(p.name, SPAN("s")));
    assert_true(span_eq(p.sql, SPAN("SELECT $1")));
    assert_int_equal(p.ntype, 2);
    assert_memory_equal(p.types, "\0\0\0\x17\0\0\0\x19", 8);
    assert_false(fe_decode_parse(SPAN("s\0SELECT $1\0\377\377\0\0\0\x17"), &p)); /* a count that lies */
}

static void test_target(void **state)
{
    struct fe_target t;

    (void)state;
    assert_true(fe_decode_target(SPAN("Pp\0"), &t));
    assert_int_equal(t.kind, 'P');
    assert_true(span_eq(t.name, SPAN("p")));
    assert_true(fe_decode_target(SPAN("S\0"), &t));
    assert_int_equal(t.name.len, 0);
    assert_false(fe_decode_target(SPAN("Xp\0"), &t));
    assert_false(fe_decode_target(SPAN("\0p\0"), &t));
}

static void test_execute(void **state)
{
    struct fe_execute x;

    (void)state;
    assert_true(fe_decode_execute(SPAN("p\0\0\0\0\5"), &x));
    assert_true(span_eq(x.portal, SPAN("p")));
    assert_int_equal(x.max_rows, 5);
    assert_true(fe_decode_execute(SPAN("\0\177\377\377\377"), &x));
    assert_int_equal(x.max_rows, INT32_MAX);
    /* Negative means all rows, as in PostgreSQL. */
    assert_true(fe_decode_execute(SPAN("\0\377\377\377\377"), &x));
    assert_int_equal(x.max_rows, 0);
    assert_true(fe_decode_execute(SPAN("\0\200\0\0\0"), &x));
    assert_int_equal(x.max_rows, 0);
}

static void test_bind(void **state)
{
    struct fe_bind b;

    (void)state;
    assert_true(fe_decode_bind(SPAN("p\0s\0\0\1\0\1\0\2\0\0\0\2ab\377\377\377\377\0\2\0\1\0\0"), &b));
    assert_true(span_eq(b.portal, SPAN("p")));
    assert_true(span_eq(b.statement, SPAN("s")));
    assert_int_equal(b.nformat, 1);
    assert_memory_equal(b.formats, "\0\1", 2);
    assert_int_equal(b.nparam, 2);
    assert_int_equal(b.nresult, 2);
    assert_memory_equal(b.results, "\0\1\0\0", 4);
    /* Lengths that lie: longer than the message, negative, and so long that a sum would wrap. */
    assert_false(fe_decode_bind(SPAN("\0\0\0\0\0\1\0\0\0\7ab\0\0"), &b));
    assert_false(fe_decode_bind(SPAN("\0\0\0\0\0\1\377\377\377\376ab\0\0"), &b));
    assert_false(fe_decode_bind(SPAN("\0\0\0\0\0\1\177\377\377\377ab\0\0"), &b));
    assert_false(fe_decode_bind(SPAN("\0\0\0\0\377\377\0\0\0\1x\0\0"), &b));
    assert_false(fe_decode_bind(SPAN("\0\0\377\377\0\0\0\0\0\0"), &b));
}

static bool values_of(struct span body, struct span *values, uint8_t *binary)
{
    struct fe_bind b;

    assert_true(fe_decode_bind(body, &b));
    return fe_bind_values(&b, values, binary);
}

static void test_bind_values(void **state)
{
    struct span v[3];
    uint8_t binary[3];

    (void)state;
    /* No format: all text. */
    assert_true(values_of(SPAN("\0\0\0\0\0\3\0\0\0\2ab\377\377\377\377\0\0\0\0\0\0"), v, binary));
    assert_true(span_eq(v[0], SPAN("ab")));
    assert_null(v[1].ptr);
    assert_true(v[2].ptr && v[2].len == 0); /* an empty string is not NULL */
    assert_int_equal(binary[0] + binary[1] + binary[2], 0);
    /* One for all, one each. */
    assert_true(values_of(SPAN("\0\0\0\1\0\1\0\2\0\0\0\1x\0\0\0\1y\0\0"), v, binary));
    assert_true(binary[0] == 1 && binary[1] == 1);
    assert_true(values_of(SPAN("\0\0\0\2\0\1\0\0\0\2\0\0\0\1x\0\0\0\1y\0\0"), v, binary));
    assert_true(binary[0] == 1 && binary[1] == 0);
    assert_true(values_of(SPAN("\0\0\0\1\0\1\0\0\0\0"), v, binary)); /* a format, and nothing to be in it */
    /* Neither 0, 1 nor as many as parameters; a format that does not exist. */
    assert_false(values_of(SPAN("\0\0\0\2\0\0\0\0\0\1\0\0\0\1x\0\0"), v, binary));
    assert_false(values_of(SPAN("\0\0\0\2\0\0\0\0\0\3\0\0\0\1x\0\0\0\1y\0\0\0\1z\0\0"), v, binary));
    assert_false(values_of(SPAN("\0\0\0\1\0\2\0\1\0\0\0\1x\0\0"), v, binary));
    assert_false(values_of(SPAN("\0\0\0\1\377\377\0\1\0\0\0\1x\0\0"), v, binary));
}

/* What is built is read back by the decoders. */
static void test_round_trip(void **state)
{
    const struct span params[] = { SPAN("a\0b"), { 0 } };
    struct strbuf sb = STRBUF_INIT;
    struct fe_parse p;
    struct fe_bind b;
    struct fe_execute x;
    struct span v[2];
    uint8_t binary[2];
    const char *at;
    uint32_t len;

    (void)state;
    fe_put_statement(&sb, SPAN("SELECT $1, $2"), params, 2);
    at = sb.ptr;
    len = proto_get32(at + 1);
    assert_true(fe_decode_parse(span_make(at + PROTO_HEADER, len - 4), &p));
    assert_true(span_eq(p.sql, SPAN("SELECT $1, $2")));
    at += 1 + len;
    len = proto_get32(at + 1);
    assert_true(fe_decode_bind(span_make(at + PROTO_HEADER, len - 4), &b));
    assert_true(fe_bind_values(&b, v, binary));
    assert_true(span_eq(v[0], params[0]));
    assert_null(v[1].ptr);
    at += 1 + len;
    len = proto_get32(at + 1);
    assert_true(fe_decode_execute(span_make(at + PROTO_HEADER, len - 4), &x));
    assert_ptr_equal(at + 1 + len, sb.ptr + sb.len);
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builders), cmocka_unit_test(test_exact_lengths), cmocka_unit_test(test_query),
        cmocka_unit_test(test_parse),    cmocka_unit_test(test_target),        cmocka_unit_test(test_execute),
        cmocka_unit_test(test_bind),     cmocka_unit_test(test_bind_values),   cmocka_unit_test(test_round_trip),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
