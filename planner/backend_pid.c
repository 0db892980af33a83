#include "planner/backend_pid.h"

#include "planner/analyse_int.h"
#include "planner/lex.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CALLS = 32 };

struct calls {
    const struct an *an;
    bool impossible;
    uint32_t n;
    struct {
        uint32_t start, end;
    } at[MAX_CALLS];
};

/* The end of the call that begins at `start`: name, "(", ")"; 0 if something else is there. */
static uint32_t call_end(const struct an *an, uint32_t start, size_t parts)
{
    struct lex l;
    struct lex_token t;
    const char *base = an->in->sql.ptr;
    lex_init(&l, span_make(base + start, an->in->sql.len - start), an->in->env->nonstandard_strings);
    for (size_t i = 0; i < 2 * parts - 1; i++) {
        lex_next(&l, &t);
        if (i % 2 ? t.kind != LEX_PUNCT || *t.start != '.' : t.kind != LEX_WORD && t.kind != LEX_QUOTED)
            return 0;
    }
    lex_next(&l, &t);
    if (t.kind != LEX_PUNCT || *t.start != '(')
        return 0;
    lex_next(&l, &t);
    return t.kind == LEX_PUNCT && *t.start == ')' ? (uint32_t)((const char *)t.end - base) : 0;
}

static bool is_call(const PgQuery__FuncCall *f)
{
    return tree_name_is(f->n_funcname, f->funcname, "pg_backend_pid");
}

static void take(const ProtobufCMessage *m, void *arg)
{
    struct calls *c = arg;
    const void *v = m;
    if (m->descriptor == &pg_query__func_call__descriptor && is_call(v)) {
        const PgQuery__FuncCall *f = v;
        uint32_t start = (uint32_t)f->location, end = call_end(c->an, start, f->n_funcname);
        if (!end || c->n == MAX_CALLS || f->agg_filter || f->over) {
            c->impossible = true;
            return;
        }
        c->at[c->n].start = start;
        c->at[c->n++].end = end;
        return;
    }
    /* As a table it would need an alias, too. */
    c->impossible |= m->descriptor == &pg_query__range_function__descriptor;
    tree_children(m, take, arg);
}

static int by_start(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

bool backend_pid_replace(struct an *an)
{
    struct plan *p = an->plan;
    struct calls c = { .an = an };
    struct strbuf out = STRBUF_INIT;
    uint32_t at = 0;
    for (uint32_t i = 0; i < an->nocc; i++) {
        if (an->occs[i]->rel->system) /* its process ids are those of the home shard's server */
            return true;
    }
    take(an->stmt, &c);
    if (c.impossible || c.n == 0 || p->rewritten || p->insert || p->gather) {
        err_set(an->e, PB0313, "pg_backend_pid() is not supported in this statement");
        err_detail(an->e, "The router puts the session's own number there, which it cannot do here.");
        return err_hint(an->e, "Ask for it in a statement of its own.");
    }
    qsort(c.at, c.n, sizeof c.at[0], by_start);
    uint32_t *pids = ARENA_ARRAY(plan_arena(p), uint32_t, c.n);
    for (uint32_t i = 0; i < c.n; i++) {
        strbuf_put(&out, an->in->sql.ptr + at, c.at[i].start - at);
        strbuf_puts(&out, "(SELECT ");
        pids[i] = (uint32_t)out.len;
        strbuf_puts(&out, PLAN_PID_BLANK " AS pg_backend_pid)");
        at = c.at[i].end;
    }
    strbuf_put(&out, an->in->sql.ptr + at, an->in->sql.len - at);
    p->rewritten = arena_strdup(plan_arena(p), strbuf_str(&out));
    p->npid = c.n;
    p->pids = pids;
    strbuf_fini(&out);
    return true;
}
