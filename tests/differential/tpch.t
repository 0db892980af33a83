#!/usr/bin/perl
# TPC-H: 22 queries (tpch.sql) over its tables (schema/tpch.sql, which says how they are sharded and why), on three shards and on one
# plain server, in each protocol: all run, with the same rows. PGBRAID_SCALE=N for more rows.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Truth;

PgbraidTest::Truth::benchmark('tpch', 22, 1 => 'aggregated', 2 => 'merged', 4 => 'aggregated', 6 => 'aggregated', 12 => 'aggregated', 16 => 'aggregated', 21 => 'aggregated');
done_testing();
