#include "bin/demo_int.h"

#include "base/clock.h"
#include "bin/demo_proc.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_TIMEOUT_US (60 * UINT64_C(1000000))
#define STOP_TIMEOUT_US  (30 * UINT64_C(1000000))
#define KILL_TIMEOUT_US  (10 * UINT64_C(1000000))
#define POLL_MS          20u

char *demo_shard_name(struct demo *d, uint32_t shard)
{
    return arena_printf(&d->scratch, "shard-%u", shard + 1);
}

static char *log_path(struct demo *d, const char *name)
{
    return arena_printf(&d->scratch, "%s/log/%s.log", d->dir, name);
}

char *demo_shard_conninfo(struct demo *d, uint32_t shard, const char *database)
{
    return arena_printf(&d->scratch, "host=127.0.0.1 port=%u dbname=%s user=" DEMO_USER, d->shard_port[shard],
                        database);
}

char *demo_router_conninfo(struct demo *d, const char *database)
{
    return arena_printf(&d->scratch, "host=127.0.0.1 port=%u dbname=%s user=" DEMO_USER, d->port, database);
}

/* PostgreSQL's own programs: PGBRAID_PGBIN, or where Debian has them. Version 15 first: a data directory stays with its
 * version. */
static char *postgres_program(struct demo *d, const char *name, struct err *e)
{
    static const char *const versions[] = { "15", "16", "17" };
    const char *from = getenv("PGBRAID_PGBIN");
    char *path;

    if (from)
        return arena_printf(&d->scratch, "%s/%s", from, name);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        path = arena_printf(&d->scratch, "/usr/lib/postgresql/%s/bin/%s", versions[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    err_set(e, PB0504, "PostgreSQL's program \"%s\" is not installed", name);
    err_hint(e, "apt-get install postgresql-15, or set PGBRAID_PGBIN to the folder that has it.");
    return NULL;
}

/* ---- making a data directory ---- */

static bool write_settings(struct demo *d, uint32_t shard, const char *data, struct err *e)
{
    char *path = arena_printf(&d->scratch, "%s/postgresql.conf", data);
    FILE *f = fopen(path, "ae");
    bool ok = f != NULL;

    if (f) {
        fprintf(f,
                "\n# Added by pgbraid demo.\n"
                "cluster_name = 'shard-%u'\n"
                "listen_addresses = '127.0.0.1'\n"
                "port = %u\n"
                "unix_socket_directories = ''\n"
                "max_connections = 200\n"
                "max_prepared_transactions = 200\n"
                "wal_level = logical\n"
                "shared_buffers = 32MB\n",
                shard + 1, d->shard_port[shard]);
        ok = fclose(f) == 0;
    }
    return ok || err_set(e, PB0504, "cannot write \"%s\": %s", path, strerror(errno));
}

/* An empty folder for initdb to fill, owned by who will run PostgreSQL. */
static bool make_data_dir(const char *path, struct err *e)
{
    const struct passwd *pw = geteuid() == 0 ? getpwnam(DEMO_USER) : NULL;

    if (geteuid() == 0 && !pw) {
        err_set(e, PB0504, "there is no user \"" DEMO_USER "\" to run PostgreSQL as");
        return err_hint(e, "PostgreSQL does not run as root; Debian's package postgresql-15 makes the user.");
    }
    if (mkdir(path, 0700) == 0 && (!pw || chown(path, pw->pw_uid, pw->pw_gid) == 0))
        return true;
    return err_set(e, PB0504, "cannot make \"%s\": %s", path, strerror(errno));
}

bool demo_shard_init(struct demo *d, uint32_t shard, struct err *e)
{
    const char *name = demo_shard_name(d, shard);
    char *data = arena_printf(&d->scratch, "%s/%s", d->base, name);
    const char *initdb = postgres_program(d, "initdb", e);
    const char *const argv[] = { initdb,
                                 "-D",
                                 data,
                                 "-U",
                                 DEMO_USER,
                                 "-A",
                                 "trust",
                                 "-N",
                                 "--encoding=UTF8",
                                 "--locale=C.UTF-8",
                                 "--no-instructions",
                                 NULL };

    if (!initdb || !make_data_dir(data, e) || !proc_run(argv, log_path(d, name), DEMO_USER, e) ||
        !write_settings(d, shard, data, e))
        return false;
    if (strcmp(d->base, d->dir) != 0 && symlink(data, demo_path(d, name)) != 0)
        return err_set(e, PB0504, "cannot link \"%s\": %s", demo_path(d, name), strerror(errno));
    return true;
}

/* ---- who runs ---- */

/* Our own child, until it has been seen to end. */
static pid_t living_child(pid_t *child)
{
    if (*child && proc_has_ended(*child))
        *child = 0;
    return *child;
}

pid_t demo_shard_pid(struct demo *d, uint32_t shard)
{
    char *data = demo_path(d, demo_shard_name(d, shard)), real[PATH_MAX];
    pid_t pid = living_child(&d->shard_child[shard]);

    if (pid)
        return pid;
    pid = proc_read_pid(arena_printf(&d->scratch, "%s/postmaster.pid", data));
    return pid && realpath(data, real) && proc_works_in(pid, real) ? pid : 0;
}

pid_t demo_router_pid(struct demo *d)
{
    pid_t pid = living_child(&d->router_child);

    if (pid)
        return pid;
    pid = proc_read_pid(demo_path(d, "router.pid"));
    return pid && proc_has_args(pid, "serve", demo_path(d, "pgbraid.conf")) ? pid : 0;
}

/* ---- starting ---- */

struct pgconn *demo_connect(const char *conninfo, struct err *e)
{
    struct pgconn_target target = { .conninfo = conninfo, .application_name = "pgbraid demo", .timeout_ms = 10000 };

    return pgconn_open_blocking(&target, e);
}

bool demo_run(struct pgconn *c, const char *sql, struct err *e)
{
    struct pgresult *r = pgconn_query(c, sql, e);

    pgresult_free(r);
    return r != NULL;
}

/* Wait until a server that we started lets us in. */
static struct pgconn *wait_for_server(const char *conninfo, pid_t *child, const char *name, const char *log,
                                      struct err *e)
{
    uint64_t until_us = clock_mono_us() + START_TIMEOUT_US;
    struct err why = ERR_INIT;
    struct pgconn *c;

    while (!(c = demo_connect(conninfo, &why))) {
        if (!living_child(child)) {
            err_set(e, PB0504, "%s has ended while it started", name);
            proc_explain(log, e);
            return NULL;
        }
        if (clock_mono_us() > until_us) {
            *e = why;
            return NULL;
        }
        if (!proc_pause(POLL_MS)) {
            proc_interrupted(e);
            return NULL;
        }
    }
    return c;
}

static bool make_database(struct pgconn *c, struct err *e)
{
    struct pgresult *r = pgconn_query(c, "SELECT 1 FROM pg_database WHERE datname = '" DEMO_DATABASE "'", e);
    bool there = r && pgresult_rows(r) == 1;

    pgresult_free(r);
    return r && (there || demo_run(c, "CREATE DATABASE " DEMO_DATABASE, e));
}

static bool check_port(const char *name, uint32_t port, const char *hint, struct err *e)
{
    if (proc_port_free(port))
        return true;
    err_set(e, PB0504, "port %u, which %s needs, is taken by another process", port, name);
    return err_hint(e, "%s", hint);
}

/*
 * A postmaster that was killed leaves children, which end by themselves a moment later, and its pid file. PostgreSQL
 * recognises a stale pid file unless the id has been given to another process of the same user; we know more (it works
 * elsewhere), so we remove it.
 */
static struct pgconn *start_postgres(struct demo *d, uint32_t shard, struct err *e)
{
    const char *name = demo_shard_name(d, shard);
    const char *program = postgres_program(d, "postgres", e);
    char *data = arena_printf(&d->scratch, "%s/%s", d->base, name), *log = log_path(d, name);
    const char *const argv[] = { program, "-D", data, NULL };
    uint64_t until_us = clock_mono_us() + KILL_TIMEOUT_US;
    struct pgconn *c;

    if (!program ||
        !check_port(name, d->shard_port[shard], "Free it, or make a new demo in another folder (--dir).", e))
        return NULL;
    unlink(arena_printf(&d->scratch, "%s/postmaster.pid", data));
    do {
        if (!proc_start(argv, log, DEMO_USER, &d->shard_child[shard], e))
            return NULL;
        c = wait_for_server(demo_shard_conninfo(d, shard, "postgres"), &d->shard_child[shard], name, log, e);
    } while (!c && strstr(e->detail, "still in use") && clock_mono_us() < until_us && proc_pause(POLL_MS));
    return c;
}

bool demo_shard_start(struct demo *d, uint32_t shard, struct err *e)
{
    struct pgconn *c = demo_shard_pid(d, shard) ? demo_connect(demo_shard_conninfo(d, shard, "postgres"), e)
                                                : start_postgres(d, shard, e);
    bool ok = c && make_database(c, e);

    if (c)
        pgconn_close_blocking(c);
    return ok;
}

bool demo_router_start(struct demo *d, struct err *e)
{
    char self[PATH_MAX], *log = log_path(d, "router");
    const char *const argv[] = { self, "serve", "-c", demo_path(d, "pgbraid.conf"), NULL };
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    struct pgconn *c;

    if (demo_router_pid(d))
        return true;
    if (n < 0)
        return err_set(e, PB0504, "cannot find this program: %s", strerror(errno));
    self[n] = '\0';
    if (!check_port("the router", d->port, "Choose another one with --port.", e))
        return false;
    unlink(demo_path(d, "router.pid"));
    if (!proc_start(argv, log, NULL, &d->router_child, e))
        return false;
    c = wait_for_server(demo_router_conninfo(d, DEMO_DATABASE), &d->router_child, "the router", log, e);
    if (c)
        pgconn_close_blocking(c);
    return c != NULL;
}

/* ---- stopping ---- */

/* Wait until the server (a shard, or the router: -1) has ended. */
static bool wait_for_end(struct demo *d, int shard, uint64_t timeout_us)
{
    uint64_t until_us = clock_mono_us() + timeout_us;

    while (shard < 0 ? demo_router_pid(d) : demo_shard_pid(d, (uint32_t)shard)) {
        if (clock_mono_us() > until_us)
            return false;
        usleep(POLL_MS * 1000);
    }
    return true;
}

static bool stop_router(struct demo *d, struct err *e)
{
    pid_t pid = demo_router_pid(d);

    if (pid)
        kill(pid, SIGTERM);
    if (wait_for_end(d, -1, STOP_TIMEOUT_US))
        return true;
    kill(pid, SIGKILL);
    return wait_for_end(d, -1, KILL_TIMEOUT_US) || err_set(e, PB0504, "the router (process %d) does not end", (int)pid);
}

bool demo_stop(struct demo *d, bool only_started, struct err *e)
{
    pid_t pid[DEMO_MAX_SHARDS] = { 0 };
    bool ok = (only_started && !d->router_child) || stop_router(d, e);

    /* SIGINT is PostgreSQL's fast shutdown, SIGQUIT the immediate one. All at once, then wait for each. */
    for (uint32_t i = 0; i < d->nshard; i++) {
        pid[i] = only_started && !d->shard_child[i] ? 0 : demo_shard_pid(d, i);
        if (pid[i])
            kill(pid[i], SIGINT);
    }
    for (uint32_t i = 0; i < d->nshard; i++) {
        if (!pid[i] || wait_for_end(d, (int)i, STOP_TIMEOUT_US))
            continue;
        kill(pid[i], SIGQUIT);
        if (!wait_for_end(d, (int)i, KILL_TIMEOUT_US))
            ok = err_set(e, PB0504, "%s (process %d) does not end", demo_shard_name(d, i), (int)pid[i]);
    }
    return ok;
}
