#!/usr/bin/perl
# What a client sees, frame by frame: every script of tests/golden/wire is played against a PostgreSQL server that holds all
# rows and against routers over one and three shards; the answers must be the same. PGBRAID_WIRE=name,name plays only those;
# PGBRAID_WIRE_SHOW=1 prints what the server answered.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Script;
use PgbraidTest::Scripts;
use PgbraidTest::Tree;

my $dir = PgbraidTest::Tree::root() . '/tests/golden/wire';
my @names = $ENV{PGBRAID_WIRE} ? split(/,/, $ENV{PGBRAID_WIRE}) : map { m{([^/]+)\.wire$} } sort glob "$dir/*.wire";
my $bed = PgbraidTest::Scripts->new(config => { safe_functions => 'public.say' });

for my $name (@names) {
    my $path = "$dir/$name.wire";
    my $title = "$name: " . PgbraidTest::Script->read($path)->title;
    note("$title\n", map { "  $_\n" } $bed->expected($path)) if $ENV{PGBRAID_WIRE_SHOW};
    is($_, 'same', $title) for $bed->differences($path);
}

done_testing();
