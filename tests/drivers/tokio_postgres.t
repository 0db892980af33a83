#!/usr/bin/perl
# tokio-postgres, from Rust.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare rust);

PgbraidTest::Driver::compare(
    name    => 'tokio-postgres',
    rust('tokio_postgres.rs', 'tokio-postgres'),
    checks  => 14,
    sharded => 3,
);
