#include "base/span.h"

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool span_ieq(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

size_t span_whole_utf8(struct span s)
{
    size_t have = 0, need;
    unsigned char lead;

    while (have < 3 && have < s.len && ((unsigned char)s.ptr[s.len - have - 1] & 0xC0) == 0x80)
        have++;
    if (have == s.len)
        return s.len;
    lead = (unsigned char)s.ptr[s.len - have - 1];
    need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return have + 1 < need ? s.len - have - 1 : s.len;
}
