/* Any bytes in the place of a PROXY header: never more is used than is there, and a piece of a header asks for more. */
#include "base/mem.h"
#include "wire/proxy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = mem_alloc(size);
    struct proxy_header h, again;
    size_t used = 0, ignored = 0;
    enum proxy_result result;

    if (size)
        memcpy(copy, data, size);
    result = proxy_parse(span_make(copy, size), &h, &used);
    BUG_ON(result == PROXY_MORE && size >= PROXY_HEADER_MAX);
    if (result == PROXY_OK) {
        BUG_ON(used == 0 || used > size || used > PROXY_HEADER_MAX);
        for (size_t len = 0; len < used; len = len * 2 + 1)
            BUG_ON(proxy_parse(span_make(copy, len), &again, &ignored) != PROXY_MORE);
    }
    free(copy);
    return 0;
}
