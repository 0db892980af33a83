/*
 * Inside lib/net: what a pgconn is, for pgconn.c and connector.c.
 */
#ifndef NET_PGCONN_INT_H
#define NET_PGCONN_INT_H

#include "net/pgconn.h"

struct pg_conn;
struct pg_result;

struct pgconn {
    struct pg_conn *pg; /* libpq's, owned */
    uint32_t pid;
    bool raw; /* taken over: libpq's view of it is stale */
    void (*on_notice)(void *arg, const char *message);
    void *notice_arg;
};

struct pgresult {
    struct pg_result *res; /* libpq's, owned */
};

/* Log in, blocking up to the target's timeout. */
struct pgconn *pgconn_login(const struct pgconn_target *t, struct err *e);
/* Make sure that the raw stream starts at a message boundary. */
MUSTCHECK bool pgconn_take_over(struct pgconn *c, uint32_t timeout_ms, struct err *e);
/* Close without blocking for long. */
void pgconn_finish(struct pgconn *c);
/* A libpq result as ours, or NULL and the server's error; takes ownership. */
struct pgresult *pgconn_wrap_result(struct pgconn *c, void *pg_result, struct err *e);

#endif
