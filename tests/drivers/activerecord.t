#!/usr/bin/perl
# ActiveRecord over ruby-pg: its migrations, and an application whose models have keys of their own.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare program);

PgbraidTest::Driver::compare(
    name    => 'ActiveRecord',
    present => sub { return defined PgbraidTest::Driver::says('/usr/bin/ruby', '-W0', '-e', 'require "active_record"; require "pg"') ? undef : 'Ruby has no active_record' },
    version => sub { return PgbraidTest::Driver::says('/usr/bin/ruby', '-W0', '-e', 'require "active_record"; puts ActiveRecord.version') },
    command => [ '/usr/bin/ruby', '-W0', program('activerecord.rb') ],
    schema  => undef,
    config  => { sharding_key => 'account_id' },
    checks  => 16,
    sharded => 2,
);
