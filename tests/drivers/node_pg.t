#!/usr/bin/perl
# node-postgres, pg-cursor, pg-query-stream, pg-copy-streams.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'node-postgres',
    node('node_pg.js', qw(pg pg-cursor pg-query-stream pg-copy-streams)),
    checks  => 15,
    sharded => 3,
);
