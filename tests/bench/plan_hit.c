/*
 * What a plan-cache hit costs beside pg_query_scan of the same text, to be counted by callgrind
 * (tests/gate/plan_cache.t): for each text, COUNT hits and COUNT scans stand between calls of mark(), at which
 * callgrind writes what it has counted. The analyser and the catalog are stand-ins: a hit never gets to them.
 */
#include "base/bug.h"
#include "planner/analyse.h"
#include "planner/plan_int.h"
#include "planner/planner.h"

#include <pg_query.h>
#include <stdio.h>

#define COUNT 100

/* Instead of the planner's own: the library's is not linked then. */
bool analyse(const struct plan_input *in, struct arena *scratch, struct plan_result *out, struct err *e)
{
    (void)in;
    (void)scratch;
    (void)e;
    *out = (struct plan_result){ .plan = plan_new(), .cacheable = true };
    return true;
}

struct catalog {
    uint64_t epoch;
};

uint64_t catalog_epoch(const struct catalog *c)
{
    return c->epoch;
}

static const char *const texts[] = {
    "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;",
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 123456;",
    "SELECT aid, abalance FROM pgbench_accounts WHERE aid IN (1, 2, 3, 4, 5, 60, 700, 8000, 90000, 10)",
    "BEGIN",
};

/* The name is what callgrind looks for; the empty statement keeps the call. */
__attribute__((noinline)) static void mark(void)
{
    __asm__ volatile("");
}

static void hit(struct planner *p, const char *sql)
{
    static const struct catalog catalog = { .epoch = 7 };
    static const struct plan_env env = { .id = 1, .search_path = "public", .role = "app" };
    static const struct map_db db = { .name = "shop" };
    struct literals lits;
    struct err e = ERR_INIT;
    struct plan *plan = planner_plan(p, &catalog, &db, &env, span_str(sql), NULL, 0, &lits, &e);

    BUG_ON(!plan);
    plan_unref(plan);
}

int main(void)
{
    static const struct planner_options options = { 0 };
    struct planner *p = planner_new(&options);

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        hit(p, texts[i]);
        hit(p, texts[i]);
        pg_query_free_scan_result(pg_query_scan(texts[i]));
        mark();
        for (int n = 0; n < COUNT; n++)
            hit(p, texts[i]);
        mark();
        for (int n = 0; n < COUNT; n++)
            pg_query_free_scan_result(pg_query_scan(texts[i]));
        mark();
        printf("%d %s\n", COUNT, texts[i]);
    }
    planner_free(p);
    return 0;
}
