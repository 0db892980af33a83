#include "router/config/reload.h"

#include "base/log.h"
#include "base/mem.h"
#include "router/auth/access.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct config_message {
    struct loop_message msg;
    struct worker *worker;
    const struct config *config;
    struct access *access;
};

static void config_deliver(struct loop_message *m)
{
    struct config_message *cm = CONTAINER_OF(m, struct config_message, msg);

    worker_set_config(cm->worker, cm->config, cm->access);
    config_unref(cm->config);
    access_unref(cm->access);
    free(cm);
}

static bool reload(struct router *r, struct err *e)
{
    const struct config *fresh = config_load(r->config_path, NULL, e);
    struct access *access = fresh ? access_load(fresh, NULL, e) : NULL;
    const char *restart;

    if (!access) {
        config_unref(fresh);
        return false;
    }
    restart = config_restart_needed(r->config, fresh);
    if (restart)
        log_line(LOG_WARN, "reload", "a setting takes effect after a restart only", "setting=%s", restart);
    log_set_level(fresh->log_level);
    for (unsigned i = 0; i < r->nworker; i++) {
        struct config_message *cm = mem_zalloc(sizeof(*cm));

        cm->worker = r->workers[i];
        cm->config = config_ref(fresh);
        cm->access = access_ref(access);
        cm->msg.fn = config_deliver;
        loop_post(r->workers[i]->loop, &cm->msg);
    }
    /* Control threads may be reading the old one: it stays until the end. */
    r->retired = mem_realloc(r->retired, (r->nretired + 1) * sizeof(*r->retired));
    r->retired[r->nretired++] = r->config;
    r->config = fresh;
    access_unref(r->access); /* of the workers' start; they have references of their own */
    r->access = access;
    atomic_store(&r->check_schema, true);
    log_line(LOG_INFO, "reload", "configuration reloaded", "file=\"%s\"", r->config_path);
    return true;
}

bool router_reload(struct router *r, struct err *e)
{
    bool ok;

    pthread_mutex_lock(&r->reload_lock);
    ok = reload(r, e);
    pthread_mutex_unlock(&r->reload_lock);
    return ok;
}
