#!/usr/bin/perl
# pgbench, as it comes: makes its tables under a sharding_key rule, fills them, and runs without an error; the totals are
# those that plain sums on the shards give.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run workdir);
use PgbraidTest::Router;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'aid' });

# The exit status, and what pgbench says that is no progress message.
sub pgbench
{
    my (@args) = @_;
    return run([ 'pgbench', '-h', '127.0.0.1', '-p', $router->port, '-U', 'postgres', @args, $router->database ], timeout_s => 120);
}

# The sum over the shards, past the router.
sub total { my ($sql, @shards) = @_; my $sum = 0; $sum += $cluster->value($_, $sql) // 0 for @shards ? @shards : (1 .. 3); return $sum; }

# Twice: the second time the tables exist.
sub init
{
    my ($rule, %dist) = @_;
    for my $time (1, 2) {
        my $r = pgbench('-i', '-s', 1);
        is($r->{rc}, 0, "sharding_key = $rule: pgbench -i, time $time") or diag($r->{err});
        unlike($r->{err}, qr/ERROR|FATAL|PANIC/, '... without an error');
    }
    my %known = map { ($_->[2] => "$_->[3] $_->[4]") } @{ $router->console('SHOW TABLES') };
    my %want = (accounts => 100_000, branches => 1, tellers => 10, history => 0);
    for my $t (sort keys %want) {
        is($known{"pgbench_$t"}, $dist{$t}, "$t is $dist{$t}");
        my @shards = $dist{$t} =~ /^unsharded/ ? (1) : (1 .. 3);
        is(total("SELECT count(*) FROM pgbench_$t", @shards), $want{$t}, '... and has its rows');
        is_deeply([ map { 0 + $cluster->value($_, "SELECT count(*) FROM pg_constraint WHERE conrelid = pg_catalog.to_regclass('pgbench_$t') AND contype = 'p'") } @shards ],
            [ map { $t eq 'history' ? 0 : 1 } @shards ], '... and its primary key');
    }
    cmp_ok($cluster->value($_, 'SELECT count(*) FROM pgbench_accounts'), '>', 20_000, "shard $_ has its part") for 1 .. 3;
    return;
}

init('aid', accounts => 'sharded aid', history => 'sharded aid', branches => 'unsharded ', tellers => 'unsharded ');

sub script { my ($name, $text) = @_; my $path = workdir() . "/$name"; open my $f, '>', $path or die $!; print {$f} $text; close $f or die $!; return $path; }

# All on one shard: the account's.
my $one = script('one.sql', <<'SQL');
\set aid random(1, 100000)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta) VALUES (1, 1, :aid, :delta);
COMMIT;
SQL

for my $run ([ 'select only', '-S' ], [ 'one shard a transaction', '-f', $one ]) {
    my ($what, @args) = @$run;
    for my $protocol (qw(simple extended prepared)) {
        my $r = pgbench('-n', '-c', 4, '-j', 2, '-t', 100, '-M', $protocol, @args);
        is($r->{rc}, 0, "$what, $protocol protocol") or diag($r->{err});
        like($r->{out}, qr{number of transactions actually processed: 400/400}, '... every transaction');
        unlike($r->{err}, qr/error|aborted/i, '... no error');
    }
}
is(total('SELECT count(*) FROM pgbench_history'), 1200, 'a history row for each transaction');
is(total('SELECT sum(abalance) FROM pgbench_accounts'), total('SELECT sum(delta) FROM pgbench_history'), 'balances are the sum of the deltas');
is(total('SELECT count(*) FROM pgbench_accounts WHERE abalance <> 0') > 0, 1, 'accounts have changed');

# pgbench's own simple-update: accounts and history, which have the same key.
my $r = pgbench('-n', '-c', 4, '-j', 2, '-t', 50, '-N');
is($r->{rc}, 0, 'simple update') or diag($r->{err});
like($r->{out}, qr{number of transactions actually processed: 200/200}, '... every transaction');
is(total('SELECT count(*) FROM pgbench_history'), 1400, '... with its history');
is(total('SELECT sum(abalance) FROM pgbench_accounts'), total('SELECT sum(delta) FROM pgbench_history'), 'balances are the sum of the deltas');

$router->write_config(sharding_key => 'aid, tid, bid');
$router->restart;
init('aid, tid, bid', accounts => 'sharded aid', history => 'sharded aid', branches => 'sharded bid', tellers => 'sharded tid');

$r = pgbench('-i', '-I', 'd');
is($r->{rc}, 0, 'pgbench drops its tables') or diag($r->{err});
is(total("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgbench%'"), 0, '... on every shard');
is(total(q{SELECT count(*) FROM pgbraid.tables WHERE schema_name <> 'pgbraid'}), 0, '... and nothing is known of them');
done_testing();
