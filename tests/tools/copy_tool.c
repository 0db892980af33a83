/*
 * Cuts COPY data into rows, for tests/differential/copy.t. Each case on standard input is a line of options and the
 * data:
 *
 *   format=t delimiter=09 quote=22 escape=22 null=5c4e header=0 force_null=0 force_not_null=0 columns=0 keys=1 chunk=0
 * length=N
 *
 * Characters and the NULL text are in hexadecimal; force_* are sets of keys; keys are field numbers from 0 apart by
 * commas; chunk is how many bytes are fed at a time, 0: all. The answer is a line for each row,
 *
 *   row|preamble RAW KEY...       in hexadecimal, NULL as "-", an empty string as "="
 *
 * and then "end", or "error MESSAGE".
 */
#include "base/strbuf.h"
#include "wire/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    struct copy_options options;
    char null_text[256];
    size_t chunk, length;
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "copy_tool: %s\n", what);
    exit(2);
}

static void put_hex(struct span s)
{
    if (!s.ptr) {
        putchar('-');
        return;
    }
    if (s.len == 0)
        putchar('=');
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", (unsigned char)s.ptr[i]);
}

static bool print_row(void *arg, enum copy_row_kind kind, struct span raw, const struct span *keys, struct err *e)
{
    const struct test_case *c = arg;

    (void)e;
    fputs(kind == COPY_ROW ? "row " : "preamble ", stdout);
    put_hex(raw);
    for (uint32_t i = 0; i < c->options.nkey; i++) {
        putchar(' ');
        put_hex(keys[i]);
    }
    putchar('\n');
    return true;
}

static void read_hex(const char *text, char *out, size_t cap)
{
    size_t n = strlen(text) / 2;

    if (n >= cap)
        die("too long");
    for (size_t i = 0; i < n; i++) {
        const char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

        out[i] = (char)strtoul(digits, NULL, 16);
    }
    out[n] = '\0';
}

static char read_char(const char *text)
{
    char c[2];

    read_hex(text, c, sizeof(c));
    return c[0];
}

static void read_keys(struct copy_options *o, const char *text)
{
    char *end;

    for (o->nkey = 0; *text; text = *end == ',' ? end + 1 : end) {
        if (o->nkey == COPY_MAX_KEYS)
            die("too many keys");
        o->key_fields[o->nkey++] = (uint32_t)strtoul(text, &end, 10);
    }
}

static void read_option(struct test_case *c, const char *name, const char *value)
{
    struct copy_options *o = &c->options;
    unsigned long n = strtoul(value, NULL, 10);

    if (strcmp(name, "format") == 0)
        o->format = value[0];
    else if (strcmp(name, "delimiter") == 0)
        o->delimiter = read_char(value);
    else if (strcmp(name, "quote") == 0)
        o->quote = read_char(value);
    else if (strcmp(name, "escape") == 0)
        o->escape = read_char(value);
    else if (strcmp(name, "null") == 0)
        read_hex(value, c->null_text, sizeof(c->null_text));
    else if (strcmp(name, "header") == 0)
        o->header = n;
    else if (strcmp(name, "force_null") == 0)
        o->force_null = (uint8_t)n;
    else if (strcmp(name, "force_not_null") == 0)
        o->force_not_null = (uint8_t)n;
    else if (strcmp(name, "columns") == 0)
        o->ncolumn = (uint32_t)n;
    else if (strcmp(name, "keys") == 0)
        read_keys(o, value);
    else if (strcmp(name, "chunk") == 0)
        c->chunk = n;
    else if (strcmp(name, "length") == 0)
        c->length = n;
    else
        die(name);
}

static bool read_case(struct test_case *c)
{
    char line[1024], *save;

    if (!fgets(line, sizeof(line), stdin))
        return false;
    *c = (struct test_case){ 0 };
    for (char *word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
        char *value = strchr(word, '=');

        if (!value)
            die(word);
        *value = '\0';
        read_option(c, word, value + 1);
    }
    c->options.null_text = c->null_text;
    return true;
}

static void run_case(struct test_case *c)
{
    struct copy_splitter *s = copy_splitter_new(&c->options);
    struct strbuf data = STRBUF_INIT;
    struct err e = ERR_INIT;
    bool ok = true;

    if (fread(strbuf_reserve(&data, c->length), 1, c->length, stdin) != c->length)
        die("short data");
    for (size_t at = 0; ok && at < c->length;) {
        size_t n = c->chunk && c->chunk < c->length - at ? c->chunk : c->length - at;

        ok = copy_splitter_feed(s, span_make(data.ptr + at, n), print_row, c, &e);
        at += n;
    }
    ok = ok && copy_splitter_finish(s, print_row, c, &e);
    if (ok)
        puts("end");
    else
        printf("error %s\n", e.message);
    fflush(stdout);
    copy_splitter_free(s);
    strbuf_fini(&data);
}

int main(void)
{
    struct test_case c;

    while (read_case(&c))
        run_case(&c);
    return 0;
}
