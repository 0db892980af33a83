#include "router/auth/auth.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/secret.h"
#include "net/tls.h"
#include "router/auth/access.h"
#include "router/auth/auth_query.h"
#include "router/auth/hba.h"
#include "router/auth/ident.h"
#include "router/auth/login.h"
#include "router/auth/throttle.h"
#include "router/auth/users.h"
#include "router/config/config.h"
#include "router/control.h"
#include "router/router.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/proto.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define PASSWORD_MAX 65535u /* bytes of a message, its length included, as in PostgreSQL */
#define SASL_MAX     1024u

enum step {
    STEP_THREAD,   /* a helper thread works */
    STEP_PASSWORD, /* the client is to send a password in the clear */
    STEP_MD5,
    STEP_SASL_INITIAL, /* ... to choose a mechanism */
    STEP_SASL_FIRST,   /* ... to send client-first, which did not come with the choice */
    STEP_SASL_FINAL
};

/* What a helper thread does. */
enum work { WORK_ASK, WORK_PASSWORD, WORK_PEER };

struct auth {
    struct control_job job;
    struct session *session; /* borrowed; NULL: it closed while a thread worked */
    struct access *access;   /* owned reference */
    const struct hba_rule *rule;
    enum step step;
    struct secret secret; /* SECRET_NONE: the verifier is a mock */
    bool asked;           /* it is auth_query's */
    struct scram scram;
    uint8_t md5_salt[4];
    /* for and from the helper thread */
    char *user;     /* owned */
    char *password; /* owned, wiped */
    enum work work;
    char *database; /* owned; to be asked about */
    struct router *router;
    const struct config *config; /* owned reference */
    uid_t uid;
    bool ok;
    struct err error; /* nobody could be asked */
};

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void auth_free(struct auth *a)
{
    wipe(&a->password);
    scram_fini(&a->scram);
    access_unref(a->access);
    config_unref(a->config);
    free(a->user);
    free(a->database);
    explicit_bzero(&a->secret, sizeof(a->secret));
    free(a);
}

void auth_drop(struct session *s)
{
    struct auth *a = s->auth;

    s->auth = NULL;
    if (!a)
        return;
    if (a->step == STEP_THREAD)
        a->session = NULL;
    else
        auth_free(a);
}

/* --- the end --- */

static struct address address_of(const struct session *s)
{
    struct address a = { .len = 0 };

    if (!address_parse(s->peer.address, &a))
        a.len = 0;
    return a;
}

static void auth_log(const struct session *s, const struct hba_rule *r, const char *why)
{
    log_line(LOG_WARN, "auth", "login refused",
             "user=\"%.63s\" database=\"%.63s\" address=%s method=%s line=%d why=\"%s\"", s->user, s->database,
             s->peer.address, r ? hba_method_name(r->method) : "none", r ? r->line : 0, why);
}

/* The client's error says no more than PostgreSQL's; the log says why. */
static void auth_fail(struct session *s, const char *why)
{
    const struct hba_rule *r = s->auth->rule;
    struct address address = address_of(s);
    struct err e = ERR_INIT;

    auth_log(s, r, why);
    switch (r->method) {
    case HBA_SCRAM:
    case HBA_MD5:
    case HBA_PASSWORD:
        throttle_fail(s->worker->router->throttle, &address, loop_now_us(s->worker->loop));
        if (s->auth->asked)
            auth_answer_forget(s->worker->router->answers, s->database, s->user);
        err_set(&e, PB0319, "password authentication failed for user \"%s\"", s->user);
        break;
    case HBA_CERT:
        err_set(&e, PB0312, "certificate authentication failed for user \"%s\"", s->user);
        break;
    case HBA_PEER:
        err_set(&e, PB0312, "Peer authentication failed for user \"%s\"", s->user);
        break;
    case HBA_TRUST:
        err_set(&e, PB0312, "\"trust\" authentication failed for user \"%s\"", s->user);
        break;
    case HBA_REJECT:
        err_set(&e, PB0312, "authentication failed for user \"%s\": host rejected", s->user);
        break;
    }
    session_fatal(s, &e);
}

/* The certificate's name must be the user's, or be mapped to it. */
static bool certificate_fits(const struct session *s, const struct auth *a)
{
    char *cn = NULL, *dn = NULL;
    bool fits = false;

    if (s->st.tls && tls_peer_names(s->st.tls, &cn, &dn)) {
        const char *name = a->rule->use_dn ? dn : cn;

        fits = name && ident_allows(a->access->ident, a->rule->map, name, s->user);
    }
    free(cn);
    free(dn);
    return fits;
}

/* The method is content. */
static void auth_proved(struct session *s)
{
    struct auth *a = s->auth;

    if (a->rule->clientcert == HBA_CERT_FULL && !certificate_fits(s, a)) {
        auth_fail(s, "the certificate's name does not fit");
        return;
    }
    s->auth = NULL;
    auth_free(a);
    login_proved(s);
}

/* --- helper threads --- */

static bool peer_allowed(const struct auth *a)
{
    struct passwd pw, *found = NULL;
    char buf[4096];

    return getpwuid_r(a->uid, &pw, buf, sizeof(buf), &found) == 0 && found &&
           ident_allows(a->access->ident, a->rule->map, found->pw_name, a->user);
}

static void thread_run(struct control_job *job)
{
    struct auth *a = CONTAINER_OF(job, struct auth, job);

    switch (a->work) {
    case WORK_ASK:
        a->ok = auth_query_blocking(a->router, a->config, a->database, a->user, &a->secret, &a->error);
        break;
    case WORK_PASSWORD:
        a->ok = secret_check_password(&a->secret, a->user, a->password);
        break;
    case WORK_PEER:
        a->ok = peer_allowed(a);
        break;
    }
}

static void ask_for_password(struct session *s);

/* The user's password is known, or that there is none. */
static void asked(struct session *s)
{
    struct auth *a = s->auth;
    struct err e = ERR_INIT;

    if (a->ok) {
        a->asked = true;
        ask_for_password(s);
        return;
    }
    auth_log(s, a->rule, a->error.message);
    err_set(&e, PB0301, "the users of database \"%s\" cannot be looked up now", s->database);
    session_fatal(s, &e);
}

static void thread_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct auth *a = CONTAINER_OF(job, struct auth, job);
    struct session *s = a->session;

    wipe(&a->password);
    a->step = STEP_PASSWORD;
    if (!s)
        auth_free(a);
    else if (a->work == WORK_ASK)
        asked(s);
    else if (a->ok)
        auth_proved(s);
    else
        auth_fail(s, a->work == WORK_PASSWORD ? "wrong password or unknown user" : "the system user does not fit");
}

static void thread_start(struct session *s, enum work work)
{
    struct auth *a = s->auth;
    struct err e = ERR_INIT;

    free(a->user);
    a->user = mem_strdup(s->user);
    a->work = work;
    a->step = STEP_THREAD;
    a->job.run = thread_run;
    a->job.done.fn = thread_done;
    a->job.loop = s->worker->loop;
    if (control_submit(s->worker->router->helpers, &a->job))
        return;
    a->step = STEP_PASSWORD;
    err_set(&e, PB0302, "too many logins are waiting");
    session_fatal(s, &e);
}

/* --- questions --- */

static void send_question(struct session *s, uint32_t code, const void *data, size_t len)
{
    struct strbuf sb = STRBUF_INIT;

    be_put_auth(&sb, code, span_make(data, len));
    session_send(s, sb.ptr, sb.len);
    strbuf_fini(&sb);
}

static void ask_peer(struct session *s)
{
    struct ucred cred = { .uid = (uid_t)-1 };
    socklen_t len = sizeof(cred);

    if (getsockopt(s->st.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
        auth_fail(s, "the system does not tell the peer");
        return;
    }
    s->auth->uid = cred.uid;
    thread_start(s, WORK_PEER);
}

static void ask_md5(struct session *s)
{
    struct auth *a = s->auth;

    BUG_ON(getrandom(a->md5_salt, sizeof(a->md5_salt), 0) != sizeof(a->md5_salt));
    a->step = STEP_MD5;
    send_question(s, AUTH_MD5, a->md5_salt, sizeof(a->md5_salt));
}

static void ask_sasl(struct session *s)
{
    static const char plain[] = SCRAM_MECHANISM "\0", both[] = SCRAM_PLUS "\0" SCRAM_MECHANISM "\0";
    struct auth *a = s->auth;

    a->scram.encrypted = s->st.tls != NULL && tls_end_point(s->st.tls).len > 0;
    a->scram.verifier = a->secret.scram;
    a->scram.doomed = a->secret.kind != SECRET_SCRAM;
    a->step = STEP_SASL_INITIAL;
    /* The list ends with an empty name: the literal's own NUL. */
    if (a->scram.encrypted)
        send_question(s, AUTH_SASL, both, sizeof(both));
    else
        send_question(s, AUTH_SASL, plain, sizeof(plain));
}

/* A secret of a kind that the method cannot use is as good as none. */
static void ask_for_password(struct session *s)
{
    struct auth *a = s->auth;
    enum hba_method method = a->rule->method;

    if (a->secret.kind == SECRET_NONE || (a->secret.kind == SECRET_MD5 && method == HBA_SCRAM)) {
        struct router *r = s->worker->router;

        a->secret.kind = SECRET_NONE;
        scram_verifier_mock(span_str(s->user), span_str(r->mock_secret), &a->secret.scram);
    }
    if (method == HBA_PASSWORD) {
        a->step = STEP_PASSWORD;
        send_question(s, AUTH_PASSWORD, NULL, 0);
    } else if (method == HBA_MD5 && a->secret.kind == SECRET_MD5) {
        ask_md5(s);
    } else {
        ask_sasl(s);
    }
}

/* The list has it, or auth_query does. */
static void find_secret(struct session *s)
{
    struct auth *a = s->auth;
    struct router *r = s->worker->router;
    const struct config *c = s->worker->config;
    const struct secret *listed = users_find(a->access->users, s->user);

    if (listed)
        a->secret = *listed;
    else if (c->auth_user[0])
        a->asked = auth_answer_kept(r->answers, s->database, s->user, c->auth_cache_time_ms, &a->secret);
    if (listed || a->asked || !c->auth_user[0]) {
        ask_for_password(s);
        return;
    }
    a->router = r;
    a->config = config_ref(c);
    a->database = mem_strdup(s->database);
    thread_start(s, WORK_ASK);
}

static void start_password(struct session *s)
{
    const struct config *c = s->worker->config;
    struct address address = address_of(s);
    struct err e = ERR_INIT;

    if (!throttle_allows(s->worker->router->throttle, &address, c->auth_failures_max, loop_now_us(s->worker->loop))) {
        auth_log(s, s->auth->rule, "too many failed logins from this address");
        err_set(&e, PB0320, "too many failed logins from this address");
        err_hint(&e, "Wait a minute.");
        session_fatal(s, &e);
        return;
    }
    if (s->auth->rule->method == HBA_PASSWORD && address.len && !s->st.tls && c->auth_clear_text == SETTING_OFF) {
        auth_log(s, s->auth->rule, "a password in the clear without TLS");
        err_set(&e, PB0312, "the method password needs TLS: it sends the password in the clear");
        err_hint(&e, "Connect with sslmode=require, or set auth_clear_text = on.");
        session_fatal(s, &e);
        return;
    }
    find_secret(s);
}

/* --- answers --- */

static size_t answer_fatal(struct session *s, size_t len, const char *message)
{
    session_fatal_protocol(s, message);
    return len;
}

static void answer_password(struct session *s, struct span body)
{
    struct auth *a = s->auth;
    struct err e = ERR_INIT;

    if (body.len == 0 || memchr(body.ptr, 0, body.len) != body.ptr + body.len - 1) {
        session_fatal_protocol(s, "invalid password packet size");
    } else if (body.len == 1) {
        err_set(&e, PB0319, "empty password returned by client");
        session_fatal(s, &e);
    } else if (a->step == STEP_MD5) {
        if (secret_check_md5(&a->secret, a->md5_salt, span_make(body.ptr, body.len - 1)))
            auth_proved(s);
        else
            auth_fail(s, "wrong password");
    } else {
        a->password = mem_strndup(body.ptr, body.len - 1);
        thread_start(s, WORK_PASSWORD);
    }
}

static void sasl_first(struct session *s, struct span message)
{
    struct auth *a = s->auth;
    struct strbuf out = STRBUF_INIT;
    struct err e = ERR_INIT;

    if (scram_first(&a->scram, message, &out, &e)) {
        a->step = STEP_SASL_FINAL;
        send_question(s, AUTH_SASL_CONTINUE, out.ptr, out.len);
    } else {
        session_fatal(s, &e);
    }
    strbuf_fini(&out);
}

static void sasl_final(struct session *s, struct span message)
{
    struct strbuf out = STRBUF_INIT, last = STRBUF_INIT;
    struct err e = ERR_INIT;

    switch (scram_final(&s->auth->scram, message, &out, &e)) {
    case SCRAM_PROVEN:
        be_put_auth(&last, AUTH_SASL_FINAL, strbuf_span(&out));
        session_hold_back(s, last.ptr, last.len); /* it is no question: what becomes of the login follows */
        strbuf_fini(&last);
        auth_proved(s);
        break;
    case SCRAM_WRONG:
        auth_fail(s, "wrong password or unknown user");
        break;
    case SCRAM_BROKEN:
        auth_log(s, s->auth->rule, e.message);
        session_fatal(s, &e);
        break;
    }
    strbuf_fini(&out);
}

/* SASLInitialResponse: the mechanism's name, int32 length (-1: none), the first message. */
static void sasl_initial(struct session *s, struct span body)
{
    struct auth *a = s->auth;
    const char *end = memchr(body.ptr, 0, body.len);
    struct span name, rest;
    uint32_t n;

    if (!end) {
        session_fatal_protocol(s, "invalid string in message");
        return;
    }
    name = span_make(body.ptr, (size_t)(end - body.ptr));
    rest = span_make(end + 1, body.len - name.len - 1);
    a->scram.plus = a->scram.encrypted && span_eq_str(name, SCRAM_PLUS);
    if (!a->scram.plus && !span_eq_str(name, SCRAM_MECHANISM)) {
        session_fatal_protocol(s, "client selected an invalid SASL authentication mechanism");
        return;
    }
    if (a->scram.plus)
        a->scram.end_point = tls_end_point(s->st.tls);
    if (rest.len < 4) {
        session_fatal_protocol(s, "insufficient data left in message");
        return;
    }
    n = proto_get32(rest.ptr);
    rest = span_make(rest.ptr + 4, rest.len - 4);
    if (n == UINT32_MAX && rest.len == 0) {
        a->step = STEP_SASL_FIRST;
        send_question(s, AUTH_SASL_CONTINUE, NULL, 0);
    } else if (n != UINT32_MAX && n > rest.len) {
        session_fatal_protocol(s, "insufficient data left in message");
    } else if (n == UINT32_MAX || n < rest.len) {
        session_fatal_protocol(s, "invalid message format");
    } else {
        sasl_first(s, rest);
    }
}

size_t auth_feed(struct session *s, const char *data, size_t len)
{
    struct auth *a = s->auth;
    bool sasl = a->step >= STEP_SASL_INITIAL;
    struct span body;
    uint32_t body_len;

    if (a->step == STEP_THREAD)
        return 0;
    if (data[0] != FE_PASSWORD) {
        char text[80];

        snprintf(text, sizeof(text), "expected %s response, got message type %d", sasl ? "SASL" : "password",
                 (unsigned char)data[0]);
        return answer_fatal(s, len, text);
    }
    if (len < PROTO_HEADER)
        return 0;
    body_len = proto_get32(data + 1);
    if (body_len < 4 || body_len > (sasl ? SASL_MAX : PASSWORD_MAX)) {
        /* As PostgreSQL, which says nothing where no SASL is spoken. */
        if (sasl)
            auth_fail(s, "a message of a bad length");
        else
            session_close(s);
        return len;
    }
    if (len < (size_t)body_len + 1)
        return 0;
    body = span_make(data + PROTO_HEADER, body_len - 4);
    switch (a->step) {
    case STEP_PASSWORD:
    case STEP_MD5:
        answer_password(s, body);
        break;
    case STEP_SASL_INITIAL:
        sasl_initial(s, body);
        break;
    case STEP_SASL_FIRST:
        sasl_first(s, body);
        break;
    case STEP_SASL_FINAL:
        sasl_final(s, body);
        break;
    case STEP_THREAD:
        BUG_ON(true);
    }
    return (size_t)body_len + 1;
}

/* --- the rule --- */

/* PostgreSQL's words, with the router's rules in the place of its file. */
static void refuse(struct session *s, const char *what)
{
    struct err e = ERR_INIT;

    auth_log(s, s->auth->rule, what);
    err_set(&e, PB0312, "%s host \"%s\", user \"%s\", database \"%s\", %s", what, s->peer.address, s->user, s->database,
            s->st.tls ? "SSL encryption" : "no encryption");
    if (!s->worker->config->auth_hba_file[0])
        err_hint(&e, "Without auth_hba_file only clients on the router's machine are let in.");
    session_fatal(s, &e);
}

/* A certificate that OpenSSL found good; a bad one has ended the handshake. */
static bool has_certificate(const struct session *s)
{
    char *cn = NULL, *dn = NULL;
    bool has = s->st.tls && tls_peer_names(s->st.tls, &cn, &dn);

    free(cn);
    free(dn);
    return has;
}

static void auth_by_rule(struct session *s)
{
    switch (s->auth->rule->method) {
    case HBA_REJECT:
        refuse(s, "pg_hba.conf rejects connection for");
        break;
    case HBA_TRUST:
    case HBA_CERT:
        auth_proved(s);
        break;
    case HBA_PEER:
        ask_peer(s);
        break;
    case HBA_SCRAM:
    case HBA_MD5:
    case HBA_PASSWORD:
        start_password(s);
        break;
    }
}

void auth_start(struct session *s)
{
    struct auth *a = mem_zalloc(sizeof(*a));
    struct hba_client client = {
        .address = address_of(s), .tls = s->st.tls != NULL, .user = s->user, .database = s->database
    };
    bool needs_cert;
    struct err e = ERR_INIT;

    a->session = s;
    a->access = access_ref(s->worker->access);
    a->step = STEP_PASSWORD;
    s->auth = a;
    session_set_state(s, SESSION_AUTH);
    if (a->access->tls_required && client.address.len && !s->st.tls) {
        err_set(&e, PB0312, "SSL required");
        err_hint(&e, "Connect with sslmode=require (client_tls_sslmode).");
        session_fatal(s, &e);
        return;
    }
    a->rule = hba_match(a->access->hba, &client);
    needs_cert = (a->access->cert_required && client.address.len) || (a->rule && a->rule->clientcert != HBA_CERT_NONE);
    if (!a->rule) {
        refuse(s, "no pg_hba.conf entry for");
    } else if (needs_cert && !has_certificate(s)) {
        auth_log(s, a->rule, "no client certificate");
        err_set(&e, PB0312, "connection requires a valid client certificate");
        session_fatal(s, &e);
    } else {
        auth_by_rule(s);
    }
}
