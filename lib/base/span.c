#include "base/span.h"

#include <strings.h>

bool span_ieq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}
