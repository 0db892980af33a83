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
#include "net/hmac.h"
#include "net/loop.h"
#include "net/pgconn.h"
#include "router/server/budget.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ROUTER_MAX_WORKERS BUDGET_MAX_WORKERS

struct access;
struct config;
struct control;
struct deadlock;
struct gate;
struct gtids;
struct recovery;
struct differ_notes;
struct directory;
struct pool;
struct auth_answers;
struct quota;
struct throttle;
struct worker;
struct placement_hooks;

struct router {
    pthread_mutex_t reload_lock;         /* one reload at a time: SIGHUP or RELOAD */
    const struct config *_Atomic config; /* owned reference; replaced by a reload, read by all threads */
    const struct config **retired;       /* earlier ones, owned references */
    size_t nretired;
    struct access *access;               /* owned reference; replaced with it */
    const char *config_path;             /* borrowed */
    struct directory *directory;         /* owned */
    struct connector *connector;         /* owned */
    struct control *control;             /* owned */
    struct control *helpers;             /* owned: threads that compute for logins */
    struct throttle *throttle;           /* owned */
    struct quota *quota;                 /* owned: sessions of each user */
    struct auth_answers *answers;        /* owned: of auth_query */
    char mock_secret[HMAC_TEXT_LEN + 1]; /* makes salts for unknown users */
    struct gtids *gtids;                 /* owned */
    struct gate *gate;                   /* owned */
    struct recovery *recovery;           /* owned */
    struct deadlock *deadlock;           /* owned */
    const struct placement_hooks *hooks; /* borrowed, from bin/; never NULL */
    unsigned nworker;
    struct worker *workers[ROUTER_MAX_WORKERS];
    pthread_mutex_t budget_lock; /* budgets */
    struct hmap budgets;
    _Atomic uint32_t nclient;
    _Atomic uint64_t catalog_epoch;
    struct differ_notes *differ_notes; /* owned */
    _Atomic bool check_schema;         /* do shards' tables differ? To be asked now */
    _Atomic int stop;                  /* 1: drain and stop, 2: stop now */
    uint64_t started_us;               /* wall clock */
    int port;                          /* the port actually listened on */
};

#endif
