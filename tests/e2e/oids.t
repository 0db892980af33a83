#!/usr/bin/perl
# P37: the object ids that a client sees are the home shard's, whichever shard answers.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
# Objects get the next number of their server: on shards 2 and 3 something else was made before.
$cluster->do($_, map { ("CREATE TYPE before_$_ AS (a int)", "CREATE TABLE other_$_ (a int)") } 1 .. $_) for 2, 3;
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
$w->do(
    q{CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad')}, 'CREATE DOMAIN short AS text CHECK (length(value) < 9)', 'CREATE TYPE pair AS (a int, m mood)',
    'CREATE TABLE p (id bigint PRIMARY KEY, m mood, ms mood[], s short, c pair)', q{SELECT pgbraid.shard_table('p', 'id')},
    map { ; "INSERT INTO p VALUES ($_, 'fine', '{sad,glad}', 'x', '(1,glad)')" } 1 .. 30
);

my %type = map { $_->[0] => $_->[1] } @{ $w->rows(q{SELECT typname, oid::int FROM pg_catalog.pg_type WHERE typname IN ('mood', '_mood', 'pair', 'text')}) };
my $table = $w->value(q{SELECT 'p'::regclass::oid::int});
is($type{mood}, $cluster->value(1, q{SELECT 'mood'::regtype::oid::int}), 'the catalog is the home shard\'s');
isnt($type{mood}, $cluster->value($_, q{SELECT 'mood'::regtype::oid::int}), "shard $_ has a number of its own") for 2, 3;
my @shard = map { my $i = $_; [ map { $_->[0] } @{ $cluster->rows($i, 'SELECT id FROM p ORDER BY id') } ] } 1 .. 3;
ok(@$_ >= 3, 'each shard has rows') for @shard;

# [type, table] of each column of a RowDescription among the frames.
sub seen { my ($frames) = @_; my ($t) = grep { $_->{type} eq 'T' } @$frames; return [ map { [ $_->{type}, $_->{table} ] } @{ $t->{columns} } ]; }
sub ask { my ($w, @messages) = @_; $w->send(@messages); return [ $w->until_ready ]; }

my $want = [ [ 20, $table ], [ $type{mood}, $table ], [ $type{_mood}, $table ], [ $type{text}, $table ], [ $type{pair}, $table ] ];
my $sql = 'SELECT id, m, ms, s, c FROM p';
for my $i (1 .. 3) {
    my $id = $shard[ $i - 1 ][0];
    is_deeply(seen(ask($w, Query("$sql WHERE id = $id"))), $want, "shard $i, a simple query");
    is_deeply(seen(ask($w, Query("$sql WHERE id = $id"))), $want, "... and again");
    my $frames = ask($w, Parse("s$i", "$sql WHERE id = \$1 AND m = \$2", 20, $type{mood}), Describe('S', "s$i"), Sync());
    is_deeply(seen($frames), $want, '... described');
    is_deeply((grep { $_->{type} eq 't' } @$frames)[0]{types}, [ 20, $type{mood} ], '... with its parameters');
    $frames = ask($w, Bind('', "s$i", [ $id, 'fine' ]), Describe('P', ''), Execute(''), Sync());
    is_deeply(seen($frames), $want, '... the portal');
    is(scalar(grep { $_->{type} eq 'D' } @$frames), 1, '... which has a row');
    $frames = ask($w, Parse('', "$sql WHERE id = \$1 AND m = \$2", 0, $type{mood}), Bind('', '', [ $id, 'fine' ]), Describe('P', ''), Execute(''), Sync());
    is_deeply(seen($frames), $want, '... unnamed');
    is_deeply(seen(ask($w, Query("BEGIN; $sql WHERE id = $id; COMMIT"))), $want, '... in a string of statements');
    is_deeply(ask($w, Query("UPDATE p SET m = 'glad' WHERE id = $id RETURNING m"))->[0]{columns}[0]{type}, $type{mood}, '... RETURNING');
}
for my $round (1, 2) {
    my $frames = ask($w, Query($sql));
    is_deeply(seen($frames), $want, 'all shards');
    is(scalar(grep { $_->{type} eq 'D' } @$frames), 30, '... with all rows');
}
is_deeply([ map { $_->[0] } @{ seen(ask($w, Query('SELECT m, count(*) FROM p GROUP BY m ORDER BY m'))) } ], [ $type{mood}, 20 ], 'gathered');
is_deeply($w->rows('SELECT a.m, array_agg(DISTINCT b.ms) FROM p a JOIN p b ON a.m <> b.m GROUP BY a.m ORDER BY a.m'), [ [ 'fine', '{{sad,glad}}' ], [ 'glad', '{{sad,glad}}' ] ], 'arrays of enums are gathered');

# A split INSERT with declared types.
my $frames = ask($w, Parse('', 'INSERT INTO p (id, m) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8)', (20, $type{mood}) x 4), Bind('', '', [ map { ($_, 'sad') } 101 .. 104 ]), Execute(''), Sync());
is(summary(@$frames), '1 2 C(INSERT 0 4) Z(I)', 'an INSERT over several shards');

# Made in the transaction that still runs: not known yet, and not guessed.
$w->do('BEGIN', q{CREATE TYPE late AS ENUM ('a')}, 'ALTER TABLE p ADD COLUMN l late');
for my $i (1 .. 3) {
    my ($got) = @{ seen(ask($w, Query("SELECT l FROM p WHERE id = $shard[$i-1][0]"))) };
    is($got->[0], $i == 1 ? $w->value(q{SELECT 'late'::regtype::oid::int}) : 705, "shard $i, in the transaction that makes the type");
}
$w->do('COMMIT');
my $late = $w->value(q{SELECT 'late'::regtype::oid::int});
is(seen(ask($w, Query("SELECT l FROM p WHERE id = $shard[$_-1][0]")))->[0][0], $late, "shard $_, after it") for 1 .. 3;

# Another session, another worker.
is(seen(ask($router->wire, Query("SELECT l FROM p WHERE id = $shard[2][0]")))->[0][0], $late, 'another session') for 1 .. 4;

# --- a batch whose types are another's on the shard goes out once: also where the numbers happen to be the same
{
    my $same = PgbraidTest::Cluster->new(shards => 2, separate => 1);
    my $r = PgbraidTest::Router->new(cluster => $same);
    my $c = $r->wire;
    $c->do(q{CREATE TYPE mood AS ENUM ('fine')}, 'CREATE TABLE n (id bigint PRIMARY KEY, m mood, v int)', q{SELECT pgbraid.shard_table('n', 'id')}, map { "INSERT INTO n VALUES ($_, 'fine', 0)" } 1 .. 8);
    my @oid = map { $same->value($_, q{SELECT 'mood'::regtype::oid::int}) } 1, 2;
    is($oid[0], $oid[1], 'servers of their own give the same numbers');
    my @id = map { $same->value($_, 'SELECT min(id) FROM n') } 1, 2;
    for my $id (@id) {
        my $frames = ask($c, Parse('', 'UPDATE n SET v = v + 1 WHERE id = $1 AND m = $2', 20, $oid[0]), Bind('', '', [ $id, 'fine' ]), Execute(''), Sync());
        is((grep { $_->{type} eq 'C' } @$frames)[0]{tag}, 'UPDATE 1', 'an unnamed statement with a type of users');
        $c->query("SELECT v FROM n WHERE id = $id"); # behind it on the same connection
    }
    is_deeply([ map { $same->value($_ + 1, "SELECT v FROM n WHERE id = $id[$_]") } 0, 1 ], [ 1, 1 ], 'P37: ... is carried out once');
}
done_testing;
