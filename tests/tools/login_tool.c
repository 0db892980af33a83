/*
 * Logs in and out, many times and in every way, for tests/gate/logins.t and ./dev bench login:
 *
 *   login_tool login PORT DATABASE USER PASSWORD THREADS COUNT    each: SCRAM login, Terminate
 *   login_tool storm PORT DATABASE USER PASSWORD THREADS COUNT    each in the next of `ways` below
 *   login_tool idle  PORT DATABASE USER PASSWORD THREADS COUNT    all stay, until standard input ends
 *
 * Prints "done N failed M seconds S" when COUNT have been made. A connection that does not go as it should is told of
 * on standard error; the exit status is 1 then. What SCRAM costs a client (4,096 rounds of hashing, some milliseconds)
 * is paid once for a salt, so that it is not the client that is measured.
 */
#include "base/base64.h"
#include "base/strbuf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SHA        SHA256_DIGEST_LENGTH
#define ANSWER_S   60 /* a router that says nothing for so long has failed */
#define BODY_MAX   8192u
#define THREADS    64u
#define PROTOCOL_3 0x00030000u
#define SSL_CODE   80877103u
#define STOP_CODE  80877102u

static const char *database, *user, *password;
static uint16_t port;
static uint32_t count;
static atomic_uint_fast32_t next_one, failed;
static SSL_CTX *tls_context;

struct client {
    int fd;
    SSL *tls; /* owned; NULL: plain */
    uint32_t pid, key;
    char type; /* of the message read last */
    uint32_t len;
    char body[BODY_MAX];
};

/* --- messages --- */

static void put32(struct strbuf *out, uint32_t n)
{
    n = htonl(n);
    strbuf_put(out, &n, 4);
}

static uint32_t get32(const char *p)
{
    uint32_t n;

    memcpy(&n, p, 4);
    return ntohl(n);
}

static bool client_open(struct client *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval limit = { .tv_sec = ANSWER_S };
    int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0)
        return false;
    return connect(c->fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool client_send(struct client *c, struct strbuf *bytes)
{
    ssize_t n =
        c->tls ? SSL_write(c->tls, bytes->ptr, (int)bytes->len) : send(c->fd, bytes->ptr, bytes->len, MSG_NOSIGNAL);
    bool ok = n == (ssize_t)bytes->len;

    strbuf_fini(bytes);
    return ok;
}

static bool client_say(struct client *c, char type, const void *body, size_t len)
{
    struct strbuf m = STRBUF_INIT;

    strbuf_putc(&m, type);
    put32(&m, (uint32_t)len + 4);
    strbuf_put(&m, body, len);
    return client_send(c, &m);
}

static bool client_query(struct client *c, const char *sql)
{
    return client_say(c, 'Q', sql, strlen(sql) + 1);
}

static bool read_exactly(struct client *c, char *to, size_t n)
{
    while (n) {
        ssize_t got = c->tls ? SSL_read(c->tls, to, (int)n) : recv(c->fd, to, n, 0);

        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static bool client_read(struct client *c)
{
    char head[5];

    if (!read_exactly(c, head, sizeof(head)))
        return false;
    c->type = head[0];
    c->len = get32(head + 1) - 4;
    return c->len < BODY_MAX && read_exactly(c, c->body, c->len);
}

/* Up to ReadyForQuery; an error is a failure. */
static bool client_ready(struct client *c)
{
    while (client_read(c)) {
        if (c->type == 'K') {
            c->pid = get32(c->body);
            c->key = get32(c->body + 4);
        }
        if (c->type == 'E')
            return false;
        if (c->type == 'Z')
            return true;
    }
    return false;
}

static bool client_at_end(struct client *c)
{
    char byte;

    return c->tls ? SSL_read(c->tls, &byte, 1) <= 0 : recv(c->fd, &byte, 1, 0) == 0;
}

static bool client_startup(struct client *c)
{
    struct strbuf m = STRBUF_INIT, pairs = STRBUF_INIT;
    const char *const words[] = { "user", user, "database", database, "" };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        strbuf_put(&pairs, words[i], strlen(words[i]) + 1);
    put32(&m, (uint32_t)pairs.len + 8);
    put32(&m, PROTOCOL_3);
    strbuf_put(&m, pairs.ptr, pairs.len);
    strbuf_fini(&pairs);
    return (c->fd >= 0 || client_open(c)) && client_send(c, &m);
}

/* --- SCRAM (RFC 5802) --- */

struct keys {
    char salt[128]; /* "s=...,i=..." that these are for; empty: none yet */
    uint8_t client[SHA], stored[SHA];
};

static void hmac(const uint8_t *key, const char *text, size_t len, uint8_t *out)
{
    unsigned n = SHA;

    if (!HMAC(EVP_sha256(), key, SHA, (const uint8_t *)text, len, out, &n))
        abort();
}

/* One user and password in the whole run: each thread computes the keys once. */
static const struct keys *keys_for(const char *salt_text)
{
    static _Thread_local struct keys keys;
    const char *rounds = strstr(salt_text, ",i=");
    uint8_t salt[64], salted[SHA];
    size_t n = 0;

    if (strcmp(keys.salt, salt_text) == 0)
        return &keys;
    if (!rounds || strlen(salt_text) >= sizeof(keys.salt) ||
        !base64_decode(span_make(salt_text + 2, (size_t)(rounds - salt_text) - 2), salt, sizeof(salt), &n))
        return NULL;
    if (!PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)n, atoi(rounds + 3), EVP_sha256(), SHA, salted))
        return NULL;
    hmac(salted, "Client Key", 10, keys.client);
    SHA256(keys.client, SHA, keys.stored);
    memcpy(keys.salt, salt_text, strlen(salt_text) + 1);
    return &keys;
}

static bool scram_begin(struct client *c)
{
    static const char first[] = "n,,n=,r=rOprNGfwEbeRWgbNEkqO";
    struct strbuf m = STRBUF_INIT;
    bool ok;

    if (!client_read(c) || c->type != 'R' || get32(c->body) != 10)
        return false;
    strbuf_put(&m, "SCRAM-SHA-256", 14);
    put32(&m, sizeof(first) - 1);
    strbuf_puts(&m, first);
    ok = client_say(c, 'p', m.ptr, m.len);
    strbuf_fini(&m);
    return ok && client_read(c) && c->type == 'R' && get32(c->body) == 11;
}

/* The server's first message has been read. `right`: with the password, else with a wrong proof. */
static bool scram_prove(struct client *c, bool right)
{
    struct strbuf m = STRBUF_INIT, all = STRBUF_INIT;
    const struct keys *keys;
    uint8_t proof[SHA];
    char *salt;
    bool ok;

    c->body[c->len] = '\0';
    salt = strstr(c->body + 4, ",s=");
    keys = salt ? keys_for(salt + 1) : NULL;
    if (!keys)
        return false;
    strbuf_printf(&m, "c=biws,%.*s", (int)(salt - c->body - 4), c->body + 4);
    strbuf_printf(&all, "n=,r=rOprNGfwEbeRWgbNEkqO,%s,%s", c->body + 4, m.ptr);
    hmac(keys->stored, all.ptr, all.len, proof);
    for (int i = 0; i < SHA; i++)
        proof[i] ^= keys->client[i];
    proof[0] = right ? proof[0] : (uint8_t)~proof[0];
    strbuf_puts(&m, ",p=");
    base64_put(&m, proof, SHA);
    ok = client_say(c, 'p', m.ptr, m.len);
    strbuf_fini(&m);
    strbuf_fini(&all);
    return ok;
}

static bool client_login(struct client *c)
{
    return client_startup(c) && scram_begin(c) && scram_prove(c, true) && client_ready(c);
}

/* --- ways --- */

static bool terminate(struct client *c)
{
    return client_say(c, 'X', "", 0) && client_at_end(c);
}

static bool way_login(struct client *c)
{
    return client_login(c) && terminate(c);
}

static bool way_query(struct client *c)
{
    return client_login(c) && client_query(c, "SELECT 1") && client_ready(c) && terminate(c);
}

static bool way_drop(struct client *c)
{
    return client_login(c) && client_query(c, "SELECT 1") && client_ready(c);
}

static bool reset(struct client *c)
{
    struct linger now = { .l_onoff = 1 };

    return setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0;
}

static bool way_reset(struct client *c)
{
    return way_drop(c) && reset(c);
}

static bool way_wrong_password(struct client *c)
{
    return client_startup(c) && scram_begin(c) && scram_prove(c, false) && !client_ready(c) && c->type == 'E' &&
           client_at_end(c);
}

static bool way_cancel(struct client *c)
{
    struct client other = { .fd = -1 };
    struct strbuf m = STRBUF_INIT;
    bool ok = client_login(c);

    put32(&m, 16);
    put32(&m, STOP_CODE);
    put32(&m, c->pid);
    put32(&m, c->key);
    ok = client_open(&other) && client_send(&other, &m) && client_at_end(&other) && ok;
    if (other.fd >= 0)
        close(other.fd);
    /* The request may come late and hit the statement. */
    return ok && client_query(c, "SELECT 1") && (client_ready(c) || c->type == 'E');
}

static bool way_half_startup(struct client *c)
{
    struct strbuf m = STRBUF_INIT;

    put32(&m, 60);
    return client_open(c) && client_send(c, &m);
}

static bool way_half_tls(struct client *c)
{
    struct strbuf m = STRBUF_INIT;
    char answer;

    put32(&m, 8);
    put32(&m, SSL_CODE);
    return client_open(c) && client_send(c, &m) && read_exactly(c, &answer, 1);
}

static bool way_tls(struct client *c)
{
    SSL *tls;

    if (!way_half_tls(c))
        return false;
    tls = SSL_new(tls_context);
    if (!tls || !SSL_set_fd(tls, c->fd) || SSL_connect(tls) != 1) {
        SSL_free(tls);
        return false;
    }
    c->tls = tls;
    return way_query(c);
}

static bool way_half_scram(struct client *c)
{
    return client_startup(c) && client_read(c) && reset(c);
}

static bool way_half_scram_2(struct client *c)
{
    return client_startup(c) && scram_begin(c);
}

static bool way_unread(struct client *c)
{
    return client_login(c) && client_query(c, "SELECT 1");
}

static bool way_transaction(struct client *c)
{
    return client_login(c) && client_query(c, "BEGIN") && client_ready(c) && client_query(c, "SELECT 1") &&
           client_ready(c);
}

static bool way_prepared(struct client *c)
{
    struct strbuf m = STRBUF_INIT;
    bool ok = client_login(c) && client_say(c, 'P', "s\0SELECT 1\0\0", 13);

    strbuf_put(&m, "\0s\0\0\0\0\0\0", 9);
    ok = ok && client_say(c, 'B', m.ptr, m.len) && client_say(c, 'E', "\0\0\0\0", 5) && client_say(c, 'S', "", 0) &&
         client_ready(c);
    strbuf_fini(&m);
    return ok;
}

static bool way_settings(struct client *c)
{
    return client_login(c) && client_query(c, "SET work_mem = '1MB'") && client_ready(c) &&
           client_query(c, "SELECT 1") && client_ready(c) && terminate(c);
}

static const struct way {
    const char *name;
    bool (*go)(struct client *c);
} ways[] = {
    { "query and Terminate", way_query },
    { "dropped", way_drop },
    { "reset", way_reset },
    { "wrong password", way_wrong_password },
    { "cancel request", way_cancel },
    { "half a startup packet", way_half_startup },
    { "half a TLS handshake", way_half_tls },
    { "through TLS", way_tls },
    { "half an exchange, reset", way_half_scram },
    { "half an exchange", way_half_scram_2 },
    { "an answer not read", way_unread },
    { "inside a transaction", way_transaction },
    { "with a prepared statement", way_prepared },
    { "with settings", way_settings },
};

static const struct way login_way = { "login and Terminate", way_login }, idle_way = { "idle", way_drop };

enum mode { MODE_LOGIN, MODE_STORM, MODE_IDLE };
static enum mode mode;

static void *work(void *arg)
{
    struct client c;
    uint32_t i;

    (void)arg;
    while ((i = (uint32_t)atomic_fetch_add(&next_one, 1)) < count) {
        const struct way *way = &login_way;

        if (mode == MODE_STORM)
            way = &ways[i % (sizeof(ways) / sizeof(ways[0]))];
        else if (mode == MODE_IDLE)
            way = &idle_way;
        c = (struct client){ .fd = -1 };
        if (!way->go(&c)) {
            if (atomic_fetch_add(&failed, 1) < 10)
                fprintf(stderr, "%s: failed (%s): %.200s\n", way->name, strerror(errno),
                        c.type == 'E' ? c.body + 1 : "");
        }
        SSL_free(c.tls);
        if (mode != MODE_IDLE && c.fd >= 0)
            close(c.fd);
    }
    return NULL;
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool read_arguments(int argc, char **argv, uint32_t *threads)
{
    static const char *const modes[] = { [MODE_LOGIN] = "login", [MODE_STORM] = "storm", [MODE_IDLE] = "idle" };

    if (argc != 8)
        return false;
    while (strcmp(modes[mode], argv[1]) != 0) {
        if (mode == MODE_IDLE)
            return false;
        mode++;
    }
    port = (uint16_t)atoi(argv[2]);
    database = argv[3];
    user = argv[4];
    password = argv[5];
    *threads = (uint32_t)atoi(argv[6]);
    count = (uint32_t)atoi(argv[7]);
    return *threads > 0 && *threads <= THREADS;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    uint32_t n = 0;
    double began;

    if (!read_arguments(argc, argv, &n)) {
        fprintf(stderr, "usage: login_tool login|storm|idle PORT DATABASE USER PASSWORD THREADS COUNT\n");
        return 2;
    }
    tls_context = SSL_CTX_new(TLS_client_method());
    signal(SIGPIPE, SIG_IGN);
    began = now_s();
    for (uint32_t i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0)
            abort();
    }
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    printf("done %u failed %u seconds %.3f\n", count, (unsigned)atomic_load(&failed), now_s() - began);
    SSL_CTX_free(tls_context);
    fflush(stdout);
    while (mode == MODE_IDLE && getchar() != EOF)
        ;
    return atomic_load(&failed) ? 1 : 0;
}
