#include "net/tls.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct tls_context {
    SSL_CTX *ctx;
    _Atomic uint32_t refs;
    bool has_ca;
    unsigned end_point_len; /* 0: the certificate's signature has no hash */
    unsigned char end_point[EVP_MAX_MD_SIZE];
};

struct tls {
    SSL *ssl;
    struct tls_context *context; /* owned reference; NULL: borrowed from libpq */
    int fd;                      /* borrowed */
    char *early;                 /* bytes that were read before TLS began, owned; NULL: none (any more) */
    size_t early_len, early_off;
};

static const unsigned char alpn[] = { 10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l' };

/* The oldest error of OpenSSL's queue; the queue is empty afterwards. */
static const char *reason_text(char *buf, size_t cap)
{
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);

    if (code == 0)
        snprintf(buf, cap, "unknown reason");
    else if (reason)
        snprintf(buf, cap, "%s", reason);
    else
        ERR_error_string_n(code, buf, cap);
    ERR_clear_error();
    return buf;
}

/* --- contexts --- */

static bool file_error(struct err *e, const char *what, const char *path)
{
    char reason[160];

    return err_set(e, PB0501, "%s \"%s\" cannot be used: %s", what, path, reason_text(reason, sizeof(reason)));
}

/* PostgreSQL's rule: nobody else may read the key, but root may own it and give it to a group. */
static bool check_key_file(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return err_set(e, PB0501, "private key file \"%s\" cannot be opened: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, PB0501, "private key file \"%s\" is not a regular file", path);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(e, PB0501, "private key file \"%s\" must be owned by the router's user or root", path);
    if ((st.st_uid == 0 && geteuid() != 0 && (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO))) ||
        ((st.st_uid != 0 || geteuid() == 0) && (st.st_mode & (S_IRWXG | S_IRWXO)))) {
        err_set(e, PB0501, "private key file \"%s\" has group or world access", path);
        return err_hint(e, "Set its permissions to u=rw (0600), or to u=rw,g=r (0640) when root owns it.");
    }
    return true;
}

static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0; /* never ask on the terminal */
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                       unsigned inlen, void *arg)
{
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, outlen, alpn, sizeof(alpn), in, inlen) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* OpenSSL's own verdict stands: the callback exists to be asked at all. */
static int keep_verdict(int ok, X509_STORE_CTX *store)
{
    (void)store;
    return ok;
}

static bool load_ca(struct tls_context *c, const struct tls_options *o, struct err *e)
{
    STACK_OF(X509_NAME) * names;

    if (!o->ca_file[0])
        return true;
    names = SSL_load_client_CA_file(o->ca_file);
    if (!names || SSL_CTX_load_verify_locations(c->ctx, o->ca_file, NULL) != 1)
        return file_error(e, "certificate authority file", o->ca_file);
    SSL_CTX_set_client_CA_list(c->ctx, names);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, keep_verdict);
    c->has_ca = true;
    if (!o->crl_file[0])
        return true;
    if (X509_STORE_load_locations(SSL_CTX_get_cert_store(c->ctx), o->crl_file, NULL) != 1)
        return file_error(e, "certificate revocation list", o->crl_file);
    X509_STORE_set_flags(SSL_CTX_get_cert_store(c->ctx), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

/* RFC 5929, section 4.1: the hash of the certificate's signature, but SHA-256 instead of MD5 and SHA-1. */
static void hash_end_point(struct tls_context *c)
{
    X509 *cert = SSL_CTX_get0_certificate(c->ctx);
    const EVP_MD *md;
    int nid = NID_undef;

    if (!cert || !X509_get_signature_info(cert, &nid, NULL, NULL, NULL) || nid == NID_undef)
        return;
    md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
    if (!md || !X509_digest(cert, md, c->end_point, &c->end_point_len))
        c->end_point_len = 0;
}

static bool context_load(struct tls_context *c, const struct tls_options *o, struct err *e)
{
    if (SSL_CTX_use_certificate_chain_file(c->ctx, o->cert_file) != 1)
        return file_error(e, "certificate file", o->cert_file);
    if (!check_key_file(o->key_file, e))
        return false;
    if (SSL_CTX_use_PrivateKey_file(c->ctx, o->key_file, SSL_FILETYPE_PEM) != 1)
        return file_error(e, "private key file", o->key_file);
    if (SSL_CTX_check_private_key(c->ctx) != 1)
        return file_error(e, "private key file", o->key_file);
    if (SSL_CTX_set_cipher_list(c->ctx, o->ciphers) != 1)
        return err_set(e, PB0501, "\"%s\" names no usable ciphers", o->ciphers);
    if (!load_ca(c, o, e))
        return false;
    hash_end_point(c);
    return true;
}

struct tls_context *tls_context_new(const struct tls_options *o, struct err *e)
{
    struct tls_context *c = mem_zalloc(sizeof(*c));

    ERR_clear_error();
    atomic_init(&c->refs, 1);
    c->ctx = SSL_CTX_new(TLS_server_method());
    BUG_ON(!c->ctx);
    SSL_CTX_set_default_passwd_cb(c->ctx, no_passphrase);
    SSL_CTX_set_min_proto_version(c->ctx, o->only_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(c->ctx, 0);
    SSL_CTX_set_mode(c->ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(c->ctx, 1);
    SSL_CTX_set_alpn_select_cb(c->ctx, choose_alpn, NULL);
    if (context_load(c, o, e))
        return c;
    tls_context_unref(c);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    SSL_CTX_free(c->ctx);
    free(c);
}

bool tls_context_has_ca(const struct tls_context *c)
{
    return c->has_ca;
}

/* --- the socket below --- */

/* OpenSSL's own socket BIO cannot give back what was read before, and raises SIGPIPE. */

static int bio_read(BIO *bio, char *buf, int cap)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    if (t->early) {
        size_t left = t->early_len - t->early_off;
        size_t part = (size_t)cap < left ? (size_t)cap : left;

        memcpy(buf, t->early + t->early_off, part);
        t->early_off += part;
        if (t->early_off == t->early_len) {
            free(t->early);
            t->early = NULL;
        }
        return (int)part;
    }
    n = recv(t->fd, buf, (size_t)cap, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)n;
}

static int bio_write(BIO *bio, const char *buf, int len)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t n = send(t->fd, buf, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);

    BIO_clear_retry_flags(bio);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void bio_init(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgbraid socket");
    BUG_ON(!bio_method || BIO_meth_set_read(bio_method, bio_read) != 1 ||
           BIO_meth_set_write(bio_method, bio_write) != 1 || BIO_meth_set_ctrl(bio_method, bio_ctrl) != 1);
}

/* --- connections --- */

struct tls *tls_accept(struct tls_context *c, int fd, struct span early)
{
    struct tls *t = mem_zalloc(sizeof(*t));
    BIO *bio;

    BUG_ON(pthread_once(&bio_once, bio_init) != 0);
    bio = BIO_new(bio_method);
    t->context = tls_context_ref(c);
    t->ssl = SSL_new(c->ctx);
    t->fd = fd;
    BUG_ON(!bio || !t->ssl);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_accept_state(t->ssl);
    if (early.len) {
        t->early = mem_strndup(early.ptr, early.len);
        t->early_len = early.len;
    }
    return t;
}

struct tls *tls_borrow(void *ssl)
{
    struct tls *t = mem_zalloc(sizeof(*t));

    t->ssl = ssl;
    SSL_set_mode(t->ssl,
                 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    if (t->context) {
        SSL_free(t->ssl);
        tls_context_unref(t->context);
        free(t->early);
    }
    free(t);
}

void tls_set_fd(struct tls *t, int fd)
{
    t->fd = fd;
}

enum tls_progress tls_handshake(struct tls *t, struct err *e)
{
    char reason[160];
    int rc;

    ERR_clear_error();
    rc = SSL_do_handshake(t->ssl);
    if (rc == 1)
        return TLS_DONE;
    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_SSL:
        err_set(e, PB0101, "could not accept SSL connection: %s", reason_text(reason, sizeof(reason)));
        return TLS_FAILED;
    default:
        err_set(e, PB0101, "could not accept SSL connection: the client closed it");
        ERR_clear_error();
        return TLS_FAILED;
    }
}

/* What the result of a read or write means, as errno. */
static ssize_t io_result(struct tls *t, int rc)
{
    int saved = errno;

    switch (SSL_get_error(t->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = saved;
        return saved ? -1 : 0;
    default:
        ERR_clear_error();
        errno = EPROTO;
        return -1;
    }
}

ssize_t tls_recv(struct tls *t, void *buf, size_t cap)
{
    int rc;

    ERR_clear_error();
    errno = 0;
    rc = SSL_read(t->ssl, buf, cap > INT32_MAX ? INT32_MAX : (int)cap);
    return rc > 0 ? rc : io_result(t, rc);
}

ssize_t tls_send(struct tls *t, const void *buf, size_t len)
{
    ssize_t n;
    int rc;

    if (len == 0)
        return 0;
    ERR_clear_error();
    errno = 0;
    rc = SSL_write(t->ssl, buf, len > INT32_MAX ? INT32_MAX : (int)len);
    if (rc > 0)
        return rc;
    n = io_result(t, rc);
    if (n == 0)
        errno = EPIPE;
    return -1;
}

void tls_shutdown(struct tls *t)
{
    if (!SSL_is_init_finished(t->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* --- what was agreed --- */

bool tls_has_alpn(const struct tls *t)
{
    const unsigned char *proto = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(t->ssl, &proto, &len);
    return len == sizeof(alpn) - 1 && memcmp(proto, alpn + 1, len) == 0;
}

const char *tls_version(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

const char *tls_cipher(const struct tls *t)
{
    const char *name = SSL_get_cipher_name(t->ssl);

    return name ? name : "";
}

struct span tls_end_point(const struct tls *t)
{
    return span_make((const char *)t->context->end_point, t->context->end_point_len);
}

/* A name in memory of ours; NULL when it is empty or has a NUL inside, which would make it look like another one. */
static char *take_name(const char *ptr, long len)
{
    if (len <= 0 || memchr(ptr, 0, (size_t)len))
        return NULL;
    return mem_strndup(ptr, (size_t)len);
}

static char *common_name_of(X509_NAME *subject)
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    char *name;
    int len;

    if (at < 0)
        return NULL;
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len < 0)
        return NULL;
    name = take_name((const char *)text, len);
    OPENSSL_free(text);
    return name;
}

static char *distinguished_name_of(X509_NAME *subject)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL, *name = NULL;

    BUG_ON(!bio);
    if (X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253) != -1) {
        long len = BIO_get_mem_data(bio, &data);

        name = take_name(data, len);
    }
    BIO_free(bio);
    return name;
}

bool tls_peer_names(const struct tls *t, char **common_name, char **distinguished_name)
{
    X509 *cert = SSL_get1_peer_certificate(t->ssl);

    if (!cert)
        return false;
    *common_name = common_name_of(X509_get_subject_name(cert));
    *distinguished_name = distinguished_name_of(X509_get_subject_name(cert));
    X509_free(cert);
    return SSL_get_verify_result(t->ssl) == X509_V_OK;
}
