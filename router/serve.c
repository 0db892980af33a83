#include "router/serve.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "net/pgconn.h"
#include "router/auth/access.h"
#include "router/auth/auth_query.h"
#include "router/auth/quota.h"
#include "router/auth/throttle.h"
#include "router/config/config.h"
#include "router/config/reload.h"
#include "router/control.h"
#include "router/router.h"
#include "router/schema.h"
#include "router/server/differ.h"
#include "router/txn/deadlock.h"
#include "router/txn/gate.h"
#include "router/txn/gtid.h"
#include "router/txn/recovery.h"
#include "router/worker.h"
#include "shardmap/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_THREADS      4u
#define DESCRIPTORS_RESERVED 128u

/* Every client and server connection is a descriptor: take as many as the system lets us, and say so when they are too
 * few. */
static void raise_descriptor_limit(const struct config *cfg)
{
    struct rlimit lim;
    rlim_t want = (rlim_t)cfg->max_client_conn + cfg->pool_size * 64u + DESCRIPTORS_RESERVED;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return;
    if (lim.rlim_cur < want) {
        lim.rlim_cur = lim.rlim_max == RLIM_INFINITY || lim.rlim_max > want ? want : lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim);
        (void)getrlimit(RLIMIT_NOFILE, &lim);
    }
    if (lim.rlim_cur < want)
        log_line(LOG_WARN, "serve", "the limit of open files is low",
                 "limit=%llu wanted=%llu hint=\"raise it with ulimit -n or lower max_client_conn\"",
                 (unsigned long long)lim.rlim_cur, (unsigned long long)want);
}

/* A core dump would hold passwords and verifiers; whoever may trace the process could read them, too. */
static void forbid_core_dumps(const struct config *cfg)
{
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = 0 };

    if (cfg->core_dumps == SETTING_ON)
        return;
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        log_line(LOG_WARN, "serve", "core dumps cannot be forbidden", "error=\"%s\"", strerror(errno));
}

static bool write_pidfile(const char *path, struct err *e)
{
    char text[32];
    int fd, n;

    if (!path[0])
        return true;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (fd < 0 || write(fd, text, (size_t)n) != n) {
        err_set(e, PB0504, "cannot write the pid file \"%s\": %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    close(fd);
    return true;
}

/* --- maps --- */

struct map_message {
    struct loop_message msg;
    struct worker *worker;
    struct map *map;
};

static void map_deliver(struct loop_message *m)
{
    struct map_message *mm = CONTAINER_OF(m, struct map_message, msg);

    worker_set_map(mm->worker, mm->map);
    map_unref(mm->map);
    free(mm);
}

/* The directory has changed: every worker gets the new map. Any thread. */
static void map_changed(void *arg, struct map *m)
{
    struct router *r = arg;

    for (unsigned i = 0; i < r->nworker; i++) {
        struct map_message *mm = mem_zalloc(sizeof(*mm));

        mm->worker = r->workers[i];
        mm->map = map_ref(m);
        mm->msg.fn = map_deliver;
        loop_post(r->workers[i]->loop, &mm->msg);
    }
}

/* --- start and stop --- */

static bool router_start(struct router *r, struct err *e)
{
    struct directory_options o = { .create = true,
                                   .shared = r->config->directory_shared == SETTING_ON,
                                   .check_conninfo = pgconn_check_conninfo };
    unsigned n = config_worker_count(r->config);
    struct map *m;

    r->access = access_load(r->config, NULL, e);
    if (!r->access)
        return false;
    r->directory = directory_open(r->config->directory, &o, e);
    if (!r->directory)
        return false;
    r->connector = connector_new(r->config->connect_threads);
    r->control = control_new(CONTROL_THREADS);
    r->helpers = control_new(r->config->login_threads);
    r->throttle = throttle_new();
    r->quota = quota_new();
    r->answers = auth_answers_new();
    hmac_text(directory_decision_key(r->directory), SPAN("salts of unknown users"), r->mock_secret);
    r->gtids = gtids_new();
    r->gate = gate_new();
    r->differ_notes = differ_notes_new();
    m = directory_snapshot(r->directory);
    for (uint32_t i = 0; i < m->ndb; i++)
        gate_doubt_database(r->gate, &m->dbs[i]);
    map_unref(m);
    r->recovery = recovery_new(r);
    if (n > ROUTER_MAX_WORKERS)
        n = ROUTER_MAX_WORKERS;
    /* Workers share the port with each other, hence with any process of this user: not with another router. */
    if (r->config->port && !listener_port_is_free(r->config->listen_addr, (int)r->config->port, e))
        return false;
    /* Sessions are told apart by worker: their number is fixed before the first is made. */
    r->nworker = n;
    for (unsigned i = 0; i < n; i++) {
        r->workers[i] = worker_new(r, i, e);
        if (!r->workers[i]) {
            r->nworker = i;
            return false;
        }
    }
    m = directory_snapshot(r->directory);
    for (unsigned i = 0; i < n; i++)
        worker_set_map(r->workers[i], m);
    map_unref(m);
    directory_subscribe(r->directory, map_changed, r);
    r->deadlock = deadlock_new(r);
    return write_pidfile(r->config->pidfile, e);
}

static void router_free(struct router *r)
{
    if (r->directory)
        directory_subscribe(r->directory, NULL, NULL);
    deadlock_free(r->deadlock);
    control_free(r->control);
    control_free(r->helpers);
    if (r->connector)
        connector_stop(r->connector);
    for (unsigned i = 0; i < r->nworker; i++)
        worker_free(r->workers[i]);
    connector_free(r->connector);
    budget_free_all(r);
    recovery_free(r->recovery);
    gate_free(r->gate);
    differ_notes_free(r->differ_notes);
    gtids_free(r->gtids);
    throttle_free(r->throttle);
    quota_free(r->quota);
    auth_answers_free(r->answers);
    directory_close(r->directory);
    pthread_mutex_destroy(&r->budget_lock);
    pthread_mutex_destroy(&r->reload_lock);
    access_unref(r->access);
    config_unref(r->config);
    for (size_t i = 0; i < r->nretired; i++)
        config_unref(r->retired[i]);
    free(r->retired);
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* What another router has changed in the directory they share: the map, and what was done on the shards before. */
static void follow_directory(struct router *r)
{
    struct err e = ERR_INIT;
    bool changed;
    struct map *m;

    if (!directory_refresh(r->directory, &changed, &e)) {
        log_err(LOG_WARN, "serve", "cannot read the directory that is shared", &e);
        return;
    }
    if (!changed)
        return;
    m = directory_snapshot(r->directory);
    for (uint32_t i = 0; i < m->ndb; i++) {
        if (!schema_reload_blocking(r, m->dbs[i].name, &e))
            log_err(LOG_WARN, "serve", "cannot load a catalog again", &e);
    }
    map_unref(m);
}

/* Wait for signals on the main thread; workers never see them. Returns when the process is to end. */
static void run_until_stopped(struct router *r, const sigset_t *set)
{
    uint64_t stop_at_us = 0, follow_at_us = 0;

    for (;;) {
        struct timespec tick = { .tv_nsec = 100000000 };
        int sig = sigtimedwait(set, NULL, &tick);
        bool alive = atomic_load(&r->nclient) > 0;

        if (sig == SIGHUP) {
            struct err e = ERR_INIT;

            if (!router_reload(r, &e))
                log_err(LOG_ERROR, "serve", "configuration not reloaded", &e);
        } else if (sig == SIGTERM || sig == SIGINT) {
            /* Asked twice: at once. */
            atomic_store(&r->stop, atomic_load(&r->stop) ? 2 : 1);
        } else if (sig == SIGQUIT) {
            atomic_store(&r->stop, 2);
        }
        if (!atomic_load(&r->stop)) {
            if (r->config->directory_shared == SETTING_ON && clock_mono_us() >= follow_at_us) {
                follow_directory(r);
                follow_at_us = clock_mono_us() + 1000000;
            }
            continue;
        }
        if (stop_at_us == 0) {
            stop_at_us = clock_mono_us() + r->config->shutdown_timeout_ms * 1000u;
            log_line(LOG_INFO, "serve", "shutting down", "clients=%u", atomic_load(&r->nclient));
        }
        if (alive && r->config->shutdown_timeout_ms && clock_mono_us() > stop_at_us)
            atomic_store(&r->stop, 2);
        if (!alive)
            return;
    }
}

int router_serve(const struct config *cfg, const char *config_path, const struct placement_hooks *hooks)
{
    struct router r = { .config = config_ref(cfg), .config_path = config_path, .hooks = hooks };
    struct err e = ERR_INIT;
    sigset_t set;

    if (!fault_init())
        return 1;
    log_set_level(cfg->log_level);
    r.started_us = clock_wall_us();
    pthread_mutex_init(&r.budget_lock, NULL);
    pthread_mutex_init(&r.reload_lock, NULL);
    block_signals(&set);
    raise_descriptor_limit(cfg);
    forbid_core_dumps(cfg);
    if (cfg->passfile[0])
        setenv("PGPASSFILE", cfg->passfile, 1);
    if (!router_start(&r, &e)) {
        log_err(LOG_ERROR, "serve", "cannot start", &e);
        fprintf(stderr, "pgbraid: %s\n", e.message);
        if (e.detail[0])
            fprintf(stderr, "detail: %s\n", e.detail);
        if (e.hint[0])
            fprintf(stderr, "hint: %s\n", e.hint);
        router_free(&r);
        return 1;
    }
    for (unsigned i = 0; i < r.nworker; i++)
        worker_start(r.workers[i]);
    log_line(LOG_INFO, "serve", "listening", "address=%s port=%d workers=%u directory=\"%s\"", cfg->listen_addr, r.port,
             r.nworker, cfg->directory);
    run_until_stopped(&r, &set);
    for (unsigned i = 0; i < r.nworker; i++)
        pthread_join(r.workers[i]->thread, NULL);
    if (r.config->pidfile[0])
        unlink(r.config->pidfile);
    router_free(&r);
    log_line(LOG_INFO, "serve", "stopped", "uptime_s=%llu",
             (unsigned long long)((clock_wall_us() - r.started_us) / 1000000));
    return 0;
}
