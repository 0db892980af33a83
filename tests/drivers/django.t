#!/usr/bin/perl
# Django: its own migrations, and an application with two models. Their keys are UUIDs that Django makes; the tables of the contributed
# applications, whose keys are drawn from sequences, are on the home shard.
use strict;
use warnings;
use PgbraidTest::Driver qw(compare node program python);

PgbraidTest::Driver::compare(
    name    => 'Django',
    python('django', 'django_app.py'),
    schema  => undef,
    config  => { sharding_key => 'uid' },
    checks  => 20,
    sharded => 1,
);
