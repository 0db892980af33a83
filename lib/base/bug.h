/*
 * Assertions that stay on in release builds, and the few macros everybody needs.
 */
#ifndef BASE_BUG_H
#define BASE_BUG_H

#include <stddef.h>

#define MUSTCHECK                       __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args)          __attribute__((format(printf, fmt, args)))
#define LIKELY(x)                       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define BIT(n)                          (1u << (n))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Our own mistake: says where, dumps core. Never used for bytes from outside. Any thread. */
_Noreturn void bug_abort(const char *file, int line, const char *what);

#define BUG_ON(cond)                                                                                                   \
    do {                                                                                                               \
        if (UNLIKELY(cond))                                                                                            \
            bug_abort(__FILE__, __LINE__, #cond);                                                                      \
    } while (0)

#endif
