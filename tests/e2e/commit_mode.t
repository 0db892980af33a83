#!/usr/bin/perl
# How a transaction over several shards commits: the setting commit of database, user and session; who takes part in it, and who
# decides (rules X5, X6, X12).
use strict;
use warnings;
use Test::More;
use PgbraidTest::Cluster;
use PgbraidTest::Proc qw(wait_for);
use PgbraidTest::Router;
use PgbraidTest::Wire;

# The first shard cannot prepare, the others can.
my $cluster = PgbraidTest::Cluster->new(shards => 1, settings => { max_prepared_transactions => 0 });
$cluster->add_shard(separate => 1, settings => { max_prepared_transactions => 20 }) for 2, 3;
my $router = PgbraidTest::Router->new(cluster => $cluster, config => { sharding_key => 'id' });
my $w = $router->wire;
$w->do('SET pgbraid.commit = best_effort', 'CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', 'RESET pgbraid.commit');
$w->do("INSERT INTO t VALUES ($_, 0)") for 1 .. 30;
my ($a, $b, $c) = map { $cluster->value($_, 'SELECT min(id) FROM t') } 1 .. 3;
ok($a && $b && $c, "a key of each shard: $a, $b, $c");

sub sum { my $n = 0; $n += $cluster->value($_, 'SELECT sum(v) FROM t') for 1 .. 3; return $n; }
sub decided { my ($i) = @_; return $cluster->value($i, 'SELECT count(*) FROM pgbraid.decisions WHERE committed'); }
sub both { my ($x, @ids) = @_; $x->do('BEGIN', map { "UPDATE t SET v = v + 1 WHERE id = $_" } @ids); return $x->query('COMMIT'); }

# --- the one that cannot be prepared decides
is(both($w, $a, $b)->{error}, undef, 'X12: one shard cannot prepare');
is_deeply([ sum(), decided(1), decided(2) ], [ 2, 1, 0 ], 'X12: it decides');
is(both($w, $b, $a)->{error}, undef, 'X12: whichever comes first');
is_deeply([ sum(), decided(1), decided(2) ], [ 4, 2, 0 ], 'X12: it decides again');

# --- two of them: refused before anything is prepared
my $two = PgbraidTest::Cluster->new(shards => 2, settings => { max_prepared_transactions => 0 });
my $r2 = PgbraidTest::Router->new(cluster => $two, config => { sharding_key => 'id', commit => 'best_effort' });
$r2->do('CREATE TABLE t (id bigint PRIMARY KEY, v int NOT NULL)', map { "INSERT INTO t VALUES ($_, 0)" } 1 .. 20);
my @two = map { $two->value($_, 'SELECT min(id) FROM t') } 1, 2;
my $x = $r2->wire;
is($x->value('SHOW pgbraid.commit'), 'best_effort', "the configuration's mode");
$x->do("SET pgbraid.commit = 'atomic'", 'BEGIN', map { "UPDATE t SET v = 1 WHERE id = $_" } @two);
my $e = $x->query('COMMIT');
is($e->{error}{C}, '55000', 'two shards cannot prepare: refused');
like($e->{error}{H}, qr/max_prepared_transactions/, '... with the way out');
is($e->{status}, 'I', '... and the transaction is over');
is($two->value($_, 'SELECT sum(v) FROM t'), 0, "nothing on shard $_") for 1, 2;
unlike($two->server_log($_), qr/STATEMENT:.*PREPARE TRANSACTION/, "... which was not asked to prepare (s$_)") for 1, 2;
is(scalar @{ both($r2->wire, @two)->{notices} }, 1, 'another session has the mode of the configuration: a warning');

# --- of the session
is($w->value('SHOW pgbraid.commit'), 'atomic', 'the default');
is($w->do("SET pgbraid.commit = 'single_shard'"), 'SET', 'SET');
is($w->value('SHOW pgbraid.commit'), 'single_shard', 'SHOW');
is($router->wire->value('SHOW pgbraid.commit'), 'atomic', '... not for another session');
is(both($w, $b, $c)->{error}{C}, '40000', 'single_shard: refused');
is(sum(), 4, '... and rolled back');
is(both($w, $b)->{error}, undef, '... one shard is fine');
$w->do('BEGIN', "SET LOCAL pgbraid.commit TO 'atomic'");
is(both($w, $b, $c)->{error}, undef, 'SET LOCAL of another mode');
is($w->value('SHOW pgbraid.commit'), 'single_shard', '... ends with the transaction');
$w->do('BEGIN', 'SET pgbraid.commit = atomic', 'ROLLBACK');
is($w->value('SHOW pgbraid.commit'), 'single_shard', 'SET is rolled back');
$w->do('BEGIN', 'SAVEPOINT s', 'SET pgbraid.commit = atomic', 'ROLLBACK TO s');
is($w->value('SHOW pgbraid.commit'), 'single_shard', '... to a savepoint, too');
$w->do('COMMIT');
is($w->value("SELECT set_config('pgbraid.commit', 'best_effort', false)"), 'best_effort', 'set_config()');
is_deeply($w->rows("SELECT set_config('pgbraid.commit', \$1, false) AS mode", 'atomic'), [ ['atomic'] ], '... of a parameter');
is($w->value('SHOW pgbraid.commit'), 'atomic', '... holds');
$w->do('RESET pgbraid.commit');
is($w->query("SET LOCAL pgbraid.commit = 'atomic'")->{notices}[0]{C}, '25P01', 'SET LOCAL outside a transaction: a warning');
is($w->error("SET pgbraid.commit = 'never'")->{C}, '22023', 'no such mode');
is($w->error("SELECT set_config('pgbraid.commit', \$1, false)", 'never')->{C}, '22023', '... of a parameter');
is($w->error("SET pgbraid.commits = 'atomic'")->{C}, '42704', 'no such setting');
is($w->error('SHOW pgbraid.commits')->{C}, '42704', '... to show');
is($w->error('RESET pgbraid.commits')->{C}, '42704', '... to reset');
is($w->error('SET pgbraid.commit = a, b')->{C}, '22023', 'a list');
is($w->value('SHOW pgbraid.commit'), 'atomic', 'nothing has changed');

# --- of a user and a database, as PostgreSQL keeps defaults; of a client's start-up packet
$cluster->do(1, 'CREATE ROLE careful LOGIN SUPERUSER', "ALTER ROLE careful SET pgbraid.commit = 'single_shard'");
$cluster->do($_, 'CREATE ROLE careful LOGIN SUPERUSER') for 2, 3;
my $u = $router->wire(user => 'careful');
is($u->value('SHOW pgbraid.commit'), 'single_shard', 'ALTER ROLE ... SET on the home shard');
is(both($u, $b, $c)->{error}{C}, '40000', '... counts');
my $o = $router->wire(params => { options => '-c pgbraid.commit=best_effort' });
is($o->value('SHOW pgbraid.commit'), 'best_effort', 'of the start-up packet');
$o->do('SET pgbraid.commit = atomic', 'RESET pgbraid.commit');
is($o->value('SHOW pgbraid.commit'), 'best_effort', 'RESET goes back to it');
ok(!eval { $router->wire(params => { options => '-c pgbraid.commit=never' }); 1 }, 'a start-up packet with nonsense is refused') or diag 'logged in';

# --- X5: who has written is known from the xid, not from the text
my $before = decided(1) + decided(2) + decided(3);
sub newly { my $now = decided(1) + decided(2) + decided(3); my $n = $now - $before; $before = $now; return $n; }
$w->do('BEGIN', "UPDATE t SET v = v WHERE id = $b AND v < 0", "UPDATE t SET v = v WHERE id = $c", 'COMMIT');
is(newly(), 0, 'X5: an UPDATE of no rows takes no part');
$w->do('BEGIN', "UPDATE t SET v = v WHERE id = $b AND v < 0", "UPDATE t SET v = v WHERE id = $c AND v < 0");
is($w->query('COMMIT')->{tags}[0], 'COMMIT', 'X5: nobody wrote');
is(newly(), 0, '... nothing is decided');
$w->do('SET pgbraid.commit = single_shard', 'BEGIN', "UPDATE t SET v = v WHERE id = $b AND v < 0", "UPDATE t SET v = v WHERE id = $c");
is($w->query('COMMIT')->{error}, undef, 'X5: one writer is no several shards');
$w->do('RESET pgbraid.commit');

# --- X6: a reader keeps its locks until the writer has committed
$cluster->do(3, 'CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NULL; END$$',
    'CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()');
my $gate = $cluster->wire(3);
$gate->do('SELECT pg_advisory_lock(77)');
$w->do('BEGIN', 'SELECT pg_advisory_xact_lock(78)', "UPDATE t SET v = v WHERE id = $c");
$w->send(Query('COMMIT'));
wait_for('the writer waits in its COMMIT', sub { $cluster->value(3, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted") });
is($cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 78 AND granted"), 1, 'X6: the reader holds its lock');
$gate->do('SELECT pg_advisory_unlock(77)');
$w->until_ready;
is($cluster->value(1, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 78"), 0, 'X6: ... until the writer has committed');
# ... also one that has only read.
sub reading { return $cluster->value(2, "SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND mode = 'AccessShareLock' AND pid <> pg_backend_pid()"); }
$gate->do('SELECT pg_advisory_lock(77)');
$w->do('BEGIN', "SELECT * FROM t WHERE id = $b", "UPDATE t SET v = v WHERE id = $c");
$w->send(Query('COMMIT'));
wait_for('the writer waits in its COMMIT', sub { $cluster->value(3, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted") });
is(reading(), 1, 'X6: who has only read is still in the transaction');
$gate->do('SELECT pg_advisory_unlock(77)');
$w->until_ready;
wait_for('X6: ... until the writer has committed', sub { !reading() });

# --- X10: who has gone without a word is noticed by both ends
is_deeply([ map { $w->value("SELECT current_setting('$_')") } qw(tcp_keepalives_idle tcp_keepalives_interval tcp_keepalives_count tcp_user_timeout) ],
    [ 30, 10, 3, 60000 ], 'X10: servers give up a router that does not answer');
SKIP: {
    my $ss = qx(ss -tnoH dport = :@{[ $cluster->port(2) ]} 2>/dev/null) or skip 'no ss', 1;
    like($ss, qr/timer:\(keepalive,(?:[0-2]?\d|30)/m, 'X10: and the router a server');
}
done_testing();
