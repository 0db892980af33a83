/*
 * A proxy between the router and the shards that does what networks do.
 *
 *   chaos_cut LISTEN:TARGET LISTEN:TARGET ...          ports of 127.0.0.1, one pair a shard, counted from 1
 *
 * Orders on standard input, one a line, answered by "ok":
 *   pass SHARD           forward again; links that were held go on, those of a half-open end are reset
 *   reset SHARD          reset every link
 *   cut SHARD            reset every link, and every new one
 *   hole SHARD           nothing is forwarded, nothing is closed: a cable pulled
 *   halfopen SHARD       reset the router's ends; the shard hears nothing of it
 *   delay SHARD MS       forward each piece so much later, in both directions
 *   on SHARD ACTION N TEXT   once, when TEXT passes to the shard for the Nth time, on that link:
 *        before    reset it; the shard never sees the text
 *        after     let it through, and reset the link in place of the answer
 *        half      let it through, reset the router's end, and leave the shard's open
 * "fired SHARD" is printed when that has happened.
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SHARDS 8
#define MAX_LINKS  512
#define BUF        65536

enum shard_state { PASS, CUT, HOLE };
enum action { ACTION_NONE, ACTION_BEFORE, ACTION_AFTER, ACTION_HALF };

struct shard {
    uint64_t delay_us;
    int listen_fd;
    enum shard_state state;
    enum action action;
    int left; /* passings until it acts */
    uint16_t target;
    char text[102];
};

/* One direction: read a piece, hold it until it is due, write it. */
struct flow {
    char buf[BUF];
    size_t len, sent;
    uint64_t due_us;
    bool end; /* the reader's end of file */
};

struct side {
    int fd; /* -1: gone */
};

struct link {
    bool used, swallow, zombie; /* swallow: the shard's answer ends it; zombie: only the shard's end is left */
    int shard;
    struct side router, server;
    struct flow *up, *down; /* to the shard, to the router; owned */
};

static struct shard shards[MAX_SHARDS];
static int nshard;
static struct link links[MAX_LINKS];

/* --- sockets --- */

static void reset_fd(int *fd)
{
    struct linger now = { 1, 0 };

    if (*fd < 0)
        return;
    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(*fd);
    *fd = -1;
}

static void set_up_fd(int fd)
{
    int on = 1;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static void link_free(struct link *l)
{
    reset_fd(&l->router.fd);
    reset_fd(&l->server.fd);
    free(l->up);
    free(l->down);
    *l = (struct link){ .router = { -1 }, .server = { -1 } };
}

static void shard_accept(int i)
{
    struct sockaddr_in a = loopback(shards[i].target);
    int fd = accept(shards[i].listen_fd, NULL, NULL), to;
    struct link *l = NULL;

    if (fd < 0)
        return;
    for (int k = 0; k < MAX_LINKS && !l; k++) {
        if (!links[k].used)
            l = &links[k];
    }
    to = l && shards[i].state != CUT ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    /* A loopback connect is done at once, or refused. */
    if (to < 0 || connect(to, (struct sockaddr *)&a, sizeof(a)) != 0) {
        reset_fd(&to);
        reset_fd(&fd);
        return;
    }
    set_up_fd(fd);
    set_up_fd(to);
    *l = (struct link){ .used = true, .shard = i, .router = { fd }, .server = { to } };
    l->up = calloc(1, sizeof(*l->up));
    l->down = calloc(1, sizeof(*l->down));
    if (!l->up || !l->down)
        abort();
}

/* --- forwarding --- */

static bool contains(const char *buf, size_t len, const char *text)
{
    return memmem(buf, len, text, strlen(text)) != NULL;
}

/* False: the link is gone, or the piece is not to be forwarded. */
static bool act(struct link *l)
{
    struct shard *s = &shards[l->shard];
    enum action action = s->action;

    if (action == ACTION_NONE || !contains(l->up->buf, l->up->len, s->text) || --s->left > 0)
        return true;
    s->action = ACTION_NONE;
    printf("fired %d\n", l->shard + 1);
    fflush(stdout);
    if (action == ACTION_BEFORE) {
        link_free(l);
        return false;
    }
    if (action == ACTION_HALF) {
        reset_fd(&l->router.fd);
        l->zombie = true;
    } else {
        l->swallow = true;
    }
    return true;
}

static bool flow_read(struct link *l, struct flow *f, int fd, bool to_shard)
{
    ssize_t n;

    if (f->len || f->end)
        return true;
    n = recv(fd, f->buf, BUF, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0 || (!to_shard && l->swallow)) {
        link_free(l);
        return false;
    }
    f->len = (size_t)n;
    f->sent = 0;
    f->due_us = clock_mono_us() + shards[l->shard].delay_us;
    return !to_shard || act(l);
}

static bool flow_write(struct link *l, struct flow *f, int fd)
{
    ssize_t n;

    if (!f->len || clock_mono_us() < f->due_us)
        return true;
    n = send(fd, f->buf + f->sent, f->len - f->sent, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return true;
        link_free(l);
        return false;
    }
    f->sent += (size_t)n;
    if (f->sent == f->len)
        f->len = 0;
    return true;
}

static void flow_drain(struct link *l)
{
    ssize_t n;

    do {
        n = recv(l->server.fd, l->down->buf, BUF, 0);
    } while (n > 0);
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        link_free(l);
}

static void link_run(struct link *l)
{
    if (shards[l->shard].state == HOLE)
        return;
    if (l->zombie) {
        /* What the router had sent still arrives; what the shard answers goes nowhere. */
        if (flow_write(l, l->up, l->server.fd))
            flow_drain(l);
        return;
    }
    if (flow_read(l, l->up, l->router.fd, true) && flow_write(l, l->up, l->server.fd) && !l->zombie &&
        flow_read(l, l->down, l->server.fd, false))
        flow_write(l, l->down, l->router.fd);
}

/* --- orders --- */

static void reset_links(int shard, bool zombies_only)
{
    for (int k = 0; k < MAX_LINKS; k++) {
        if (links[k].used && links[k].shard == shard && (!zombies_only || links[k].zombie))
            link_free(&links[k]);
    }
}

static void half_open(int shard)
{
    for (int k = 0; k < MAX_LINKS; k++) {
        if (links[k].used && links[k].shard == shard) {
            reset_fd(&links[k].router.fd);
            links[k].zombie = true;
        }
    }
}

static bool order_on(struct shard *s, const char *rest)
{
    char action[20];
    int at = 0;

    if (sscanf(rest, " %19s %d %n", action, &s->left, &at) != 2 || !at || s->left < 1)
        return false;
    s->action = strcmp(action, "before") == 0  ? ACTION_BEFORE
                : strcmp(action, "after") == 0 ? ACTION_AFTER
                : strcmp(action, "half") == 0  ? ACTION_HALF
                                               : ACTION_NONE;
    snprintf(s->text, sizeof(s->text), "%s", rest + at);
    return s->action != ACTION_NONE && s->text[0];
}

static bool order(const char *line)
{
    char verb[20];
    int n, at = 0;
    struct shard *s;

    if (sscanf(line, "%19s %d%n", verb, &n, &at) != 2 || n < 1 || n > nshard)
        return false;
    s = &shards[n - 1];
    if (strcmp(verb, "pass") == 0) {
        s->state = PASS;
        s->delay_us = 0;
        s->action = ACTION_NONE;
        reset_links(n - 1, true);
    } else if (strcmp(verb, "reset") == 0) {
        reset_links(n - 1, false);
    } else if (strcmp(verb, "cut") == 0) {
        s->state = CUT;
        reset_links(n - 1, false);
    } else if (strcmp(verb, "hole") == 0) {
        s->state = HOLE;
    } else if (strcmp(verb, "halfopen") == 0) {
        half_open(n - 1);
    } else if (strcmp(verb, "delay") == 0) {
        s->delay_us = strtoull(line + at, NULL, 10) * 1000u;
    } else if (strcmp(verb, "on") == 0) {
        return order_on(s, line + at);
    } else {
        return false;
    }
    return true;
}

/* False at the end of input. */
static bool obey(void)
{
    static char text[1000];
    static size_t len;
    ssize_t n = read(0, text + len, sizeof(text) - 1 - len);
    char *end;

    if (n <= 0)
        return false;
    len += (size_t)n;
    text[len] = '\0';
    while ((end = strchr(text, '\n'))) {
        *end = '\0';
        puts(order(text) ? "ok" : "what?");
        len -= (size_t)(end + 1 - text);
        memmove(text, end + 1, len + 1);
    }
    fflush(stdout);
    return true;
}

/* --- the loop --- */

static short wanted(const struct flow *in, const struct flow *out, uint64_t now)
{
    return (short)((in->len == 0 ? POLLIN : 0) | (out->len && now >= out->due_us ? POLLOUT : 0));
}

static bool turn(void)
{
    static struct pollfd p[1 + MAX_SHARDS + 2 * MAX_LINKS];
    nfds_t n = 0;
    uint64_t now = clock_mono_us();
    int timeout_ms = 1000;

    p[n++] = (struct pollfd){ .fd = 0, .events = POLLIN };
    for (int i = 0; i < nshard; i++)
        p[n++] = (struct pollfd){ .fd = shards[i].listen_fd, .events = POLLIN };
    for (int k = 0; k < MAX_LINKS; k++) {
        struct link *l = &links[k];

        if (!l->used || shards[l->shard].state == HOLE)
            continue;
        if (l->up->len || l->down->len)
            timeout_ms = shards[l->shard].delay_us ? 1 : timeout_ms;
        if (!l->zombie)
            p[n++] = (struct pollfd){ .fd = l->router.fd, .events = wanted(l->up, l->down, now) };
        p[n++] =
            (struct pollfd){ .fd = l->server.fd,
                             .events = l->zombie ? (short)(l->up->len ? POLLOUT : 0) : wanted(l->down, l->up, now) };
    }
    if (poll(p, n, timeout_ms) < 0)
        return errno == EINTR;
    if (p[0].revents && !obey())
        return false;
    for (int i = 0; i < nshard; i++) {
        if (p[1 + i].revents)
            shard_accept(i);
    }
    for (int k = 0; k < MAX_LINKS; k++) {
        if (links[k].used)
            link_run(&links[k]);
    }
    return true;
}

static bool shard_open(const char *text)
{
    struct shard *s = &shards[nshard];
    unsigned from, to;
    struct sockaddr_in a;
    int on = 1;

    if (nshard == MAX_SHARDS || sscanf(text, "%u:%u", &from, &to) != 2 || from > 65535 || to > 65535)
        return false;
    s->target = (uint16_t)to;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    a = loopback((uint16_t)from);
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    nshard++;
    return bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(s->listen_fd, 128) == 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!shard_open(argv[i])) {
            fprintf(stderr, "chaos_cut: cannot listen: %s\n", argv[i]);
            return 2;
        }
    }
    for (int k = 0; k < MAX_LINKS; k++)
        links[k].router.fd = links[k].server.fd = -1;
    puts("ready");
    fflush(stdout);
    while (turn())
        ;
    return 0;
}
