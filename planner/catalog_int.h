/*
 * The catalog from inside planner/: what sql/catalog.sql's rows become, and name resolution. Everything is immutable
 * once catalog_builder_finish() has returned and lives as long as the catalog does; all pointers are borrowed from it.
 */
#ifndef PLANNER_CATALOG_INT_H
#define PLANNER_CATALOG_INT_H

#include "base/arena.h"
#include "base/hmap.h"
#include "planner/catalog.h"
#include "planner/env.h"

#include <stdbool.h>
#include <stdint.h>

enum { CAT_MAX_KEY = 4 };

/* pg_proc.provolatile, ordered: the worse one counts. */
enum cat_volatility { CAT_IMMUTABLE, CAT_STABLE, CAT_VOLATILE };

struct cat_schema {
    struct hmap_node node; /* by name */
    const char *name;
    bool system;       /* pg_catalog, information_schema */
    bool public_usage; /* everybody has USAGE */
    uint32_t nrole;
    const char **roles; /* who has USAGE, when not everybody */
};

/* How a column is filled when an INSERT leaves it out. */
enum cat_default {
    CAT_DEFAULT_NULL,      /* no default */
    CAT_DEFAULT_FIXED,     /* immutable: the same on every shard and at every moment */
    CAT_DEFAULT_MOMENT,    /* now() and the like: the same within a transaction on one shard */
    CAT_DEFAULT_VOLATILE,  /* random(), gen_random_uuid(), clock_timestamp(): fine where the row is stored */
    CAT_DEFAULT_SEQUENCE,  /* nextval or identity: a shard's own sequence, so not unique across shards (P45) */
    CAT_DEFAULT_OPAQUE,    /* calls code that nobody declared harmless */
    CAT_DEFAULT_GENERATED, /* GENERATED ALWAYS AS (...) STORED */
};

struct cat_column {
    const char *name;
    int16_t attnum;
    uint32_t type;  /* pg_type oid */
    int32_t typmod; /* atttypmod */
    bool notnull;
    bool primary;          /* part of the primary key */
    bool nondeterministic; /* its collation may call unequal bytes equal (P15) */
    bool by_bytes;         /* its collation sorts by the bytes of UTF-8: "C" and its kin */
    bool collated;         /* it has a collation, and not the database's */
    int8_t key;            /* position in the sharding key, -1: not part of it */
    enum cat_default def;
    const char *default_text; /* CAT_DEFAULT_MOMENT: the expression, under the path pg_catalog; else NULL */
};

/* User code that runs behind a relation's back: triggers, policies, rules, defaults, checks, index expressions. */
enum cat_hook_kind { CAT_HOOK_TRIGGER, CAT_HOOK_POLICY, CAT_HOOK_RULE, CAT_HOOK_EXPRESSION };
struct cat_hook {
    enum cat_hook_kind kind;
    const char *name;     /* of the trigger, policy, rule, constraint, index ... */
    const char *function; /* "schema.name" it calls, or the relation a policy reads; NULL for a rule */
    bool harmless;        /* the function is proved not to look beyond its arguments */
    bool statement_level; /* trigger FOR EACH STATEMENT or with transition tables (P43) */
};

/* The text of a view over distributed tables, and who gets from it what the view gives (view.c). */
struct cat_view {
    const char *text;   /* under the path pg_catalog */
    bool barrier;       /* security_barrier */
    bool owner_reads;   /* its owner may read all that it reads */
    bool secured;       /* it reads tables with policies, and as its owner */
    bool public_reader; /* everybody may read the view and all that it reads */
    uint32_t nrole;
    const char **roles; /* who may, when not everybody */
};

struct cat_rel {
    struct hmap_node node; /* by schema and name */
    uint32_t oid;
    const char *schema, *name;
    char kind;   /* pg_class.relkind */
    bool system; /* of pg_catalog or information_schema: no columns loaded */
    bool row_security;
    bool view_sharded;           /* a view that reads a sharded table, directly or through other views */
    bool view_reference;         /* ... a reference table */
    const struct cat_view *view; /* NULL: none of the kind */
    const struct catalog_difference *difference; /* from the home shard's; NULL: it is the same everywhere */
    const char *stray_child; /* a partition or child that is distributed in another way; NULL: none */
    enum distribution dist;
    bool identity_vindex;
    bool has_identity;
    uint32_t nkey;
    uint32_t owner;                      /* of a sequence: oid of the table that owns it, 0: none */
    uint32_t npk;                        /* columns of its primary key */
    uint32_t *pk;                        /* indexes into columns, in the key's order */
    uint32_t key[CAT_MAX_KEY];           /* indexes into columns */
    enum key_type key_type[CAT_MAX_KEY]; /* of those columns */
    uint32_t ncolumn;
    struct cat_column *columns; /* in attnum order, without dropped ones */
    uint32_t nhook;
    struct cat_hook *hooks;
};

/*
 * A function name. pg_catalog's immutable plain functions are left out of the catalog: a name that is not found is one
 * of those, or nothing at all (then PostgreSQL says so).
 */
struct cat_func {
    struct hmap_node node; /* by name: one entry per schema kind (built in or user) */
    const char *schema;    /* "pg_catalog", or of one of the user functions of this name */
    const char *name;
    bool builtin;
    bool harmless; /* user: every overload is proved harmless */
    bool aggregate, window, retset;
    enum cat_volatility volatility; /* worst of all overloads */
};

/* Operators and implicit casts that are not PostgreSQL's own (P16). */
struct cat_operator {
    const char *schema, *name, *function;
    uint32_t left, right;
    bool harmless;
};
struct cat_cast {
    uint32_t source, target;
    bool implicit, harmless;
    const char *function; /* may be NULL */
};

/* A user type whose input or constraint runs user code. */
struct cat_type {
    struct hmap_node node; /* by name */
    const char *schema, *name;
    const char *function; /* not harmless; NULL: none */
};

/* Relation by name as this session's search_path and role see it; NULL: none (PostgreSQL will say 42P01). */
const struct cat_rel *catalog_resolve_rel(const struct catalog *c, const struct plan_env *env,
                                          const char *schema_or_null, const char *name);
/* Is there a view over distributed tables? */
bool catalog_has_views(const struct catalog *c);
const struct cat_rel *catalog_rel_by_oid(const struct catalog *c, uint32_t oid);
const struct cat_schema *catalog_schema(const struct catalog *c, const char *name);
/* Schema that CREATE without a schema would use: first of the path that exists and is not temporary; NULL: none. */
const char *catalog_creation_schema(const struct catalog *c, const struct plan_env *env);
/* Column by name, or NULL. System columns are none. */
const struct cat_column *catalog_column(const struct cat_rel *r, const char *name);
/*
 * A user function of that name in any schema (or in the one given), NULL: none. When there are several, one that is not
 * harmless: which of them a call means depends on argument types that nobody here computes.
 */
const struct cat_func *catalog_user_function(const struct catalog *c, const char *schema_or_null, const char *name);
/* pg_catalog's function of that name if it is not immutable and plain; NULL otherwise. */
const struct cat_func *catalog_builtin_function(const struct catalog *c, const char *name);
/* Operators and casts outside pg_catalog. */
uint32_t catalog_operators(const struct catalog *c, const struct cat_operator **out);
uint32_t catalog_casts(const struct catalog *c, const struct cat_cast **out);
const struct cat_type *catalog_user_type(const struct catalog *c, const char *schema_or_null, const char *name);
/* pg_catalog is searched first: it is not named in search_path, or named first. */
bool env_catalog_first(const struct plan_env *env);

#endif
