#include "net/scram.h"

#include "base/base64.h"
#include "base/mem.h"

#include <gsasl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_LEN     18u /* bytes of ours, 24 characters */
#define MOCK_SALT_LEN 16u
#define BINDING_TYPE  "tls-server-end-point"
#define BINDING_HEAD  "p=" BINDING_TYPE ",,"

/* --- hashes --- */

static void hmac(const uint8_t key[SCRAM_KEY_LEN], const void *data, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
    unsigned n = SCRAM_KEY_LEN;

    BUG_ON(!HMAC(EVP_sha256(), key, SCRAM_KEY_LEN, data, len, out, &n) || n != SCRAM_KEY_LEN);
}

static void sha256(const void *data, size_t len, uint8_t out[SCRAM_KEY_LEN])
{
    unsigned n = SCRAM_KEY_LEN;

    BUG_ON(!EVP_Digest(data, len, out, &n, EVP_sha256(), NULL));
}

/* --- verifiers --- */

/* Everything up to the next `stop`, which is taken off too. */
static bool cut(struct span *rest, char stop, struct span *piece)
{
    const char *at = memchr(rest->ptr, stop, rest->len);

    if (!at)
        return false;
    *piece = span_make(rest->ptr, (size_t)(at - rest->ptr));
    *rest = span_make(at + 1, rest->len - piece->len - 1);
    return true;
}

static bool parse_iterations(struct span s, uint32_t *out)
{
    uint32_t n = 0;

    if (s.len == 0 || s.len > 8)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(s.ptr[i] - '0');
    }
    *out = n;
    return n > 0;
}

bool scram_verifier_parse(struct span text, struct scram_verifier *v)
{
    struct span rest = text, scheme, iterations, salt, stored;
    size_t salt_len = 0, stored_len = 0, server_len = 0;

    *v = (struct scram_verifier){ 0 };
    if (text.len == 0 || !cut(&rest, '$', &scheme) || !span_eq_str(scheme, SCRAM_MECHANISM) ||
        !cut(&rest, ':', &iterations) || !cut(&rest, '$', &salt) || !cut(&rest, ':', &stored) ||
        !parse_iterations(iterations, &v->iterations) || !base64_decode(salt, v->salt, SCRAM_SALT_MAX, &salt_len) ||
        !base64_decode(stored, v->stored_key, SCRAM_KEY_LEN, &stored_len) ||
        !base64_decode(rest, v->server_key, SCRAM_KEY_LEN, &server_len))
        return false;
    v->salt_len = (uint32_t)salt_len;
    return salt_len > 0 && stored_len == SCRAM_KEY_LEN && server_len == SCRAM_KEY_LEN;
}

void scram_verifier_print(const struct scram_verifier *v, struct strbuf *out)
{
    strbuf_printf(out, SCRAM_MECHANISM "$%u:", v->iterations);
    base64_put(out, v->salt, v->salt_len);
    strbuf_putc(out, '$');
    base64_put(out, v->stored_key, SCRAM_KEY_LEN);
    strbuf_putc(out, ':');
    base64_put(out, v->server_key, SCRAM_KEY_LEN);
}

/* As PostgreSQL: a password that SASLprep refuses (not UTF-8, for one) is taken as it is. */
static void salt_password(const char *password, const struct scram_verifier *v, uint8_t out[SCRAM_KEY_LEN])
{
    char *prepared = NULL;
    const char *use = password;

    if (gsasl_saslprep(password, (Gsasl_saslprep_flags)0, &prepared, NULL) == GSASL_OK)
        use = prepared;
    BUG_ON(PKCS5_PBKDF2_HMAC(use, (int)strlen(use), v->salt, (int)v->salt_len, (int)v->iterations, EVP_sha256(),
                             (int)SCRAM_KEY_LEN, out) != 1);
    if (prepared) {
        explicit_bzero(prepared, strlen(prepared));
        gsasl_free(prepared);
    }
}

void scram_verifier_make(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                         struct scram_verifier *v)
{
    uint8_t salted[SCRAM_KEY_LEN], client_key[SCRAM_KEY_LEN];

    *v = (struct scram_verifier){ .iterations = iterations, .salt_len = salt ? (uint32_t)salt_len : MOCK_SALT_LEN };
    BUG_ON(v->salt_len > SCRAM_SALT_MAX);
    if (salt)
        memcpy(v->salt, salt, salt_len);
    else
        BUG_ON(RAND_bytes(v->salt, (int)v->salt_len) != 1);
    salt_password(password, v, salted);
    hmac(salted, "Client Key", 10, client_key);
    sha256(client_key, SCRAM_KEY_LEN, v->stored_key);
    hmac(salted, "Server Key", 10, v->server_key);
    explicit_bzero(salted, sizeof(salted));
    explicit_bzero(client_key, sizeof(client_key));
}

bool scram_verifier_check(const struct scram_verifier *v, const char *password)
{
    struct scram_verifier mine;
    bool same;

    scram_verifier_make(password, v->salt, v->salt_len, v->iterations, &mine);
    same = CRYPTO_memcmp(mine.server_key, v->server_key, SCRAM_KEY_LEN) == 0;
    explicit_bzero(&mine, sizeof(mine));
    return same;
}

void scram_verifier_mock(struct span user, struct span secret, struct scram_verifier *v)
{
    struct strbuf text = STRBUF_INIT;
    uint8_t hash[SCRAM_KEY_LEN];

    *v = (struct scram_verifier){ .iterations = SCRAM_ITERATIONS, .salt_len = MOCK_SALT_LEN };
    strbuf_put(&text, user.ptr, user.len);
    strbuf_putc(&text, '\0');
    strbuf_put(&text, secret.ptr, secret.len);
    sha256(text.ptr, text.len, hash);
    memcpy(v->salt, hash, MOCK_SALT_LEN);
    strbuf_fini(&text);
}

/* --- messages --- */

static bool malformed(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

static bool malformed(struct err *e, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(e, PB0101, "malformed SCRAM message");
    return err_detail(e, "%s", text);
}

/* How PostgreSQL shows a character of the client's in an error. */
static const char *shown(char c, char buf[8])
{
    if (c >= 0x21 && c <= 0x7E)
        snprintf(buf, 8, "%c", c);
    else
        snprintf(buf, 8, "0x%02x", (unsigned char)c);
    return buf;
}

/* The value of the attribute `name` at *p, up to a comma or the end; *p goes behind it. */
static bool read_attribute(char **p, char name, char **value, struct err *e)
{
    char *end, buf[8];

    if (**p != name)
        return malformed(e, "Expected attribute \"%c\" but found \"%s\".", name, shown(**p, buf));
    if ((*p)[1] != '=')
        return malformed(e, "Expected character \"=\" for attribute \"%c\".", name);
    *value = *p + 2;
    end = *value + strcspn(*value, ",");
    *p = *end ? end + 1 : end;
    *end = '\0';
    return true;
}

static bool read_any_attribute(char **p, char *name, char **value, struct err *e)
{
    char c = **p, buf[8];

    if (c == '\0')
        return malformed(e, "Attribute expected, but found end of string.");
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
        return malformed(e, "Attribute expected, but found invalid character \"%s\".", shown(c, buf));
    *name = c;
    return read_attribute(p, c, value, e);
}

/* A copy that is a string: its length must be the message's. */
static char *message_text(struct span message, struct err *e)
{
    if (message.len == 0) {
        malformed(e, "The message is empty.");
        return NULL;
    }
    if (memchr(message.ptr, 0, message.len)) {
        malformed(e, "Message length does not match input length.");
        return NULL;
    }
    return mem_strndup(message.ptr, message.len);
}

static bool comma(char **p, struct err *e)
{
    char buf[8];

    if (**p != ',')
        return malformed(e, "Comma expected, but found character \"%s\".", shown(**p, buf));
    (*p)++;
    return true;
}

static bool read_binding_flag(struct scram *x, char **p, struct err *e)
{
    char *type = *p, buf[8];

    x->flag = **p;
    switch (x->flag) {
    case 'n':
    case 'y':
        if (x->plus)
            return malformed(e, "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include "
                                "channel binding data.");
        if (x->flag == 'y' && x->encrypted) {
            err_set(e, PB0312, "SCRAM channel binding negotiation error");
            return err_detail(e, "The client supports SCRAM channel binding but thinks the server does not.  However, "
                                 "this server does support channel binding.");
        }
        (*p)++;
        return comma(p, e);
    case 'p':
        if (!x->plus)
            return malformed(e, "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
                                "includes channel binding data.");
        if (!read_attribute(p, 'p', &type, e))
            return false;
        if (strcmp(type, BINDING_TYPE) != 0)
            return err_set(e, PB0101, "unsupported SCRAM channel-binding type \"%.40s\"", type);
        return true;
    default:
        return malformed(e, "Unexpected channel-binding flag \"%s\".", shown(x->flag, buf));
    }
}

static bool read_first(struct scram *x, char *text, char **nonce, struct err *e)
{
    char *p = text, *name_value, *value, name, buf[8];

    *nonce = text;
    if (!read_binding_flag(x, &p, e))
        return false;
    if (*p == 'a') {
        err_set(e, PB0101, "client uses authorization identity, but it is not supported");
        return err_state(e, "0A000");
    }
    if (*p != ',')
        return malformed(e, "Unexpected attribute \"%s\" in client-first-message.", shown(*p, buf));
    p++;
    x->client_first_bare = mem_strdup(p);
    if (*p == 'm') {
        err_set(e, PB0101, "client requires an unsupported SCRAM extension");
        return err_state(e, "0A000");
    }
    if (!read_attribute(&p, 'n', &name_value, e) || !read_attribute(&p, 'r', nonce, e))
        return false;
    for (const char *c = *nonce; *c; c++) {
        if (*c < 0x21 || *c > 0x7E)
            return err_set(e, PB0101, "non-printable characters in SCRAM nonce");
    }
    while (*p) {
        if (!read_any_attribute(&p, &name, &value, e))
            return false;
    }
    return true;
}

bool scram_first(struct scram *x, struct span message, struct strbuf *out, struct err *e)
{
    char *text = message_text(message, e), *nonce = NULL;
    struct strbuf first = STRBUF_INIT;
    uint8_t ours[NONCE_LEN];
    bool ok;

    BUG_ON(x->client_first_bare);
    if (!text)
        return false;
    ok = read_first(x, text, &nonce, e);
    if (ok) {
        BUG_ON(RAND_bytes(ours, sizeof(ours)) != 1);
        strbuf_printf(&first, "r=%s", nonce);
        base64_put(&first, ours, sizeof(ours));
        x->nonce_len = first.len - 2;
        strbuf_puts(&first, ",s=");
        base64_put(&first, x->verifier.salt, x->verifier.salt_len);
        strbuf_printf(&first, ",i=%u", x->verifier.iterations);
        strbuf_put(out, first.ptr, first.len);
        x->server_first = strbuf_take(&first);
        x->nonce = x->server_first + 2;
    }
    free(text);
    return ok;
}

/* The binding is what was said first, and with TLS the server's certificate. */
static bool check_binding(const struct scram *x, const char *binding, struct err *e)
{
    struct strbuf data = STRBUF_INIT, want = STRBUF_INIT;
    bool same;

    if (x->flag == 'p') {
        strbuf_puts(&data, BINDING_HEAD);
        strbuf_put(&data, x->end_point.ptr, x->end_point.len);
        base64_put(&want, data.ptr, data.len);
    } else {
        strbuf_puts(&want, x->flag == 'y' ? "eSws" : "biws");
    }
    same = strcmp(binding, strbuf_str(&want)) == 0;
    strbuf_fini(&data);
    strbuf_fini(&want);
    if (same)
        return true;
    if (x->flag == 'p')
        return err_set(e, PB0312, "SCRAM channel binding check failed");
    return err_set(e, PB0101, "unexpected SCRAM channel-binding attribute in client-final-message");
}

static bool read_final(const struct scram *x, char *text, size_t *without_proof, uint8_t proof[SCRAM_KEY_LEN],
                       struct err *e)
{
    char *p = text, *binding = text, *nonce = text, *value = text, *attribute, name = '\0';
    size_t len = 0;

    if (!read_attribute(&p, 'c', &binding, e) || !check_binding(x, binding, e) || !read_attribute(&p, 'r', &nonce, e))
        return false;
    do {
        attribute = p;
        if (!read_any_attribute(&p, &name, &value, e))
            return false;
    } while (name != 'p');
    if (!base64_decode(span_str(value), proof, SCRAM_KEY_LEN, &len) || len != SCRAM_KEY_LEN)
        return malformed(e, "Malformed proof in client-final-message.");
    if (*p)
        return malformed(e, "Garbage found at the end of client-final-message.");
    *without_proof = (size_t)(attribute - text) - 1;
    if (strlen(nonce) != x->nonce_len || memcmp(nonce, x->nonce, x->nonce_len) != 0) {
        err_set(e, PB0101, "invalid SCRAM response");
        return err_detail(e, "Nonce does not match.");
    }
    return true;
}

enum scram_verdict scram_final(struct scram *x, struct span message, struct strbuf *out, struct err *e)
{
    uint8_t proof[SCRAM_KEY_LEN], signature[SCRAM_KEY_LEN], key[SCRAM_KEY_LEN];
    struct strbuf auth = STRBUF_INIT;
    size_t without_proof = 0;
    char *text = message_text(message, e);
    bool ok;

    BUG_ON(!x->server_first);
    if (!text)
        return SCRAM_BROKEN;
    ok = read_final(x, text, &without_proof, proof, e);
    free(text);
    if (!ok)
        return SCRAM_BROKEN;
    strbuf_printf(&auth, "%s,%s,", x->client_first_bare, x->server_first);
    strbuf_put(&auth, message.ptr, without_proof);
    hmac(x->verifier.stored_key, auth.ptr, auth.len, signature);
    for (size_t i = 0; i < SCRAM_KEY_LEN; i++)
        key[i] = proof[i] ^ signature[i];
    sha256(key, SCRAM_KEY_LEN, key);
    ok = CRYPTO_memcmp(key, x->verifier.stored_key, SCRAM_KEY_LEN) == 0 && !x->doomed;
    if (ok) {
        hmac(x->verifier.server_key, auth.ptr, auth.len, signature);
        strbuf_puts(out, "v=");
        base64_put(out, signature, SCRAM_KEY_LEN);
    }
    strbuf_fini(&auth);
    return ok ? SCRAM_PROVEN : SCRAM_WRONG;
}

void scram_fini(struct scram *x)
{
    free(x->client_first_bare);
    free(x->server_first);
    explicit_bzero(x, sizeof(*x));
}
