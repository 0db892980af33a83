/*
 * What type an expression has, as far as that is easy to tell: columns, casts, arithmetic on numbers, aggregates and a
 * few functions of pg_catalog. PostgreSQL's own rules are far more; what is not known here has no type.
 */
#ifndef PLANNER_TYPING_H
#define PLANNER_TYPING_H

#include "planner/analyse_int.h"

enum {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_TEXT = 25,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_MONEY = 790,
    TYPE_BPCHAR = 1042,
    TYPE_VARCHAR = 1043,
    TYPE_INTERVAL = 1186,
    TYPE_NUMERIC = 1700
};

struct typing {
    uint32_t type; /* 0: not known */
    bool by_bytes; /* text whose collation sorts by bytes */
};

struct typing typing_of(const struct an *an, const struct scope *s, const PgQuery__Node *n);

/*
 * The type that both become: of exact numbers and double precision the wider one, as PostgreSQL resolves operators,
 * CASE and UNION; else it is known only if they are the same.
 */
struct typing typing_common(const struct an *an, struct typing a, struct typing b);

/* A function or aggregate of pg_catalog by this name that nobody can have put another before. */
bool is_catalog_function(const struct an *an, const PgQuery__FuncCall *f, const char **name);
/* No operator of this name but pg_catalog's. */
bool is_catalog_operator(const struct an *an, size_t n, PgQuery__Node *const *names);

#endif
