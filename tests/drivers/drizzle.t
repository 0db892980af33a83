#!/usr/bin/perl
# Drizzle over node-postgres.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'Drizzle',
    node('drizzle.js', qw(pg drizzle-orm)),
    config  => { sharding_key => 'account_id' }, # Drizzle's own table draws its key from a sequence
    checks  => 12,
    sharded => 3,
);
