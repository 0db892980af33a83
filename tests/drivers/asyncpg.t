#!/usr/bin/perl
# asyncpg.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'asyncpg',
    python('asyncpg', 'asyncpg_client.py'),
    checks  => 17,
    sharded => 3,
);
