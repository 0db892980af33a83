/*
 * Prints the plans of the statements on standard input, for the golden tests (tests/plan).
 *
 *   plan_tool NAME=CATALOG...     CATALOG: rows of sql/catalog.sql, apart by \x1e, fields by \x1f, NULL as \x02
 *
 * A statement ends with a semicolon at the end of a line. Comment lines are copied. A line that begins with a backslash
 * is a directive: \catalog NAME, \path SEARCH_PATH, \role NAME, \odd on|off and \shards N hold until changed;
 * \types OID... and \bind VALUE... (apart by blanks; \N is NULL, 0x... binary) are for the next statement.
 *
 * Every statement is planned twice, by a planner that has seen nothing and by one that has seen all statements before:
 * if their plans differ, something is missing in the plan cache's key (rule P12).
 */
#include "base/arena.h"
#include "base/strbuf.h"
#include "planner/clock.h"
#include "planner/planner.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CATALOGS = 8, MAX_PARAMS = 16, MAX_COLUMNS = 16 };

static const char *const safe_functions[] = { "public.declared_safe", "public.touch_updated_at", "public.always",
                                              NULL };
static const char *const sharding_keys[] = { "tenant_id", NULL };
static const struct planner_options options = { .safe_functions = safe_functions, .sharding_keys = sharding_keys };

static struct {
    char *name;
    struct catalog *cat;
} catalogs[MAX_CATALOGS];
static int ncatalog;
static struct arena kept; /* strings of directives */

static struct {
    const struct catalog *cat;
    struct plan_env env;
    struct map *map;
    struct planner *warm;
    uint32_t ntype, types[MAX_PARAMS];
    uint32_t nbind;
    struct span values[MAX_PARAMS];
    uint8_t binary[MAX_PARAMS];
} tool = { .env = { .id = 1, .role = "postgres", .search_path = "\"$user\", public", .parse_settings = "" } };

_Noreturn static void die(const char *what, const struct err *e)
{
    fprintf(stderr, "plan_tool: %s%s%s\n", what, e ? ": " : "", e ? e->message : "");
    exit(1);
}

static void load(char *arg)
{
    char *path = strchr(arg, '='), *line = NULL;
    size_t cap = 0;
    ssize_t len;
    struct err e = ERR_INIT;
    struct catalog_builder *b = catalog_builder_new(1);
    if (!path || ncatalog == MAX_CATALOGS)
        die("bad catalog argument", NULL);
    *path++ = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        die(path, NULL);
    while ((len = getdelim(&line, &cap, 0x1e, f)) > 0) {
        struct span cols[MAX_COLUMNS];
        uint32_t n = 0;
        if (line[len - 1] == '\n' || line[len - 1] == 0x1e)
            line[--len] = 0;
        for (char *at = line; at && n < MAX_COLUMNS;) {
            char *end = strchr(at, 0x1f);
            cols[n] = span_make(at, end ? (size_t)(end - at) : strlen(at));
            if (cols[n].len == 1 && *at == 2)
                cols[n] = span_make(NULL, 0);
            n++;
            at = end ? end + 1 : NULL;
        }
        if (!catalog_builder_row(b, n, cols, &e))
            die(e.detail, &e);
    }
    free(line);
    fclose(f);
    catalogs[ncatalog].name = arg;
    catalogs[ncatalog].cat = catalog_builder_finish(b, &e);
    if (!catalogs[ncatalog++].cat)
        die("catalog", &e);
}

static void use_catalog(const char *name)
{
    for (int i = 0; i < ncatalog; i++)
        if (strcmp(catalogs[i].name, name) == 0)
            tool.cat = catalogs[i].cat;
    planner_free(tool.warm);
    tool.warm = planner_new(&options);
}

static void use_shards(size_t n)
{
    struct map_shard shards[16];
    struct keyrange ranges[16];
    char names[16][32];
    struct err e = ERR_INIT;
    keyrange_split(ranges, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "s%zu", i + 1);
        shards[i] = (struct map_shard){ .id = (uint32_t)i + 1, .name = names[i], .conninfo = "", .range = ranges[i] };
    }
    /* Home is not the first shard, so that the two are not confused. */
    const struct map_db_def def = { .name = "test", .home = n > 1 ? "s2" : "s1", .shards = shards, .nshard = n };
    map_unref(tool.map);
    tool.map = map_new(1, &def, 1, &e);
    if (!tool.map)
        die("map", &e);
}

static struct span unhex(const char *hex)
{
    size_t n = strlen(hex) / 2;
    char *out = arena_alloc(&kept, n + 1);
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
            die("bad hex", NULL);
        out[i] = (char)byte;
    }
    return span_make(out, n);
}

static void directive(char *line)
{
    char *arg = strchr(line, ' ');
    if (arg)
        *arg++ = 0;
    printf("%s%s%s\n", line, arg ? " " : "", arg ? arg : "");
    arg = arg ? arg : "";
    if (strcmp(line, "\\catalog") == 0) {
        use_catalog(arg);
    } else if (strcmp(line, "\\path") == 0) {
        tool.env.search_path = arena_strdup(&kept, arg);
        tool.env.id++;
    } else if (strcmp(line, "\\role") == 0) {
        tool.env.role = arena_strdup(&kept, arg);
        tool.env.id++;
    } else if (strcmp(line, "\\odd") == 0) {
        tool.env.odd_parse_settings = strcmp(arg, "on") == 0;
        tool.env.id++;
    } else if (strcmp(line, "\\shards") == 0) {
        use_shards((size_t)atoi(arg));
    } else if (strcmp(line, "\\types") == 0) {
        for (char *t = strtok(arg, " "); t; t = strtok(NULL, " "))
            tool.types[tool.ntype++] = (uint32_t)strtoul(t, NULL, 10);
    } else if (strcmp(line, "\\bind") == 0) {
        for (char *v = strtok(arg, " "); v; v = strtok(NULL, " ")) {
            tool.binary[tool.nbind] = strncmp(v, "0x", 2) == 0;
            tool.values[tool.nbind] = strcmp(v, "\\N") == 0     ? span_make(NULL, 0)
                                      : tool.binary[tool.nbind] ? unhex(v + 2)
                                                                : span_str(arena_strdup(&kept, v));
            tool.nbind++;
        }
    } else {
        die(line, NULL);
    }
}

static void put_error(const struct err *e, struct strbuf *out)
{
    strbuf_printf(out, "ERROR %s %s: %s\n", err_id_name(e->id), e->sqlstate, e->message);
    if (*e->detail)
        strbuf_printf(out, "  detail: %s\n", e->detail);
    if (*e->hint)
        strbuf_printf(out, "  hint: %s\n", e->hint);
}

static void put_split(const struct plan *p, const struct route *r, struct span sql, const struct literals *lits,
                      struct strbuf *out)
{
    for (uint32_t i = shardset_next(&r->set, 0); i < MAP_MAX_SHARDS; i = shardset_next(&r->set, i + 1)) {
        uint16_t map[MAX_PARAMS];
        uint32_t n;
        struct err e = ERR_INIT;
        strbuf_printf(out, "to %s: ", tool.map->dbs[0].shards[i].name);
        if (!plan_insert_text(p, r, i, sql, lits, out, map, MAX_PARAMS, &n, &e))
            put_error(&e, out);
        for (uint32_t k = 0; k < n; k++)
            strbuf_printf(out, "%s$%u=$%u", k ? " " : "  -- ", k + 1, map[k] + 1u);
        strbuf_putc(out, '\n');
    }
}

/* What a second shard would get (rule X22). */
static void put_timed(struct span sql, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    if (clock_text(tool.cat, &tool.env, sql, "T", &text))
        strbuf_printf(out, "timed: %s\n", strbuf_str(&text));
    strbuf_fini(&text);
}

static void run(struct planner *planner, struct span sql, struct strbuf *out)
{
    const struct map_db *db = &tool.map->dbs[0];
    struct literals lits;
    struct route route;
    struct err e = ERR_INIT;
    struct arena arena;
    struct plan *p = planner_plan(planner, tool.cat, db, &tool.env, sql, tool.types, tool.ntype, &lits, &e);
    if (!p) {
        put_error(&e, out);
        return;
    }
    if (p->expanded) { /* as the router does */
        char *text = strdup(p->expanded);
        strbuf_printf(out, "expanded: %s\n", text);
        plan_unref(p);
        run(planner, span_str(text), out);
        free(text);
        return;
    }
    const struct bind_values binds = { .n = tool.nbind, .values = tool.values, .types = NULL, .binary = tool.binary };
    arena_init(&arena, 0);
    bool bound = tool.nbind >= p->nparam;
    if (!bound) {
        plan_print(p, NULL, NULL, out);
    } else if (plan_route(p, db, sql, &lits, &binds, &arena, &route, &e)) {
        plan_print(p, db, &route, out);
        if (route.row_shard)
            put_split(p, &route, sql, &lits, out);
    } else {
        plan_print(p, NULL, NULL, out);
        put_error(&e, out);
    }
    if (p->moment)
        put_timed(sql, out);
    arena_fini(&arena);
    plan_unref(p);
}

static void statement(struct span sql)
{
    struct strbuf cold = STRBUF_INIT, warm = STRBUF_INIT;
    struct planner *fresh = planner_new(&options);
    run(fresh, sql, &cold);
    run(tool.warm, sql, &warm);
    printf("%.*s;\n", (int)sql.len, sql.ptr);
    if (!span_eq(strbuf_span(&cold), strbuf_span(&warm)))
        printf("CACHED PLAN DIFFERS:\n%s", strbuf_str(&warm));
    printf("%s\n", strbuf_str(&cold));
    planner_free(fresh);
    strbuf_fini(&cold);
    strbuf_fini(&warm);
    tool.ntype = tool.nbind = 0;
}

static void *main_thread(void *unused)
{
    struct strbuf sql = STRBUF_INIT;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    (void)unused;
    while ((len = getline(&line, &cap, stdin)) > 0) {
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == ' '))
            line[--len] = 0;
        if (sql.len == 0 && (len == 0 || strncmp(line, "--", 2) == 0)) {
            if (len)
                printf("%s\n", line);
            continue;
        }
        if (sql.len == 0 && *line == '\\') {
            directive(line);
            continue;
        }
        strbuf_printf(&sql, "%s%s", sql.len ? "\n" : "", line);
        if (sql.ptr[sql.len - 1] != ';')
            continue;
        statement(span_make(sql.ptr, sql.len - 1));
        strbuf_reset(&sql);
    }
    free(line);
    strbuf_fini(&sql);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t attr;
    pthread_t thread;
    arena_init(&kept, 0);
    for (int i = 1; i < argc; i++)
        load(argv[i]);
    if (ncatalog == 0)
        die("no catalog", NULL);
    use_shards(3);
    use_catalog(catalogs[0].name);
    pthread_attr_init(&attr);
    if (pthread_attr_setstacksize(&attr, PLANNER_STACK_BYTES) || pthread_create(&thread, &attr, main_thread, NULL))
        die("thread", NULL);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    planner_free(tool.warm);
    map_unref(tool.map);
    while (ncatalog > 0)
        catalog_unref(catalogs[--ncatalog].cat);
    arena_fini(&kept);
    return 0;
}
