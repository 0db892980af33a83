/* Object ids inside binary values (P37): values that are not what they should be. tests/e2e/oids_binary.t has those
 * that are. */
#include "base/strbuf.h"
#include "router/server/oids.h"
#include "wire/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* clang-format off */
#include <cmocka.h>
/* clang-format on */

static void put(struct strbuf *sb, uint32_t n)
{
    char word[4];

    proto_put32(word, n);
    strbuf_put(sb, word, 4);
}

/* ROW(7, ARRAY[ROW(7)], NULL, ROW()) */
static void put_row(struct strbuf *sb)
{
    static const uint32_t words[] = { 4, 23, 4, 7, OID_RECORD_ARRAY, 40,         1,          0, OID_RECORD, 1, 1, 16,
                                      1, 23, 4, 7, OID_RECORD,       UINT32_MAX, OID_RECORD, 4, 0 };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        put(sb, words[i]);
}

static bool look(const char *bytes, size_t len)
{
    const struct oid_map *none = oid_maps_find(NULL, 1, false);
    char *copy = malloc(len ? len : 1); /* so that a sanitizer sees what is read beyond it */
    struct err e = ERR_INIT;
    bool ok;

    memcpy(copy, bytes, len);
    ok = oid_value_to_client(none, OID_RECORD, copy, len, &e);
    free(copy);
    assert_true(ok || e.message[0]);
    return ok;
}

static void test_malformed(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    (void)state;

    put_row(&sb);
    assert_true(look(sb.ptr, sb.len));
    for (size_t len = 0; len < sb.len; len++)
        assert_false(look(sb.ptr, len));
    for (size_t i = 0; i < sb.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            sb.ptr[i] = (char)(sb.ptr[i] ^ (1 << bit));
            (void)look(sb.ptr, sb.len);
            sb.ptr[i] = (char)(sb.ptr[i] ^ (1 << bit));
        }
    }
    strbuf_fini(&sb);
}

static void test_unknown(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    (void)state;

    put(&sb, 1);
    put(&sb, OID_FIRST_USER);
    put(&sb, UINT32_MAX);
    assert_false(look(sb.ptr, sb.len));
    strbuf_fini(&sb);
}

static void test_deep(void **state)
{
    struct strbuf sb = STRBUF_INIT;
    (void)state;

    for (uint32_t i = 0; i < 100000; i++) {
        put(&sb, 1);
        put(&sb, OID_RECORD);
        put(&sb, 12 * (100000 - i) - 8);
    }
    put(&sb, 0);
    assert_false(look(sb.ptr, sb.len));
    strbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_malformed), cmocka_unit_test(test_unknown),
                                        cmocka_unit_test(test_deep) };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
