#include "router/auth/ident.h"

#include "base/mem.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define IDENT_MAX_SYSTEM 1024u /* bytes of a name that a regular expression looks at */

struct entry {
    char *map, *system, *user; /* owned */
    bool has_regex;
    regex_t regex;
};

struct ident {
    struct entry *entries; /* owned */
    size_t n, cap;
};

/* The next word in *s: double quotes hold blanks. Returns a copy, or NULL at the end of the line. */
static char *next_word(const char **s, const char *end, struct err *e)
{
    struct strbuf word = STRBUF_INIT;
    const char *c = *s;
    bool in_quote = false, any = false;

    while (c < end && (*c == ' ' || *c == '\t' || *c == '\r'))
        c++;
    for (; c < end && (in_quote || (*c != ' ' && *c != '\t' && *c != '\r' && *c != '#')); c++) {
        any = true;
        if (*c == '"')
            in_quote = !in_quote;
        else
            strbuf_putc(&word, *c);
    }
    *s = c < end && *c == '#' ? end : c;
    if (in_quote)
        err_set(e, PB0501, "a double quote is not closed");
    if (any && !in_quote)
        return strbuf_take(&word);
    strbuf_fini(&word);
    return NULL;
}

static void entry_fini(struct entry *en)
{
    free(en->map);
    free(en->system);
    free(en->user);
    if (en->has_regex)
        regfree(&en->regex);
}

static bool entry_check(struct entry *en, struct err *e)
{
    int rc;

    if (!en->user) {
        err_set(e, PB0501, "the line has not three names");
        return err_hint(e, "Write MAPNAME SYSTEM-NAME DATABASE-USER.");
    }
    if (en->system[0] != '/')
        return true;
    rc = regcomp(&en->regex, en->system + 1, REG_EXTENDED);
    if (rc != 0) {
        char reason[120];

        regerror(rc, &en->regex, reason, sizeof(reason));
        return err_set(e, PB0501, "invalid regular expression \"%s\": %s", en->system + 1, reason);
    }
    en->has_regex = true;
    if (strstr(en->user, "\\1") && en->regex.re_nsub == 0)
        return err_set(e, PB0501, "regular expression \"%s\" has no subexpressions as requested by \\1 in \"%s\"",
                       en->system + 1, en->user);
    return true;
}

static void parse_line(struct ident *i, const char *path, int line, const char *at, const char *end,
                       struct problems *problems)
{
    struct err e = ERR_INIT;
    struct entry en = { 0 };
    char *more;

    en.map = next_word(&at, end, &e);
    if (!en.map && e.id == ERR_NONE)
        return;
    en.system = en.map ? next_word(&at, end, &e) : NULL;
    en.user = en.system ? next_word(&at, end, &e) : NULL;
    more = en.user ? next_word(&at, end, &e) : NULL;
    if (e.id == ERR_NONE && more)
        err_set(&e, PB0501, "the line has more than three names");
    free(more);
    if (e.id != ERR_NONE || !entry_check(&en, &e)) {
        entry_fini(&en);
        problems_add(problems, path, line, &e);
        return;
    }
    if (i->n == i->cap) {
        i->cap = i->cap ? i->cap * 2 : 16;
        i->entries = mem_realloc(i->entries, i->cap * sizeof(*i->entries));
    }
    i->entries[i->n++] = en;
}

struct ident *ident_parse(struct span text, const char *path, struct problems *problems)
{
    struct ident *i = mem_zalloc(sizeof(*i));
    const char *at = text.ptr, *end = text.ptr + text.len;
    unsigned before = problems->n;

    if (text.len && memchr(text.ptr, 0, text.len)) {
        struct err e = ERR_INIT;

        err_set(&e, PB0501, "the file has a NUL byte");
        problems_add(problems, path, 1, &e);
        end = at;
    }
    for (int line = 1; at < end; line++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));

        parse_line(i, path, line, at, eol ? eol : end, problems);
        at = eol ? eol + 1 : end;
    }
    if (problems->n == before)
        return i;
    ident_free(i);
    return NULL;
}

void ident_free(struct ident *i)
{
    if (!i)
        return;
    for (size_t k = 0; k < i->n; k++)
        entry_fini(&i->entries[k]);
    free(i->entries);
    free(i);
}

bool ident_has_map(const struct ident *i, const char *map)
{
    for (size_t k = 0; i && k < i->n; k++) {
        if (strcmp(i->entries[k].map, map) == 0)
            return true;
    }
    return false;
}

/* The entry's user with \1 replaced is the one asked for. */
static bool user_is(const struct entry *en, struct span group, const char *user)
{
    const char *at = strstr(en->user, "\\1");
    size_t head, tail;

    if (!at)
        return strcmp(en->user, user) == 0;
    head = (size_t)(at - en->user);
    tail = strlen(at + 2);
    return strlen(user) == head + group.len + tail && memcmp(user, en->user, head) == 0 &&
           (group.len == 0 || memcmp(user + head, group.ptr, group.len) == 0) &&
           memcmp(user + head + group.len, at + 2, tail) == 0;
}

static bool entry_allows(const struct entry *en, const char *system, const char *user)
{
    regmatch_t m[2] = { { .rm_so = -1, .rm_eo = -1 }, { .rm_so = -1, .rm_eo = -1 } };
    struct span group = { .ptr = NULL };

    if (!en->has_regex)
        return strcmp(en->system, system) == 0 && strcmp(en->user, user) == 0;
    if (strlen(system) > IDENT_MAX_SYSTEM || regexec(&en->regex, system, ARRAY_LEN(m), m, 0) != 0)
        return false;
    if (m[1].rm_so >= 0)
        group = span_make(system + m[1].rm_so, (size_t)(m[1].rm_eo - m[1].rm_so));
    return user_is(en, group, user);
}

bool ident_allows(const struct ident *i, const char *map, const char *system, const char *user)
{
    if (!map)
        return strcmp(system, user) == 0;
    for (size_t k = 0; i && k < i->n; k++) {
        if (strcmp(i->entries[k].map, map) == 0 && entry_allows(&i->entries[k], system, user))
            return true;
    }
    return false;
}
