#include "bin/demo_proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool interrupted;

static void held_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

void proc_hold_signals(void)
{
    sigset_t set;

    held_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool proc_pause(uint32_t ms)
{
    struct timespec wait = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };
    sigset_t set;

    held_signals(&set);
    if (!interrupted && sigtimedwait(&set, NULL, &wait) > 0)
        interrupted = true;
    return !interrupted;
}

bool proc_interrupted(struct err *e)
{
    return err_set(e, PB0309, "interrupted");
}

/* In the child, after fork: only what never returns on failure. */
_Noreturn static void child_fail(const char *what)
{
    dprintf(STDERR_FILENO, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

static void child_become(const char *user)
{
    const struct passwd *pw;

    if (geteuid() != 0)
        return;
    errno = 0;
    pw = getpwnam(user);
    if (!pw || pw->pw_uid == 0)
        child_fail(user);
    if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0)
        child_fail("setuid");
}

_Noreturn static void child_exec(const char *const *argv, const char *user)
{
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (user)
        child_become(user);
    if (close_range(3, ~0u, 0) != 0)
        child_fail("close_range");
    execv(argv[0], (char *const *)(void *)argv);
    child_fail(argv[0]);
}

bool proc_start(const char *const *argv, const char *log, const char *user, pid_t *pid, struct err *e)
{
    int out = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (out < 0 || in < 0) {
        err_set(e, PB0504, "cannot open \"%s\": %s", out < 0 ? log : "/dev/null", strerror(errno));
        goto out;
    }
    fflush(NULL);
    *pid = fork();
    if (*pid == 0) {
        if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
            child_fail("dup2");
        child_exec(argv, user);
    }
    if (*pid < 0)
        err_set(e, PB0504, "cannot fork: %s", strerror(errno));
out:
    if (out >= 0)
        close(out);
    if (in >= 0)
        close(in);
    return out >= 0 && in >= 0 && *pid > 0;
}

bool proc_run(const char *const *argv, const char *log, const char *user, struct err *e)
{
    int status = 0;
    pid_t pid;

    if (!proc_start(argv, log, user, &pid, e))
        return false;
    while (waitpid(pid, &status, 0) < 0)
        BUG_ON(errno != EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    err_set(e, PB0504, "\"%s\" failed", argv[0]);
    proc_explain(log, e);
    return false;
}

bool proc_has_ended(pid_t child)
{
    return waitpid(child, NULL, WNOHANG) == child;
}

void proc_explain(const char *log, struct err *e)
{
    char tail[512];
    FILE *f = fopen(log, "re");
    size_t n;

    if (!f)
        return;
    if (fseek(f, -(long)(sizeof tail - 1), SEEK_END) != 0)
        rewind(f);
    n = fread(tail, 1, sizeof tail - 1, f);
    fclose(f);
    while (n > 0 && tail[n - 1] == '\n')
        n--;
    tail[n] = '\0';
    err_detail(e, "The end of %s: %s", log, strrchr(tail, '\n') ? strrchr(tail, '\n') + 1 : tail);
}

pid_t proc_read_pid(const char *pidfile)
{
    FILE *f = fopen(pidfile, "re");
    char line[32] = "";
    long pid = 0;

    if (!f)
        return 0;
    if (fgets(line, sizeof line, f))
        pid = strtol(line, NULL, 10);
    fclose(f);
    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

bool proc_works_in(pid_t pid, const char *dir)
{
    char link[32], cwd[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    n = readlink(link, cwd, sizeof cwd - 1);
    if (n < 0)
        return false;
    cwd[n] = '\0';
    return strcmp(cwd, dir) == 0;
}

bool proc_has_args(pid_t pid, const char *verb, const char *arg)
{
    char path[32], args[2 * PATH_MAX];
    bool verb_seen = false;
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    n = fread(args, 1, sizeof args - 1, f);
    fclose(f);
    args[n] = '\0';
    for (const char *p = args; p < args + n; p += strlen(p) + 1) {
        if (verb_seen && strcmp(p, arg) == 0)
            return true;
        if (strcmp(p, verb) == 0)
            verb_seen = true;
    }
    return false;
}

bool proc_user_can_enter(const char *user, const char *dir)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        child_become(user);
        _exit(access(dir, X_OK) == 0 ? 0 : 1);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        BUG_ON(errno != EINTR);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool proc_port_free(uint32_t port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool ok;

    if (fd < 0)
        return false;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* REUSEADDR: connections that linger in TIME_WAIT do not count; a listener still does, whatever options it has. */
    ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
         bind(fd, (struct sockaddr *)&sin, sizeof sin) == 0 && listen(fd, 1) == 0;
    close(fd);
    return ok;
}
