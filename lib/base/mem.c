#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *mem_or_die(void *ptr, size_t size)
{
    if (!ptr && size) {
        fprintf(stderr, "pgbraid: out of memory allocating %zu bytes\n", size);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size)
{
    return mem_or_die(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
    return mem_or_die(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *ptr, size_t size)
{
    return mem_or_die(realloc(ptr, size ? size : 1), size);
}

char *mem_strdup(const char *str)
{
    return mem_strndup(str, strlen(str));
}

char *mem_strndup(const char *str, size_t len)
{
    char *copy = mem_alloc(len + 1);

    if (len) /* str may be NULL: an empty span */
        memcpy(copy, str, len);
    copy[len] = '\0';
    return copy;
}
