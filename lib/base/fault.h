/*
 * Named points at which tests make the process crash or stop: FAULT("place.before_home_commit"). The environment
 * variable PGBRAID_FAULT arms one: "NAME=kill" (SIGKILL), "NAME=stop" (SIGSTOP), "NAME=abort"; "NAME=kill:3" at its
 * third passing. Without it a point costs the test of one byte. Any thread.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/bug.h"

#include <stdbool.h>

extern bool fault_armed;

/* Read PGBRAID_FAULT; false and a message on standard error when it is not understood. Main thread, before any other.
 */
MUSTCHECK bool fault_init(void);
/* The point has been reached. */
void fault_reached(const char *name);

#define FAULT(name)                                                                                                    \
    do {                                                                                                               \
        if (UNLIKELY(fault_armed))                                                                                     \
            fault_reached(name);                                                                                       \
    } while (0)

#endif
