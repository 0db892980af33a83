#include "shardmap/placement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool placement_hash_sql(const struct placement_key *key, struct strbuf *out, struct err *e)
{
    char expr[1024], seed[1024] = "0";
    struct strbuf column = STRBUF_INIT;

    for (uint32_t i = 0; i < key->ncolumn; i++) {
        bool fits;

        strbuf_reset(&column);
        strbuf_put_ident(&column, span_str(key->columns[i]));
        if (key->identity) {
            snprintf(expr, sizeof(expr), "%s", column.ptr);
            fits = true;
        } else {
            fits = vhash_sql(key->types[i], column.ptr, seed, expr, sizeof(expr));
        }
        if (!fits) {
            strbuf_fini(&column);
            return err_set(e, PB0402, "the names of the sharding key's columns are too long");
        }
        memcpy(seed, expr, sizeof(seed));
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
    /* Literals are quoted: the lowest bigint has no unquoted form. */
    if (low == INT64_MIN && !bounded)
        strbuf_puts(out, "true");
    else if (low == INT64_MIN)
        strbuf_printf(out, "%s < '%" PRId64 "'::bigint", hash.ptr, high);
    else if (!bounded)
        strbuf_printf(out, "%s >= '%" PRId64 "'::bigint", hash.ptr, low);
    else
        strbuf_printf(out, "%s >= '%" PRId64 "'::bigint AND %s < '%" PRId64 "'::bigint", hash.ptr, low, hash.ptr, high);
    strbuf_fini(&hash);
    return true;
}
