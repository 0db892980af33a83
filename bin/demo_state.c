#include "bin/demo_int.h"

#include "base/ini.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct state_reader {
    struct demo *demo;
    bool bad;
};

char *demo_path(struct demo *d, const char *tail)
{
    return arena_printf(&d->scratch, "%s/%s", d->dir, tail);
}

/* A port or count: 1 to 65535, else the file is not ours. */
static uint32_t state_number(struct state_reader *r, const char *value)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*end || n < 1 || n > 65535)
        r->bad = true;
    return (uint32_t)n;
}

static void state_setting(void *arg, int line, const char *section, const char *name, const char *value)
{
    struct state_reader *r = arg;
    struct demo *d = r->demo;
    uint32_t shard;

    (void)line;
    (void)section;
    if (strcmp(name, "complete") == 0) {
        d->complete = strcmp(value, "yes") == 0;
    } else if (strcmp(name, "sample") == 0) {
        d->sample = strcmp(value, "yes") == 0;
    } else if (strcmp(name, "base") == 0) {
        d->base = arena_strdup(&d->arena, value);
    } else if (strcmp(name, "shards") == 0) {
        d->nshard = state_number(r, value);
    } else if (strncmp(name, "port-", 5) == 0) {
        shard = state_number(r, name + 5);
        if (shard >= 1 && shard <= DEMO_MAX_SHARDS)
            d->shard_port[shard - 1] = state_number(r, value);
    } else {
        r->bad = true;
    }
}

static void state_problem(void *arg, int line, const char *message)
{
    struct state_reader *r = arg;

    (void)line;
    (void)message;
    r->bad = true;
}

bool demo_state_read(struct demo *d, bool *found, struct err *e)
{
    static const struct ini_callbacks callbacks = { .setting = state_setting, .problem = state_problem };
    struct state_reader reader = { .demo = d };
    char *path = demo_path(d, "demo.state");
    char text[8192];
    FILE *f = fopen(path, "re");
    size_t n;

    *found = f != NULL;
    if (!f && errno == ENOENT)
        return true;
    if (!f)
        return err_set(e, PB0504, "cannot open \"%s\": %s", path, strerror(errno));
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    ini_read(span_make(text, n), &callbacks, &reader);
    if (d->nshard < 1 || d->nshard > DEMO_MAX_SHARDS || !d->base)
        reader.bad = true;
    for (uint32_t i = 0; !reader.bad && i < d->nshard; i++)
        reader.bad = d->shard_port[i] == 0;
    if (!reader.bad)
        return true;
    err_set(e, PB0504, "\"%s\" is not a file of this demo", path);
    return err_hint(e, "Choose another folder with --dir.");
}

bool demo_state_write(struct demo *d, struct err *e)
{
    char *path = demo_path(d, "demo.state"), *fresh = demo_path(d, "demo.state.new");
    FILE *f = fopen(fresh, "we");
    bool ok = f != NULL;

    if (f) {
        fprintf(f, "# written by pgbraid demo\nshards = %u\nbase = %s\n", d->nshard, d->base);
        for (uint32_t i = 0; i < d->nshard; i++)
            fprintf(f, "port-%u = %u\n", i + 1, d->shard_port[i]);
        fprintf(f, "sample = %s\ncomplete = %s\n", d->sample ? "yes" : "no", d->complete ? "yes" : "no");
        ok = fflush(f) == 0 && fsync(fileno(f)) == 0;
        ok = fclose(f) == 0 && ok;
    }
    if (ok && rename(fresh, path) == 0)
        return true;
    return err_set(e, PB0504, "cannot write \"%s\": %s", path, strerror(errno));
}
