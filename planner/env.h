/*
 * The part of a session's environment that parse analysis depends on (rule P12). Interned by the router: equal
 * environments have equal ids within a worker. Immutable.
 */
#ifndef PLANNER_ENV_H
#define PLANNER_ENV_H

#include <stdbool.h>
#include <stdint.h>

struct plan_env {
    uint32_t id;
    const char *role;         /* current_user: for "$user" and schema USAGE */
    const char *search_path;  /* current_setting('search_path') */
    bool nonstandard_strings; /* standard_conforming_strings is off: statements with a backslash in a '' literal are
                                 refused */
    bool odd_parse_settings;  /* transform_null_equals, array_nulls or session_replication_role not at their default: no
                                 key proofs */
    const char *hint_key, *hint_shard; /* pgbraid.key and pgbraid.shard (planner/hint.h); NULL: not set */
    const char
        *parse_settings; /* the settings of rule P12(c), "DateStyle=...;TimeZone=...": only compared and hashed */
};

#endif
