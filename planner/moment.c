#include "planner/moment.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 64 }; /* bytes of a date that has one of the words, blanks aside */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_moment(struct span word)
{
    return span_ieq(word, SPAN("now")) || span_ieq(word, SPAN("today")) || span_ieq(word, SPAN("tomorrow")) ||
           span_ieq(word, SPAN("yesterday"));
}

static bool word_in(const char *p, const char *end)
{
    while (p < end) {
        while (p < end && !is_letter(*p))
            p++;
        const char *start = p;
        while (p < end && is_letter(*p))
            p++;
        if (p - start >= 3 && is_moment(span_make(start, (size_t)(p - start))))
            return true;
    }
    return false;
}

static bool too_long(const char *p, const char *end)
{
    size_t n = 0;
    for (; p < end && n <= LONGEST; p++)
        n += !is_blank(*p) && *p != '\'';
    return n > LONGEST;
}

/* A member of a JSON object: no date has a quote before a colon. */
static bool is_member(const char *p, const char *end)
{
    for (; p < end && (p = memchr(p, '"', (size_t)(end - p))) != NULL;) {
        for (p++; p < end && is_blank(*p);)
            p++;
        if (p < end && *p == ':')
            return true;
    }
    return false;
}

/* Arrays, ranges and rows may have a date in any place. */
static bool element_in(const char *p, const char *end)
{
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
        if (!too_long(p, stop) && word_in(p, stop) && !is_member(p, stop))
            return true;
        p = stop + 1;
    }
    return false;
}

bool moment_in(struct span text)
{
    const char *p = text.ptr, *end = p + text.len, *first = p;
    if (!too_long(p, end))
        return word_in(p, end);
    while (first < end && (is_blank(*first) || *first == '\'' || *first == '$'))
        first++;
    return first < end && (*first == '{' || *first == '[' || *first == '(') && element_in(first, end);
}

bool moment_type(uint32_t type)
{
    static const uint32_t oids[] = { 1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1266, 1270, 3908,
                                     3909, 3910, 3911, 3912, 3913, 4533, 4534, 4535, 6152, 6153, 6155 };
    for (size_t i = 0; i < sizeof oids / sizeof *oids; i++)
        if (oids[i] == type)
            return true;
    return type >= 16384; /* FirstNormalObjectId: a domain, a composite ... */
}
