#include "base/fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fault_armed;

static struct {
    char name[64];
    int signal;
    _Atomic int left; /* passings until it acts */
} fault;

static const struct {
    const char *name;
    int signal;
} actions[] = { { "kill", SIGKILL }, { "stop", SIGSTOP }, { "abort", SIGABRT } };

bool fault_init(void)
{
    const char *text = getenv("PGBRAID_FAULT"), *equals = text ? strchr(text, '=') : NULL, *colon;
    size_t len;

    if (!text || !text[0])
        return true;
    len = equals ? (size_t)(equals - text) : 0;
    colon = equals ? strchr(equals, ':') : NULL;
    for (size_t i = 0; len && len < sizeof(fault.name) && i < sizeof(actions) / sizeof(actions[0]); i++) {
        size_t n = colon ? (size_t)(colon - equals - 1) : strlen(equals + 1);

        if (n == strlen(actions[i].name) && strncmp(equals + 1, actions[i].name, n) == 0)
            fault.signal = actions[i].signal;
    }
    if (!fault.signal) {
        fprintf(stderr, "pgbraid: PGBRAID_FAULT is not NAME=kill, stop or abort: \"%s\"\n", text);
        return false;
    }
    memcpy(fault.name, text, len);
    atomic_store(&fault.left, colon ? atoi(colon + 1) : 1);
    fault_armed = true;
    return true;
}

void fault_reached(const char *name)
{
    /* To this thread: a SIGSTOP of the process would let it run on until another thread has taken the signal. */
    if (strcmp(name, fault.name) == 0 && atomic_fetch_sub(&fault.left, 1) == 1)
        raise(fault.signal);
}
