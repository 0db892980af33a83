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

# Rows that are gathered: locked where they are. One server says what is to be seen by who waits for a lock, and who need not.
my $plain = $cluster->add_shard;
my @tables = ('CREATE TABLE g (k bigint PRIMARY KEY, v int, w int)', 'CREATE TABLE h (k bigint PRIMARY KEY, g bigint, name text)');
$_->do(@tables) for $cluster->wire($plain), $w;
$w->do("SELECT pgbraid.shard_table('g', 'k')", "SELECT pgbraid.shard_table('h', 'k')");
my $join = 'SELECT g.k, g.v, h.name FROM g JOIN h ON h.g = g.k WHERE g.v = 2';
my @cases = (
    # what another transaction does, how it ends, does the statement wait, the statement, and how its transaction begins
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 1, "$join FOR UPDATE OF g" ],
    [ [ 'UPDATE g SET w = 99, v = 2 WHERE k = 7' ], 'ROLLBACK', 1, "$join FOR UPDATE OF g" ],
    [ [ 'UPDATE g SET v = 3 WHERE k IN (7, 8, 9)' ], 'COMMIT', 1, "$join FOR UPDATE OF g" ],
    [ [ 'DELETE FROM g WHERE k = 12' ], 'COMMIT', 1, "$join FOR NO KEY UPDATE OF g" ],
    [ [ "UPDATE h SET name = 'new'" ], 'COMMIT', 0, "$join FOR UPDATE OF g" ],
    [ [ "UPDATE h SET name = 'x' WHERE k = 6" ], 'COMMIT', 1, "$join AND h.name LIKE 'n%' FOR UPDATE" ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 8' ], 'COMMIT', 0, "$join FOR UPDATE OF g" ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 0, "$join FOR UPDATE OF g NOWAIT" ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 0, "$join FOR KEY SHARE OF g" ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 1, "$join FOR SHARE OF g" ],
    [ [ 'SELECT FROM g WHERE k = 7 FOR SHARE' ], 'COMMIT', 0, "$join FOR SHARE OF g" ],
    [ [ 'SELECT FROM g WHERE k = 7 FOR SHARE' ], 'COMMIT', 1, "$join AND h.name LIKE 'n%' FOR SHARE OF h FOR UPDATE OF g" ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 1, "$join FOR UPDATE OF g", 'BEGIN ISOLATION LEVEL REPEATABLE READ' ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 8' ], 'COMMIT', 0, "$join FOR UPDATE OF g", 'BEGIN ISOLATION LEVEL REPEATABLE READ' ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 7' ], 'COMMIT', 0, "$join FOR UPDATE OF g", 'BEGIN READ ONLY' ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 2' ], 'COMMIT', 1, 'SELECT k, w FROM g WHERE v = 2 ORDER BY k LIMIT 3 FOR UPDATE' ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 22' ], 'COMMIT', 1, 'SELECT k, w FROM g a WHERE v = 2 AND w > (SELECT avg(w) FROM g) FOR UPDATE' ],
    [ [ 'UPDATE g SET w = 99 WHERE k = 22' ], 'COMMIT', 1, "SELECT k, w FROM g a WHERE v = 2 AND EXISTS (SELECT FROM h WHERE h.g = a.k) FOR UPDATE", '' ],
    [ [], 'COMMIT', 0, 'SELECT a.k FROM g a LEFT JOIN h ON h.g = a.k AND h.k < 20 WHERE a.v = 2 FOR UPDATE' ],
    [ [], 'COMMIT', 0, "$join FOR UPDATE OF nobody" ],
    [ [], 'COMMIT', 0, 'SELECT max(w) FROM g WHERE v = 2 FOR UPDATE' ],
);
sub seen
{
    my ($open, $do, $end, $sql, $begin) = @_;
    my ($holder, $c) = ($open->(), $open->());
    $holder->do('DELETE FROM g', 'DELETE FROM h', map { 'INSERT INTO ' . $_ } 'g VALUES ' . join(', ', map { "($_, " . $_ % 5 . ", $_)" } 1 .. 30),
        'h VALUES ' . join(', ', map { my $g = $_ % 30 + 1; "($_, $g, 'n$_')" } 1 .. 30));
    $holder->do('BEGIN', @$do);
    $c->do($begin) if $begin;
    $c->send(PgbraidTest::Wire::Query($sql));
    wait_for('a row lock to be waited for', sub { $c->readable || $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) > 0 });
    my $waited = $c->readable ? 0 : 1;
    $holder->do($end) if $waited;
    my $r = PgbraidTest::Wire::result($c->until_ready);
    $c->do('ROLLBACK') if $begin;
    $holder->do($end) if !$waited;
    return join ' ', $waited, $r->{error} ? $r->{error}{C} : sort map { join '|', @$_ } @{ $r->{rows} };
}
for my $case (@cases) {
    my ($do, $end, $waits, $sql, $begin) = @$case;
    $begin = 'BEGIN' if !defined $begin;
    my ($want, $got) = map { seen($_, $do, $end, $sql, $begin) } sub { $cluster->wire($plain) }, sub { $router->wire };
    is($got, $want, join '; ', @$do, $end, $begin, $sql);
    like($want, qr/^$waits/, '... is what one server does');
}
# Locked is what the table's own conditions say, until the transaction ends; with parameters, too.
$w->do('BEGIN');
is(scalar(@{ $w->query_params("SELECT g.k FROM g JOIN h ON h.g = g.k WHERE g.v = \$1 AND h.name = \$2 FOR UPDATE OF g", 1, 'n5')->{rows} }), 1, 'one row of the answer');
is(column($other->query('SELECT k FROM g WHERE v = 1 FOR UPDATE SKIP LOCKED')), '', 'the rows that its condition lets through are locked');
is(scalar(@{ $other->query('SELECT k FROM g WHERE v <> 1 FOR UPDATE NOWAIT')->{rows} }), $cluster->value($plain, 'SELECT count(*) FROM g WHERE v <> 1'), '... no others');
$w->do('COMMIT');
is($other->query('SELECT k FROM g WHERE v = 1 FOR UPDATE NOWAIT')->{error}, undef, 'the end of the transaction frees them');
is($w->query('SELECT g.k FROM g JOIN h ON h.g = g.k WHERE g.v = 1 FOR UPDATE OF g')->{error}, undef, 'alone in its transaction');
is($other->query('SELECT k FROM g WHERE v = 1 FOR UPDATE NOWAIT')->{error}, undef, '... it keeps no lock');
# In pieces, in a string of several, and when it fails: what is over keeps no lock, and what is not does.
my $all = 'SELECT g.k FROM g, h WHERE g.v + h.g >= 0 AND g.v >= 0 AND h.k < 3 FOR UPDATE OF g';
my $free_now = sub { return $other->query('SELECT k FROM g FOR UPDATE NOWAIT')->{error}{C} // 'free' };
my $piece = sub { my (@messages) = @_; $w->send(@messages, PgbraidTest::Wire::Sync()); return join '', map { $_->{type} } $w->until_ready; };
is($piece->(PgbraidTest::Wire::Parse('p', $all), PgbraidTest::Wire::Bind('', 'p', []), PgbraidTest::Wire::Execute('', 3)) . ' ' . $free_now->(), '12DDDsZ free', 'a piece, alone in its transaction');
$w->do('BEGIN');
is($piece->(PgbraidTest::Wire::Bind('c', 'p', []), PgbraidTest::Wire::Execute('c', 3)) . ' ' . $free_now->(), '2DDDsZ 55P03', 'a piece in a block');
like($piece->(PgbraidTest::Wire::Execute('c', 0)), qr/^D{10,}CZ$/, '... and the rest');
$w->do('COMMIT');
is(join(' ', @{ $w->query("$all; SELECT 1")->{tags} }, $free_now->()), 'SELECT 60 SELECT 1 free', 'in a string of two');
is($w->error($all =~ s/g.v >= 0/1 \/ (g.v - 1) > 5/r)->{C} . ' ' . $free_now->(), '22012 free', 'a shard fails');
like($w->error('SELECT k FROM t ORDER BY k LIMIT 3 FOR UPDATE SKIP LOCKED')->{M}, qr/LIMIT or OFFSET beside a row locking clause/, 'P28: not with LIMIT: shards would lock more rows than are given');
is(scalar(@{ $w->query('SELECT k FROM t WHERE k = 7 LIMIT 1 FOR UPDATE SKIP LOCKED')->{rows} }), 1, '... but on one shard');
done_testing();
