#include "base/arena.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_DEFAULT_BLOCK 4096u
#define ARENA_MAX_BLOCK     (256u * 1024u)

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_EACH_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_EACH_MALLOC 1
#endif
#endif
#ifndef ARENA_EACH_MALLOC
#define ARENA_EACH_MALLOC 0
#endif

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) char data[];
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

void arena_init(struct arena *a, size_t block_size)
{
    size_t size = block_size ? block_size : ARENA_DEFAULT_BLOCK;

    *a = (struct arena){ .first_size = size, .block_size = size };
}

void arena_reset(struct arena *a)
{
    while (a->cleanups) {
        struct arena_cleanup *c = a->cleanups;

        a->cleanups = c->next;
        c->fn(c->arg);
    }
    while (a->head) {
        struct arena_block *b = a->head;

        a->head = b->next;
        free(b);
    }
    a->pos = a->end = NULL;
    a->block_size = a->first_size;
    a->used = 0;
}

void arena_fini(struct arena *a)
{
    arena_reset(a);
}

static void arena_grow(struct arena *a, size_t size)
{
    size_t want = ARENA_EACH_MALLOC ? size : (size > a->block_size ? size : a->block_size);
    struct arena_block *b = mem_alloc(sizeof(*b) + want);

    b->next = a->head;
    a->head = b;
    a->pos = b->data;
    a->end = b->data + want;
    if (a->block_size < ARENA_MAX_BLOCK)
        a->block_size *= 2;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    void *ptr;

    BUG_ON(size > (size_t)1 << 40);
    size = (size + align - 1) & ~(align - 1);
    if (size == 0)
        size = align;
    if (ARENA_EACH_MALLOC || (size_t)(a->end - a->pos) < size)
        arena_grow(a, size);
    ptr = a->pos;
    a->pos += size;
    a->used += size;
    return ptr;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

char *arena_spandup(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.len + 1);

    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *str)
{
    return arena_spandup(a, span_str(str));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    int len;
    char *out;

    va_start(ap, fmt);
    len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    BUG_ON(len < 0);
    out = arena_alloc(a, (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return out;
}

void arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct arena_cleanup *c = ARENA_NEW(a, struct arena_cleanup);

    c->fn = fn;
    c->arg = arg;
    c->next = a->cleanups;
    a->cleanups = c;
}
