/* Listening sockets on the loopback interface and in a directory of the test's own. */
#include "net/listener.h"

#include "base/mem.h"
#include "turn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX = 200 };

static struct {
    int fd[MAX], count;
    struct listener_peer peer; /* of the last one */
    struct listener *stop;     /* to be stopped when one is accepted */
} accepted;

static void on_accept(void *arg, int fd, const struct listener_peer *peer)
{
    assert_ptr_equal(arg, &accepted);
    assert_true(accepted.count < MAX);
    accepted.fd[accepted.count++] = fd;
    accepted.peer = *peer;
    if (accepted.stop)
        listener_stop(accepted.stop);
}

static void forget_accepted(void)
{
    for (int i = 0; i < accepted.count; i++)
        close(accepted.fd[i]);
    memset(&accepted, 0, sizeof(accepted));
}

static struct listener *listen_on(struct loop *l, const char *host, int port, bool reuse)
{
    struct err e = ERR_INIT;
    struct listener *ln = listener_new(l, host, port, reuse, on_accept, &accepted, &e);

    if (!ln)
        print_error("%s\n", e.message);
    assert_non_null(ln);
    return ln;
}

static int connect_tcp(int port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

/* What is set on the listener, clients have. */
static void test_keepalive(void **state)
{
    const struct listener_keepalive keepalive = { .idle_s = 31, .interval_s = 7, .count = 5, .user_timeout_ms = 12345 };
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, false);
    int fd;

    (void)state;
    listener_set_keepalive(ln, &keepalive);
    fd = connect_tcp(listener_port(ln));
    TURN_UNTIL(l, accepted.count == 1);
    assert_true(option(accepted.fd[0], SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(option(accepted.fd[0], IPPROTO_TCP, TCP_KEEPIDLE), 31);
    assert_int_equal(option(accepted.fd[0], IPPROTO_TCP, TCP_KEEPINTVL), 7);
    assert_int_equal(option(accepted.fd[0], IPPROTO_TCP, TCP_KEEPCNT), 5);
    assert_int_equal(option(accepted.fd[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
    close(fd);
    forget_accepted();
    listener_free(ln);
    loop_free(l);
}

static void test_tcp(void **state)
{
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, false);
    struct sockaddr_in own = { 0 };
    socklen_t len = sizeof(own);
    int client, fd;

    (void)state;
    assert_in_range(listener_port(ln), 1, 65535);
    client = connect_tcp(listener_port(ln));
    TURN_UNTIL(l, accepted.count == 1);
    fd = accepted.fd[0];
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
    assert_string_equal(accepted.peer.address, "127.0.0.1");
    assert_int_equal(accepted.peer.port, ntohs(own.sin_port));
    close(client);
    forget_accepted();
    listener_free(ln);
    listener_free(NULL);
    loop_free(l);
}

/* More than are accepted in one turn: all of them, in the end. */
static void test_many(void **state)
{
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, false);
    int client[150];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(client); i++)
        client[i] = connect_tcp(listener_port(ln));
    turn_once(l);
    assert_true(accepted.count <= 64); /* other streams have their turn too */
    TURN_UNTIL(l, accepted.count == ARRAY_LEN(client));
    for (size_t i = 0; i < ARRAY_LEN(client); i++)
        close(client[i]);
    forget_accepted();
    listener_free(ln);
    loop_free(l);
}

/* Stopped from inside the callback, with more waiting: no other comes, and the port is free again. */
static void test_stop(void **state)
{
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, false), *next;
    int port = listener_port(ln), first = connect_tcp(port), second = connect_tcp(port);

    (void)state;
    accepted.stop = ln;
    TURN_UNTIL(l, accepted.count == 1);
    for (int i = 0; i < 3; i++)
        turn_once(l);
    assert_int_equal(accepted.count, 1);
    assert_int_equal(connect_tcp(port), -1);
    next = listen_on(l, "127.0.0.1", port, false);
    assert_int_equal(listener_port(next), port);
    listener_free(next);
    listener_stop(ln); /* harmless twice */
    listener_free(ln);
    close(first);
    close(second);
    forget_accepted();
    loop_free(l);
}

static void fails(const char *host, int port, const char *message)
{
    struct loop *l = loop_new();
    struct err e = ERR_INIT;

    assert_null(listener_new(l, host, port, false, on_accept, &accepted, &e));
    assert_int_equal(e.id, PB0504);
    assert_non_null(strstr(e.message, message));
    loop_free(l);
}

static void test_failures(void **state)
{
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, true), *other;
    char path[300];

    (void)state;
    fails("127.0.0.1", listener_port(ln), "in use");
    fails("no such host", 5432, "cannot resolve");
    fails("192.0.2.1", 0, "cannot listen"); /* somebody else's address */
    snprintf(path, sizeof(path), "/%0*d", 200, 0);
    fails(path, 5432, "too long");
    fails("/no/such/directory", 5432, "cannot listen");
    /* Several may listen when they all say so. */
    other = listen_on(l, "127.0.0.1", listener_port(ln), true);
    assert_int_equal(listener_port(other), listener_port(ln));
    listener_free(other);
    listener_free(ln);
    loop_free(l);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_unix(void **state)
{
    char dir[] = "/tmp/pgbraid-listener-XXXXXX", path[64];
    struct loop *l = loop_new();
    struct listener *ln;
    struct err e = ERR_INIT;
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int client, dead;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/.s.PGSQL.6432", dir);
    /* The socket of a process that was killed is in the way; that of one that lives is respected. */
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(dead, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(dead);
    ln = listen_on(l, dir, 6432, false);
    assert_int_equal(listener_port(ln), 6432);
    assert_null(listener_new(l, dir, 6432, false, on_accept, &accepted, &e));
    assert_non_null(strstr(e.message, "in use"));
    forget_accepted();
    client = connect_unix(path);
    assert_true(client >= 0);
    TURN_UNTIL(l, accepted.count && strcmp(accepted.peer.address, "[local]") == 0);
    assert_int_equal(accepted.peer.port, 0);
    listener_free(ln);
    assert_int_not_equal(access(path, F_OK), 0); /* it takes its socket with it */
    close(client);
    forget_accepted();
    assert_int_equal(rmdir(dir), 0);
    loop_free(l);
}

/* Out of descriptors: accepting rests, and goes on when there are some again. Nobody is lost. */
static void test_no_descriptors(void **state)
{
    struct loop *l = loop_new();
    struct listener *ln = listen_on(l, "127.0.0.1", 0, false);
    int client = connect_tcp(listener_port(ln)), used[MAX], n = 0;
    struct rlimit limit, low;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while ((used[n] = dup(client)) >= 0)
        n++;
    for (int i = 0; i < 5; i++)
        turn_once(l);
    assert_int_equal(accepted.count, 0);
    while (n > 0)
        close(used[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    TURN_UNTIL(l, accepted.count == 1);
    close(client);
    forget_accepted();
    listener_free(ln);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalive),      cmocka_unit_test(test_tcp),      cmocka_unit_test(test_many),
        cmocka_unit_test(test_stop),           cmocka_unit_test(test_failures), cmocka_unit_test(test_unix),
        cmocka_unit_test(test_no_descriptors),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
