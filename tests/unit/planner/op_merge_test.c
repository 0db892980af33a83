#include "planner/op_merge.h"

#include "base/strbuf.h"
#include "wire/reader.h"
#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A DataRow: one key of n bytes (NULL: SQL NULL), then a column that holds `tag`. */
static void put_row(struct strbuf *sb, const void *key, size_t n, const char *tag)
{
    size_t at = msg_begin(sb, 'D');
    msg_u16(sb, 2);
    msg_u32(sb, key ? (uint32_t)n : UINT32_MAX);
    if (key)
        strbuf_put(sb, key, n);
    msg_u32(sb, (uint32_t)strlen(tag));
    strbuf_puts(sb, tag);
    msg_end(sb, at);
}

static bool push_all(struct merge *m, uint32_t source, struct span frames)
{
    size_t taken;
    return merge_push(m, source, frames, SIZE_MAX, &taken) && taken == frames.len;
}

static bool push(struct merge *m, uint32_t source, const void *key, size_t n, const char *tag)
{
    struct strbuf sb = STRBUF_INIT;
    put_row(&sb, key, n, tag);
    bool ok = push_all(m, source, strbuf_span(&sb));
    strbuf_fini(&sb);
    return ok;
}

static bool push_int(struct merge *m, uint32_t source, int32_t key, const char *tag)
{
    struct strbuf sb = STRBUF_INIT;
    msg_u32(&sb, (uint32_t)key);
    bool ok = push(m, source, sb.ptr, sb.len, tag);
    strbuf_fini(&sb);
    return ok;
}

/* The next row's only column without its length; false: there is none now, *end says why. */
static bool take(struct merge *m, char *text, size_t cap, enum merge_result *end)
{
    struct strbuf sb = STRBUF_INIT;
    uint64_t skip = 0, left = 1;
    *end = merge_take(m, &skip, &left, &sb, SIZE_MAX);
    if (left == 0) {
        struct reader r = rd_make(strbuf_span(&sb));
        assert_int_equal(rd_u8(&r), 'D');
        assert_int_equal(rd_u32(&r), sb.len - 1);
        assert_int_equal(rd_u16(&r), 1);
        uint32_t len = rd_u32(&r);
        struct span v = rd_bytes(&r, len);
        assert_true(rd_finish(&r) && v.len < cap);
        if (v.len)
            memcpy(text, v.ptr, v.len);
        text[v.len] = 0;
    }
    strbuf_fini(&sb);
    return left == 0;
}

/* Tags of the rows that come until the merge waits or ends. */
static const char *drain(struct merge *m, enum merge_result *end)
{
    static char text[4096];
    size_t at = 0;
    do {
        text[at] = 0;
        if (!take(m, text + at, sizeof text - at, end))
            break;
        at += strlen(text + at);
    } while (*end == MERGE_ROW);
    return text;
}

static const struct merge_key ascending = { MERGE_INT4, false, false };

static void test_order(void **state)
{
    struct merge *m = merge_new(3, 1, &ascending);
    enum merge_result end;
    (void)state;
    assert_true(push_int(m, 0, 1, "a") && push_int(m, 0, 4, "d") && push_int(m, 1, 2, "b"));
    assert_string_equal(drain(m, &end), "");
    assert_int_equal(end, MERGE_WAIT); /* source 2 may have less */
    merge_end(m, 2);
    assert_string_equal(drain(m, &end), "ab");
    assert_int_equal(end, MERGE_WAIT);
    assert_true(push_int(m, 1, 3, "c"));
    assert_string_equal(drain(m, &end), "c");
    merge_end(m, 1);
    assert_string_equal(drain(m, &end), "d");
    assert_int_equal(end, MERGE_WAIT);
    merge_end(m, 0);
    assert_string_equal(drain(m, &end), "");
    assert_int_equal(end, MERGE_DONE);
    merge_free(m);
}

static void test_ties_and_nulls(void **state)
{
    struct merge_key key = { MERGE_INT4, true, true };
    struct merge *m = merge_new(2, 1, &key);
    enum merge_result end;
    (void)state;
    assert_true(push_int(m, 1, 5, "c") && push(m, 0, NULL, 0, "a") && push_int(m, 0, 5, "b") &&
                push_int(m, 0, -1, "d"));
    merge_end(m, 0);
    merge_end(m, 1);
    assert_string_equal(drain(m, &end), "abcd"); /* equal ones by source */
    assert_int_equal(end, MERGE_DONE);
    merge_free(m);
}

/* Only the first of equal ones, whichever source has it, also over a wait; skipped and wanted ones are counted after.
 */
static void test_unique(void **state)
{
    struct merge *m = merge_new(2, 1, &ascending);
    struct strbuf sb = STRBUF_INIT;
    enum merge_result end;
    uint64_t skip = 1, left = 1;
    (void)state;
    merge_unique(m, 1);
    assert_true(push_int(m, 0, 1, "a") && push_int(m, 0, 2, "x") && push_int(m, 1, 1, "y") && push_int(m, 1, 2, "z"));
    assert_int_equal(merge_take(m, &skip, &left, &sb, SIZE_MAX), MERGE_ROW);
    assert_int_equal(left, 0);
    assert_int_equal(sb.ptr[sb.len - 1], 'x');
    assert_string_equal(drain(m, &end), "");
    assert_int_equal(end, MERGE_WAIT);
    assert_true(push_int(m, 0, 2, "n") && push_int(m, 0, 7, "b") && push(m, 1, NULL, 0, "c"));
    merge_end(m, 0);
    assert_string_equal(drain(m, &end), "bc");
    assert_true(push(m, 1, NULL, 0, "n"));
    merge_end(m, 1);
    assert_string_equal(drain(m, &end), "");
    assert_int_equal(end, MERGE_DONE);
    strbuf_fini(&sb);
    merge_free(m);
}

static void test_without_keys(void **state)
{
    struct merge *m = merge_new(3, 0, NULL);
    enum merge_result end;
    (void)state;
    struct strbuf sb = STRBUF_INIT;
    size_t at = msg_begin(&sb, 'D');
    msg_u16(&sb, 1);
    msg_u32(&sb, 1);
    strbuf_putc(&sb, 'x');
    msg_end(&sb, at);
    assert_true(push_all(m, 1, strbuf_span(&sb)));
    assert_string_equal(drain(m, &end), "x"); /* nobody is waited for */
    assert_int_equal(end, MERGE_WAIT);
    for (uint32_t i = 0; i < 3; i++)
        merge_end(m, i);
    assert_string_equal(drain(m, &end), "");
    assert_int_equal(end, MERGE_DONE);
    strbuf_fini(&sb);
    merge_free(m);
}

/* A source that does not sort as it is sorted here does not go unnoticed, wherever its rows are when it shows. */
static void test_disorder(void **state)
{
    enum merge_result end;
    (void)state;
    struct merge *m = merge_new(1, 1, &ascending);
    assert_true(push_int(m, 0, 2, "a") && push_int(m, 0, 1, "b"));
    assert_string_equal(drain(m, &end), "a");
    assert_int_equal(end, MERGE_BAD);
    merge_free(m);
    m = merge_new(1, 1, &ascending);
    assert_true(push_int(m, 0, 2, "a"));
    assert_string_equal(drain(m, &end), "a");
    assert_false(push_int(m, 0, 1, "b"));
    merge_free(m);
}

static void test_malformed(void **state)
{
    static const char short_row[] = { 'D', 0, 0, 0, 12, 0, 2, 0, 0, 0, 4, 1, 2 }, few[] = { 'D', 0, 0, 0, 6, 0, 0 };
    static const char shorter[] = { 'D', 0, 0, 0, 5, 0, 0, 0 }, other[] = { 'C', 0, 0, 0, 6, 0, 0 };
    struct merge *m = merge_new(1, 1, &ascending);
    (void)state;
    assert_false(push_all(m, 0, span_make(short_row, sizeof short_row)));
    merge_free(m);
    m = merge_new(1, 1, &ascending);
    assert_false(push_all(m, 0, span_make(few, sizeof few)));
    merge_free(m);
    m = merge_new(1, 1, &ascending);
    assert_false(push_all(m, 0, span_make(few, 1)));
    assert_false(push_all(m, 0, span_make(shorter, sizeof shorter)));
    assert_false(push_all(m, 0, span_make(other, sizeof other)));
    merge_free(m);
    m = merge_new(1, 1, &ascending);
    assert_false(push(m, 0, "abc", 3, "a")); /* no int4 */
    merge_free(m);
    struct merge_key numeric = { MERGE_NUMERIC, false, false };
    m = merge_new(1, 1, &numeric);
    assert_false(push(m, 0, "\0\5\0\0\0\0\0\0\0\1", 10, "a")); /* five digits, one there */
    merge_free(m);
}

/* Values in ascending order in binary, for each way to compare. */
struct listed {
    enum merge_type type;
    uint32_t n;
    struct {
        size_t len;
        const char *bytes;
    } v[12];
};

static const struct listed lists[] = {
    { MERGE_UINT1, 3, { { 1, "\0" }, { 1, "\1" }, { 1, "\xff" } } },
    { MERGE_INT2, 3, { { 2, "\x80\0" }, { 2, "\0\0" }, { 2, "\x7f\xff" } } },
    { MERGE_INT8,
      3,
      { { 8, "\x80\0\0\0\0\0\0\0" },
        { 8, "\xff\xff\xff\xff\xff\xff\xff\xff" },
        { 8, "\x7f\xff\xff\xff\xff\xff\xff\xff" } } },
    { MERGE_UINT4, 2, { { 4, "\0\0\0\1" }, { 4, "\xff\xff\xff\xff" } } },
    { MERGE_UINT8, 2, { { 8, "\0\0\0\0\0\0\0\1" }, { 8, "\xff\0\0\0\0\0\0\0" } } },
    { MERGE_FLOAT4, 4, { { 4, "\xff\x80\0\0" }, { 4, "\0\0\0\0" }, { 4, "\x7f\x80\0\0" }, { 4, "\x7f\xc0\0\0" } } },
    { MERGE_FLOAT8,
      4,
      { { 8, "\xff\xf0\0\0\0\0\0\0" },
        { 8, "\xbf\xf0\0\0\0\0\0\0" },
        { 8, "\x7f\xf0\0\0\0\0\0\0" },
        { 8, "\x7f\xf8\0\0\0\0\0\0" } } },
    /* -Infinity, -10000, -1, 0, 0.0001, 1, 1.5, 9999, 10000, Infinity, NaN */
    { MERGE_NUMERIC,
      11,
      { { 8, "\0\0\0\0\xf0\0\0\0" },
        { 10, "\0\1\0\1\x40\0\0\0\0\1" },
        { 10, "\0\1\0\0\x40\0\0\0\0\1" },
        { 8, "\0\0\0\0\0\0\0\0" },
        { 10, "\0\1\xff\xff\0\0\0\4\0\1" },
        { 10, "\0\1\0\0\0\0\0\0\0\1" },
        { 12, "\0\2\0\0\0\0\0\1\0\1\x13\x88" },
        { 10, "\0\1\0\0\0\0\0\0\x27\x0f" },
        { 10, "\0\1\0\1\0\0\0\0\0\1" },
        { 8, "\0\0\0\0\xd0\0\0\0" },
        { 8, "\0\0\0\0\xc0\0\0\0" } } },
    /* time and zone in seconds west of Greenwich: 12:00+01, 12:00+00, 11:00-01 */
    { MERGE_TIMETZ,
      3,
      { { 12, "\x00\x00\x00\x0a\x0e\xeb\xb0\x00"
              "\xff\xff\xf1\xf0" },
        { 12, "\x00\x00\x00\x0a\x0e\xeb\xb0\x00"
              "\0\0\0\0" },
        { 12, "\x00\x00\x00\x09\x38\x58\x0c\x00"
              "\0\0\x0e\x10" } } },
    { MERGE_INTERVAL,
      4,
      { { 16, "\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff" },
        { 16, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0" },
        { 16, "\0\0\0\0\0\0\0\0\0\0\0\x1d\0\0\0\0" },
        { 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" } } },
    { MERGE_BYTES, 4, { { 0, "" }, { 1, "\0" }, { 1, "a" }, { 2, "a " } } },
    { MERGE_PADDED, 3, { { 2, "  " }, { 3, "a  " }, { 2, "b " } } },
};

/* Every pair, from two sources, in both directions. */
static void test_types(void **state)
{
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(lists); t++) {
        const struct listed *l = &lists[t];
        for (uint32_t i = 0; i + 1 < l->n; i++) {
            for (int desc = 0; desc < 2; desc++) {
                struct merge_key key = { l->type, desc, false };
                struct merge *m = merge_new(2, 1, &key);
                enum merge_result end;
                assert_true(push(m, 1, l->v[i].bytes, l->v[i].len, "l") &&
                            push(m, 0, l->v[i + 1].bytes, l->v[i + 1].len, "g"));
                merge_end(m, 0);
                merge_end(m, 1);
                assert_string_equal(drain(m, &end), desc ? "gl" : "lg");
                merge_free(m);
            }
        }
    }
}

/* Values that are equal although their bytes differ: the order is the sources'. */
static void test_equal(void **state)
{
    static const struct listed equal[] = {
        { MERGE_FLOAT8, 2, { { 8, "\x80\0\0\0\0\0\0\0" }, { 8, "\0\0\0\0\0\0\0\0" } } },
        { MERGE_FLOAT8, 2, { { 8, "\x7f\xf8\0\0\0\0\0\0" }, { 8, "\xff\xf8\0\0\0\0\0\1" } } },
        { MERGE_NUMERIC, 2, { { 10, "\0\1\0\0\0\0\0\0\0\1" }, { 10, "\0\1\0\0\0\0\0\4\0\1" } } },
        { MERGE_NUMERIC, 2, { { 8, "\0\0\0\0\0\0\0\0" }, { 8, "\0\0\0\0\0\0\0\4" } } },
        { MERGE_INTERVAL,
          2,
          { { 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" }, { 16, "\0\0\0\0\0\0\0\0\0\0\0\x1e\0\0\0\0" } } },
        { MERGE_PADDED, 2, { { 3, "a  " }, { 1, "a" } } },
    };
    (void)state;
    for (size_t t = 0; t < ARRAY_LEN(equal); t++) {
        for (uint32_t first = 0; first < 2; first++) {
            struct merge_key key = { equal[t].type, false, false };
            struct merge *m = merge_new(2, 1, &key);
            enum merge_result end;
            assert_true(push(m, first, equal[t].v[0].bytes, equal[t].v[0].len, first ? "2" : "1") &&
                        push(m, !first, equal[t].v[1].bytes, equal[t].v[1].len, first ? "1" : "2"));
            merge_end(m, 0);
            merge_end(m, 1);
            assert_string_equal(drain(m, &end), "12");
            merge_free(m);
        }
    }
}

/* Random rows, pushed and taken at random: the answer is sorted, complete, and not much is kept. */
static void test_random(void **state)
{
    enum { SOURCES = 7, ROWS = 30000 };
    struct merge *m = merge_new(SOURCES, 1, &ascending);
    int32_t next[SOURCES] = { 0 }, last = INT32_MIN;
    uint32_t pushed[SOURCES] = { 0 }, out = 0;
    bool ended[SOURCES] = { false };
    char tag[32], text[32];
    (void)state;
    srand(7);
    for (;;) {
        uint32_t s = (uint32_t)rand() % SOURCES;
        if (!ended[s] && merge_kept(m, s) < 20000) {
            next[s] += rand() % 3;
            snprintf(tag, sizeof tag, "%d", next[s]);
            assert_true(push_int(m, s, next[s], tag));
            if (++pushed[s] == ROWS / SOURCES) {
                merge_end(m, s);
                ended[s] = true;
            }
        }
        if (rand() % 4)
            continue;
        enum merge_result got;
        while (take(m, text, sizeof text, &got)) {
            int32_t v = atoi(text);
            assert_true(v >= last);
            last = v;
            out++;
        }
        assert_int_not_equal(got, MERGE_BAD);
        if (got == MERGE_DONE)
            break;
    }
    assert_int_equal(out, ROWS / SOURCES * SOURCES);
    merge_free(m);
}

/* Frames in bulk: as many as there is room for, the first one always, up to what is not whole or another message. */
static void test_bulk(void **state)
{
    struct merge *m = merge_new(1, 1, &ascending);
    struct strbuf sb = STRBUF_INIT, out = STRBUF_INIT;
    uint64_t skip = 1, left = 2;
    size_t taken, frame;
    (void)state;
    put_row(&sb, "\0\0\0\1", 4, "a");
    frame = sb.len;
    put_row(&sb, "\0\0\0\2", 4, "b");
    put_row(&sb, "\0\0\0\3", 4, "c");
    put_row(&sb, "\0\0\0\4", 4, "d");
    strbuf_put(&sb, "C\0\0\0\4", 5);
    assert_true(merge_push(m, 0, strbuf_span(&sb), 0, &taken));
    assert_int_equal(taken, frame);
    assert_true(merge_push(m, 0, span_make(sb.ptr + frame, sb.len - frame), 2 * frame, &taken));
    assert_int_equal(taken, 2 * frame);
    assert_true(merge_push(m, 0, span_make(sb.ptr + 3 * frame, sb.len - 3 * frame), SIZE_MAX, &taken));
    assert_int_equal(taken, frame);
    assert_int_equal(merge_kept(m, 0), 4 * frame);
    assert_int_equal(merge_take(m, &skip, &left, &out, 1), MERGE_ROW); /* enough bytes */
    assert_int_equal(left, 1);
    assert_int_equal(merge_take(m, &skip, &left, &out, SIZE_MAX), MERGE_ROW); /* enough rows */
    assert_int_equal(left, 0);
    assert_int_equal(out.ptr[out.len - 1], 'c');
    assert_int_equal(merge_kept(m, 0), frame);
    strbuf_fini(&sb);
    strbuf_fini(&out);
    merge_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),        cmocka_unit_test(test_ties_and_nulls), cmocka_unit_test(test_unique),
        cmocka_unit_test(test_without_keys), cmocka_unit_test(test_disorder),       cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_types),        cmocka_unit_test(test_equal),          cmocka_unit_test(test_random),
        cmocka_unit_test(test_bulk),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
