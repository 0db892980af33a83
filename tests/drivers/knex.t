#!/usr/bin/perl
# knex over node-postgres.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'knex',
    node('knex.js', qw(pg knex pg-query-stream)),
    config  => { sharding_key => 'account_id' }, # knex's own tables draw their keys from a sequence
    checks  => 13,
    sharded => 2,
);
