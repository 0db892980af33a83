#!/usr/bin/perl
# Portals over several shards that are fetched in pieces: long ones, several at once, cancelled, cut off. What they look like frame
# by frame is in tests/golden/wire/pieces_*.wire.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;

my $N = 20_000;
my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1, pool_size => 4, commit => 'best_effort' });
my $w = $router->wire;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v int, pad text)', "SELECT pgbraid.shard_table('t', 'id')");
for my $i (0 .. $N / 1000 - 1) {
    $w->do('INSERT INTO t VALUES ' . join(',', map { my $id = $i * 1000 + $_; "($id, " . $id % 97 . ", repeat('x', " . $id % 200 . "))" } 1 .. 1000));
}

sub ask { my ($wire, @messages) = @_; $wire->send(join '', @messages, PgbraidTest::Wire::Sync()); return $wire->until_ready; }
sub bind_portal { my ($wire, $portal, $sql) = @_; return ask($wire, PgbraidTest::Wire::Parse('', $sql), PgbraidTest::Wire::Bind($portal, '')); }
# Rows, and what ended the piece: 's', 'C' or the SQLSTATE.
sub piece
{
    my ($wire, $portal, $max) = @_;
    my (@rows, $end);
    for my $f (ask($wire, PgbraidTest::Wire::Execute($portal, $max))) {
        push @rows, $f->{values} if $f->{type} eq 'D';
        $end = $f->{type} if $f->{type} =~ /[sC]/;
        $end = $f->{fields}{C} if $f->{type} eq 'E';
    }
    return (\@rows, $end);
}
sub all_pieces
{
    my ($wire, $portal, $max) = @_;
    my (@all, $n);
    for (;;) {
        my ($rows, $end) = piece($wire, $portal, $max);
        push @all, @$rows;
        $n++;
        return (\@all, $end, $n) if $end ne 's';
        return (\@all, 'a piece has ' . @$rows . ' rows', $n) if @$rows != $max;
    }
}

# --- all rows, once, in order, whatever the size of the pieces
for my $max (997, 5000, 7) {
    my $limit = $max == 7 ? ' LIMIT 500 OFFSET 3' : '';
    my $first = $limit ? 4 : 1;
    $w->do('BEGIN');
    bind_portal($w, 'p', "SELECT id FROM t ORDER BY id$limit");
    my ($rows, $end, $n) = all_pieces($w, 'p', $max);
    is($end, 'C', "in order, pieces of $max: ends");
    is_deeply([ map { $_->[0] } @$rows ], [ $first .. ($limit ? 503 : $N) ], "in order, pieces of $max: each row once, in $n pieces");
    bind_portal($w, 'q', 'SELECT id FROM t WHERE v < 90');
    ($rows, $end) = all_pieces($w, 'q', $max);
    is_deeply([ sort { $a <=> $b } map { $_->[0] } @$rows ], [ grep { $_ % 97 < 90 } 1 .. $N ], "one after another, pieces of $max: each row once ($end)") if !$limit;
    $w->do('COMMIT');
}

# --- the first of equal ones, which are on every shard
for my $max (5, 60) {
    $w->do('BEGIN');
    bind_portal($w, 'p', 'SELECT DISTINCT ON (v) id FROM t ORDER BY v, id OFFSET 2');
    my ($rows, $end) = all_pieces($w, 'p', $max);
    is($end, 'C', "DISTINCT ON, pieces of $max: ends");
    is_deeply([ map { $_->[0] } @$rows ], [ 2 .. 96 ], 'each once, but for those that are skipped');
    $w->do('COMMIT');
}

# --- several at once, and other statements between them; own writes after the portal was bound are not seen
$w->do('BEGIN');
bind_portal($w, 'a', 'SELECT id, pad FROM t ORDER BY v, id');
bind_portal($w, 'b', 'SELECT id FROM t ORDER BY id DESC');
bind_portal($w, 'c', 'SELECT id FROM t');
my %got = (a => [], b => [], c => []);
my @open = sort keys %got;
for (my $turn = 0; @open; $turn++) {
    for my $name (@open) {
        my ($rows, $end) = piece($w, $name, 1500);
        push @{ $got{$name} }, map { $_->[0] } @$rows;
        $name = '' if $end eq 'C';
    }
    @open = grep { $_ } @open;
    if ($turn == 1) {
        $w->do('UPDATE t SET v = v + 1 WHERE id <= 100', 'SAVEPOINT s', 'DELETE FROM t WHERE id > 19900', 'ROLLBACK TO s');
        is($w->value('SELECT count(*) FROM t'), $N, 'a statement over the same shards between two pieces');
        is($w->value('SELECT pad FROM t WHERE id = 3'), 'xxx', 'and one on one of them');
    }
}
is_deeply($got{a}, [ sort { $a % 97 <=> $b % 97 || $a <=> $b } 1 .. $N ], 'a: as the table was when it was bound');
is_deeply($got{b}, [ reverse 1 .. $N ], 'b: likewise');
is_deeply([ sort { $a <=> $b } @{ $got{c} } ], [ 1 .. $N ], 'c: likewise');
$w->do('ROLLBACK');

# --- P6, X15: pieces see the snapshot of their Bind, though others commit meanwhile
my $other = $router->wire;
$w->do('BEGIN');
bind_portal($w, 'p', 'SELECT v, id FROM t WHERE id <= 200 ORDER BY id');
my ($first) = piece($w, 'p', 10);
$other->do('UPDATE t SET v = -1 WHERE id <= 200', 'DELETE FROM t WHERE id = 150');
my ($rest, $end) = all_pieces($w, 'p', 50);
is_deeply([ map { $_->[0] } @$first, @$rest ], [ map { $_ % 97 } 1 .. 200 ], 'X15: what was committed since is not seen');
$w->do('COMMIT');
$other->do('UPDATE t SET v = id % 97 WHERE id <= 200', "INSERT INTO t VALUES (150, 150 % 97, '')");

# --- cancelled: the transaction fails, the session goes on
$w->do('BEGIN');
bind_portal($w, 'p', 'SELECT id, pg_sleep(0.01) FROM t');
$w->send(PgbraidTest::Wire::Execute('p', 15000) . PgbraidTest::Wire::Sync());
select undef, undef, undef, 0.3;
$w->cancel;
my @frames = $w->until_ready;
is_deeply([ map { $_->{fields}{C} } grep { $_->{type} eq 'E' } @frames ], ['57014'], 'a piece can be cancelled');
is($w->error('SELECT 1')->{C}, '25P02', 'the transaction has failed');
$w->do('ROLLBACK');
(undef, $end) = piece($w, 'p', 5);
is($end, '34000', 'and its portal is gone');

# --- a shard's connection is lost between two pieces
$w->do('BEGIN');
bind_portal($w, 'p', 'SELECT id FROM t ORDER BY id');
piece($w, 'p', 5);
$cluster->do(2, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'");
my $lost;
ok(wait_for('the loss is noticed', sub { (undef, $lost) = piece($w, 'p', 3000); return $lost !~ /^[sC]$/ }), "a lost connection is an error ($lost)");
$w->do('ROLLBACK');
is($w->value('SELECT count(*) FROM t'), $N, 'the session goes on');

# --- a client that goes in the middle leaves nothing behind
{
    my $gone = $router->wire;
    $gone->do('BEGIN');
    bind_portal($gone, 'p', 'SELECT id FROM t ORDER BY id');
    piece($gone, 'p', 5);
    $gone->send(PgbraidTest::Wire::Execute('p', 10000) . PgbraidTest::Wire::Sync());
    $gone->close;
}
ok(wait_for('no transaction is left', sub { !grep { $cluster->value($_, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'") } 1 .. 3 }), 'no transaction is left');

# --- what is closed can be bound again, many times, and nothing stays on the shards
$w->do('BEGIN');
for my $i (1 .. 300) {
    ask($w, PgbraidTest::Wire::Parse('', 'SELECT id FROM t ORDER BY id'), PgbraidTest::Wire::Bind($i % 2 ? 'p' : '', ''), PgbraidTest::Wire::Execute($i % 2 ? 'p' : '', 1), $i % 2 ? PgbraidTest::Wire::Close('P', 'p') : ());
}
my $portals = $cluster->value(1, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NULL AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()");
is($portals, 1, 'one unnamed portal is left');
$w->do('COMMIT');
is($w->value('SELECT sum(v) FROM t WHERE id <= 10'), 55, 'the session goes on');

# --- a piece that fails in a pipeline, whose transaction is rolled back at once
$w->do('SET enable_sort = off', 'SET enable_seqscan = off', 'SET enable_bitmapscan = off'); # rows are computed as they are fetched
for my $sql ('SELECT id, 1 / (id - 15000) FROM t ORDER BY id', 'SELECT id, 1 / (id - 15000) FROM t') {
    my @f = ask($w, PgbraidTest::Wire::Parse('', $sql), PgbraidTest::Wire::Bind('p', ''), PgbraidTest::Wire::Execute('p', 100), PgbraidTest::Wire::Execute('p', 0));
    is(join(' ', map { $_->{type} eq 'E' ? "E $_->{fields}{C}" : $_->{type} eq 'Z' ? "Z $_->{status}" : $_->{type} } grep { $_->{type} ne 'D' } @f), '1 2 s E 22012 Z I', "an error in a later piece: $sql");
}
$w->do('RESET ALL');
is($w->value('SELECT count(*) FROM t'), $N, 'the session goes on');

# --- the router keeps little of what is not fetched yet
sub rss { open my $in, '<', '/proc/' . $router->pid . '/status' or die; my ($kb) = join('', <$in>) =~ /VmRSS:\s+(\d+)/; return $kb; }
$w->do("UPDATE t SET pad = repeat('y', 5000) WHERE id <= 6000");
$w->do('BEGIN');
bind_portal($w, 'p', 'SELECT id, pad FROM t WHERE id <= 6000 ORDER BY id');
my $before = rss();
piece($w, 'p', 10) for 1 .. 20;
my $grown = rss() - $before;
SKIP: {
    skip 'a sanitizer has memory of its own', 1 if PgbraidTest::Tree::build() =~ /san$/;
    cmp_ok($grown, '<', 8192, "of 30 MB the router keeps $grown KiB");
}
$w->do('COMMIT');

ok($router->alive, 'the router lives');
done_testing();
