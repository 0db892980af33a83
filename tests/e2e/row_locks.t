#!/usr/bin/perl
# FOR UPDATE and its kin over several shards: the rows are locked where they are, until the transaction ends.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ]);
my ($w, $other) = ($router->wire, $router->wire);
$w->do('CREATE TABLE t (k bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'k')");
$w->do('INSERT INTO t VALUES ' . join ', ', map { "($_, " . $_ % 3 . ')' } 1 .. 60);
is(scalar(grep { $cluster->value($_, 'SELECT count(*) FROM t') } 1 .. 3), 3, 'every shard has rows');

sub column { my ($r) = @_; return join ' ', sort { $a <=> $b } map { $_->[0] } @{ $r->{rows} }; }
my $every = join ' ', 1 .. 60;
my $free = join ' ', grep { $_ % 3 != 1 } 1 .. 60;

for my $lock ('SELECT k FROM t WHERE v = 1 FOR UPDATE', 'SELECT k FROM t WHERE v = 1 ORDER BY v, k FOR UPDATE') {
    $w->do('BEGIN');
    is(scalar(@{ $w->query($lock)->{rows} }), 20, $lock);
    is($other->error('SELECT k FROM t FOR UPDATE NOWAIT')->{C}, '55P03', 'P28: NOWAIT meets the locks');
    is(column($other->query('SELECT k FROM t FOR UPDATE SKIP LOCKED')), $free, 'P28: SKIP LOCKED gives the other rows, and locks nothing else');
    is(column($other->query('SELECT k FROM t ORDER BY k FOR SHARE SKIP LOCKED')), $free, 'in order, too');
    is(column($other->query('SELECT k FROM t')), $every, 'readers do not wait');
    $w->do('COMMIT');
    is(column($other->query('SELECT k FROM t FOR UPDATE NOWAIT')), $every, 'the end of the transaction frees them');
}

# Who waits sees what was committed meanwhile, in the order of the new values.
for my $ways ([ 'SELECT k, v FROM t WHERE k < 10 AND v < 5 FOR UPDATE', 0 ], [ 'SELECT k, v FROM t WHERE k < 10 AND v < 5 ORDER BY v DESC, k FOR UPDATE', 1 ]) {
    my ($lock, $ordered) = @$ways;
    $w->do('UPDATE t SET v = k % 3');
    $w->do('BEGIN', 'UPDATE t SET v = 9 WHERE k IN (1, 2)', 'UPDATE t SET v = 4 WHERE k = 3');
    $other->send(PgbraidTest::Wire::Query($lock));
    ok(wait_for('a row lock to be waited for', sub { $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) > 0 }), 'it waits');
    $w->do('COMMIT');
    my @rows = map { "$_->{values}[0]=$_->{values}[1]" } grep { $_->{type} eq 'D' } $other->until_ready;
    @rows = sort @rows if !$ordered;
    is("@rows", $ordered ? '3=4 5=2 8=2 4=1 7=1 6=0 9=0' : '3=4 4=1 5=2 6=0 7=1 8=2 9=0', "it sees the new values: $lock");
}

# Locks of a savepoint, and in a transaction that only reads.
$w->do('BEGIN', 'SAVEPOINT a', 'SELECT k FROM t FOR UPDATE', 'ROLLBACK TO a');
is(column($other->query('SELECT k FROM t FOR UPDATE NOWAIT')), $every, 'a savepoint gives its locks back');
$w->do('ROLLBACK');
$w->do('BEGIN READ ONLY');
is($w->error('SELECT k FROM t FOR UPDATE')->{C}, '25006', 'not in a read-only transaction');
$w->do('ROLLBACK');

# A queue: rows that are locked are another's, and a change follows in the same transaction.
$w->do('BEGIN');
my $mine = column($w->query('SELECT k FROM t WHERE k <= 20 FOR UPDATE SKIP LOCKED'));
$other->do('BEGIN');
my $theirs = column($other->query('SELECT k FROM t WHERE k <= 40 FOR UPDATE SKIP LOCKED'));
is("$mine $theirs", join(' ', 1 .. 40), 'two consumers share the rows');
$_->do('COMMIT') for $w, $other;
like($w->error('SELECT k FROM t ORDER BY k LIMIT 3 FOR UPDATE SKIP LOCKED')->{M}, qr/LIMIT or OFFSET beside a row locking clause/, 'P28: not with LIMIT: shards would lock more rows than are given');
is(scalar(@{ $w->query('SELECT k FROM t WHERE k = 7 LIMIT 1 FOR UPDATE SKIP LOCKED')->{rows} }), 1, '... but on one shard');
done_testing();
