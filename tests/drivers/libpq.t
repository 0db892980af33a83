#!/usr/bin/perl
# libpq from C: text and binary, pipeline mode, single-row mode, COPY, cancel, threads.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare);
use PgbraidTest::Tree;

PgbraidTest::Driver::compare(
    name    => 'libpq',
    short   => 1,
    version => sub { PgbraidTest::Driver::says('pg_config', '--version') },
    command => [ PgbraidTest::Tree::build() . '/drivers_libpq' ],
    checks  => 13,
    sharded => 3,
);
