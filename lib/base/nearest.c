#include "base/nearest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#define NEAREST_MAX_LEN 63u

/*
 * Optimal string alignment: letters left out, added or replaced, and neighbours swapped. Three rows of the table, taken
 * in turn: row i is that of the first i letters of a.
 */
static unsigned edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned rows[3][NEAREST_MAX_LEN + 1];

    for (size_t j = 0; j <= blen; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= alen; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= blen; j++) {
            unsigned best = above[j - 1] + (a[i - 1] != b[j - 1]);

            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[alen % 3][blen];
}

struct nearest nearest_make(const char *typed)
{
    return (struct nearest){ .typed = typed, .distance = UINT_MAX };
}

void nearest_offer(struct nearest *n, const char *candidate)
{
    size_t tlen = strlen(n->typed), clen = strlen(candidate);
    unsigned distance;

    if (tlen > NEAREST_MAX_LEN || clen > NEAREST_MAX_LEN)
        return;
    distance = edit_distance(n->typed, tlen, candidate, clen);
    /* A third of the letters may be wrong: more is another word. */
    if (distance < n->distance && distance <= (tlen > clen ? tlen : clen) / 3) {
        n->distance = distance;
        n->best = candidate;
    }
}

const char *nearest_get(const struct nearest *n)
{
    return n->best;
}
