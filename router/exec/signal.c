/*
 * SELECT pg_cancel_backend(id) and pg_terminate_backend(id) of a client of this router, by the number that it got at
 * login. The worker that has the session does it. A number that is no client's is the home shard's server's to know.
 */
#include "router/exec/signal.h"

#include "base/mem.h"
#include "router/config/config.h"
#include "router/exec/exec_int.h"
#include "router/exec/part.h"
#include "router/router.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/bemsg.h"

#include <stdlib.h>
#include <string.h>

struct signal_message {
    struct loop_message msg;
    struct worker *owner, *asker;
    uint32_t id, asker_id;
    bool terminate, any_user;
    char *user; /* who asks; owned */
    enum { SIGNAL_NOBODY, SIGNAL_DENIED, SIGNAL_DONE } result;
};

static void signal_answer(struct exec *x)
{
    struct be_column col = { .name = x->plan->session->column, .type = OID_BOOL };
    struct span value = SPAN("t");

    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
    }
    if (!x->extended || x->describe)
        be_put_row_description(&x->out, &col, 1);
    be_put_data_row(&x->out, &value, 1);
    exec_answer(x, "SELECT 1");
    exec_step_done(x);
}

static void signal_done(struct loop_message *m)
{
    struct signal_message *sm = CONTAINER_OF(m, struct signal_message, msg);
    struct session *s = session_find(sm->asker, sm->asker_id);
    struct exec *x = s ? s->exec : NULL;
    bool self = sm->owner == sm->asker && sm->id == sm->asker_id, terminate = sm->terminate;
    struct err e = ERR_INIT;
    int result = (int)sm->result;

    free(sm->user);
    free(sm);
    if (!x || x->task != TASK_JOB)
        return;
    s->in_job = false;
    x->task = TASK_NONE;
    if (result == SIGNAL_NOBODY) {
        exec_run(x);
    } else if (result == SIGNAL_DENIED) {
        err_set(&e, PB0312, "must be a member of the role whose %s or member of pg_signal_backend",
                terminate ? "process is being terminated" : "query is being canceled");
        err_state(&e, "42501");
        exec_fail(x, &e);
    } else if (self) {
        err_set(&e, PB0309, "canceling statement due to user request");
        exec_fail(x, &e);
    } else {
        signal_answer(x);
    }
}

static void signal_deliver(struct loop_message *m)
{
    struct signal_message *sm = CONTAINER_OF(m, struct signal_message, msg);
    struct session *s = session_find(sm->owner, sm->id);
    struct err e = ERR_INIT;

    if (!s || s->admin || !s->user || s->state == SESSION_STARTUP || s->state == SESSION_AUTH ||
        s->state == SESSION_LOGIN) {
        sm->result = SIGNAL_NOBODY;
    } else if (!sm->any_user && strcmp(sm->user, s->user) != 0) {
        sm->result = SIGNAL_DENIED;
    } else {
        sm->result = SIGNAL_DONE;
        if (sm->terminate) {
            err_set(&e, PB0307, "terminating connection due to administrator command");
            session_fatal(s, &e);
        } else if (sm->owner != sm->asker || sm->id != sm->asker_id) {
            session_cancel(s);
        }
    }
    sm->msg.fn = signal_done;
    loop_post(sm->asker->loop, &sm->msg);
}

static bool signal_number(const struct exec *x, uint32_t *id)
{
    const struct plan_session *ps = x->plan->session;
    struct span v;

    *id = x->s->id;
    if (ps->param) {
        if (!x->bound || ps->param > x->binds.n)
            return false;
        v = x->binds.values[ps->param - 1];
        if (x->binds.binary[ps->param - 1]) {
            *id = v.ptr && v.len == 4 ? proto_get32(v.ptr) : 0;
            return *id != 0;
        }
        if (!v.ptr || v.len == 0 || v.len > 9 || v.ptr[0] < '1' || v.ptr[0] > '9')
            return false;
        *id = 0;
        for (size_t i = 0; i < v.len; i++) {
            if (v.ptr[i] < '0' || v.ptr[i] > '9')
                return false;
            *id = *id * 10 + (uint32_t)(v.ptr[i] - '0');
        }
    } else if (ps->value) {
        *id = (uint32_t)strtoul(ps->value, NULL, 10);
    }
    return true;
}

void exec_signal(struct exec *x)
{
    struct session *s = x->s;
    struct router *r = s->worker->router;
    struct signal_message *sm;
    uint32_t id;

    if (!signal_number(x, &id)) { /* a server says what is wrong with it */
        exec_run(x);
        return;
    }
    sm = mem_zalloc(sizeof(*sm));
    sm->owner = r->workers[id % r->nworker];
    sm->asker = s->worker;
    sm->id = id;
    sm->asker_id = s->id;
    sm->terminate = x->plan->session->verb == SESSION_TERMINATE;
    sm->any_user = config_may_command(s->worker->config, s->user);
    sm->user = mem_strdup(s->user);
    sm->msg.fn = signal_deliver;
    x->task = TASK_JOB;
    s->in_job = true;
    exec_flush(x);
    loop_post(sm->owner->loop, &sm->msg);
}
