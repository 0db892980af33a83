#include "shardmap/placement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Four columns of the longest expression, their names being 63 bytes that are all doubled, need less. */
#define PLACEMENT_HASH_MAX 4096

bool placement_hash_sql(const struct placement_key *key, struct strbuf *out, struct err *e)
{
    char expr[PLACEMENT_HASH_MAX], seed[PLACEMENT_HASH_MAX] = "0";
    struct strbuf column = STRBUF_INIT;

    for (uint32_t i = 0; i < key->ncolumn; i++) {
        bool fits;

        strbuf_reset(&column);
        strbuf_put_ident(&column, span_str(key->columns[i]));
        if (key->identity) {
            fits = column.len < sizeof(expr);
            snprintf(expr, sizeof(expr), "%s", column.ptr);
        } else {
            fits = vhash_sql(key->types[i], column.ptr, seed, expr, sizeof(expr));
        }
        if (!fits) {
            strbuf_fini(&column);
            return err_set(e, PB0402, "the names of the sharding key's columns are too long");
        }
        memcpy(seed, expr, strlen(expr) + 1);
    }
    strbuf_puts(out, expr);
    strbuf_fini(&column);
    return true;
}

bool placement_condition_sql(const struct placement_key *key, const struct keyrange *range, struct strbuf *out,
                             struct err *e)
{
    struct strbuf hash = STRBUF_INIT;
    int64_t low, high;
    bool bounded = keyrange_hash_bounds(range, &low, &high);

    if (!placement_hash_sql(key, &hash, e)) {
        strbuf_fini(&hash);
        return false;
    }
    /* Literals are quoted: the lowest bigint has no unquoted form. Operators are qualified: nobody's search_path may
     * put another one in their place. */
    if (low == INT64_MIN && !bounded)
        strbuf_puts(out, "true");
    if (low != INT64_MIN)
        strbuf_printf(out, "%s OPERATOR(pg_catalog.>=) '%" PRId64 "'::bigint", hash.ptr, low);
    if (low != INT64_MIN && bounded)
        strbuf_puts(out, " AND ");
    if (bounded)
        strbuf_printf(out, "%s OPERATOR(pg_catalog.<) '%" PRId64 "'::bigint", hash.ptr, high);
    strbuf_fini(&hash);
    return true;
}
