/*
 * "Did you mean ...?": the known name nearest to a mistyped one. Pure; any thread.
 *
 *     struct nearest n = nearest_make(typed);
 *     for each known name: nearest_offer(&n, name);
 *     nearest_get(&n)
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

struct nearest {
    const char *typed; /* borrowed */
    const char *best;  /* borrowed; NULL while nothing was near enough */
    unsigned distance; /* edits between typed and best */
};

struct nearest nearest_make(const char *typed);
void nearest_offer(struct nearest *n, const char *candidate);
/* The nearest candidate, or NULL if none is near enough to be worth proposing. */
const char *nearest_get(const struct nearest *n);

#endif
