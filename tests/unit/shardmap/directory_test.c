#include "shardmap/directory.h"

#include "store/db.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[96];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/pgbraid-directory-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/directory.db", dir);
    return 0;
}

static int teardown(void **state)
{
    char wal[128];

    (void)state;
    unlink(path);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    unlink(wal);
    return rmdir(dir);
}

/* As libpq's check: "bad" does not parse. */
static bool fake_check(const char *conninfo, struct err *e)
{
    return strcmp(conninfo, "bad") != 0 || err_set(e, PB0402, "missing \"=\" after \"bad\"");
}

static struct directory *open_ok(void)
{
    struct directory_options o = { .create = true, .check_conninfo = fake_check };
    struct err e = ERR_INIT;
    struct directory *d = directory_open(path, &o, &e);

    if (!d)
        fail_msg("%s: %s", e.message, e.detail);
    return d;
}

static uint64_t epoch(struct directory *d)
{
    struct map *m = directory_snapshot(d);
    uint64_t number = m->epoch;

    map_unref(m);
    return number;
}

static bool try_add(struct directory *d, const char *database, const char *name, const char *range,
                    const char *conninfo, struct err *e)
{
    struct directory_shard_def def = {
        .database = database, .name = name, .range = range, .conninfo = conninfo, .create_database = true
    };

    *e = ERR_INIT;
    return directory_add_shard(d, &def, e);
}

static void add_ok(struct directory *d, const char *database, const char *name, const char *range, const char *conninfo)
{
    uint64_t before = epoch(d);
    struct err e;

    if (!try_add(d, database, name, range, conninfo, &e))
        fail_msg("%s", e.message);
    assert_int_equal(epoch(d), before + 1);
}

static void add_bad(struct directory *d, const char *database, const char *name, const char *range,
                    const char *conninfo, enum err_id id, const char *message)
{
    uint64_t before = epoch(d);
    struct err e;

    assert_false(try_add(d, database, name, range, conninfo, &e));
    if (e.id != id || !strstr(e.message, message))
        fail_msg("got %s \"%s\"", err_id_name(e.id), e.message);
    assert_int_equal(epoch(d), before);
}

static bool served(struct directory *d, const char *database)
{
    struct map *m = directory_snapshot(d);
    bool found = map_find_db(m, span_str(database)) != NULL;

    map_unref(m);
    return found;
}

static void test_served_when_covered(void **state)
{
    struct directory *d = open_ok();
    struct directory_database *all;
    struct err e = ERR_INIT;
    struct arena a;
    struct map *m;
    size_t n;

    (void)state;
    arena_init(&a, 0);
    assert_int_equal(epoch(d), 1);
    assert_true(directory_add_database(d, "shop", &e));
    assert_int_equal(epoch(d), 2);
    assert_false(served(d, "shop"));
    add_ok(d, "shop", "east", "80-", "host=b");
    assert_false(served(d, "shop"));
    assert_true(directory_list(d, &a, &all, &n, &e));
    assert_int_equal(n, 1);
    assert_false(all[0].served);
    assert_string_equal(all[0].why_not, "no shard owns key range -80");
    assert_null(all[0].home);
    add_ok(d, "shop", NULL, "-40", "host=a");
    add_ok(d, "shop", "mid", "40-80", "host=c");
    assert_true(served(d, "shop"));

    m = directory_snapshot(d);
    assert_int_equal(m->ndb, 1);
    assert_int_equal(m->dbs[0].nshard, 3);
    assert_int_equal(m->dbs[0].home, 0);
    assert_string_equal(m->dbs[0].shards[0].name, "-40");
    assert_string_equal(m->dbs[0].shards[0].conninfo, "host=a");
    assert_string_equal(m->dbs[0].shards[1].name, "mid");
    assert_string_equal(m->dbs[0].shards[2].name, "east");
    assert_int_equal(m->dbs[0].shards[2].id, 1);
    assert_int_equal(m->dbs[0].shards[2].range.start, UINT64_C(1) << 63);
    assert_true(m->dbs[0].shards[2].range.unbounded);
    directory_close(d);
    map_unref(m); /* outlives the directory */

    /* The same from the file. */
    d = open_ok();
    assert_int_equal(epoch(d), 5);
    assert_true(directory_list(d, &a, &all, &n, &e));
    assert_int_equal(n, 1);
    assert_true(all[0].served);
    assert_null(all[0].why_not);
    assert_string_equal(all[0].home, "-40"); /* written down */
    assert_int_equal(all[0].nshard, 3);
    assert_string_equal(all[0].shards[1].name, "mid");
    assert_int_equal(all[0].shards[1].range.start, UINT64_C(1) << 62);
    assert_int_equal(all[0].shards[1].range.end, UINT64_C(1) << 63);
    assert_false(all[0].shards[1].range.unbounded);
    arena_fini(&a);
    directory_close(d);
    directory_close(NULL);
}

static void test_refused_databases(void **state)
{
    char name[65];
    struct directory *d = open_ok();
    struct err e = ERR_INIT;

    (void)state;
    memset(name, 'n', 64);
    name[64] = '\0';
    assert_false(directory_add_database(d, name, &e));
    assert_int_equal(e.id, PB0402);
    name[63] = '\0';
    assert_true(directory_add_database(d, name, &e));
    assert_false(directory_add_database(d, name, &e));
    assert_int_equal(e.id, PB0404);
    assert_false(directory_add_database(d, "", &e));
    assert_int_equal(e.id, PB0402);
    assert_false(directory_add_database(d, "a\nb", &e));
    assert_int_equal(e.id, PB0402);
    assert_false(directory_add_database(d, "pgbraid", &e));
    assert_string_equal(e.detail, "It is the name of the console.");
    assert_int_equal(epoch(d), 2);
    directory_close(d);
}

static void test_refused_shards(void **state)
{
    struct directory *d = open_ok();
    struct directory_shard_def def = { .database = "none", .range = "-", .conninfo = "host=z" };
    struct err e = ERR_INIT;

    (void)state;
    assert_false(directory_add_shard(d, &def, &e));
    assert_int_equal(e.id, PB0403);
    assert_string_equal(e.message, "database \"none\" is not in the directory");
    add_ok(d, "shop", "a", "-80", "host=a");
    add_bad(d, "shop", "b", "40-", "host=b", PB0402, "key range \"40-\" overlaps \"-80\" of shard \"a\"");
    add_bad(d, "shop", "b", "7f-80", "host=b", PB0402, "overlaps");
    add_bad(d, "shop", "a", "80-", "host=b", PB0404, "database \"shop\" has a shard \"a\" already");
    add_bad(d, "shop", "b", "80-", "host=a", PB0404, "shard \"shop.a\" has the same conninfo");
    add_bad(d, "other", "b", "80-", "host=a", PB0404, "shard \"shop.a\" has the same conninfo");
    add_bad(d, "shop", "b", "80", "host=b", PB0402, "invalid key range \"80\"");
    add_bad(d, "shop", "b", "", "host=b", PB0402, "invalid key range");
    add_bad(d, "shop", "b", "zz-", "host=b", PB0402, "invalid key range");
    add_bad(d, "shop", "b", "80-40", "host=b", PB0402, "invalid key range \"80-40\"");
    add_bad(d, "shop", "", "80-", "host=b", PB0402, "the name of a shard is empty");
    add_bad(d, "shop", "b\t", "80-", "host=b", PB0402, "control character");
    add_bad(d, "", "b", "80-", "host=b", PB0402, "the name of a database is empty");
    add_bad(d, "pgbraid", "b", "80-", "host=b", PB0402, "cannot be the name of a database");
    add_bad(d, "shop", "b", "80-", "bad", PB0402, "missing \"=\"");
    add_bad(d, "shop", "b", "80-", "", PB0402, "the conninfo of a shard is empty");
    add_bad(d, "shop", "b", "80-", " \t", PB0402, "the conninfo of a shard is empty");

    add_ok(d, "shop", "b", "80-", "host=b");
    assert_false(try_add(d, "shop", "c", "80-", "host=c", &e));
    assert_non_null(strstr(e.hint, "changed by resharding"));
    directory_close(d);

    /* A refused first shard leaves no database behind. */
    d = open_ok();
    assert_false(served(d, "other"));
    def.database = "other";
    assert_false(directory_add_shard(d, &def, &e));
    assert_int_equal(e.id, PB0403);
    directory_close(d);
}

static void test_passwords(void **state)
{
    static const char *const bad[] = {
        "host=a password=x",
        "password = 'x y' host=a",
        "host='it\\'s password' password=x",
        "user=u\\ v password=x",
        "host=a\tpassword=x",
        "postgresql://u:x@h/db",
        "postgres://u:x@h1:1,h2:2/db?target_session_attrs=any",
        "postgresql://h/db?sslmode=require&password=x",
    };
    static const char *const good[] = {
        "host=a application_name='password=x'",
        "host=password",
        "passfile=/x/y host=a",
        "options='-c a=b' dbname=password",
        "postgresql://u@h:5432/db",
        "postgresql:///db?user=password=x",
        "postgresql://u:@h/db2",
    };
    struct directory *d = open_ok();
    char range[16];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        add_bad(d, "shop", NULL, "-", bad[i], PB0402, "must not hold a password");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(range, sizeof(range), "%02zx-%02zx", i, i + 1);
        add_ok(d, "shop", NULL, range, good[i]);
    }
    directory_close(d);
}

static void test_many_shards(void **state)
{
    struct directory *d = open_ok();
    char range[32], conninfo[32];

    (void)state;
    for (unsigned i = 0; i < MAP_MAX_SHARDS; i++) {
        snprintf(range, sizeof(range), "%04x-%04x", i, i + 1);
        snprintf(conninfo, sizeof(conninfo), "host=h%u", i);
        add_ok(d, "shop", NULL, range, conninfo);
    }
    add_bad(d, "shop", NULL, "80-", "host=x", PB0402, "has 256 shards, which is the most");
    directory_close(d);
}

static void test_remove_and_home(void **state)
{
    struct directory *d = open_ok();
    struct err e = ERR_INIT;
    struct map *m;

    (void)state;
    add_ok(d, "shop", "a", "-80", "host=a");
    assert_false(directory_remove_shard(d, "shop", "x", &e));
    assert_int_equal(e.id, PB0403);
    assert_string_equal(e.message, "database \"shop\" has no shard \"x\"");
    assert_false(directory_remove_shard(d, "shoq", "a", &e));
    assert_int_equal(e.id, PB0403);
    assert_false(directory_set_home(d, "shop", "x", &e));
    assert_int_equal(e.id, PB0403);
    assert_int_equal(epoch(d), 2);
    assert_true(directory_set_home(d, "shop", "a", &e));
    assert_true(directory_remove_shard(d, "shop", "a", &e));
    assert_int_equal(epoch(d), 4);

    add_ok(d, "shop", "lower", "-80", "host=a");
    add_ok(d, "shop", "gone", "80-c0", "host=b");
    assert_true(directory_remove_shard(d, "shop", "gone", &e));
    assert_true(directory_set_home(d, "shop", "lower", &e));
    add_ok(d, "shop", "upper", "80-", "host=b");
    m = directory_snapshot(d);
    assert_int_equal(m->dbs[0].home, 0);
    assert_int_equal(m->dbs[0].shards[0].id, 2);
    assert_int_equal(m->dbs[0].shards[1].id, 4); /* ids are not used again */
    map_unref(m);

    assert_false(directory_remove_shard(d, "shop", "upper", &e));
    assert_int_equal(e.id, PB0402);
    assert_string_equal(e.message, "database \"shop\" is being served: its shards cannot be removed");
    assert_false(directory_set_home(d, "shop", "upper", &e));
    assert_int_equal(e.id, PB0402);
    assert_true(served(d, "shop"));
    directory_close(d);
}

static void test_chosen_home(void **state)
{
    struct directory *d = open_ok();
    struct err e = ERR_INIT;
    struct map *m;

    (void)state;
    add_ok(d, "shop", "upper", "80-", "host=b");
    assert_true(directory_set_home(d, "shop", "upper", &e));
    add_ok(d, "shop", "lower", "-80", "host=a");
    m = directory_snapshot(d);
    assert_int_equal(m->dbs[0].home, 1);
    map_unref(m);
    directory_close(d);
}

static void test_conninfo(void **state)
{
    struct directory *d = open_ok();
    struct err e = ERR_INIT;
    struct map *m;

    (void)state;
    add_ok(d, "shop", "a", "-80", "host=a");
    add_ok(d, "shop", "b", "80-", "host=b");
    assert_true(directory_set_conninfo(d, "shop", "b", "host=c", &e));
    assert_true(directory_set_conninfo(d, "shop", "b", "host=c", &e)); /* its own */
    assert_false(directory_set_conninfo(d, "shop", "b", "host=a", &e));
    assert_int_equal(e.id, PB0404);
    assert_false(directory_set_conninfo(d, "shop", "b", "bad", &e));
    assert_false(directory_set_conninfo(d, "shop", "b", "host=a password=x", &e));
    assert_false(directory_set_conninfo(d, "shop", "x", "host=d", &e));
    assert_int_equal(e.id, PB0403);
    m = directory_snapshot(d);
    assert_string_equal(m->dbs[0].shards[1].conninfo, "host=c");
    map_unref(m);
    directory_close(d);
}

/* ---- tables ---- */

static const struct directory_table sample[] = {
    { .schema = "public",
      .name = "orders",
      .dist = DIST_SHARDED,
      .nkey = 1,
      .key_columns = { "customer_id" },
      .key_types = { KEY_INT8 },
      .key_typmods = { -1 },
      .has_identity = true },
    { .schema = "app",
      .name = "lines",
      .dist = DIST_SHARDED,
      .nkey = 2,
      .key_columns = { "tenant", "day" },
      .key_types = { KEY_VARCHAR, KEY_DATE },
      .key_typmods = { 14, -1 } },
    { .schema = "public",
      .name = "ids",
      .dist = DIST_SHARDED,
      .vindex = VINDEX_IDENTITY,
      .nkey = 1,
      .key_columns = { "id" },
      .key_types = { KEY_INT8 },
      .key_typmods = { -1 },
      .has_identity = true },
    { .schema = "public", .name = "countries", .dist = DIST_REFERENCE },
    { .schema = "public", .name = "notes", .dist = DIST_UNSHARDED, .has_identity = true },
};

static void assert_table(const struct directory_table *have, const struct directory_table *want)
{
    assert_string_equal(have->schema, want->schema);
    assert_string_equal(have->name, want->name);
    assert_int_equal(have->dist, want->dist);
    assert_int_equal(have->vindex, want->vindex);
    assert_int_equal(have->has_identity, want->has_identity);
    assert_int_equal(have->nkey, want->nkey);
    for (uint32_t i = 0; i < want->nkey; i++) {
        assert_string_equal(have->key_columns[i], want->key_columns[i]);
        assert_int_equal(have->key_types[i], want->key_types[i]);
        assert_int_equal(have->key_typmods[i], want->key_typmods[i]);
    }
}

static void test_tables(void **state)
{
    static const int order[] = { 1, 3, 2, 4, 0 }; /* by schema and name */
    struct directory *d = open_ok();
    struct directory_table *have, changed[5];
    struct err e = ERR_INIT;
    struct arena a;
    size_t n;

    (void)state;
    arena_init(&a, 0);
    assert_true(directory_add_database(d, "shop", &e));
    assert_true(directory_add_database(d, "other", &e));
    assert_true(directory_list_tables(d, "shop", &a, &have, &n, &e));
    assert_int_equal(n, 0);
    assert_true(directory_replace_tables(d, "shop", sample, 5, &e));
    assert_int_equal(epoch(d), 4);
    assert_true(directory_replace_tables(d, "shop", sample, 5, &e));
    assert_int_equal(epoch(d), 4); /* nothing new */
    assert_true(directory_replace_tables(d, "other", sample, 2, &e));
    directory_close(d);

    d = open_ok();
    assert_true(directory_list_tables(d, "shop", &a, &have, &n, &e));
    assert_int_equal(n, 5);
    for (int i = 0; i < 5; i++)
        assert_table(&have[i], &sample[order[i]]);

    /* Each difference counts. */
    memcpy(changed, sample, sizeof(changed));
    changed[0].key_columns[0] = "order_id";
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    assert_int_equal(epoch(d), 6);
    changed[1].key_typmods[0] = 24;
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    changed[1].key_types[0] = KEY_TEXT;
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    changed[2].vindex = VINDEX_HASH;
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    changed[3].dist = DIST_UNSHARDED;
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    changed[4].has_identity = false;
    assert_true(directory_replace_tables(d, "shop", changed, 5, &e));
    assert_true(directory_replace_tables(d, "shop", changed, 4, &e));
    assert_int_equal(epoch(d), 12);
    assert_true(directory_replace_tables(d, "shop", NULL, 0, &e));
    assert_true(directory_replace_tables(d, "shop", NULL, 0, &e));
    assert_int_equal(epoch(d), 13);
    assert_true(directory_list_tables(d, "shop", &a, &have, &n, &e));
    assert_int_equal(n, 0);
    assert_true(directory_list_tables(d, "other", &a, &have, &n, &e)); /* another database's are left alone */
    assert_int_equal(n, 2);
    arena_fini(&a);
    directory_close(d);
}

static void test_every_key_type(void **state)
{
    struct directory *d = open_ok();
    struct directory_table t = {
        .schema = "s", .name = "t", .dist = DIST_SHARDED, .nkey = 1, .key_columns = { "k" }, .key_typmods = { -1 }
    };
    struct directory_table *have;
    struct err e = ERR_INIT;
    struct arena a;
    size_t n;

    (void)state;
    arena_init(&a, 0);
    assert_true(directory_add_database(d, "shop", &e));
    for (enum key_type type = 0; type < KEY_TYPE_COUNT; type++) {
        t.key_types[0] = type;
        if (!directory_replace_tables(d, "shop", &t, 1, &e))
            fail_msg("type %d: %s %s", (int)type, e.message, e.detail);
        assert_true(directory_list_tables(d, "shop", &a, &have, &n, &e));
        assert_int_equal(n, 1);
        assert_table(&have[0], &t);
    }
    arena_fini(&a);
    directory_close(d);
}

static void tables_bad(struct directory *d, const char *database, const struct directory_table *t, size_t n,
                       enum err_id id, const char *message)
{
    uint64_t before = epoch(d);
    struct err e = ERR_INIT;

    assert_false(directory_replace_tables(d, database, t, n, &e));
    if (e.id != id || !strstr(e.message, message))
        fail_msg("got %s \"%s\"", err_id_name(e.id), e.message);
    assert_int_equal(epoch(d), before);
}

static void test_refused_tables(void **state)
{
    struct directory *d = open_ok();
    struct directory_table t, twice[2] = { sample[0], sample[0] };
    struct directory_table *have;
    struct err e = ERR_INIT;
    struct arena a;
    size_t n;

    (void)state;
    arena_init(&a, 0);
    assert_true(directory_add_database(d, "shop", &e));
    assert_true(directory_replace_tables(d, "shop", sample, 5, &e));
    tables_bad(d, "none", sample, 5, PB0403, "database \"none\" is not in the directory");
    tables_bad(d, "shop", twice, 2, PB0402, "table \"public.orders\" is there twice");
    t = sample[0];
    t.nkey = 0;
    tables_bad(d, "shop", &t, 1, PB0402, "has 0 key columns but is sharded");
    t = sample[0];
    t.dist = DIST_REFERENCE;
    tables_bad(d, "shop", &t, 1, PB0402, "has 1 key columns but is reference");
    t = sample[0];
    t.nkey = 5;
    tables_bad(d, "shop", &t, 1, PB0402, "has 5 columns");
    t = sample[1];
    t.key_columns[1] = "tenant";
    tables_bad(d, "shop", &t, 1, PB0402, "column \"tenant\" is in the sharding key of table \"app.lines\" twice");
    t = sample[1];
    t.key_columns[1] = "";
    tables_bad(d, "shop", &t, 1, PB0402, "the name of a key column is empty");
    t = sample[2];
    t.key_types[0] = KEY_INT4;
    tables_bad(d, "shop", &t, 1, PB0402, "cannot have an identity vindex");
    t = sample[0];
    t.name = "";
    tables_bad(d, "shop", &t, 1, PB0402, "the name of a table is empty");
    assert_true(directory_list_tables(d, "shop", &a, &have, &n, &e));
    assert_int_equal(n, 5);
    assert_false(directory_list_tables(d, "none", &a, &have, &n, &e));
    assert_int_equal(e.id, PB0403);
    arena_fini(&a);
    directory_close(d);
}

/* ---- epochs ---- */

struct heard {
    unsigned n;
    uint64_t last;
    uint32_t ndb;
};

static void on_map(void *arg, struct map *m)
{
    struct heard *h = arg;

    h->n++;
    h->last = m->epoch;
    h->ndb = m->ndb;
}

static void test_subscribe(void **state)
{
    struct directory *d = open_ok();
    struct heard h = { 0 };
    struct err e = ERR_INIT;

    (void)state;
    directory_subscribe(d, on_map, &h);
    assert_true(directory_add_database(d, "shop", &e));
    assert_int_equal(h.n, 1);
    assert_int_equal(h.last, 2);
    assert_int_equal(h.ndb, 0);
    assert_false(directory_add_database(d, "shop", &e));
    assert_int_equal(h.n, 1);
    add_ok(d, "shop", "a", "-", "host=a");
    assert_int_equal(h.n, 2);
    assert_int_equal(h.last, 3);
    assert_int_equal(h.ndb, 1);
    assert_true(directory_replace_tables(d, "shop", NULL, 0, &e));
    assert_int_equal(h.n, 2);
    directory_subscribe(d, NULL, NULL);
    assert_true(directory_add_database(d, "more", &e));
    assert_int_equal(h.n, 2);
    directory_close(d);
}

struct watch {
    struct directory *d;
    _Atomic bool stop;
};

static void *watch_maps(void *arg)
{
    struct watch *w = arg;
    uint64_t last = 0;

    while (!w->stop) {
        struct map *m = directory_snapshot(w->d);

        if (m->epoch < last)
            return "an epoch went back";
        if (m->ndb != m->epoch / 2) /* each database takes two changes to be served */
            return "a map does not belong to its epoch";
        last = m->epoch;
        map_unref(m);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct watch w = { .d = open_ok() };
    char name[16], conninfo[32];
    struct err e = ERR_INIT;
    pthread_t thread;
    void *complaint;

    (void)state;
    directory_close(w.d);
    w.d = open_ok();
    assert_int_equal(pthread_create(&thread, NULL, watch_maps, &w), 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "db%d", i);
        snprintf(conninfo, sizeof(conninfo), "host=h%d", i);
        if (i % 2 == 0)
            assert_true(try_add(w.d, name, NULL, "-", conninfo, &e));
        else
            assert_true(directory_add_database(w.d, name, &e));
    }
    w.stop = true;
    pthread_join(thread, &complaint);
    if (complaint)
        fail_msg("%s", (char *)complaint);
    directory_close(w.d);
}

/* ---- the file ---- */

static void test_survives_kill(void **state)
{
    struct directory *d;
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        struct directory_options o = { .create = true };
        struct err e = ERR_INIT;

        d = directory_open(path, &o, &e);
        _exit(d && try_add(d, "shop", "a", "-", "host=a", &e) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    d = open_ok();
    assert_true(served(d, "shop"));
    assert_int_equal(epoch(d), 2);
    directory_close(d);
}

static void test_bad_files(void **state)
{
    struct directory_options o = { .create = false };
    struct directory *d;
    struct err e = ERR_INIT;

    (void)state;
    assert_null(directory_open(path, &o, &e));
    assert_int_equal(e.id, PB0401);
    assert_non_null(strstr(e.message, "cannot be opened: No such file or directory"));
    d = open_ok();
    assert_null(directory_open(path, &o, &e));
    assert_int_equal(e.id, PB0401);
    assert_string_equal(e.detail, "Another pgbraid process owns it, and only one may.");
    assert_non_null(strstr(e.message, path));
    directory_close(d);
    assert_int_equal(truncate(path, 5000), 0);
    assert_null(directory_open(path, &o, &e));
    assert_int_equal(e.id, PB0401);
    assert_non_null(strstr(e.message, "is damaged"));
}

/* The schema refuses by itself what the code above it would let slip. */
static void test_constraints(void **state)
{
    static const char *const refused[] = {
        "INSERT INTO key_ranges VALUES (99, 1, 0, NULL)",
        "INSERT INTO shards VALUES (8, 2, 'b', 'host=b')",
        "INSERT INTO shards VALUES (8, 1, 'b', 'host=a')",
        "INSERT INTO shards VALUES (8, 1, 'a', 'host=b')",
        "INSERT INTO shards VALUES (8, 1, '', 'host=b')",
        "INSERT INTO shards VALUES (8, 1, 'b', '')",
        "UPDATE key_ranges SET high = NULL",
        "DELETE FROM shards WHERE id = 1",
        "DELETE FROM databases WHERE id = 1",
        "INSERT INTO databases (name) VALUES ('shop')",
        "INSERT INTO databases (name) VALUES ('')",
        "INSERT INTO layout VALUES (2, 2)",
        "UPDATE layout SET epoch = 0",
        "INSERT INTO vindexes VALUES (1, 1, 'range', 'bigint')",
        "INSERT INTO vindexes VALUES (1, 1, 'identity', 'text')",
        "INSERT INTO vindexes VALUES (1, 1, 'hash', '')",
        "INSERT INTO tables VALUES (1, 1, 's', 't', 'sharded', NULL, 0)",
        "INSERT INTO tables VALUES (1, 1, 's', 't', 'global', NULL, 0)",
        "INSERT INTO tables VALUES (1, 1, 's', '', 'reference', NULL, 0)",
        "INSERT INTO tables VALUES (1, 1, 's', 't', 'sharded', 77, 0)",
        "INSERT INTO key_columns VALUES (5, 1, 'k', 'bigint', -1)",
    };
    extern const char sql_directory_1[], sql_directory_2[];
    const char *const steps[] = { sql_directory_1, sql_directory_2 };
    const struct db_schema schema = { "directory file", 0x50674272, steps, 2 };
    struct directory *d = open_ok();
    struct err e = ERR_INIT;
    struct db *db;

    (void)state;
    add_ok(d, "shop", "a", "-80", "host=a");
    directory_close(d);
    db = db_open(path, &schema, false, &e);
    assert_non_null(db);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (db_run(db, refused[i], DB_NO_VALUES, &e))
            fail_msg("allowed: %s", refused[i]);
        if (!strstr(e.message, "a constraint of"))
            fail_msg("%s: %s %s", refused[i], e.message, e.detail);
    }
    /* Overlap: below, inside, across, above up to the top. "-80" is low = min, high = 0. */
    assert_true(db_run(db, "INSERT INTO shards VALUES (8, 1, 'b', 'host=b')", DB_NO_VALUES, &e));
    assert_false(db_run(db, "INSERT INTO key_ranges VALUES (8, 1, -5, 5)", DB_NO_VALUES, &e));
    assert_non_null(strstr(e.detail, "key ranges overlap"));
    assert_false(db_run(db, "INSERT INTO key_ranges VALUES (8, 1, -5, NULL)", DB_NO_VALUES, &e));
    assert_false(db_run(db, "INSERT INTO key_ranges VALUES (8, 1, -5, -4)", DB_NO_VALUES, &e));
    assert_false(db_run(db, "INSERT INTO key_ranges VALUES (8, 1, 5, 5)", DB_NO_VALUES, &e));
    assert_true(db_run(db, "INSERT INTO key_ranges VALUES (8, 1, 0, NULL)", DB_NO_VALUES, &e));
    db_close(db);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_served_when_covered),
        TEST(test_refused_databases),
        TEST(test_refused_shards),
        TEST(test_passwords),
        TEST(test_many_shards),
        TEST(test_remove_and_home),
        TEST(test_chosen_home),
        TEST(test_conninfo),
        TEST(test_tables),
        TEST(test_every_key_type),
        TEST(test_refused_tables),
        TEST(test_subscribe),
        TEST(test_threads),
        TEST(test_survives_kill),
        TEST(test_bad_files),
        TEST(test_constraints),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
