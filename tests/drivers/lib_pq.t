#!/usr/bin/perl
# lib/pq, from Go: with parameters as text, and as binary without a Describe.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare go);

PgbraidTest::Driver::compare(
    name    => 'lib/pq',
    go('lib_pq.go', 'github.com/lib/pq'),
    checks  => 20,
    sharded => 3,
);
