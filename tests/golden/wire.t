#!/usr/bin/perl
# What a client sees, frame by frame: every script of tests/golden/wire is played against a PostgreSQL server that holds all
# rows and against routers over one and three shards; the answers must be the same. PGBRAID_WIRE=name,name plays only those;
# PGBRAID_WIRE_SHOW=1 prints what the server answered.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Router;
use PgbraidTest::Script;
use PgbraidTest::Tree;

my $dir = PgbraidTest::Tree::root() . '/tests/golden/wire';
my @names = $ENV{PGBRAID_WIRE} ? split(/,/, $ENV{PGBRAID_WIRE}) : map { m{([^/]+)\.wire$} } sort glob "$dir/*.wire";

my $three = PgbraidTest::Cluster->new(shards => 3);
my $one = PgbraidTest::Cluster->new(shards => 2); # a shard, and the server to compare with
my $plain = 2;

sub load
{
    my ($cluster, $i, $file) = @_;
    my $r = run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $cluster->conninfo($i), '-f', "$dir/$file" ]);
    die "$file: $r->{err}" if $r->{rc};
    return;
}

load($three, $_, 'functions.sql') for 1 .. 3;
load($one, $_, 'functions.sql') for 1 .. 2;
load($three, 1, 'schema.sql');
load($one, $_, 'schema.sql') for 1 .. 2;

my %config = (safe_functions => 'public.say');
my %router = (
    1 => PgbraidTest::Router->new(cluster => $one, ranges => ['-'], config => \%config),
    3 => PgbraidTest::Router->new(cluster => $three, config => \%config),
);
for my $router (values %router) {
    $router->do(map({ "SELECT pgbraid.shard_table('$_', 'id')" } qw(t w c)), "SELECT pgbraid.reference_table('r')");
}

sub play_on
{
    my ($script, $port, $database) = @_;
    return $script->play(sub { return PgbraidTest::Wire->open(port => $port, timeout_s => 10) }, { user => 'postgres', database => $database, application_name => 'wire' });
}

for my $name (@names) {
    my $script = PgbraidTest::Script->read("$dir/$name.wire");
    my $title = "$name: " . $script->title;
    my @expected = eval { play_on($script, $one->port($plain), $one->database($plain)) } or do { fail("$title (PostgreSQL)"); diag($@); next; };
    note("$title\n", map { "  $_\n" } @expected) if $ENV{PGBRAID_WIRE_SHOW};
    for my $n (sort keys %router) {
        next unless $script->wants_shards($n);
        my @got = eval { play_on($script, $router{$n}->port, $router{$n}->database) } or diag($@);
        ok("@got" eq "@expected", "$title ($n shards)") or diag(difference(\@expected, \@got));
    }
}

# Both, with what differs marked.
sub difference
{
    my @files = map { my $file = workdir() . "/$_->[0]"; open my $out, '>', $file or die "$file: $!"; print $out map { "$_\n" } @{ $_->[1] }; close $out; $file }
        ([ expected => $_[0] ], [ got => $_[1] ]);
    return run([ 'diff', '-U', '1000', @files ])->{out};
}

done_testing;
