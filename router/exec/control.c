/*
 * Steps for which a control thread works: calls of pgbraid's own functions, and the catalog after DDL. Also what DDL
 * under a sharding_key rule adds to the statement.
 */
#include "router/exec/control.h"

#include "base/log.h"
#include "base/mem.h"
#include "router/config/config.h"
#include "router/control.h"
#include "router/exec/cursor.h"
#include "router/exec/exec_int.h"
#include "router/router.h"
#include "router/server/backend.h"
#include "router/server/place.h"
#include "router/server/pool.h"
#include "router/session/query.h"
#include "router/session/session.h"
#include "router/session/setting.h"
#include "router/txn/status.h"
#include "router/worker.h"
#include "shardmap/directory.h"
#include "wire/bemsg.h"

#include <stdlib.h>
#include <string.h>

struct control_request {
    struct control_job job;
    struct placement_request request;
    struct worker *worker;
    struct exec *exec; /* borrowed; NULL once the client has gone */
    char *database, *user, *table, *search_path, *columns[4];
    char *gtid;         /* of transaction_status() */
    const char *status; /* what it answers */
    bool ok;
    struct err error;
};

void control_abandon(struct exec *x)
{
    x->request->exec = NULL;
    x->request = NULL;
}

static void control_run(struct control_job *job)
{
    struct control_request *c = CONTAINER_OF(job, struct control_request, job);

    if (c->gtid)
        c->ok = txn_status_blocking(c->worker->router, c->gtid, &c->status, &c->error);
    else
        c->ok = place_blocking(c->worker->router, &c->request, &c->error);
}

static void control_request_free(struct control_request *c)
{
    free(c->database);
    free(c->user);
    free(c->table);
    free(c->search_path);
    free(c->gtid);
    for (size_t i = 0; i < ARRAY_LEN(c->columns); i++)
        free(c->columns[i]);
    free(c);
}

/* The function's value: text, or NULL. */
static void control_answer(struct exec *x, const char *text, const char *notice)
{
    struct be_column col = { .name = x->plan->control->column, .type = OID_TEXT };
    struct span value = text ? span_str(text) : (struct span){ 0 };

    if (x->extended && !x->bind_sent) {
        x->bind_sent = true;
        strbuf_put(&x->out, "2\0\0\0\4", 5);
    }
    if (notice && notice[0]) {
        struct err e = ERR_INIT;

        err_set(&e, PB0207, "%s", notice);
        e.id = ERR_NONE;
        err_state(&e, "00000");
        be_put_notice(&x->out, "NOTICE", &e);
    }
    if (!x->extended || x->describe)
        be_put_row_description(&x->out, &col, 1);
    be_put_data_row(&x->out, &value, 1);
    exec_answer(x, "SELECT 1");
}

static void control_done(struct loop_message *m)
{
    struct control_job *job = CONTAINER_OF(m, struct control_job, done);
    struct control_request *c = CONTAINER_OF(job, struct control_request, job);
    struct exec *x = c->exec;

    if (x) {
        x->request = NULL;
        x->s->in_job = false;
        if (c->ok) {
            control_answer(x, c->gtid ? c->status : c->request.message, c->request.notice);
            exec_step_done(x);
        } else {
            exec_fail(x, &c->error);
        }
    }
    control_request_free(c);
}

/* An argument as text: a string literal or a parameter in text form. */
static char *control_argument(struct exec *x, const struct key_value *v)
{
    if (v->source == VALUE_PARAM && v->index >= 1 && v->index <= x->binds.n) {
        struct span s = x->binds.values[v->index - 1];

        return s.ptr ? mem_strndup(s.ptr, s.len) : NULL;
    }
    if (v->source == VALUE_LITERAL && v->index < x->lits_copy.n) {
        const struct literal *l = &x->lits_copy.v[v->index];
        const char *p = x->text.ptr + l->off;
        struct strbuf sb = STRBUF_INIT;

        if (l->len < 2 || p[0] != '\'')
            return NULL;
        for (uint32_t i = 1; i + 1 < l->len; i++) {
            if (p[i] == '\'' && p[i + 1] == '\'')
                i++;
            strbuf_putc(&sb, p[i]);
        }
        return strbuf_take(&sb);
    }
    return NULL;
}

static bool control_prepare(struct exec *x, struct control_request *c, struct err *e)
{
    const struct plan_control *pc = x->plan->control;
    struct session *s = x->s;
    struct placement_request *r = &c->request;

    c->database = mem_strdup(s->db->name);
    c->user = mem_strdup(s->user);
    c->search_path = mem_strdup(s->env->plan.search_path);
    c->table = pc->narg ? control_argument(x, &pc->args[0]) : NULL;
    if (!c->table)
        return err_set(e, PB0207, "the table's name must be given as text");
    for (uint32_t i = 1; i < pc->narg && i <= ARRAY_LEN(r->columns); i++) {
        c->columns[i - 1] = control_argument(x, &pc->args[i]);
        if (!c->columns[i - 1])
            return err_set(e, PB0207, "the sharding key's columns must be given as text");
        r->columns[r->ncolumn++] = c->columns[i - 1];
    }
    r->verb = pc->verb;
    r->database = c->database;
    r->user = c->user;
    r->table = c->table;
    r->search_path = c->search_path;
    return true;
}

/* False: of NULL it is not known what has become. */
static bool status_prepare(struct exec *x, struct control_request *c)
{
    c->gtid = control_argument(x, &x->plan->control->args[0]);
    return c->gtid != NULL;
}

void exec_control(struct exec *x)
{
    struct session *s = x->s;
    enum control_verb verb = x->plan->control->verb;
    struct control_request *c;
    struct err e = ERR_INIT;

    if (verb == CONTROL_CURRENT_GTID) {
        control_answer(x, s->txn.env ? txn_record(s) : NULL, NULL);
        exec_step_done(x);
        return;
    }
    if (verb != CONTROL_TRANSACTION_STATUS && s->txn.env && (!s->txn.implicit || s->nheld)) {
        err_set(&e, PB0207,
                "the distribution of a table cannot be changed inside a transaction that does something else");
        err_hint(&e, "Send the call as a statement of its own.");
        exec_fail(x, &e);
        return;
    }
    c = mem_zalloc(sizeof(*c));
    c->worker = s->worker;
    if (verb == CONTROL_TRANSACTION_STATUS ? !status_prepare(x, c) : !control_prepare(x, c, &e)) {
        control_request_free(c);
        if (verb != CONTROL_TRANSACTION_STATUS) {
            exec_fail(x, &e);
            return;
        }
        control_answer(x, NULL, NULL);
        exec_step_done(x);
        return;
    }
    c->exec = x;
    c->job.loop = s->worker->loop;
    c->job.run = control_run;
    c->job.done.fn = control_done;
    x->request = c;
    x->task = TASK_JOB;
    s->in_job = true;
    exec_flush(x);
    if (!control_submit(s->worker->router->control, &c->job)) {
        err_set(&c->error, PB0601, "too many jobs wait for the control threads");
        control_done(&c->job.done);
    }
}

/* --- Describe that the router answers --- */

/* Parameters of a statement that no server describes: text where their type is not declared. */
static void put_parameters(struct exec *x, const struct prepared *p)
{
    size_t at;

    at = msg_begin(&x->out, BE_PARAMETER_DESCRIPTION);
    msg_u16(&x->out, (uint16_t)p->plan->nparam);
    for (uint32_t i = 0; i < p->plan->nparam; i++) {
        uint32_t declared = i < p->ntype ? proto_get32(p->types + 4 * (size_t)i) : 0;

        msg_u32(&x->out, declared ? declared : OID_TEXT);
    }
    msg_end(&x->out, at);
}

bool exec_describe_local(struct exec *x, struct prepared *p)
{
    struct be_column col = { .type = OID_TEXT };
    bool own = setting_is_own(p->plan, &col.name);

    if (p->plan->kind == PLAN_SESSION && p->plan->session->verb == SESSION_CHANNELS)
        col.name = p->plan->session->column;
    switch (p->plan->kind) {
    case PLAN_EMPTY:
    case PLAN_DDL:
    case PLAN_COPY_IN:
    case PLAN_COPY_OUT:
        break;
    case PLAN_SESSION:
        if (p->plan->session->verb == SESSION_FETCH && !p->plan->session->move && exec_fetch_backend(x->s, p->plan))
            return false;
        if (p->plan->session->verb == SESSION_CANCEL || p->plan->session->verb == SESSION_TERMINATE)
            return false;
        if (!own && (p->plan->session->verb == SESSION_SHOW || p->plan->session->verb == SESSION_SET_CONFIG))
            return false;
        break;
    case PLAN_CONTROL:
        col.name = p->plan->control->column;
        break;
    case PLAN_QUERY:
    case PLAN_GATHER:
    case PLAN_INSERT:
        return false;
    }
    if (!x->hide_params)
        put_parameters(x, p);
    if (col.name)
        be_put_row_description(&x->out, &col, 1);
    else
        msg_empty(&x->out, BE_NO_DATA);
    exec_step_done(x);
    return true;
}
