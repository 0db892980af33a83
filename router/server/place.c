#include "router/server/place.h"

#include "router/config/config.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/worker.h"
#include "shardmap/directory.h"

#include <time.h>

static bool quiet_within(struct placement_request *r, bool transactions, uint32_t wait_ms)
{
    const struct timespec pause = { .tv_nsec = 2000000 };

    for (uint32_t waited = 0; schema_busy_blocking(r->ctx, r->database, transactions) > 0; waited += 2) {
        if (waited >= wait_ms)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

/* Transactions may end first, or the locks they hold would be in the way. One that stays open, perhaps with no lock on
 * the table, does not prevent the change. */
static bool place_hold(struct placement_request *r, uint32_t wait_ms)
{
    schema_hold_blocking(r->ctx, r->database, HOLD_NEW);
    (void)quiet_within(r, true, wait_ms / 2);
    schema_hold_blocking(r->ctx, r->database, HOLD_ALL);
    if (quiet_within(r, false, wait_ms))
        return true;
    schema_hold_blocking(r->ctx, r->database, HOLD_NONE);
    return false;
}

static void place_release(struct placement_request *r)
{
    schema_hold_blocking(r->ctx, r->database, HOLD_NONE);
}

static bool place_publish(struct placement_request *r, struct err *e)
{
    return schema_reload_blocking(r->ctx, r->database, e);
}

static bool place_stopping(struct placement_request *r)
{
    const struct router *router = r->ctx;

    return atomic_load(&router->stop) != 0;
}

bool place_blocking(struct router *r, struct placement_request *req, struct err *e)
{
    struct map *m;
    bool ok;

    if (!directory_alone(r->directory, e))
        return false;
    m = directory_snapshot(r->directory);
    req->db = map_find_db(m, span_str(req->database));
    req->timeout_ms = (uint32_t)r->config->server_connect_timeout_ms;
    req->hold = place_hold;
    req->release = place_release;
    req->publish = place_publish;
    req->stopping = place_stopping;
    req->ctx = r;
    if (req->db)
        ok = r->hooks->place(req, e);
    else
        ok = err_set(e, PB0306, "database \"%s\" does not exist or is not served", req->database);
    map_unref(m);
    return ok;
}
