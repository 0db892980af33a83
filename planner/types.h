/*
 * PostgreSQL's typing of a key comparison, redone (rules P14 to P18): which constants may stand beside a column so that
 * "=" is pg_catalog's equality on the column's own type, without a cast on the column.
 */
#ifndef PLANNER_TYPES_H
#define PLANNER_TYPES_H

#include "planner/plan.h"
#include "planner/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* Types whose "=" and hash agree whichever of them stands on either side. */
enum key_family {
    FAMILY_INT,    /* int2, int4, int8 */
    FAMILY_STRING, /* text, varchar */
    FAMILY_BPCHAR,
    FAMILY_UUID,
    FAMILY_NUMERIC,
    FAMILY_TIMESTAMP,
    FAMILY_DATE
};
enum key_family key_family(enum key_type type);

/* An expression whose value is known when the statement is bound. */
enum constant_kind { CONSTANT_NULL, CONSTANT_STRING, CONSTANT_INTEGER, CONSTANT_NUMERIC, CONSTANT_PARAM };
struct constant {
    enum constant_kind kind;
    bool cast;       /* written value::type */
    bool cast_array; /* ... type[] */
    enum key_type cast_type;
    uint32_t index; /* literal index, or parameter number */
    bool negate;
};

struct plan_input;

/*
 * Read an expression as a constant. False for everything else, casts with a type modifier and casts to types that
 * cannot be a key included.
 */
bool constant_read(const struct plan_input *in, const PgQuery__Node *n, struct constant *out);

/* How a constant that is compared with a column of type `column` is hashed; false: the condition proves nothing. */
bool constant_compare(const struct plan_input *in, const struct constant *c, enum key_type column,
                      struct key_value *out);
/* The same for an array constant after `= ANY`. */
bool constant_compare_array(const struct plan_input *in, const struct constant *c, enum key_type column,
                            struct key_value *out);
/* The same for a value that is stored in a column. False: its placement is not known. */
bool constant_assign(const struct plan_input *in, const struct constant *c, enum key_type column,
                     struct key_value *out);
/* A parameter with neither a declared type nor a cast: PostgreSQL takes the type from where it is first used. */
bool constant_untyped(const struct plan_input *in, const struct constant *c);

/* "=" between operands of these types, of one family, cannot be a user's operator (rule P16). */
bool equality_builtin(const struct plan_input *in, enum key_type a, enum key_type b);

#endif
