/*
 * Memory with a named lifetime: process, session, transaction, statement, plan. Everything is freed at once by
 * arena_reset or arena_fini; cleanups (references, leases) run before that, the last registered first. Not thread-safe:
 * one owner at a time. Under AddressSanitizer every allocation is a malloc of its own, so overruns and use after reset
 * are seen.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bug.h"
#include "base/span.h"

#include <stddef.h>

struct arena_block;
struct arena_cleanup;

struct arena {
    struct arena_block *head;       /* owned; newest first; may be NULL */
    struct arena_cleanup *cleanups; /* allocated in the arena; newest first */
    char *pos, *end;                /* free part of head */
    size_t first_size, block_size;  /* bytes of the first block and of the next one */
    size_t used;                    /* bytes handed out since the last reset */
};

/* Prepare an empty arena; allocates nothing yet. block_size 0: a default. */
void arena_init(struct arena *a, size_t block_size);
/* Run cleanups and free everything. The arena can be used again as if just initialised. */
void arena_reset(struct arena *a);
/* arena_reset under its life-cycle name. */
void arena_fini(struct arena *a);

/* Uninitialised memory, aligned for any type. Never NULL. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *str);
/* NUL-terminated copy. */
char *arena_spandup(struct arena *a, struct span s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* fn(arg) runs at reset, in reverse order of registration. */
void arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg);

#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

#endif
