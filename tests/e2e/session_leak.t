#!/usr/bin/perl
# Thousands of short sessions that change what a session can change and end in every way; no later client sees a trace.
# PGBRAID_SEED repeats a run, PGBRAID_SESSIONS sets how many.
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

my $seed = $ENV{PGBRAID_SEED} // time;
my $sessions = $ENV{PGBRAID_SESSIONS} // 2000;
srand $seed;
diag("seed $seed");

my $cluster = PgbraidTest::Cluster->new(shards => 3);
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { workers => 2, pool_size => 5, max_pinned_connections => 4 });
my $w = $router->wire;
$w->do('CREATE TABLE t (id bigint PRIMARY KEY, v int)', "SELECT pgbraid.shard_table('t', 'id')", 'INSERT INTO t VALUES ' . join(',', map { "($_, $_)" } 1 .. 30), 'CREATE ROLE other', 'GRANT SELECT ON t TO other', 'CREATE SCHEMA elsewhere', 'CREATE TABLE elsewhere.u (id int PRIMARY KEY)');

sub any { return $_[ rand @_ ]; }
sub id  { return 1 + int rand 30; }

# What a session may do. Errors are part of it: a limit that is reached, a lock that is taken.
my @acts = (
    sub { 'SET work_mem = ' . (100 + int rand 900) },
    sub { q{SET TimeZone = 'Asia/Tokyo'} },
    sub { 'SET search_path = elsewhere' },
    sub { q{SET app.secret = 'mine'} },
    sub { q{SELECT set_config('app.secret', 'mine', false)} },
    sub { q{SELECT set_config('app.secret', 'mine', true), count(*) FROM t WHERE id = } . id() },
    sub { q{DO $$ BEGIN SET work_mem = '7MB'; PERFORM set_config('app.secret', 'mine', false); END $$} },
    sub { 'SET pgbraid.key = ' . id() },
    sub { q{SET pgbraid.shard = 's1'} },
    sub { 'SET LOCAL pgbraid.key = ' . id() },
    sub { 'SET pgbraid.allow_scatter = off' },
    sub { 'SET pgbraid.consistent_reads = off' },
    sub { 'SELECT lo_open(lo_creat(-1), 131072)' },
    sub { 'SET ROLE other' },
    sub { 'SET default_transaction_read_only = on' },
    sub { 'SET statement_timeout = 60000' },
    sub { 'PREPARE leak (int) AS SELECT v FROM t WHERE id = $1' },
    sub { 'EXECUTE leak(' . id() . ')' },
    sub { 'SELECT pg_try_advisory_lock(' . (1 + int rand 3) . ')' },
    sub { 'SELECT pg_advisory_unlock(' . (1 + int rand 3) . ')' },
    sub { 'SELECT pg_try_advisory_xact_lock(' . (1 + int rand 3) . ')' },
    sub { 'LISTEN leak' },
    sub { 'UNLISTEN *' },
    sub { q{NOTIFY leak, 'x'} },
    sub { 'DECLARE leak CURSOR ' . any('', 'WITH HOLD ') . 'FOR SELECT v FROM t' . any('', ' WHERE id = ' . id(), ' ORDER BY v') },
    sub { 'FETCH 3 FROM leak' },
    sub { 'CLOSE leak' },
    sub { 'BEGIN' },
    sub { 'SAVEPOINT leak' },
    sub { 'ROLLBACK TO leak' },
    sub { 'COMMIT' },
    sub { 'ROLLBACK' },
    sub { 'SELECT v FROM t WHERE id = ' . id() },
    sub { 'SELECT count(*) FROM t' },
    sub { 'UPDATE t SET v = v WHERE id = ' . id() },
    sub { 'SELECT 1 / 0' },
    sub { 'DISCARD ALL' },
    sub { 'SELECT pg_sleep(0.001); SELECT v FROM t' },
);

sub check
{
    my ($what) = @_;
    my $c = $router->wire;
    my @traces;
    my $see = sub { my ($want, $name, $sql) = @_; my $r = $c->query($sql); my $got = $r->{error} ? "error $r->{error}{C}" : join ',', map { $_ // '~' } @{ $r->{rows}[0] // [] }; push @traces, "$name: $got" if $got ne $want; return; };
    $see->('4MB,"$user", public,,postgres,postgres,off,0', 'settings', q{SELECT current_setting('work_mem'), current_setting('search_path'), coalesce(current_setting('app.secret', true), ''), current_user, session_user, current_setting('default_transaction_read_only'), current_setting('statement_timeout')});
    $see->($_->[2], $_->[0], $_->[1]) for [ 'prepared', 'EXECUTE leak(1)', 'error 26000' ], [ 'cursor', 'FETCH leak', 'error 34000' ], [ 'savepoint', 'ROLLBACK TO leak', 'error 25P01' ], [ 'channels', 'SELECT pg_listening_channels()', '' ],
        [ 'rows', 'SELECT count(*), sum(v) FROM t', '30,465' ], [ 'transaction', 'SELECT pg_current_xact_id_if_assigned()', '~' ];
    is("@traces", '', $what) or BAIL_OUT("seed $seed");
    return;
}

my %ends;
for my $n (1 .. $sessions) {
    my $s = $router->wire;
    my @log;
    my $end = any('clean', 'cut', 'middle', 'pipeline', 'stay');
    eval {
        for (0 .. int rand 8) {
            my $sql = any(@acts)->();
            push @log, $sql;
            $s->query($sql);
        }
        $s->send(PgbraidTest::Wire::Query(any('SELECT pg_sleep(0.02)', 'SELECT v FROM t', 'UPDATE t SET v = v', 'DECLARE leak CURSOR WITH HOLD FOR SELECT v FROM t ORDER BY v'))) if $end eq 'middle';
        $s->send(PgbraidTest::Wire::Parse('leak', 'SELECT 1'), PgbraidTest::Wire::Bind('leak', 'leak', []), PgbraidTest::Wire::Flush()) if $end eq 'pipeline';
        $s->send(PgbraidTest::Wire::Terminate()) if $end eq 'clean';
        1;
    } or do { fail("session $n: $@ after " . join('; ', @log)); last; };
    $s->close;
    $ends{$end}++;
    check("nothing is left after $n sessions") if $n % 50 == 0;
}
ok($ends{$_}, "sessions ended: $_") for qw(clean cut middle pipeline stay);

# Everything comes to rest: no lock, no transaction, no pinned connection.
my $console = $router->wire(database => 'pgbraid');
sub pinned { my $r = $console->query('SHOW POOLS'); my ($i) = grep { $r->{columns}[$_] eq 'pinned' } 0 .. $#{ $r->{columns} }; my $n = 0; $n += $_->[$i] for @{ $r->{rows} }; return $n; }
ok(wait_for('connections to be given back', sub { pinned() == 0 }), 'no connection is kept');
for my $shard (1 .. 3) {
    ok(wait_for('transactions to end', sub { $cluster->value($shard, q{SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'}) == 0 }), "shard $shard: no transaction is open");
    ok(wait_for('locks to go', sub { $cluster->value($shard, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())}) == 0 }), "shard $shard: no advisory lock");
}
check('nothing is left at the end') for 1 .. 10;
done_testing();
