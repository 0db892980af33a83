/*
 * A statement's tokens with the brackets around them: where things are in the text, for those who cut it. The parse
 * tree says where an expression begins, never where it ends.
 */
#ifndef PLANNER_TOKENS_H
#define PLANNER_TOKENS_H

#include "planner/analyse_int.h"
#include "planner/lex.h"

struct token {
    uint32_t start, end;
    enum lex_kind kind;
    int depth; /* of brackets and CASE ... END around it */
};

struct tokens {
    struct span sql;
    struct token *v;
    uint32_t n;
    bool uneven; /* a bracket or an END too many or too few: depths say nothing */
};

/* The tokens of the statement that is being analysed, in its scratch arena. */
void tokens_read(struct an *an, struct tokens *ts);
/* Is token i this text, in any case of letters? */
bool token_is(const struct tokens *ts, uint32_t i, const char *word);
/* Is it a keyword: not what follows a dot, where any word may be a column's name? */
bool keyword_is(const struct tokens *ts, uint32_t i, const char *word);
/* The bracket that closes the one at i; n if there is none. */
uint32_t token_closing(const struct tokens *ts, uint32_t i);
/* The token at or before a byte; n if there is none. */
uint32_t token_at(const struct tokens *ts, uint32_t offset);

/* Smallest and largest location in a subtree; -1: there is none. */
struct extent {
    int low, high;
};
struct extent extent_of(const PgQuery__Node *n);

#endif
