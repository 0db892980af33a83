#include "migrate/table_def.h"

#include "base/mem.h"
#include "migrate/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DUMP_MAX_LEN ((size_t)16 * 1024 * 1024)

extern char **environ;

static const char *copy(struct arena *a, const struct pgresult *r, int row, int column)
{
    const char *v = pgresult_value(r, row, column);

    return v ? arena_strdup(a, v) : NULL;
}

static bool is_true(const struct pgresult *r, int row, int column)
{
    const char *v = pgresult_value(r, row, column);

    return v && v[0] == 't';
}

/* --- finding --- */

/* The name means what it means to the client: its role decides "$user" and which schemas are visible. */
static bool find(struct table_def *t, struct pgconn *home, struct arena *a, const char *user, const char *search_path,
                 const char *table, struct err *e)
{
    const char *path[] = { search_path }, *role[] = { user }, *name[] = { table };
    struct pgresult *r =
        pgconn_query_params(home, "SELECT pg_catalog.set_config('search_path', $1, false)", 1, path, e);
    bool ok = r != NULL;

    pgresult_free(r);
    r = ok ? pgconn_query_params(home, "SELECT pg_catalog.set_config('role', $1, false)", 1, role, e) : NULL;
    ok = r != NULL;
    pgresult_free(r);
    r = ok ? pgconn_query_params(home, "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", 1, name, e) : NULL;
    ok = r != NULL;
    if (ok)
        t->oid = copy(a, r, 0, 0);
    pgresult_free(r);
    if (!ok)
        return false;
    r = pgconn_query(home, "RESET ROLE; SET search_path = pg_catalog", e);
    ok = r != NULL;
    pgresult_free(r);
    if (ok && !t->oid)
        return err_set(e, PB0208, "table \"%s\" does not exist", table);
    return ok;
}

/* The present key, from the JSON array of its names. */
static bool read_key(struct table_def *t, struct pgconn *home, struct arena *a, struct err *e)
{
    const char *params[] = { t->schema, t->name }, *names[DIST_MAX_KEYS];
    struct pgresult *r =
        pgconn_query_params(home,
                            "SELECT k FROM pgbraid.tables t, pg_catalog.unnest(t.key_columns) WITH ORDINALITY AS u "
                            "(k, i) WHERE t.schema_name = $1 AND t.table_name = $2 ORDER BY u.i",
                            2, params, e);
    uint32_t n;

    if (!r)
        return false;
    n = (uint32_t)pgresult_rows(r);
    if (n > DIST_MAX_KEYS)
        n = DIST_MAX_KEYS;
    for (uint32_t i = 0; i < n; i++)
        names[i] = copy(a, r, (int)i, 0);
    pgresult_free(r);
    return table_def_key(t, home, a, n, names, e);
}

static bool usable(struct table_def *t, const struct pgresult *r, const char *user, struct err *e)
{
    const char *kind = pgresult_value(r, 0, 2);

    if (is_true(r, 0, 5))
        return err_set(e, PB0207, "\"%s\" is a system or temporary table", t->name);
    if (!is_true(r, 0, 3)) {
        err_set(e, PB0207, "must be owner of table %s", t->name);
        return err_state(e, "42501");
    }
    if (is_true(r, 0, 4)) {
        err_set(e, PB0207, "table \"%s\" is partitioned or takes part in inheritance", t->name);
        return err_hint(e, "Only ordinary tables can be distributed; a sharded table needs no partitions to be small.");
    }
    if (strcmp(kind, "r") != 0) {
        err_set(e, PB0207, "\"%s\" is not an ordinary table", t->name);
        return err_detail(e, "Views, sequences, foreign and materialized ones cannot be distributed.");
    }
    (void)user;
    return true;
}

bool table_def_read(struct table_def *t, struct pgconn *home, struct arena *a, const char *user,
                    const char *search_path, const char *table, struct err *e)
{
    struct strbuf quoted = STRBUF_INIT;
    const char *params[2], *dist, *vindex;
    struct pgresult *r;
    bool ok;

    *t = (struct table_def){ 0 };
    if (!find(t, home, a, user, search_path, table, e))
        return false;
    params[0] = t->oid;
    params[1] = user;
    r = pgconn_query_params(home, sql_place_table, 2, params, e);
    if (!r)
        return false;
    if (pgresult_rows(r) != 1) {
        pgresult_free(r);
        return err_set(e, PB0208, "table \"%s\" does not exist", table);
    }
    t->schema = copy(a, r, 0, 0);
    t->name = copy(a, r, 0, 1);
    dist = pgresult_value(r, 0, 6);
    vindex = pgresult_value(r, 0, 7);
    t->columns = copy(a, r, 0, 9);
    t->dist = !dist ? DIST_UNSHARDED : strcmp(dist, "reference") == 0 ? DIST_REFERENCE : DIST_SHARDED;
    t->key.identity = vindex && t->dist == DIST_SHARDED && strcmp(vindex, "identity") == 0;
    strbuf_put_ident(&quoted, span_str(t->schema));
    strbuf_putc(&quoted, '.');
    strbuf_put_ident(&quoted, span_str(t->name));
    t->quoted = arena_strdup(a, strbuf_str(&quoted));
    strbuf_fini(&quoted);
    ok = usable(t, r, user, e);
    pgresult_free(r);
    return ok && (t->dist != DIST_SHARDED || read_key(t, home, a, e));
}

/* --- the key --- */

static bool key_column(struct table_def *t, struct pgconn *home, struct arena *a, const char *name, struct err *e)
{
    struct placement_key *key = &t->key;
    const char *params[] = { t->oid, name };
    struct pgresult *r = pgconn_query_params(home, sql_place_column, 2, params, e);
    bool ok = true;

    if (!r)
        return false;
    if (pgresult_rows(r) == 0) {
        ok = err_set(e, PB0209, "column \"%s\" of table \"%s\" does not exist", name, t->name);
    } else if (!key_type_of_oid((uint32_t)strtoul(pgresult_value(r, 0, 0), NULL, 10), &key->types[key->ncolumn])) {
        err_set(e, PB0207, "column \"%s\" of type %s cannot be a sharding key", name, pgresult_value(r, 0, 1));
        err_detail(e, "Its hash cannot be computed alike by every shard and the router.");
        ok = err_hint(
            e, "Sharding keys are smallint, integer, bigint, text, varchar, char, uuid, numeric, date or timestamp.");
    } else if (is_true(r, 0, 3)) {
        err_set(e, PB0207, "column \"%s\" is generated and cannot be a sharding key", name);
        ok = err_hint(e, "Shard by the columns it is made from.");
    } else if (!is_true(r, 0, 4)) {
        err_set(e, PB0207, "column \"%s\" has a nondeterministic collation and cannot be a sharding key", name);
        ok = err_detail(e, "Values that compare equal would have different hashes and lie on different shards.");
    }
    if (ok) {
        t->key_was_nullable |= !is_true(r, 0, 2);
        key->columns[key->ncolumn++] = arena_strdup(a, name);
    }
    pgresult_free(r);
    return ok;
}

/* Names as PostgreSQL prints an array's elements, each quoted. */
static void put_key_array(const struct placement_key *key, struct strbuf *out)
{
    strbuf_putc(out, '{');
    for (uint32_t i = 0; i < key->ncolumn; i++) {
        strbuf_puts(out, i ? ",\"" : "\"");
        for (const char *p = key->columns[i]; *p; p++) {
            if (*p == '"' || *p == '\\')
                strbuf_putc(out, '\\');
            strbuf_putc(out, *p);
        }
        strbuf_putc(out, '"');
    }
    strbuf_putc(out, '}');
}

bool table_def_key(struct table_def *t, struct pgconn *home, struct arena *a, uint32_t ncolumn,
                   const char *const *columns, struct err *e)
{
    struct strbuf names = STRBUF_INIT;
    const char *params[2];
    struct pgresult *r;

    t->key.ncolumn = 0;
    for (uint32_t i = 0; i < ncolumn; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(columns[i], columns[k]) == 0)
                return err_set(e, PB0207, "column \"%s\" is in the sharding key twice", columns[i]);
        }
        if (!key_column(t, home, a, columns[i], e))
            return false;
    }
    put_key_array(&t->key, &names);
    params[0] = t->oid;
    params[1] = strbuf_str(&names);
    r = pgconn_query_params(home, sql_place_identity, 2, params, e);
    t->has_identity = r && is_true(r, 0, 0);
    strbuf_fini(&names);
    pgresult_free(r);
    return r != NULL;
}

/* --- what is in the way --- */

/* An unsharded table may refer to one that gets sharded only while it has no rows: those would refer to rows that are
 * gone. */
static bool check_referrers(const struct table_def *t, struct pgconn *home, struct err *e)
{
    const char *params[] = { t->oid };
    struct pgresult *r = pgconn_query_params(home, sql_place_referrers, 1, params, e);
    bool ok = r != NULL;

    for (int i = 0; ok && i < pgresult_rows(r); i++) {
        struct strbuf sql = STRBUF_INIT;
        struct pgresult *some;

        strbuf_printf(&sql, "LOCK TABLE ONLY %s IN SHARE MODE; SELECT EXISTS (SELECT FROM ONLY %s)",
                      pgresult_value(r, i, 0), pgresult_value(r, i, 0));
        some = pgconn_query(home, sql.ptr, e);
        strbuf_fini(&sql);
        ok = some != NULL;
        if (ok && is_true(some, 0, 0)) {
            err_set(e, PB0207, "table \"%s\" cannot be sharded: table \"%s\" has rows that refer to it", t->name,
                    pgresult_value(r, i, 1));
            err_detail(e, "It is unsharded, and the rows it refers to would move to other shards.");
            ok = err_hint(
                e, "Drop the foreign key, shard both tables by the same key, and add the foreign key again with the "
                   "sharding key in it.");
        }
        pgresult_free(some);
    }
    pgresult_free(r);
    return ok;
}

bool table_def_check(struct table_def *t, struct pgconn *home, enum distribution to, struct err *e)
{
    struct strbuf names = STRBUF_INIT;
    const char *params[] = { t->oid, distribution_name(to), NULL };
    struct pgresult *r;
    bool ok;

    if (to == DIST_SHARDED)
        put_key_array(&t->key, &names);
    else
        strbuf_puts(&names, "{}");
    params[2] = names.ptr;
    r = pgconn_query_params(home, sql_place_obstacles, 3, params, e);
    strbuf_fini(&names);
    if (!r)
        return false;
    ok = pgresult_rows(r) == 0;
    if (!ok) {
        err_set(e, PB0207, "table \"%s\" cannot be made %s: %s", t->name, distribution_name(to),
                pgresult_value(r, 0, 0));
        err_detail(e, "%s", pgresult_value(r, 0, 1));
        err_hint(e, "%s", pgresult_value(r, 0, 2));
    }
    pgresult_free(r);
    return ok && (to != DIST_SHARDED || check_referrers(t, home, e));
}

/* --- pg_dump --- */

/* Newer minor versions put psql's \restrict and \unrestrict around the script; the server knows no such thing. */
static void drop_restrict(struct strbuf *sql)
{
    static const char *const words[] = { "\\restrict ", "\\unrestrict " };
    char *p = sql->ptr;

    for (size_t i = 0; p && i < ARRAY_LEN(words); i++) {
        char *at = i ? NULL : strstr(p, words[i]), *end;

        /* The first of the file, the last of the file: what stands in between may be anybody's text. */
        for (char *q = i ? strstr(p, words[i]) : NULL; q; q = strstr(q + 1, words[i]))
            at = q;
        if (!at || (at != p && at[-1] != '\n'))
            continue;
        end = strchr(at, '\n');
        memset(at, ' ', end ? (size_t)(end - at) : strlen(at));
    }
}

static bool read_all(int fd, struct strbuf *out)
{
    for (;;) {
        ssize_t n = read(fd, strbuf_reserve(out, 8192), 8192);

        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || out->len + (size_t)n > DUMP_MAX_LEN)
            return false;
        out->len += (size_t)n;
    }
    strbuf_puts(out, "");
    return true;
}

/* Run argv with standard output and standard error in `out` and `complaint`, a temporary file. */
static bool run(char *const *argv, struct strbuf *out, FILE *complaint, struct err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    int fds[2], status = 0, rc;
    pid_t pid;
    bool ok;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return err_set(e, PB0504, "cannot make a pipe: %s", strerror(errno));
    /* The router's threads block the signals that its main thread waits for. */
    sigemptyset(&none);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(complaint), STDERR_FILENO);
    rc = posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    close(fds[1]);
    if (rc != 0) {
        close(fds[0]);
        err_set(e, PB0504, "cannot run %s: %s", argv[0], strerror(rc));
        return err_hint(e,
                        "Install PostgreSQL's client programs (package postgresql-client-15) where the router runs.");
    }
    ok = read_all(fds[0], out);
    close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (ok && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return err_set(e, PB0504, "%s failed", argv[0]);
}

bool table_def_dump(const struct table_def *t, const char *conninfo, enum dump_section section, struct strbuf *out,
                    struct err *e)
{
    static const char *const sections[] = { "--section=pre-data", "--section=post-data" };
    char *argv[] = { (char *)"pg_dump",
                     (char *)"--schema-only",
                     (char *)(uintptr_t)sections[section],
                     (char *)"--no-publications",
                     (char *)"--no-subscriptions",
                     (char *)"--lock-wait-timeout=5000",
                     (char *)"-d",
                     (char *)(uintptr_t)conninfo,
                     (char *)"-t",
                     (char *)(uintptr_t)t->quoted,
                     NULL };
    FILE *complaint = tmpfile();
    bool ok;

    if (!complaint)
        return err_set(e, PB0504, "cannot make a temporary file: %s", strerror(errno));
    strbuf_reset(out);
    ok = run(argv, out, complaint, e);
    if (ok) {
        drop_restrict(out);
    } else if (!e->hint[0]) {
        char text[512];
        size_t n;

        rewind(complaint);
        n = fread(text, 1, sizeof(text) - 1, complaint);
        text[n] = '\0';
        err_detail(e, "%s", text);
    }
    fclose(complaint);
    return ok;
}
