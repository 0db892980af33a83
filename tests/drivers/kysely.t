#!/usr/bin/perl
# Kysely over node-postgres.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'Kysely',
    node('kysely.js', qw(pg kysely)),
    checks  => 12,
    sharded => 3,
    todo    => { migrator => 'it takes its lock in a statement that calls set_config(), which is refused inside a statement' },
);
