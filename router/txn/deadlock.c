#include "router/txn/deadlock.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "router/config/config.h"
#include "router/router.h"
#include "router/server/budget.h"
#include "router/txn/deadlock_int.h"
#include "router/txn/waitgraph.h"
#include "shardmap/directory.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LOOK_WITHIN_US 1000000u /* all answers of a look */
#define LOOK_AGAIN_US  100000u  /* somebody is stuck */
#define LOOK_PAUSE_US  400000u  /* nobody is */
#define STUCK_LOOKS    20u      /* looks without a new victim after which it is no longer urgent */
#define IDLE_US        2000000u /* then its connections are closed */
#define MAX_VICTIMS    64u
#define MAX_CHOSEN     256u
#define MAX_EDGES      200000u

/* An edge as it was seen. */
struct seen {
    uint64_t from, to;
    enum wait_kind kind;
    uint64_t id;    /* equal when seen again */
    uint64_t group; /* WAIT_ANY: of all edges of the wait; they count together or not at all */
    /* for people */
    const struct own_session *session; /* WAIT_ANY, and waits for a layout change */
    const struct map_shard *shard;     /* locks */
    const struct lock_wait *wait;      /* locks */
};

/* A victim that was chosen, and when: one that is stubborn is passed over. */
struct chosen {
    uint64_t node, since_us;
};

struct deadlock {
    struct router *router;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, woken;

    /* the thread's own */
    struct asker *asker;
    uint64_t seed;
    struct chosen chosen[MAX_CHOSEN];
    uint32_t nchosen;
    uint64_t *before; /* ids of the edges of the last look, sorted; owned */
    uint32_t nbefore;
    uint32_t nstuck; /* looks in a row in which somebody was stuck and nobody new was chosen */
};

/* A look. */
struct look {
    struct deadlock *d;
    struct map *map;
    const struct map_shard *shards[MAP_MAX_SHARDS];
    uint32_t nshard;
    struct own_round *round;
    struct own_session const **sessions; /* by node */
    struct own_lease const **leases;     /* by shard and process */
    uint32_t nsession, nlease;
    struct seen *seen;
    uint32_t nseen, seen_cap;
    uint64_t wall_us;
};

/* --- what is there --- */

static int by_node(const void *a, const void *b)
{
    const struct own_session *x = *(const struct own_session *const *)a, *y = *(const struct own_session *const *)b;

    return x->node < y->node ? -1 : x->node > y->node;
}

static int by_process(const void *a, const void *b)
{
    const struct own_lease *x = *(const struct own_lease *const *)a, *y = *(const struct own_lease *const *)b;

    if (x->shard_id != y->shard_id)
        return x->shard_id < y->shard_id ? -1 : 1;
    return x->process < y->process ? -1 : x->process > y->process;
}

static const struct own_session *session_of_node(const struct look *l, uint64_t node)
{
    const struct own_session key = { .node = node }, *want = &key;
    const struct own_session **found = NULL;

    if (l->nsession)
        found = bsearch(&want, l->sessions, l->nsession, sizeof(want), by_node);
    return found ? *found : NULL;
}

/* Sessions and leases of all workers in order; false if not all have answered. */
static bool take_own(struct look *l)
{
    const struct router *r = l->d->router;
    uint32_t nsession = 0, nlease = 0;

    l->round = own_look(l->d->router, clock_mono_us() + LOOK_WITHIN_US);
    if (!l->round)
        return false;
    for (unsigned w = 0; w < r->nworker; w++) {
        nsession += own_of_worker(l->round, w)->nsession;
        nlease += own_of_worker(l->round, w)->nlease;
    }
    l->sessions = mem_alloc((nsession + 1) * sizeof(struct own_session *));
    l->leases = mem_alloc((nlease + 1) * sizeof(struct own_lease *));
    for (unsigned w = 0; w < r->nworker; w++) {
        const struct own *o = own_of_worker(l->round, w);

        for (uint32_t i = 0; i < o->nsession; i++)
            l->sessions[l->nsession++] = o->sessions[i];
        for (uint32_t i = 0; i < o->nlease; i++)
            l->leases[l->nlease++] = &o->leases[i];
    }
    qsort(l->sessions, nsession, sizeof(struct own_session *), by_node);
    qsort(l->leases, nlease, sizeof(struct own_lease *), by_process);
    return true;
}

static bool db_concerned(const struct look *l, const struct map_db *db)
{
    for (uint32_t i = 0; i < l->nlease; i++) {
        if (!l->leases[i]->session->several)
            continue;
        for (uint32_t k = 0; k < db->nshard; k++) {
            if (db->shards[k].id == l->leases[i]->shard_id)
                return true;
        }
    }
    return false;
}

/* The shards of all databases in which a session of several shards runs or waits. */
static void take_shards(struct look *l)
{
    for (uint32_t d = 0; d < l->map->ndb; d++) {
        const struct map_db *db = &l->map->dbs[d];

        if (!db_concerned(l, db))
            continue;
        for (uint32_t i = 0; i < db->nshard && l->nshard < MAP_MAX_SHARDS; i++)
            l->shards[l->nshard++] = &db->shards[i];
    }
}

static const char *database_of(const struct look *l, const struct map_shard *shard)
{
    for (uint32_t d = 0; d < l->map->ndb; d++) {
        const struct map_db *db = &l->map->dbs[d];

        if (shard >= db->shards && shard < db->shards + db->nshard)
            return db->name;
    }
    return "";
}

/* --- edges --- */

/* What is left out makes waits of all shorter; of waits for any one nothing may be left out. */
static void see(struct look *l, const struct seen *s)
{
    if (l->nseen == MAX_EDGES)
        return;
    if (l->nseen == l->seen_cap) {
        l->seen_cap = l->seen_cap ? l->seen_cap * 2 : 256;
        l->seen = mem_realloc(l->seen, l->seen_cap * sizeof(*l->seen));
    }
    l->seen[l->nseen++] = *s;
}

static uint64_t id_of(const struct deadlock *d, uint64_t a, uint64_t b, uint64_t c, uint64_t e)
{
    const uint64_t v[] = { a, b, c, e };

    return hash_seeded(v, sizeof(v), d->seed);
}

/* Whose process that is: our own session's, a distributed transaction's, or nobody's that we know. */
static uint64_t node_of_process(const struct look *l, uint32_t shard, uint32_t process)
{
    const struct own_lease key = { .shard_id = l->shards[shard]->id, .process = process }, *want = &key;
    const struct own_lease **own = NULL;
    const struct lock_owner *owner;

    if (l->nlease)
        own = bsearch(&want, l->leases, l->nlease, sizeof(want), by_process);
    if (own)
        return (*own)->session->node;
    owner = locks_owner(asker_answer(l->d->asker, shard), process);
    if (owner)
        return NODE_GTID | owner->key;
    return NODE_PROCESS | ((uint64_t)l->shards[shard]->id << 32 & NODE_REST) | process;
}

static uint64_t node_of_waiter(const struct look *l, uint32_t shard, const struct lock_wait *w)
{
    if (strcmp(w->application, "pgbraid placement") == 0)
        return node_of_layout(database_of(l, l->shards[shard]));
    return node_of_process(l, shard, w->process);
}

static void see_locks(struct look *l, uint32_t shard)
{
    const struct shard_locks *locks = asker_answer(l->d->asker, shard);

    for (uint32_t i = 0; locks && i < locks->nwait; i++) {
        const struct lock_wait *w = &locks->waits[i];
        struct seen s = { .kind = WAIT_ALL, .shard = l->shards[shard], .wait = w };

        s.from = node_of_waiter(l, shard, w);
        s.to = w->blocker ? node_of_process(l, shard, w->blocker) : NODE_GTID | w->blocker_key;
        s.id = id_of(l->d, s.from, s.to, w->id, (uint64_t)s.shard->id << 32 | w->process);
        see(l, &s);
    }
}

/*
 * A session that waits for a connection: for any of those who hold one, if they hold all there may be. One that is on
 * its way, being cleaned or free comes free by itself.
 */
static void see_lease_wait(struct look *l, const struct own_session *v)
{
    uint32_t open = atomic_load(&v->wants->open), n = 0;

    for (uint32_t i = 0; i < l->nlease; i++)
        n += l->leases[i]->budget == v->wants;
    if (open < v->limit || n < open || l->nseen + n > MAX_EDGES)
        return;
    for (uint32_t i = 0; i < l->nlease; i++) {
        struct seen s = { .kind = WAIT_ANY, .from = v->node, .session = v };

        if (l->leases[i]->budget != v->wants)
            continue;
        s.to = l->leases[i]->session->node;
        s.group = v->wait;
        s.id = id_of(l->d, s.from, s.to, v->wait, n);
        see(l, &s);
    }
}

static void see_sessions(struct look *l)
{
    for (uint32_t i = 0; i < l->nsession; i++) {
        const struct own_session *v = l->sessions[i];

        if (v->wants)
            see_lease_wait(l, v);
        if (v->database) {
            struct seen s = { .kind = WAIT_ALL, .from = v->node, .to = node_of_layout(v->database), .session = v };

            s.id = id_of(l->d, s.from, s.to, v->wait, 0);
            see(l, &s);
        }
    }
}

/* --- seen before --- */

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool seen_before(const struct deadlock *d, uint64_t id)
{
    return d->nbefore && bsearch(&id, d->before, d->nbefore, sizeof(id), by_value);
}

static void remember(struct look *l)
{
    struct deadlock *d = l->d;

    free(d->before);
    d->before = mem_alloc((l->nseen + 1) * sizeof(*d->before));
    d->nbefore = l->nseen;
    for (uint32_t i = 0; i < l->nseen; i++)
        d->before[i] = l->seen[i].id;
    qsort(d->before, d->nbefore, sizeof(*d->before), by_value);
}

/* Waits for any one count only if all their edges have been seen before. */
static bool counts(const struct look *l, uint32_t i)
{
    const struct seen *s = &l->seen[i];

    if (s->kind == WAIT_ALL)
        return seen_before(l->d, s->id);
    for (uint32_t k = 0; k < l->nseen; k++) {
        if (l->seen[k].kind == WAIT_ANY && l->seen[k].group == s->group && l->seen[k].from == s->from &&
            !seen_before(l->d, l->seen[k].id))
            return false;
    }
    return true;
}

/* --- the graph --- */

static void set_candidate(const struct look *l, struct waitgraph *g, uint64_t node)
{
    const struct own_session *own = session_of_node(l, node);
    uint32_t n = waitgraph_node(g, node);

    if (own && own->candidate)
        waitgraph_candidate(g, n, gtid_key_age(own->key, l->wall_us));
    else if (!own && (node & ~NODE_REST) == NODE_GTID)
        waitgraph_candidate(g, n, gtid_key_age(node & NODE_REST, l->wall_us));
}

/* The edges of `seen`, numbered the same; those that do not count are waits of a node that is not among the others. */
static struct waitgraph *graph(const struct look *l, bool all)
{
    struct waitgraph *g = waitgraph_new();
    uint32_t nowhere = waitgraph_node(g, NODE_LAYOUT); /* hash 0: no database's */

    for (uint32_t i = 0; i < l->nseen; i++) {
        const struct seen *s = &l->seen[i];

        set_candidate(l, g, s->from);
        set_candidate(l, g, s->to);
        if (all || counts(l, i))
            (void)waitgraph_wait(g, waitgraph_node(g, s->from), waitgraph_node(g, s->to), s->kind);
        else
            (void)waitgraph_wait(g, nowhere, waitgraph_node(g, s->to), WAIT_ALL);
    }
    for (uint32_t i = 0; i < l->nshard; i++) {
        const struct shard_locks *locks = asker_answer(l->d->asker, i);

        for (uint32_t k = 0; locks && k < locks->nprepared; k++)
            waitgraph_spare(g, waitgraph_node(g, NODE_GTID | locks->prepared[k]));
    }
    for (uint32_t i = 0; i < l->d->nchosen; i++) {
        if (clock_mono_us() > l->d->chosen[i].since_us + DEADLOCK_STUBBORN_US)
            waitgraph_spare(g, waitgraph_node(g, l->d->chosen[i].node));
    }
    return g;
}

/* --- victims --- */

static uint32_t number_in(const struct look *l, const struct waitgraph_victim *v, uint64_t node)
{
    for (uint32_t i = 0; i < v->nedge; i++) {
        if (l->seen[v->edges[i]].from == node)
            return i + 1;
    }
    return 0;
}

static void put_name(struct strbuf *sb, uint32_t n, uint32_t process)
{
    if (n == 1)
        strbuf_puts(sb, "this transaction");
    else if (n)
        strbuf_printf(sb, "transaction %u", n);
    else
        strbuf_puts(sb, "another transaction");
    if (process)
        strbuf_printf(sb, " (process %u)", process);
}

/* Who waits for whom, in PostgreSQL's words: one line an edge of the cycle. */
static void describe(const struct look *l, const struct waitgraph_victim *v, struct err *e)
{
    struct strbuf sb = STRBUF_INIT;

    for (uint32_t i = 0; i < v->nedge; i++) {
        const struct seen *s = &l->seen[v->edges[i]];
        uint32_t to = number_in(l, v, s->to);
        struct strbuf line = STRBUF_INIT;

        put_name(&line, i + 1, s->wait ? s->wait->process : 0);
        if (s->wait)
            strbuf_printf(&line, " waits for %s on shard \"%s\"; blocked by ", s->wait->what, s->shard->name);
        else if (s->kind == WAIT_ANY)
            strbuf_printf(&line, " waits for a connection to shard \"%s\"; all %u are held by such as wait, too: ",
                          s->session->wants_shard, s->session->limit);
        else
            strbuf_printf(&line, " waits for the end of a change of the layout: ");
        put_name(&line, to, s->wait ? s->wait->blocker : 0);
        strbuf_putc(&line, '.');
        line.ptr[0] = (char)toupper((unsigned char)line.ptr[0]);
        if (sb.len + line.len + 1 < sizeof(e->detail)) {
            strbuf_printf(&sb, "%s%s", sb.len ? "\n" : "", line.ptr);
        } else {
            strbuf_fini(&line);
            break;
        }
        strbuf_fini(&line);
    }
    err_detail(e, "%s", strbuf_str(&sb));
    strbuf_fini(&sb);
}

static bool has_connections(const struct look *l, const struct waitgraph_victim *v)
{
    for (uint32_t i = 0; i < v->nedge; i++) {
        if (l->seen[v->edges[i]].kind == WAIT_ANY)
            return true;
    }
    return false;
}

static struct chosen *chosen_before(struct deadlock *d, uint64_t node)
{
    for (uint32_t i = 0; i < d->nchosen; i++) {
        if (d->chosen[i].node == node)
            return &d->chosen[i];
    }
    return NULL;
}

/* True: a new one. */
static bool choose(struct look *l, const struct waitgraph *g, const struct waitgraph_victim *v)
{
    struct deadlock *d = l->d;
    uint64_t node = waitgraph_id(g, v->node);
    const struct own_session *own = session_of_node(l, node);
    struct err e = ERR_INIT;

    if (chosen_before(d, node) || d->nchosen == MAX_CHOSEN)
        return false;
    d->chosen[d->nchosen++] = (struct chosen){ .node = node, .since_us = clock_mono_us() };
    if (!own) {
        log_line(LOG_INFO, "deadlock", "found one whose victim belongs to another router", "key=%012llx",
                 (unsigned long long)(node & NODE_REST));
        return true;
    }
    err_set(&e, PB0315, "deadlock detected");
    describe(l, v, &e);
    err_hint(&e, "Retry the transaction.%s",
             has_connections(l, v) ? " Raise reserve_pool_size when this happens often." : "");
    deadlock_victim(d->router, own, &e, has_connections(l, v));
    return true;
}

/* Those who are no longer stuck have given way. */
static void forget_chosen(struct deadlock *d, struct waitgraph *g)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->nchosen; i++) {
        if (waitgraph_stuck(g, waitgraph_node(g, d->chosen[i].node)))
            d->chosen[n++] = d->chosen[i];
    }
    d->nchosen = n;
}

static bool anybody_stuck(const struct waitgraph *g)
{
    for (uint32_t i = 0; i < waitgraph_nodes(g); i++) {
        if (waitgraph_stuck(g, i))
            return true;
    }
    return false;
}

/* Is anybody stuck by what this look alone has seen? */
static bool suspicious(const struct look *l)
{
    struct waitgraph_victim v[1];
    struct waitgraph *g = graph(l, true);
    bool stuck;

    (void)waitgraph_solve(g, v, ARRAY_LEN(v));
    stuck = anybody_stuck(g);
    forget_chosen(l->d, g);
    waitgraph_free(g);
    return stuck;
}

/* --- a look --- */

/* True: somebody seems stuck, or the victims chosen have not gone yet. */
static bool judge(struct look *l)
{
    struct deadlock *d = l->d;
    struct waitgraph_victim victims[MAX_VICTIMS];
    struct waitgraph *g;
    uint32_t n, fresh = 0;

    if (l->nseen == 0 || !suspicious(l)) {
        d->nchosen = 0;
        return false;
    }
    g = graph(l, false);
    n = waitgraph_solve(g, victims, MAX_VICTIMS);
    for (uint32_t i = 0; i < n; i++)
        fresh += choose(l, g, &victims[i]);
    waitgraph_free(g);
    d->nstuck = fresh ? 0 : d->nstuck + 1;
    return true;
}

static void look_free(struct look *l)
{
    own_round_end(l->round);
    map_unref(l->map);
    free(l->sessions);
    free(l->leases);
    free(l->seen);
}

static bool look(struct deadlock *d)
{
    struct look l = { .d = d, .map = directory_snapshot(d->router->directory), .wall_us = clock_wall_us() };
    uint64_t age_ms = d->router->config->deadlock_timeout_ms / 2;
    bool stuck = false;

    if (take_own(&l)) {
        take_shards(&l);
        asker_forget(d->asker, false);
        (void)asker_ask(d->asker, l.shards, l.nshard, (uint32_t)age_ms, clock_mono_us() + LOOK_WITHIN_US);
        for (uint32_t i = 0; i < l.nshard; i++)
            see_locks(&l, i);
        see_sessions(&l);
        stuck = judge(&l);
        remember(&l);
    }
    look_free(&l);
    return stuck;
}

/* --- the thread --- */

/* Under the lock: wait until stopped, woken (if that counts) or the time (0: none) has come; then false. */
static bool wait_until(struct deadlock *d, uint64_t at_us, bool for_wake)
{
    const struct timespec until = { .tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000 };

    while (!d->stop && !(for_wake && d->woken)) {
        if (at_us == 0)
            pthread_cond_wait(&d->wake, &d->lock);
        else if (pthread_cond_timedwait(&d->wake, &d->lock, &until) != 0)
            return false;
    }
    return true;
}

static void *deadlock_main(void *arg)
{
    struct deadlock *d = arg;
    bool stuck = false, connected = false;

    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        uint64_t began, pause_us;

        if (!stuck && !wait_until(d, connected ? clock_mono_us() + IDLE_US : 0, true)) {
            asker_forget(d->asker, true);
            connected = false;
            continue;
        }
        if (d->stop)
            break;
        d->woken = false;
        pthread_mutex_unlock(&d->lock);
        began = clock_mono_us();
        stuck = look(d);
        connected = true;
        pause_us = stuck && d->nstuck < STUCK_LOOKS ? LOOK_AGAIN_US : LOOK_PAUSE_US;
        pause_us += clock_mono_us() - began; /* slow answers are a sign of load */
        pthread_mutex_lock(&d->lock);
        (void)wait_until(d, clock_mono_us() + pause_us, false);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

struct deadlock *deadlock_new(struct router *r)
{
    struct deadlock *d = mem_zalloc(sizeof(*d));
    pthread_condattr_t attr;

    d->router = r;
    d->asker = asker_new();
    BUG_ON(getrandom(&d->seed, sizeof(d->seed), 0) != sizeof(d->seed));
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&d->wake, &attr);
    pthread_condattr_destroy(&attr);
    BUG_ON(pthread_create(&d->thread, NULL, deadlock_main, d) != 0);
    return d;
}

void deadlock_wake(struct deadlock *d)
{
    pthread_mutex_lock(&d->lock);
    d->woken = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
}

void deadlock_free(struct deadlock *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    asker_free(d->asker);
    free(d->before);
    pthread_cond_destroy(&d->wake);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
