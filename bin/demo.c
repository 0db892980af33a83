#include "bin/verbs.h"

#include "base/cmd.h"
#include "base/strbuf.h"
#include "bin/demo_int.h"
#include "bin/demo_proc.h"
#include "router/config/config.h"
#include "shardmap/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_DIR       "pgbraid-demo"
#define FIRST_SHARD_PORT  15432u
#define LOCK_ATTEMPTS     600u
#define LOCK_POLL_MS      100u
#define WATCH_INTERVAL_MS 300u

extern char **environ;

struct demo_options {
    struct cmd_args args; /* first */
    const char *dir, *shards_text, *port_text;
    uint32_t shards, port; /* 0: not given */
    bool empty, detach, stop;
};

/* ---- command line ---- */

static const struct cmd_option cmd_options[] = {
    { .name = "shards",
      .value = "N",
      .offset = offsetof(struct demo_options, shards_text),
      .help = "that many PostgreSQL servers, 1 to 16 (3)" },
    { .name = "port",
      .letter = 'p',
      .value = "PORT",
      .offset = offsetof(struct demo_options, port_text),
      .help = "the router's port (6432)" },
    { .name = "dir",
      .value = "DIR",
      .offset = offsetof(struct demo_options, dir),
      .help = "where everything is kept (./" DEFAULT_DIR ")" },
    { .name = "empty", .offset = offsetof(struct demo_options, empty), .help = "without the sample" },
    { .name = "detach", .offset = offsetof(struct demo_options, detach), .help = "leave it running and return" },
    { .name = "stop", .offset = offsetof(struct demo_options, stop), .help = "stop the demo in DIR" },
};

static const struct cmd demo_cmd = {
    .name = "pgbraid demo",
    .synopsis = "[--shards N] [--port PORT] [--dir DIR] [--empty] [--detach] | --stop [--dir DIR]",
    .about = "A sharded database to try, on this machine: starts PostgreSQL servers as shards and a router in front of "
             "them,\n"
             "loads a sample shop, and stays until Ctrl-C, which stops all of it. A second start keeps the data and "
             "brings back\n"
             "what was killed. No server that it did not start is touched.\n\n"
             "  pgbraid demo\n"
             "  pgbraid demo --dir /tmp/shop --shards 4 --port 7000 --detach\n"
             "  pgbraid demo --stop --dir /tmp/shop",
    .options = cmd_options,
    .noption = ARRAY_LEN(cmd_options),
};

/* *out stays as it is when the option was not given. */
static bool parse_number(const char *option, const char *text, uint32_t max, uint32_t *out, struct err *e)
{
    char *end;
    unsigned long n;

    if (!text)
        return true;
    n = strtoul(text, &end, 10);
    if (*end || text[0] < '0' || text[0] > '9' || n < 1 || n > max)
        return err_set(e, PB0502, "--%s wants a number from 1 to %u, not \"%s\"", option, max, text);
    *out = (uint32_t)n;
    return true;
}

static enum cmd_result parse_options(int argc, char **argv, struct demo_options *o, struct err *e)
{
    enum cmd_result result = cmd_parse(&demo_cmd, argc, argv, &o->args, e);

    if (result != CMD_RUN)
        return result;
    if (!parse_number("shards", o->shards_text, DEMO_MAX_SHARDS, &o->shards, e) ||
        !parse_number("port", o->port_text, 65535, &o->port, e))
        return CMD_BAD;
    if (o->stop && (o->shards || o->port || o->empty || o->detach)) {
        err_set(e, PB0502, "--stop goes with --dir only");
        return CMD_BAD;
    }
    return CMD_RUN;
}

/* ---- the folder ---- */

static bool make_dirs(const char *path, struct err *e)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof part)
        return err_set(e, PB0502, "\"%s\" is not a folder's name", path);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return err_set(e, PB0504, "cannot make the folder \"%s\": %s", part, strerror(errno));
    }
    return true;
}

static bool dir_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool empty = dir != NULL;

    while (dir && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "demo.lock") != 0)
            empty = false;
    if (dir)
        closedir(dir);
    return empty;
}

/* One demo command at a time changes what runs. The lock ends with the process. */
static bool lock_dir(struct demo *d, int *fd, struct err *e)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (*fd < 0)
        *fd = open(demo_path(d, "demo.lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0)
        return err_set(e, PB0504, "cannot open \"%s\": %s", demo_path(d, "demo.lock"), strerror(errno));
    for (unsigned i = 0; i < LOCK_ATTEMPTS; i++) {
        if (fcntl(*fd, F_SETLK, &lock) == 0)
            return true;
        if (!proc_pause(LOCK_POLL_MS))
            return proc_interrupted(e);
    }
    return err_set(e, PB0504, "another demo command is at work in \"%s\"", d->dir);
}

static void unlock_dir(int fd)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    if (fd >= 0)
        fcntl(fd, F_SETLK, &lock);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Throw away a set-up that was not completed: only what this program makes. */
static bool discard(struct demo *d, struct err *e)
{
    static const char *const files[] = { "directory.db", "directory.db-wal", "directory.db-shm",
                                         "pgbraid.conf", "router.pid",       "demo.state" };
    char *data;

    if (!demo_stop(d, false, e))
        return false;
    for (uint32_t i = 0; i < d->nshard; i++) {
        data = arena_printf(&d->scratch, "%s/%s", d->base, demo_shard_name(d, i));
        nftw(data, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        unlink(demo_path(d, demo_shard_name(d, i)));
    }
    if (strcmp(d->base, d->dir) != 0)
        rmdir(d->base);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(demo_path(d, files[i]));
    return true;
}

/* ---- the first start ---- */

/*
 * Where data directories go. Run as root, PostgreSQL needs a user of its own, who may not be able to enter the folder
 * (anything below /root, say): then they go where he can, and links lead there.
 */
static bool choose_base(struct demo *d, struct err *e)
{
    char fresh[] = "/var/tmp/pgbraid-demo-XXXXXX";

    d->base = d->dir;
    if (geteuid() != 0 || proc_user_can_enter(DEMO_USER, d->dir))
        return true;
    if (!mkdtemp(fresh) || chmod(fresh, 0755) != 0)
        return err_set(e, PB0504, "cannot make a folder in /var/tmp: %s", strerror(errno));
    d->base = arena_strdup(&d->arena, fresh);
    printf("The user " DEMO_USER " cannot enter %s: the data directories are in %s, with links to them.\n", d->dir,
           d->base);
    return true;
}

static bool choose_ports(struct demo *d, struct err *e)
{
    uint32_t port = FIRST_SHARD_PORT;

    for (uint32_t i = 0; i < d->nshard; i++, port++) {
        while (port < 32768 && (port == d->port || !proc_port_free(port)))
            port++;
        if (port >= 32768)
            return err_set(e, PB0504, "no free ports for the shards");
        d->shard_port[i] = port;
    }
    return true;
}

/* pgbraid.conf is the user's to edit once it is there; only the port is ours to change. */
static bool write_config(struct demo *d, const char *old, struct err *e)
{
    char *path = demo_path(d, "pgbraid.conf"), *fresh = demo_path(d, "pgbraid.conf.new");
    FILE *f = fopen(fresh, "we");
    bool ok = f != NULL;

    if (f && old) {
        for (const char *line = old, *next; *line; line = next) {
            next = line + strcspn(line, "\n");
            next += *next == '\n';
            if (strncmp(line, "port", 4) == 0 && strspn(line + 4, " \t=") > 0)
                fprintf(f, "port = %u\n", d->port);
            else
                fwrite(line, 1, (size_t)(next - line), f);
        }
    } else if (f) {
        fprintf(f,
                "# The router of a demo. `pgbraid help` tells where all settings are explained.\n"
                "[pgbraid]\nlisten_addr = 127.0.0.1\nport = %u\ndirectory = directory.db\npidfile = router.pid\n"
                "shutdown_timeout = 5s\n",
                d->port);
    }
    if (f)
        ok = fclose(f) == 0;
    if (ok && rename(fresh, path) == 0)
        return true;
    return err_set(e, PB0504, "cannot write \"%s\": %s", path, strerror(errno));
}

static bool make_directory(struct demo *d, struct err *e)
{
    const struct directory_options options = { .create = true, .check_conninfo = pgconn_check_conninfo };
    struct directory *dir = directory_open(demo_path(d, "directory.db"), &options, e);
    struct keyrange ranges[DEMO_MAX_SHARDS];
    char range[KEYRANGE_TEXT_MAX];
    bool ok = dir != NULL;

    keyrange_split(ranges, d->nshard);
    for (uint32_t i = 0; ok && i < d->nshard; i++) {
        const struct directory_shard_def def = {
            .database = DEMO_DATABASE,
            .name = demo_shard_name(d, i),
            .range = keyrange_print(&ranges[i], range),
            .conninfo = demo_shard_conninfo(d, i, DEMO_DATABASE),
            .create_database = true,
        };
        ok = directory_add_shard(dir, &def, e);
    }
    directory_close(dir);
    return ok;
}

static bool set_up(struct demo *d, struct err *e)
{
    if (!choose_base(d, e) || !choose_ports(d, e) || !demo_state_write(d, e))
        return false;
    for (uint32_t i = 0; i < d->nshard; i++) {
        printf("Making %s ...\n", demo_shard_name(d, i));
        fflush(stdout);
        if (!proc_pause(0))
            return proc_interrupted(e);
        if (!demo_shard_init(d, i, e))
            return false;
    }
    return write_config(d, NULL, e) && make_directory(d, e);
}

/* ---- every start ---- */

static bool start_all(struct demo *d, struct err *e)
{
    for (uint32_t i = 0; i < d->nshard; i++) {
        bool runs = demo_shard_pid(d, i) != 0;

        if (!demo_shard_start(d, i, e))
            return false;
        printf("%s  127.0.0.1:%u  %s\n", demo_shard_name(d, i), d->shard_port[i], runs ? "runs already" : "started");
    }
    return true;
}

static bool start_router(struct demo *d, struct err *e)
{
    bool runs = demo_router_pid(d) != 0;

    if (!demo_router_start(d, e))
        return false;
    printf("router   127.0.0.1:%u  %s\n", d->port, runs ? "runs already" : "started");
    return true;
}

/* The port in pgbraid.conf, changed to the one asked for, if any. */
static bool settle_port(struct demo *d, uint32_t wanted, struct err *e)
{
    char *path = demo_path(d, "pgbraid.conf");
    struct config *c = config_load(path, NULL, e);
    struct strbuf text = STRBUF_INIT;
    char chunk[4096];
    size_t n;
    FILE *f;
    bool ok;

    if (!c)
        return false;
    d->port = c->port;
    config_unref(c);
    if (!wanted || wanted == d->port)
        return true;
    if (demo_router_pid(d))
        return err_set(e, PB0502, "the router of this demo runs on port %u: stop it first (--stop)", d->port);
    f = fopen(path, "re");
    while (f && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
        strbuf_put(&text, chunk, n);
    if (f)
        fclose(f);
    d->port = wanted;
    ok = write_config(d, strbuf_str(&text), e);
    strbuf_fini(&text);
    return ok;
}

/* Read what is there. *fresh: nothing, or only the beginnings, now thrown away. */
static bool open_existing(struct demo *d, const struct demo_options *o, bool *fresh, struct err *e)
{
    bool found;

    if (!demo_state_read(d, &found, e))
        return false;
    *fresh = !found || !d->complete;
    if (found && !d->complete) {
        printf("The set-up in %s was not completed: starting over.\n", d->dir);
        if (!discard(d, e))
            return false;
    }
    if (!found && !dir_is_empty(d->dir)) {
        err_set(e, PB0502, "\"%s\" is not empty, and not the folder of a demo", d->dir);
        return err_hint(e, "Choose another folder with --dir.");
    }
    if (*fresh) {
        d->nshard = o->shards ? o->shards : DEMO_DEFAULT_SHARDS;
        d->port = o->port ? o->port : DEMO_DEFAULT_PORT;
        if (proc_port_free(d->port))
            return true;
        err_set(e, PB0504, "port %u, which the router needs, is taken by another process", d->port);
        return err_hint(e, "Choose another one with --port.");
    }
    if (o->shards && o->shards != d->nshard) {
        err_set(e, PB0502, "the demo in \"%s\" has %u shards", d->dir, d->nshard);
        return err_hint(e, "Leave --shards out, or choose another folder with --dir.");
    }
    return settle_port(d, o->port, e);
}

static bool start(struct demo *d, const struct demo_options *o, struct err *e)
{
    bool fresh;

    if (!open_existing(d, o, &fresh, e) || !make_dirs(demo_path(d, "log"), e) || (fresh && !set_up(d, e)) ||
        !start_all(d, e) || !start_router(d, e))
        return false;
    if (fresh && !o->empty && !demo_load(d, e))
        return false;
    if (fresh) {
        d->complete = true;
        d->sample = !o->empty;
        if (!demo_state_write(d, e))
            return false;
    }
    printf("\nConnect:  psql -h 127.0.0.1 -p %u -U " DEMO_USER " " DEMO_DATABASE "\n"
           "Console:  psql -h 127.0.0.1 -p %u -U " DEMO_USER " pgbraid\n",
           d->port, d->port);
    return !d->sample || demo_print_queries(d, e);
}

/* ---- until the end ---- */

/* Tell what ends and what comes back, until a signal, or until nothing runs any more. True: to be stopped by us. */
static bool watch(struct demo *d)
{
    bool gone[DEMO_MAX_SHARDS + 1] = { false }, now;
    uint32_t ngone;

    while (proc_pause(WATCH_INTERVAL_MS)) {
        ngone = 0;
        arena_reset(&d->scratch);
        for (uint32_t i = 0; i <= d->nshard; i++) {
            now = (i < d->nshard ? demo_shard_pid(d, i) : demo_router_pid(d)) == 0;
            if (now != gone[i])
                printf("%s %s\n", i < d->nshard ? demo_shard_name(d, i) : "the router",
                       now ? "has ended; start the demo again to bring it back" : "is back");
            gone[i] = now;
            ngone += now;
        }
        fflush(stdout);
        if (ngone > d->nshard)
            return false;
    }
    return true;
}

static bool run(struct demo *d, const struct demo_options *o, int lock, struct err *e)
{
    struct err ignored = ERR_INIT;

    if (!start(d, o, e)) {
        fflush(stdout);
        if (!demo_stop(d, true, &ignored))
            fprintf(stderr, "pgbraid demo: %s\n", ignored.message);
        return false;
    }
    if (o->detach) {
        printf("\nRunning. Stop it with: pgbraid demo --stop --dir %s\n", d->dir);
        return true;
    }
    unlock_dir(lock);
    printf("\nCtrl-C stops everything; the data stays in %s.\n", d->dir);
    fflush(stdout);
    if (!watch(d)) {
        printf("Everything has been stopped.\n");
        return true;
    }
    printf("\nStopping ...\n");
    fflush(stdout);
    return demo_stop(d, false, e);
}

static uint32_t count_running(struct demo *d)
{
    uint32_t n = demo_router_pid(d) != 0;

    for (uint32_t i = 0; i < d->nshard; i++)
        n += demo_shard_pid(d, i) != 0;
    return n;
}

static bool stop(struct demo *d, struct err *e)
{
    bool found;

    if (!demo_state_read(d, &found, e))
        return false;
    if (!found)
        return err_set(e, PB0502, "there is no demo in \"%s\"", d->dir);
    if (count_running(d) == 0) {
        printf("Nothing runs in %s.\n", d->dir);
        return true;
    }
    if (!demo_stop(d, false, e))
        return false;
    printf("Stopped. The data stays in %s.\n", d->dir);
    return true;
}

/* What the user's environment says of other PostgreSQL servers is not meant for ours. */
static void forget_environment(void)
{
    char name[128];
    size_t i = 0, len;

    while (environ && environ[i]) {
        len = strcspn(environ[i], "=");
        if (strncmp(environ[i], "PG", 2) == 0 && strncmp(environ[i], "PGBRAID_", 8) != 0 && len < sizeof name) {
            memcpy(name, environ[i], len);
            name[len] = '\0';
            unsetenv(name);
        } else {
            i++;
        }
    }
}

static bool open_and_run(struct demo *d, const struct demo_options *o, struct err *e)
{
    char real[PATH_MAX];
    int lock = -1;
    bool ok;

    if (!o->stop && !make_dirs(o->dir, e))
        return false;
    if (!realpath(o->dir, real))
        return err_set(e, PB0502, "cannot open the folder \"%s\": %s", o->dir, strerror(errno));
    d->dir = arena_strdup(&d->arena, real);
    ok = lock_dir(d, &lock, e) && (o->stop ? stop(d, e) : run(d, o, lock, e));
    if (lock >= 0)
        close(lock);
    return ok;
}

int verb_demo(int argc, char **argv)
{
    struct demo_options options = { .dir = DEFAULT_DIR };
    struct err e = ERR_INIT;
    struct demo d = { 0 };
    enum cmd_result result = parse_options(argc, argv, &options, &e);
    bool ok;

    if (result != CMD_RUN)
        return cmd_usage(&demo_cmd, result, &e);
    proc_hold_signals();
    forget_environment();
    arena_init(&d.arena, 0);
    arena_init(&d.scratch, 0);
    ok = open_and_run(&d, &options, &e);
    fflush(stdout);
    arena_fini(&d.scratch);
    arena_fini(&d.arena);
    return ok ? CMD_EXIT_OK : cmd_fail(&e);
}
