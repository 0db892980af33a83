#!/bin/sh
# Declares the shards on the first start, then runs pgbraid with the arguments given.
#
#   PGBRAID_CONFIG    configuration file (/etc/pgbraid/pgbraid.conf)
#   PGBRAID_DATABASE  the database's name
#   PGBRAID_SHARDS    one shard a line: name, key range, connection string
#
# A layout that is complete is left as it is: it is changed by pgbraid's own verbs from then on.
set -eu
config=${PGBRAID_CONFIG:-/etc/pgbraid/pgbraid.conf}

# What the directory file says; nothing while there is none.
layout() { pgbraid shard list --config "$config" 2>/dev/null || true; }

has_shard() { layout | grep -q "^ *$PGBRAID_DATABASE *| *$1 *|"; }

served() { layout | grep -q "^ *$PGBRAID_DATABASE *|" && ! layout | grep -q "Database \"$PGBRAID_DATABASE\" is not served"; }

if [ -n "${PGBRAID_SHARDS:-}" ] && ! served; then
    printf '%s\n' "$PGBRAID_SHARDS" | while read -r name range conninfo; do
        if [ -z "$name" ] || has_shard "$name"; then continue; fi
        pgbraid shard add "$name" --config "$config" --database "$PGBRAID_DATABASE" --range "$range" --conninfo "$conninfo"
    done
fi
exec pgbraid "$@"
