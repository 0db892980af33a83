#include "planner/parse.h"

#include "planner/guard.h"
#include "planner/lex.h"

#include <stdlib.h>
#include <string.h>

static void *tree_alloc(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void tree_free(void *arena, void *ptr)
{
    (void)arena;
    (void)ptr;
}

/*
 * What libpg_query does not hand out of an error: SQLSTATEs other than 42601, and hints. By a part of the message, with
 * a source file, by the whole message and a part of the file's name.
 */
static const struct {
    const char *part, *file, *sqlstate, *hint;
} extras[] = {
    { "invalid Unicode escape", "scan.l", "22025", "Unicode escapes must be \\uXXXX or \\UXXXXXXXX." },
    { "invalid Unicode escape", "parser.c", NULL, "Unicode escapes must be \\XXXX or \\+XXXXXX." },
    { "invalid byte sequence", NULL, "22021", NULL },
    { "unsafe use of \\' in a string literal", NULL, "22P06",
      "Use '' to write quotes in strings. \\' is insecure in client-only encodings." },
    { "not yet implemented", NULL, "0A000", NULL },
    { "is no longer supported", NULL, "0A000", NULL },
    { "UNENCRYPTED PASSWORD", NULL, "0A000", "Remove UNENCRYPTED to store the password in encrypted form instead." },
    { "row expansion via \"*\" is not supported here", NULL, "0A000", NULL },
    { "cannot be marked ", NULL, "0A000", NULL },
    { "cannot include schema elements", NULL, "0A000", NULL },
    { "with a VARIADIC direct argument", NULL, "0A000", NULL },
    { "current database cannot be changed", NULL, "0A000", NULL },
    { "frame start", NULL, "42P20", NULL },
    { "frame end", NULL, "42P20", NULL },
    { "precision for type float must be", NULL, "22023", NULL },
    { "subquery in FROM must have an alias", NULL, NULL, "For example, FROM (SELECT ...) [AS] foo." },
    { "VALUES in FROM must have an alias", NULL, NULL, "For example, FROM (VALUES ...) [AS] foo." },
    { "LIMIT #,# syntax is not supported", NULL, NULL, "Use separate LIMIT and OFFSET clauses." },
    { "unrecognized row security option", NULL, NULL,
      "Only PERMISSIVE or RESTRICTIVE policies are supported currently." },
    { "missing argument", NULL, NULL, "Use NONE to denote the missing argument of a unary operator." },
};

static bool is_whole_message_of(const PgQueryError *error, size_t i)
{
    return strcmp(error->message, extras[i].part) == 0 && error->filename && strstr(error->filename, extras[i].file);
}

static void add_extras(const PgQueryError *error, struct err *e)
{
    if (strncmp(error->message, "syntax error", strlen("syntax error")) == 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
        if (!strstr(error->message, extras[i].part) || (extras[i].file && !is_whole_message_of(error, i)))
            continue;
        if (extras[i].sqlstate)
            err_state(e, extras[i].sqlstate);
        if (extras[i].hint)
            err_hint(e, "%s", extras[i].hint);
    }
}

/* Byte offset of the 1-based character `position`. */
static size_t offset_of(struct span sql, int position)
{
    size_t off = 0;

    for (int i = 1; i < position && off < sql.len; i++) {
        do
            off++;
        while (off < sql.len && ((unsigned char)sql.ptr[off] & 0xC0) == 0x80);
    }
    return off;
}

/* libpg_query's 15.1 names only the first letter of the junk behind a number; servers since 15.2 name the whole word.
 */
static void name_junk(struct span sql, const PgQueryError *error, struct err *e)
{
    static const char junk[] = "trailing junk after ";
    const char *near = strstr(error->message, " at or near ");
    struct lex_token t;
    struct lex l;
    size_t off;

    if (strncmp(error->message, junk, strlen(junk)) != 0 || !near)
        return;
    off = offset_of(sql, error->cursorpos);
    lex_init(&l, span_make(sql.ptr + off, sql.len - off), false);
    lex_next(&l, &t);
    if (l.end - t.end >= 2 && (*t.end == 'e' || *t.end == 'E') && (t.end[1] == '+' || t.end[1] == '-'))
        t.end += 2;
    else
        while (t.end < l.end && lex_is_name_byte(*t.end))
            t.end++;
    err_set(e, PB0202, "%.*s at or near \"%.*s\"", (int)(near - error->message), error->message, (int)(t.end - t.start),
            (const char *)t.start);
}

static bool parse_failed(struct span sql, const PgQueryError *error, struct err *e)
{
    err_set(e, PB0202, "%s", error->message);
    name_junk(sql, error, e);
    add_extras(error, e);
    e->position = error->cursorpos;
    return false;
}

/* libpg_query's scanner keeps comments as tokens, and so cannot continue a literal behind one as PostgreSQL's does. */
static bool check_literals(struct span sql, struct err *e)
{
    struct lex_token t;
    struct lex l;

    lex_init(&l, sql, false);
    do
        lex_next(&l, &t);
    while (t.kind != LEX_END);
    if (!l.saw_comment_in_literal)
        return true;
    err_set(e, PB0204, "a string constant that is continued behind a comment is not supported");
    return err_hint(e, "Remove the comment, or join the parts of the constant with ||.");
}

bool parse_sql(struct span sql, struct arena *a, const PgQuery__ParseResult **out, struct err *e)
{
    ProtobufCAllocator allocator = { .alloc = tree_alloc, .free = tree_free, .allocator_data = a };
    PgQueryProtobufParseResult r;
    PgQuery__ParseResult *tree;

    if (sql.len && memchr(sql.ptr, '\0', sql.len)) {
        err_set(e, PB0202, "invalid byte sequence for encoding \"UTF8\": 0x00");
        return err_state(e, "22021");
    }
    if (!guard_check(sql, e) || !check_literals(sql, e))
        return false;
    r = pg_query_parse_protobuf(arena_spandup(a, sql));
    if (r.error) {
        parse_failed(sql, r.error, e);
        pg_query_free_protobuf_parse_result(r);
        return false;
    }
    tree = pg_query__parse_result__unpack(&allocator, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
    pg_query_free_protobuf_parse_result(r);
    if (!tree)
        return err_set(e, PB0203, "the statement's parse tree cannot be read");
    *out = tree;
    return true;
}
