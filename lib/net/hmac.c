#include "net/hmac.h"

#include "base/bug.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void hmac_text(struct span key, struct span data, char out[HMAC_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    BUG_ON(!HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)data.ptr, data.len, hash, &len));
    BUG_ON(len * 2 != HMAC_TEXT_LEN);
    for (unsigned int i = 0; i < len; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[HMAC_TEXT_LEN] = '\0';
}

bool hmac_equal(const char a[HMAC_TEXT_LEN + 1], struct span b)
{
    return b.len == HMAC_TEXT_LEN && CRYPTO_memcmp(a, b.ptr, HMAC_TEXT_LEN) == 0;
}
