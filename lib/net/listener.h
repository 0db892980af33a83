/*
 * Listening sockets. Several workers may listen on the same address (SO_REUSEPORT).
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/err.h"
#include "net/loop.h"

#include <stdint.h>

struct listener;

struct listener_peer {
    char address[64]; /* numeric address, or "[local]" */
    int port;
};

/* on_accept owns fd (non-blocking, CLOEXEC, TCP_NODELAY, keepalive set). At most 64 are accepted per wake-up. */
typedef void listener_accept_fn(void *arg, int fd, const struct listener_peer *peer);

/* Nobody listens there, not even one who would share the port; else PB0504. To be asked before sharing it. */
MUSTCHECK bool listener_port_is_free(const char *host, int port, struct err *e);

/*
 * Listen on a numeric address or host name and port; port 0 takes a free one (listener_port tells). host "/dir" makes a
 * Unix socket /dir/.s.PGSQL.port (one listener only). NULL and PB0504 on failure. EMFILE on accept pauses accepting for
 * 100 ms and is logged once a minute.
 */
MUSTCHECK struct listener *listener_new(struct loop *l, const char *host, int port, bool reuse_port,
                                        listener_accept_fn *fn, void *arg, struct err *e);
int listener_port(const struct listener *ln);

/* When a silent client counts as gone; 0: as the system has it. */
struct listener_keepalive {
    uint32_t idle_s, interval_s, count;
    uint32_t user_timeout_ms; /* bytes sent to it stay unacknowledged */
};
/* For clients accepted from now on; not for Unix sockets. What the system does not take is logged. */
void listener_set_keepalive(struct listener *ln, const struct listener_keepalive *k);
void listener_stop(struct listener *ln); /* stop accepting, keep the struct */
void listener_free(struct listener *ln); /* NULL is fine */

#endif
