# Rules P50 and P54: a transaction that holds no connection can prepare what a server has accepted before, although all
# connections are held by other transactions. pgbench waits in PQprepare and lets its other clients wait with it.
use strict;
use warnings;
use lib 'tests/lib';
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(run);
use PgbraidTest::Router;
use PgbraidTest::Tree;
use PgbraidTest::Wire;
use Test::More;

my $cluster = PgbraidTest::Cluster->new(shards => 2);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1, pool_size => 1, reserve_pool_size => 0, query_wait_timeout => '20s', sharding_key => 'aid' });
$router->do('CREATE TABLE t (aid integer PRIMARY KEY, v integer)', 'INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0)');

my $sql = 'UPDATE t SET v = v + 1 WHERE aid = $1';
my @holders;
for my $shard (1 .. 2) {
    my $aid = $cluster->value($shard, 'SELECT min(aid) FROM t');
    my $w = $router->wire;
    $w->do('BEGIN');
    $w->send(Parse('u', $sql), Sync());
    is(summary($w->until_ready), '1 Z(T)', "a transaction on shard $shard prepares");
    $w->send(Bind('', 'u', [$aid]), Execute(''), Sync());
    is(summary($w->until_ready), '2 C(UPDATE 1) Z(T)', '... and holds its only connection');
    push @holders, { wire => $w, aid => $aid };
}

my $late = $router->wire;
$late->do('BEGIN');
$late->send(Parse('u', $sql), Sync());
is(summary($late->until_ready), '1 Z(T)', 'another transaction prepares the same meanwhile');
$late->send(Parse('', $sql), Sync());
is(summary($late->until_ready), '1 Z(T)', '... also without a name');
$late->send(Bind('', 'u', [ $holders[0]{aid} ]), Execute(''), Sync());
ok(!$late->readable(0.2), '... and waits when it comes to run it');
$holders[0]{wire}->do('COMMIT');
is(summary($late->until_ready), '2 C(UPDATE 1) Z(T)', '... until a connection is free');
$late->do('COMMIT');
is($late->value('SELECT v FROM t WHERE aid = ' . $holders[0]{aid}), 2, 'both changes are there');
$_->{wire}->do('ROLLBACK') for @holders;

# pgbench: one thread for all clients, fewer connections than clients.
$router->write_config(pool_size => 5);
$router->restart;
my @pgbench = (PgbraidTest::Tree::pgbin() . '/pgbench', '-h', '127.0.0.1', '-p', $router->port, '-U', 'postgres');
is(run([ @pgbench, '-i', '-s', 1, $router->database ])->{rc}, 0, 'pgbench -i');
my $r = run([ @pgbench, '-n', '-N', '-M', 'prepared', '-c', 32, '-t', 10, $router->database ], timeout_s => 60);
is($r->{rc}, 0, 'pgbench -N -M prepared with 32 clients on 5 connections') or diag($r->{err});
like($r->{out}, qr{actually processed: 320/320}, '... all transactions done');

done_testing();
