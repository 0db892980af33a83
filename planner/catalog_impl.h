/* The catalog's own struct: for catalog*.c only. */
#ifndef PLANNER_CATALOG_IMPL_H
#define PLANNER_CATALOG_IMPL_H

#include "base/arena.h"
#include "base/hmap.h"
#include "planner/catalog_int.h"

#include <stdatomic.h>

struct catalog {
    atomic_uint refs;
    uint64_t epoch;
    struct arena arena;
    struct hmap schemas, by_name, functions, types; /* nodes in the arena */
    uint32_t nrel;
    struct cat_rel *rels; /* by oid */
    uint32_t noperator, ncast;
    struct cat_operator *operators;
    struct cat_cast *casts;
    uint32_t ndifference;
    const struct catalog_difference *differences;
    bool distributed; /* some table is sharded or a reference table */
    bool has_views;   /* a view reads one */
};

/* Hash of an object's name; schema NULL: of the name alone. */
uint64_t catalog_hash(const char *schema, const char *name);
struct cat_schema *catalog_schema_mutable(struct catalog *c, const char *name);

#endif
