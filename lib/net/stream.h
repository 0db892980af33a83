/*
 * A non-blocking byte stream on a loop: TCP or Unix socket, plain or through TLS.
 *
 * Reading: when the socket is readable, one recv() of up to 64 KiB goes into the loop's scratch buffer and on_data sees
 * it; what on_data does not consume is kept in a buffer of the stream's own and offered again, with what came since,
 * when more arrives or stream_process() is called. In steady state nothing is kept and nothing is copied. One recv()
 * per wake-up: no stream starves the others.
 *
 * Writing: stream_write() sends at once when nothing is queued; what the kernel does not take is copied to the output
 * buffer and flushed when writable. The caller bounds it: it pauses whoever produces when stream_queued() passes
 * STREAM_HIGH_WATER and resumes at on_drained.
 *
 * TLS: a stream may start plain; stream_enter_handshake() hands the readiness of the socket to the owner, who runs the
 * handshake (tls.h) where he likes, and stream_set_tls() goes on encrypted. The read event then has another callback,
 * and writes leave the plain path at the check they make anyway.
 *
 * Invariants: (1) the read event stays registered while the set of pause reasons is empty (no epoll_ctl in steady
 * state); (2) callbacks are never called from inside stream_write or stream_pause: a failed send is reported by
 * on_closed in a later turn; (3) after stream_close no callback comes, and the struct may be freed at the end of the
 * turn (loop_defer). (4) an idle stream holds no buffer memory.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/err.h"
#include "base/strbuf.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stdint.h>

#define STREAM_HIGH_WATER (256u * 1024u)
#define STREAM_LOW_WATER  (64u * 1024u)

struct stream;
struct event;
struct tls;

struct stream_ops {
    /*
     * `len` bytes stand at `data` (valid during the call; may be changed in place); returns how many were consumed. May
     * close or pause the stream. After a pause or close inside the call the rest is still kept.
     */
    size_t (*on_data)(struct stream *s, char *data, size_t len);
    /* The output queue fell below STREAM_LOW_WATER after it had been above STREAM_HIGH_WATER. */
    void (*on_drained)(struct stream *s);
    /* End of file (err NULL) or failure. Called once; the owner calls stream_close. Unconsumed bytes are still readable
     * by stream_peek. */
    void (*on_closed)(struct stream *s, const struct err *e);
    /* While in a handshake: bytes have come, or the end of the stream. */
    void (*on_readable)(struct stream *s);
    /* When a send fails, what has already arrived goes to on_data before on_closed: a server says why it closes. */
    bool hear_last_words;
};

/* Reading is suspended for a set of reasons and resumes when the set is empty. */
enum stream_pause {
    PAUSE_PEER_SLOW = 1 << 0, /* whoever the data goes to does not take it */
    PAUSE_BUSY = 1 << 1,      /* a statement runs and enough is buffered */
    PAUSE_TURN = 1 << 2,      /* another stream of a merge has to speak first */
    PAUSE_HELD = 1 << 3,      /* the session is held by an operator or a workflow */
    PAUSE_OUTPUT = 1 << 4,    /* it does not take its own answers */
    PAUSE_HANDSHAKE = 1 << 5  /* another thread works on the handshake */
};

struct stream {
    const struct stream_ops *ops;
    struct loop *loop;     /* borrowed */
    struct event *rd, *wr; /* owned; wr is made when first needed */
    struct tls *tls;       /* owned; NULL: plain */
    int fd;                /* owned; -1 when closed */
    uint8_t paused;        /* set of enum stream_pause */
    bool rd_active;        /* read event registered */
    bool failed;           /* a send or recv failed: writes are dropped, on_closed comes or came */
    bool above_high;       /* output passed the high water mark */
    bool ended;            /* end of file or failure: on_closed comes or came */
    bool told;             /* on_closed was called */
    bool last_words;       /* a send failed, and what has arrived is to be read before on_closed */
    bool process_deferred; /* stream_process is due at the end of the turn */
    int error;             /* errno of the failure, 0: end of file */
    bool in_callback;      /* on_data is running */
    bool handshake;        /* the bytes that come are not for on_data */
    bool tls_more;         /* decrypted or readable bytes may wait although the socket has none */
    struct strbuf in;      /* unconsumed input, starting at in_off */
    size_t in_off;
    struct strbuf out; /* unsent output, starting at out_off */
    size_t out_off;
    uint64_t bytes_in, bytes_out;
};

/* Take over a connected, non-blocking socket and start reading. The struct belongs to the caller. */
void stream_open(struct stream *s, struct loop *l, int fd, const struct stream_ops *ops);
/* Close the socket and free buffers; queued output is dropped. Harmless twice. */
void stream_close(struct stream *s);
/* Free events and buffers but leave the socket open: it belongs to somebody else (a pgconn). */
void stream_forget(struct stream *s);
/* Send what is queued as far as the kernel takes it now, half-close for writing and close: for a last error message. */
void stream_close_after_flush(struct stream *s);
/* Move a stream to another loop (a backend handed to another worker): called on the old loop's thread, then
 * stream_attach on the new. */
void stream_detach(struct stream *s);
void stream_attach(struct stream *s, struct loop *l);

/* What comes from now on belongs to a handshake: on_readable is told of it, nothing is read.
 * Inside on_data, what was shown must be consumed. */
void stream_enter_handshake(struct stream *s);
/* The handshake is over (also one that libpq has made): everything goes through t, which the stream then owns. */
void stream_set_tls(struct stream *s, struct tls *t);

/* Returns false when the stream has failed (nothing was sent). */
bool stream_write(struct stream *s, const void *data, size_t len);
/* Two pieces in one system call (sendmsg): for a rewritten head before relayed bytes. */
bool stream_write2(struct stream *s, const void *a, size_t alen, const void *b, size_t blen);
static inline size_t stream_queued(const struct stream *s)
{
    return s->out.len - s->out_off;
}
static inline size_t stream_kept(const struct stream *s)
{
    return s->in.len - s->in_off;
}
/* Kept input, borrowed. */
struct span stream_peek(const struct stream *s);
/* Give up the first n bytes of it. */
void stream_drop(struct stream *s, size_t n);
/* The peer broke the protocol: no more reading or writing; on_closed follows. */
void stream_fail_protocol(struct stream *s);
void stream_pause(struct stream *s, enum stream_pause reason);
void stream_resume(struct stream *s, enum stream_pause reason);
/* Offer kept input to on_data again, now; nothing when none is kept or on_data is running. */
void stream_process(struct stream *s);

#endif
