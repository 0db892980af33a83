/*
 * Any bytes through everything that reads statement text before the parser: the lexer must agree with PostgreSQL's
 * scanner, shapes must keep within their bounds and be repeatable, splitting and the guard must not crash.
 */
#include "../unit/planner/scan_compare.h"

#include "base/mem.h"
#include "planner/guard.h"
#include "planner/normalise.h"
#include "planner/parse.h"
#include "planner/planner.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spans(struct span sql)
{
    enum scan_verdict v;

    if (memchr(sql.ptr, '\0', sql.len))
        return;
    v = scan_compare(sql);
    BUG_ON(v == SCAN_DIFFERS);
}

/* Spans in order, within the text; the shape is the text less its literals plus a byte for each. */
static void check_shape(const struct shape *s, struct span sql)
{
    size_t literal_bytes = 0, end = 0;

    for (uint32_t i = 0; i < s->nliteral; i++) {
        BUG_ON(s->literals[i].off < end || s->literals[i].len == 0);
        end = s->literals[i].off + s->literals[i].len;
        literal_bytes += s->literals[i].len;
    }
    BUG_ON(end > sql.len);
    BUG_ON(s->shape_len != sql.len - literal_bytes + s->nliteral);
}

static void check_split(struct span sql, const struct plan_env *env)
{
    struct literal slices[8];
    int n = planner_split(sql, env, slices, 8);
    size_t end = 0;

    for (int i = 0; i < n && i < 8; i++) {
        BUG_ON(slices[i].off < end || slices[i].len == 0);
        end = slices[i].off + slices[i].len;
    }
    BUG_ON(end > sql.len);
}

static void check_parse(struct span sql)
{
    const PgQuery__ParseResult *tree;
    struct err e = ERR_INIT;
    struct arena a;

    arena_init(&a, 0);
    if (!parse_sql(sql, &a, &tree, &e))
        BUG_ON(e.id == ERR_NONE || strlen(e.sqlstate) != 5 || e.message[0] == '\0');
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan_env env = { .nonstandard_strings = size && (data[0] & 1) };
    struct shape s = { 0 };
    struct span sql;
    char *text;

    if (size == 0)
        return 0;
    /* scan_compare wants a NUL behind the text; the other readers get a block that ends where the text does */
    text = mem_strndup((const char *)data + 1, size - 1);
    check_spans(span_make(text, size - 1));
    free(text);
    text = mem_alloc(size - 1 ? size - 1 : 1);
    memcpy(text, data + 1, size - 1);
    sql = span_make(text, size - 1);
    (void)shape_read(&s, sql, env.nonstandard_strings);
    check_shape(&s, sql);
    check_split(sql, &env);
    check_parse(sql);
    shape_fini(&s);
    free(text);
    return 0;
}
