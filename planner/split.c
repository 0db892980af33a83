/*
 * Cutting a query string into statements, as PostgreSQL's grammar does. Semicolons end a statement except inside
 * parentheses (CREATE RULE ... DO (a; b)) and inside the body of CREATE FUNCTION ... BEGIN ATOMIC ... END. The latter
 * are rare and cannot be told apart by tokens alone (END can be a column's name), so such a string is parsed.
 */
#include "base/arena.h"
#include "planner/hint.h"
#include "planner/lex.h"
#include "planner/parse.h"
#include "planner/planner.h"

#include <string.h>

struct splitter {
    struct literal *slices;
    int cap, n;
    const unsigned char *text;
    bool hinted; /* comments between two semicolons belong to the statement there: they may be routing hints */
};

static void add(struct splitter *s, const unsigned char *start, const unsigned char *end)
{
    if (s->n < s->cap)
        s->slices[s->n] = (struct literal){ .off = (uint32_t)(start - s->text), .len = (uint32_t)(end - start) };
    s->n++;
}

static bool is_word(const struct lex_token *t, const char *word)
{
    return t->kind == LEX_WORD &&
           span_ieq(span_make((const char *)t->start, (size_t)(t->end - t->start)), span_str(word));
}

/* First and last token of [off, off + len), or all of it. */
static void add_trimmed(struct splitter *s, const struct plan_env *env, size_t off, size_t len)
{
    const unsigned char *start = NULL, *end = NULL;
    struct lex_token t;
    struct lex l;

    lex_init(&l, span_make((const char *)s->text + off, len), env->nonstandard_strings);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (!start)
            start = t.start;
        end = t.end;
    }
    if (start && s->hinted)
        add(s, s->text + off, s->text + off + len);
    else if (start)
        add(s, start, end);
}

static int split_by_parser(struct splitter *s, struct span sql, const struct plan_env *env)
{
    const PgQuery__ParseResult *tree;
    struct err ignored = ERR_INIT;
    struct arena scratch;
    int n = -1;

    arena_init(&scratch, 0);
    if (parse_sql(sql, &scratch, &tree, &ignored)) {
        s->n = 0;
        for (size_t i = 0; i < tree->n_stmts; i++) {
            size_t off = (size_t)tree->stmts[i]->stmt_location;
            size_t len = (size_t)tree->stmts[i]->stmt_len;

            add_trimmed(s, env, off, len ? len : sql.len - off);
        }
        n = s->n;
    }
    arena_fini(&scratch);
    return n;
}

/*
 * Most strings hold one statement and at most a semicolon behind it: no need to look at their tokens. A semicolon that
 * is the last byte can be cut off even if it stands in a comment or in an unterminated string.
 */
static bool split_simple(struct splitter *s, struct span sql)
{
    const unsigned char *start = s->text, *end = s->text + sql.len;

    while (start < end && lex_class[*start] == LEX_CLASS_BLANK)
        start++;
    while (end > start && lex_class[end[-1]] == LEX_CLASS_BLANK)
        end--;
    if (end > start && end[-1] == ';')
        end--;
    if (start == end || lex_class[*start] != LEX_CLASS_LETTER || memchr(start, ';', (size_t)(end - start)))
        return false;
    while (lex_class[end[-1]] == LEX_CLASS_BLANK)
        end--;
    add(s, start, end);
    return true;
}

int planner_split(struct span sql, const struct plan_env *env, struct literal *slices, int cap)
{
    struct splitter s = { .slices = slices, .cap = cap, .text = (const unsigned char *)sql.ptr };
    const unsigned char *start = NULL, *end = NULL, *from = s.text;
    struct lex_token t;
    bool begin = false;
    uint32_t parens = 0;
    struct lex l;

    if (sql.len == 0)
        return 0;
    if (split_simple(&s, sql))
        return s.n;
    s.hinted = memmem(sql.ptr, sql.len, HINT_MARK, strlen(HINT_MARK)) != NULL;
    lex_init(&l, sql, env->nonstandard_strings);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (t.kind == LEX_BAD)
            return -1;
        if (begin && is_word(&t, "atomic"))
            return split_by_parser(&s, sql, env);
        begin = is_word(&t, "begin");
        if (t.kind == LEX_PUNCT && *t.start == '(')
            parens++;
        else if (t.kind == LEX_PUNCT && *t.start == ')' && parens > 0)
            parens--;
        if (t.kind == LEX_PUNCT && *t.start == ';' && parens == 0) {
            if (start)
                add(&s, s.hinted ? from : start, s.hinted ? t.start : end);
            start = NULL;
            from = t.end;
            continue;
        }
        if (!start)
            start = t.start;
        end = t.end;
    }
    if (start)
        add(&s, s.hinted ? from : start, s.hinted ? s.text + sql.len : end);
    return s.n;
}
