#include "net/stream.h"

#include "base/bug.h"
#include "base/mem.h"
#include "net/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define STREAM_KEEP_SHRINK (16u * 1024u) /* an emptied buffer larger than this is freed at once */
#define STREAM_TLS_RECORD  16384u        /* bytes that fit one record */
#define STREAM_LAST_READS  16            /* reads of the last words of a peer that is gone */

static void stream_fail(struct stream *s, int error);
static void stream_watch(struct stream *s);

/* --- kept input --- */

static void stream_keep(struct stream *s, const char *data, size_t len)
{
    strbuf_put(&s->in, data, len);
}

static void stream_forget_kept(struct stream *s, size_t n)
{
    s->in_off += n;
    if (s->in_off == s->in.len) {
        strbuf_fini(&s->in);
        s->in_off = 0;
    } else if (s->in_off > STREAM_KEEP_SHRINK && s->in_off > s->in.len / 2) {
        strbuf_drop(&s->in, s->in_off);
        s->in_off = 0;
    }
}

/* Offer what stands in the stream's own buffer. on_data may close the stream. */
static void stream_offer(struct stream *s)
{
    size_t used;

    s->in_callback = true;
    used = s->ops->on_data(s, s->in.ptr + s->in_off, s->in.len - s->in_off);
    s->in_callback = false;
    if (s->fd < 0)
        return;
    stream_forget_kept(s, used);
}

static void stream_received(struct stream *s, char *data, size_t len)
{
    size_t used;

    s->bytes_in += len;
    if (stream_kept(s)) {
        stream_keep(s, data, len);
        stream_offer(s);
        return;
    }
    s->in_callback = true;
    used = s->ops->on_data(s, data, len);
    s->in_callback = false;
    if (s->fd >= 0 && used < len)
        stream_keep(s, data + used, len - used);
}

static void stream_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    char *scratch = loop_scratch(s->loop);
    ssize_t n = recv((int)fd, scratch, LOOP_SCRATCH_CAP, 0);

    (void)what;
    if (LIKELY(n > 0)) {
        stream_received(s, scratch, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    stream_fail(s, n < 0 ? errno : 0);
}

/* --- TLS --- */

/*
 * OpenSSL gives a record at a time and may have read ahead: as many as fit the scratch buffer, so that on_data sees
 * what one recv() would have given it. When the buffer is full the next turn goes on, without the socket saying so.
 */
static void stream_tls_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    char *scratch = loop_scratch(s->loop);
    size_t got = 0;
    ssize_t n = 1;
    int error = 0;

    (void)fd;
    (void)what;
    while (got < LOOP_SCRATCH_CAP && (n = tls_recv(s->tls, scratch + got, LOOP_SCRATCH_CAP - got)) > 0)
        got += (size_t)n;
    if (n < 0)
        error = errno;
    s->tls_more = n > 0;
    if (got)
        stream_received(s, scratch, got);
    if (s->fd < 0)
        return;
    if (n == 0 || (n < 0 && error != EAGAIN && error != EINTR))
        stream_fail(s, error);
    else if (s->tls_more && s->rd_active)
        event_active(s->rd, EV_READ, 0);
}

static void stream_handshake_readable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;

    (void)fd;
    (void)what;
    s->ops->on_readable(s);
}

/* Another callback for the read event, which is registered again if it was. */
static void stream_change_reader(struct stream *s)
{
    if (s->rd)
        event_free(s->rd);
    s->rd_active = false;
    stream_attach(s, s->loop);
}

void stream_enter_handshake(struct stream *s)
{
    s->handshake = true;
    stream_change_reader(s);
}

void stream_set_tls(struct stream *s, struct tls *t)
{
    s->tls = t;
    s->handshake = false;
    s->tls_more = true;
    stream_change_reader(s);
}

static ssize_t stream_recv(struct stream *s, char *buf, size_t cap)
{
    return s->tls ? tls_recv(s->tls, buf, cap) : recv(s->fd, buf, cap, MSG_DONTWAIT);
}

static ssize_t stream_send(struct stream *s, const char *data, size_t len)
{
    return s->tls ? tls_send(s->tls, data, len) : send(s->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- the end --- */

/* What a peer that is gone said before. While reading is paused it is only kept. */
static void stream_read_last(struct stream *s)
{
    char *scratch = loop_scratch(s->loop);

    s->ended = false;
    for (int i = 0; i < STREAM_LAST_READS && s->fd >= 0 && !s->ended; i++) {
        ssize_t n = stream_recv(s, scratch, LOOP_SCRATCH_CAP);

        if (n <= 0)
            break;
        if (s->paused) {
            s->bytes_in += (uint64_t)n;
            stream_keep(s, scratch, (size_t)n);
        } else {
            stream_received(s, scratch, (size_t)n);
        }
    }
    s->ended = true;
    if (s->fd >= 0)
        stream_watch(s);
}

static void stream_tell_closed(void *arg)
{
    struct stream *s = arg;

    if (s->fd >= 0 && s->last_words) {
        s->last_words = false;
        stream_read_last(s);
    }
    if (s->fd < 0 || s->told)
        return;
    s->told = true;
    if (s->error) {
        struct err e = ERR_INIT;

        err_set(&e, PB0504, "%s", strerror(s->error));
        s->ops->on_closed(s, &e);
    } else {
        s->ops->on_closed(s, NULL);
    }
}

/* Reading ends; the owner hears of it at the end of the turn, never from inside a call of its own. */
static void stream_fail(struct stream *s, int error)
{
    if (s->rd_active) {
        event_del(s->rd);
        s->rd_active = false;
    }
    if (!s->ended) {
        s->ended = true;
        s->failed = true;
        s->error = error;
        loop_defer(s->loop, stream_tell_closed, s);
    }
}

static void stream_fail_send(struct stream *s, int error)
{
    s->last_words = s->ops->hear_last_words && !s->ended;
    stream_fail(s, error);
}

void stream_fail_protocol(struct stream *s)
{
    stream_fail(s, EPROTO);
}

/* --- life --- */

static void stream_watch(struct stream *s)
{
    bool want = s->paused == 0 && !s->ended && s->fd >= 0;

    if (want == s->rd_active)
        return;
    s->rd_active = want;
    if (want) {
        BUG_ON(event_add(s->rd, NULL) != 0);
        if (s->tls_more)
            event_active(s->rd, EV_READ, 0);
    } else {
        event_del(s->rd);
    }
}

void stream_open(struct stream *s, struct loop *l, int fd, const struct stream_ops *ops)
{
    *s = (struct stream){ .ops = ops, .fd = fd };
    stream_attach(s, l);
}

void stream_attach(struct stream *s, struct loop *l)
{
    event_callback_fn fn = s->tls ? stream_tls_readable : s->handshake ? stream_handshake_readable : stream_readable;

    s->loop = l;
    s->rd = event_new(loop_base(l), s->fd, EV_READ | EV_PERSIST, fn, s);
    BUG_ON(!s->rd);
    stream_watch(s);
}

void stream_detach(struct stream *s)
{
    if (s->rd)
        event_free(s->rd);
    if (s->wr)
        event_free(s->wr);
    s->rd = s->wr = NULL;
    s->rd_active = false;
}

void stream_forget(struct stream *s)
{
    stream_detach(s);
    strbuf_fini(&s->in);
    strbuf_fini(&s->out);
    s->in_off = s->out_off = 0;
    tls_free(s->tls);
    s->tls = NULL;
    s->tls_more = false;
    s->fd = -1;
}

void stream_close(struct stream *s)
{
    int fd = s->fd;

    if (fd < 0)
        return;
    stream_forget(s);
    close(fd);
}

void stream_close_after_flush(struct stream *s)
{
    char sink[4096];

    if (s->fd < 0)
        return;
    while (stream_queued(s) && !s->failed) {
        ssize_t n = stream_send(s, s->out.ptr + s->out_off, stream_queued(s));

        if (n <= 0)
            break;
        s->out_off += (size_t)n;
    }
    if (s->tls && !s->failed)
        tls_shutdown(s->tls);
    /* A socket closed with unread input is reset, and the reset may overtake the last message: half-close, if there is
     * any, and drain a little. */
    for (int i = 0; i < 16 && recv(s->fd, sink, sizeof(sink), MSG_DONTWAIT) > 0; i++) {
        if (i == 0)
            shutdown(s->fd, SHUT_WR);
    }
    stream_close(s);
}

/* --- output --- */

static void stream_writable(evutil_socket_t fd, short what, void *arg)
{
    struct stream *s = arg;
    ssize_t n = stream_send(s, s->out.ptr + s->out_off, stream_queued(s));

    (void)fd;
    (void)what;
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return;
        n = errno;
        event_del(s->wr);
        stream_fail_send(s, (int)n);
        return;
    }
    s->bytes_out += (uint64_t)n;
    s->out_off += (size_t)n;
    if (s->out_off == s->out.len) {
        event_del(s->wr);
        strbuf_fini(&s->out);
        s->out_off = 0;
    } else if (s->out_off > s->out.len / 2 && s->out_off > STREAM_KEEP_SHRINK) {
        strbuf_drop(&s->out, s->out_off);
        s->out_off = 0;
    }
    if (s->above_high && stream_queued(s) < STREAM_LOW_WATER) {
        s->above_high = false;
        s->ops->on_drained(s);
    }
}

static void stream_queue(struct stream *s, const char *data, size_t len)
{
    if (len == 0)
        return;
    if (stream_queued(s) == 0) {
        if (!s->wr) {
            s->wr = event_new(loop_base(s->loop), s->fd, EV_WRITE | EV_PERSIST, stream_writable, s);
            BUG_ON(!s->wr);
        }
        BUG_ON(event_add(s->wr, NULL) != 0);
    }
    strbuf_put(&s->out, data, len);
    if (stream_queued(s) > STREAM_HIGH_WATER)
        s->above_high = true;
}

/* Record by record, as far as the kernel takes them. */
static bool stream_tls_write(struct stream *s, const char *data, size_t len)
{
    if (s->failed || s->fd < 0)
        return false;
    while (len && !stream_queued(s)) {
        ssize_t n = tls_send(s->tls, data, len);

        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                break;
            stream_fail_send(s, errno);
            return false;
        }
        s->bytes_out += (uint64_t)n;
        data += n;
        len -= (size_t)n;
    }
    stream_queue(s, data, len);
    return true;
}

static bool stream_tls_write2(struct stream *s, const void *a, size_t alen, const void *b, size_t blen)
{
    char record[STREAM_TLS_RECORD];

    /* A head of its own record would double the system calls. */
    if (alen + blen > sizeof(record))
        return stream_tls_write(s, a, alen) && stream_tls_write(s, b, blen);
    memcpy(record, a, alen);
    memcpy(record + alen, b, blen);
    return stream_tls_write(s, record, alen + blen);
}

/* What a write is held up by: the stream is closed or has failed, or it is encrypted. One branch on the plain path. */
static inline bool stream_not_plain(const struct stream *s)
{
    return (s->failed | (s->fd < 0) | (s->tls != NULL)) != 0;
}

bool stream_write(struct stream *s, const void *data, size_t len)
{
    ssize_t n;

    if (UNLIKELY(stream_not_plain(s)))
        return s->tls && stream_tls_write(s, data, len);
    if (UNLIKELY(stream_queued(s))) {
        stream_queue(s, data, len);
        return true;
    }
    n = send(s->fd, data, len, MSG_NOSIGNAL);
    if (UNLIKELY(n < 0)) {
        if (errno != EAGAIN && errno != EINTR) {
            stream_fail_send(s, errno);
            return false;
        }
        n = 0;
    }
    s->bytes_out += (uint64_t)n;
    if (UNLIKELY((size_t)n < len))
        stream_queue(s, (const char *)data + n, len - (size_t)n);
    return true;
}

bool stream_write2(struct stream *s, const void *a, size_t alen, const void *b, size_t blen)
{
    struct iovec iov[2] = { { .iov_base = (void *)(uintptr_t)a, .iov_len = alen },
                            { .iov_base = (void *)(uintptr_t)b, .iov_len = blen } };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
    size_t sent;
    ssize_t n;

    if (UNLIKELY(stream_not_plain(s)))
        return s->tls && stream_tls_write2(s, a, alen, b, blen);
    if (UNLIKELY(stream_queued(s))) {
        stream_queue(s, a, alen);
        stream_queue(s, b, blen);
        return true;
    }
    n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    if (UNLIKELY(n < 0)) {
        if (errno != EAGAIN && errno != EINTR) {
            stream_fail_send(s, errno);
            return false;
        }
        n = 0;
    }
    sent = (size_t)n;
    s->bytes_out += sent;
    if (UNLIKELY(sent < alen)) {
        stream_queue(s, (const char *)a + sent, alen - sent);
        stream_queue(s, b, blen);
    } else if (UNLIKELY(sent < alen + blen)) {
        stream_queue(s, (const char *)b + (sent - alen), blen - (sent - alen));
    }
    return true;
}

/* --- flow control --- */

struct span stream_peek(const struct stream *s)
{
    return span_make(s->in.ptr ? s->in.ptr + s->in_off : NULL, stream_kept(s));
}

void stream_drop(struct stream *s, size_t n)
{
    BUG_ON(n > stream_kept(s));
    if (n)
        stream_forget_kept(s, n);
}

void stream_pause(struct stream *s, enum stream_pause reason)
{
    s->paused |= (uint8_t)reason;
    if (s->rd)
        stream_watch(s);
}

static void stream_process_deferred(void *arg)
{
    struct stream *s = arg;

    s->process_deferred = false;
    if (s->fd >= 0 && s->paused == 0)
        stream_process(s);
}

void stream_resume(struct stream *s, enum stream_pause reason)
{
    if (!(s->paused & (uint8_t)reason))
        return;
    s->paused &= (uint8_t)~reason;
    if (s->paused || !s->rd)
        return;
    stream_watch(s);
    /* During on_data what is not consumed will be kept, though nothing is kept yet. */
    if ((stream_kept(s) || s->in_callback) && !s->process_deferred) {
        s->process_deferred = true;
        loop_defer(s->loop, stream_process_deferred, s);
    }
}

void stream_process(struct stream *s)
{
    if (s->in_callback || s->fd < 0 || stream_kept(s) == 0)
        return;
    stream_offer(s);
}
