#!/usr/bin/perl
# The process id that a client sees: the one of its login, in every expression; and ending or cancelling another client by it.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $router = PgbraidTest::Router->new(cluster => PgbraidTest::Cluster->new(shards => 2), config => { workers => 2 });
my $w = $router->wire;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v bigint)', "SELECT pgbraid.shard_table('t', 'id')", 'INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)', 'CREATE TABLE u (id int, v bigint)', 'CREATE ROLE app LOGIN');
my @others = map { $router->wire } 1 .. 4;
for my $c ($w, @others) {
    my $r = $c->query('SELECT pg_backend_pid()');
    is_deeply([ $r->{columns}, $r->{rows} ], [ ['pg_backend_pid'], [ [ $c->{pid} ] ] ], 'pg_backend_pid() is the number of the login');
}
is($w->value('SELECT pg_catalog.pg_backend_pid ( ) + $1::int', 1), $w->{pid} + 1, 'in an expression, by the extended protocol');
is($others[0]->value('SELECT pg_catalog.pg_backend_pid ( ) + $1::int', 1), $others[0]{pid} + 1, 'of the session that runs the statement');
is($w->value('SELECT count(*) FROM t WHERE v <> pg_backend_pid()') + 0, 4, 'in a condition') if !$w->query('SELECT count(*) FROM t WHERE v <> pg_backend_pid()')->{error};
$w->do('UPDATE t SET v = pg_backend_pid()', 'INSERT INTO u VALUES (1, pg_backend_pid())', 'INSERT INTO t VALUES (9, pg_backend_pid())');
is_deeply($w->rows('SELECT DISTINCT v FROM t'), [ [ $w->{pid} ] ], 'written on several shards');
is($w->value('SELECT v FROM u'), $w->{pid}, 'written on the home shard');
$w->do('PREPARE p AS SELECT pg_backend_pid(), $1::int');
is($w->value('EXECUTE p(1)'), $w->{pid}, 'in a prepared statement');
is($w->value(q{SELECT 'pg_backend_pid()'}), 'pg_backend_pid()', 'not in a literal');
is($w->error('SELECT * FROM pg_backend_pid()')->{C}, '0A000', 'refused where it cannot be replaced');

# --- cancel and terminate
my $victim = $others[0];
for my $by (@others[ 1 .. 3 ]) {
    $victim->send(PgbraidTest::Wire::Query('SELECT pg_sleep(60)'));
    my $console = $router->wire(database => 'pgbraid');
    wait_for('it to run', sub { my $r = $console->query('SHOW CLIENTS'); my %at = map { $r->{columns}[$_] => $_ } 0 .. $#{ $r->{columns} }; return grep { $_->[ $at{id} ] == $victim->{pid} && $_->[ $at{state} ] eq 'active' } @{ $r->{rows} }; });
    is($by->value("SELECT pg_cancel_backend($victim->{pid})"), 't', 'pg_cancel_backend');
    like(PgbraidTest::Wire::summary($victim->until_ready), qr/^(?:T )?E\(57014\) Z\(I\)$/, 'its statement is cancelled'); # before it began, or after
}
is($w->value('SELECT pg_cancel_backend($1)', $victim->{pid}), 't', 'of one that does nothing, by a parameter');
is($victim->value('SELECT 1'), 1, 'does nothing');
is($router->wire(user => 'app')->error("SELECT pg_terminate_backend($victim->{pid})")->{C}, '42501', 'of somebody else: not allowed');
is($w->value("SELECT pg_terminate_backend($victim->{pid}) AS gone"), 't', 'pg_terminate_backend');
is($victim->read_frame->{fields}{C}, '57P01', 'it is told');
ok($victim->at_eof, 'and its connection is closed');
is($w->error('SELECT pg_cancel_backend(pg_backend_pid())')->{C}, '57014', 'itself');
is($w->value('SELECT pg_terminate_backend(2147483600)'), 'f', 'nobody: a warning of the server, and false');
my $self = $router->wire;
$self->send(PgbraidTest::Wire::Query('SELECT pg_terminate_backend(pg_backend_pid())'));
is($self->read_frame->{fields}{C}, '57P01', 'itself, for good');
is($w->value('SELECT 1'), 1, 'others go on');

# --- timeouts that a session sets for itself
for my $case ([ 'in a transaction that is on a shard', '25P03', 'SET idle_in_transaction_session_timeout = 300', 'BEGIN', 'SELECT v FROM t WHERE id = 1' ], [ 'in one that is on none', '25P03', q{SET idle_in_transaction_session_timeout = '500ms'}, 'BEGIN' ],
    [ 'outside of one', '57P05', 'SET idle_session_timeout = 400' ]) {
    my ($what, $state, @sql) = @$case;
    my $idle = $router->wire;
    $idle->do(@sql);
    my $f = $idle->read_frame;
    is($f->{fields}{C}, $state, "idle $what: the session ends");
}
is($router->wire->value('SELECT v FROM t WHERE id = 2'), $w->{pid}, 'nobody else is concerned') for 1 .. 10;
my $slow = $router->wire;
$slow->do('SET statement_timeout = 200');
is($slow->error($_)->{C}, '57014', "statement_timeout: $_") for 'SELECT pg_sleep(20)', 'SELECT v FROM t, pg_sleep(20)', 'SELECT pg_sleep(20) FROM t ORDER BY v';
is($slow->value('SELECT 1'), 1, 'and the session goes on');
$w->do('BEGIN', 'UPDATE t SET v = 1 WHERE id = 3');
$slow->do('SET lock_timeout = 100', 'SET statement_timeout = 0');
is($slow->error('UPDATE t SET v = 2 WHERE id = 3')->{C}, '55P03', 'lock_timeout');
$w->do('ROLLBACK');
done_testing();
