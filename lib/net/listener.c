#include "net/listener.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPT_BURST    64
#define ACCEPT_PAUSE_MS 100u
#define LISTEN_BACKLOG  4096
#define LOG_EVERY_US    60000000u

struct listener {
    struct loop *loop; /* borrowed */
    int fd;
    int port;
    bool unix_socket;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    struct event *event; /* owned */
    struct loop_timer retry;
    listener_accept_fn *fn;
    void *arg;
    uint64_t logged_us;
};

/* Refinements: a socket works without them. What is set on a listening one, those that are accepted on it have, too. */
static bool set_option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static void peer_of(const struct sockaddr_storage *sa, struct listener_peer *peer)
{
    *peer = (struct listener_peer){ .port = 0 };
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

        inet_ntop(AF_INET, &in->sin_addr, peer->address, sizeof(peer->address));
        peer->port = ntohs(in->sin_port);
    } else if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

        inet_ntop(AF_INET6, &in6->sin6_addr, peer->address, sizeof(peer->address));
        peer->port = ntohs(in6->sin6_port);
    } else {
        snprintf(peer->address, sizeof(peer->address), "[local]");
    }
}

/* Out of descriptors or memory: an accept that fails at once again would spin. */
static void listener_pause(struct listener *ln, int error)
{
    uint64_t now = clock_mono_us();

    event_del(ln->event);
    loop_timer_start(&ln->retry, ACCEPT_PAUSE_MS);
    if (ln->logged_us == 0 || now - ln->logged_us > LOG_EVERY_US) {
        ln->logged_us = now;
        log_line(LOG_ERROR, "listener", "cannot accept connections",
                 "error=\"%s\" hint=\"raise the limit of open files (ulimit -n)\"", strerror(error));
    }
}

static void listener_resume(struct loop_timer *t)
{
    struct listener *ln = CONTAINER_OF(t, struct listener, retry);

    if (ln->fd >= 0)
        BUG_ON(event_add(ln->event, NULL) != 0);
}

static void listener_readable(evutil_socket_t fd, short what, void *arg)
{
    struct listener *ln = arg;

    (void)what;
    for (int i = 0; i < ACCEPT_BURST && ln->fd >= 0; i++) {
        struct sockaddr_storage sa = { 0 };
        socklen_t len = sizeof(sa);
        struct listener_peer peer;
        int client = accept4((int)fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (client < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                listener_pause(ln, errno);
            return;
        }
        if (ln->unix_socket)
            sa.ss_family = AF_UNIX;
        peer_of(&sa, &peer);
        ln->fn(ln->arg, client, &peer);
    }
}

static int open_unix(struct listener *ln, const char *dir, int port, struct err *e)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd, n = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/.s.PGSQL.%d", dir, port);

    if (n < 0 || (size_t)n >= sizeof(sa.sun_path)) {
        err_set(e, PB0504, "Unix socket path \"%s\" is too long", dir);
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err_set(e, PB0504, "cannot create a Unix socket: %s", strerror(errno));
        return -1;
    }
    /* A socket nobody answers on is left over from a process that was killed. */
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 && errno == ECONNREFUSED)
        unlink(sa.sun_path);
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        err_set(e, PB0504, "cannot listen on \"%s\": %s", sa.sun_path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    (void)chmod(sa.sun_path, 0777);
    memcpy(ln->path, sa.sun_path, sizeof(ln->path));
    ln->unix_socket = true;
    return fd;
}

static int open_address(const struct addrinfo *ai, bool reuse_port)
{
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    int saved;

    if (fd < 0)
        return -1;
    (void)set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (reuse_port)
        (void)set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    (void)set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_tcp(const char *host, int port, bool reuse_port, struct err *e)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    struct addrinfo *list = NULL;
    char service[16];
    int rc, fd = -1;

    snprintf(service, sizeof(service), "%d", port);
    rc = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &list);
    if (rc != 0) {
        err_set(e, PB0504, "cannot resolve listen address \"%s\": %s", host, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
        fd = open_address(ai, reuse_port);
    if (fd < 0) {
        err_set(e, PB0504, "cannot listen on %s port %d: %s", host, port, strerror(errno));
        err_hint(e, "Is another server using the port? Choose another one with `port` in the configuration file.");
    }
    freeaddrinfo(list);
    return fd;
}

bool listener_port_is_free(const char *host, int port, struct err *e)
{
    int fd = open_tcp(host, port, false, e);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int bound_port(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        return 0;
    if (sa.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)(void *)&sa)->sin_port);
    if (sa.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&sa)->sin6_port);
    return 0;
}

struct listener *listener_new(struct loop *l, const char *host, int port, bool reuse_port, listener_accept_fn *fn,
                              void *arg, struct err *e)
{
    struct listener *ln = mem_zalloc(sizeof(*ln));

    ln->loop = l;
    ln->fn = fn;
    ln->arg = arg;
    ln->fd = host[0] == '/' ? open_unix(ln, host, port, e) : open_tcp(host, port, reuse_port, e);
    if (ln->fd < 0) {
        free(ln);
        return NULL;
    }
    ln->port = ln->unix_socket ? port : bound_port(ln->fd);
    loop_timer_init(&ln->retry, l, listener_resume);
    ln->event = event_new(loop_base(l), ln->fd, EV_READ | EV_PERSIST, listener_readable, ln);
    BUG_ON(!ln->event || event_add(ln->event, NULL) != 0);
    return ln;
}

int listener_port(const struct listener *ln)
{
    return ln->port;
}

void listener_set_keepalive(struct listener *ln, const struct listener_keepalive *k)
{
    const struct {
        const char *name;
        int option;
        uint32_t value;
    } options[] = {
        { "TCP_KEEPIDLE", TCP_KEEPIDLE, k->idle_s },
        { "TCP_KEEPINTVL", TCP_KEEPINTVL, k->interval_s },
        { "TCP_KEEPCNT", TCP_KEEPCNT, k->count },
        { "TCP_USER_TIMEOUT", TCP_USER_TIMEOUT, k->user_timeout_ms },
    };

    for (size_t i = 0; i < ARRAY_LEN(options) && !ln->unix_socket; i++) {
        if (options[i].value && !set_option(ln->fd, IPPROTO_TCP, options[i].option, (int)options[i].value))
            log_line(LOG_WARN, "listener", "an option of TCP cannot be set", "option=%s value=%u error=\"%s\"",
                     options[i].name, options[i].value, strerror(errno));
    }
}

void listener_stop(struct listener *ln)
{
    if (ln->fd < 0)
        return;
    loop_timer_stop(&ln->retry);
    event_free(ln->event);
    ln->event = NULL;
    close(ln->fd);
    ln->fd = -1;
    if (ln->unix_socket)
        unlink(ln->path);
}

void listener_free(struct listener *ln)
{
    if (!ln)
        return;
    listener_stop(ln);
    loop_timer_fini(&ln->retry);
    free(ln);
}
