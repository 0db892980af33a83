#include "router/txn/locks.h"

#include "base/hash.h"
#include "router/txn/gtid.h"

#include <stdlib.h>
#include <string.h>

enum column { KIND, PROCESS, VXID, SINCE, BLOCKER, GID, MODE, HELD, WHAT, APPLICATION };

/* PostgreSQL's lock modes and which of them conflict (chapter "Explicit Locking"). */
enum { ACCESS_SHARE, ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE, SHARE, SHARE_ROW, EXCLUSIVE, ACCESS_EXCLUSIVE, MODES };
static const struct {
    const char *name;
    unsigned conflicts;
} modes[] = {
    [ACCESS_SHARE] = { "AccessShareLock", BIT(ACCESS_EXCLUSIVE) },
    [ROW_SHARE] = { "RowShareLock", BIT(EXCLUSIVE) | BIT(ACCESS_EXCLUSIVE) },
    [ROW_EXCLUSIVE] = { "RowExclusiveLock", BIT(SHARE) | BIT(SHARE_ROW) | BIT(EXCLUSIVE) | BIT(ACCESS_EXCLUSIVE) },
    [SHARE_UPDATE] = { "ShareUpdateExclusiveLock",
                       BIT(SHARE_UPDATE) | BIT(SHARE) | BIT(SHARE_ROW) | BIT(EXCLUSIVE) | BIT(ACCESS_EXCLUSIVE) },
    [SHARE] = { "ShareLock",
                BIT(ROW_EXCLUSIVE) | BIT(SHARE_UPDATE) | BIT(SHARE_ROW) | BIT(EXCLUSIVE) | BIT(ACCESS_EXCLUSIVE) },
    [SHARE_ROW] = { "ShareRowExclusiveLock", BIT(ROW_EXCLUSIVE) | BIT(SHARE_UPDATE) | BIT(SHARE) | BIT(SHARE_ROW) |
                                                 BIT(EXCLUSIVE) | BIT(ACCESS_EXCLUSIVE) },
    [EXCLUSIVE] = { "ExclusiveLock", BIT(MODES) - 1 - BIT(ACCESS_SHARE) },
    [ACCESS_EXCLUSIVE] = { "AccessExclusiveLock", BIT(MODES) - 1 },
};

void locks_init(struct shard_locks *l)
{
    *l = (struct shard_locks){ 0 };
    arena_init(&l->arena, 0);
}

void locks_fini(struct shard_locks *l)
{
    arena_fini(&l->arena);
}

static bool bad(struct err *e, const char *what)
{
    return err_set(e, PB0602, "unexpected answer about locks: %s", what);
}

/* Decimal, of at most `max`. */
static bool number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (!text || !*text || strlen(text) > 19)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (uint64_t)(*text - '0');
    }
    *out = v;
    return v <= max;
}

static bool process(const char *text, uint32_t *out)
{
    uint64_t v;

    if (!number(text, INT32_MAX, &v))
        return false;
    *out = (uint32_t)v;
    return true;
}

static bool key_of_gid(const char *gid, uint64_t *key)
{
    struct span gtid;
    uint32_t decider, shard;

    if (!gid || !gid_parse(span_str(gid), &gtid, &decider, &shard))
        return false;
    *key = gtid_key(gtid);
    return true;
}

static int mode_of(const char *name)
{
    for (int i = 0; name && i < MODES; i++) {
        if (strcmp(modes[i].name, name) == 0)
            return i;
    }
    return -1;
}

/* Room for one more: arrays grow by doubling. */
static void *grown(struct arena *a, void *v, uint32_t n, size_t size)
{
    char *more;

    if (n & (n - 1))
        return v;
    more = arena_alloc(a, (n ? 2 * (size_t)n : 1) * size);
    if (n)
        memcpy(more, v, n * size);
    return more;
}

static bool add_wait(struct shard_locks *l, const char *const *row, struct err *e)
{
    struct lock_wait w = { 0 };
    uint64_t since;

    if (!process(row[PROCESS], &w.process) || !process(row[BLOCKER], &w.blocker) || !row[VXID] || !row[WHAT] ||
        !row[APPLICATION] || !number(row[SINCE], UINT64_MAX, &since))
        return bad(e, "a wait");
    if (w.blocker == 0) {
        int wanted = mode_of(row[MODE]), held = mode_of(row[HELD]);

        if (!row[GID] || wanted < 0 || held < 0)
            return bad(e, "a wait for a prepared transaction");
        if (!key_of_gid(row[GID], &w.blocker_key) || !(modes[wanted].conflicts & BIT(held)))
            return true;
    }
    w.id = hash_seeded(row[VXID], strlen(row[VXID]), since);
    w.what = arena_strdup(&l->arena, row[WHAT]);
    w.application = arena_strdup(&l->arena, row[APPLICATION]);
    l->waits = grown(&l->arena, l->waits, l->nwait, sizeof(*l->waits));
    l->waits[l->nwait++] = w;
    return true;
}

static bool add_owner(struct shard_locks *l, const char *const *row, struct err *e)
{
    struct lock_owner o;

    if (!process(row[PROCESS], &o.process) || !number(row[VXID], GTID_KEY_MASK, &o.key))
        return bad(e, "an owner");
    l->owners = grown(&l->arena, l->owners, l->nowner, sizeof(*l->owners));
    l->owners[l->nowner++] = o;
    return true;
}

bool locks_add(struct shard_locks *l, const char *const *row, struct err *e)
{
    uint64_t key;

    if (!row[KIND] || strlen(row[KIND]) != 1)
        return bad(e, "a row of no kind");
    switch (row[KIND][0]) {
    case 'w':
        return add_wait(l, row, e);
    case 'o':
        return add_owner(l, row, e);
    case 'p':
        if (!row[PROCESS])
            return bad(e, "a prepared transaction");
        if (!key_of_gid(row[PROCESS], &key))
            return true;
        l->prepared = grown(&l->arena, l->prepared, l->nprepared, sizeof(*l->prepared));
        l->prepared[l->nprepared++] = key;
        return true;
    default:
        return bad(e, "a row of an unknown kind");
    }
}

static int by_key(const void *a, const void *b)
{
    const struct lock_owner *x = a, *y = b;

    return x->key < y->key ? -1 : x->key > y->key;
}

static int by_process(const void *a, const void *b)
{
    const struct lock_owner *x = a, *y = b;

    return x->process < y->process ? -1 : x->process > y->process;
}

/* Sort, and drop all that compare equal to another one. */
static void keep_unique(struct shard_locks *l, int (*cmp)(const void *, const void *))
{
    uint32_t n = 0;

    if (l->nowner == 0)
        return;
    qsort(l->owners, l->nowner, sizeof(*l->owners), cmp);
    for (uint32_t i = 0, next; i < l->nowner; i = next) {
        for (next = i + 1; next < l->nowner && cmp(&l->owners[i], &l->owners[next]) == 0; next++)
            ;
        if (next == i + 1)
            l->owners[n++] = l->owners[i];
    }
    l->nowner = n;
}

void locks_settle(struct shard_locks *l)
{
    keep_unique(l, by_key);
    keep_unique(l, by_process);
}

const struct lock_owner *locks_owner(const struct shard_locks *l, uint32_t pid)
{
    const struct lock_owner want = { .process = pid };

    return l->nowner ? bsearch(&want, l->owners, l->nowner, sizeof(want), by_process) : NULL;
}
