#include "router/server/notify.h"

#include "net/pgconn.h"
#include "router/server/backend.h"
#include "router/session/session.h"
#include "wire/proto.h"
#include "wire/writer.h"

#define NOTICES_MAX (16u * 1024u * 1024u)

void notify_put(struct session *s, struct strbuf *out)
{
    strbuf_put(out, s->notices.ptr, s->notices.len);
    strbuf_fini(&s->notices);
}

void notify_send(struct session *s)
{
    session_send(s, s->notices.ptr, s->notices.len);
    strbuf_fini(&s->notices);
}

/* Is the client between two transactions, or right before the end of a statement that runs outside of one? */
static bool takes_notices(const struct session *s, const struct backend *b)
{
    if (s->state == SESSION_READY)
        return s->tx == 'I';
    return s->state == SESSION_RUNNING && !s->exec && !s->run_aside && b->nexpect && b->expect[0].kind == EXPECT_RELAY;
}

void notify_take(struct session *s, struct backend *b, struct span body)
{
    struct err e = ERR_INIT;
    size_t at;

    if (body.len < 4 || s->state == SESSION_CLOSING)
        return;
    at = msg_begin(&s->notices, BE_NOTIFICATION);
    /* The client knows its own server process by the router's number. */
    msg_u32(&s->notices, proto_get32(body.ptr) == pgconn_pid(b->conn) ? s->id : proto_get32(body.ptr));
    strbuf_put(&s->notices, body.ptr + 4, body.len - 4);
    msg_end(&s->notices, at);
    if (takes_notices(s, b)) {
        notify_send(s);
    } else if (s->notices.len > NOTICES_MAX) {
        err_set(&e, PB0308, "too many notifications came while the transaction was open");
        session_fatal(s, &e);
    }
}
