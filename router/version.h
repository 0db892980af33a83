/* The version of pgbraid, as clients see it. */
#ifndef ROUTER_VERSION_H
#define ROUTER_VERSION_H

#define PGBRAID_VERSION_TEXT "0.1.0"

#endif
