/*
 * shardmap's placement for the tests in Perl: lines in, one line out for each.
 *
 *   vhash_tool hash SPEC...                  lines: a value in hex for each SPEC, tab between; prints the signed hash
 * of the key, or "decline". SPEC: TYPE,TYPMOD,USE,FORM with USE c(ompare) or a(ssign), FORM t(ext) or b(inary); one
 * SPEC "identity,-1,a,FORM" is the identity vindex vhash_tool contains RANGE...             lines: a signed hash;
 * prints 0 or 1 for each RANGE vhash_tool condition TYPE NAME [TYPE NAME...]   lines: a RANGE; prints its condition on
 * the columns vhash_tool expression TYPE NAME [TYPE NAME...]  no lines; prints the hash's expression
 *
 * TYPE is a name of pg_type, or "identity".
 */
#include "shardmap/placement.h"
#include "shardmap/vhash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 4, MAX_RANGES = 64 };

struct spec {
    bool identity, binary;
    enum key_type type;
    enum vhash_use use;
    int32_t typmod;
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "vhash_tool: %s\n", what);
    exit(2);
}

static bool read_type(const char *name, enum key_type *type)
{
    static const char *const names[KEY_TYPE_COUNT] = { "int2",   "int4", "int8",    "text",      "varchar",
                                                       "bpchar", "uuid", "numeric", "timestamp", "date" };

    for (unsigned i = 0; i < KEY_TYPE_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            *type = (enum key_type)i;
            return true;
        }
    }
    *type = KEY_INT8;
    return strcmp(name, "identity") == 0;
}

static char *next_field(char **rest, char delimiter)
{
    char *field = *rest, *end = field ? strchr(field, delimiter) : NULL;

    if (!field)
        die("too few fields");
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return field;
}

static struct spec read_spec(char *text)
{
    const char *type = next_field(&text, ',');
    struct spec s = { .identity = strcmp(type, "identity") == 0 };

    if (!read_type(type, &s.type))
        die("unknown type");
    s.typmod = (int32_t)strtol(next_field(&text, ','), NULL, 10);
    s.use = *next_field(&text, ',') == 'a' ? VHASH_ASSIGN : VHASH_COMPARE;
    s.binary = *next_field(&text, ',') == 'b';
    return s;
}

/* The bytes in a block of their own size, so that a sanitizer sees what is read beyond them. */
static struct span unhex(const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *out = malloc(n ? n : 1);

    for (size_t i = 0; out && i < n; i++) {
        char byte[3] = { hex[2 * i], hex[2 * i + 1], 0 };

        out[i] = (char)strtoul(byte, NULL, 16);
    }
    if (!out)
        die("out of memory");
    return span_make(out, n);
}

static enum vhash_result hash_one(const struct spec *s, struct span v, uint64_t *hash)
{
    int64_t n;

    if (s->identity) {
        if (!vhash_integer(s->type, s->binary, v, &n))
            return VHASH_DECLINE;
        *hash = (uint64_t)n;
        return VHASH_OK;
    }
    return s->binary ? vhash_binary(s->type, s->typmod, s->use, v, *hash, hash)
                     : vhash_text(s->type, s->typmod, s->use, v, *hash, hash);
}

static void hash_line(const struct spec *specs, int n, char *line)
{
    enum vhash_result r = VHASH_OK;
    uint64_t hash = 0;

    for (int i = 0; i < n; i++) {
        struct span v = unhex(next_field(&line, '\t'));

        if (r == VHASH_OK)
            r = hash_one(&specs[i], v, &hash);
        free((char *)v.ptr);
    }
    if (r == VHASH_OK)
        printf("%" PRId64 "\n", (int64_t)hash);
    else
        puts("decline");
}

static struct keyrange read_range(const char *text)
{
    struct keyrange r;
    struct err e = ERR_INIT;

    if (!keyrange_parse(&r, span_str(text), &e))
        die(e.message);
    return r;
}

static void contains_line(const struct keyrange *ranges, int n, const char *line)
{
    uint64_t id = vhash_keyspace_id((uint64_t)strtoll(line, NULL, 10));

    for (int i = 0; i < n; i++)
        printf("%s%d", i ? "\t" : "", keyrange_contains(&ranges[i], id));
    puts("");
}

static void print_sql(const struct placement_key *key, const char *range_text)
{
    struct strbuf out = STRBUF_INIT;
    struct err e = ERR_INIT;

    if (range_text) {
        struct keyrange range = read_range(range_text);

        if (!placement_condition_sql(key, &range, &out, &e))
            die(e.message);
    } else if (!placement_hash_sql(key, &out, &e)) {
        die(e.message);
    }
    puts(out.ptr);
    strbuf_fini(&out);
}

static struct placement_key read_key(int n, char **words)
{
    struct placement_key key = { .ncolumn = (uint32_t)n / 2 };

    for (int i = 0; i < n / 2; i++) {
        key.identity |= strcmp(words[2 * i], "identity") == 0;
        if (!read_type(words[2 * i], &key.types[i]))
            die("unknown type");
        key.columns[i] = words[2 * i + 1];
    }
    return key;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 2 ? argv[1] : "";
    int n = argc > 2 ? argc - 2 : 0;
    struct spec specs[MAX_KEYS];
    struct keyrange ranges[MAX_RANGES];
    struct placement_key key = { 0 };
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    bool hash = strcmp(verb, "hash") == 0, contains = strcmp(verb, "contains") == 0;
    bool condition = strcmp(verb, "condition") == 0, expression = strcmp(verb, "expression") == 0;

    if (!(hash && n <= MAX_KEYS) && !(contains && n <= MAX_RANGES) &&
        !((condition || expression) && n % 2 == 0 && n / 2 <= MAX_KEYS))
        die("usage: hash SPEC... | contains RANGE... | condition TYPE NAME... | expression TYPE NAME...");
    for (int i = 0; i < n && (hash || contains); i++) {
        if (hash)
            specs[i] = read_spec(argv[2 + i]);
        else
            ranges[i] = read_range(argv[2 + i]);
    }
    if (condition || expression)
        key = read_key(n, argv + 2);
    if (expression)
        print_sql(&key, NULL);
    while (!expression && (len = getline(&line, &cap, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (hash)
            hash_line(specs, n, line);
        else if (contains)
            contains_line(ranges, n, line);
        else
            print_sql(&key, line);
    }
    free(line);
    return 0;
}
