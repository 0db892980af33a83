#!/usr/bin/perl
# A transaction's connection to a shard is lost while nothing runs on it, but the session waits for something else: the
# statement fails. It must neither take another connection, whose snapshot is another one, nor wait for ever.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 2, separate => 1);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 1, pool_size => 1, reserve_pool_size => 0 });
$router->do(
    'CREATE TABLE t (id bigint PRIMARY KEY, v int)', q{SELECT pgbraid.shard_table('t', 'id')}, 'CREATE TABLE r (k text PRIMARY KEY, v int)', q{SELECT pgbraid.reference_table('r')},
    'INSERT INTO t VALUES ' . join(', ', map { "($_, 0)" } 1 .. 20), q{INSERT INTO r VALUES ('a', 0)}
);
my ($id) = map { $_->[0] } @{ $cluster->rows(2, 'SELECT id FROM t LIMIT 1') };
sub waiting { my $r = $router->wire(database => 'pgbraid')->query('SHOW CLIENTS'); my ($at) = grep { $r->{columns}[$_] eq 'state' } 0 .. $#{ $r->{columns} }; return scalar grep { $_->[$at] eq 'waiting' } @{ $r->{rows} }; }
# The transaction's process there: no statement of it runs.
sub lose { my ($shard) = @_; return $cluster->value($shard, q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction' AND pid <> pg_backend_pid()}); }
sub answer { my ($w) = @_; return PgbraidTest::Wire::result($w->until_ready); }

subtest 'while a connection is waited for' => sub {
    my ($cursor, $w) = ($router->wire, $router->wire);
    $cursor->do('DECLARE c CURSOR WITH HOLD FOR SELECT count(*) FROM t a JOIN t b ON a.v = b.v'); # has the only connection that gathers
    $w->do('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT id FROM t');
    $w->send(Query('SELECT sum(a.v) FROM t a JOIN t b ON a.v = b.v'));
    wait_for('the statement to wait', \&waiting);
    $cluster->do(2, 'UPDATE t SET v = 1000');
    is(lose(2), 1, 'its connection is lost');
    my $r = answer($w);
    is($r->{error}{C}, '08006', 'the statement fails') or diag(explain($r->{rows}));
    is($r->{status}, 'E', '... and the transaction');
    is_deeply($w->query('COMMIT')->{tags}, ['ROLLBACK'], '... which is rolled back');
    $cursor->do('CLOSE c');
    $cluster->do(2, 'UPDATE t SET v = 0');
    is($w->value('SELECT sum(a.v) FROM t a JOIN t b ON a.v = b.v'), 0, 'the session goes on');
};

subtest 'while another shard works' => sub {
    my ($lock, $w) = ($cluster->wire(1), $router->wire);
    $lock->do('BEGIN', 'UPDATE r SET v = 5');
    $w->do('BEGIN', 'SELECT id FROM t');
    $w->send(Query('UPDATE r SET v = v + 1')); # the home shard first
    wait_for('the statement to be blocked', sub { return $cluster->value(1, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}); });
    is(lose(2), 1, 'the connection to the other shard is lost');
    my $r = answer($w);
    is($r->{error}{C}, '08006', 'the statement fails');
    $w->do('ROLLBACK');
    $lock->do('ROLLBACK');
    is_deeply($w->query('UPDATE r SET v = v + 1')->{tags}, ['UPDATE 1'], 'the session goes on');
};

subtest 'while it is proved to be quiet' => sub {
    my ($lock, $w) = ($cluster->wire(2), $router->wire);
    $lock->do('BEGIN', "SELECT FROM t WHERE id = $id FOR UPDATE");
    $w->do('BEGIN');
    $w->send(Query('SELECT id FROM t FOR UPDATE'));
    wait_for('the statement to be blocked', sub { return $cluster->value(2, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}); });
    $w->cancel;
    is(answer($w)->{error}{C}, '57014', 'cancelled'); # what was cancelled has to answer once more before the next statement
    $cluster->freeze_server(2);
    $w->send(Query('ROLLBACK'));
    ok(!$w->readable(0.3), 'the next statement waits');
    $cluster->crash_server(2);
    my $r = eval { answer($w) };
    is_deeply($r && $r->{tags}, ['ROLLBACK'], 'the connection is lost: it goes on') or diag($@);
    $cluster->start_server(2);
    wait_for('the shard', sub { my $r = $w->query('SELECT count(*) FROM t'); return !$r->{error} && $r->{rows}[0][0] == 20; });
    pass('the session goes on');
};
done_testing();
