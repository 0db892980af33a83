/*
 * TLS by OpenSSL: contexts made from certificate files, and connections that read and write like sockets.
 *
 * A context is immutable and reference-counted; a reload makes a new one and connections keep theirs. A connection
 * belongs to one thread at a time: a handshake may run on another thread than the reading and writing later.
 *
 * What it costs: a client with TLS has an SSL object of some 10 KiB; the record buffers (2 x 17 KiB) exist only while a
 * record is incomplete.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct tls;
struct tls_context;

struct tls_options {
    const char *cert_file, *key_file; /* PEM; the certificate with its chain */
    const char *ca_file;              /* whose client certificates are accepted; empty: none are asked for */
    const char *crl_file;             /* revoked ones; empty: none */
    const char *ciphers;              /* of TLS 1.2, OpenSSL's syntax */
    bool only_1_3;                    /* TLS 1.2 is not accepted */
};

/* --- contexts (any thread) --- */

/* For accepting connections. NULL and PB0501 when a file cannot be used, or others may read the key. Blocks. */
MUSTCHECK struct tls_context *tls_context_new(const struct tls_options *o, struct err *e);
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is fine */
/* Client certificates are asked for. */
bool tls_context_has_ca(const struct tls_context *c);

/* --- connections --- */

/* The server's side of a new connection on fd, which stays the caller's; a reference to the context is taken. `early`:
 * what has been read of it already, copied. */
struct tls *tls_accept(struct tls_context *c, int fd, struct span early);
/* A connection that somebody else (libpq) has made and will free: an OpenSSL `SSL *`. */
struct tls *tls_borrow(void *ssl);
void tls_free(struct tls *t); /* NULL is fine */
/* The same connection under another descriptor. Not for borrowed ones. */
void tls_set_fd(struct tls *t, int fd);

enum tls_progress { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED };
/* One step, without waiting. TLS_FAILED: *e is PB0101 with the reason; nothing more can be sent. */
MUSTCHECK enum tls_progress tls_handshake(struct tls *t, struct err *e);

/* As recv and send of a non-blocking socket, errno included; EPROTO: the peer broke the protocol. */
ssize_t tls_recv(struct tls *t, void *buf, size_t cap);
/* Sends at most one record. After EAGAIN the same bytes must come again, more may follow them. */
ssize_t tls_send(struct tls *t, const void *buf, size_t len);
/* Say that nothing more will be sent, if there is room for it. */
void tls_shutdown(struct tls *t);

/* --- what was agreed --- */

/* The client asked for the protocol "postgresql" (ALPN), and got it. */
bool tls_has_alpn(const struct tls *t);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384". Static storage. */
const char *tls_version(const struct tls *t);
const char *tls_cipher(const struct tls *t);
/* Channel binding tls-server-end-point (RFC 5929): the hash of the server's certificate; empty when its signature has
 * none. Lives with the context. */
struct span tls_end_point(const struct tls *t);
/*
 * The client's verified certificate: its common name and its distinguished name (RFC 2253), to be freed by the caller;
 * a name that has a NUL inside, or is missing, is NULL. False: the client gave none.
 */
bool tls_peer_names(const struct tls *t, char **common_name, char **distinguished_name);

#endif
