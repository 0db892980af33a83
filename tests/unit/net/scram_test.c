/* SCRAM's server side: the verifier of RFC 7677's example, and exchanges with a client that is written out here. */
#include "net/scram.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char rfc_verifier[] =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static void test_verifier(void **state)
{
    struct scram_verifier v, made;
    struct strbuf out = STRBUF_INIT;

    (void)state;
    assert_true(scram_verifier_parse(span_str(rfc_verifier), &v));
    scram_verifier_make("pencil", v.salt, v.salt_len, 4096, &made);
    scram_verifier_print(&made, &out);
    assert_string_equal(strbuf_str(&out), rfc_verifier);
    assert_true(scram_verifier_check(&v, "pencil"));
    assert_false(scram_verifier_check(&v, "Pencil"));
    strbuf_fini(&out);
}

static void test_verifier_refused(void **state)
{
    struct scram_verifier v;
    char text[sizeof(rfc_verifier)];

    (void)state;
    for (size_t len = 0; len + 1 < sizeof(rfc_verifier); len++)
        assert_false(scram_verifier_parse(span_make(rfc_verifier, len), &v));
    for (size_t i = 0; i + 1 < sizeof(rfc_verifier); i++) {
        memcpy(text, rfc_verifier, sizeof(text));
        text[i] = '\n';
        assert_false(scram_verifier_parse(span_str(text), &v));
    }
    assert_false(scram_verifier_parse(span_str("md53175bce1d3201d16594cebf9d7eb3f9d"), &v));
}

static void hmac(const uint8_t *key, size_t key_len, const char *text, uint8_t out[SCRAM_KEY_LEN])
{
    unsigned len = SCRAM_KEY_LEN;

    assert_non_null(HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)text, strlen(text), out, &len));
}

/* client-final of a client that knows the password. */
static void answer(const char *password, const char *bare, const char *first, const char *without_proof,
                   struct strbuf *out)
{
    uint8_t salted[SCRAM_KEY_LEN], client_key[SCRAM_KEY_LEN], stored[SCRAM_KEY_LEN], signature[SCRAM_KEY_LEN], salt[64];
    struct strbuf auth = STRBUF_INIT;
    const char *s = strstr(first, ",s=") + 3, *i = strstr(first, ",i=") + 3;
    unsigned digest_len;
    size_t salt_len;

    assert_true(base64_decode(span_make(s, (size_t)(i - 3 - s)), salt, sizeof(salt), &salt_len));
    assert_int_equal(PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_len, atoi(i), EVP_sha256(),
                                       SCRAM_KEY_LEN, salted),
                     1);
    hmac(salted, sizeof(salted), "Client Key", client_key);
    assert_int_equal(EVP_Digest(client_key, sizeof(client_key), stored, &digest_len, EVP_sha256(), NULL), 1);
    strbuf_printf(&auth, "%s,%s,%s", bare, first, without_proof);
    hmac(stored, sizeof(stored), strbuf_str(&auth), signature);
    for (size_t k = 0; k < SCRAM_KEY_LEN; k++)
        client_key[k] ^= signature[k];
    strbuf_printf(out, "%s,p=", without_proof);
    base64_put(out, client_key, sizeof(client_key));
    strbuf_fini(&auth);
}

static enum scram_verdict exchange(const char *password, bool doomed, bool other_nonce)
{
    struct scram x = { .doomed = doomed };
    struct strbuf first = STRBUF_INIT, final = STRBUF_INIT, without = STRBUF_INIT, last = STRBUF_INIT;
    struct err e = ERR_INIT;
    enum scram_verdict verdict;

    assert_true(scram_verifier_parse(span_str(rfc_verifier), &x.verifier));
    assert_true(scram_first(&x, span_str("n,,n=,r=rOprNGfwEbeRWWbNEkqO"), &first, &e));
    assert_ptr_equal(strstr(strbuf_str(&first), "r=rOprNGfwEbeRWWbNEkqO"), strbuf_str(&first));
    strbuf_printf(&without, "c=biws,%.*s", (int)(strstr(strbuf_str(&first), ",s=") - strbuf_str(&first)),
                  strbuf_str(&first));
    if (other_nonce)
        without.ptr[without.len - 1] ^= 1;
    answer(password, "n=,r=rOprNGfwEbeRWWbNEkqO", strbuf_str(&first), strbuf_str(&without), &final);
    verdict = scram_final(&x, strbuf_span(&final), &last, &e);
    assert_int_equal(last.len > 0, verdict == SCRAM_PROVEN);
    strbuf_fini(&first);
    strbuf_fini(&final);
    strbuf_fini(&without);
    strbuf_fini(&last);
    scram_fini(&x);
    return verdict;
}

static void test_exchange(void **state)
{
    (void)state;
    assert_int_equal(exchange("pencil", false, false), SCRAM_PROVEN);
    assert_int_equal(exchange("pencil2", false, false), SCRAM_WRONG);
    assert_int_equal(exchange("pencil", true, false), SCRAM_WRONG);
    assert_int_equal(exchange("pencil", false, true), SCRAM_BROKEN);
}

/* Every beginning, and every byte changed, of a good message: an answer or an error, never more than the bytes given.
 */
static void test_hostile(void **state)
{
    static const char good[] = "n,,n=,r=rOprNGfwEbeRWWbNEkqO,x=extension";

    (void)state;
    for (size_t len = 0; len < sizeof(good); len++) {
        for (unsigned b = 0; b < 256; b += 5) {
            struct scram x = { 0 };
            struct strbuf out = STRBUF_INIT;
            struct err e = ERR_INIT;
            char *text = malloc(len ? len : 1); /* of its own size, for the sanitizer */

            assert_non_null(text);
            memcpy(text, good, len);
            if (len)
                text[(len * 7 + b) % len] = (char)b;
            assert_true(scram_verifier_parse(span_str(rfc_verifier), &x.verifier));
            assert_true(scram_first(&x, span_make(text, len), &out, &e) || e.message[0]);
            scram_fini(&x);
            strbuf_fini(&out);
            free(text);
        }
    }
}

static void test_mock(void **state)
{
    struct scram_verifier a, b, c;

    (void)state;
    scram_verifier_mock(span_str("ann"), span_str("secret"), &a);
    scram_verifier_mock(span_str("ann"), span_str("secret"), &b);
    scram_verifier_mock(span_str("bob"), span_str("secret"), &c);
    assert_int_equal(a.salt_len, 16);
    assert_memory_equal(a.salt, b.salt, a.salt_len);
    assert_memory_not_equal(a.salt, c.salt, a.salt_len);
    assert_int_equal(a.iterations, SCRAM_ITERATIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verifier), cmocka_unit_test(test_verifier_refused),
        cmocka_unit_test(test_exchange), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_mock),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
