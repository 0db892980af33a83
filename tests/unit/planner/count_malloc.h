/*
 * Counts allocations of the process: for tests that promise none. Include in one file of a test program.
 */
#ifndef TESTS_COUNT_MALLOC_H
#define TESTS_COUNT_MALLOC_H

#include <stddef.h>
#include <stdint.h>

static uint64_t malloc_count;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* Declared here: Debian's gcc has the function, but not sanitizer/allocator_interface.h. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void count_malloc_hook(const volatile void *ptr, size_t size)
{
    (void)ptr;
    (void)size;
    malloc_count++;
}

static void count_free_hook(const volatile void *ptr)
{
    (void)ptr;
}

__attribute__((constructor)) static void count_malloc_install(void)
{
    __sanitizer_install_malloc_and_free_hooks(count_malloc_hook, count_free_hook);
}
#else
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);

void *malloc(size_t size)
{
    malloc_count++;
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    malloc_count++;
    return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
    malloc_count++;
    return __libc_realloc(ptr, size);
}
#endif

#endif
