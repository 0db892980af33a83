#include "router/cancel.h"

#include "base/bug.h"
#include "base/mem.h"
#include "net/loop.h"
#include "router/router.h"
#include "router/session/session.h"
#include "router/worker.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <sys/random.h>

/* To the worker that has the session, and back. */
struct cancel_message {
    struct loop_message msg;
    struct worker *worker, *asker;
    uint32_t id, key, asker_id;
};

uint32_t cancel_new_key(void)
{
    uint32_t key;

    BUG_ON(getrandom(&key, sizeof(key), 0) != sizeof(key));
    return key;
}

static void cancel_answer(struct loop_message *m)
{
    struct cancel_message *c = CONTAINER_OF(m, struct cancel_message, msg);
    struct session *asker = session_find(c->asker, c->asker_id);

    if (asker)
        session_close(asker);
    free(c);
}

static void cancel_deliver(struct loop_message *m)
{
    struct cancel_message *c = CONTAINER_OF(m, struct cancel_message, msg);
    struct session *s = session_find(c->worker, c->id);

    if (s && s->cancel_key == c->key)
        session_cancel(s);
    c->msg.fn = cancel_answer;
    loop_post(c->asker->loop, &c->msg);
}

void cancel_request(struct session *asker, uint32_t id, struct span key)
{
    struct router *r = asker->worker->router;
    struct cancel_message *c;

    if (key.len != 4) {
        session_close(asker);
        return;
    }
    c = mem_zalloc(sizeof(*c));
    c->worker = r->workers[id % r->nworker];
    c->id = id;
    c->asker = asker->worker;
    c->asker_id = asker->id;
    c->key = proto_get32(key.ptr);
    c->msg.fn = cancel_deliver;
    loop_post(c->worker->loop, &c->msg);
}
