/*
 * SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), as PostgreSQL speaks it: the user name inside the messages is
 * ignored, channel binding is tls-server-end-point. Texts and SQLSTATEs of errors are PostgreSQL's.
 *
 *   client-first   n,,n=,r=<nonce>        or y,,... or p=tls-server-end-point,,...
 *   server-first   r=<nonce><ours>,s=<salt>,i=<iterations>
 *   client-final   c=<binding>,r=<nonce><ours>,p=<proof>
 *   server-final   v=<signature>
 *
 * Why not libgsasl: its server refuses the empty user name that libpq sends, and knows no tls-server-end-point. It
 * serves to normalise passwords (SASLprep).
 *
 * An exchange against a stored verifier costs a few hashes: it may run on a loop. Whatever starts from a password
 * (scram_verifier_make, scram_verifier_check) costs milliseconds and may not. Sans I/O; one thread at a time.
 */
#ifndef NET_SCRAM_H
#define NET_SCRAM_H

#include "base/bug.h"
#include "base/err.h"
#include "base/span.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stdint.h>

#define SCRAM_KEY_LEN    32u
#define SCRAM_SALT_MAX   64u
#define SCRAM_ITERATIONS 4096u
#define SCRAM_MECHANISM  "SCRAM-SHA-256"
#define SCRAM_PLUS       "SCRAM-SHA-256-PLUS"

/* What is stored of a password. */
struct scram_verifier {
    uint32_t iterations;
    uint32_t salt_len;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored_key[SCRAM_KEY_LEN], server_key[SCRAM_KEY_LEN];
};

/* "SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>", as in pg_authid. */
MUSTCHECK bool scram_verifier_parse(struct span text, struct scram_verifier *v);
void scram_verifier_print(const struct scram_verifier *v, struct strbuf *out);
/* From a password, with a salt that may be chosen (NULL: at random). Expensive. */
void scram_verifier_make(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                         struct scram_verifier *v);
/* Is that the password? Expensive. */
MUSTCHECK bool scram_verifier_check(const struct scram_verifier *v, const char *password);
/* For a user that does not exist: always the same salt for a name, as if stored; no password fits. */
void scram_verifier_mock(struct span user, struct span secret, struct scram_verifier *v);

/* One exchange. Zero-initialise, fill the first chapter, call scram_first and scram_final, then scram_fini. */
struct scram {
    struct scram_verifier verifier;
    bool doomed;           /* fails whatever the proof is */
    bool encrypted;        /* the connection has TLS */
    bool plus;             /* the client has chosen SCRAM-SHA-256-PLUS */
    struct span end_point; /* then: the binding data; borrowed */

    char flag;                              /* 'n', 'y' or 'p' */
    char *client_first_bare, *server_first; /* owned */
    const char *nonce;                      /* inside server_first */
    size_t nonce_len;
};

void scram_fini(struct scram *x);
/* client-first in, server-first appended to out. False: *e is the FATAL error to send. */
MUSTCHECK bool scram_first(struct scram *x, struct span message, struct strbuf *out, struct err *e);

enum scram_verdict { SCRAM_PROVEN, SCRAM_WRONG, SCRAM_BROKEN };
/* client-final in; SCRAM_PROVEN: server-final appended to out. SCRAM_WRONG: not the password, or doomed. SCRAM_BROKEN:
 * *e is the FATAL error to send. */
MUSTCHECK enum scram_verdict scram_final(struct scram *x, struct span message, struct strbuf *out, struct err *e);

#endif
