/*
 * Allocation that cannot fail: out of memory ends the process with a message. Sizes that come from outside are checked
 * against a limit before they get here. Any thread. Free with free().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *ptr, size_t size);
char *mem_strdup(const char *str);
char *mem_strndup(const char *str, size_t len);

#endif
