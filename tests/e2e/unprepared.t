#!/usr/bin/perl
# Shards without prepared transactions (PostgreSQL's default): said at start; what needs them fails whole, with PostgreSQL's hint.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Router;

my $cluster = PgbraidTest::Cluster->new(shards => 2, settings => { max_prepared_transactions => 0 });
is($cluster->value(1, 'SHOW max_prepared_transactions'), 0, 'none are allowed');
my $router = PgbraidTest::Router->new(cluster => $cluster);
my $w = $router->wire;
like($router->log_text, qr/level=warning .*no prepared transactions.*shard=s$_.*max_prepared_transactions/, "a warning for s$_") for 1, 2;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)');
is($w->query("SELECT pgbraid.shard_table('t', 'id')")->{error}, undef, 'sharding a table needs none');
my $e = $w->error('INSERT INTO t VALUES ' . join ', ', map { "($_, 0)" } 1 .. 20);
is($e->{C}, '55000', 'rows for several shards: refused');
like("$e->{H}", qr/max_prepared_transactions/, '... with the way out');
is($w->query('SELECT id FROM t')->{tags}[0], 'SELECT 0', 'and nothing of it is there');
ok(!$w->query('INSERT INTO t VALUES (1, 1)')->{error}, 'rows of one shard are fine');
$router->write_config(commit => 'best_effort');
$router->restart;
is($router->query('UPDATE t SET v = 2')->{tags}[0], 'UPDATE 1', 'commit = best_effort does without');
done_testing();
