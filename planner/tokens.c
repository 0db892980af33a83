#include "planner/tokens.h"

#include <string.h>
#include <strings.h>

bool token_is(const struct tokens *ts, uint32_t i, const char *word)
{
    const struct token *t = &ts->v[i];
    return i < ts->n && strlen(word) == t->end - t->start &&
           strncasecmp(ts->sql.ptr + t->start, word, t->end - t->start) == 0;
}

bool keyword_is(const struct tokens *ts, uint32_t i, const char *word)
{
    return i < ts->n && ts->v[i].kind == LEX_WORD && token_is(ts, i, word) && !(i > 0 && token_is(ts, i - 1, "."));
}

void tokens_read(struct an *an, struct tokens *ts)
{
    struct lex l;
    struct lex_token t;
    uint32_t cap = 0;
    int depth = 0;
    *ts = (struct tokens){ .sql = an->in->sql };
    lex_init(&l, ts->sql, an->in->env->nonstandard_strings);
    for (lex_next(&l, &t); t.kind != LEX_END; lex_next(&l, &t)) {
        if (ts->n == cap) {
            struct token *more = ARENA_ARRAY(an->a, struct token, cap ? cap * 2 : 64);
            if (ts->n)
                memcpy(more, ts->v, ts->n * sizeof *more);
            ts->v = more;
            cap = cap ? cap * 2 : 64;
        }
        uint32_t start = (uint32_t)((const char *)t.start - ts->sql.ptr),
                 end = (uint32_t)((const char *)t.end - ts->sql.ptr);
        uint32_t i = ts->n++;
        ts->v[i] = (struct token){ .start = start, .end = end, .kind = t.kind, .depth = depth };
        if (token_is(ts, i, ")") || token_is(ts, i, "]") || keyword_is(ts, i, "end"))
            ts->uneven |= (ts->v[i].depth = --depth) < 0;
        else if (token_is(ts, i, "(") || token_is(ts, i, "[") || keyword_is(ts, i, "case"))
            depth++;
    }
    ts->uneven |= depth != 0;
}

uint32_t token_closing(const struct tokens *ts, uint32_t i)
{
    int depth = ts->v[i].depth;
    for (i++; i < ts->n; i++)
        if (ts->v[i].depth == depth && token_is(ts, i, ")"))
            return i;
    return ts->n;
}

uint32_t token_at(const struct tokens *ts, uint32_t offset)
{
    uint32_t lo = 0, hi = ts->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ts->v[mid].start <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo ? lo - 1 : ts->n;
}

static void extent_visit(const ProtobufCMessage *m, void *arg)
{
    struct extent *x = arg;
    const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "location");
    if (f && f->type == PROTOBUF_C_TYPE_INT32) {
        int32_t at;
        memcpy(&at, (const char *)m + f->offset, sizeof at);
        /* Absent ones read as 0, which no condition stands at. */
        if (at > 0 && (x->low < 0 || at < x->low))
            x->low = at;
        if (at > x->high)
            x->high = at;
    }
    tree_children(m, extent_visit, arg);
}

struct extent extent_of(const PgQuery__Node *n)
{
    struct extent x = { -1, -1 };
    const ProtobufCMessage *m = tree_message(n);
    if (m)
        extent_visit(m, &x);
    return x;
}
