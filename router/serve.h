/*
 * The router as a whole: what `pgbraid serve` runs.
 */
#ifndef ROUTER_SERVE_H
#define ROUTER_SERVE_H

#include "router/config.h"

/*
 * Serve until told to stop (SIGTERM, SIGINT, SHUTDOWN). Returns the process's exit status; errors have been logged.
 * `cfg` is borrowed for the call; `config_path` is what RELOAD reads again.
 */
int router_serve(const struct config *cfg, const char *config_path);

#endif
