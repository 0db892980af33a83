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
 * PostgreSQL's own SQLSTATE of the few messages of its scanner and grammar that are not 42601; libpg_query does not
 * hand it out. By a part of the message.
 */
static const struct {
    const char *part, *sqlstate;
} message_states[] = {
    { "not yet implemented", "0A000" },
    { "is no longer supported", "0A000" },
    { "row expansion via \"*\" is not supported here", "0A000" },
    { "cannot be marked ", "0A000" },
    { "current database cannot be changed", "0A000" },
    { "SET TRANSACTION ISOLATION LEVEL", "0A000" },
    { "frame start", "42P20" },
    { "frame starting", "42P20" },
    { "frame end", "42P20" },
    { "precision for type float must be", "22023" },
    { "interval precision specified twice", "42601" },
    { "invalid byte sequence", "22021" },
    { "unsafe use of \\' in a string literal", "22P06" },
    { "cannot use invalid XID", "22023" },
    { "must be greater than zero", "22023" },
};

static const char *message_state(const char *message)
{
    for (size_t i = 0; i < ARRAY_LEN(message_states); i++) {
        if (strstr(message, message_states[i].part))
            return message_states[i].sqlstate;
    }
    return "42601";
}

static bool parse_failed(const PgQueryError *error, struct err *e)
{
    err_set(e, PB0202, "%s", error->message);
    err_state(e, message_state(error->message));
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
        parse_failed(r.error, e);
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
