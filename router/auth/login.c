#include "router/auth/login.h"

#include "base/address.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/auth/access.h"
#include "router/auth/auth.h"
#include "router/auth/handshake.h"
#include "router/auth/quota.h"
#include "router/cancel.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/pool.h"
#include "router/server/template.h"
#include "router/session/env.h"
#include "router/session/session.h"
#include "router/version.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"
#include "wire/proto.h"
#include "wire/proxy.h"

#include <stdlib.h>
#include <string.h>

#define TLS_HANDSHAKE_RECORD 0x16 /* a start-up packet of this first byte would be longer than allowed */

static bool is_local(const struct session *s)
{
    return s->peer.address[0] == '[';
}

static void login_welcome(struct session *s)
{
    struct strbuf sb = STRBUF_INIT;

    be_put_auth(&sb, AUTH_OK, (struct span){ .ptr = NULL });
    if (s->admin) {
        be_put_parameter_status(&sb, "server_version", "15.0 (pgbraid " PGBRAID_VERSION_TEXT ")");
        be_put_parameter_status(&sb, "server_encoding", "UTF8");
        be_put_parameter_status(&sb, "client_encoding", "UTF8");
        be_put_parameter_status(&sb, "standard_conforming_strings", "on");
        be_put_parameter_status(&sb, "DateStyle", "ISO, MDY");
        be_put_parameter_status(&sb, "integer_datetimes", "on");
    } else {
        for (uint32_t i = 0; i < s->set->nparameter; i++)
            be_put_parameter_status(&sb, s->set->parameters[i].name,
                                    env_reported(s->env, s->set->parameters[i].name, s->set->parameters[i].value));
    }
    be_put_key_data(&sb, s->id, s->cancel_key);
    be_put_ready(&sb, 'I');
    session_send(s, sb.ptr, sb.len);
    strbuf_fini(&sb);
    STAT_ADD(s->worker->stats.logins, 1);
    s->active_us = loop_now_us(s->worker->loop);
    free(s->startup);
    s->startup = NULL;
    session_set_state(s, SESSION_READY);
}

void login_continue(struct session *s)
{
    BUG_ON(s->state != SESSION_LOGIN);
    if (!s->admin) {
        if (!s->set->ready) {
            list_push_back(&s->set->logins, &s->wait);
            template_ask(s->set);
            return;
        }
        if (!s->db->catalog) {
            list_push_back(&s->db->held_sessions, &s->wait);
            schema_ask(s->worker, s->db);
            return;
        }
        if (!template_login(s, span_make(s->startup, s->startup_len)))
            return;
    }
    login_welcome(s);
    stream_process(&s->st);
}

static void login_admin(struct session *s)
{
    const struct config *c = s->worker->config;
    struct err e = ERR_INIT;

    s->stats_only = !config_may_command(c, s->user);
    if (!config_may_look(c, s->user)) {
        err_set(&e, PB0312, "user \"%s\" may not use the console", s->user);
        err_hint(&e, "Add the user to admin_users or stats_users in the configuration file.");
        session_fatal(s, &e);
        return;
    }
    s->admin = true;
    login_continue(s);
}

/* One more session of the user, if it may have one. */
static bool login_count(struct session *s)
{
    uint32_t limit = s->limits->max_client_conn;
    struct err e = ERR_INIT;

    s->counted = quota_take(s->worker->router->quota, s->user, limit);
    if (s->counted)
        return true;
    err_set(&e, PB0302, "too many connections for role \"%s\"", s->user);
    err_detail(&e, "max_client_conn of the user is %u.", limit);
    session_fatal(s, &e);
    return false;
}

/* PostgreSQL tells of a database that does not exist only those who have proved who they are. */
void login_proved(struct session *s)
{
    struct worker *w = s->worker;
    struct span database = span_str(s->database);
    const char *server_user;
    struct err e = ERR_INIT;

    session_set_state(s, SESSION_LOGIN);
    s->proved = true;
    if (span_eq_str(database, "pgbraid")) {
        login_admin(s);
        return;
    }
    if (w->draining) {
        err_set(&e, PB0307, "the router is shutting down");
        session_fatal(s, &e);
        return;
    }
    s->db = worker_find_db(w, database);
    server_user = config_server_user(w->config, s->user);
    s->service = strcmp(server_user, s->user) != 0;
    s->limits = config_user(w->config, s->user);
    s->set = poolset_get(w, database, span_str(server_user));
    if (!s->set) {
        s->db = NULL;
        err_set(&e, PB0306, "database \"%s\" does not exist", s->database);
        session_fatal(s, &e);
        return;
    }
    s->set->nsession++;
    if (login_count(s))
        login_continue(s);
}

static void login_start(struct session *s, const struct startup *st)
{
    struct err e = ERR_INIT;
    struct span database = st->database.len ? st->database : st->user;

    s->user = mem_strndup(st->user.ptr, st->user.len);
    s->database = mem_strndup(database.ptr, database.len);
    s->startup = mem_strndup(st->params.ptr, st->params.len);
    s->startup_len = st->params.len;
    if ((st->version & 0xFFFF) || st->unknown_protocol_options) {
        struct strbuf sb = STRBUF_INIT;

        be_put_negotiate(&sb, st->params);
        session_send(s, sb.ptr, sb.len);
        strbuf_fini(&sb);
    }
    if (st->user.len == 0) {
        err_set(&e, PB0312, "no PostgreSQL user name specified in startup packet");
        session_fatal(s, &e);
        return;
    }
    if (st->replication.len && !span_ieq(st->replication, SPAN("false")) && !span_ieq(st->replication, SPAN("off")) &&
        !span_eq_str(st->replication, "0")) {
        err_set(&e, PB0313, "replication connections are not supported");
        err_hint(&e, "Connect to the shard itself.");
        session_fatal(s, &e);
        return;
    }
    auth_start(s);
}

static void login_bad_version(struct session *s, uint32_t version)
{
    struct err e = ERR_INIT;
    struct strbuf sb = STRBUF_INIT;

    err_set(&e, PB0103, "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0", version >> 16,
            version & 0xFFFF);
    if (version >> 16 > 3) {
        session_fatal(s, &e);
        return;
    }
    /* Protocols 1 and 2 had errors of one string. */
    strbuf_printf(&sb, "EFATAL:  %s\n", e.message);
    session_send(s, sb.ptr, sb.len + 1);
    strbuf_fini(&sb);
    session_close(s);
}

/* The client's address as its load balancer tells it. Returns the header's bytes; 0: not all has come. */
static size_t login_feed_proxy(struct session *s, const char *data, size_t len)
{
    struct proxy_header h;
    size_t used = 0;

    switch (proxy_parse(span_make(data, len), &h, &used)) {
    case PROXY_MORE:
        return 0;
    case PROXY_BAD:
        log_line(LOG_WARN, "login", "a load balancer sent no PROXY header", "address=%s", s->peer.address);
        session_close(s);
        return len;
    case PROXY_OK:
        break;
    }
    s->proxied = true;
    if (h.source.len) {
        address_print(&h.source, s->peer.address);
        s->peer.port = h.port;
    }
    return used;
}

static bool comes_through_proxy(const struct session *s)
{
    struct address a;

    return s->worker->access->nproxy && address_parse(s->peer.address, &a) && access_is_proxy(s->worker->access, &a);
}

/* The answer to an SSLRequest or GSSENCRequest. Each is taken once, and none behind a yes. */
static size_t login_encryption(struct session *s, const struct startup *st, size_t len, size_t used)
{
    bool ssl = st->kind == STARTUP_SSL;
    bool *done = ssl ? &s->ssl_done : &s->gss_done;

    if (*done || s->st.tls) {
        login_bad_version(s, st->version);
        return len;
    }
    *done = true;
    /* Bytes sent behind the request before its answer would have been meant to be encrypted (CVE-2021-23214). */
    if (len > used) {
        session_fatal_protocol(s, "received unencrypted data after SSL or GSS request");
        return len;
    }
    if (!ssl || !s->worker->access->tls || is_local(s)) {
        session_send(s, "N", 1);
        return used;
    }
    session_send(s, "S", 1);
    handshake_start(s, (struct span){ .ptr = NULL });
    return used;
}

size_t login_feed(struct session *s, const char *data, size_t len)
{
    struct startup st;
    size_t used = 0;

    if (!s->proxied && comes_through_proxy(s))
        return login_feed_proxy(s, data, len);
    s->proxied = true;
    if (data[0] == TLS_HANDSHAKE_RECORD && s->worker->access->tls && !s->ssl_done && !s->gss_done && !is_local(s)) {
        s->ssl_done = s->direct_tls = true;
        handshake_start(s, span_make(data, len));
        return len;
    }
    switch (startup_parse(span_make(data, len), &st, &used)) {
    case STARTUP_MORE:
        return 0;
    case STARTUP_MALFORMED:
        session_fatal_protocol(s, "invalid length of startup packet");
        return len;
    case STARTUP_OK:
        break;
    }
    switch (st.kind) {
    case STARTUP_SSL:
    case STARTUP_GSSENC:
        return login_encryption(s, &st, len, used);
    case STARTUP_CANCEL:
        session_set_state(s, SESSION_LOGIN); /* whatever else comes is not looked at */
        cancel_request(s, st.cancel_pid, st.cancel_key);
        return len;
    case STARTUP_V3:
        login_start(s, &st);
        break;
    case STARTUP_BAD_VERSION:
        login_bad_version(s, st.version);
        return len;
    }
    return used;
}
