#include "router/auth/auth_query.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/pgconn.h"
#include "net/secret.h"
#include "router/config/config.h"
#include "router/router.h"
#include "shardmap/directory.h"
#include "shardmap/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LOOKUP_MS 5000u
#define ANSWERS   4096u /* the one in a name's place gives way to the next */

struct answer {
    char *database, *user; /* owned; NULL: the place is free */
    uint64_t asked_us;
    struct secret secret;
};

struct auth_answers {
    pthread_mutex_t lock;
    uint64_t seed;
    struct answer at[ANSWERS];
};

struct auth_answers *auth_answers_new(void)
{
    struct auth_answers *a = mem_zalloc(sizeof(*a));

    pthread_mutex_init(&a->lock, NULL);
    BUG_ON(getrandom(&a->seed, sizeof(a->seed), 0) != sizeof(a->seed));
    return a;
}

static void answer_clear(struct answer *x)
{
    free(x->database);
    free(x->user);
    explicit_bzero(x, sizeof(*x));
}

void auth_answers_free(struct auth_answers *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < ANSWERS; i++)
        answer_clear(&a->at[i]);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

static struct answer *place_of(struct auth_answers *a, const char *database, const char *user)
{
    return &a->at[hash_seeded(user, strlen(user), a->seed ^ hash_seeded(database, strlen(database), a->seed)) %
                  ANSWERS];
}

static bool answer_is(const struct answer *x, const char *database, const char *user)
{
    return x->user && strcmp(x->user, user) == 0 && strcmp(x->database, database) == 0;
}

bool auth_answer_kept(struct auth_answers *a, const char *database, const char *user, uint64_t max_age_ms,
                      struct secret *out)
{
    struct answer *x = place_of(a, database, user);
    uint64_t now_us = clock_wall_us();
    bool kept;

    pthread_mutex_lock(&a->lock);
    kept = answer_is(x, database, user) && x->asked_us <= now_us && now_us - x->asked_us < max_age_ms * 1000;
    if (kept)
        *out = x->secret;
    pthread_mutex_unlock(&a->lock);
    return kept;
}

void auth_answer_forget(struct auth_answers *a, const char *database, const char *user)
{
    struct answer *x = place_of(a, database, user);

    pthread_mutex_lock(&a->lock);
    if (answer_is(x, database, user))
        answer_clear(x);
    pthread_mutex_unlock(&a->lock);
}

static void keep(struct auth_answers *a, const char *database, const char *user, const struct secret *secret)
{
    struct answer *x = place_of(a, database, user);

    pthread_mutex_lock(&a->lock);
    answer_clear(x);
    *x = (struct answer){
        .database = mem_strdup(database), .user = mem_strdup(user), .asked_us = clock_wall_us(), .secret = *secret
    };
    pthread_mutex_unlock(&a->lock);
}

/* What stands in the row; a password in the clear is made a verifier, as of the user list. */
static bool read_row(const struct pgresult *r, const char *user, struct secret *out, struct err *e)
{
    const char *name, *text;

    if (pgresult_rows(r) == 0)
        return true;
    if (pgresult_columns(r) < 2 || pgresult_rows(r) > 1)
        return err_set(e, PB0501, "auth_query has to give one row of a name and a password");
    name = pgresult_value(r, 0, 0);
    text = pgresult_value(r, 0, 1);
    if (!name || strcmp(name, user) != 0)
        return err_set(e, PB0501, "auth_query has answered for another user");
    if (!text || !*text || secret_parse(span_str(text), out))
        return true;
    scram_verifier_make(text, NULL, 0, SCRAM_ITERATIONS, &out->scram);
    out->kind = SECRET_SCRAM;
    return true;
}

static bool ask(const struct map_db *db, const struct config *c, const char *user, struct secret *out, struct err *e)
{
    struct pgconn_target t = { .conninfo = db->shards[db->home].conninfo,
                               .user = c->auth_user,
                               .application_name = "pgbraid",
                               .timeout_ms = (uint32_t)c->server_connect_timeout_ms };
    struct pgconn *conn = pgconn_open_blocking(&t, e);
    struct pgresult *r = conn ? pgconn_query_within(conn, c->auth_query, 1, &user, LOOKUP_MS, e) : NULL;
    bool ok = r && read_row(r, user, out, e);

    pgresult_free(r);
    if (conn)
        pgconn_close_blocking(conn);
    return ok;
}

bool auth_query_blocking(struct router *r, const struct config *c, const char *database, const char *user,
                         struct secret *out, struct err *e)
{
    struct map *m = directory_snapshot(r->directory);
    const struct map_db *db = map_find_db(m, span_str(database));
    bool ok;

    *out = (struct secret){ .kind = SECRET_NONE };
    ok = !db || db->nshard == 0 || ask(db, c, user, out, e);
    map_unref(m);
    if (ok)
        keep(r->answers, database, user, out);
    return ok;
}
