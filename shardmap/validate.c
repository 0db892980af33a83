#include "shardmap/directory_int.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_LEN 63u /* PostgreSQL's NAMEDATALEN - 1 */

bool validate_name(const char *kind, const char *name, struct err *e)
{
    size_t len = strlen(name);

    if (len == 0)
        return err_set(e, PB0402, "the name of a %s is empty", kind);
    if (len > NAME_MAX_LEN) {
        err_set(e, PB0402, "the name of a %s is too long", kind);
        return err_detail(e, "\"%s\" has %zu bytes; %u are allowed.", name, len, NAME_MAX_LEN);
    }
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)name[i]))
            return err_set(e, PB0402, "the name of a %s holds a control character", kind);
    }
    if (strcmp(kind, "database") == 0 && strcmp(name, DIRECTORY_CONSOLE) == 0) {
        err_set(e, PB0402, "\"%s\" cannot be the name of a database", name);
        return err_detail(e, "It is the name of the console.");
    }
    return true;
}

/* ---- conninfo ---- */

/*
 * Step over "keyword = value" of a libpq conninfo string: the value may be quoted, backslash escapes the next byte.
 * False at the end. Malformed text ends the walk: whether libpq takes it is another check.
 */
static bool next_keyword(const char **pos, struct span *keyword)
{
    const char *p = *pos;
    bool quoted;

    while (isspace((unsigned char)*p))
        p++;
    *keyword = span_make(p, strcspn(p, "= \t\r\n\f\v"));
    p += keyword->len;
    while (isspace((unsigned char)*p))
        p++;
    if (keyword->len == 0 || *p != '=')
        return false;
    p++;
    while (isspace((unsigned char)*p))
        p++;
    quoted = *p == '\'';
    if (quoted)
        p++;
    while (*p && (quoted ? *p != '\'' : !isspace((unsigned char)*p)))
        p += *p == '\\' && p[1] ? 2 : 1;
    if (quoted && *p)
        p++;
    *pos = p;
    return true;
}

/* postgresql://user:password@host/db?password=... */
static bool uri_has_password(const char *authority)
{
    size_t len = strcspn(authority, "/?#");
    const char *at = memchr(authority, '@', len);
    const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    const char *query = strchr(authority, '?');

    if (colon && colon + 1 < at)
        return true;
    while (query) {
        if (strncmp(query + 1, "password=", 9) == 0)
            return true;
        query = strchr(query + 1, '&');
    }
    return false;
}

static bool has_password(const char *conninfo)
{
    struct span keyword;

    if (strncmp(conninfo, "postgresql://", 13) == 0)
        return uri_has_password(conninfo + 13);
    if (strncmp(conninfo, "postgres://", 11) == 0)
        return uri_has_password(conninfo + 11);
    while (next_keyword(&conninfo, &keyword)) {
        if (span_eq_str(keyword, "password"))
            return true;
    }
    return false;
}

bool validate_conninfo(const char *conninfo, struct err *e)
{
    if (!conninfo || strspn(conninfo, " \t\r\n\f\v") == strlen(conninfo)) {
        err_set(e, PB0402, "the conninfo of a shard is empty");
        return err_hint(e, "Write for example 'host=127.0.0.1 port=5432 dbname=shop'.");
    }
    if (has_password(conninfo)) {
        err_set(e, PB0402, "the conninfo of a shard must not hold a password");
        err_detail(e, "The directory keeps no secrets.");
        return err_hint(e, "Put the password into a password file and name it in the setting \"passfile\".");
    }
    return true;
}

/* ---- tables ---- */

static bool validate_keys(const struct directory_table *t, struct err *e)
{
    if ((t->dist == DIST_SHARDED) != (t->nkey > 0)) {
        err_set(e, PB0402, "table \"%s.%s\" has %u key columns but is %s", t->schema, t->name, t->nkey,
                distribution_name(t->dist));
        return err_detail(e, "Sharded tables, and only they, have a sharding key.");
    }
    if (t->nkey > DIST_MAX_KEYS)
        return err_set(e, PB0402, "the sharding key of table \"%s.%s\" has %u columns; %u are allowed", t->schema,
                       t->name, t->nkey, DIST_MAX_KEYS);
    for (uint32_t i = 0; i < t->nkey; i++) {
        if (!validate_name("key column", t->key_columns[i], e))
            return false;
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(t->key_columns[k], t->key_columns[i]) == 0)
                return err_set(e, PB0402, "column \"%s\" is in the sharding key of table \"%s.%s\" twice",
                               t->key_columns[i], t->schema, t->name);
        }
    }
    if (t->nkey && t->vindex == VINDEX_IDENTITY && (t->nkey != 1 || t->key_types[0] != KEY_INT8)) {
        err_set(e, PB0402, "table \"%s.%s\" cannot have an identity vindex", t->schema, t->name);
        return err_detail(e, "It takes a single column of type bigint.");
    }
    return true;
}

bool validate_tables(const struct directory_table *tables, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!validate_name("schema", tables[i].schema, e) || !validate_name("table", tables[i].name, e) ||
            !validate_keys(&tables[i], e))
            return false;
    }
    return true;
}

bool validate_tables_equal(const struct directory_table *a, const struct directory_table *b)
{
    if (strcmp(a->schema, b->schema) != 0 || strcmp(a->name, b->name) != 0 || a->dist != b->dist ||
        a->nkey != b->nkey || a->has_identity != b->has_identity || (a->nkey && a->vindex != b->vindex))
        return false;
    for (uint32_t i = 0; i < a->nkey; i++) {
        if (strcmp(a->key_columns[i], b->key_columns[i]) != 0 || a->key_types[i] != b->key_types[i] ||
            a->key_typmods[i] != b->key_typmods[i])
            return false;
    }
    return true;
}

/* ---- databases ---- */

void validate_database(struct directory_database *db, struct arena *a)
{
    struct keyrange ranges[MAP_MAX_SHARDS];
    struct err e = ERR_INIT;

    db->served = false;
    if (db->nshard == 0) {
        db->why_not = "it has no shards";
        return;
    }
    BUG_ON(db->nshard > MAP_MAX_SHARDS);
    for (size_t i = 0; i < db->nshard; i++)
        ranges[i] = db->shards[i].range;
    db->served = keyrange_covers(ranges, db->nshard, &e);
    db->why_not = db->served ? NULL : arena_strdup(a, e.message);
}
