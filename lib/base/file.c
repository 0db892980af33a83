#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool file_read(const char *what, const char *path, size_t max, struct strbuf *out, struct err *e)
{
    FILE *f = fopen(path, "re");
    size_t n, start = out->len;
    bool ok = false;

    if (!f)
        return err_set(e, PB0501, "%s \"%s\" cannot be opened: %s", what, path, strerror(errno));
    do {
        n = fread(strbuf_reserve(out, 4096), 1, 4096, f);
        out->len += n;
    } while (n && out->len - start <= max);
    if (ferror(f))
        err_set(e, PB0501, "%s \"%s\" cannot be read: %s", what, path, strerror(errno));
    else if (out->len - start > max)
        err_set(e, PB0501, "%s \"%s\" is larger than %zu bytes", what, path, max);
    else
        ok = true;
    fclose(f);
    return ok;
}

void problems_add(struct problems *ps, const char *path, int line, const struct err *p)
{
    if (ps->n++ == 0) {
        err_set(ps->e, PB0501, "%s:%d: %s", path, line, p->message);
        if (p->hint[0])
            err_hint(ps->e, "%s", p->hint);
    }
    if (!ps->report)
        return;
    strbuf_printf(ps->report, "%s:%d: %s", path, line, p->message);
    if (p->hint[0])
        strbuf_printf(ps->report, " (%s)", p->hint);
    strbuf_putc(ps->report, '\n');
}
