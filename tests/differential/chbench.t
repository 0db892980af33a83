#!/usr/bin/perl
# CH-benCHmark: 22 queries (chbench.sql) over its tables (schema/chbench.sql, which says how they are sharded and why), on three shards
# and on one plain server, in each protocol: all run, with the same rows. PGBRAID_SCALE=N for more rows.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Truth;

PgbraidTest::Truth::benchmark('chbench', 22, (map { $_ => 'aggregated' } 1, 4, 5, 6, 10, 12, 13, 14, 16, 19, 21), (map { $_ => 'merged' } 3, 18));
done_testing();
