#!/usr/bin/perl
# What keeps a session's connection after the transaction: advisory locks, cursors WITH HOLD (rules P10, P55).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, pool_size => 6, max_pinned_connections => 3 });
my @w = map { $router->wire } 1 .. 6; # on both workers
my ($p, $q, $r) = @w;
$p->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'id')", 'INSERT INTO t VALUES ' . join(',', map { "($_, $_)" } 1 .. 40));

# Rows of SHOW CLIENTS and SHOW POOLS, by column.
my $console = $router->wire(database => 'pgbraid');
sub show { my ($what) = @_; my $r = $console->query("SHOW $what"); return [ map { my %h; @h{ @{ $r->{columns} } } = @$_; \%h } @{ $r->{rows} } ]; }
sub pinned { my $n = 0; $n += $_->{pinned} for @{ show('CLIENTS') }; return $n; }
sub settles { my ($n, $why) = @_; ok(wait_for($why, sub { pinned() == $n }), $why); return; }
sub server_locks { return $cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); }

# --- locks of a session exclude every other client
$p->do('SELECT pg_advisory_lock(1)', 'SELECT v FROM t WHERE id = 1', 'SELECT count(*) FROM t');
for my $other (@w[ 1 .. 5 ]) {
    is($other->value('SELECT pg_try_advisory_lock(1)'), 'f', 'P55: a lock of a session keeps the others out');
    # A try keeps its connection until it is known that it has failed: five at once may be more than may be kept.
    wait_for('the connection to be given back', sub { return pinned() == 1; });
}
is($q->value('SELECT pg_try_advisory_xact_lock(1)'), 'f', 'P55: those of transactions, too');
settles(1, 'a try that fails keeps nothing');
is($p->value('SELECT pg_try_advisory_lock(1)'), 't', 'its own session gets it again');
is($p->value('SELECT pg_advisory_unlock(1)'), 't', 'unlocked once');
is($q->value('SELECT pg_try_advisory_lock(1)'), 'f', 'P55: it was locked twice');
is($p->value('SELECT pg_advisory_unlock(1)'), 't', 'unlocked twice');
is($p->value('SELECT pg_advisory_unlock(1)'), 'f', 'not locked any more');
is($q->value('SELECT pg_try_advisory_lock(1, 2)'), 't', 'P55: a lock with two keys');
is($r->value('SELECT pg_try_advisory_lock_shared(1, 2)'), 'f', 'P55: is not shared');
$q->do('SELECT pg_advisory_unlock_all()');
settles(0, 'what is unlocked is given back');
is($r->value('SELECT pg_try_advisory_lock_shared(1, 2)'), 't', 'P55: shared');
is($p->value('SELECT pg_try_advisory_lock_shared(1, 2)'), 't', 'P55: by two');
$r->do('DISCARD ALL');
$p->do('DISCARD ALL');
settles(0, 'DISCARD ALL unlocks');
is(server_locks(), 0, 'no lock is left on the server');

# --- in a transaction
$p->do('BEGIN', 'SELECT pg_advisory_lock(7)', 'UPDATE t SET v = v + 1', 'ROLLBACK');
is($q->value('SELECT pg_try_advisory_lock(7)'), 'f', 'a lock of a session outlives its transaction');
$p->do('BEGIN', 'SELECT pg_advisory_unlock(7)', 'UPDATE t SET v = v + 1', 'COMMIT');
is($q->value('SELECT pg_try_advisory_lock(7)'), 't', 'X12, P10: locks and writes on several shards in one transaction');
is($p->value('SELECT sum(v) FROM t'), 820 + 40, 'which has committed');
$q->do('SELECT pg_advisory_unlock(7)');
settles(0, 'given back');

# --- nothing that a client says beside its transactions gives them away
sub keeps { my ($what) = @_; is($q->value('SELECT pg_try_advisory_lock(9)'), 'f', "P55: a lock outlives $what"); return; }
$p->do('SELECT pg_advisory_lock(9)');
for my $what ("SET work_mem = '5MB'", 'RESET work_mem', 'SHOW work_mem', "SELECT set_config('work_mem', '6MB', false)", "SET timezone = 'UTC'", 'SET ROLE postgres',
    'RESET ROLE', 'RESET ALL', 'DISCARD PLANS', 'PREPARE x AS SELECT 1', 'EXECUTE x', 'DEALLOCATE x', 'DEALLOCATE ALL', 'CREATE TABLE u (id int PRIMARY KEY)', 'DROP TABLE u', 'LISTEN x',
    'UNLISTEN x', 'DECLARE h CURSOR WITH HOLD FOR SELECT 1', 'CLOSE h', 'SELECT pgbraid.current_gtid()') {
    $p->do($what);
    keeps($what);
}
for my $what ('SELEC', "SET work_mem = 'x'", 'SELECT 1/0', 'VACUUM nowhere') {
    ok($p->query($what)->{error}, "$what fails");
    keeps($what);
}
for my $end (qw(COMMIT ROLLBACK)) {
    $p->do('BEGIN', "SET LOCAL work_mem = '7MB'", 'SHOW work_mem', $end);
    keeps("SET LOCAL before $end");
    $p->do('BEGIN', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'SHOW transaction_isolation', $end);
    keeps("SET TRANSACTION before $end");
    $p->do('BEGIN');
    $p->send(Parse("p$end", 'SELECT $1::text'), Describe('S', "p$end"), Sync());
    ok(!(grep { $_->{type} eq 'E' } $p->until_ready), 'Parse and Describe in a transaction that is on no shard');
    $p->do($end);
    keeps("Parse and Describe before $end");
}
$p->do('DISCARD ALL');
settles(0, 'DISCARD ALL gives it back');
is($q->value('SELECT pg_try_advisory_lock(9)'), 't', 'to others');
$q->do('SELECT pg_advisory_unlock(9)');

# --- a client that goes away
my $gone = $router->wire;
$gone->do('SELECT pg_advisory_lock(8)', 'LISTEN x', 'DECLARE h CURSOR WITH HOLD FOR SELECT v FROM t');
$gone->close;
ok(wait_for('the lock', sub { $q->value('SELECT pg_try_advisory_lock(8)') eq 't' }), 'a client that goes away gives its locks back');
$q->do('SELECT pg_advisory_unlock(8)');
settles(0, 'and its connections');

# --- the question whether something is left may be cancelled by the session's own timeout: it is asked again
$q->do('SET statement_timeout = 1');
for (1 .. 30) { $q->query('SELECT pg_try_advisory_lock(11)'); $q->query('SELECT 1'); }
wait_for('RESET within a millisecond', sub { !$q->query('RESET statement_timeout')->{error} });
is($q->value('SELECT pg_try_advisory_lock(11)'), 't', 'locked');
is($p->value('SELECT pg_try_advisory_lock(11)'), 'f', 'and not lost by a question that failed');
$q->do('SELECT pg_advisory_unlock_all()');
settles(0, 'given back in the end');

# --- bounded
$_->do('SELECT pg_advisory_lock_shared(9)') for @w[ 0 .. 2 ];
is($w[3]->error('SELECT pg_advisory_lock_shared(9)')->{C}, '53300', 'max_pinned_connections bounds what is kept');
is($w[3]->error('DECLARE h CURSOR WITH HOLD FOR SELECT relname FROM pg_class')->{C}, '53300', 'whatever it is kept for');
is($w[3]->do('LISTEN x', 'UNLISTEN x'), 'UNLISTEN', 'LISTEN keeps none');
is($w[3]->value('SELECT 1'), 1, 'others go on');
is_deeply([ sort { $a <=> $b } map { $_->{pinned} } @{ show('CLIENTS') } ], [ (0) x (@{ show('CLIENTS') } - 3), 1, 1, 1 ], 'SHOW CLIENTS tells who keeps one');
my $in_pools = 0;
$in_pools += $_->{pinned} for @{ show('POOLS') };
is($in_pools, 3, 'and SHOW POOLS where');
$_->do('SELECT pg_advisory_unlock_shared(9)') for @w[ 0 .. 2 ];
settles(0, 'given back');

# --- a server that is lost takes the session with it
$p->do('SELECT pg_advisory_lock(10)');
$cluster->value(1, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 10");
my $fatal = $p->read_frame;
is($fatal->{fields}{C}, '57P01', 'a connection that is lost ends the session that kept something on it');
is($q->value('SELECT pg_try_advisory_lock(10)'), 't', 'its lock is free');
$q->do('SELECT pg_advisory_unlock_all()');
$p = $w[0] = $router->wire;

# --- WHAT a later client sees
is(server_locks(), 0, 'no lock is left');
done_testing();
