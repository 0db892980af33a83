#include "router/server/differ.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern const char sql_tables[]; /* sql/tables.sql */

#define SAID_MAX 200 /* bytes of a column's description that an error shows */

/* What a table is made of; borrowed from the result. */
struct item {
    const char *schema, *table, *what, *how;
};

struct differ_said {
    struct pgresult *result;
    struct item *v; /* sorted */
    uint32_t n;
};

static int table_compare(const struct item *a, const struct item *b)
{
    int order = strcmp(a->schema, b->schema);

    return order ? order : strcmp(a->table, b->table);
}

static int item_compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int order = table_compare(x, y);

    order = order ? order : strcmp(x->what, y->what);
    return order ? order : strcmp(x->how, y->how);
}

static struct differ_said *said_read(struct pgconn *conn)
{
    struct err e = ERR_INIT;
    struct pgresult *r = pgconn_query(conn, sql_tables, &e);
    struct differ_said *s;

    if (!r) {
        log_err(LOG_WARN, "schema", "cannot read what a shard's tables are made of", &e);
        return NULL;
    }
    s = mem_zalloc(sizeof(*s));
    s->result = r;
    s->n = (uint32_t)pgresult_rows(r);
    s->v = mem_zalloc((s->n + 1) * sizeof(*s->v));
    for (uint32_t i = 0; i < s->n; i++) {
        const char **texts[] = { &s->v[i].schema, &s->v[i].table, &s->v[i].what, &s->v[i].how };

        for (size_t k = 0; k < ARRAY_LEN(texts); k++) {
            const char *value = pgresult_value(r, (int)i, (int)k);

            *texts[k] = value ? value : ""; /* of what is being dropped PostgreSQL says NULL */
        }
    }
    qsort(s->v, s->n, sizeof(*s->v), item_compare);
    return s;
}

static void said_free(struct differ_said *s)
{
    if (!s)
        return;
    pgresult_free(s->result);
    free(s->v);
    free(s);
}

void differ_init(struct differ *d)
{
    *d = (struct differ){ 0 };
    arena_init(&d->arena, 0);
}

void differ_fini(struct differ *d)
{
    said_free(d->home);
    arena_fini(&d->arena);
}

static void add(struct differ *d, const struct catalog_difference *x)
{
    if (d->n == d->cap) {
        struct catalog_difference *more = ARENA_ARRAY(&d->arena, struct catalog_difference, d->cap ? d->cap * 2 : 8);

        if (d->n)
            memcpy(more, d->v, d->n * sizeof(*more));
        d->v = more;
        d->cap = d->cap ? d->cap * 2 : 8;
    }
    d->v[d->n++] = (struct catalog_difference){ .schema = arena_strdup(&d->arena, x->schema),
                                                .table = arena_strdup(&d->arena, x->table),
                                                .shard = arena_strdup(&d->arena, x->shard),
                                                .what = arena_strdup(&d->arena, x->what) };
}

/* There is one at least. `here` NULL: the shard does not have it; `home` NULL: only the shard has it. */
static const char *describe(struct differ *d, const struct item *here, const struct item *home)
{
    if (!here)
        return arena_printf(&d->arena, "%.*s is missing there", SAID_MAX, home->what);
    if (!home)
        return arena_printf(&d->arena, "%.*s is not on the home shard", SAID_MAX, here->what);
    return arena_printf(&d->arena, "%s is \"%.*s\" there, and \"%.*s\" on the home shard", here->what, SAID_MAX,
                        here->how, SAID_MAX, home->how);
}

static uint32_t table_end(const struct differ_said *s, uint32_t i)
{
    uint32_t k = i;

    while (k < s->n && table_compare(&s->v[k], &s->v[i]) == 0)
        k++;
    return k;
}

/* The first difference of a table, whose items begin at i on the shard and at k on the home shard; NULL: none. */
static const char *table_difference(struct differ *d, const struct differ_said *here, uint32_t i, uint32_t i_end,
                                    const struct differ_said *home, uint32_t k, uint32_t k_end)
{
    for (; i < i_end || k < k_end; i++, k++) {
        const struct item *a = i < i_end ? &here->v[i] : NULL, *b = k < k_end ? &home->v[k] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->what, b->what);

        if (order || strcmp(a->how, b->how) != 0)
            return describe(d, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
    }
    return NULL;
}

/* Tables of the home shard, of which a shard may have none. */
static void compare(struct differ *d, const struct differ_said *here, const char *shard)
{
    const struct differ_said *home = d->home;
    uint32_t i = 0;

    for (uint32_t k = 0; k < home->n; k = table_end(home, k)) {
        const struct item *table = &home->v[k];
        const char *what = NULL;

        while (i < here->n && table_compare(&here->v[i], table) < 0)
            i++;
        if (i < here->n && table_compare(&here->v[i], table) == 0)
            what = table_difference(d, here, i, table_end(here, i), home, k, table_end(home, k));
        else
            what = "it is not there, or not in pgbraid.tables";
        if (what)
            add(d, &(struct catalog_difference){ table->schema, table->table, shard, what });
    }
}

static bool ask(struct differ *d, struct pgconn *conn, const char *shard, bool home)
{
    struct differ_said *said = said_read(conn);

    if (home) {
        said_free(d->home);
        d->home = said;
        return said != NULL;
    }
    if (said)
        compare(d, said, shard);
    said_free(said);
    return said != NULL;
}

static bool ask_alone(struct differ *d, const struct map_shard *shard, bool home, uint32_t timeout_ms)
{
    struct pgconn_target t = { .conninfo = shard->conninfo,
                               .application_name = "pgbraid",
                               .options = "-c search_path=pg_catalog",
                               .timeout_ms = timeout_ms };
    struct err e = ERR_INIT;
    struct pgconn *conn = pgconn_open_blocking(&t, &e);
    bool ok = conn && ask(d, conn, shard->name, home);

    if (conn)
        pgconn_close_blocking(conn);
    return ok;
}

void differ_load(struct differ *d, const struct map_db *db, uint32_t timeout_ms, const struct differ *before)
{
    bool home = ask_alone(d, &db->shards[db->home], true, timeout_ms);

    for (uint32_t i = 0; i < db->nshard && !(home && d->home->n == 0); i++) {
        if (i == db->home || (home && ask_alone(d, &db->shards[i], false, timeout_ms)))
            continue;
        for (uint32_t k = 0; k < before->n; k++) {
            if (strcmp(before->v[k].shard, db->shards[i].name) == 0)
                add(d, &before->v[k]);
        }
    }
}

static bool has(const struct catalog_difference *v, uint32_t n, const struct catalog_difference *x)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(v[i].schema, x->schema) == 0 && strcmp(v[i].table, x->table) == 0 &&
            strcmp(v[i].shard, x->shard) == 0 && strcmp(v[i].what, x->what) == 0)
            return true;
    }
    return false;
}

void differ_keep(struct differ *d, const struct differ *other)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n; i++) {
        if (has(other->v, other->n, &d->v[i]))
            d->v[n++] = d->v[i];
    }
    d->n = n;
}

bool differ_as_in(const struct differ *d, const struct catalog *c)
{
    const struct catalog_difference *v;
    uint32_t n = catalog_differences(c, &v);
    bool same = d->n == n;

    for (uint32_t i = 0; same && i < n; i++)
        same = has(d->v, d->n, &v[i]);
    return same;
}

/* --- what is known --- */

struct noted {
    struct noted *next;
    char *database;
    struct differ found;
};

struct differ_notes {
    pthread_mutex_t lock;
    struct noted *first;
};

struct differ_notes *differ_notes_new(void)
{
    struct differ_notes *notes = mem_zalloc(sizeof(*notes));

    pthread_mutex_init(&notes->lock, NULL);
    return notes;
}

void differ_notes_free(struct differ_notes *notes)
{
    if (!notes)
        return;
    for (struct noted *n = notes->first, *next; n; n = next) {
        next = n->next;
        differ_fini(&n->found);
        free(n->database);
        free(n);
    }
    pthread_mutex_destroy(&notes->lock);
    free(notes);
}

static struct noted *noted(struct differ_notes *notes, const char *database)
{
    struct noted *n = notes->first;

    while (n && strcmp(n->database, database) != 0)
        n = n->next;
    return n;
}

void differ_notes_put(struct differ_notes *notes, const char *database, const struct differ *d)
{
    struct noted *n;

    pthread_mutex_lock(&notes->lock);
    n = noted(notes, database);
    if (!n) {
        n = mem_zalloc(sizeof(*n));
        n->database = mem_strdup(database);
        n->next = notes->first;
        notes->first = n;
    } else {
        differ_fini(&n->found);
    }
    differ_init(&n->found);
    for (uint32_t i = 0; i < d->n; i++)
        add(&n->found, &d->v[i]);
    pthread_mutex_unlock(&notes->lock);
}

void differ_notes_get(struct differ_notes *notes, const char *database, struct differ *d)
{
    const struct noted *n;

    pthread_mutex_lock(&notes->lock);
    n = noted(notes, database);
    for (uint32_t i = 0; n && i < n->found.n; i++)
        add(d, &n->found.v[i]);
    pthread_mutex_unlock(&notes->lock);
}
