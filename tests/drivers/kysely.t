#!/usr/bin/perl
# Kysely over node-postgres.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'Kysely',
    node('kysely.js', qw(pg kysely)),
    checks  => 13,
    sharded => 3,
);
