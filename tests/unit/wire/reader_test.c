/* The sticky reader, and the writer whose messages it reads. */
#include "wire/reader.h"

#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_reads_in_order(void **state)
{
    struct reader r = rd_make(SPAN("\x01\x02\x03\xFF\xFE\xFD\xFC"
                                   "ab\0\0xyz"));

    (void)state;
    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_u16(&r), 0x0203);
    assert_int_equal(rd_u32(&r), 0xFFFEFDFC);
    assert_true(span_eq(rd_cstr(&r), SPAN("ab")));
    assert_true(span_eq(rd_cstr(&r), SPAN("")));
    assert_false(rd_finish(&r)); /* xyz is left */
    assert_true(span_eq(rd_bytes(&r, 3), SPAN("xyz")));
    assert_true(rd_finish(&r));
    assert_int_equal(rd_bytes(&r, 0).len, 0);
    assert_true(rd_finish(&r));
}

/* After a short read of any kind nothing is read any more, even what would have been there. */
static void test_short_reads_stick(void **state)
{
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        struct reader r = rd_make(SPAN("\x01\x02\x03"));

        (void)rd_u8(&r);
        switch (kind) {
        case 0:
            assert_int_equal(rd_u32(&r), 0);
            break;
        case 1:
            assert_null(rd_bytes(&r, 3).ptr);
            break;
        case 2:
            assert_null(rd_cstr(&r).ptr); /* no NUL */
            break;
        case 3:
            assert_null(rd_bytes(&r, SIZE_MAX).ptr); /* lengths are compared by subtraction */
            break;
        default:
            (void)rd_u8(&r);
            assert_int_equal(rd_u16(&r), 0);
            break;
        }
        assert_true(r.bad);
        assert_int_equal(rd_u8(&r), 0);
        assert_int_equal(rd_u16(&r), 0);
        assert_int_equal(rd_u32(&r), 0);
        assert_null(rd_bytes(&r, 0).ptr);
        assert_null(rd_cstr(&r).ptr);
        assert_false(rd_finish(&r));
    }
}

static void test_empty(void **state)
{
    struct reader r = rd_make((struct span){ 0 });

    (void)state;
    assert_true(rd_finish(&r));
    assert_int_equal(rd_u8(&r), 0);
    assert_false(rd_finish(&r));
}

/* Whatever is written is read back; the length counts itself and the body, not the type. */
static void test_writer(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    struct reader r;
    size_t first, second;

    (void)state;
    first = msg_begin(&sb, 'x');
    msg_u8(&sb, 0xFE);
    msg_u16(&sb, 0xFDFC);
    msg_u32(&sb, 0x80000001);
    msg_cstr(&sb, SPAN("hi"));
    msg_cstr(&sb, (struct span){ 0 });
    msg_end(&sb, first);
    msg_empty(&sb, 'y');
    second = msg_begin(&sb, 'z');
    for (int i = 0; i < 70000; i++)
        msg_u8(&sb, (uint8_t)i);
    msg_end(&sb, second);

    r = rd_make(strbuf_span(&sb));
    assert_int_equal(rd_u8(&r), 'x');
    assert_int_equal(rd_u32(&r), 4 + 1 + 2 + 4 + 3 + 1);
    assert_int_equal(rd_u8(&r), 0xFE);
    assert_int_equal(rd_u16(&r), 0xFDFC);
    assert_int_equal(rd_u32(&r), 0x80000001);
    assert_true(span_eq(rd_cstr(&r), SPAN("hi")));
    assert_true(span_eq(rd_cstr(&r), SPAN("")));
    assert_int_equal(rd_u8(&r), 'y');
    assert_int_equal(rd_u32(&r), 4);
    assert_int_equal(rd_u8(&r), 'z');
    assert_int_equal(rd_u32(&r), 70004);
    for (int i = 0; i < 70000; i++)
        assert_int_equal(rd_u8(&r), (uint8_t)i);
    assert_true(rd_finish(&r));
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_in_order),
        cmocka_unit_test(test_short_reads_stick),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_writer),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
