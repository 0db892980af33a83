#!/usr/bin/perl
# ruby-pg.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

PgbraidTest::Driver::compare(
    name    => 'ruby-pg',
    present => sub { return defined PgbraidTest::Driver::says('ruby', '-rpg', '-e', '1') ? undef : 'Ruby has no pg' },
    version => sub { PgbraidTest::Driver::says('ruby', '-rpg', '-e', 'print RUBY_VERSION, ", pg ", PG::VERSION') },
    command => [ 'ruby', program('ruby_pg.rb') ],
    checks  => 16,
    sharded => 3,
);
