#include "planner/moment.h"

#include <stdint.h>

enum { LONGEST = 64 }; /* bytes of a date that has one of the words, blanks at both ends aside */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_moment(struct span word)
{
    return span_ieq(word, SPAN("now")) || span_ieq(word, SPAN("today")) || span_ieq(word, SPAN("tomorrow")) ||
           span_ieq(word, SPAN("yesterday"));
}

bool moment_in(struct span text)
{
    const char *p = text.ptr, *end = p + text.len;
    while (p < end && !is_letter(*p))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\''))
        end--;
    if (end - p > LONGEST)
        return false;
    while (p < end) {
        const char *start = p;
        while (p < end && is_letter(*p))
            p++;
        if (p - start >= 3 && is_moment(span_make(start, (size_t)(p - start))))
            return true;
        while (p < end && !is_letter(*p))
            p++;
    }
    return false;
}
