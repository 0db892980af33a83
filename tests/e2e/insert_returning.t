#!/usr/bin/perl
# INSERT of rows for several shards that returns them: what makes it fail. What it gives is in tests/golden/wire/insert_returning.wire.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { safe_functions => 'public.skip' });
my $w = $router->wire;
$w->do(q{CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.v < 0 THEN RETURN NULL; END IF; RETURN NEW; END $$},
    'CREATE TABLE t (id bigint PRIMARY KEY, v int)', 'CREATE TRIGGER skip BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION skip()', "SELECT pgbraid.shard_table('t', 'id')");
sub insert { my ($v, @ids) = @_; return 'INSERT INTO t VALUES ' . join(', ', map { "($_, " . $v->($_) . ')' } @ids) . ' RETURNING id'; }
sub ids { return map { $_->[0] } @{ $w->rows($_[0]) }; }
my @all = reverse 1 .. 30;

is_deeply([ ids(insert(sub { 1 }, @all)) ], \@all, 'in the order of VALUES');
$w->do('TRUNCATE t');
is_deeply([ ids(insert(sub { -1 }, @all)) ], [], 'a trigger that leaves out all of them');
my $e = $w->error(insert(sub { $_[0] % 4 ? 1 : -1 }, @all));
is($e->{C}, '0A000', 'one that leaves out some');
like($e->{D}, qr/order of the others is not known/, '... with the reason');
is($w->value('SELECT count(*) FROM t'), 0, '... and nothing is inserted');
$w->do('BEGIN', 'INSERT INTO t VALUES (100, 1)', 'SAVEPOINT s');
is($w->error(insert(sub { $_[0] % 4 ? 1 : -1 }, @all))->{C}, '0A000', '... in a transaction');
$w->do('ROLLBACK TO s', 'COMMIT');
is($w->value('SELECT count(*) FROM t'), 1, '... which goes on from its savepoint');
is($w->error(insert(sub { 1 }, 1 .. 9) =~ s/RETURNING/ON CONFLICT $_ RETURNING/r)->{C}, '0A000', "refused: ON CONFLICT $_") for 'DO NOTHING', '(id) DO UPDATE SET v = 2 WHERE t.v > 5';
$e = $w->error('INSERT INTO t VALUES (1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1) RETURNING repeat(id::text, 12000000)');
is($e->{C}, '53200', 'rows that are too many to be kept');
is($w->value('SELECT count(*) FROM t'), 1, '... and nothing is inserted');
is($w->value('INSERT INTO t VALUES (1, 1), (2, 1), (3, 1) RETURNING length(repeat(id::text, 12000000))'), 12000000, 'the next one works');
done_testing();
