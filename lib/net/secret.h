/*
 * What is known of a user's password: a SCRAM verifier or an md5 hash, as PostgreSQL stores them. Any thread.
 */
#ifndef NET_SECRET_H
#define NET_SECRET_H

#include "base/span.h"
#include "net/scram.h"

#include <stdbool.h>
#include <stdint.h>

enum secret_kind { SECRET_NONE, SECRET_MD5, SECRET_SCRAM };

struct secret {
    enum secret_kind kind;
    char md5[36]; /* "md5" and 32 hexadecimal digits of md5(password user) */
    struct scram_verifier scram;
};

/* From a stored form; false when the text is none (a plain password, perhaps). */
MUSTCHECK bool secret_parse(struct span text, struct secret *s);
/* The password in the clear against it. Milliseconds for a SCRAM verifier, and as long for SECRET_NONE, whose mock is
 * asked. */
MUSTCHECK bool secret_check_password(const struct secret *s, const char *user, const char *password);
/* The answer to AuthenticationMD5Password: "md5" and md5(md5(password user) salt). */
MUSTCHECK bool secret_check_md5(const struct secret *s, const uint8_t salt[4], struct span answer);

#endif
