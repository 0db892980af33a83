#!/usr/bin/perl
# now() is one moment in a transaction (rule X22): what reads it on a second shard is refused, not answered by another clock.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id' });
my $w = $router->wire;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz DEFAULT now(), v int)', 'CREATE TABLE h (k int PRIMARY KEY, at timestamptz DEFAULT now())');
$w->do("INSERT INTO t (id, v) VALUES ($_, 0)") for 1 .. 12;
my ($a, $b) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1, 2;

sub refused { my ($what, @sql) = @_; my $last = pop @sql; $w->do('BEGIN', @sql); is(($w->query($last)->{error} // {})->{C}, '0A000', "X22: $what"); $w->do('ROLLBACK'); return; }

refused('now() on both', "UPDATE t SET at = now() WHERE id = $a", "UPDATE t SET at = now() WHERE id = $b");
refused('a default and CURRENT_DATE', "DELETE FROM t WHERE id IN ($a)", "INSERT INTO t (id) VALUES ($a)", "SELECT v FROM t WHERE id = $b AND at < CURRENT_DATE");
refused('a default of the home shard', "SELECT now() FROM t WHERE id = $b", 'INSERT INTO h VALUES (1)');
$w->do('BEGIN', "UPDATE t SET at = now() WHERE id = $a");
my $r = $w->query_params("UPDATE t SET at = now(), v = \$1::int WHERE id = $b", 5);
is($r->{error}{C}, '0A000', 'X22: in the extended protocol');
$w->do('ROLLBACK');

$w->do('BEGIN', "UPDATE t SET v = 1 WHERE id = $b", "UPDATE t SET at = now() WHERE id = $a");
my $now = $w->value('SELECT now()');
is($w->value("SELECT at FROM t WHERE id = $a"), $now, 'SELECT now() goes where the time was read');
ok(!$w->query_params("UPDATE t SET at = \$1 WHERE id = $b", $now)->{error}, 'and can be passed on');
$w->do('COMMIT');
is_deeply([ map { $w->value("SELECT at FROM t WHERE id = $_") } $a, $b ], [ $now, $now ], 'one time on both shards');
$w->do('BEGIN', "UPDATE t SET at = now() WHERE id = $a", "UPDATE t SET at = now(), v = 3 WHERE id = $a", "UPDATE t SET v = 2 WHERE id = $b", 'COMMIT');
$w->do("UPDATE t SET at = now() WHERE id = $_") for $a, $b;
pass('one shard, and statements by themselves, read it as they like');
done_testing();
