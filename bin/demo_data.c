#include "bin/demo_int.h"

#include "base/strbuf.h"
#include "bin/demo_proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * The sample: a shop. Customers, orders and order lines are placed by customer_id and therefore lie together; countries
 * and products are on every shard. The rows come from a generator with a fixed seed: every demo has the same ones.
 */
#define CUSTOMERS      5000u
#define PRODUCTS       200u
#define MAX_ORDERS     6u /* of one customer */
#define MAX_LINES      5u /* of one order */
#define COPY_CHUNK_LEN ((size_t)64 * 1024)

static const char *const tables[] = {
    "CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL, vat_percent numeric(4,1) NOT NULL)",
    "SELECT pgbraid.reference_table('countries')",
    "CREATE TABLE products (product_id int PRIMARY KEY, name text NOT NULL, category text NOT NULL, price "
    "numeric(10,2) NOT NULL)",
    "SELECT pgbraid.reference_table('products')",
    "CREATE TABLE customers (customer_id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL,"
    " country text NOT NULL, since date NOT NULL)",
    "SELECT pgbraid.shard_table('customers', 'customer_id')",
    "CREATE TABLE orders (customer_id bigint NOT NULL, order_id bigint NOT NULL, ordered_at timestamp NOT NULL,"
    " status text NOT NULL, PRIMARY KEY (customer_id, order_id))",
    "SELECT pgbraid.shard_table('orders', 'customer_id')",
    "CREATE TABLE order_lines (customer_id bigint NOT NULL, order_id bigint NOT NULL, line_no int NOT NULL,"
    " product_id int NOT NULL, quantity int NOT NULL, price numeric(10,2) NOT NULL, PRIMARY KEY (customer_id, "
    "order_id, line_no))",
    "SELECT pgbraid.shard_table('order_lines', 'customer_id')",
};

static const struct {
    const char *code, *name, *vat;
} countries[] = {
    { "AT", "Austria", "20.0" }, { "BE", "Belgium", "21.0" },   { "BG", "Bulgaria", "20.0" },
    { "CY", "Cyprus", "19.0" },  { "CZ", "Czechia", "21.0" },   { "DE", "Germany", "19.0" },
    { "DK", "Denmark", "25.0" }, { "EE", "Estonia", "22.0" },   { "ES", "Spain", "21.0" },
    { "FI", "Finland", "25.5" }, { "FR", "France", "20.0" },    { "GR", "Greece", "24.0" },
    { "HR", "Croatia", "25.0" }, { "HU", "Hungary", "27.0" },   { "IE", "Ireland", "23.0" },
    { "IT", "Italy", "22.0" },   { "LT", "Lithuania", "21.0" }, { "LU", "Luxembourg", "17.0" },
    { "LV", "Latvia", "21.0" },  { "MT", "Malta", "18.0" },     { "NL", "Netherlands", "21.0" },
    { "PL", "Poland", "23.0" },  { "PT", "Portugal", "23.0" },  { "RO", "Romania", "19.0" },
    { "SE", "Sweden", "25.0" },  { "SI", "Slovenia", "22.0" },  { "SK", "Slovakia", "23.0" },
};

static const char *const first_names[] = { "Ada",   "Bela", "Chiara", "Dieter", "Elif", "Femke", "Goran",
                                           "Hanna", "Iva",  "Jonas",  "Katya",  "Lars", "Mila",  "Niko",
                                           "Olga",  "Paul", "Rosa",   "Sven",   "Tea",  "Vito" };
static const char *const last_names[] = { "Andersen", "Bauer",  "Costa",  "Dubois", "Eriksson", "Fischer",
                                          "Garcia",   "Horvat", "Ivanov", "Jansen", "Kovacs",   "Lopez",
                                          "Moreau",   "Novak",  "Olsen",  "Petrov", "Rossi",    "Silva" };
static const char *const categories[] = { "books", "games", "garden", "kitchen", "music", "office", "sports", "toys" };
static const char *const adjectives[] = { "blue", "folding", "large", "light", "quiet", "round", "small", "steel" };
static const char *const nouns[] = { "atlas",  "ball", "chair",    "drum",   "flute",
                                     "kettle", "lamp", "notebook", "puzzle", "shelf" };
static const char *const statuses[] = { "new", "paid", "shipped", "delivered", "delivered", "delivered", "returned" };

/* What worth trying looks like, from one shard to refused. */
static const struct {
    const char *what, *sql;
} samples[] = {
    { "one customer", "SELECT name, country FROM customers WHERE customer_id = 42" },
    { "a customer's orders with their totals: colocated tables and a reference table join on the shard",
      "SELECT o.order_id, o.status, sum(l.quantity * l.price) AS total, count(DISTINCT p.category) AS categories FROM "
      "orders o "
      "JOIN order_lines l USING (customer_id, order_id) JOIN products p USING (product_id) WHERE o.customer_id = 42 "
      "GROUP BY 1, 2 ORDER BY 1" },
    { "some customers: each shard is asked for its own", "SELECT name FROM customers WHERE customer_id IN (1, 2, 3)" },
    { "a change on one shard", "UPDATE orders SET status = 'paid' WHERE customer_id = 42 AND status = 'new'" },
    { "a reference table: any shard will do", "SELECT name FROM countries WHERE vat_percent > 24" },
    { "all shards, rows as they come", "SELECT customer_id, name FROM customers WHERE country = 'LU'" },
    { "a total over all shards", "SELECT count(*) FROM orders" },
};

/* ---- generator ---- */

struct generator {
    uint64_t state;
    struct pgconn *conn;
    struct strbuf out; /* COPY text not sent yet */
    uint64_t rows;
};

/* splitmix64: 0 to n - 1. */
static uint32_t next(struct generator *g, uint32_t n)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

#define PICK(g, array) ((array)[next((g), (uint32_t)ARRAY_LEN(array))])

/* A product's price in cents: a function of its number, so that lines and products agree. */
static uint32_t product_cents(uint32_t product)
{
    struct generator g = { .state = product };

    return 195 + 10 * next(&g, 2000);
}

static void put_countries(struct generator *g)
{
    for (size_t i = 0; i < ARRAY_LEN(countries); i++)
        strbuf_printf(&g->out, "%s\t%s\t%s\n", countries[i].code, countries[i].name, countries[i].vat);
    g->rows += ARRAY_LEN(countries);
}

static void put_product(struct generator *g, uint32_t product)
{
    uint32_t cents = product_cents(product);
    const char *category = PICK(g, categories), *adjective = PICK(g, adjectives), *noun = PICK(g, nouns);

    strbuf_printf(&g->out, "%u\t%s %s\t%s\t%u.%02u\n", product, adjective, noun, category, cents / 100, cents % 100);
    g->rows++;
}

static void put_customer(struct generator *g, uint32_t customer)
{
    const char *first = PICK(g, first_names), *last = PICK(g, last_names), *country = PICK(g, countries).code;
    uint32_t year = 2015 + next(g, 10), month = 1 + next(g, 12), day = 1 + next(g, 28);

    strbuf_printf(&g->out, "%u\t%s %s\t%s.%s.%u@example.com\t%s\t%u-%02u-%02u\n", customer, first, last, first, last,
                  customer, country, year, month, day);
    g->rows++;
}

/* A customer's orders, or their lines: the same numbers are drawn for both. */
static void put_orders(struct generator *g, uint32_t customer, bool lines)
{
    uint32_t norder, nline, order, when, product, quantity, cents;
    const char *status;

    g->state = UINT64_C(0x5eed) + customer;
    norder = 1 + next(g, MAX_ORDERS);
    for (uint32_t i = 0; i < norder; i++) {
        order = customer * 10 + i;
        when = next(g, 365 * 24 * 60);
        status = PICK(g, statuses);
        nline = 1 + next(g, MAX_LINES);
        if (!lines) {
            strbuf_printf(&g->out, "%u\t%u\t2025-%02u-%02u %02u:%02u:00\t%s\n", customer, order, 1 + when % 12,
                          1 + when / 12 % 28, when % 24, when % 60, status);
            g->rows++;
        }
        for (uint32_t line = 1; line <= nline; line++) {
            product = 1 + next(g, PRODUCTS);
            quantity = 1 + next(g, 4);
            cents = product_cents(product);
            if (!lines)
                continue;
            strbuf_printf(&g->out, "%u\t%u\t%u\t%u\t%u\t%u.%02u\n", customer, order, line, product, quantity,
                          cents / 100, cents % 100);
            g->rows++;
        }
    }
}

static bool send_rows(struct generator *g, size_t above, struct err *e)
{
    bool ok = g->out.len <= above || pgconn_copy_write(g->conn, g->out.ptr, g->out.len, e);

    if (g->out.len > above)
        strbuf_reset(&g->out);
    return ok;
}

static bool generate(struct generator *g, const char *table, struct err *e)
{
    if (strcmp(table, "countries") == 0) {
        put_countries(g);
        return send_rows(g, 0, e);
    }
    if (strcmp(table, "products") == 0) {
        for (uint32_t product = 1; product <= PRODUCTS; product++)
            put_product(g, product);
        return send_rows(g, 0, e);
    }
    for (uint32_t customer = 1; customer <= CUSTOMERS; customer++) {
        if (strcmp(table, "customers") == 0)
            put_customer(g, customer);
        else
            put_orders(g, customer, strcmp(table, "order_lines") == 0);
        if (!send_rows(g, COPY_CHUNK_LEN, e))
            return false;
    }
    return send_rows(g, 0, e);
}

/* ---- loading ---- */

static bool load_table(struct demo *d, struct pgconn *c, const char *table, struct err *e)
{
    struct generator g = { .state = 1, .conn = c };
    bool ok = demo_run(c, arena_printf(&d->scratch, "COPY %s FROM STDIN", table), e) && generate(&g, table, e) &&
              pgconn_copy_end(c, e);

    strbuf_fini(&g.out);
    if (ok)
        printf("Loaded %" PRIu64 " rows into %s.\n", g.rows, table);
    fflush(stdout);
    return ok;
}

bool demo_load(struct demo *d, struct err *e)
{
    static const char *const order[] = { "countries", "products", "customers", "orders", "order_lines" };
    struct pgconn *c = demo_connect(demo_router_conninfo(d, DEMO_DATABASE), e);
    bool ok = c != NULL;

    for (size_t i = 0; ok && i < ARRAY_LEN(tables); i++)
        ok = (proc_pause(0) || proc_interrupted(e)) && demo_run(c, tables[i], e);
    for (size_t i = 0; ok && i < ARRAY_LEN(order); i++)
        ok = (proc_pause(0) || proc_interrupted(e)) && load_table(d, c, order[i], e);
    if (c)
        pgconn_close_blocking(c);
    return ok;
}

/* ---- what to try ---- */

static bool print_query(struct demo *d, struct pgconn *console, size_t i, struct err *e)
{
    struct pgresult *r = pgconn_query(console, arena_printf(&d->scratch, "SHOW ROUTE FOR %s", samples[i].sql), e);
    const char *text;

    if (!r)
        return false;
    printf("\n-- %s\n%s;\n", samples[i].what, samples[i].sql);
    for (int row = 0; row < pgresult_rows(r); row++) {
        text = pgresult_value(r, row, pgresult_columns(r) - 1);
        printf("   %s %s\n", row == 0 ? "->" : "  ", text ? text : "");
    }
    pgresult_free(r);
    return true;
}

bool demo_print_queries(struct demo *d, struct err *e)
{
    struct pgconn *console = demo_connect(demo_router_conninfo(d, "pgbraid"), e);
    bool ok = console != NULL;

    printf("\nWorth trying, and where each statement goes (the console tells it of any: SHOW ROUTE FOR ...):\n");
    for (size_t i = 0; ok && i < ARRAY_LEN(samples); i++)
        ok = print_query(d, console, i, e);
    if (console)
        pgconn_close_blocking(console);
    return ok;
}
