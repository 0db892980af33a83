#include "router/auth/hba.h"

#include "base/mem.h"
#include "base/nearest.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HBA_MAX_FIELDS 64u
#define HBA_MAX_NAMES  100000u /* in one list, @file included */
#define HBA_MAX_OWN    1024u

static const char *const method_names[] = {
    [HBA_TRUST] = "trust",       [HBA_REJECT] = "reject", [HBA_SCRAM] = "scram-sha-256", [HBA_MD5] = "md5",
    [HBA_PASSWORD] = "password", [HBA_CERT] = "cert",     [HBA_PEER] = "peer",
};

/* A column: words between commas. */
struct field {
    struct hba_name *names;
    size_t n, cap;
};

struct parse {
    struct hba *h;
    const char *path;
    int line;
    hba_read_fn *read;
    void *arg;
    struct problems *problems;
    size_t cap;
    bool needs_own;
};

const char *hba_method_name(enum hba_method m)
{
    return method_names[m];
}

/* --- words --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static bool field_add(struct parse *p, struct field *f, const char *text, size_t len, bool quoted, struct err *e)
{
    if (f->n == HBA_MAX_NAMES)
        return err_set(e, PB0501, "the list has more than %u names", HBA_MAX_NAMES);
    if (f->n == f->cap) {
        struct hba_name *more = ARENA_ARRAY(&p->h->arena, struct hba_name, f->cap ? f->cap * 2 : 4);

        if (f->n)
            memcpy(more, f->names, f->n * sizeof(*more));
        f->names = more;
        f->cap = f->cap ? f->cap * 2 : 4;
    }
    f->names[f->n++] = (struct hba_name){ .text = arena_spandup(&p->h->arena, span_make(text, len)), .quoted = quoted };
    return true;
}

/*
 * The next word at *s, into buf. A double quote begins or ends a quoted stretch, two inside are one. Returns false at
 * the end of the line; *comma: a comma follows, so that the next word is of the same field.
 */
static bool next_word(const char **s, const char *end, struct strbuf *buf, bool *quoted, bool *comma, struct err *e)
{
    const char *c = *s;
    bool in_quote = false;

    *quoted = *comma = false;
    strbuf_reset(buf);
    while (c < end && (is_blank(*c) || *c == ','))
        c++;
    if (c == end || *c == '#') {
        *s = end;
        return false;
    }
    for (; c < end && (in_quote || (!is_blank(*c) && *c != ',' && *c != '#')); c++) {
        if (*c != '"') {
            strbuf_putc(buf, *c);
        } else if (in_quote && c + 1 < end && c[1] == '"') {
            strbuf_putc(buf, '"');
            c++;
        } else {
            in_quote = !in_quote;
            *quoted = true;
        }
    }
    if (in_quote)
        return err_set(e, PB0501, "a double quote is not closed");
    while (c < end && is_blank(*c))
        c++;
    if (c < end && *c == ',') {
        *comma = true;
        c++;
    }
    *s = c;
    return true;
}

/* Every word of a file, whatever lines they are on. */
static bool read_names(struct parse *p, struct field *f, const char *name, struct err *e)
{
    struct strbuf text = STRBUF_INIT, word = STRBUF_INIT;
    bool ok = p->read ? p->read(p->arg, name, &text, e) : err_set(e, PB0501, "@%s: no file can be read here", name);
    const char *at, *end;

    if (ok && text.len && memchr(text.ptr, 0, text.len))
        ok = err_set(e, PB0501, "file \"%s\" has a NUL byte", name);
    at = strbuf_str(&text);
    end = at + text.len;
    while (ok && at < end) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        const char *stop = eol ? eol : end;
        bool quoted, comma;

        while (ok && next_word(&at, stop, &word, &quoted, &comma, e)) {
            if (!quoted && word.len && word.ptr[0] == '@')
                ok = err_set(e, PB0501, "file \"%s\" includes another one", name);
            else
                ok = field_add(p, f, strbuf_str(&word), word.len, quoted, e);
        }
        ok = ok && e->id == ERR_NONE;
        at = eol ? eol + 1 : end;
    }
    strbuf_fini(&text);
    strbuf_fini(&word);
    return ok;
}

/* Cut a line into fields. Returns their number; *e is set on failure. */
static size_t cut_line(struct parse *p, const char *line, const char *end, struct field *fields, struct err *e)
{
    struct strbuf word = STRBUF_INIT;
    size_t n = 0;
    bool quoted, comma, same = false;

    while (next_word(&line, end, &word, &quoted, &comma, e)) {
        if (!same) {
            if (n == HBA_MAX_FIELDS) {
                err_set(e, PB0501, "the line has more than %u fields", HBA_MAX_FIELDS);
                break;
            }
            fields[n++] = (struct field){ .n = 0 };
        }
        if (!quoted && word.len > 1 && word.ptr[0] == '@') {
            if (!read_names(p, &fields[n - 1], strbuf_str(&word) + 1, e))
                break;
        } else if (!field_add(p, &fields[n - 1], strbuf_str(&word), word.len, quoted, e)) {
            break;
        }
        same = comma;
    }
    strbuf_fini(&word);
    return n;
}

/* --- a rule --- */

static bool is_word(const struct hba_name *n, const char *keyword)
{
    return !n->quoted && strcmp(n->text, keyword) == 0;
}

static bool single(const struct field *f, const char *what, const char **text, struct err *e)
{
    if (f->n != 1)
        return err_set(e, PB0501, "%s must be a single word", what);
    *text = f->names[0].text;
    return true;
}

static bool rule_type(const char *word, enum hba_type *type, struct err *e)
{
    if (strcmp(word, "local") == 0)
        *type = HBA_LOCAL;
    else if (strcmp(word, "host") == 0 || strcmp(word, "hostnogssenc") == 0) /* there is no GSSAPI encryption */
        *type = HBA_HOST;
    else if (strcmp(word, "hostssl") == 0)
        *type = HBA_HOSTSSL;
    else if (strcmp(word, "hostnossl") == 0)
        *type = HBA_HOSTNOSSL;
    else if (strcmp(word, "hostgssenc") == 0)
        return err_set(e, PB0501, "hostgssenc: GSSAPI encryption is not supported");
    else {
        err_set(e, PB0501, "invalid connection type \"%s\"", word);
        return err_hint(e, "It may be: local, host, hostssl, hostnossl, hostnogssenc.");
    }
    return true;
}

static bool check_names(const struct field *f, bool databases, struct err *e)
{
    if (f->n == 0)
        return err_set(e, PB0501, "the list of %s is empty", databases ? "databases" : "users");
    for (size_t i = 0; i < f->n; i++) {
        const struct hba_name *n = &f->names[i];

        if (n->quoted)
            continue;
        if (n->text[0] == '+' || strcmp(n->text, "samerole") == 0 || strcmp(n->text, "samegroup") == 0) {
            err_set(e, PB0501, "\"%s\": the router does not know the members of roles", n->text);
            return err_hint(e, "List the users, or put them into a file and write @file.");
        }
        if (n->text[0] == '/') {
            err_set(e, PB0501, "\"%s\": regular expressions are not supported here", n->text);
            return err_hint(e, "Put a name that begins with a slash into double quotes.");
        }
    }
    return true;
}

/* Address and, in a field of its own, its netmask. *at is the field to read next. */
static bool rule_address(struct parse *p, const struct field *fields, size_t n, size_t *at, struct hba_rule *r,
                         struct err *e)
{
    const char *text = "", *mask = "";

    if (*at >= n)
        return err_set(e, PB0501, "end of line before the address");
    if (!single(&fields[*at], "the address", &text, e))
        return false;
    r->where = HBA_NETWORK;
    if (is_word(&fields[*at].names[0], "all"))
        r->where = HBA_ALL;
    else if (is_word(&fields[*at].names[0], "samehost"))
        r->where = HBA_SAMEHOST;
    else if (is_word(&fields[*at].names[0], "samenet"))
        r->where = HBA_SAMENET;
    p->needs_own = p->needs_own || r->where == HBA_SAMEHOST || r->where == HBA_SAMENET;
    (*at)++;
    if (r->where != HBA_NETWORK)
        return true;
    if (!network_parse(text, &r->network)) {
        err_set(e, PB0501, "invalid address \"%s\"", text);
        return err_hint(
            e, "Write a numeric address as 10.0.0.0/8, 10.0.0.0 255.0.0.0 or ::1/128, or all, samehost, samenet. "
               "Host names are not supported.");
    }
    if (strchr(text, '/'))
        return true;
    if (*at >= n)
        return err_set(e, PB0501, "end of line before the netmask");
    if (!single(&fields[*at], "the netmask", &mask, e))
        return false;
    if (!address_parse(mask, &r->network.mask) || r->network.mask.len != r->network.base.len)
        return err_set(e, PB0501, "invalid netmask \"%s\" of address \"%s\"", mask, text);
    (*at)++;
    return true;
}

static bool rule_method(const char *word, struct hba_rule *r, struct err *e)
{
    struct nearest near = nearest_make(word);

    for (size_t i = 0; i < ARRAY_LEN(method_names); i++) {
        nearest_offer(&near, method_names[i]);
        if (strcmp(word, method_names[i]) == 0) {
            r->method = (enum hba_method)i;
            return true;
        }
    }
    if (strcmp(word, "ident") == 0 && r->type == HBA_LOCAL) { /* as PostgreSQL takes it */
        r->method = HBA_PEER;
        return true;
    }
    err_set(e, PB0501, "authentication method \"%s\" is not supported", word);
    if (nearest_get(&near))
        return err_hint(e, "Did you mean \"%s\"?", nearest_get(&near));
    return err_hint(e, "It may be: trust, reject, scram-sha-256, md5, password, cert, peer.");
}

static bool option_clientcert(struct hba_rule *r, const char *value, struct err *e)
{
    if (r->type != HBA_HOSTSSL)
        return err_set(e, PB0501, "clientcert can only be set for \"hostssl\" lines");
    if (strcmp(value, "verify-full") == 0)
        r->clientcert = HBA_CERT_FULL;
    else if (strcmp(value, "verify-ca") == 0 && r->method == HBA_CERT)
        return err_set(e, PB0501, "clientcert only accepts \"verify-full\" with method cert");
    else if (strcmp(value, "verify-ca") == 0)
        r->clientcert = HBA_CERT_CA;
    else
        return err_set(e, PB0501, "invalid value for clientcert: \"%s\"", value);
    return true;
}

static bool rule_option(struct parse *p, struct hba_rule *r, const char *text, struct err *e)
{
    const char *equals = strchr(text, '=');
    struct span name = span_make(text, equals ? (size_t)(equals - text) : 0);

    if (!equals)
        return err_set(e, PB0501, "option \"%s\" is not of the form name=value", text);
    if (span_eq_str(name, "clientcert"))
        return option_clientcert(r, equals + 1, e);
    if (span_eq_str(name, "map")) {
        r->map = arena_strdup(&p->h->arena, equals + 1);
        return true;
    }
    if (span_eq_str(name, "clientname")) {
        r->use_dn = strcmp(equals + 1, "DN") == 0;
        if (r->use_dn || strcmp(equals + 1, "CN") == 0)
            return true;
        return err_set(e, PB0501, "invalid value for clientname: \"%s\"", equals + 1);
    }
    return err_set(e, PB0501, "unknown option \"%.*s\"", (int)name.len, name.ptr);
}

static bool rule_check(const struct hba_rule *r, struct err *e)
{
    if (r->method == HBA_PEER && r->type != HBA_LOCAL)
        return err_set(e, PB0501, "method peer is for local connections only");
    if (r->method == HBA_CERT && r->type != HBA_HOSTSSL)
        return err_set(e, PB0501, "method cert is for hostssl connections only");
    if (r->map && r->method != HBA_PEER && r->method != HBA_CERT)
        return err_set(e, PB0501, "map is for methods peer and cert only");
    if (r->use_dn && r->clientcert != HBA_CERT_FULL)
        return err_set(e, PB0501, "clientname is for method cert and clientcert=verify-full only");
    return true;
}

static struct hba_names take_names(const struct field *f)
{
    return (struct hba_names){ .names = f->names, .n = f->n };
}

static bool parse_rule(struct parse *p, const struct field *fields, size_t n, struct hba_rule *r, struct err *e)
{
    const char *text = "";
    size_t at = 3;

    *r = (struct hba_rule){ .line = p->line };
    if (!single(&fields[0], "the connection type", &text, e) || !rule_type(text, &r->type, e))
        return false;
    if (n < 3)
        return err_set(e, PB0501, "end of line before the %s", n < 2 ? "database" : "user");
    if (!check_names(&fields[1], true, e) || !check_names(&fields[2], false, e))
        return false;
    r->databases = take_names(&fields[1]);
    r->users = take_names(&fields[2]);
    if (r->type != HBA_LOCAL && !rule_address(p, fields, n, &at, r, e))
        return false;
    if (at >= n)
        return err_set(e, PB0501, "end of line before the authentication method");
    if (!single(&fields[at++], "the authentication method", &text, e) || !rule_method(text, r, e))
        return false;
    if (r->method == HBA_CERT)
        r->clientcert = HBA_CERT_FULL;
    for (; at < n; at++) {
        for (size_t i = 0; i < fields[at].n; i++) {
            if (!rule_option(p, r, fields[at].names[i].text, e))
                return false;
        }
    }
    return rule_check(r, e);
}

static void add_rule(struct hba *h, size_t *cap, const struct hba_rule *r)
{
    if (h->n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        h->rules = mem_realloc(h->rules, *cap * sizeof(*h->rules));
    }
    h->rules[h->n++] = *r;
}

/* --- the file --- */

static void parse_line(struct parse *p, const char *line, const char *end)
{
    struct field fields[HBA_MAX_FIELDS];
    struct err e = ERR_INIT;
    struct hba_rule r;
    size_t n = cut_line(p, line, end, fields, &e);

    if (e.id != ERR_NONE || (n > 0 && !parse_rule(p, fields, n, &r, &e)))
        problems_add(p->problems, p->path, p->line, &e);
    else if (n > 0)
        add_rule(p->h, &p->cap, &r);
}

static struct address sockaddr_address(const struct sockaddr *sa)
{
    if (sa && sa->sa_family == AF_INET)
        return address_make(&((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    if (sa && sa->sa_family == AF_INET6)
        return address_make(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    return (struct address){ .len = 0 };
}

/* The addresses are those of the time of the load. */
static void load_own(struct hba *h)
{
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) != 0)
        return;
    h->own = ARENA_ARRAY(&h->arena, struct network, HBA_MAX_OWN);
    for (const struct ifaddrs *i = list; i && h->nown < HBA_MAX_OWN; i = i->ifa_next) {
        struct network n = { .base = sockaddr_address(i->ifa_addr), .mask = sockaddr_address(i->ifa_netmask) };

        if (n.base.len && n.mask.len == n.base.len)
            h->own[h->nown++] = n;
    }
    freeifaddrs(list);
}

struct hba *hba_parse(struct span text, const char *path, hba_read_fn *read, void *arg, struct problems *problems)
{
    struct parse p = {
        .h = mem_zalloc(sizeof(struct hba)), .path = path, .read = read, .arg = arg, .problems = problems
    };
    const char *at = text.ptr, *end = text.ptr + text.len;
    struct strbuf line = STRBUF_INIT;
    unsigned before = problems->n;
    int lines = 1;

    arena_init(&p.h->arena, 0);
    p.h->path = arena_strdup(&p.h->arena, path);
    if (text.len && memchr(text.ptr, 0, text.len)) {
        struct err e = ERR_INIT;

        err_set(&e, PB0501, "the file has a NUL byte");
        problems_add(problems, path, 1, &e);
        end = at;
    }
    while (at < end) {
        const char *eol;
        bool more;

        strbuf_reset(&line);
        p.line = lines;
        do {
            size_t len;

            eol = memchr(at, '\n', (size_t)(end - at));
            len = (size_t)((eol ? eol : end) - at);
            if (len && at[len - 1] == '\r')
                len--;
            more = eol && len && at[len - 1] == '\\';
            strbuf_put(&line, at, more ? len - 1 : len);
            at = eol ? eol + 1 : end;
            lines++;
        } while (more && at < end);
        parse_line(&p, strbuf_str(&line), strbuf_str(&line) + line.len);
    }
    strbuf_fini(&line);
    if (problems->n != before) {
        hba_free(p.h);
        return NULL;
    }
    if (p.needs_own)
        load_own(p.h);
    return p.h;
}

struct hba *hba_default(void)
{
    struct err e = ERR_INIT;
    struct problems problems = { .e = &e };
    struct hba *h = hba_parse(SPAN("local all all trust\nhost all all 127.0.0.0/8 trust\nhost all all ::1/128 trust\n"),
                              "default rules", NULL, NULL, &problems);

    BUG_ON(!h);
    return h;
}

void hba_free(struct hba *h)
{
    if (!h)
        return;
    arena_fini(&h->arena);
    free(h->rules);
    free(h);
}

/* --- matching --- */

static bool database_matches(const struct hba_names *list, const struct hba_client *c)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct hba_name *n = &list->names[i];

        if (is_word(n, "all") || (is_word(n, "sameuser") && strcmp(c->user, c->database) == 0))
            return true;
        /* Replication connections are refused before this. */
        if (!is_word(n, "replication") && !is_word(n, "sameuser") && strcmp(n->text, c->database) == 0)
            return true;
    }
    return false;
}

static bool user_matches(const struct hba_names *list, const struct hba_client *c)
{
    for (size_t i = 0; i < list->n; i++) {
        if (is_word(&list->names[i], "all") || strcmp(list->names[i].text, c->user) == 0)
            return true;
    }
    return false;
}

static bool own_matches(const struct hba *h, const struct hba_client *c, bool whole_net)
{
    for (size_t i = 0; i < h->nown; i++) {
        struct network n = h->own[i];

        if (!whole_net)
            (void)!network_mask(n.base.len, n.base.len * 8u, &n.mask);
        if (network_contains(&n, &c->address))
            return true;
    }
    return false;
}

static bool connection_matches(const struct hba *h, const struct hba_rule *r, const struct hba_client *c)
{
    if ((r->type == HBA_LOCAL) != (c->address.len == 0))
        return false;
    if (r->type == HBA_LOCAL)
        return true;
    if ((r->type == HBA_HOSTSSL && !c->tls) || (r->type == HBA_HOSTNOSSL && c->tls))
        return false;
    switch (r->where) {
    case HBA_ALL:
        return true;
    case HBA_NETWORK:
        return network_contains(&r->network, &c->address);
    case HBA_SAMEHOST:
    case HBA_SAMENET:
        return own_matches(h, c, r->where == HBA_SAMENET);
    }
    BUG_ON(true);
}

const struct hba_rule *hba_match(const struct hba *h, const struct hba_client *c)
{
    for (size_t i = 0; i < h->n; i++) {
        const struct hba_rule *r = &h->rules[i];

        if (connection_matches(h, r, c) && database_matches(&r->databases, c) && user_matches(&r->users, c))
            return r;
    }
    return NULL;
}
