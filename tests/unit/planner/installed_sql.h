/*
 * The SQL files that PostgreSQL installs, as a corpus.
 */
#ifndef TESTS_INSTALLED_SQL_H
#define TESTS_INSTALLED_SQL_H

#include "base/bug.h"
#include "base/strbuf.h"

#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static inline void installed_sql_read(const char *path, struct strbuf *out)
{
    FILE *f = fopen(path, "r");
    char chunk[4096];
    size_t n;

    BUG_ON(!f);
    strbuf_reset(out);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        strbuf_put(out, chunk, n);
    fclose(f);
}

/* Call fn with each file's text, NUL behind it; returns how many files there were. */
static inline uint32_t installed_sql_each(void (*fn)(const char *path, struct strbuf *text))
{
    char *const roots[] = { (char[]){ "/usr/share/postgresql/15" }, NULL };
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    struct strbuf text = STRBUF_INIT;
    uint32_t files = 0;

    BUG_ON(!tree);
    for (FTSENT *f = fts_read(tree); f; f = fts_read(tree)) {
        size_t len = strlen(f->fts_path);

        if (f->fts_info != FTS_F || len < 4 || strcmp(f->fts_path + len - 4, ".sql") != 0)
            continue;
        installed_sql_read(f->fts_path, &text);
        fn(f->fts_path, &text);
        files++;
    }
    fts_close(tree);
    strbuf_fini(&text);
    return files;
}

#endif
