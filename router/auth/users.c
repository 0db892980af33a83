#include "router/auth/users.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct user {
    char *name; /* owned */
    int line;
    struct secret secret;
};

struct users {
    struct user *list; /* owned; sorted by name */
    size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct user *)a)->name, ((const struct user *)b)->name);
}

static void skip_blanks(const char **s, const char *end)
{
    while (*s < end && (**s == ' ' || **s == '\t' || **s == '\r'))
        (*s)++;
}

/* A word in double quotes; a copy. */
static char *quoted_word(const char **s, const char *end, const char *what, struct err *e)
{
    struct strbuf word = STRBUF_INIT;
    const char *c;

    skip_blanks(s, end);
    if (*s == end || **s != '"') {
        err_set(e, PB0501, "the %s must stand in double quotes", what);
        err_hint(e, "Write \"user\" \"SCRAM verifier, md5 hash or password\".");
        return NULL;
    }
    for (c = *s + 1; c < end; c++) {
        if (*c != '"') {
            strbuf_putc(&word, *c);
        } else if (c + 1 < end && c[1] == '"') {
            strbuf_putc(&word, '"');
            c++;
        } else {
            *s = c + 1;
            return strbuf_take(&word);
        }
    }
    if (word.len)
        explicit_bzero(word.ptr, word.len);
    strbuf_fini(&word);
    err_set(e, PB0501, "the double quote of the %s is not closed", what);
    return NULL;
}

static void add_user(struct users *u, char *name, int line, char *text)
{
    struct user *x;

    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 16;
        u->list = mem_realloc(u->list, u->cap * sizeof(*u->list));
    }
    x = &u->list[u->n++];
    *x = (struct user){ .name = name, .line = line };
    if (!secret_parse(span_str(text), &x->secret) && text[0]) {
        scram_verifier_make(text, NULL, 0, SCRAM_ITERATIONS, &x->secret.scram);
        x->secret.kind = SECRET_SCRAM;
    }
}

static void parse_line(struct users *u, const char *path, int line, const char *at, const char *end,
                       struct problems *problems)
{
    struct err e = ERR_INIT;
    char *name, *text = NULL;
    struct secret probe;

    skip_blanks(&at, end);
    if (at == end || *at == ';' || *at == '#')
        return;
    name = quoted_word(&at, end, "user", &e);
    if (name)
        text = quoted_word(&at, end, "password", &e);
    if (text && name[0] == '\0')
        err_set(&e, PB0501, "the user has no name");
    if (text && strncmp(text, SCRAM_MECHANISM "$", sizeof(SCRAM_MECHANISM)) == 0 &&
        !secret_parse(span_str(text), &probe))
        err_set(&e, PB0501, "the SCRAM verifier of user \"%s\" is not complete", name);
    if (!text || e.id != ERR_NONE)
        problems_add(problems, path, line, &e);
    else
        add_user(u, name, line, text);
    if (!text || e.id != ERR_NONE)
        free(name);
    if (text) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

static void find_doubles(const struct users *u, const char *path, struct problems *problems)
{
    for (size_t i = 1; i < u->n; i++) {
        const struct user *a = &u->list[i - 1], *b = &u->list[i];
        struct err e = ERR_INIT;

        if (strcmp(a->name, b->name) != 0)
            continue;
        err_set(&e, PB0501, "user \"%s\" is in the list twice", b->name);
        problems_add(problems, path, a->line > b->line ? a->line : b->line, &e);
    }
}

struct users *users_parse(struct span text, const char *path, struct problems *problems)
{
    struct users *u = mem_zalloc(sizeof(*u));
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

        parse_line(u, path, line, at, eol ? eol : end, problems);
        at = eol ? eol + 1 : end;
    }
    if (u->n)
        qsort(u->list, u->n, sizeof(*u->list), by_name);
    find_doubles(u, path, problems);
    if (problems->n == before)
        return u;
    users_free(u);
    return NULL;
}

void users_free(struct users *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n; i++)
        free(u->list[i].name);
    if (u->list)
        explicit_bzero(u->list, u->n * sizeof(*u->list));
    free(u->list);
    free(u);
}

const struct secret *users_find(const struct users *u, const char *name)
{
    struct user key = { .name = (char *)(uintptr_t)name };
    const struct user *x = u && u->n ? bsearch(&key, u->list, u->n, sizeof(*u->list), by_name) : NULL;

    return x ? &x->secret : NULL;
}
