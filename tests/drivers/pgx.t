#!/usr/bin/perl
# pgx, from Go.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare go);

PgbraidTest::Driver::compare(
    name    => 'pgx',
    go('pgx.go', 'github.com/jackc/pgx/v5'),
    checks  => 16,
    sharded => 3,
);
