#include "router/auth/access.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "router/auth/hba.h"
#include "router/auth/ident.h"
#include "router/auth/users.h"
#include "router/config/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ACCESS_MAX_FILE  (16u * 1024u * 1024u)
#define ACCESS_MAX_USERS (64u * 1024u * 1024u)

/* A file that does not even open is a problem without a line. */
static bool read_text(const char *what, const char *path, size_t max, struct strbuf *text, struct problems *problems)
{
    struct err e = ERR_INIT;

    if (file_read(what, path, max, text, &e))
        return true;
    if (problems->n++ == 0)
        *problems->e = e;
    if (problems->report)
        strbuf_printf(problems->report, "%s\n", e.message);
    return false;
}

/* @file is relative to the file that names it. */
static bool read_list(void *arg, const char *name, struct strbuf *out, struct err *e)
{
    const char *path = arg, *slash = strrchr(path, '/');
    struct strbuf full = STRBUF_INIT;
    bool ok;

    if (name[0] != '/' && slash)
        strbuf_put(&full, path, (size_t)(slash - path) + 1);
    strbuf_puts(&full, name);
    ok = file_read("file", strbuf_str(&full), ACCESS_MAX_FILE, out, e);
    strbuf_fini(&full);
    return ok;
}

static void load_hba(struct access *a, const char *path, struct problems *problems)
{
    struct strbuf text = STRBUF_INIT;

    if (!path[0]) {
        a->hba = hba_default();
        return;
    }
    if (read_text("hba file", path, ACCESS_MAX_FILE, &text, problems))
        a->hba = hba_parse(strbuf_span(&text), path, read_list, (void *)(uintptr_t)path, problems);
    strbuf_fini(&text);
}

static void load_ident(struct access *a, const char *path, struct problems *problems)
{
    struct strbuf text = STRBUF_INIT;

    if (path[0] && read_text("ident file", path, ACCESS_MAX_FILE, &text, problems))
        a->ident = ident_parse(strbuf_span(&text), path, problems);
    strbuf_fini(&text);
}

static void load_users(struct access *a, const char *path, struct problems *problems)
{
    struct strbuf text = STRBUF_INIT;
    struct stat st;

    if (path[0] && read_text("user list", path, ACCESS_MAX_USERS, &text, problems)) {
        if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO))
            log_line(LOG_WARN, "access", "everybody on this machine may read the user list",
                     "file=\"%s\" hint=\"chmod 600\"", path);
        a->users = users_parse(strbuf_span(&text), path, problems);
    }
    if (text.len)
        explicit_bzero(text.ptr, text.len);
    strbuf_fini(&text);
}

static void load_tls(struct access *a, const struct config *c, struct problems *problems)
{
    struct tls_options o = {
        .cert_file = c->client_tls_cert_file,
        .key_file = c->client_tls_key_file,
        .ca_file = c->client_tls_ca_file,
        .crl_file = c->client_tls_crl_file,
        .ciphers = c->client_tls_ciphers,
        .only_1_3 = c->client_tls_min_version == TLS_MINIMUM_1_3,
    };
    struct err e = ERR_INIT;

    a->tls_required = c->client_tls_sslmode >= TLS_MODE_REQUIRE;
    a->cert_required = c->client_tls_sslmode >= TLS_MODE_VERIFY_CA;
    if (c->client_tls_sslmode == TLS_MODE_DISABLE)
        return;
    if (a->tls_required && !o.cert_file[0])
        err_set(&e, PB0501, "client_tls_sslmode needs client_tls_cert_file and client_tls_key_file");
    else if (a->cert_required && !o.ca_file[0])
        err_set(&e, PB0501, "client_tls_sslmode = verify-ca needs client_tls_ca_file");
    else if (o.cert_file[0])
        a->tls = tls_context_new(&o, &e);
    if (e.id == ERR_NONE)
        return;
    if (problems->n++ == 0)
        *problems->e = e;
    if (problems->report)
        strbuf_printf(problems->report, "%s\n", e.message);
}

/* Rules that could never do what they say. */
static void check_rules(const struct access *a, struct problems *problems)
{
    for (size_t i = 0; a->hba && i < a->hba->n; i++) {
        const struct hba_rule *r = &a->hba->rules[i];
        struct err e = ERR_INIT;

        if (r->clientcert != HBA_CERT_NONE && (!a->tls || !tls_context_has_ca(a->tls))) {
            err_set(&e, PB0501, "client certificates can only be checked if client_tls_ca_file is set");
            problems_add(problems, a->hba->path, r->line, &e);
        } else if (r->map && !ident_has_map(a->ident, r->map)) {
            err_set(&e, PB0501, "there is no map \"%s\" in auth_ident_file", r->map);
            problems_add(problems, a->hba->path, r->line, &e);
        } else if (r->type == HBA_HOSTSSL && !a->tls) {
            log_line(LOG_WARN, "access", "a hostssl rule cannot match without TLS", "file=\"%s\" line=%d", a->hba->path,
                     r->line);
        }
    }
}

static void load_proxies(struct access *a, const struct config *c)
{
    size_t n = 0;

    while (c->proxy_protocol_from[n])
        n++;
    if (n == 0)
        return;
    a->proxies = mem_zalloc(n * sizeof(*a->proxies));
    for (; a->nproxy < n; a->nproxy++)
        BUG_ON(!network_parse(c->proxy_protocol_from[a->nproxy], &a->proxies[a->nproxy])); /* config.c has checked */
}

struct access *access_load(const struct config *c, struct strbuf *report, struct err *e)
{
    struct access *a = mem_zalloc(sizeof(*a));
    struct problems problems = { .report = report, .e = e };

    atomic_init(&a->refs, 1);
    load_hba(a, c->auth_hba_file, &problems);
    load_ident(a, c->auth_ident_file, &problems);
    load_users(a, c->auth_file, &problems);
    load_tls(a, c, &problems);
    load_proxies(a, c);
    if (problems.n == 0)
        check_rules(a, &problems);
    if (problems.n == 0)
        return a;
    if (problems.n > 1)
        err_detail(e, "There are %u problems.", problems.n);
    access_unref(a);
    return NULL;
}

struct access *access_ref(struct access *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void access_unref(struct access *a)
{
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) > 1)
        return;
    hba_free(a->hba);
    ident_free(a->ident);
    users_free(a->users);
    tls_context_unref(a->tls);
    free(a->proxies);
    free(a);
}

bool access_is_proxy(const struct access *a, const struct address *peer)
{
    for (size_t i = 0; i < a->nproxy; i++) {
        if (network_contains(&a->proxies[i], peer))
            return true;
    }
    return false;
}
