#include "router/auth/handshake.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "router/auth/access.h"
#include "router/control.h"
#include "router/router.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define HANDSHAKE_ROOM_MS 20 /* a thread's wait for room to write: the socket's buffer holds a whole flight */

struct handshake {
    struct control_job job;
    struct session *session; /* borrowed; NULL: it closed while a thread worked */
    struct tls *tls;         /* owned */
    int fd;                  /* owned: the thread's own descriptor of the socket, whatever the session does */
    bool running;            /* a thread works */
    enum tls_progress progress;
    struct err error;
};

static void handshake_free(struct handshake *h)
{
    tls_free(h->tls);
    close(h->fd);
    free(h);
}

void handshake_drop(struct session *s)
{
    struct handshake *h = s->handshake;

    s->handshake = NULL;
    if (!h)
        return;
    h->session = NULL;
    if (!h->running)
        handshake_free(h);
}

static void handshake_run(struct control_job *job)
{
    struct handshake *h = CONTAINER_OF(job, struct handshake, job);

    h->progress = tls_handshake(h->tls, &h->error);
    if (h->progress == TLS_WANTS_WRITE) {
        struct pollfd p = { .fd = h->fd, .events = POLLOUT };

        (void)poll(&p, 1, HANDSHAKE_ROOM_MS);
    }
}

static void handshake_end(struct session *s)
{
    struct handshake *h = s->handshake;

    tls_set_fd(h->tls, s->st.fd);
    stream_set_tls(&s->st, h->tls);
    h->tls = NULL;
    handshake_drop(s);
    if (s->direct_tls && !tls_has_alpn(s->st.tls)) {
        session_fatal_protocol(s, "received direct SSL connection request without ALPN protocol negotiation extension");
        return;
    }
    stream_resume(&s->st, PAUSE_HANDSHAKE);
}

static void handshake_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct handshake *h = CONTAINER_OF(job, struct handshake, job);
    struct session *s = h->session;

    h->running = false;
    if (!s) {
        handshake_free(h);
        return;
    }
    switch (h->progress) {
    case TLS_DONE:
        handshake_end(s);
        break;
    case TLS_WANTS_READ:
        stream_resume(&s->st, PAUSE_HANDSHAKE);
        break;
    case TLS_WANTS_WRITE:
        handshake_readable(s);
        break;
    case TLS_FAILED:
        log_line(LOG_INFO, "tls", "handshake failed", "address=%s error=\"%s\"", s->peer.address, h->error.message);
        session_close(s);
        break;
    }
}

void handshake_readable(struct session *s)
{
    struct handshake *h = s->handshake;

    stream_pause(&s->st, PAUSE_HANDSHAKE);
    h->running = true;
    if (control_submit(s->worker->router->helpers, &h->job))
        return;
    h->running = false;
    session_close(s); /* nothing can be said before the handshake is over */
}

void handshake_start(struct session *s, struct span early)
{
    struct handshake *h = mem_zalloc(sizeof(*h));

    h->session = s;
    h->fd = fcntl(s->st.fd, F_DUPFD_CLOEXEC, 0);
    if (h->fd < 0) {
        free(h);
        session_close(s);
        return;
    }
    h->tls = tls_accept(s->worker->access->tls, h->fd, early);
    h->job.run = handshake_run;
    h->job.done.fn = handshake_done;
    h->job.loop = s->worker->loop;
    s->handshake = h;
    stream_enter_handshake(&s->st);
    if (early.len)
        handshake_readable(s);
}
