#include "net/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define MD5_TEXT_LEN 35u /* "md5" and the digits */

static void md5_text(struct span a, struct span b, char out[MD5_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    BUG_ON(!ctx || EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1 || EVP_DigestUpdate(ctx, a.ptr, a.len) != 1 ||
           EVP_DigestUpdate(ctx, b.ptr, b.len) != 1 || EVP_DigestFinal_ex(ctx, hash, &len) != 1 || len != 16);
    EVP_MD_CTX_free(ctx);
    memcpy(out, "md5", 3);
    for (unsigned i = 0; i < 16; i++) {
        out[3 + 2 * i] = digits[hash[i] >> 4];
        out[4 + 2 * i] = digits[hash[i] & 15];
    }
    out[MD5_TEXT_LEN] = '\0';
}

bool secret_parse(struct span text, struct secret *s)
{
    *s = (struct secret){ .kind = SECRET_NONE };
    if (scram_verifier_parse(text, &s->scram)) {
        s->kind = SECRET_SCRAM;
        return true;
    }
    if (text.len != MD5_TEXT_LEN || memcmp(text.ptr, "md5", 3) != 0)
        return false;
    for (size_t i = 3; i < text.len; i++) {
        if (!memchr("0123456789abcdef", text.ptr[i], 16))
            return false;
    }
    s->kind = SECRET_MD5;
    memcpy(s->md5, text.ptr, text.len);
    return true;
}

bool secret_check_password(const struct secret *s, const char *user, const char *password)
{
    char mine[MD5_TEXT_LEN + 1];
    bool same;

    switch (s->kind) {
    case SECRET_MD5:
        md5_text(span_str(password), span_str(user), mine);
        same = CRYPTO_memcmp(mine, s->md5, MD5_TEXT_LEN) == 0;
        explicit_bzero(mine, sizeof(mine));
        return same;
    case SECRET_NONE:
        same = scram_verifier_check(&s->scram, password); /* for its time only */
        return same && s->kind != SECRET_NONE;
    case SECRET_SCRAM:
        return scram_verifier_check(&s->scram, password);
    }
    BUG_ON(true);
}

bool secret_check_md5(const struct secret *s, const uint8_t salt[4], struct span answer)
{
    char want[MD5_TEXT_LEN + 1];

    BUG_ON(s->kind != SECRET_MD5);
    md5_text(span_make(s->md5 + 3, MD5_TEXT_LEN - 3), span_make((const char *)salt, 4), want);
    return answer.len == MD5_TEXT_LEN && CRYPTO_memcmp(want, answer.ptr, MD5_TEXT_LEN) == 0;
}
