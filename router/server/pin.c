#include "router/server/pin.h"

#include "router/config/config.h"
#include "router/server/backend.h"
#include "router/server/budget.h"
#include "router/server/pool.h"
#include "router/session/env.h"
#include "router/session/session.h"
#include "router/worker.h"

#include <stdatomic.h>

/* One row for each lock of the session: in a transaction of its own only these are left. */
#define PIN_QUERY "SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()"

bool pin_take(struct backend *b, const struct plan *plan, struct err *e)
{
    uint32_t limit = b->pool->worker->config->max_pinned_connections;

    b->pin_check = b->pin_check || plan->pin_check;
    if (plan->pins == 0)
        return true;
    if (b->pins == 0 && atomic_fetch_add(&b->pool->budget->pinned, 1) >= limit) {
        atomic_fetch_sub(&b->pool->budget->pinned, 1);
        err_set(e, PB0302, "no more connections to shard \"%s\" can be kept by sessions", b->pool->shard_name);
        err_detail(e, "max_pinned_connections is %u.", limit);
        return err_hint(e, "Raise it together with pool_size, or look in SHOW CLIENTS for who keeps them.");
    }
    b->pins |= plan->pins;
    return true;
}

void pin_drop(struct backend *b, unsigned why)
{
    if (!(b->pins & why))
        return;
    b->pins = (uint8_t)(b->pins & ~why);
    if (b->pins)
        return;
    b->pins = PIN_NOTHING; /* nothing is left, but it counts until it is released */
}

static void pin_checked(struct backend *b, bool ok)
{
    struct session *s = b->session;

    if (!s)
        return;
    if (!ok) /* cancelled by a timeout of the session's: asked again after its next statement */
        b->pin_check = true;
    else if (b->internal_rows == 0)
        pin_drop(b, PIN_LOCK);
    if (ok && s->state == SESSION_READY && !s->txn.env)
        pin_give_back(b);
    session_unquarantine(s);
}

static void pin_rolled_back(struct backend *b, bool ok)
{
    (void)ok;
    if (b->session)
        session_unquarantine(b->session);
}

static bool pin_releases(struct backend *b)
{
    if (b->pins == 0)
        return true;
    b->begun = b->wrote = b->unpreparable = false;
    if (b->nexpect || b->suspect)
        return false;
    if (b->tx != 'I') { /* of a transaction that was given up */
        b->session->quarantine = true;
        env_unref(b->env_next);
        b->env_next = env_ref(b->env);
        backend_internal(b, "ROLLBACK", pin_rolled_back);
        return false;
    }
    if (b->pin_check && (b->pins & PIN_LOCK)) {
        b->pin_check = false;
        b->session->quarantine = true;
        backend_internal(b, PIN_QUERY, pin_checked);
        return false;
    }
    return (b->pins & ~PIN_NOTHING) == 0;
}

void pin_give_back(struct backend *b)
{
    if (pin_releases(b))
        pool_release(b);
}

bool pin_forget(struct backend *b)
{
    if (b->pins == 0)
        return false;
    b->pins = 0;
    b->pin_check = false;
    atomic_fetch_sub(&b->pool->budget->pinned, 1);
    return true;
}
