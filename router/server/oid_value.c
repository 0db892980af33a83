/*
 * Object ids inside binary values (rule P37). A value says by itself of what types its parts are, but for the bounds of
 * a range:
 *
 *   array       int32 dimensions, int32 flags, oid of the elements' type, for each dimension int32 length and int32
 *               lower bound; elements
 *   row         int32 fields, for each the oid of its type and an element
 *   range       byte of flags; bounds, as elements, those that there are
 *   multirange  int32 ranges; these, as elements
 *   element     int32 length, -1: NULL; the value
 *
 * Domains look like what they are made of.
 */
#include "router/server/oids.h"

#include "wire/proto.h"

#define DEPTH_MAX      500u
#define DIMENSIONS_MAX 6u /* PostgreSQL's MAXDIM */

struct value {
    const struct oid_map *map;
    char *at, *end;
    uint32_t depth;
};

static bool malformed(struct err *e)
{
    err_set(e, PB0310, "a shard sent a binary value that is not what its type says");
    return err_hint(e, "Cast the column to text, or ask for it in text format.");
}

static bool not_known(struct err *e)
{
    err_set(e, PB0313, "a binary value has a type inside that the router does not know yet");
    err_detail(e, "Its number is the shard's own. Types become known when the transaction that makes them has ended.");
    return err_hint(e, "Run it again, cast the column to text, or ask for it in text format.");
}

/* The next n bytes; NULL: there are not so many. */
static char *take(struct value *v, size_t n, struct err *e)
{
    char *at = v->at;

    if ((size_t)(v->end - at) < n) {
        (void)malformed(e);
        return NULL;
    }
    v->at += n;
    return at;
}

static bool take_number(struct value *v, uint32_t *n, struct err *e)
{
    const char *at = take(v, 4, e);

    if (!at)
        return false;
    *n = proto_get32(at);
    return true;
}

static bool value_walk(struct value *v, uint32_t type, struct err *e);

static bool element_walk(struct value *v, uint32_t type, struct err *e)
{
    struct value inside = *v;
    uint32_t len;

    if (!take_number(v, &len, e))
        return false;
    if (len == UINT32_MAX)
        return true;
    inside.at = take(v, len, e);
    if (!inside.at)
        return false;
    inside.end = v->at;
    return value_walk(&inside, type, e);
}

/* An id of a type, to be replaced. *type: the shard's. */
static bool type_replace(struct value *v, uint32_t *type, struct err *e)
{
    uint32_t inner, to_client;
    enum oid_kind kind;
    char *at = take(v, 4, e);

    if (!at)
        return false;
    *type = proto_get32(at);
    if (!oid_map_type(v->map, *type, &kind, &inner, &to_client))
        return not_known(e);
    proto_put32(at, to_client);
    return true;
}

static bool array_walk(struct value *v, struct err *e)
{
    uint32_t dimensions, type, inner, same;
    enum oid_kind kind;

    if (!take_number(v, &dimensions, e) || !take(v, 4, e) || !type_replace(v, &type, e))
        return false;
    if (!oid_map_type(v->map, type, &kind, &inner, &same))
        return not_known(e);
    if (kind == OID_PLAIN)
        return true;
    if (dimensions > DIMENSIONS_MAX)
        return malformed(e);
    if (!take(v, 8 * (size_t)dimensions, e))
        return false;
    while (v->at < v->end) {
        if (!element_walk(v, type, e))
            return false;
    }
    return true;
}

static bool row_walk(struct value *v, struct err *e)
{
    uint32_t fields, type;

    if (!take_number(v, &fields, e))
        return false;
    for (uint32_t i = 0; i < fields; i++) {
        if (!type_replace(v, &type, e) || !element_walk(v, type, e))
            return false;
    }
    return true;
}

static bool range_walk(struct value *v, uint32_t bound, struct err *e)
{
    if (!take(v, 1, e)) /* flags */
        return false;
    while (v->at < v->end) {
        if (!element_walk(v, bound, e))
            return false;
    }
    return true;
}

static bool multirange_walk(struct value *v, uint32_t range, struct err *e)
{
    uint32_t n;

    if (!take_number(v, &n, e))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (!element_walk(v, range, e))
            return false;
    }
    return true;
}

static bool value_walk(struct value *v, uint32_t type, struct err *e)
{
    uint32_t inner, same;
    enum oid_kind kind;

    if (!oid_map_type(v->map, type, &kind, &inner, &same))
        return not_known(e);
    if (kind == OID_PLAIN)
        return true;
    if (++v->depth > DEPTH_MAX) {
        err_set(e, PB0203, "a binary value of rows within rows nests too deeply");
        return err_hint(e, "Ask for it in text format.");
    }
    switch (kind) {
    case OID_ARRAY:
        return array_walk(v, e);
    case OID_ROW:
        return row_walk(v, e);
    case OID_RANGE:
        return range_walk(v, inner, e);
    case OID_MULTIRANGE:
        return multirange_walk(v, inner, e);
    case OID_PLAIN:
        break;
    }
    return true;
}

bool oid_value_to_client(const struct oid_map *m, uint32_t type, char *value, size_t len, struct err *e)
{
    struct value v = { .map = m, .at = value, .end = value + len };

    return type ? value_walk(&v, type, e) : not_known(e);
}
