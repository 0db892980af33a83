/*
 * The process: workers, the directory they follow, the connector threads, the budgets shared by pools, and the control
 * thread. Made once by router_serve(). Fields are written at start or by the control thread; what workers read on their
 * own is atomic or sent to them by message.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "base/err.h"
#include "base/hmap.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/pgconn.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ROUTER_MAX_WORKERS 64u

struct config;
struct control;
struct directory;
struct pool;
struct worker;
struct placement_hooks;

/* Open server connections of one (database, user, shard), over all workers. */
struct budget {
    struct hmap_node node;
    char *key; /* owned */
    _Atomic uint32_t open;
    _Atomic uint32_t hungry;  /* pools that wait for a connection and may not open one */
    pthread_mutex_t lock;     /* hungry_pools */
    struct list hungry_pools; /* struct hungry_pool */
};

struct router {
    const struct config *config;   /* owned reference; replaced by RELOAD on the control thread */
    const struct config **retired; /* earlier ones, owned references */
    size_t nretired;
    const char *config_path;             /* borrowed */
    struct directory *directory;         /* owned */
    struct connector *connector;         /* owned */
    struct control *control;             /* owned */
    const struct placement_hooks *hooks; /* borrowed, from bin/; never NULL */
    unsigned nworker;
    struct worker *workers[ROUTER_MAX_WORKERS];
    pthread_mutex_t budget_lock; /* budgets */
    struct hmap budgets;
    _Atomic uint32_t nclient;
    _Atomic uint64_t catalog_epoch;
    _Atomic int stop;    /* 1: drain and stop, 2: stop now */
    uint64_t started_us; /* wall clock */
    int port;            /* the port actually listened on */
};

/* The budget of a (database, user, shard), made when new. Any thread. */
struct budget *router_budget(struct router *r, const char *database, const char *user, uint32_t shard_id);

#endif
