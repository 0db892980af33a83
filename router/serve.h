/*
 * Running the router: from a loaded configuration to the end of the process.
 */
#ifndef ROUTER_SERVE_H
#define ROUTER_SERVE_H

struct config;
struct placement_hooks;

/*
 * Open the directory, start control threads and workers, and run until SIGTERM, SIGINT (drain: transactions may end, up
 * to shutdown_timeout) or SIGQUIT (at once); SIGHUP reloads the configuration. Returns the exit status of the process;
 * errors are logged. Main thread.
 */
int router_serve(const struct config *cfg, const char *config_path, const struct placement_hooks *hooks);

#endif
