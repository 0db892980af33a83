#!/usr/bin/perl
# postgres.js.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'postgres.js',
    node('postgres_js.js', 'postgres'),
    checks  => 13,
    sharded => 3,
);
