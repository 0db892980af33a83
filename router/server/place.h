/*
 * Running a placement request with the router's part filled in.
 */
#ifndef ROUTER_SERVER_PLACE_H
#define ROUTER_SERVER_PLACE_H

#include "base/bug.h"
#include "router/placement.h"

struct router;

/*
 * Fill in what the request needs of the router and run it; verb, database, user, table, search_path and columns are the
 * caller's. Blocks; on a control thread.
 */
MUSTCHECK bool place_blocking(struct router *r, struct placement_request *req, struct err *e);

#endif
