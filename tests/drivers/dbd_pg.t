#!/usr/bin/perl
# DBD::Pg.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

PgbraidTest::Driver::compare(
    name    => 'DBD::Pg',
    short   => 1,
    present => sub { eval { require DBD::Pg; 1 } ? undef : 'not installed' },
    version => sub { PgbraidTest::Driver::says('perl', '-MDBD::Pg', '-e', 'print $DBD::Pg::VERSION') },
    command => [ 'perl', program('dbd_pg.pl') ],
    checks  => 16,
    sharded => 3,
);
