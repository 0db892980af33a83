/*
 * A row is a varint: how many client lines further than the row before it ends, twice, plus one if it has several lines
 * of its own; then a varint with their number follows.
 */
#include "router/exec/copy_lines.h"

#include "base/bug.h"
#include "base/mem.h"

#include <stdlib.h>

enum { MAX_ENTRY = 20 };

struct copy_lines_chunk {
    uint64_t shard_line, client_line; /* before the first row */
    uint32_t len;
    uint8_t data[COPY_LINES_CHUNK];
};

void copy_lines_fini(struct copy_lines *l)
{
    for (uint32_t i = 0; i < COPY_LINES_CHUNKS; i++)
        free(l->chunks[i]);
    *l = (struct copy_lines){ 0 };
}

static void put_varint(struct copy_lines_chunk *c, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        c->data[c->len++] = (uint8_t)(v | 0x80);
    c->data[c->len++] = (uint8_t)v;
}

static uint64_t get_varint(const struct copy_lines_chunk *c, uint32_t *at)
{
    uint64_t v = 0;

    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = c->data[(*at)++];

        v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80))
            return v;
    }
}

/* A chunk with room; the oldest one is taken when all are full. */
static struct copy_lines_chunk *chunk_for(struct copy_lines *l)
{
    uint32_t last = (l->first + l->n + COPY_LINES_CHUNKS - 1) % COPY_LINES_CHUNKS;
    struct copy_lines_chunk *c = l->n ? l->chunks[last] : NULL;

    if (c && c->len + MAX_ENTRY <= COPY_LINES_CHUNK)
        return c;
    if (l->n == COPY_LINES_CHUNKS) {
        l->first = (l->first + 1) % COPY_LINES_CHUNKS;
        l->n--;
    }
    last = (l->first + l->n++) % COPY_LINES_CHUNKS;
    if (!l->chunks[last])
        l->chunks[last] = mem_alloc(sizeof(*c));
    c = l->chunks[last];
    c->shard_line = l->shard_line;
    c->client_line = l->client_line;
    c->len = 0;
    return c;
}

void copy_lines_add(struct copy_lines *l, uint64_t lines, uint64_t client_line)
{
    struct copy_lines_chunk *c = chunk_for(l);
    uint64_t further = client_line - l->client_line;

    BUG_ON(client_line < l->client_line);
    put_varint(c, further << 1 | (lines != 1));
    if (lines != 1)
        put_varint(c, lines);
    l->shard_line += lines;
    l->client_line = client_line;
}

uint64_t copy_lines_find(const struct copy_lines *l, uint64_t shard_line, uint64_t client_total)
{
    if (shard_line > l->shard_line)
        return client_total + (shard_line - l->shard_line);
    for (uint32_t i = l->n; i > 0; i--) {
        const struct copy_lines_chunk *c = l->chunks[(l->first + i - 1) % COPY_LINES_CHUNKS];
        uint64_t shard = c->shard_line, client = c->client_line;

        if (shard_line <= shard)
            continue;
        for (uint32_t at = 0; at < c->len;) {
            uint64_t head = get_varint(c, &at);
            uint64_t lines = head & 1 ? get_varint(c, &at) : 1;

            client += head >> 1;
            shard += lines;
            if (shard_line <= shard)
                return client - (shard - shard_line);
        }
    }
    return 0;
}
