#include "base/nearest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#define NEAREST_MAX_LEN 63u

/* Levenshtein distance, one row at a time. */
static unsigned edit_distance(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned row[NEAREST_MAX_LEN + 1];

    for (size_t j = 0; j <= blen; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= alen; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= blen; j++) {
            unsigned replace = diagonal + (a[i - 1] != b[j - 1]);
            unsigned best = row[j - 1] + 1;

            diagonal = row[j];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            row[j] = replace < best ? replace : best;
        }
    }
    return row[blen];
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
