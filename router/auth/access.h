/*
 * What decides on logins, read from files together with the configuration: rules, maps, users, certificates. Immutable,
 * reference-counted; a reload makes a new one, and a login that runs keeps the one it began with. Any thread.
 */
#ifndef ROUTER_AUTH_ACCESS_H
#define ROUTER_AUTH_ACCESS_H

#include "base/address.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/strbuf.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct hba;
struct ident;
struct tls_context;
struct users;

struct access {
    _Atomic uint32_t refs;
    struct hba *hba;         /* owned, as all of them */
    struct ident *ident;     /* NULL: no file */
    struct users *users;     /* NULL: no file */
    struct tls_context *tls; /* NULL: no TLS with clients */
    bool tls_required;       /* a client without it is refused */
    bool cert_required;      /* ... and one without a certificate */
    struct network *proxies; /* whose connections begin with a PROXY header */
    size_t nproxy;
};

/* Read what the configuration names. NULL on failure: *e is PB0501 with the first problem, and `report` (may be NULL)
 * has all of them, one a line. Blocks. */
MUSTCHECK struct access *access_load(const struct config *c, struct strbuf *report, struct err *e);
struct access *access_ref(struct access *a);
void access_unref(struct access *a); /* NULL is fine */
/* Does this address send a PROXY header? */
bool access_is_proxy(const struct access *a, const struct address *peer);

#endif
