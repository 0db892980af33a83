/*
 * Micro-benchmark of the planner's hot path: nanoseconds of thread CPU per statement, beside pg_query_scan of the same
 * text. Ratios are what counts; absolute numbers follow the machine. Prints a table; judges nothing.
 */
#include "base/mem.h"
#include "base/strbuf.h"
#include "planner/cache.h"
#include "planner/normalise.h"
#include "planner/parse.h"
#include "planner/plan_int.h"

#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 41

struct bench {
    const char *name;
    struct span sql;
    struct shape shape;
    struct cache *cache;
    struct plan *plan;
};

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static const struct cache_scope scope = { .epoch = 1 };

static void run_text(struct bench *b)
{
    struct literals lits;

    BUG_ON(cache_find_text(b->cache, &scope, b->sql, &lits) != b->plan);
}

static void run_lex(struct bench *b)
{
    BUG_ON(shape_read(&b->shape, b->sql, false) != SHAPE_OK);
}

static void run_shape(struct bench *b)
{
    struct literals lits;

    BUG_ON(shape_read(&b->shape, b->sql, false) != SHAPE_OK);
    lits = (struct literals){ .n = b->shape.nliteral, .v = b->shape.literals };
    BUG_ON(cache_find_shape(b->cache, &scope, span_make(b->shape.bytes, b->shape.shape_len), b->sql, &lits) != b->plan);
}

static void run_scan(struct bench *b)
{
    pg_query_free_scan_result(pg_query_scan(b->sql.ptr));
}

static void run_parse(struct bench *b)
{
    struct err e = ERR_INIT;
    const PgQuery__ParseResult *tree;
    struct arena a;

    arena_init(&a, 0);
    BUG_ON(!parse_sql(b->sql, &a, &tree, &e));
    arena_fini(&a);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The fifth percentile of the batches' means: what the code costs when the machine leaves it alone. */
static double measure(struct bench *b, void (*run)(struct bench *b))
{
    double times[BATCHES], start;
    int rounds = 1;

    for (;;) {
        start = cpu_ns();
        for (int i = 0; i < rounds; i++)
            run(b);
        if (cpu_ns() - start > 2e5)
            break;
        rounds *= 2;
    }
    for (int t = 0; t < BATCHES; t++) {
        start = cpu_ns();
        for (int i = 0; i < rounds; i++)
            run(b);
        times[t] = (cpu_ns() - start) / rounds;
    }
    qsort(times, BATCHES, sizeof(times[0]), compare);
    return times[BATCHES / 20];
}

static void bench_run(const char *name, const char *sql)
{
    struct bench b = { .name = name, .sql = span_str(sql), .cache = cache_new(16, 1 << 20, 42), .plan = plan_new() };
    struct plan_result r = { .plan = b.plan, .cacheable = true };
    struct literals lits;

    BUG_ON(shape_read(&b.shape, b.sql, false) != SHAPE_OK);
    lits = (struct literals){ .n = b.shape.nliteral, .v = b.shape.literals };
    cache_put(b.cache, &scope, span_make(b.shape.bytes, b.shape.shape_len), b.sql, &lits, true, &r);
    printf("%-10s %7zu %8.1f %8.1f %10.1f %8.0f %9.0f", name, b.sql.len, measure(&b, run_text), measure(&b, run_lex),
           measure(&b, run_shape), measure(&b, run_scan), measure(&b, run_parse));
    printf(" %9.1f\n", measure(&b, run_scan) / measure(&b, run_shape));
    plan_unref(b.plan);
    cache_free(b.cache);
    shape_fini(&b.shape);
}

static void bench_insert(const char *name, int rows)
{
    struct strbuf sql = STRBUF_INIT;

    strbuf_puts(&sql, "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES ");
    for (int i = 0; i < rows; i++)
        strbuf_printf(&sql, "%s(%d, 1, %d, -%d, '2024-01-01 00:00:00', 'x')", i ? ", " : "", i, i * 17, i);
    bench_run(name, strbuf_str(&sql));
    strbuf_fini(&sql);
}

int main(void)
{
    printf("%-10s %7s %8s %8s %10s %8s %9s %9s\n", "statement", "bytes", "text ns", "lex ns", "lex+find", "scan ns",
           "parse ns", "scan/hit");
    bench_run("point", "SELECT abalance FROM pgbench_accounts WHERE aid = 123456;");
    bench_run("param", "SELECT abalance FROM pgbench_accounts WHERE aid = $1");
    bench_run("in10",
              "SELECT aid, abalance FROM pgbench_accounts WHERE aid IN (1, 2, 3, 4, 5, 60, 700, 8000, 90000, 10)");
    bench_run("update", "UPDATE pgbench_accounts SET abalance = abalance + -4321 WHERE aid = 123456;");
    bench_run("join3",
              "SELECT o.id, o.total, c.name, l.sku, l.qty FROM orders o JOIN customers c ON c.id = o.customer_id "
              "JOIN order_lines l ON l.order_id = o.id AND l.customer_id = o.customer_id WHERE o.customer_id = "
              "4711 AND o.created_at >= '2024-01-01' AND o.status <> 'cancelled' ORDER BY o.created_at DESC LIMIT 50");
    bench_run("begin", "BEGIN");
    bench_insert("ins1", 1);
    bench_insert("ins100", 100);
    return 0;
}
