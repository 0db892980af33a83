#include "base/ini.h"

#include "base/bug.h"

#include <ini.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct ini_state {
    const struct ini_callbacks *cb;
    void *arg;
    struct span rest; /* text not yet handed to libinih */
    int line;         /* number of the line handed out last */
    bool awaiting;    /* that line has to come back as a setting */
    char section[INI_MAX_LINE_LEN + 1];
};

static pthread_once_t ini_once = PTHREAD_ONCE_INIT;

/* libinih is configured by globals; its defaults cut lines at 200 bytes and read the remainder as a line of its own. */
static void ini_setup(void)
{
    ini_use_stack = false;
    ini_max_line = (int)INI_MAX_LINE_LEN + 8;
    ini_initial_alloc = ini_max_line;
    ini_allow_multiline = false;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct span trim(struct span s)
{
    while (s.len && is_blank(s.ptr[0]))
        s = span_make(s.ptr + 1, s.len - 1);
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static struct span next_line(struct ini_state *st)
{
    const char *nl = memchr(st->rest.ptr, '\n', st->rest.len);
    struct span line = span_make(st->rest.ptr, nl ? (size_t)(nl - st->rest.ptr) : st->rest.len);
    size_t used = line.len + (nl ? 1 : 0);

    st->rest = span_make(st->rest.ptr + used, st->rest.len - used);
    st->line++;
    return line;
}

/* "[section]"; nothing but a comment may follow. */
static const char *read_heading(struct ini_state *st, struct span line)
{
    const char *close = memchr(line.ptr, ']', line.len);
    struct span name, after;

    if (!close)
        return "expected \"[section]\"";
    after = trim(span_make(close + 1, line.len - (size_t)(close + 1 - line.ptr)));
    if (after.len && after.ptr[0] != ';')
        return "expected \"[section]\"";
    name = span_make(line.ptr + 1, (size_t)(close - line.ptr - 1));
    memcpy(st->section, name.ptr, name.len);
    st->section[name.len] = '\0';
    if (st->cb->heading)
        st->cb->heading(st->arg, st->line, st->section);
    return NULL;
}

/* Whether a line is for libinih: a setting. What it would pass over in silence is skipped or reported here. */
static bool line_wanted(struct ini_state *st, struct span line, struct span *out)
{
    const char *problem = NULL;
    bool heading;

    *out = trim(line);
    if (out->len == 0 || out->ptr[0] == ';' || out->ptr[0] == '#')
        return false;
    if (memchr(out->ptr, '\0', out->len))
        problem = "the line holds a zero byte";
    else if (out->len > INI_MAX_LINE_LEN)
        problem = "the line is too long";
    heading = !problem && out->ptr[0] == '[';
    if (heading)
        problem = read_heading(st, *out);
    if (problem)
        st->cb->problem(st->arg, st->line, problem);
    return !problem && !heading;
}

/* A line that libinih took without calling the handler was no setting. */
static void check_answered(struct ini_state *st)
{
    if (st->awaiting)
        st->cb->problem(st->arg, st->line, "expected \"name = value\"");
    st->awaiting = false;
}

static char *on_read(char *buf, int cap, void *arg)
{
    struct ini_state *st = arg;
    struct span line;

    check_answered(st);
    do {
        if (st->rest.len == 0)
            return NULL;
    } while (!line_wanted(st, next_line(st), &line));
    BUG_ON(line.len + 2 > (size_t)cap);
    memcpy(buf, line.ptr, line.len);
    memcpy(buf + line.len, "\n", 2);
    st->awaiting = true;
    return buf;
}

static int on_setting(void *arg, const char *section, const char *name, const char *value)
{
    struct ini_state *st = arg;
    size_t len = strlen(value);
    char unquoted[INI_MAX_LINE_LEN + 1];

    (void)section;
    if (!name[0])
        return 0; /* still awaiting: reported by check_answered */
    st->awaiting = false;
    if (len >= 2 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0]) {
        memcpy(unquoted, value + 1, len - 2);
        unquoted[len - 2] = '\0';
        value = unquoted;
    }
    st->cb->setting(st->arg, st->line, st->section, name, value);
    return 1;
}

void ini_read(struct span text, const struct ini_callbacks *cb, void *arg)
{
    struct ini_state st = { .cb = cb, .arg = arg, .rest = text };

    pthread_once(&ini_once, ini_setup);
    if (text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0)
        st.rest = span_make(text.ptr + 3, text.len - 3); /* byte order mark */
    /* The result only counts errors that check_answered has reported with their lines, or is -2. */
    BUG_ON(ini_parse_stream(on_read, &st, on_setting, &st) == -2);
}
