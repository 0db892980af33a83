/*
 * RELOAD and SIGHUP: read the configuration file again; a file with a problem changes nothing.
 */
#ifndef ROUTER_CONFIG_RELOAD_H
#define ROUTER_CONFIG_RELOAD_H

#include "base/bug.h"
#include "base/err.h"

#include <stdbool.h>

struct router;

/* Blocks on the file. Main or control thread. PB0501 with the first problem. */
MUSTCHECK bool router_reload(struct router *r, struct err *e);

#endif
