#!/usr/bin/perl
# pgbench in every mode: the built-in scripts over sharded tables, where a transaction is on several shards; pipelines, \gset, a connection a
# transaction. No transaction fails, and the totals are right.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Driver;
use PgbraidTest::Proc qw(run workdir);

PgbraidTest::Driver::skip_unless(name => 'pgbench', short => 1);
my $bed = PgbraidTest::Driver::bed(schema => undef, config => { sharding_key => 'aid, tid, bid' });
my $env = PgbraidTest::Driver::environment($bed, 'router');

sub pgbench { return run([ 'pgbench', @_ ], env => $env, timeout_s => 120); }
sub total { my ($sql) = @_; my $sum = 0; $sum += $bed->{cluster}->value($_, $sql) // 0 for 1 .. 3; return $sum; }
sub script { my ($name, $text) = @_; my $path = workdir() . "/$name"; open my $f, '>', $path or die $!; print {$f} $text; close $f or die $!; return $path; }

my $made = pgbench('-i', '-s', 1, '-q');
is($made->{rc}, 0, 'pgbench -i') or diag($made->{err});

my $pipeline = script('pipeline.sql', <<'SQL');
\set aid random(1, 100000)
\set other random(1, 100000)
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance - 1 WHERE aid = :other;
COMMIT;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
\endpipeline
SQL
my $gset = script('gset.sql', <<'SQL');
\set aid random(1, 100000)
BEGIN;
SELECT abalance AS old, bid FROM pgbench_accounts WHERE aid = :aid \gset
SELECT count(*) AS n, min(aid) AS least FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + 10 \aset
\if :old = :old
SAVEPOINT s;
UPDATE pgbench_accounts SET abalance = :old WHERE aid = :aid;
ROLLBACK TO s;
\endif
END;
SQL
my $transactions = 0;
for my $run ([ 'tpcb-like', 'simple extended prepared', '-b', 'tpcb-like' ], [ 'simple-update', 'simple extended prepared', '-N' ], [ 'select-only', 'simple extended prepared', '-S' ],
    [ 'a script with \gset', 'simple extended prepared', '-f', $gset ], [ 'a pipeline', 'extended prepared', '-f', $pipeline ], [ 'a mix, connecting anew', 'simple prepared', '-C', '-b', 'tpcb-like@2', '-S' ])
{
    my ($what, $modes, @args) = @$run;
    for my $mode (split ' ', $modes) {
        my $r = pgbench('-n', '-c', 4, '-j', 2, '-t', 20, '-M', $mode, '--max-tries', 5, @args);
        is($r->{rc}, 0, "pgbench: $what, -M $mode") or diag($r->{err});
        like($r->{out}, qr{number of transactions actually processed: 80/80}, '... every transaction') or diag($r->{out});
        like($r->{out}, qr{number of failed transactions: 0 }, '... none failed') or diag($r->{out});
    }
}
# What takes longer, or asks again for what is above: ./dev drivers.
if ($ENV{PGBRAID_DRIVERS}) {
    for my $run ([ 'connecting anew, -M extended', '-C', '-M', 'extended', '-b', 'tpcb-like' ], [ 'a pipeline, connecting anew', '-C', '-M', 'extended', '-f', $pipeline ],
        [ 'a pipeline, connecting anew, -M prepared', '-C', '-M', 'prepared', '-f', $pipeline ], [ 'at a rate', '-R', 200, '-L', 5000, '-M', 'prepared', '-b', 'tpcb-like' ],
        [ 'a mix, -M prepared', '-M', 'prepared', '-b', 'simple-update', '-b', 'select-only' ])
    {
        my ($what, @args) = @$run;
        my $r = pgbench('-n', '-c', 4, '-j', 2, '-t', 20, '--max-tries', 5, @args);
        is($r->{rc}, 0, "pgbench: $what") or diag($r->{err});
        like($r->{out}, qr{number of transactions actually processed: 80/80}, '... every transaction') or diag($r->{out});
        like($r->{out}, qr{number of failed transactions: 0 }, '... none failed') or diag($r->{out});
    }
}
my $deltas = total('SELECT sum(delta) FROM pgbench_history');
is(total('SELECT sum(abalance) FROM pgbench_accounts'), $deltas, 'accounts have what the history says');
cmp_ok(total('SELECT count(*) FROM pgbench_history'), '>=', 480, 'the history is there');
# Ways to make the tables that docs/sql.md says are refused: last, for they drop what is there.
if ($ENV{PGBRAID_DRIVERS}) {
    for my $refused ([ '--foreign-keys', 'PB0207' ], [ '--unlogged-tables', 'PB0207' ], [ '--partitions=3', 'PB0207' ], [ '--init-steps=dtGvp', 'PB0206' ]) {
        my ($option, $id) = @$refused;
        my $r = pgbench('-i', '-q', '-s', 1, $option);
        is($r->{rc}, 1, "pgbench -i $option is refused");
        like($r->{err}, qr/\[$id\]/, "... as $id");
    }
    is(pgbench('-i', '-q', '-s', 1, '-F', 50)->{rc}, 0, 'pgbench -i -F afterwards') or diag('the refused ones left something');
}
is(total('SELECT count(*) FROM pg_prepared_xacts'), 0, 'no prepared transaction is left');
done_testing();
