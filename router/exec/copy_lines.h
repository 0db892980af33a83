/*
 * Line numbers of COPY data that is split over shards (rule P53): a shard counts the lines that it gets, its errors are
 * to name the client's. Each line's place in the client's data is kept, a byte a row, for as many of the last rows as a
 * shard can be behind.
 */
#ifndef ROUTER_EXEC_COPY_LINES_H
#define ROUTER_EXEC_COPY_LINES_H

#include <stdbool.h>
#include <stdint.h>

enum { COPY_LINES_CHUNK = 16384, COPY_LINES_CHUNKS = 64 };

struct copy_lines_chunk;

/* One per shard; zeroed is empty. */
struct copy_lines {
    struct copy_lines_chunk *chunks[COPY_LINES_CHUNKS]; /* owned; a ring */
    uint32_t first, n;
    uint64_t shard_line, client_line; /* of the last row */
};

void copy_lines_fini(struct copy_lines *l);
/* A row of `lines` lines was given to the shard, which ends in the client's line `client_line`. */
void copy_lines_add(struct copy_lines *l, uint64_t lines, uint64_t client_line);
/*
 * The client's line of a line of the shard's. Past the last row: of what comes next, `client_total` being the lines
 * that the client has sent. 0: too far back to know.
 */
uint64_t copy_lines_find(const struct copy_lines *l, uint64_t shard_line, uint64_t client_total);

#endif
