#!/usr/bin/perl
# Rows of several shards in one order, in bulk: a client that reads slowly, LIMIT that ends early, rows longer than a read, formats
# of single columns, transactions, errors half way, clients that go away. What the answers have to be is tests/differential/finish.t's.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, ranges => [ PgbraidTest::Router::equal_ranges(3) ]);
my $w = $router->wire;
$w->do('CREATE TABLE t (k bigint PRIMARY KEY, n int, s text)', "SELECT pgbraid.shard_table('t', 'k')");
my $here = 'pgbraid_placement';
for my $i (1 .. 3) { # each shard takes what its placement check allows
    my ($check) = $cluster->value($i, "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '$here' AND conrelid = 't'::regclass") =~ /^CHECK \((.*)\)$/;
    $cluster->do($i, "INSERT INTO t SELECT k, (k * 7919 % 10007)::int, repeat('x', 100) FROM generate_series(1, 60000) k WHERE $check");
}
is($w->value('SELECT count(*) FROM t'), 60_000, 'the rows are there');

sub column { my ($r, $i) = @_; return [ map { $_->[ $i // 0 ] } @{ $r->{rows} } ]; }

# --- bulk
my $r = $w->query('SELECT k, s FROM t ORDER BY k');
is_deeply(column($r), [ 1 .. 60_000 ], 'all rows in order');
is("@{ $r->{tags} }", 'SELECT 60000', 'and counted');
$r = $w->query('SELECT n, k, s FROM t ORDER BY n DESC, k');
my @pairs = sort { $b->[0] <=> $a->[0] || $a->[1] <=> $b->[1] } map { [ $_ * 7919 % 10_007, $_ ] } 1 .. 60_000;
is_deeply([ map { "$_->[0] $_->[1]" } @{ $r->{rows} } ], [ map { "$_->[0] $_->[1]" } @pairs ], 'two keys');

# A client that reads nothing for a while: everybody waits, then goes on.
my $slow = $router->wire;
$slow->send(Query('SELECT k, repeat(s, 10) FROM t ORDER BY k'));
ok(wait_for('the router to stop', sub { state_of_parts() }), 'a slow client stops the shards');
is($w->value('SELECT count(*) FROM t WHERE n = 5'), scalar(grep { $_->[0] == 5 } @pairs), 'others go on');
my @frames = $slow->until_ready;
is(scalar(grep { $_->{type} eq 'D' } @frames), 60_000, 'it gets all its rows');

# Shards whose rows are far apart: one is always waited for while the others are full.
$r = $w->query("SELECT k, s FROM t ORDER BY hashint8extended(k, 0)::numeric LIMIT 50000");
is(scalar(@{ $r->{rows} }), 50_000, 'rows of one shard after the other');
$r = $w->query("SELECT k, s FROM t ORDER BY hashint8extended(k, 0)::numeric LIMIT 5000");
is(scalar(@{ $r->{rows} }), 5000, '... and enough of them while the others are full');

# --- LIMIT
$r = $w->query('SELECT k FROM t ORDER BY k DESC LIMIT 3 OFFSET 2');
is_deeply(column($r), [ 59_998, 59_997, 59_996 ], 'LIMIT and OFFSET');
is(scalar(@{ $w->query('SELECT s FROM t LIMIT 777')->{rows} }), 777, 'LIMIT without an order');
is(scalar(@{ $w->query('SELECT s FROM t OFFSET 59990')->{rows} }), 10, 'OFFSET without an order');

# --- formats of single columns
$w->send(Parse('', 'SELECT k, n, s FROM t ORDER BY n, k LIMIT 2'), Bind('', '', [], result_formats => [ 1, 0, 0 ]), Describe('P', ''), Execute(''), Sync());
my ($t) = grep { $_->{type} eq 'T' } @frames = $w->until_ready;
is_deeply([ map { "$_->{name} $_->{format}" } @{ $t->{columns} } ], [ 'k 1', 'n 0', 's 0' ], 'a format for each column');
is_deeply([ map { unpack('q>', $_->{values}[0]) . " $_->{values}[1]" } grep { $_->{type} eq 'D' } @frames ], [ map { "$_->[1] $_->[0]" } (sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] } @pairs)[ 0, 1 ] ], 'and the values in it');

# --- long rows: longer than a read, and than any other row
$w->do('CREATE TABLE big (k bigint PRIMARY KEY, s text)', "SELECT pgbraid.shard_table('big', 'k')");
$w->do("INSERT INTO big VALUES ($_, repeat('$_', " . (300_000 * ($_ % 3)) . '))') for 1 .. 9;
$r = $w->query('SELECT k, s FROM big ORDER BY k');
is_deeply([ map { "$_->[0] " . length $_->[1] } @{ $r->{rows} } ], [ map { "$_ " . 300_000 * ($_ % 3) } 1 .. 9 ], 'rows longer than a read');
$r = $w->query('SELECT count(*), max(length(s)) FROM (SELECT DISTINCT s FROM big) d');
is_deeply($r->{rows}, [ [ 7, 600_000 ] ], 'gathered, too');

# --- in a transaction: its own changes are seen
$w->do('BEGIN', 'INSERT INTO t VALUES (0, -1, NULL)', 'UPDATE t SET n = 20000 WHERE k = 60000');
is_deeply($w->rows('(SELECT k, n FROM t ORDER BY n, k LIMIT 1)'), [ [ 0, -1 ] ], 'an own row');
is_deeply($w->rows('SELECT k, n FROM t ORDER BY n DESC, k LIMIT 1'), [ [ 60_000, 20_000 ] ], 'an own change');
is($w->value('SELECT max(n) FROM t'), 20_000, 'in an aggregate');
$w->do('ROLLBACK');
is_deeply($w->rows('SELECT n FROM t ORDER BY n LIMIT 1'), [ [ 0 ] ], 'gone again');

# --- errors and ends
$r = $w->query('SELECT k, 1 / (k - 30000) FROM t ORDER BY k');
is($r->{error}{C}, '22012', 'an error of one shard');
is($w->value('SELECT k FROM t ORDER BY k LIMIT 1'), 1, 'and the session goes on');
my $gone = $router->wire;
$gone->send(Query('SELECT k, s FROM t ORDER BY k'));
$gone->close;
is($w->value('SELECT k FROM t ORDER BY k DESC LIMIT 1'), 60_000, 'a client that goes away in the middle');

# A server that sorts in another way than the router is not believed.
my @letters = ('a' .. 'z', 'A' .. 'Z');
$w->do('CREATE TABLE c (k bigint PRIMARY KEY, s text)', "SELECT pgbraid.shard_table('c', 'k')", 'INSERT INTO c VALUES ' . join(', ', map { "($_, '$letters[$_]')" } 0 .. $#letters));
is_deeply(column($w->query('SELECT s FROM c ORDER BY s')), [ 'A' .. 'Z', 'a' .. 'z' ], 'text by its bytes');
$cluster->do($_, 'ALTER TABLE c ALTER COLUMN s TYPE text COLLATE "en-x-icu"') for 1 .. 3;
$r = $w->query('SELECT s FROM c ORDER BY s');
is($r->{error}{C}, 'XX000', 'a collation changed behind the router is noticed');
like($r->{error}{D} // $r->{error}{M}, qr/order|PB0310/, 'and said');
# --- parameters in a simple query have no values: PostgreSQL's error, whatever would have been done with the rows
{
    my $simple = $router->wire;
    for my $sql ('SELECT k FROM t WHERE n = $1 ORDER BY n LIMIT 5', 'SELECT k FROM t ORDER BY n LIMIT $1', 'SELECT max(s) || $1 FROM t', 'SELECT s, count(*) FROM t WHERE n > $2 GROUP BY s',
        'SELECT k, rank() OVER (ORDER BY n) FROM t WHERE n = $1', 'SELECT a.k FROM t a JOIN t b ON a.n = b.k WHERE a.s = $1', 'INSERT INTO t VALUES (70001, $1), (70002, $1), (70003, $1), (70004, $1)',
        'UPDATE t SET n = $1', 'SELECT k FROM t WHERE n = $1')
    {
        is($simple->error($sql)->{C}, '42P02', "no value: $sql");
    }
    for my $sql ('DECLARE c CURSOR FOR SELECT k FROM t WHERE n = $1', 'DECLARE c SCROLL CURSOR FOR SELECT a.k FROM t a JOIN t b ON a.n = b.k WHERE a.s = $1') {
        $simple->do('BEGIN');
        is($simple->error($sql)->{C}, '42P02', "no value: $sql");
        $simple->do('ROLLBACK');
    }
}
done_testing();

# Are the shards' servers waiting for the router to read?
sub state_of_parts
{
    my $n = 0;
    for my $i (1 .. 3) { $n += $cluster->value($i, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND datname = current_database()"); }
    return $n > 0;
}
