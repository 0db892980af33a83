#include "router/txn/gate.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/loop.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/*
 * Tries after which a read accepts that a commit of a single shard was not waited for (X20): a window that is longer
 * than GATE_COMMIT_WAIT_MS so often will be the next time, too. A partly visible commit is never accepted.
 */
#define GATE_ORDER_TRIES 8u

/* A time later than every other. */
#define GATE_NEVER UINT64_MAX

enum ticket_kind { TICKET_NONE, TICKET_READ, TICKET_COMMIT, TICKET_DOUBT };

struct gate {
    _Atomic uint32_t nopen; /* windows that commits of single shards wait for; written under the lock */
    pthread_mutex_t lock;   /* everything below, and the tickets */
    uint64_t now;           /* counts events: no two have the same number */
    struct list reads;      /* ticket.node: from gate_read_begin to its end, while waiting too */
    struct list commits;    /* ticket.node: partly visible ones */
    struct list settled;    /* ticket.node: to be freed */
    struct list waiting;    /* ticket.wait */
    struct gate_stats stats;
};

struct gate_ticket {
    struct gate *gate;
    struct list node, wait;
    enum ticket_kind kind;
    uint32_t nshard, npending;
    uint32_t *shards;  /* sorted; owned */
    uint32_t *pending; /* in doubt: shards that recovery has not looked at since; owned */
    bool everywhere;   /* in doubt: with which other shards is not known, `shards` is empty */
    char *gtid;        /* in doubt: whose; owned, NULL: not known */
    uint64_t since;    /* read: opened; commit: begun; in doubt: since when */

    /* reads */
    bool open, holds;
    bool torn;   /* a partly visible commit overlapped */
    bool passed; /* a commit of one shard was not held any longer */
    uint32_t tries;
    uint64_t urgent;   /* since when committers are asked to wait */
    uint64_t until_us; /* 0: not begun */

    /* waiting */
    uint64_t arrived; /* reads: for commits begun up to here; commits: for windows opened up to here */
    bool waited, posted, dead;
    struct loop *loop;
    struct loop_message message;
    struct loop_timer timer;
    gate_fn *fn;
    void *arg;
};

struct gate *gate_new(void)
{
    struct gate *g = mem_zalloc(sizeof(*g));

    pthread_mutex_init(&g->lock, NULL);
    list_init(&g->reads);
    list_init(&g->commits);
    list_init(&g->settled);
    list_init(&g->waiting);
    return g;
}

static void ticket_destroy(struct gate_ticket *t)
{
    free(t->shards);
    free(t->pending);
    free(t->gtid);
    free(t);
}

static void destroy_all(struct list *tickets)
{
    while (!list_empty(tickets)) {
        struct gate_ticket *t = LIST_ENTRY(list_first(tickets), struct gate_ticket, node);

        list_remove(&t->node);
        BUG_ON(tickets->next == &t->node); /* said to the analyser */
        ticket_destroy(t);
    }
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    destroy_all(&g->commits); /* in doubt */
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool gate_quiet(const struct gate *g)
{
    return atomic_load_explicit(&g->nopen, memory_order_acquire) == 0;
}

/* --- sets of shards --- */

static uint32_t *sorted_copy(const uint32_t *shards, uint32_t n)
{
    uint32_t *out = mem_alloc((n ? n : 1) * sizeof(*out));

    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = i;

        for (; at > 0 && out[at - 1] > shards[i]; at--)
            out[at] = out[at - 1];
        out[at] = shards[i];
    }
    return out;
}

/* How many are in both; counts no further than two. */
static uint32_t common(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
    uint32_t n = 0;

    for (uint32_t i = 0, k = 0; i < na && k < nb && n < 2;) {
        if (a[i] == b[k]) {
            n++;
            i++;
            k++;
        } else if (a[i] < b[k]) {
            i++;
        } else {
            k++;
        }
    }
    return n;
}

static uint32_t shared(const struct gate_ticket *commit, const struct gate_ticket *read)
{
    return common(commit->shards, commit->nshard, read->shards, read->nshard);
}

/* Could a read see the one half of this commit without the other? */
static bool tears(const struct gate_ticket *commit, const struct gate_ticket *read)
{
    if (commit->kind == TICKET_DOUBT && common(commit->pending, commit->npending, read->shards, read->nshard) == 0)
        return false;
    return commit->everywhere ? read->nshard > 1 : shared(commit, read) > 1;
}

/* --- waiting --- */

static void ticket_run(struct loop_message *m)
{
    struct gate_ticket *t = CONTAINER_OF(m, struct gate_ticket, message);

    t->posted = false;
    if (t->dead) {
        ticket_destroy(t);
        return;
    }
    loop_timer_stop(&t->timer);
    t->fn(t->arg, false);
}

static void ticket_expired(struct loop_timer *timer)
{
    struct gate_ticket *t = CONTAINER_OF(timer, struct gate_ticket, timer);
    struct gate *g = t->gate;
    bool waits;

    pthread_mutex_lock(&g->lock);
    waits = list_linked(&t->wait);
    list_remove(&t->wait);
    if (waits && t->kind != TICKET_READ)
        g->stats.expired++;
    pthread_mutex_unlock(&g->lock);
    if (waits) /* else the message is on its way */
        t->fn(t->arg, true);
}

struct gate_ticket *gate_ticket_new(struct gate *g, struct loop *l, const uint32_t *shards, uint32_t n, gate_fn *fn,
                                    void *arg)
{
    struct gate_ticket *t = mem_zalloc(sizeof(*t));

    t->gate = g;
    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    t->urgent = GATE_NEVER;
    t->shards = sorted_copy(shards, n);
    t->nshard = n;
    t->message.fn = ticket_run;
    list_init(&t->node);
    list_init(&t->wait);
    return t;
}

/* Under the lock; the caller returns to its loop. */
static void ticket_wait(struct gate_ticket *t, uint64_t after_ms)
{
    list_push_back(&t->gate->waiting, &t->wait);
    if (!t->timer.event)
        loop_timer_init(&t->timer, t->loop, ticket_expired);
    loop_timer_start(&t->timer, after_ms);
}

static bool read_has_to_wait(const struct gate *g, const struct gate_ticket *t)
{
    LIST_FOREACH(node, &g->commits)
    {
        const struct gate_ticket *c = LIST_ENTRY(node, struct gate_ticket, node);

        if ((c->kind == TICKET_DOUBT || c->since <= t->arrived) && tears(c, t))
            return true;
    }
    return false;
}

static bool commit_has_to_wait(const struct gate *g, const struct gate_ticket *t)
{
    LIST_FOREACH(node, &g->reads)
    {
        const struct gate_ticket *r = LIST_ENTRY(node, struct gate_ticket, node);
        uint32_t n = shared(t, r);

        if (n == 1 && r->open && r->holds && r->since <= t->arrived)
            return true;
        if (n > 1 && r->urgent <= t->arrived)
            return true;
    }
    return false;
}

/* Something has ended: who waited for it goes on. */
static void wake(struct gate *g)
{
    LIST_FOREACH(node, &g->waiting)
    {
        struct gate_ticket *t = LIST_ENTRY(node, struct gate_ticket, wait);

        if (t->kind == TICKET_READ ? read_has_to_wait(g, t) : commit_has_to_wait(g, t))
            continue;
        list_remove(&t->wait);
        t->posted = true;
        loop_post(t->loop, &t->message);
    }
}

static void window_close(struct gate_ticket *t)
{
    if (!t->open)
        return;
    t->open = false;
    if (t->holds)
        atomic_fetch_sub(&t->gate->nopen, 1);
}

void gate_ticket_free(struct gate_ticket *t)
{
    struct gate *g;
    bool posted;

    if (!t)
        return;
    g = t->gate;
    loop_timer_fini(&t->timer);
    pthread_mutex_lock(&g->lock);
    window_close(t);
    list_remove(&t->wait);
    if (list_linked(&t->node)) {
        list_remove(&t->node);
        wake(g);
    }
    posted = t->posted;
    t->dead = true;
    pthread_mutex_unlock(&g->lock);
    if (!posted)
        ticket_destroy(t);
}

/* --- reads --- */

enum gate_begin gate_read_begin(struct gate_ticket *t, bool holds, uint64_t timeout_ms)
{
    struct gate *g = t->gate;
    uint64_t now_us = clock_mono_us();
    enum gate_begin result = GATE_OPEN;

    if (t->until_us == 0)
        t->until_us = now_us + timeout_ms * 1000u;
    pthread_mutex_lock(&g->lock);
    BUG_ON(t->open || list_linked(&t->wait));
    t->kind = TICKET_READ;
    t->holds = holds;
    t->torn = t->passed = false;
    t->since = t->arrived = ++g->now;
    if (t->tries++ >= GATE_TRIES && t->urgent == GATE_NEVER)
        t->urgent = g->now;
    if (!list_linked(&t->node))
        list_push_back(&g->reads, &t->node);
    if (now_us >= t->until_us) {
        g->stats.refused++;
        list_remove(&t->node);
        wake(g);
        result = GATE_REFUSED;
    } else if (read_has_to_wait(g, t)) {
        g->stats.waits++;
        ticket_wait(t, (t->until_us - now_us) / 1000u + 1);
        result = GATE_WAIT;
    } else {
        t->open = true;
        if (holds)
            atomic_fetch_add(&g->nopen, 1);
    }
    pthread_mutex_unlock(&g->lock);
    return result;
}

enum gate_end gate_read_end(struct gate_ticket *t)
{
    struct gate *g = t->gate;
    enum gate_end result = GATE_WHOLE;

    pthread_mutex_lock(&g->lock);
    BUG_ON(!t->open);
    window_close(t);
    if (t->torn || (t->passed && t->tries < GATE_ORDER_TRIES)) {
        g->stats.retries++;
        result = GATE_TORN;
    } else {
        g->stats.reads++;
        g->stats.accepted += t->passed;
        list_remove(&t->node);
        t->tries = 0;
        t->urgent = GATE_NEVER;
        t->until_us = 0;
    }
    wake(g);
    pthread_mutex_unlock(&g->lock);
    return result;
}

/* --- commits --- */

/* What is sent now is seen by the windows that are open. */
static void mark_windows(struct gate *g, const struct gate_ticket *t)
{
    LIST_FOREACH(node, &g->reads)
    {
        struct gate_ticket *r = LIST_ENTRY(node, struct gate_ticket, node);
        uint32_t n = r->open ? shared(t, r) : 0;

        if (n > 1)
            r->torn = true;
        else if (n == 1 && r->holds && r->since <= t->arrived)
            r->passed = true;
    }
}

bool gate_commit_begin(struct gate_ticket *t)
{
    struct gate *g = t->gate;
    bool go;

    pthread_mutex_lock(&g->lock);
    BUG_ON(list_linked(&t->wait) || list_linked(&t->node));
    t->kind = TICKET_COMMIT;
    if (!t->waited)
        t->arrived = ++g->now;
    go = t->waited || !commit_has_to_wait(g, t);
    if (go) {
        mark_windows(g, t);
        t->since = ++g->now;
        if (t->nshard > 1) {
            g->stats.commits++;
            list_push_back(&g->commits, &t->node);
        }
    } else {
        t->waited = true;
        g->stats.held++;
        ticket_wait(t, GATE_COMMIT_WAIT_MS);
    }
    pthread_mutex_unlock(&g->lock);
    return go;
}

/* --- in doubt --- */

void gate_commit_doubt(struct gate_ticket *t, const char *gtid)
{
    struct gate *g = t->gate;

    loop_timer_fini(&t->timer);
    pthread_mutex_lock(&g->lock);
    BUG_ON(!list_linked(&t->node) || t->posted);
    t->kind = TICKET_DOUBT;
    t->gtid = mem_strdup(gtid);
    t->pending = sorted_copy(t->shards, t->nshard);
    t->npending = t->nshard;
    t->since = ++g->now;
    pthread_mutex_unlock(&g->lock);
}

/* What is partly visible is not known, only which shards have to be looked at. Under the lock. */
static struct gate_ticket *doubt_add(struct gate *g, const uint32_t *pending, uint32_t n, uint64_t since)
{
    struct gate_ticket *t = gate_ticket_new(g, NULL, NULL, 0, NULL, NULL);

    t->kind = TICKET_DOUBT;
    t->everywhere = true;
    t->pending = sorted_copy(pending, n);
    t->npending = n;
    t->since = since;
    list_push_back(&g->commits, &t->node);
    LIST_FOREACH(node, &g->reads)
    {
        struct gate_ticket *r = LIST_ENTRY(node, struct gate_ticket, node);

        r->torn = r->torn || tears(t, r);
    }
    return t;
}

/* Under the lock. */
static struct gate_ticket *doubt_database(struct gate *g, const struct map_db *db, uint64_t since)
{
    uint32_t *all = mem_alloc(db->nshard * sizeof(*all));
    struct gate_ticket *t;

    for (uint32_t i = 0; i < db->nshard; i++)
        all[i] = db->shards[i].id;
    t = doubt_add(g, all, db->nshard, since);
    free(all);
    return t;
}

void gate_doubt_database(struct gate *g, const struct map_db *db)
{
    pthread_mutex_lock(&g->lock);
    if (db->nshard > 1)
        (void)doubt_database(g, db, 0);
    pthread_mutex_unlock(&g->lock);
}

static struct gate_ticket *doubt_find(const struct gate *g, struct span gtid)
{
    LIST_FOREACH(node, &g->commits)
    {
        struct gate_ticket *t = LIST_ENTRY(node, struct gate_ticket, node);

        if (t->gtid && span_eq_str(gtid, t->gtid))
            return t;
    }
    return NULL;
}

void gate_doubt_found(struct gate *g, const struct map_db *db, struct span gtid, uint64_t since)
{
    pthread_mutex_lock(&g->lock);
    if (db->nshard > 1 && !doubt_find(g, gtid))
        doubt_database(g, db, since)->gtid = mem_strndup(gtid.ptr, gtid.len);
    pthread_mutex_unlock(&g->lock);
}

void gate_doubt_again(struct gate *g, struct span gtid)
{
    struct gate_ticket *t;

    pthread_mutex_lock(&g->lock);
    t = doubt_find(g, gtid);
    if (t)
        t->since = ++g->now;
    pthread_mutex_unlock(&g->lock);
}

void gate_shard_lost(struct gate *g, uint32_t shard)
{
    struct gate_ticket *known = NULL;

    pthread_mutex_lock(&g->lock);
    LIST_FOREACH(node, &g->commits)
    {
        struct gate_ticket *t = LIST_ENTRY(node, struct gate_ticket, node);

        if (t->everywhere && t->npending == 1 && t->pending[0] == shard)
            known = t;
    }
    g->now++;
    if (known)
        known->since = g->now;
    else
        (void)doubt_add(g, &shard, 1, g->now);
    pthread_mutex_unlock(&g->lock);
}

uint64_t gate_now(struct gate *g)
{
    uint64_t now;

    pthread_mutex_lock(&g->lock);
    now = ++g->now;
    pthread_mutex_unlock(&g->lock);
    return now;
}

static void pending_remove(struct gate_ticket *t, uint32_t shard)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->npending; i++) {
        if (t->pending[i] != shard)
            t->pending[n++] = t->pending[i];
    }
    t->npending = n;
}

void gate_shard_clean(struct gate *g, uint32_t shard, uint64_t since)
{
    pthread_mutex_lock(&g->lock);
    LIST_FOREACH(node, &g->commits)
    {
        struct gate_ticket *t = LIST_ENTRY(node, struct gate_ticket, node);

        if (t->kind != TICKET_DOUBT || t->since > since)
            continue;
        pending_remove(t, shard);
        if (t->npending == 0) {
            list_remove(&t->node);
            list_push_back(&g->settled, &t->node);
        }
    }
    wake(g);
    destroy_all(&g->settled);
    pthread_mutex_unlock(&g->lock);
}

static uint32_t count_in_doubt(const struct gate *g)
{
    uint32_t n = 0;

    LIST_FOREACH(node, &g->commits)
    {
        n += LIST_ENTRY(node, struct gate_ticket, node)->kind == TICKET_DOUBT;
    }
    return n;
}

bool gate_in_doubt(struct gate *g)
{
    uint32_t n;

    pthread_mutex_lock(&g->lock);
    n = count_in_doubt(g);
    pthread_mutex_unlock(&g->lock);
    return n > 0;
}

/* --- others --- */

void gate_bump(struct gate *g, const uint32_t *shards, uint32_t n)
{
    uint32_t *sorted = sorted_copy(shards, n);

    pthread_mutex_lock(&g->lock);
    LIST_FOREACH(node, &g->reads)
    {
        struct gate_ticket *r = LIST_ENTRY(node, struct gate_ticket, node);

        r->torn = r->torn || common(sorted, n, r->shards, r->nshard) > 0;
    }
    pthread_mutex_unlock(&g->lock);
    free(sorted);
}

void gate_stats(struct gate *g, struct gate_stats *out)
{
    pthread_mutex_lock(&g->lock);
    *out = g->stats;
    out->open = out->partly = 0;
    LIST_FOREACH(node, &g->reads)
    {
        out->open += LIST_ENTRY(node, struct gate_ticket, node)->open;
    }
    LIST_FOREACH(node, &g->commits)
    {
        out->partly++;
    }
    out->in_doubt = count_in_doubt(g);
    pthread_mutex_unlock(&g->lock);
}
