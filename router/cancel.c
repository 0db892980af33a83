#include "router/cancel.h"

#include "base/bug.h"
#include "base/mem.h"
#include "net/loop.h"
#include "router/router.h"
#include "router/session.h"
#include "router/worker.h"
#include "wire/proto.h"

#include <stdlib.h>
#include <sys/random.h>

struct cancel_message {
    struct loop_message msg;
    struct worker *worker;
    uint32_t id, key;
};

uint32_t cancel_new_key(void)
{
    uint32_t key;

    BUG_ON(getrandom(&key, sizeof(key), 0) != sizeof(key));
    return key;
}

static void cancel_deliver(struct loop_message *m)
{
    struct cancel_message *c = CONTAINER_OF(m, struct cancel_message, msg);
    struct session *s = session_find(c->worker, c->id);

    if (s && s->cancel_key == c->key)
        session_cancel(s);
    free(c);
}

void cancel_request(struct worker *w, uint32_t id, struct span key)
{
    struct router *r = w->router;
    struct cancel_message *c;

    if (key.len != 4)
        return;
    c = mem_zalloc(sizeof(*c));
    c->worker = r->workers[id % r->nworker];
    c->id = id;
    c->key = proto_get32(key.ptr);
    c->msg.fn = cancel_deliver;
    loop_post(c->worker->loop, &c->msg);
}
