/*
 * Of a plan: parts of the statement's text, and texts made of them (plan.h).
 */
#ifndef PLANNER_PLAN_TEXT_H
#define PLANNER_PLAN_TEXT_H

#include <stdint.h>

/* A slice of the statement's text, in bytes: a row of VALUES with its brackets, a condition. */
struct plan_row {
    uint32_t start, end;
};

/* A text that is put together when it is needed, of pieces of the statement's text and of others. */
enum piece_kind { PIECE_FIXED, PIECE_SLICE, PIECE_TABLE /* the gathered rows */ };
struct text_piece {
    enum piece_kind kind;
    const char *fixed;   /* PIECE_FIXED */
    uint32_t start, end; /* PIECE_SLICE: bytes of the plan's text */
};
struct plan_text {
    uint32_t n;
    const struct text_piece *v;
};

#endif
