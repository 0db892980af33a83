#include "planner/planner.h"

#include "base/arena.h"
#include "base/mem.h"
#include "planner/analyse.h"
#include "planner/cache.h"
#include "planner/hint.h"
#include "planner/normalise.h"
#include "planner/parse.h"
#include "planner/plan_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DEFAULT_CACHE_ENTRIES 4096u
#define DEFAULT_CACHE_BYTES   (64u * 1024u * 1024u)
#define MAX_STATEMENT_BYTES   (1u << 30)
#define SHORT_TEXT_BYTES      16u

struct planner {
    struct planner_options options; /* strings owned */
    struct cache *cache;
    struct shape shape; /* of the last text */
    struct arena scratch;
    char **db_names; /* interned: an index is a cache scope's db_id */
    uint32_t ndb;
    uint64_t hits, misses, refused;
};

static const char *const *copy_strings(const char *const *strings)
{
    size_t n = 0;
    char **copy;

    if (!strings)
        return NULL;
    while (strings[n])
        n++;
    copy = mem_zalloc((n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(strings[i]);
    return (const char *const *)copy;
}

static void free_strings(const char *const *strings)
{
    char **owned = (char **)(uintptr_t)strings;

    for (size_t i = 0; owned && owned[i]; i++)
        free(owned[i]);
    free(owned);
}

static uint64_t random_seed(void)
{
    uint64_t seed;

    BUG_ON(getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed));
    return seed;
}

struct planner *planner_new(const struct planner_options *o)
{
    struct planner *p = mem_zalloc(sizeof(*p));

    p->options.cache_entries = o->cache_entries ? o->cache_entries : DEFAULT_CACHE_ENTRIES;
    p->options.cache_bytes = o->cache_bytes ? o->cache_bytes : DEFAULT_CACHE_BYTES;
    p->options.sharding_keys = copy_strings(o->sharding_keys);
    p->options.safe_functions = copy_strings(o->safe_functions);
    p->cache = cache_new(p->options.cache_entries, p->options.cache_bytes, random_seed());
    arena_init(&p->scratch, 0);
    return p;
}

void planner_free(struct planner *p)
{
    if (!p)
        return;
    cache_free(p->cache);
    shape_fini(&p->shape);
    arena_fini(&p->scratch);
    free_strings(p->options.sharding_keys);
    free_strings(p->options.safe_functions);
    for (uint32_t i = 0; i < p->ndb; i++)
        free(p->db_names[i]);
    free(p->db_names);
    free(p);
}

/* A database's name as a number: maps come and go, names stay. There are few. */
static uint32_t db_id(struct planner *p, const struct map_db *db)
{
    for (uint32_t i = 0; i < p->ndb; i++) {
        if (strcmp(p->db_names[i], db->name) == 0)
            return i;
    }
    p->db_names = mem_realloc(p->db_names, (p->ndb + 1) * sizeof(*p->db_names));
    p->db_names[p->ndb] = mem_strdup(db->name);
    return p->ndb++;
}

/*
 * Texts with parameters are sent again byte for byte, so they are looked up without being lexed; so are those too short
 * to hold much (BEGIN, COMMIT).
 */
static bool comes_again(struct span sql)
{
    return sql.len <= SHORT_TEXT_BYTES || memchr(sql.ptr, '$', sql.len) != NULL;
}

static bool read_shape(struct planner *p, const struct plan_env *env, struct span sql, enum shape_status *status,
                       struct literals *lits, struct err *e)
{
    if (sql.len >= MAX_STATEMENT_BYTES)
        return err_set(e, PB0203, "statement is too long");
    *status = shape_read(&p->shape, sql, env->nonstandard_strings);
    *lits = (struct literals){ .n = p->shape.nliteral, .v = p->shape.literals };
    if (*status != SHAPE_BACKSLASH)
        return true;
    err_set(e, PB0204, "a backslash in a string constant is not supported while standard_conforming_strings is off");
    return err_hint(e, "Write the constant as E'...', or set standard_conforming_strings to on.");
}

static struct plan *empty_plan(void)
{
    struct plan *plan = plan_new();

    plan->kind = PLAN_EMPTY;
    plan_reason(plan, "the statement is empty");
    return plan;
}

/* What is on the home shard only is not routed by a setting: it would name no other shard for it. EXECUTE is routed as
 * what it names was prepared, which a comment at the EXECUTE does not change. */
static bool take_hint(struct plan *plan, const struct plan_hint *hint, struct err *e)
{
    struct plan_hint *own;
    bool routed = plan->kind == PLAN_QUERY || plan->kind == PLAN_GATHER || plan->kind == PLAN_INSERT ||
                  plan->kind == PLAN_COPY_IN || plan->kind == PLAN_COPY_OUT || plan->kind == PLAN_DDL ||
                  (plan->kind == PLAN_SESSION && plan->session->verb == SESSION_DECLARE);

    if (hint->comment && plan->kind == PLAN_SESSION && plan->session->verb == SESSION_EXECUTE) {
        err_set(e, PB0206, "a routing hint in a comment cannot choose the shard of EXECUTE");
        return err_hint(e,
                        "Write it into the PREPARE statement, or SET pgbraid.key or pgbraid.shard before the EXECUTE.");
    }
    if (!routed || (!hint->comment && (plan->scope == SCOPE_HOME || plan->kind == PLAN_DDL)))
        return true;
    own = ARENA_NEW(plan_arena(plan), struct plan_hint);
    *own = *hint;
    own->text = arena_strdup(plan_arena(plan), hint->text);
    plan->hint = own;
    plan->long_way = true;
    return true;
}

/* Parse and analyse. */
static bool make_result(struct planner *p, struct plan_input *in, struct plan_result *r, struct err *e)
{
    const PgQuery__ParseResult *tree;

    if (!parse_sql(in->sql, &p->scratch, &tree, e))
        return false;
    if (tree->n_stmts == 0) {
        *r = (struct plan_result){ .plan = empty_plan() };
        return true;
    }
    if (tree->n_stmts > 1)
        return err_set(e, PB0202, "cannot insert multiple commands into a prepared statement");
    in->tree = tree;
    if (!hint_read(in->sql, in->env, &p->scratch, &in->hint, e) || !analyse(in, &p->scratch, r, e))
        return false;
    if (in->hint && !take_hint(r->plan, in->hint, e)) {
        plan_unref(r->plan);
        r->plan = NULL;
        return false;
    }
    return true;
}

/* The slow way to a plan. It is kept unless `keep` is false: then the shape does not vouch for it. */
static struct plan *make_plan(struct planner *p, const struct cache_scope *scope, struct plan_input *in, bool keep,
                              struct err *e)
{
    struct plan_result r = { 0 };

    p->misses++;
    if (!make_result(p, in, &r, e))
        p->refused++;
    else if (keep)
        cache_put(p->cache, scope, span_make(p->shape.bytes, p->shape.shape_len), in->sql, in->lits,
                  comes_again(in->sql), &r);
    arena_reset(&p->scratch);
    return r.plan;
}

static struct plan *hit(struct planner *p, struct plan *plan)
{
    p->hits++;
    return plan_ref(plan);
}

struct plan *planner_plan(struct planner *p, const struct catalog *cat, const struct map_db *db,
                          const struct plan_env *env, struct span sql, const uint32_t *types, uint32_t ntype,
                          struct literals *lits, struct err *e)
{
    struct cache_scope scope = {
        .epoch = catalog_epoch(cat), .env_id = env->id, .db_id = db_id(p, db), .types = types, .ntype = ntype
    };
    enum shape_status status = SHAPE_BACKSLASH;
    struct plan_input in;
    struct plan *plan;

    while (scope.ntype > 0 && types[scope.ntype - 1] == 0)
        scope.ntype--;
    plan = comes_again(sql) ? cache_find_text(p->cache, &scope, sql, lits) : NULL;
    if (plan)
        return hit(p, plan);
    if (!read_shape(p, env, sql, &status, lits, e)) {
        p->refused++;
        return NULL;
    }
    if (status == SHAPE_OK)
        plan = cache_find_shape(p->cache, &scope, span_make(p->shape.bytes, p->shape.shape_len), sql, lits);
    if (plan)
        return hit(p, plan);
    in = (struct plan_input){ .cat = cat,
                              .db = db,
                              .env = env,
                              .sql = sql,
                              .types = types,
                              .ntype = ntype,
                              .lits = lits,
                              .options = &p->options };
    return make_plan(p, &scope, &in, status == SHAPE_OK, e);
}

bool planner_literals(struct planner *p, const struct plan_env *env, struct span sql, struct literals *lits)
{
    struct err ignored = ERR_INIT;
    enum shape_status status;

    return read_shape(p, env, sql, &status, lits, &ignored);
}

bool planner_check(struct span sql, struct err *e)
{
    const PgQuery__ParseResult *tree;
    struct arena scratch;
    bool ok;

    arena_init(&scratch, 0);
    ok = parse_sql(sql, &scratch, &tree, e);
    arena_fini(&scratch);
    return ok;
}

void planner_get_stats(const struct planner *p, struct planner_stats *out)
{
    struct cache_stats cache;

    cache_get_stats(p->cache, &cache);
    *out = (struct planner_stats){ .hits = p->hits,
                                   .misses = p->misses,
                                   .refused = p->refused,
                                   .evicted = cache.evicted,
                                   .entries = cache.entries,
                                   .bytes = cache.bytes };
}
