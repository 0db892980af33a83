/*
 * EXPLAIN. On one shard it is PostgreSQL's own. Over several, each shard explains what it would be asked for, and the
 * router makes one document of that (router/exec/explain.c).
 *
 * The query inside is analysed as if it stood alone: in the text that the analyser reads EXPLAIN and its options are
 * blanks, so that every place is where it is in the statement.
 */
#include "planner/analyse_int.h"
#include "planner/lex.h"
#include "planner/plan_int.h"
#include "planner/utility_int.h"

#include <string.h>
#include <strings.h>

static bool word_is(const struct lex_token *t, const char *word)
{
    return t->kind == LEX_WORD && (size_t)(t->end - t->start) == strlen(word) &&
           strncasecmp((const char *)t->start, word, strlen(word)) == 0;
}

/* Does a query begin with this word? Else what is in the parentheses behind EXPLAIN are options. */
static bool begins_query(const struct lex_token *t)
{
    static const char *const words[] = { "select", "with", "values", "table" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (word_is(t, words[i]))
            return true;
    return lex_is_punct(t, '(');
}

/* Where the query begins. */
static uint32_t query_start(const struct plan_input *in)
{
    struct lex lex, ahead;
    struct lex_token t, next;
    lex_init(&lex, in->sql, in->env->nonstandard_strings);
    lex_next(&lex, &t); /* EXPLAIN */
    lex_next(&lex, &t);
    ahead = lex;
    lex_next(&ahead, &next);
    if (lex_is_punct(&t, '(') && !begins_query(&next)) { /* no option's value has parentheses */
        while (!lex_is_punct(&t, ')') && t.kind != LEX_END)
            lex_next(&lex, &t);
        lex_next(&lex, &t);
    } else {
        while (word_is(&t, "analyze") || word_is(&t, "analyse") || word_is(&t, "verbose"))
            lex_next(&lex, &t);
    }
    return (uint32_t)((const char *)t.start - in->sql.ptr);
}

static bool explain_analyses(const PgQuery__ExplainStmt *x, struct arena *scratch)
{
    bool analyse = false;
    for (size_t i = 0; i < x->n_options; i++)
        if (strcmp(x->options[i]->def_elem->defname, "analyze") == 0)
            analyse = def_boolean(x->options[i]->def_elem, scratch);
    return analyse;
}

/* What PostgreSQL does not know as a format it says itself. */
static enum explain_format explain_format(const PgQuery__ExplainStmt *x, struct arena *scratch)
{
    const char *name = "text";
    for (size_t i = 0; i < x->n_options; i++)
        if (strcmp(x->options[i]->def_elem->defname, "format") == 0)
            name = def_string(x->options[i]->def_elem, scratch);
    return strcmp(name, "json") == 0   ? EXPLAIN_JSON
           : strcmp(name, "yaml") == 0 ? EXPLAIN_YAML
           : strcmp(name, "xml") == 0  ? EXPLAIN_XML
                                       : EXPLAIN_TEXT;
}

/* More than one shard is refused. */
static void refuse_several(struct plan *p, const char *what, const char *why, const char *hint)
{
    p->combine = COMBINE_NONE;
    p->gather = NULL;
    p->merge = NULL;
    p->refusal = ERR_INIT;
    err_set(&p->refusal, PB0201, "EXPLAIN %s over several shards is not supported", what);
    err_detail(&p->refusal, "%s", why);
    err_hint(&p->refusal, "%s", hint);
}

static void allow_several(struct plan *p, bool inserts)
{
    const struct plan_explain *x = p->explain;
    if (p->combine == COMBINE_NONE)
        return;
    if (inserts)
        refuse_several(p, "of an INSERT", "Each shard gets rows of its own.", "Explain the INSERT of one row.");
    else if (x->analyse && p->writes)
        refuse_several(p, "ANALYZE of a change or of row locks", "It would change rows on each of them.",
                       "Leave ANALYZE out, or give the sharding key.");
    else if (x->analyse && p->opaque && p->gather)
        refuse_several(p, "ANALYZE of a statement with declared functions", "Not every part of it is executed.",
                       "Leave ANALYZE out, or give the sharding key.");
    else if (x->format == EXPLAIN_XML)
        refuse_several(p, "(FORMAT XML)", "The router makes one document of what the shards say.",
                       "Use the format TEXT, JSON or YAML.");
}

bool utility_explain_plan(const struct plan_input *in, const PgQuery__ExplainStmt *x, struct arena *scratch,
                          struct plan_result *out, struct err *e)
{
    if (x->query->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT)
        return utility_explain_execute_plan(in, x->query->execute_stmt, out, e);
    if (!statement_is_query(x->query)) {
        err_set(e, PB0204, "EXPLAIN of this kind of statement is not supported");
        return err_hint(e, "SELECT, INSERT, UPDATE, DELETE and MERGE can be explained.");
    }
    uint32_t start = query_start(in);
    struct plan_input alone = utility_query_alone(in, start, (uint32_t)in->sql.len, scratch);
    if (!analyse_query(&alone, x->query, scratch, out, e))
        return false;
    struct plan *p = out->plan;
    struct plan_explain *explain = ARENA_NEW(plan_arena(p), struct plan_explain);
    bool inserts = p->kind == PLAN_INSERT;
    explain->start = start;
    explain->analyse = explain_analyses(x, scratch);
    explain->format = explain_format(x, scratch);
    utility_query_frame(p, in->sql, start, (uint32_t)in->sql.len);
    p->explain = explain;
    out->cacheable = false; /* an option's value may be a literal */
    p->kind = p->kind == PLAN_GATHER ? PLAN_GATHER : PLAN_QUERY;
    p->insert = NULL;
    p->returns_rows = true;
    p->bind_snapshot = false;
    p->writes = p->writes && explain->analyse;
    p->opaque = p->opaque && explain->analyse;
    if (p->combine == COMBINE_SAME && !explain->analyse) {
        p->combine = COMBINE_NONE;
        p->scope = SCOPE_HOME;
        p->sequential = false;
        plan_reason(p, "home shard: the plan of a write that every shard would do");
    } else if (p->combine != COMBINE_SAME) {
        allow_several(p, inserts);
    }
    return true;
}
