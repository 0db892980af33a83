/*
 * Who may log in from where, and how that is proved: a file in pg_hba.conf's syntax. The first rule that matches a
 * connection decides; without one it is refused.
 *
 *   local        DATABASE USER          METHOD [OPTION=VALUE ...]
 *   host...      DATABASE USER ADDRESS  METHOD [OPTION=VALUE ...]
 *
 * As in PostgreSQL: comments, quotes (a quoted word is no keyword), lists with commas, @file for a list of names,
 * continuation by a backslash, CIDR or netmask, all, sameuser, samehost, samenet. What the router cannot know is
 * refused with the reason instead of never matching: +role, samerole, host names, regular expressions, other methods.
 *
 * Immutable once parsed; any thread. The parser does no I/O but what `read` does.
 */
#ifndef ROUTER_AUTH_HBA_H
#define ROUTER_AUTH_HBA_H

#include "base/address.h"
#include "base/arena.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/file.h"
#include "base/span.h"

#include <stdbool.h>

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL };
enum hba_method { HBA_TRUST, HBA_REJECT, HBA_SCRAM, HBA_MD5, HBA_PASSWORD, HBA_CERT, HBA_PEER };
enum hba_cert { HBA_CERT_NONE, HBA_CERT_CA, HBA_CERT_FULL };
enum hba_where { HBA_ALL, HBA_NETWORK, HBA_SAMEHOST, HBA_SAMENET };

struct hba_name {
    const char *text;
    bool quoted; /* no keyword */
};

struct hba_names {
    const struct hba_name *names;
    size_t n;
};

struct hba_rule {
    int line;
    enum hba_type type;
    struct hba_names databases, users;
    enum hba_where where;
    struct network network;
    enum hba_method method;
    enum hba_cert clientcert; /* what a client must show on top */
    bool use_dn;              /* the certificate's whole name, not its common name, is the user's */
    const char *map;          /* of ident.h; NULL: none */
};

struct hba {
    struct arena arena;
    const char *path;
    struct hba_rule *rules;
    size_t n;
    struct network *own; /* this machine's addresses with their networks, if a rule needs them */
    size_t nown;
};

/* Reads a file of names for @file, into the string buffer; NULL: @file is refused. */
typedef bool hba_read_fn(void *arg, const char *name, struct strbuf *out, struct err *e);

/* NULL and *problems.e when anything is wrong with the text. */
MUSTCHECK struct hba *hba_parse(struct span text, const char *path, hba_read_fn *read, void *arg,
                                struct problems *problems);
/* The rules without a file: whoever is on this machine (Unix socket, loopback) is trusted, all others are refused. */
struct hba *hba_default(void);
void hba_free(struct hba *h); /* NULL is fine */

struct hba_client {
    struct address address; /* len 0: Unix socket */
    bool tls;
    const char *user, *database;
};

/* NULL: none matches. Borrowed. */
const struct hba_rule *hba_match(const struct hba *h, const struct hba_client *c);
const char *hba_method_name(enum hba_method m);

#endif
