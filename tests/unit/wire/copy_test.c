/*
 * The COPY splitter on literals. Every stream is also fed cut in two at every byte, and byte by byte: rows, keys and
 * errors must be the same. That PostgreSQL sees the same rows is shown by tests/differential/copy.t.
 */
#include "wire/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct copy_options text = { .format = 't', .delimiter = '\t', .null_text = "\\N", .nkey = 1 };
static const struct copy_options csv = {
    .format = 'c', .delimiter = ',', .quote = '"', .escape = '"', .null_text = "", .nkey = 1
};
static const struct copy_options binary = { .format = 'b', .nkey = 1 };

#define HEADER "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"

static void put_shown(struct strbuf *out, struct span s)
{
    if (!s.ptr) {
        strbuf_puts(out, "NULL");
        return;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c == '\n')
            strbuf_puts(out, "{lf}");
        else if (c == '\r')
            strbuf_puts(out, "{cr}");
        else if (c < ' ' && c != '\t')
            strbuf_printf(out, "{%02x}", c);
        else
            strbuf_putc(out, (char)c);
    }
}

struct run {
    struct strbuf out;
    uint32_t nkey;
    int refuse_row; /* the callback refuses this row, counted from 1; 0: none */
};

static bool on_row(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e)
{
    struct run *r = arg;

    if (r->refuse_row && --r->refuse_row == 0)
        return err_set(e, PB0104, "refused");
    strbuf_puts(&r->out, kind == COPY_ROW ? "" : "preamble ");
    put_shown(&r->out, raw);
    for (uint32_t i = 0; kind == COPY_ROW && i < r->nkey; i++) {
        strbuf_puts(&r->out, i ? ", " : " => ");
        put_shown(&r->out, keys[i]);
    }
    strbuf_putc(&r->out, '\n');
    return true;
}

/* Feed data in pieces that end at each of the cuts; what comes out, as text. The pieces are copies of their own. */
static char *split_at(const struct copy_options *o, struct span data, const size_t *cuts, size_t ncut, int refuse_row)
{
    struct copy_splitter *s = copy_splitter_new(o);
    struct run r = { .nkey = o->nkey, .refuse_row = refuse_row };
    struct err e = ERR_INIT;
    bool ok = true;
    size_t at = 0;

    for (size_t i = 0; ok && i <= ncut; i++) {
        size_t end = i < ncut ? cuts[i] : data.len;
        char *piece = malloc(end - at + 1);

        memcpy(piece, data.ptr + at, end - at);
        ok = copy_splitter_feed(s, span_make(piece, end - at), on_row, &r, &e);
        free(piece);
        at = end;
    }
    ok = ok && copy_splitter_finish(s, on_row, &r, &e);
    if (ok)
        strbuf_printf(&r.out, "%llu rows", (unsigned long long)copy_splitter_rows(s));
    else
        strbuf_printf(&r.out, "%s: %s", e.sqlstate, e.message);
    copy_splitter_free(s);
    return strbuf_take(&r.out);
}

/* Uncut, cut in two and three anywhere, and byte by byte. */
static void splits(const struct copy_options *o, struct span data, const char *expected)
{
    size_t *every = malloc((data.len + 1) * sizeof(*every));
    char *got = split_at(o, data, NULL, 0, 0);

    assert_string_equal(got, expected);
    free(got);
    for (size_t i = 0; i <= data.len; i++) {
        every[i] = i;
        for (size_t j = i; j <= data.len && j < i + 4; j++) {
            const size_t cuts[] = { i, j };

            got = split_at(o, data, cuts, 2, 0);
            assert_string_equal(got, expected);
            free(got);
        }
    }
    got = split_at(o, data, every, data.len + 1, 0);
    assert_string_equal(got, expected);
    free(got);
    free(every);
}

static struct copy_options with_key(struct copy_options o, uint32_t field)
{
    o.key_fields[0] = field;
    return o;
}

static void test_text_rows(void **state)
{
    (void)state;
    splits(&text, SPAN(""), "0 rows");
    splits(&text, SPAN("1\ta\n2\tb\n"), "1\ta{lf} => 1\n2\tb{lf} => 2\n2 rows");
    splits(&text, SPAN("1\ta\n2\tb"), "1\ta{lf} => 1\n2\tb => 2\n2 rows");
    splits(&text, SPAN("\n\n"), "{lf} => \n{lf} => \n2 rows"); /* rows of one empty field */
    splits(&text, SPAN("\\N\t1\n"), "\\N\t1{lf} => NULL\n1 rows");
    splits(&text, SPAN("\xC3\xA9\xE2\x82\xAC\ta\n"), "\xC3\xA9\xE2\x82\xAC\ta{lf} => \xC3\xA9\xE2\x82\xAC\n1 rows");
}

static void test_text_line_ends(void **state)
{
    static const char cr_hint[] = "22P04: literal carriage return found in data";
    static const char lf_hint[] = "22P04: literal newline found in data";
    char expected[128];

    (void)state;
    splits(&text, SPAN("1\r\n2\r\n"), "1{cr}{lf} => 1\n2{cr}{lf} => 2\n2 rows");
    splits(&text, SPAN("1\r2\r"), "1{cr} => 1\n2{cr} => 2\n2 rows");
    splits(&text, SPAN("1\r"), "1{cr} => 1\n1 rows");
    splits(&text, SPAN("\r\r"), "{cr} => \n{cr} => \n2 rows");
    snprintf(expected, sizeof(expected), "1{lf} => 1\n%s", cr_hint);
    splits(&text, SPAN("1\n2\r3\n"), expected);
    splits(&text, SPAN("1\n2\r\n"), expected);
    snprintf(expected, sizeof(expected), "1{cr}{lf} => 1\n%s", cr_hint);
    splits(&text, SPAN("1\r\n2\r3"), expected);
    splits(&text, SPAN("1\r\n2\r"), expected);
    snprintf(expected, sizeof(expected), "1{cr}{lf} => 1\n%s", lf_hint);
    splits(&text, SPAN("1\r\n2\n"), expected);
    snprintf(expected, sizeof(expected), "1{cr} => 1\n%s", lf_hint);
    splits(&text, SPAN("1\r2\n"), expected);
}

static void test_text_escapes(void **state)
{
    const struct copy_options second = with_key(text, 1);
    struct copy_options odd = text;

    (void)state;
    splits(&text, SPAN("a\\\nb\tc\n"), "a\\{lf}b\tc{lf} => a{lf}b\n1 rows");
    splits(&text, SPAN("a\\\r\\\nb\n"), "a\\{cr}\\{lf}b{lf} => a{cr}{lf}b\n1 rows");
    splits(&second, SPAN("a\\\tb\tc\n"), "a\\\tb\tc{lf} => c\n1 rows");
    splits(&second, SPAN("a\\\\\tc\n"), "a\\\\\tc{lf} => c\n1 rows");
    splits(&text, SPAN("\\b\\f\\n\\r\\t\\v\\q\\\\\n"),
           "\\b\\f\\n\\r\\t\\v\\q\\\\{lf} => {08}{0c}{lf}{cr}\t{0b}q\\\n1 rows");
    splits(&text, SPAN("\\101\\60\\1015\\0017\\8\n"), "\\101\\60\\1015\\0017\\8{lf} => A0A5{01}78\n1 rows");
    splits(&text, SPAN("\\x41\\x4\\x4g\\x\\xg\\x415\n"), "\\x41\\x4\\x4g\\x\\xg\\x415{lf} => A{04}{04}gxxgA5\n1 rows");
    splits(&text, SPAN("\\303\\251\n"), "\\303\\251{lf} => \xC3\xA9\n1 rows");
    splits(&text, SPAN("\\\\N\n"), "\\\\N{lf} => \\N\n1 rows"); /* not NULL */
    splits(&text, SPAN("1\\"), "1\\ => 1\n1 rows");             /* PostgreSQL drops a backslash at the very end */
    splits(&text, SPAN("\\N\\"), "\\N\\ => NULL\n1 rows");
    odd.delimiter = 'A';
    odd.key_fields[0] = 1;
    splits(&odd, SPAN("\\x4AA1A2\n"), "\\x4AA1A2{lf} => 1\n1 rows"); /* the first A is a hexadecimal digit */
}

static void test_text_null(void **state)
{
    struct copy_options o = text;

    (void)state;
    o.null_text = "";
    splits(&o, SPAN("\t1\n\\N\t2\n\n"), "\t1{lf} => NULL\n\\N\t2{lf} => N\n{lf} => NULL\n3 rows");
    o.null_text = "a\\\\b"; /* compared with the raw form */
    splits(&o, SPAN("a\\\\b\na\\x5Cb\n"), "a\\\\b{lf} => NULL\na\\x5Cb{lf} => a\\b\n2 rows");
    o.null_text = NULL;
    splits(&o, SPAN("\n"), "{lf} => NULL\n1 rows");
}

/* Column lists: a key is where the list says. Missing fields are left for the server to miss. */
static void test_keys(void **state)
{
    struct copy_options o = text;

    (void)state;
    o.nkey = 3;
    o.key_fields[0] = 2;
    o.key_fields[1] = 0;
    o.key_fields[2] = 3;
    splits(&o, SPAN("a\tb\tc\td\te\na\tb\n\ta\t\\N\t\n"),
           "a\tb\tc\td\te{lf} => c, a, d\na\tb{lf} => NULL, a, NULL\n\ta\t\\N\t{lf} => NULL, , \n3 rows");
    splits(&o, SPAN("a\\n\tb\tc\\n\td\\n\n"), "a\\n\tb\tc\\n\td\\n{lf} => c{lf}, a{lf}, d{lf}\n1 rows");
    o.nkey = 0;
    splits(&o, SPAN("a\tb\n"), "a\tb{lf}\n1 rows");
}

static void test_text_end_marker(void **state)
{
    static const char corrupt[] = "22P04: end-of-copy marker corrupt";
    static const char mismatch[] = "22P04: end-of-copy marker does not match previous newline style";
    char expected[128];

    (void)state;
    splits(&text, SPAN("1\n\\.\n"), "1{lf} => 1\n1 rows");
    splits(&text, SPAN("1\n\\.\n2\n\\.x\r\n"), "1{lf} => 1\n1 rows"); /* what follows is dropped, as PostgreSQL does */
    splits(&text, SPAN("\\.\n"), "0 rows");
    splits(&text, SPAN("\\.\r"), "0 rows");
    splits(&text, SPAN("1\r\n\\.\r\n2"), "1{cr}{lf} => 1\n1 rows");
    splits(&text, SPAN("1\r\\.\r2"), "1{cr} => 1\n1 rows");
    splits(&text, SPAN("1\n2\\.\n3\n"), "1{lf} => 1\n2 => 2\n2 rows"); /* behind data */
    splits(&text, SPAN("1\\\\.\n"), "1\\\\.{lf} => 1\\.\n1 rows");     /* an escaped backslash and a dot */
    snprintf(expected, sizeof(expected), "1{lf} => 1\n%s", corrupt);
    splits(&text, SPAN("1\n\\."), expected);
    splits(&text, SPAN("1\n\\.x\n"), expected);
    splits(&text, SPAN("1\n2\\.3\n"), expected);
    snprintf(expected, sizeof(expected), "1{lf} => 1\n%s", mismatch);
    splits(&text, SPAN("1\n\\.\r\n"), expected);
    snprintf(expected, sizeof(expected), "1{cr}{lf} => 1\n%s", mismatch);
    splits(&text, SPAN("1\r\n\\.\n"), expected);
    splits(&text, SPAN("1\r\n\\.\r\r"), expected);
    snprintf(expected, sizeof(expected), "1{cr}{lf} => 1\n%s", corrupt);
    splits(&text, SPAN("1\r\n\\.\r"), expected);
    splits(&text, SPAN("1\r\n\\."), expected);
    splits(&text, SPAN("1\r\n\\.x"), expected);
    snprintf(expected, sizeof(expected), "1{cr} => 1\n%s", mismatch);
    splits(&text, SPAN("1\r\\.\n"), expected);
}

static void test_header(void **state)
{
    struct copy_options o = text, c = csv;

    (void)state;
    o.header = c.header = true;
    splits(&o, SPAN("a\tb\n1\t2\n"), "preamble a\tb{lf}\n1\t2{lf} => 1\n1 rows");
    splits(&o, SPAN("a\tb"), "preamble a\tb\n0 rows");
    splits(&o, SPAN(""), "0 rows");
    splits(&o, SPAN("\\.\n1\n"), "0 rows");
    splits(&c, SPAN("\"a\n\"\"\",b\r\n1,2\r\n"), "preamble \"a{lf}\"\"\",b{cr}{lf}\n1,2{cr}{lf} => 1\n1 rows");
    splits(&c, SPAN("\"a\n1,2\n"), "preamble \"a{lf}1,2{lf}\n0 rows"); /* nobody looks at a header's quotes */
}

static void test_csv_rows(void **state)
{
    const struct copy_options second = with_key(csv, 1);

    (void)state;
    splits(&csv, SPAN(""), "0 rows");
    splits(&csv, SPAN("1,a\n2,b"), "1,a{lf} => 1\n2,b => 2\n2 rows");
    splits(&csv, SPAN("\"1\",\"a\"\n\"2\",b\n"), "\"1\",\"a\"{lf} => 1\n\"2\",b{lf} => 2\n2 rows");
    splits(&second, SPAN("\"a,\n\r\n\"\"\n\",5\n6,7\n"), "\"a,{lf}{cr}{lf}\"\"{lf}\",5{lf} => 5\n6,7{lf} => 7\n2 rows");
    splits(&csv, SPAN("x\"a,b\"\"\"y\"z\",1\n"), "x\"a,b\"\"\"y\"z\",1{lf} => xa,b\"yz\n1 rows");
    splits(&csv, SPAN("\"\"\"\",1\n"), "\"\"\"\",1{lf} => \"\n1 rows");
    splits(&csv, SPAN("a\\n\\\\,1\n"), "a\\n\\\\,1{lf} => a\\n\\\\\n1 rows"); /* backslashes are data */
    splits(&csv, SPAN("1,\"a\n"), "22P04: unterminated CSV quoted field");
    splits(&csv, SPAN("1,a\n\"b"), "1,a{lf} => 1\n22P04: unterminated CSV quoted field");
    splits(&csv, SPAN(" 1 , \"2\"\n"), " 1 , \"2\"{lf} =>  1 \n1 rows");
}

static void test_csv_line_ends(void **state)
{
    (void)state;
    splits(&csv, SPAN("1\r\n\"2\n\"\r\n"), "1{cr}{lf} => 1\n\"2{lf}\"{cr}{lf} => 2{lf}\n2 rows");
    splits(&csv, SPAN("\"1\n\"\r2\r"), "\"1{lf}\"{cr} => 1{lf}\n2{cr} => 2\n2 rows");
    splits(&csv, SPAN("1\n2\r\n"), "1{lf} => 1\n22P04: unquoted carriage return found in data");
    splits(&csv, SPAN("1\r\n2\n"), "1{cr}{lf} => 1\n22P04: unquoted newline found in data");
    splits(&csv, SPAN("1\r\n2\r3"), "1{cr}{lf} => 1\n22P04: unquoted carriage return found in data");
}

static void test_csv_null(void **state)
{
    struct copy_options o = csv;

    (void)state;
    splits(&o, SPAN(",1\n\"\",2\n\n"), ",1{lf} => NULL\n\"\",2{lf} => \n{lf} => NULL\n3 rows");
    o.null_text = "nil";
    splits(&o, SPAN("nil\n\"nil\"\nni\"l\"\n,\n"),
           "nil{lf} => NULL\n\"nil\"{lf} => nil\nni\"l\"{lf} => nil\n,{lf} => \n4 rows");
    o.force_null = 1;
    splits(&o, SPAN("nil\n\"nil\"\n\"\"\n"), "nil{lf} => NULL\n\"nil\"{lf} => NULL\n\"\"{lf} => \n3 rows");
    o.force_null = 0;
    o.force_not_null = 1;
    splits(&o, SPAN("nil\n\"nil\"\n"), "nil{lf} => nil\n\"nil\"{lf} => nil\n2 rows");
    o.null_text = "";
    splits(&o, SPAN(",\n"), ",{lf} => \n1 rows");
    o.force_not_null = 2; /* another key's */
    splits(&o, SPAN(",\n"), ",{lf} => NULL\n1 rows");
}

static void test_csv_quote_escape(void **state)
{
    struct copy_options o = csv;

    (void)state;
    o.escape = '\\';
    splits(&o, SPAN("\"a\\\"b\n\\\\\",1\n2,3\n"), "\"a\\\"b{lf}\\\\\",1{lf} => a\"b{lf}\\\n2,3{lf} => 2\n2 rows");
    splits(&o, SPAN("a\\\"b\n\"\n"), "a\\\"b{lf}\"{lf} => a\\b{lf}\n1 rows"); /* no escape outside quotes */
    splits(&o, SPAN("\"a\\nb\"\n"), "\"a\\nb\"{lf} => a\\nb\n1 rows");
    splits(&o, SPAN("\"a\"\"b\"\n"), "\"a\"\"b\"{lf} => ab\n1 rows"); /* two quoted parts */
    o.quote = '\'';
    o.delimiter = '|';
    splits(&o, SPAN("'a|\\'\n'|\"b\n"), "'a|\\'{lf}'|\"b{lf} => a|'{lf}\n1 rows");
    o.quote = '\\'; /* a backslash that opens a quote, and may begin an end marker */
    o.escape = '\\';
    splits(&o, SPAN("\\a\n\\|1\n\\.\\\n\\.\n2\n"), "\\a{lf}\\|1{lf} => a{lf}\n\\.\\{lf} => .\n2 rows");
}

static void test_csv_end_marker(void **state)
{
    (void)state;
    splits(&csv, SPAN("1\n\\.\n2\n"), "1{lf} => 1\n1 rows");
    splits(&csv, SPAN("1\r\n\\.\r\n2"), "1{cr}{lf} => 1\n1 rows");
    splits(&csv, SPAN("1\n\\.x\n2\n"), "1{lf} => 1\n\\.x{lf} => \\.x\n2{lf} => 2\n3 rows");
    splits(&csv, SPAN("1\n\\."), "1{lf} => 1\n\\. => \\.\n2 rows"); /* without a line end it is a value */
    splits(&csv, SPAN("1\n2,\\.\n3\n"), "1{lf} => 1\n2,\\.{lf} => 2\n3{lf} => 3\n3 rows");
    splits(&csv, SPAN("1\n\"\n\\.\n\"\n"), "1{lf} => 1\n\"{lf}\\.{lf}\"{lf} => {lf}\\.{lf}\n2 rows");
    splits(&csv, SPAN("1\n\\.\r\n"), "1{lf} => 1\n22P04: end-of-copy marker does not match previous newline style");
}

static void test_binary(void **state)
{
    (void)state;
    splits(&binary, SPAN(HEADER "\377\377"),
           "preamble PGCOPY{lf}\377{cr}{lf}{00}{00}{00}{00}{00}{00}{00}{00}{00}\n0 rows");
    splits(&binary, SPAN(HEADER "\0\2\0\0\0\1x\0\0\0\2yz\0\1\377\377\377\377\377\377"),
           "preamble PGCOPY{lf}\377{cr}{lf}{00}{00}{00}{00}{00}{00}{00}{00}{00}\n"
           "{00}{02}{00}{00}{00}{01}x{00}{00}{00}{02}yz => x\n"
           "{00}{01}\377\377\377\377 => NULL\n2 rows");
    /* An extension area, flags that may be ignored, no trailer, and half of one. */
    splits(
        &binary, SPAN("PGCOPY\n\377\r\n\0\0\0\0\1\0\0\0\3abc\0\1\0\0\0\0\377"),
        "preamble PGCOPY{lf}\377{cr}{lf}{00}{00}{00}{00}{01}{00}{00}{00}{03}abc\n{00}{01}{00}{00}{00}{00} => \n1 rows");
}

static void binary_fails(const struct copy_options *o, struct span rest, const char *message)
{
    char expected[256], data[256];

    snprintf(expected, sizeof(expected),
             "preamble PGCOPY{lf}\377{cr}{lf}{00}{00}{00}{00}{00}{00}{00}{00}{00}\n22P04: %s", message);
    memcpy(data, HEADER, sizeof(HEADER) - 1);
    memcpy(data + sizeof(HEADER) - 1, rest.ptr, rest.len);
    splits(o, span_make(data, sizeof(HEADER) - 1 + rest.len), expected);
}

static void test_binary_lies(void **state)
{
    struct copy_options two = binary;

    (void)state;
    splits(&binary, SPAN(""), "22P04: COPY file signature not recognized");
    splits(&binary, SPAN("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"), "22P04: COPY file signature not recognized");
    splits(&binary, SPAN("PGCOPY\n\377\n\n\0\0\0\0\0\0\0\0\0"), "22P04: COPY file signature not recognized");
    splits(&binary, SPAN("PGCOPY\n\377\r\n\0\0\1\0\0\0\0\0\0"), "22P04: invalid COPY file header (WITH OIDS)");
    splits(&binary, SPAN("PGCOPY\n\377\r\n\0\0\2\0\0\0\0\0\0"),
           "22P04: unrecognized critical flags in COPY file header");
    splits(&binary, SPAN("PGCOPY\n\377\r\n\0\0\0\0\0\377\377\377\377"),
           "22P04: invalid COPY file header (missing length)");
    splits(&binary, SPAN("PGCOPY\n\377\r\n\0\0\0\0\0\177\377\377\377"),
           "22P04: invalid COPY file header (wrong length)");
    binary_fails(&binary, SPAN("\377\377x"), "received copy data after EOF marker");
    binary_fails(&binary, SPAN("\0\1\0\0\0\2x"), "unexpected EOF in COPY data");
    binary_fails(&binary, SPAN("\0\1"), "unexpected EOF in COPY data");
    binary_fails(&binary, SPAN("\0\1\377\377\377\376"), "invalid field size");
    binary_fails(&binary, SPAN("\0\1\177\377\377\377"), "COPY row is too long");
    binary_fails(&binary, SPAN("\377\376"), "row field count is -2");
    binary_fails(&binary, SPAN("\6\101"), "row field count is 1601");
    two.ncolumn = 2;
    binary_fails(&two, SPAN("\0\1\0\0\0\0"), "row field count is 1, expected 2");
    binary_fails(&two, SPAN("\0\3\0\0\0\0"), "row field count is 3, expected 2");
}

static void test_row_limit(void **state)
{
    struct copy_options o = text, b = binary;

    (void)state;
    o.max_row = 4;
    splits(&o, SPAN("123\n456\n\\.\n"), "123{lf} => 123\n456{lf} => 456\n2 rows");
    splits(&o, SPAN("12\n1234\n5\n"), "12{lf} => 12\n22P04: COPY row is too long");
    splits(&o, SPAN("12\n12345678901234567890"), "12{lf} => 12\n22P04: COPY row is too long");
    splits(&o, SPAN("1234\\.\n"), "1234 => 1234\n1 rows");
    b.max_row = 19;
    binary_fails(&b, SPAN("\0\1\0\0\0\16xxxxxxxxxxxxxx"), "COPY row is too long");
    b.max_row = 20;
    splits(&b, SPAN(HEADER "\0\1\0\0\0\16xxxxxxxxxxxxxx"),
           "preamble PGCOPY{lf}\377{cr}{lf}{00}{00}{00}{00}{00}{00}{00}{00}{00}\n"
           "{00}{01}{00}{00}{00}{0e}xxxxxxxxxxxxxx => xxxxxxxxxxxxxx\n1 rows");
}

/* The callback's refusal ends it all, whatever the format. */
static void test_refusal(void **state)
{
    char *got;

    (void)state;
    got = split_at(&text, SPAN("1\n2\n3\n"), NULL, 0, 2);
    assert_string_equal(got, "1{lf} => 1\n22P04: refused");
    free(got);
    got = split_at(&text, SPAN("1\n2"), NULL, 0, 2);
    assert_string_equal(got, "1{lf} => 1\n22P04: refused");
    free(got);
    got = split_at(&binary, SPAN(HEADER "\0\0"), NULL, 0, 1);
    assert_string_equal(got, "22P04: refused");
    free(got);
}

static void test_trailer(void **state)
{
    (void)state;
    assert_true(span_eq(copy_trailer(&binary), SPAN("\377\377")));
    assert_int_equal(copy_trailer(&text).len, 0);
    assert_int_equal(copy_trailer(&csv).len, 0);
}

/* PostgreSQL's errors say which line; so do these. */
static void test_line_number(void **state)
{
    struct copy_splitter *s = copy_splitter_new(&text);
    struct run r = { .nkey = 1 };
    struct err e = ERR_INIT;

    (void)state;
    assert_false(copy_splitter_feed(s, SPAN("1\n2\n3\r\n"), on_row, &r, &e));
    assert_int_equal(e.id, PB0104);
    assert_string_equal(e.detail, "COPY line 3.");
    assert_string_equal(e.hint, "Use \"\\r\" to represent carriage return.");
    strbuf_fini(&r.out);
    copy_splitter_free(s);
    copy_splitter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_rows),
        cmocka_unit_test(test_text_line_ends),
        cmocka_unit_test(test_text_escapes),
        cmocka_unit_test(test_text_null),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_text_end_marker),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_csv_rows),
        cmocka_unit_test(test_csv_line_ends),
        cmocka_unit_test(test_csv_null),
        cmocka_unit_test(test_csv_quote_escape),
        cmocka_unit_test(test_csv_end_marker),
        cmocka_unit_test(test_binary),
        cmocka_unit_test(test_binary_lies),
        cmocka_unit_test(test_row_limit),
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_trailer),
        cmocka_unit_test(test_line_number),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
