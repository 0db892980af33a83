#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic int log_threshold = LOG_INFO;

static const char *const level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"
};

void log_set_level(enum log_level level)
{
    atomic_store(&log_threshold, (int)level);
}

void log_line(enum log_level level, const char *module, const char *msg, const char *fmt, ...)
{
    char line[2048];
    struct timespec ts;
    struct tm tm;
    size_t len;
    va_list ap;
    int n;

    if ((int)level > atomic_load(&log_threshold))
        return;
    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    len = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
    n = snprintf(line + len, sizeof(line) - len, ".%03ldZ level=%s module=%s msg=\"%s\" ", ts.tv_nsec / 1000000,
                 level_names[level], module, msg);
    len += (size_t)n;
    if (len < sizeof(line)) {
        va_start(ap, fmt);
        n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
        va_end(ap);
        len += (size_t)n;
    }
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    }
    line[len++] = '\n';
    if (write(STDERR_FILENO, line, len) < 0)
        return; /* nowhere left to say it */
}

void log_err(enum log_level level, const char *module, const char *msg, const struct err *e)
{
    log_line(level, module, msg, "sqlstate=%s id=%s error=\"%s\" detail=\"%s\"%s%s%s", e->sqlstate, err_id_name(e->id),
             e->message, e->detail, e->hint[0] ? " hint=\"" : "", e->hint, e->hint[0] ? "\"" : "");
}
