/*
 * Time is read here and handed down as an argument. Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic microseconds since an arbitrary start. */
uint64_t clock_mono_us(void);
/* Microseconds since 1970-01-01 UTC. */
uint64_t clock_wall_us(void);

#endif
