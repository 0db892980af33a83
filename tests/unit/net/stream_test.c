/*
 * Streams over socket pairs: the test holds the other end and reads and writes it by hand, between turns of the loop.
 */
#include "net/stream.h"

#include "../base/random.h"
#include "base/mem.h"
#include "turn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct side {
    struct stream st;
    struct loop *loop;
    int peer;           /* the test's end */
    struct strbuf seen; /* what on_data consumed */
    int calls, drained, closed;
    size_t drained_queue;
    struct err error;
    bool in_call; /* the test is inside a stream_* call: no callback may come */
    /* what on_data does: consume at most so many bytes (random below 0), then this */
    int take;
    uint64_t seed;
    void (*then)(struct side *x);
    int freed;
};

static size_t on_data(struct stream *st, char *data, size_t len)
{
    struct side *x = CONTAINER_OF(st, struct side, st);
    size_t n = x->take < 0 ? random_below(&x->seed, (uint32_t)len + 1) : (size_t)x->take < len ? (size_t)x->take : len;

    assert_false(x->in_call);
    assert_int_equal(x->closed, 0);
    assert_true(len > 0);
    x->calls++;
    strbuf_put(&x->seen, data, n);
    if (x->then)
        x->then(x);
    return n;
}

static void on_drained(struct stream *st)
{
    struct side *x = CONTAINER_OF(st, struct side, st);

    assert_false(x->in_call);
    x->drained++;
    x->drained_queue = stream_queued(st);
}

static void on_closed(struct stream *st, const struct err *e)
{
    struct side *x = CONTAINER_OF(st, struct side, st);

    assert_false(x->in_call);
    x->closed++;
    x->error = e ? *e : (struct err)ERR_INIT;
}

static const struct stream_ops ops = { .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed };
static const struct stream_ops listening_ops = {
    .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed, .hear_last_words = true
};

static void side_start(struct side *x, const int fds[2], const struct stream_ops *o)
{
    *x = (struct side){ .loop = loop_new(), .peer = fds[1], .take = 1 << 30 };
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    stream_open(&x->st, x->loop, fds[0], o);
}

static void side_open(struct side *x)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    side_start(x, fds, &ops);
}

/* The same over TCP, which knows resets. */
static void side_open_tcp(struct side *x)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fds[2];

    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&sa, sizeof(sa)), 0);
    fds[0] = accept(listener, NULL, NULL);
    assert_true(fds[0] >= 0);
    close(listener);
    side_start(x, fds, &ops);
}

static void side_close(struct side *x)
{
    stream_close(&x->st);
    stream_close(&x->st); /* harmless */
    if (x->peer >= 0)
        close(x->peer);
    strbuf_fini(&x->seen);
    turn_once(x->loop);
    loop_free(x->loop);
}

static void say(struct side *x, const char *text)
{
    assert_int_equal(write(x->peer, text, strlen(text)), strlen(text));
}

static void hear(struct side *x, const char *expected)
{
    char got[256] = "";
    struct pollfd p = { .fd = x->peer, .events = POLLIN };
    ssize_t n;

    assert_int_equal(poll(&p, 1, 60000), 1);
    n = read(x->peer, got, sizeof(got) - 1);

    assert_int_equal(n, strlen(expected));
    assert_memory_equal(got, expected, strlen(expected));
}

static void peer_gone(struct side *x)
{
    close(x->peer);
    x->peer = -1;
}

/* --- reading --- */

static void test_reads(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    turn_once(x.loop);
    assert_int_equal(x.calls, 0);
    say(&x, "hello");
    turn_once(x.loop);
    assert_string_equal(strbuf_str(&x.seen), "hello");
    assert_int_equal(x.st.bytes_in, 5);
    assert_int_equal(stream_kept(&x.st), 0);
    assert_null(x.st.in.ptr); /* nothing is kept, so nothing is held */
    side_close(&x);
}

/* What is not consumed is offered again with what comes next, in order, however much is taken each time. */
static void test_keeps_what_is_left(void **state)
{
    enum { TOTAL = 300000 };
    struct strbuf sent = STRBUF_INIT;
    struct side x;
    uint64_t seed = 7;

    (void)state;
    side_open(&x);
    x.take = -1;
    while (sent.len < TOTAL) {
        char piece[5000];
        size_t n = 1 + random_below(&seed, sizeof(piece));
        ssize_t written;

        for (size_t i = 0; i < n; i++)
            piece[i] = (char)random_next(&seed);
        written = write(x.peer, piece, n);
        if (written > 0)
            strbuf_put(&sent, piece, (size_t)written);
        turn_once(x.loop);
        assert_int_equal(x.seen.len + stream_kept(&x.st), x.st.bytes_in);
        if (random_below(&seed, 10) == 0) {
            struct span kept = stream_peek(&x.st);

            assert_memory_equal(kept.ptr ? kept.ptr : "", sent.ptr + x.seen.len, kept.len);
        }
    }
    x.take = 1 << 30;
    while (x.st.bytes_in < sent.len)
        turn_once(x.loop);
    stream_process(&x.st); /* now, without new data */
    assert_true(span_eq(strbuf_span(&x.seen), strbuf_span(&sent)));
    assert_null(x.st.in.ptr);
    strbuf_fini(&sent);
    side_close(&x);
}

static void test_peek_and_drop(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    x.take = 2;
    say(&x, "abcdef");
    turn_once(x.loop);
    assert_true(span_eq(stream_peek(&x.st), SPAN("cdef")));
    stream_drop(&x.st, 1);
    assert_true(span_eq(stream_peek(&x.st), SPAN("def")));
    stream_drop(&x.st, 0);
    stream_drop(&x.st, 3);
    assert_int_equal(stream_peek(&x.st).len, 0);
    stream_process(&x.st);
    assert_int_equal(x.calls, 1); /* nothing to offer */
    side_close(&x);
}

/* --- pausing --- */

static void test_pause_is_a_set(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    stream_pause(&x.st, PAUSE_BUSY);
    stream_pause(&x.st, PAUSE_TURN);
    stream_pause(&x.st, PAUSE_BUSY);
    say(&x, "abc");
    turn_once(x.loop);
    assert_int_equal(x.calls, 0);
    stream_resume(&x.st, PAUSE_BUSY);
    stream_resume(&x.st, PAUSE_HELD); /* never was a reason */
    turn_once(x.loop);
    assert_int_equal(x.calls, 0);
    stream_resume(&x.st, PAUSE_TURN);
    assert_int_equal(x.calls, 0); /* not from inside the call */
    turn_once(x.loop);
    assert_string_equal(strbuf_str(&x.seen), "abc");
    side_close(&x);
}

static void pause_busy(struct side *x)
{
    stream_pause(&x->st, PAUSE_BUSY);
}

static void pause_and_resume(struct side *x)
{
    x->then = NULL;
    stream_pause(&x->st, PAUSE_BUSY);
    stream_resume(&x->st, PAUSE_BUSY);
}

/* Kept input is offered at the end of the turn in which the last reason goes, though nothing new comes. */
static void test_resume_offers_kept_input(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    x.take = 2;
    x.then = pause_busy;
    say(&x, "abcdef");
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    x.then = NULL;
    x.take = 3;
    stream_resume(&x.st, PAUSE_BUSY);
    stream_pause(&x.st, PAUSE_TURN); /* and at once another reason: then not */
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    stream_resume(&x.st, PAUSE_TURN);
    turn_once(x.loop);
    assert_string_equal(strbuf_str(&x.seen), "abcde");
    assert_int_equal(x.calls, 2);
    /* Paused and resumed from inside on_data. */
    x.take = 1;
    x.then = pause_and_resume;
    say(&x, "g");
    turn_once(x.loop);
    assert_string_equal(strbuf_str(&x.seen), "abcdefg");
    assert_int_equal(x.calls, 4);
    side_close(&x);
}

/* --- writing --- */

static size_t drain(struct side *x, struct strbuf *got, size_t most)
{
    char piece[70000];
    size_t total = 0;

    while (total < most) {
        ssize_t n = read(x->peer, piece, sizeof(piece) < most - total ? sizeof(piece) : most - total);

        if (n <= 0)
            break;
        strbuf_put(got, piece, (size_t)n);
        total += (size_t)n;
    }
    return total;
}

/* A slow peer: every byte arrives once and in order; on_drained comes once for each time that the queue was high. */
static void test_partial_writes(void **state)
{
    struct strbuf sent = STRBUF_INIT, got = STRBUF_INIT;
    struct side x;
    uint64_t seed = 9;
    int highs = 0;

    (void)state;
    side_open(&x);
    for (int round = 0; round < 3; round++) {
        bool high = false;

        while (sent.len - got.len < 4 * STREAM_HIGH_WATER) {
            char piece[9000];
            size_t n = random_below(&seed, sizeof(piece)), cut = random_below(&seed, (uint32_t)n + 1);

            for (size_t i = 0; i < n; i++)
                piece[i] = (char)random_next(&seed);
            x.in_call = true;
            if (random_below(&seed, 2))
                assert_true(stream_write(&x.st, piece, n));
            else
                assert_true(stream_write2(&x.st, piece, cut, piece + cut, n - cut));
            x.in_call = false;
            strbuf_put(&sent, piece, n);
            high = high || stream_queued(&x.st) > STREAM_HIGH_WATER;
        }
        highs += high;
        assert_true(high);
        while (got.len < sent.len) {
            (void)drain(&x, &got, 1 + random_below(&seed, 60000));
            turn_once(x.loop);
            assert_int_equal(x.drained, stream_queued(&x.st) < STREAM_LOW_WATER ? highs : highs - 1);
        }
        assert_true(x.drained_queue < STREAM_LOW_WATER);
        assert_int_equal(stream_queued(&x.st), 0);
        assert_null(x.st.out.ptr); /* nothing queued, nothing held */
    }
    assert_int_equal(x.st.bytes_out, sent.len);
    assert_true(span_eq(strbuf_span(&sent), strbuf_span(&got)));
    strbuf_fini(&sent);
    strbuf_fini(&got);
    side_close(&x);
}

/* A queue that never was high does not drain. */
static void test_no_drain_below_the_mark(void **state)
{
    struct strbuf got = STRBUF_INIT;
    char *block = mem_zalloc(STREAM_LOW_WATER);
    struct side x;

    (void)state;
    side_open(&x);
    while (stream_queued(&x.st) == 0)
        assert_true(stream_write(&x.st, block, STREAM_LOW_WATER));
    while (stream_queued(&x.st)) {
        (void)drain(&x, &got, 1 << 20);
        turn_once(x.loop);
    }
    assert_int_equal(x.drained, 0);
    free(block);
    strbuf_fini(&got);
    side_close(&x);
}

/* --- the end --- */

static void test_end_of_file(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    x.take = 1;
    say(&x, "ab");
    peer_gone(&x);
    TURN_UNTIL(x.loop, x.closed);
    assert_int_equal(x.error.id, ERR_NONE); /* an end is no error */
    assert_true(span_eq(stream_peek(&x.st), SPAN("b")));
    for (int i = 0; i < 3; i++)
        turn_once(x.loop);
    assert_int_equal(x.closed, 1);
    assert_false(stream_write(&x.st, "x", 1));
    side_close(&x);
}

static void test_reset(void **state)
{
    const struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    struct side x;

    (void)state;
    side_open_tcp(&x);
    assert_int_equal(setsockopt(x.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    peer_gone(&x);
    TURN_UNTIL(x.loop, x.closed);
    assert_int_equal(x.error.id, PB0504);
    assert_non_null(strstr(x.error.message, "reset"));
    side_close(&x);
}

/* A send that fails is reported in a later turn, once, and not from inside the call. */
static void test_failed_send(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    say(&x, "unread");
    peer_gone(&x);
    x.in_call = true;
    assert_false(stream_write(&x.st, "x", 1));
    assert_false(stream_write2(&x.st, "x", 1, "y", 1));
    x.in_call = false;
    turn_once(x.loop);
    assert_int_equal(x.closed, 1);
    assert_int_equal(x.calls, 0);
    assert_int_equal(x.error.id, PB0504);
    turn_once(x.loop);
    assert_int_equal(x.closed, 1);
    side_close(&x);
}

/* A server that closes says why before: its owner hears it though a send has failed. */
static void test_last_words(void **state)
{
    struct side x;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    side_start(&x, fds, &listening_ops);
    say(&x, "because");
    peer_gone(&x);
    assert_false(stream_write(&x.st, "x", 1));
    turn_once(x.loop);
    assert_string_equal(strbuf_str(&x.seen), "because");
    assert_int_equal(x.closed, 1);
    assert_int_equal(x.error.id, PB0504);
    side_close(&x);

    /* While reading is paused it is kept for whoever looks. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    side_start(&x, fds, &listening_ops);
    stream_pause(&x.st, PAUSE_TURN);
    say(&x, "because");
    peer_gone(&x);
    assert_false(stream_write(&x.st, "x", 1));
    turn_once(x.loop);
    assert_int_equal(x.calls, 0);
    assert_int_equal(x.closed, 1);
    assert_true(span_eq(stream_peek(&x.st), SPAN("because")));
    side_close(&x);
}

static void fail_protocol(struct side *x)
{
    stream_fail_protocol(&x->st);
}

static void test_protocol_failure(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    x.then = fail_protocol;
    say(&x, "junk");
    turn_once(x.loop);
    assert_int_equal(x.closed, 1);
    assert_int_equal(x.error.id, PB0504);
    say(&x, "more");
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    assert_false(stream_write(&x.st, "x", 1));
    side_close(&x);
}

static void count_free(void *arg)
{
    ((struct side *)arg)->freed++;
}

static void close_it(struct side *x)
{
    stream_close(&x->st);
    loop_defer(x->loop, count_free, x);
}

/* Closed from inside its own callback: no other callback comes, and it may be freed at the end of the turn. */
static void test_close_in_callback(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    x.take = 1;
    x.then = close_it;
    say(&x, "abc");
    turn_once(x.loop);
    assert_int_equal(x.freed, 1);
    assert_int_equal(x.calls, 1);
    assert_int_equal(x.closed, 0);
    assert_null(x.st.in.ptr);
    hear(&x, "");
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    side_close(&x);
}

/* A failure that is on its way is not told any more once the owner has closed. */
static void test_close_before_told(void **state)
{
    struct side x;

    (void)state;
    side_open(&x);
    peer_gone(&x);
    assert_false(stream_write(&x.st, "x", 1));
    close_it(&x);
    turn_once(x.loop);
    assert_int_equal(x.closed, 0);
    assert_int_equal(x.freed, 1);
    side_close(&x);
}

/* A last message gets through, though input is unread, also what was queued as far as there is room now. */
static void test_close_after_flush(void **state)
{
    struct strbuf got = STRBUF_INIT;
    char *block = mem_zalloc(100000);
    struct side x;
    size_t sent = 0;

    (void)state;
    side_open_tcp(&x);
    stream_pause(&x.st, PAUSE_BUSY);
    say(&x, "never read");
    assert_true(stream_write(&x.st, "goodbye", 7));
    stream_close_after_flush(&x.st);
    stream_close_after_flush(&x.st);
    turn_once(x.loop);
    hear(&x, "goodbye");
    hear(&x, ""); /* an end, no reset */
    side_close(&x);

    side_open(&x);
    while (stream_queued(&x.st) == 0) {
        assert_true(stream_write(&x.st, block, 100000));
        sent += 100000;
    }
    assert_true(stream_write(&x.st, "goodbye", 7));
    (void)drain(&x, &got, 1 << 30); /* now there is room, but no turn in which it was noticed */
    stream_close_after_flush(&x.st);
    (void)drain(&x, &got, 1 << 30);
    assert_int_equal(got.len, sent + 7);
    assert_string_equal(got.ptr + sent, "goodbye");
    free(block);
    strbuf_fini(&got);
    side_close(&x);
}

/* --- ownership --- */

static void test_forget(void **state)
{
    struct side x;
    int fd;

    (void)state;
    side_open(&x);
    x.take = 1;
    say(&x, "ab");
    turn_once(x.loop);
    fd = x.st.fd;
    stream_forget(&x.st);
    assert_int_equal(x.st.fd, -1);
    assert_int_equal(write(fd, "still", 5), 5); /* the socket is open: somebody else's */
    hear(&x, "still");
    say(&x, "c");
    turn_once(x.loop);
    assert_int_equal(x.calls, 1);
    close(fd);
    side_close(&x);
}

/* To another loop, with what was kept and a reason to pause. */
static void test_move(void **state)
{
    struct side x;
    struct loop *other = loop_new();

    (void)state;
    side_open(&x);
    x.take = 1;
    say(&x, "ab");
    turn_once(x.loop);
    stream_pause(&x.st, PAUSE_HELD);
    stream_detach(&x.st);
    say(&x, "c");
    turn_once(x.loop);
    stream_attach(&x.st, other);
    turn_once(other);
    assert_int_equal(x.calls, 1);
    x.take = 10;
    stream_resume(&x.st, PAUSE_HELD);
    turn_once(other);
    turn_once(other);
    assert_string_equal(strbuf_str(&x.seen), "abc");
    assert_true(stream_write(&x.st, "d", 1));
    hear(&x, "d");
    stream_close(&x.st);
    loop_free(other);
    side_close(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_keeps_what_is_left),
        cmocka_unit_test(test_peek_and_drop),
        cmocka_unit_test(test_pause_is_a_set),
        cmocka_unit_test(test_resume_offers_kept_input),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_no_drain_below_the_mark),
        cmocka_unit_test(test_end_of_file),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_failed_send),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_protocol_failure),
        cmocka_unit_test(test_close_in_callback),
        cmocka_unit_test(test_close_before_told),
        cmocka_unit_test(test_close_after_flush),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_move),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
