#include "router/login.h"

#include "base/mem.h"
#include "router/cancel.h"
#include "router/config.h"
#include "router/env.h"
#include "router/pool.h"
#include "router/schema.h"
#include "router/session.h"
#include "router/template.h"
#include "router/version.h"
#include "router/worker.h"
#include "wire/bemsg.h"
#include "wire/femsg.h"

#include <stdlib.h>
#include <string.h>

static bool is_admin(const struct session *s)
{
    for (const char *const *u = s->worker->config->admin_users; u && *u; u++) {
        if (strcmp(*u, s->user) == 0)
            return true;
    }
    return false;
}

static void login_welcome(struct session *s)
{
    struct strbuf sb = STRBUF_INIT;

    be_put_auth_ok(&sb);
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
    struct err e = ERR_INIT;

    if (!is_admin(s)) {
        err_set(&e, PB0312, "user \"%s\" may not use the console", s->user);
        err_hint(&e, "Add the user to admin_users in the configuration file.");
        session_fatal(s, &e);
        return;
    }
    s->admin = true;
    login_continue(s);
}

static void login_start(struct session *s, const struct startup *st)
{
    struct worker *w = s->worker;
    struct err e = ERR_INIT;
    struct span database = st->database.len ? st->database : st->user;

    s->user = mem_strndup(st->user.ptr, st->user.len);
    s->database = mem_strndup(database.ptr, database.len);
    s->startup = mem_strndup(st->params.ptr, st->params.len);
    s->startup_len = st->params.len;
    session_set_state(s, SESSION_LOGIN);
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
    s->set = poolset_get(w, database, st->user);
    if (!s->set) {
        s->db = NULL;
        err_set(&e, PB0306, "database \"%s\" does not exist", s->database);
        session_fatal(s, &e);
        return;
    }
    s->set->nsession++;
    login_continue(s);
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

size_t login_feed(struct session *s, const char *data, size_t len)
{
    struct startup st;
    size_t used = 0;

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
        /* Bytes sent behind the request before its answer would have been meant to be encrypted. */
        if (len > used) {
            session_fatal_protocol(s, "received unencrypted data after SSL or GSS request");
            return len;
        }
        session_send(s, "N", 1);
        break;
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
