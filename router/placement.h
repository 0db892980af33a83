/*
 * Changing how a table is distributed moves rows between shards, which is migrate/'s work; the router may not include
 * it, so bin/ hands over a function. The request also carries what the work needs of the router: to hold statements
 * while the change becomes visible.
 */
#ifndef ROUTER_PLACEMENT_H
#define ROUTER_PLACEMENT_H

#include "base/err.h"
#include "planner/plan.h"
#include "shardmap/map.h"

#include <stdbool.h>
#include <stdint.h>

struct placement_request {
    enum control_verb verb;
    const struct map_db *db;     /* borrowed; stays valid during the call */
    const char *database, *user; /* the client's role: must own the table */
    const char *table;           /* as the client wrote it: name or schema.name, quoted or not */
    const char *search_path;     /* the client's */
    uint32_t ncolumn;
    const char *columns[4];
    uint32_t timeout_ms; /* for connecting */
    /*
     * Hold every statement of the database on all workers and wait until none runs, at most wait_ms; false: some still
     * run, and the hold is off again. release() ends a hold.
     */
    bool (*hold)(struct placement_request *r, uint32_t wait_ms);
    void (*release)(struct placement_request *r);
    /* Called with the hold on, after the change is committed on all shards: every worker gets the new catalog. */
    bool (*publish)(struct placement_request *r, struct err *e);
    bool (*stopping)(struct placement_request *r); /* the router is to end */
    void *ctx;                                     /* the router's */
    /* Filled in: what was done, for the client's answer; notices are separated by newlines. */
    char message[512];
    char notice[512];
};

struct placement_hooks {
    /* Blocking, on a control thread. True: done, published, released. False and the error: nothing has changed. */
    bool (*place)(struct placement_request *r, struct err *e);
};

#endif
