/*
 * The directory: one file, one lock, one epoch.
 *
 * A change is: validate what needs no file; take the lock; BEGIN IMMEDIATE; look, refuse or write; raise the epoch;
 * read everything back and build the map that the new content gives; COMMIT; swap the map; tell the subscriber.
 *
 *     change_begin ──> (persist_* calls) ──> change_end
 *                                              ok:  epoch + 1, map, COMMIT, publish
 *                                              not: ROLLBACK
 *
 * Invariants
 * 1. Published is only what was committed: a map is built before COMMIT and dropped if that fails.
 * 2. Epochs grow by one with each committed change and never repeat: the number is in the file.
 * 3. A database is in the map iff the ranges of its shards cover the keyspace; once it is, no operation here uncovers
 *    it. Replacing shards of a serving database is the resharding workflow's operation.
 * 4. The home shard of a served database is written down, so that a later layout does not move it by accident.
 * 5. Shard ids are never used again (AUTOINCREMENT), so a connection or a log line of an old shard cannot be taken for
 *    a new one.
 * 6. Ranges are disjoint and fixed: refused here with the reason, and by triggers in the schema.
 *
 * Locks: `lock` serialises everything that touches the file and is held while the subscriber is told, which keeps
 * epochs in order; `map_lock` covers the pointer swap only, so a snapshot never waits for the disk.
 *
 * What it does not do: talk to shards. Whether a conninfo leads to a server, whether two of them lead to the same
 * database, and what the tables there are like, is for router/ and migrate/ to find out.
 */
#include "shardmap/directory.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "shardmap/directory_int.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct directory {
    pthread_mutex_t lock;
    struct db *db; /* owned; under lock */
    directory_notify_fn *notify;
    void *notify_arg;
    bool (*check_conninfo)(const char *conninfo, struct err *e);

    pthread_mutex_t map_lock;
    struct map *map;    /* owned reference; under map_lock */
    char *decision_key; /* owned; fixed once opened */
    int routers;        /* shared: PATH.routers, on which every router has a read lock; else -1 */
};

/* ---- the map ---- */

/* The map that the file's content gives. */
static struct map *build_map(struct db *db, uint64_t epoch, struct err *e)
{
    struct directory_database *all;
    struct map_db_def *defs;
    struct map *m = NULL;
    struct arena a;
    size_t n, ndef = 0;

    arena_init(&a, 0);
    if (persist_list(db, &a, &all, &n, e)) {
        defs = ARENA_ARRAY(&a, struct map_db_def, n);
        for (size_t i = 0; i < n; i++) {
            if (all[i].served)
                defs[ndef++] = (struct map_db_def){
                    .name = all[i].name, .home = all[i].home, .shards = all[i].shards, .nshard = all[i].nshard
                };
        }
        m = map_new(epoch, defs, ndef, e);
    }
    arena_fini(&a);
    return m;
}

/* Takes the reference. */
static void set_map(struct directory *d, struct map *m)
{
    struct map *old;

    pthread_mutex_lock(&d->map_lock);
    old = d->map;
    d->map = m;
    pthread_mutex_unlock(&d->map_lock);
    map_unref(old);
}

struct map *directory_snapshot(struct directory *d)
{
    struct map *m;

    pthread_mutex_lock(&d->map_lock);
    m = map_ref(d->map);
    pthread_mutex_unlock(&d->map_lock);
    return m;
}

void directory_subscribe(struct directory *d, directory_notify_fn *fn, void *arg)
{
    pthread_mutex_lock(&d->lock);
    d->notify = fn;
    d->notify_arg = arg;
    pthread_mutex_unlock(&d->lock);
}

/* ---- life cycle ---- */

static bool load(struct directory *d, struct err *e)
{
    uint64_t epoch = 0;

    if (!persist_epoch(d->db, &epoch, e))
        return false;
    d->map = build_map(d->db, epoch, e);
    return d->map != NULL;
}

/* The kernel's lock: who dies leaves none. An open file description's own, so a look at it disturbs nobody. */
static bool join_routers(struct directory *d, const char *path, struct err *e)
{
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    struct strbuf name = STRBUF_INIT;
    bool ok;

    strbuf_printf(&name, "%s.routers", path);
    d->routers = open(name.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ok = d->routers >= 0 && fcntl(d->routers, F_OFD_SETLK, &lock) == 0;
    if (!ok) {
        err_set(e, PB0401, "file \"%s\" cannot be locked: %s", name.ptr, strerror(errno));
        err_hint(e, "It shows which routers share the directory: its folder must be writable.");
    }
    strbuf_fini(&name);
    return ok;
}

bool directory_alone(const struct directory *d, struct err *e)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (d->routers < 0 || (fcntl(d->routers, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK))
        return true;
    err_set(e, PB0601, "this cannot be changed while another router serves the same directory");
    err_detail(e, "The other router would go on with what it knows of tables and shards.");
    return err_hint(e, "Stop the other routers, make the change, and start them again.");
}

struct directory *directory_open(const char *path, const struct directory_options *o, struct err *e)
{
    struct directory *d = mem_zalloc(sizeof(*d));

    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->map_lock, NULL);
    d->check_conninfo = o->check_conninfo;
    d->routers = -1;
    d->db =
        o->shared ? db_open_shared(path, &persist_schema, o->create, e) : db_open(path, &persist_schema, o->create, e);
    if (d->db && (!o->shared || join_routers(d, path, e)) && persist_key(d->db, "decision", &d->decision_key, e) &&
        load(d, e))
        return d;
    directory_close(d);
    return NULL;
}

void directory_close(struct directory *d)
{
    if (!d)
        return;
    map_unref(d->map);
    db_close(d->db);
    free(d->decision_key);
    if (d->routers >= 0)
        close(d->routers);
    pthread_mutex_destroy(&d->map_lock);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

struct span directory_decision_key(const struct directory *d)
{
    return span_str(d->decision_key);
}

/* ---- changes ---- */

/* On success the lock is held until change_end. */
static bool change_begin(struct directory *d, struct err *e)
{
    pthread_mutex_lock(&d->lock);
    if (db_begin(d->db, e))
        return true;
    pthread_mutex_unlock(&d->lock);
    return false;
}

static struct map *change_commit(struct directory *d, struct err *e)
{
    struct map *m;
    uint64_t epoch;

    if (!persist_epoch(d->db, &epoch, e) || !persist_set_epoch(d->db, epoch + 1, e))
        return NULL;
    m = build_map(d->db, epoch + 1, e);
    if (m && !db_commit(d->db, e)) {
        map_unref(m);
        m = NULL;
    }
    return m;
}

/* Commit and publish if `ok`, else roll back. Returns whether the change was made. */
static bool change_end(struct directory *d, bool ok, struct err *e)
{
    struct map *m = ok ? change_commit(d, e) : NULL;

    if (m) {
        set_map(d, m);
        if (d->notify)
            d->notify(d->notify_arg, m);
    } else {
        db_rollback(d->db);
    }
    pthread_mutex_unlock(&d->lock);
    return m != NULL;
}

bool directory_touch(struct directory *d, struct err *e)
{
    return d->routers < 0 || (change_begin(d, e) && change_end(d, true, e));
}

static struct map *refreshed(struct directory *d, struct err *e)
{
    uint64_t epoch;

    return persist_epoch(d->db, &epoch, e) ? build_map(d->db, epoch, e) : NULL;
}

bool directory_refresh(struct directory *d, bool *changed, struct err *e)
{
    struct map *m = NULL;
    uint64_t epoch = 0;
    bool ok;

    *changed = false;
    pthread_mutex_lock(&d->lock);
    ok = persist_epoch(d->db, &epoch, e);
    if (ok && epoch != d->map->epoch) {
        ok = db_begin(d->db, e); /* nobody changes it while it is read */
        m = ok ? refreshed(d, e) : NULL;
        db_rollback(d->db);
        ok = m != NULL;
    }
    if (m) {
        *changed = true;
        set_map(d, m);
        if (d->notify)
            d->notify(d->notify_arg, m);
    }
    pthread_mutex_unlock(&d->lock);
    return ok;
}

static bool need_database(struct directory *d, const char *name, int64_t *id, struct err *e)
{
    if (!persist_find_database(d->db, name, id, e))
        return false;
    if (*id)
        return true;
    err_set(e, PB0403, "database \"%s\" is not in the directory", name);
    return err_hint(e, "\"pgbraid shard list\" and SHOW DATABASES on the console list what is there.");
}

static bool need_shard(struct directory *d, const char *database, const char *shard, int64_t *database_id,
                       int64_t *shard_id, struct err *e)
{
    if (!need_database(d, database, database_id, e) || !persist_find_shard(d->db, *database_id, shard, shard_id, e))
        return false;
    if (*shard_id)
        return true;
    err_set(e, PB0403, "database \"%s\" has no shard \"%s\"", database, shard);
    return err_hint(e, "\"pgbraid shard list\" and SHOW SHARDS on the console list the shards.");
}

/* The database with its shards, in the arena. It exists. */
static bool get_database(struct directory *d, const char *name, struct arena *a, struct directory_database *out,
                         struct err *e)
{
    struct directory_database *all;
    size_t n;

    if (!persist_list(d->db, a, &all, &n, e))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].name, name) == 0) {
            *out = all[i];
            return true;
        }
    }
    BUG_ON(true);
}

static bool add_database(struct directory *d, const char *name, struct err *e)
{
    int64_t id;

    if (!persist_find_database(d->db, name, &id, e))
        return false;
    if (id)
        return err_set(e, PB0404, "database \"%s\" is in the directory already", name);
    return persist_add_database(d->db, name, &id, e);
}

bool directory_add_database(struct directory *d, const char *name, struct err *e)
{
    return validate_name("database", name, e) && change_begin(d, e) && change_end(d, add_database(d, name, e), e);
}

/* No shard but `except` has the conninfo: two shards on one PostgreSQL database would count every row twice. */
static bool conninfo_free(struct directory *d, const char *conninfo, int64_t except, struct err *e)
{
    const char *owner;
    struct arena a;
    bool ok;

    arena_init(&a, 256);
    ok = persist_conninfo_owner(d->db, conninfo, except, &a, &owner, e);
    if (ok && owner) {
        err_set(e, PB0404, "shard \"%s\" has the same conninfo", owner);
        ok = err_detail(e, "Each shard is a PostgreSQL database of its own.");
    }
    arena_fini(&a);
    return ok;
}

/* The place in the layout is free. */
static bool fits(const struct directory_database *db, const char *name, const struct keyrange *range, struct err *e)
{
    char printed[KEYRANGE_TEXT_MAX], other[KEYRANGE_TEXT_MAX];

    for (size_t i = 0; i < db->nshard; i++) {
        if (strcmp(db->shards[i].name, name) == 0)
            return err_set(e, PB0404, "database \"%s\" has a shard \"%s\" already", db->name, name);
    }
    for (size_t i = 0; i < db->nshard; i++) {
        if (!keyrange_overlap(&db->shards[i].range, range))
            continue;
        err_set(e, PB0402, "key range \"%s\" overlaps \"%s\" of shard \"%s\"", keyrange_print(range, printed),
                keyrange_print(&db->shards[i].range, other), db->shards[i].name);
        if (db->served)
            err_hint(e, "The shards of \"%s\" cover the keyspace. A serving layout is changed by resharding.",
                     db->name);
        return false;
    }
    if (db->nshard == MAP_MAX_SHARDS)
        return err_set(e, PB0402, "database \"%s\" has %u shards, which is the most", db->name, MAP_MAX_SHARDS);
    return true;
}

/* Write the home of a database down once its ranges cover (invariant 4). */
static bool settle_home(struct directory *d, const char *database, int64_t id, struct arena *a, struct err *e)
{
    struct directory_database db;

    return get_database(d, database, a, &db, e) &&
           (!db.served || db.home || persist_set_home(d->db, id, db.shards[0].id, e));
}

static bool add_shard(struct directory *d, const struct directory_shard_def *def, const char *name,
                      const struct keyrange *range, struct err *e)
{
    struct directory_database db;
    struct arena a;
    int64_t id;
    bool ok;

    if (!persist_find_database(d->db, def->database, &id, e))
        return false;
    if (!id && !(def->create_database ? persist_add_database(d->db, def->database, &id, e)
                                      : need_database(d, def->database, &id, e)))
        return false;
    arena_init(&a, 0);
    ok = get_database(d, def->database, &a, &db, e) && fits(&db, name, range, e) &&
         conninfo_free(d, def->conninfo, 0, e) && persist_add_shard(d->db, id, name, range, def->conninfo, e) &&
         settle_home(d, def->database, id, &a, e);
    arena_fini(&a);
    return ok;
}

static bool check_conninfo(struct directory *d, const char *conninfo, struct err *e)
{
    return validate_conninfo(conninfo, e) && (!d->check_conninfo || d->check_conninfo(conninfo, e));
}

bool directory_add_shard(struct directory *d, const struct directory_shard_def *def, struct err *e)
{
    char printed[KEYRANGE_TEXT_MAX];
    struct keyrange range;
    const char *name;

    if (!validate_name("database", def->database, e) || !keyrange_parse(&range, span_str(def->range), e))
        return false;
    name = def->name ? def->name : keyrange_print(&range, printed);
    return validate_name("shard", name, e) && check_conninfo(d, def->conninfo, e) && change_begin(d, e) &&
           change_end(d, add_shard(d, def, name, &range, e), e);
}

/* Refuse what would lose rows from sight. `what` completes "cannot ...". */
static bool not_served(struct directory *d, const char *database, const char *what, const char *why, struct err *e)
{
    struct directory_database db;
    struct arena a;
    bool ok;

    arena_init(&a, 0);
    ok = get_database(d, database, &a, &db, e);
    if (ok && db.served) {
        err_set(e, PB0402, "database \"%s\" is being served: %s", database, what);
        ok = err_detail(e, "%s", why);
    }
    arena_fini(&a);
    return ok;
}

static bool remove_shard(struct directory *d, const char *database, const char *shard, struct err *e)
{
    int64_t database_id, shard_id;

    return need_shard(d, database, shard, &database_id, &shard_id, e) &&
           not_served(d, database, "its shards cannot be removed", "The rows of the shard would be lost from sight.",
                      e) &&
           persist_remove_shard(d->db, shard_id, e);
}

bool directory_remove_shard(struct directory *d, const char *database, const char *shard, struct err *e)
{
    return change_begin(d, e) && change_end(d, remove_shard(d, database, shard, e), e);
}

static bool set_home(struct directory *d, const char *database, const char *shard, struct err *e)
{
    int64_t database_id, shard_id;

    return need_shard(d, database, shard, &database_id, &shard_id, e) &&
           not_served(d, database, "its home cannot be changed", "The unsharded tables would be lost from sight.", e) &&
           persist_set_home(d->db, database_id, shard_id, e);
}

bool directory_set_home(struct directory *d, const char *database, const char *shard, struct err *e)
{
    return change_begin(d, e) && change_end(d, set_home(d, database, shard, e), e);
}

static bool set_conninfo(struct directory *d, const char *database, const char *shard, const char *conninfo,
                         struct err *e)
{
    int64_t database_id, shard_id;

    return need_shard(d, database, shard, &database_id, &shard_id, e) && conninfo_free(d, conninfo, shard_id, e) &&
           persist_set_conninfo(d->db, shard_id, conninfo, e);
}

bool directory_set_conninfo(struct directory *d, const char *database, const char *shard, const char *conninfo,
                            struct err *e)
{
    return check_conninfo(d, conninfo, e) && change_begin(d, e) &&
           change_end(d, set_conninfo(d, database, shard, conninfo, e), e);
}

/* ---- tables ---- */

static int table_cmp(const void *a, const void *b)
{
    const struct directory_table *x = a, *y = b;
    int c = strcmp(x->schema, y->schema);

    return c ? c : strcmp(x->name, y->name);
}

static bool replace_tables(struct directory *d, const char *database, const struct directory_table *tables, size_t n,
                           bool *unchanged, struct err *e)
{
    struct directory_table *have;
    struct arena a;
    int64_t id;
    size_t nhave;
    bool ok;

    arena_init(&a, 0);
    ok = need_database(d, database, &id, e) && persist_list_tables(d->db, id, &a, &have, &nhave, e);
    if (ok) {
        *unchanged = n == nhave;
        for (size_t i = 0; i < n && *unchanged; i++)
            *unchanged = validate_tables_equal(&tables[i], &have[i]);
        ok = *unchanged || persist_replace_tables(d->db, id, tables, n, e);
    }
    arena_fini(&a);
    return ok;
}

bool directory_replace_tables(struct directory *d, const char *database, const struct directory_table *tables, size_t n,
                              struct err *e)
{
    struct directory_table *sorted;
    bool unchanged = false, ok;

    if (!validate_tables(tables, n, e))
        return false;
    sorted = mem_alloc(n * sizeof(*sorted));
    if (n) {
        memcpy(sorted, tables, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), table_cmp); /* as persist_list_tables sorts */
    }
    ok = true;
    for (size_t i = 1; i < n && ok; i++) {
        if (table_cmp(&sorted[i - 1], &sorted[i]) == 0)
            ok = err_set(e, PB0402, "table \"%s.%s\" is there twice", sorted[i].schema, sorted[i].name);
    }
    ok = ok && change_begin(d, e);
    if (ok) {
        ok = replace_tables(d, database, sorted, n, &unchanged, e);
        ok = change_end(d, ok && !unchanged, e) || (ok && unchanged);
    }
    free(sorted);
    return ok;
}

/* ---- listing ---- */

bool directory_list(struct directory *d, struct arena *a, struct directory_database **out, size_t *n, struct err *e)
{
    bool ok;

    pthread_mutex_lock(&d->lock);
    ok = persist_list(d->db, a, out, n, e);
    pthread_mutex_unlock(&d->lock);
    return ok;
}

bool directory_list_tables(struct directory *d, const char *database, struct arena *a, struct directory_table **out,
                           size_t *n, struct err *e)
{
    int64_t id;
    bool ok;

    pthread_mutex_lock(&d->lock);
    ok = need_database(d, database, &id, e) && persist_list_tables(d->db, id, a, out, n, e);
    pthread_mutex_unlock(&d->lock);
    return ok;
}
