/*
 * An upper bound of the parse tree's depth, from tokens.
 *
 * Every node that can hang above another one comes from an operator or a keyword of its own, or from a bracket;
 * literals, parameters, quoted names and what follows a dot are leaves. So a run of n operators and words makes a tree
 * of depth O(n); most trees are much flatter because lists are. What is known to be flat cuts a run into segments whose
 * depths do not add up:
 *
 *   - a comma, a semicolon, AND, OR and a CASE's WHEN: the grammar makes lists of them (AND and OR are flattened by
 *     makeAndExpr and makeOrExpr) and no operand reaches across them. The AND of BETWEEN is different:
 *     `a BETWEEN b AND NOT c BETWEEN ...` nests to the right, so it is counted as an operator;
 *   - brackets and CASE ... END: what is inside hangs below one operand of the outside.
 *
 * UNION, INTERSECT, EXCEPT and JOIN chains reach across commas and ANDs, so they are counted for the whole level.
 *
 *     depth(segment) = its operators and words + the deepest bracket in it
 *     depth(bracket) = BRACKET_WEIGHT + CHAIN_WEIGHT * chained + its deepest segment
 *
 * A keyword used as a name can only raise the bound: after AS and after a dot a word is taken for a name; elsewhere a
 * reserved word as a name ends its expression, which a cut does no harm to; an END closes nothing but a CASE of its own
 * level.
 *
 * The second bound is time: protobuf's packing visits each node once per ancestor. Each token of a segment may be an
 * ancestor of all that the segment holds, which gives the sum below; it may grow with the text's length. What the
 * scanner needs for runs of operator bytes (runs_cost) is added.
 *
 * DEPTH_MAX: tests/unit/planner/guard_test.c measures how much stack the worst constructs need per unit of depth.
 */
#include "planner/guard.h"

#include "planner/lex.h"

#include <string.h>

#define BRACKET_WEIGHT     4u
#define CHAIN_WEIGHT       2u
#define DEPTH_MAX          10000u
#define LEVELS_MAX         (DEPTH_MAX / BRACKET_WEIGHT)
#define COST_MAX           UINT64_C(50000000)
#define COST_MAX_PER_TOKEN 200u

struct level {
    char closer; /* ')', ']' or 'E' for END */
    bool between;
    uint32_t chained;
    uint32_t depth; /* of the deepest segment so far */
    uint64_t tokens, cost;
    struct segment {
        uint32_t own, inner;
        uint64_t tokens;
    } segment;
};

struct guard {
    struct level *level; /* innermost */
    struct level levels[LEVELS_MAX + 1];
};

enum word {
    WORD_OTHER,
    WORD_CUT, /* OR, WHEN */
    WORD_AND, /* a cut unless it belongs to BETWEEN */
    WORD_BETWEEN,
    WORD_CHAIN, /* UNION, INTERSECT, EXCEPT, JOIN */
    WORD_CASE,
    WORD_END,
    WORD_AS
};

static enum word word_of(const struct lex_token *t)
{
    static const struct {
        struct span name;
        enum word word;
    } words[] = {
        { { "or", 2 }, WORD_CUT },          { { "when", 4 }, WORD_CUT },    { { "and", 3 }, WORD_AND },
        { { "between", 7 }, WORD_BETWEEN }, { { "union", 5 }, WORD_CHAIN }, { { "except", 6 }, WORD_CHAIN },
        { { "intersect", 9 }, WORD_CHAIN }, { { "join", 4 }, WORD_CHAIN },  { { "case", 4 }, WORD_CASE },
        { { "end", 3 }, WORD_END },         { { "as", 2 }, WORD_AS },
    };
    struct span text = span_make((const char *)t->start, (size_t)(t->end - t->start));

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].name.len == text.len && span_ieq(words[i].name, text))
            return words[i].word;
    }
    return WORD_OTHER;
}

static void segment_end(struct level *l)
{
    uint32_t depth = l->segment.own + l->segment.inner;

    l->cost += l->segment.own * l->segment.tokens;
    l->tokens += l->segment.tokens;
    if (depth > l->depth)
        l->depth = depth;
    l->segment = (struct segment){ 0 };
}

static bool level_open(struct guard *g, char closer)
{
    if (g->level == &g->levels[LEVELS_MAX])
        return false;
    *++g->level = (struct level){ .closer = closer };
    return true;
}

static uint32_t level_depth(const struct level *l)
{
    return BRACKET_WEIGHT + CHAIN_WEIGHT * l->chained + l->depth;
}

static void level_close(struct guard *g)
{
    struct level *inner = g->level, *outer = g->level - 1;
    uint32_t depth;

    segment_end(inner);
    depth = level_depth(inner);
    outer->cost += inner->cost + (BRACKET_WEIGHT + CHAIN_WEIGHT * inner->chained) * inner->tokens;
    outer->segment.tokens += inner->tokens;
    if (depth > outer->segment.inner)
        outer->segment.inner = depth;
    g->level--;
}

/* scan.l: a run of these is one operator, but for plus and minus signs at its end. */
static bool is_operator_byte(unsigned char c)
{
    return c != '\0' && strchr("~!@#^&|`?+-*/%<>=", c) != NULL;
}

/* Whether a token can be an inner node of the tree; brackets count as levels instead. */
static bool is_inner(const struct lex_token *t, bool after_dot, const struct lex_token *before)
{
    unsigned char c = *t->start;

    if (t->kind == LEX_WORD)
        return !after_dot;
    if (t->kind != LEX_PUNCT || strchr("()[],;.", c))
        return false;
    if (before->kind != LEX_PUNCT || before->end != t->start)
        return true;
    if (c == ':')
        return *before->start != ':';
    return c == '+' || c == '-' || !is_operator_byte(c) || !is_operator_byte(*before->start);
}

/* Where PostgreSQL's scanner stops within a run of operator bytes that it has looked at to the end. */
static bool is_stop(const unsigned char *p, const unsigned char *begin, const unsigned char *end)
{
    bool before = p > begin && p[-1] == *p, after = p + 1 < end && p[1] == *p;

    return *p == '+' || (*p == '-' && !before && !after) || (*p == '/' && p + 1 < end && p[1] == '*');
}

/*
 * At each slash with an asterisk, plus and minus in a run of operator bytes the scanner looks at what is left of the
 * run once more. Comments count, because they nest: p to end is what is between literals and words.
 */
static uint64_t runs_cost(const unsigned char *p, const unsigned char *end)
{
    const unsigned char *begin = p;
    uint64_t cost = 0, run = 0, stops = 0;

    for (; p < end; p++) {
        if (is_operator_byte(*p)) {
            run++;
            stops += is_stop(p, begin, end);
            continue;
        }
        cost += run * stops;
        run = stops = 0;
    }
    return cost + run * stops;
}

/* Close levels up to and including the innermost one with this closer; a CASE does not hide a bracket. */
static void bracket_close(struct guard *g, char closer)
{
    while (g->level > g->levels && g->level->closer == 'E')
        level_close(g);
    if (g->level > g->levels && g->level->closer == closer)
        level_close(g);
}

static bool guard_punct(struct guard *g, char c)
{
    switch (c) {
    case '(':
        return level_open(g, ')');
    case '[':
        return level_open(g, ']');
    case ')':
    case ']':
        bracket_close(g, c);
        break;
    case ',':
    case ';':
        segment_end(g->level);
        break;
    }
    return true;
}

static bool guard_word(struct guard *g, enum word word)
{
    switch (word) {
    case WORD_CASE:
        return level_open(g, 'E');
    case WORD_END:
        if (g->level->closer == 'E')
            level_close(g);
        break;
    case WORD_AND:
        if (!g->level->between)
            segment_end(g->level);
        g->level->between = false;
        break;
    case WORD_CUT:
        segment_end(g->level);
        break;
    case WORD_BETWEEN:
        g->level->between = true;
        break;
    case WORD_CHAIN:
        g->level->chained++;
        break;
    case WORD_AS:
    case WORD_OTHER:
        break;
    }
    return true;
}

bool guard_measure(struct span sql, struct guard_bounds *out)
{
    struct lex_token t, before = { .kind = LEX_END };
    enum word word, word_before = WORD_OTHER;
    bool after_dot = false, fits = true;
    const unsigned char *plain; /* what follows the last word or literal */
    uint64_t runs = 0;
    struct guard g;
    struct lex l;

    g.level = g.levels;
    g.levels[0] = (struct level){ 0 };
    lex_init(&l, sql, false);
    plain = l.pos;
    for (lex_next(&l, &t); fits && t.kind != LEX_END; lex_next(&l, &t)) {
        g.level->segment.tokens++;
        if (t.kind != LEX_PUNCT && t.kind != LEX_BAD) {
            runs += runs_cost(plain, t.start);
            plain = t.end;
        }
        if (is_inner(&t, after_dot, &before))
            g.level->segment.own++;
        word = t.kind == LEX_WORD && word_before != WORD_AS && !after_dot ? word_of(&t) : WORD_OTHER;
        fits = t.kind == LEX_PUNCT ? guard_punct(&g, (char)*t.start) : guard_word(&g, word);
        word_before = word;
        after_dot = t.kind == LEX_PUNCT && *t.start == '.';
        before = t;
    }
    while (g.level > g.levels)
        level_close(&g);
    segment_end(g.level);
    runs += runs_cost(plain, l.end);
    *out =
        (struct guard_bounds){ .depth = level_depth(g.level), .cost = g.level->cost + runs, .tokens = g.level->tokens };
    return fits;
}

bool guard_check(struct span sql, struct err *e)
{
    struct guard_bounds b;

    if (!guard_measure(sql, &b) || b.depth > DEPTH_MAX) {
        err_set(e, PB0203, "stack depth limit exceeded");
        return err_hint(
            e, "Expressions or sub-selects of this statement nest too deeply. Turn a long chain into a list: IN "
               "(...), = ANY (...), a join with VALUES.");
    }
    if (b.cost > COST_MAX + COST_MAX_PER_TOKEN * b.tokens) {
        err_set(e, PB0203, "statement is too complex to be parsed");
        return err_hint(e, "Long chains of operators, and runs of them without a blank, take quadratic time. Split the "
                           "statement, or turn the chains into lists.");
    }
    return true;
}
